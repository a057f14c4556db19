"""The long runs of the journal's tests: the same cases, many more of them.

    python tests/journal/torture.py [--cases N] [--seed S] [--kind KIND ...] [--resume FILE]

Prints its seed, goes on where an interrupted run of this seed stopped, uses both cores, and ends
with a table. The first failure ends it, with the command that repeats that case alone. Every chunk
of cases depends on the seed and its own number only.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import hypothesis
from crash_cases import crash_case
from damage_cases import damage_case, damage_store
from flash_cases import count_calls, flash_case, table
from hypothesis.stateful import run_state_machine_as_test
from kill_cases import check, kill_case
from rig import ROOMY, SMALL, rig
from tail_cases import make_tail, tail_case, tail_opened
from tail_cases import table as tail_table
from test_journal_model import JournalModel
from workload import record

CORES = 2
CHUNK = 50  # cases of one recording or store
EVERY_NTH_TAIL = 20  # of the tail cases is also opened as a journal


class Chunk(NamedTuple):
    """So many cases of one kind, drawn by one number."""

    kind: str
    number: int
    cases: int
    seed: int


class Outcome(NamedTuple):
    """What became of a chunk; `failure` is empty if nothing went wrong."""

    chunk: Chunk
    seconds: float
    failure: str


def crash(folder: Path, chunk: Chunk, rng: random.Random) -> None:
    with rig(folder, SMALL) as made:
        recording = record(made, rng.randrange(2**32))
        for _ in range(chunk.cases):
            crash_case(made, recording, rng)


def damage(folder: Path, chunk: Chunk, rng: random.Random) -> None:
    with rig(folder, ROOMY) as made:
        store = damage_store(made, rng.randrange(2**32))
        for _ in range(chunk.cases):
            damage_case(made, store, rng)


def flash(folder: Path, chunk: Chunk, rng: random.Random) -> None:
    with rig(folder, ROOMY) as made:
        cases = table(count_calls(made))
        first = chunk.number * chunk.cases
        for index in range(first, first + chunk.cases):
            flash_case(made, cases[index % len(cases)], rng)


def tail(folder: Path, chunk: Chunk, rng: random.Random) -> None:
    with rig(folder, SMALL) as made:
        made_tail, cases = make_tail(made, chunk.seed), tail_table()
        first = chunk.number * chunk.cases
        for index in range(first, first + chunk.cases):
            case = cases[index * 7919 % len(cases)]  # a prime: the kinds of damage take turns
            tail_case(made_tail, case, rng)
            if index % EVERY_NTH_TAIL == 0:
                tail_opened(made, made_tail, case, rng)


def kill(folder: Path, chunk: Chunk, rng: random.Random) -> None:
    confirmed = {"u": 0, "r": 0}
    for _ in range(chunk.cases):
        kill_case(folder / "j", confirmed, rng)
        check(folder / "j", confirmed)


def model(folder: Path, chunk: Chunk, rng: random.Random) -> None:
    del folder  # the model makes one for each case
    machine = hypothesis.seed(rng.randrange(2**32))(type("Model", (JournalModel,), {}))
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            JournalModel.TestCase.settings, max_examples=chunk.cases, database=None
        ),
    )


KINDS: dict[str, Callable[[Path, Chunk, random.Random], None]] = {
    "crash": crash,
    "damage": damage,
    "flash": flash,
    "kill": kill,
    "model": model,
    "tail": tail,
}
# Of a hundred cases of all kinds. A case of the tail is quick, and there are many to go through; a
# kill takes half a second; a case of the model has up to 40 steps.
SHARES = {"crash": 25, "damage": 25, "flash": 10, "kill": 1, "model": 5, "tail": 34}


def run_chunk(chunk: Chunk) -> Outcome:
    """In a process of its own."""
    started = time.monotonic()
    rng = random.Random(f"{chunk.seed}/{chunk.kind}/{chunk.number}")
    failure = ""
    with tempfile.TemporaryDirectory(prefix="hearth-torture-") as folder:
        try:
            KINDS[chunk.kind](Path(folder), chunk, rng)
        except Exception:  # noqa: BLE001 - whatever it is, it is the finding
            failure = traceback.format_exc()
    return Outcome(chunk, time.monotonic() - started, failure)


def plan(cases: int, seed: int, kinds: list[str]) -> list[Chunk]:
    """The chunks of a run, the kinds mixed."""
    total = sum(SHARES[kind] for kind in kinds)
    chunks = [
        Chunk(kind, number, CHUNK, seed)
        for kind in kinds
        for number in range(max(1, cases * SHARES[kind] // total // CHUNK))
    ]
    random.Random(seed).shuffle(chunks)
    return chunks


class Progress:
    """A bar on a terminal, a line now and then elsewhere; and what is done, on disk."""

    def __init__(self, chunks: list[Chunk], state: Path) -> None:
        self._state = state
        self._total = len(chunks)
        self.done: dict[str, float] = json.loads(state.read_text()) if state.exists() else {}
        self._before = len(self.done)
        self._started = self._shown = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """One chunk went well."""
        chunk = outcome.chunk
        self.done[f"{chunk.kind}/{chunk.number}"] = outcome.seconds
        self._state.write_text(json.dumps(self.done))
        now = time.monotonic()
        if now - self._shown >= (0.2 if sys.stdout.isatty() else 30):
            self._shown = now
            self._show(now)

    def _show(self, now: float) -> None:
        done, took = len(self.done), now - self._started
        rate = max(1, done - self._before) / took
        left = (self._total - done) / rate
        bar = "#" * (30 * done // self._total)
        end = "\r" if sys.stdout.isatty() else "\n"
        print(
            f"[{bar:<30}] {done * CHUNK}/{self._total * CHUNK} cases"
            f"  {rate * CHUNK:.0f}/s  {left:.0f} s left ",
            end=end,
            flush=True,
        )


def main() -> int:
    """Run; 1 if a case failed."""
    options = _options()
    seed, kinds = options.seed, options.kind or list(KINDS)
    print(f"seed {seed}", flush=True)
    if options.chunk is not None:
        return _tell(run_chunk(Chunk(kinds[0], options.chunk, CHUNK, seed)))
    chunks = plan(options.cases, seed, kinds)
    state = options.resume or Path(tempfile.gettempdir(), f"hearth-torture-{seed}.json")
    progress = Progress(chunks, state)
    started = time.monotonic()
    todo = [chunk for chunk in chunks if f"{chunk.kind}/{chunk.number}" not in progress.done]
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        for outcome in pool.imap_unordered(run_chunk, todo):
            if outcome.failure:
                return _tell(outcome)
            progress.add(outcome)
    state.unlink(missing_ok=True)
    _summary(chunks, progress.done, time.monotonic() - started)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be given again")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="where progress is kept")
    parser.add_argument("--chunk", type=int, metavar="N", help="only this chunk of the kind")
    return parser.parse_args()


def _tell(outcome: Outcome) -> int:
    if not outcome.failure:
        print(f"chunk {outcome.chunk.number}: {CHUNK} cases of {outcome.chunk.kind} passed")
        return 0
    kind, number, _, seed = outcome.chunk
    print(f"\n{outcome.failure}\nagain, alone:")
    print(f"  python tests/journal/torture.py --seed {seed} --kind {kind} --chunk {number}")
    return 1


def _summary(chunks: list[Chunk], seconds: dict[str, float], took: float) -> None:
    print(f"\n{'kind':<10}{'cases':>10}{'failures':>10}{'core s':>10}")
    for kind in KINDS:
        ours = [chunk for chunk in chunks if chunk.kind == kind]
        spent = sum(seconds[f"{kind}/{chunk.number}"] for chunk in ours)
        if ours:
            print(f"{kind:<10}{sum(c.cases for c in ours):>10}{0:>10}{spent:>10.0f}")
    print(f"{'all':<10}{sum(c.cases for c in chunks):>10}{0:>10}{took:>10.0f} s in all")


if __name__ == "__main__":
    raise SystemExit(main())
