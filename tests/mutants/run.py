"""Puts one fault after the other into the journal; the tests must notice each. `make mutants`.

    python tests/mutants/run.py [--list] [--only NAME ...]

The faults are in table.py. Each is put into a copy of the tree, never into the tree itself, and the
tests of the journal are run against it, until the first one fails. A test that hangs has noticed,
too, and the line says so. Ends with 0 if every mutant was killed, with 1 if one survived, with 2
if the table no longer fits the source or the tests fail without any fault.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from mutant import ROOT, Mutant, TableError
from table import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

JOBS = 2  # two cores is what a small machine has; the tests wait for time more than for a core
GRACE_S = 10.0  # for fixtures to clean up (mounts, processes) once a test has failed
COLLECTION = "collection"  # stands for a test, where none was reached
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")


@dataclass(frozen=True)
class Plan:
    """The test files, the quick ones first, and how long a test and a run may take."""

    files: tuple[str, ...]
    test_s: float
    run_s: float

    def starting_with(self, first: str) -> list[str]:
        """All files, `first` before the others."""
        return sorted(self.files, key=lambda file: file != f"tests/{first}")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `failed` names the test, `hung` says that it was a time limit."""

    seconds: float
    failed: str = ""
    hung: bool = False
    why: str = ""
    error: str = ""
    unsteady: tuple[str, ...] = ()  # tests that failed, and passed when they were run again

    @property
    def verdict(self) -> str:
        """One word."""
        return "ERROR" if self.error else "killed" if self.failed else "SURVIVED"

    def __str__(self) -> str:
        by = f"{'time-out in' if self.hung else 'by'} {self.failed}" if self.failed else ""
        unsteady = f" after {', '.join(self.unsteady)} failed but once" if self.unsteady else ""
        return f"{by or self.error}{unsteady} ({self.seconds:.1f} s)".strip()


class Copy:
    """A copy of the tree, in which one mutant at a time lives."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.root = Path(shutil.copytree(source, folder / "tree", ignore=LEFT_OUT))
        self._scratch = folder
        self._witness = folder / "witness"

    def files(self) -> list[str]:
        """The test files that are run against a mutant."""
        found = [*self.root.glob("tests/journal/test_*.py"), *self.root.glob("tests/test_journal*")]
        return sorted(str(path.relative_to(self.root)) for path in found)

    def test(self, mutant: Mutant, plan: Plan) -> Outcome:
        """Run the tests with the fault in the copy, and take it out again."""
        path = self.root / mutant.path
        whole, faulty = path.read_text("utf-8"), mutant.mutated(self.root)
        path.write_text(faulty, "utf-8")
        try:
            return self._until_steady(plan.starting_with(mutant.likely), plan)
        finally:
            path.write_text(whole, "utf-8")

    def _until_steady(self, files: list[str], plan: Plan) -> Outcome:
        """The first failure that comes again: a test that then passes has noticed nothing."""
        seconds, unsteady = 0.0, []
        while True:
            outcome = self.run(files, plan.test_s, plan.run_s, without=unsteady)
            seconds += outcome.seconds
            if outcome.failed and outcome.failed != COLLECTION:
                again = self.run([outcome.failed], plan.test_s, plan.run_s)
                seconds += again.seconds
                if not (again.failed or again.error):
                    unsteady.append(outcome.failed)
                    continue
            return replace(outcome, seconds=seconds, unsteady=tuple(unsteady))

    def run(
        self, tests: list[str], test_s: float, run_s: float, *, without: Sequence[str] = ()
    ) -> Outcome:
        """Run these tests, or the tests of these files, until the first one fails."""
        self._witness.write_text("")
        started = time.monotonic()
        with (self._scratch / "output").open("w+", encoding="utf-8") as output:
            command = [
                sys.executable, "-m", "pytest", "-x", "-q", "-p", "witness",
                "-p", "no:cacheprovider", f"--basetemp={self._scratch / 'basetemp'}",
                f"--timeout={test_s}", *(f"--deselect={test}" for test in without), *tests,
            ]  # fmt: skip
            process = subprocess.Popen(
                command, cwd=self.root, env=self._environment(),
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            status = self._wait(process, started + run_s)
            output.seek(0)
            return self._outcome(status, time.monotonic() - started, output.read())

    def seconds(self) -> dict[str, float]:
        """How long each test of the last run took."""
        return {line[1]: line[2] for line in self._lines() if line[0] == "done"}

    def _environment(self) -> dict[str, str]:
        """`gateway` is the copy's, also in processes that tests start; no bytecode is kept,
        because a fault that keeps size and second of its file would find its forerunner's."""
        places = [self.root, self.root / "tests" / "mutants"]
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, places)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self._scratch),
            "WITNESS": str(self._witness),
        }

    def _wait(self, process: subprocess.Popen[bytes], deadline: float) -> int | None:
        """The exit status; None if the process had to be ended, with all that it started."""
        try:
            while (now := time.monotonic()) < deadline:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(min(1.0, deadline - now))
                if self._failures():
                    deadline = min(deadline, now + GRACE_S)
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _outcome(self, status: int | None, seconds: float, output: str) -> Outcome:
        if failures := self._failures():
            _, test, why = failures[0]
            return Outcome(seconds, failed=test, hung="Timeout (>" in why, why=why)
        if status is None:
            running = [line[1] for line in self._lines() if line[0] == "start"]
            return Outcome(seconds, failed=running[-1] if running else COLLECTION, hung=True)
        return Outcome(seconds, error=f"status {status}\n{output[-2000:]}" if status else "")

    def _failures(self) -> list[list[str]]:
        return [line for line in self._lines() if line[0] == "failed"]

    def _lines(self) -> list[list]:
        return [json.loads(line) for line in self._witness.read_text("utf-8").splitlines()]


