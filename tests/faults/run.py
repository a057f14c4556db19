"""The guarantee, story by story: `make faults`. See --help."""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "rigs"))

from postgres_server import why_no_postgresql
from stage import Stage
from stories import STORIES
from story import Skipped
from verdict import Verdict

NAME = 32  # columns
DIARY_CHARACTERS = 3000  # of what the processes of a failed story said
EPILOG = """\
Each story runs real processes (mosquitto, hearth collect, a gateway of journal and forwarder, the
database) while calls and readings flow, does its fault, and ends with a judgement by plain SQL:
every event whose receipt was awaited is stored once with the same content, or named by a stored
gap event, and the collector's books balance.

confirmed   events whose receipt was awaited: on flash, and promised
stored      events in the database; more than confirmed where a gateway was killed between flash
            and receipt
duplicates  events that came again and were refused, by the collector's books
gaps        confirmed events that are lost, and named by a gap event
recovery    from the end of the fault (the last one, if it comes again) until the first event that
            was confirmed after it is in the database
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", metavar="NAME", action="append", help="these; may be repeated")
    parser.add_argument("--store", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--jobs", type=int, default=2, help="stories at a time (2)")
    parser.add_argument("--short", action="store_true", help="as `make test` plays them")
    parser.add_argument("--list", action="store_true", help="name them and end")
    return parser.parse_args()


def head() -> str:
    return (
        f"{'story':<{NAME}} {'store':<10} {'confirmed':>9} {'stored':>7} {'duplicates':>10}"
        f" {'gaps':>6} {'recovery':>9}"
    )


def line(name: str, store: str, verdict: Verdict) -> str:
    """One story in one line."""
    recovery = "-" if verdict.recovery_s is None else f"{verdict.recovery_s:.2f} s"
    end = "ok" if verdict.good else f"FAILED: {'; '.join(verdict.problems)}"
    if verdict.conflicts:
        end += f"  {verdict.conflicts} conflicts kept"
    return (
        f"{name:<{NAME}} {store:<10} {verdict.confirmed:>9} {verdict.stored:>7}"
        f" {verdict.duplicates:>10} {verdict.gaps:>6} {recovery:>9}  {end}"
        + (f"  ({verdict.note})" if verdict.note else "")
    )


async def tell(stage: Stage, name: str, kind: str) -> bool:
    """Play one story, print its line; whether it held."""
    try:
        verdict = await stage.play(name, kind)
    except Skipped as reason:
        print(f"{name:<{NAME}} {kind:<10} skipped: {reason}", flush=True)
        return True
    print(line(name, kind, verdict), flush=True)
    if not verdict.good:
        sys.stderr.write(verdict.diary[-DIARY_CHARACTERS:])
    return verdict.good


async def run(options: argparse.Namespace) -> int:
    """All that was asked for; 1 if one failed."""
    playing = asyncio.current_task()
    assert playing is not None
    # So that SIGTERM, too, leaves no process, namespace or mount behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    kinds = ["sqlite", "postgresql"] if options.store == "both" else [options.store]
    print(f"seed {options.seed}\n{head()}", flush=True)
    if "postgresql" in kinds and (reason := why_no_postgresql()):
        print(f"{'all':<{NAME}} {'postgresql':<10} skipped: {reason}", flush=True)
        kinds.remove("postgresql")
    cases = [
        (name, kind)
        for kind in kinds
        for name in options.only or STORIES
        if kind in STORIES[name].stores
    ]
    with tempfile.TemporaryDirectory(prefix="hearth-faults-") as folder:
        stage = Stage(Path(folder), seed=options.seed, short=options.short, at_once=options.jobs)
        async with stage:
            held = await asyncio.gather(*(tell(stage, *case) for case in cases))
    print("all held" if all(held) else f"{held.count(False)} failed", flush=True)
    return 0 if all(held) else 1


def main() -> int:
    options = arguments()
    if options.list:
        for it in STORIES.values():
            print(f"{it.name:<{NAME}} {it.about}")
        return 0
    unknown = set(options.only or ()) - set(STORIES)
    if unknown:
        print(f"no such story: {', '.join(sorted(unknown))}; see --list")
        return 2
    try:
        return asyncio.run(run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
