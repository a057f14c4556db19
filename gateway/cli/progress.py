"""A progress bar for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from drivers.bus.prober import Step


class RichBar:
    """How far a search is, by the time that its steps take."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._before = {}
        total_s = 0.0
        for step in steps:
            self._before[id(step)] = total_s
            total_s += step.seconds
        self._progress = Progress(
            TextColumn("{task.description:<20}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=total_s)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @property
    def done(self) -> float:
        """How much of all is done, 0 to 1."""
        return self._progress.tasks[self._task].percentage / 100

    def told(self, step: Step, done: float) -> None:
        """So much of a step is done, 0 to 1."""
        self._progress.update(
            self._task,
            description=f"{step.prober.driver} {step.line}",
            completed=self._before[id(step)] + done * step.seconds,
        )

    def say(self, what: str) -> None:
        """A line above the bar."""
        self._progress.console.print(what, highlight=False, markup=False)
