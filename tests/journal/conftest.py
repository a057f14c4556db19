"""Small journals on a simulated disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from content import Content
from rig import Rig
from rig import rig as make_rig
from simdisk import Image, SimDisk

from gateway.journal import Journal
from gateway.journal.log import Log
from gateway.model import Lane


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Opens journals of 16 and 20 KiB segments."""
    with make_rig(tmp_path) as found:
        yield found


@pytest.fixture
def open_small(rig: Rig) -> Callable[[SimDisk], Journal]:
    """Opens such a journal on a simulated disk."""
    return rig.open


@pytest.fixture
def content(rig: Rig) -> Callable[[Image, Lane], Content]:
    """Opens an image, reads a lane of it, closes it again."""

    def read(image: Image, lane: Lane) -> Content:
        with rig.opened(SimDisk(image)) as journal:
            return Content(journal, lane)

    return read


@pytest.fixture
def disk() -> SimDisk:
    """Nothing on it yet."""
    return SimDisk()


@pytest.fixture
def journal(rig: Rig, disk: SimDisk) -> Iterator[Journal]:
    """A small one on it; its routine events wait until they are flushed."""
    with rig.opened(disk) as opened:
        yield opened


@pytest.fixture
def log(journal: Journal) -> Log:
    """Its routine lane."""
    return journal._logs[Lane.ROUTINE]