def plan_for(copy: Copy) -> Plan:
    """Run everything without a fault: what then passes must fail with one, in due time."""
    outcome = copy.run(copy.files(), test_s=600, run_s=1200)
    if outcome.failed or outcome.error:
        raise TableError(f"the tests fail without any fault: {outcome}\n{outcome.why}")
    seconds = copy.seconds()
    spent = {
        file: sum(s for test, s in seconds.items() if test.startswith(f"{file}::"))
        for file in copy.files()
    }
    print(f"without a fault: {len(seconds)} tests pass ({outcome.seconds:.1f} s)\n", flush=True)
    files = tuple(sorted(spent, key=lambda file: spent[file]))
    return Plan(files, 20 + 3 * max(seconds.values()), 60 + 3 * outcome.seconds)


def run(mutants: list[Mutant], scratch: Path) -> list[Outcome]:
    """The outcome of each, printed as it is known."""
    copies: SimpleQueue[Copy] = SimpleQueue()
    first = Copy(ROOT, scratch / "0")
    for mutant in mutants:
        mutant.mutated(first.root)
    copies.put(first)
    for index in range(1, JOBS):
        copies.put(Copy(first.root, scratch / str(index)))
    plan = plan_for(first)

    def test(mutant: Mutant) -> Outcome:
        copy = copies.get()
        try:
            return copy.test(mutant, plan)
        finally:
            copies.put(copy)

    outcomes = []
    with ThreadPoolExecutor(JOBS) as pool:
        for mutant, outcome in zip(mutants, pool.map(test, mutants), strict=True):
            print(f"{outcome.verdict:<9} {mutant.name:<44} {outcome}", flush=True)
            if outcome.verdict == "SURVIVED":
                print(f"{'':<9} {mutant.path}: {mutant.breaks}", flush=True)
            outcomes.append(outcome)
    return outcomes


def chosen(names: list[str] | None) -> list[Mutant]:
    """The mutants of these names; all, if there are none."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    if unknown := set(names or ()) - known.keys():
        raise TableError(f"no such mutant: {', '.join(sorted(unknown))}")
    return [known[name] for name in names] if names else list(MUTANTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="print the table and do nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutants alone")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        mutants = chosen(arguments.only)
        if arguments.list:
            for mutant in mutants:
                print(f"{mutant.name:<44} {mutant.path}: {mutant.breaks}")
            return 0
        with tempfile.TemporaryDirectory(prefix="hearth-mutants-") as scratch:
            outcomes = run(mutants, Path(scratch))
    except TableError as error:
        print(error)
        return 2
    return summary(outcomes, (time.monotonic() - started) / 60)


def summary(outcomes: list[Outcome], minutes: float) -> int:
    """The closing line, and the exit status."""
    verdicts = [outcome.verdict for outcome in outcomes]
    hung = sum(outcome.hung for outcome in outcomes)
    errors, survived = verdicts.count("ERROR"), verdicts.count("SURVIVED")
    print(
        f"\n{len(outcomes)} mutants: {verdicts.count('killed')} killed ({hung} by time-out),"
        f" {survived} survived, {errors} could not be run; {minutes:.1f} minutes"
    )
    return 2 if errors else 1 if survived else 0


if __name__ == "__main__":
    raise SystemExit(main())
