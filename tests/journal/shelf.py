"""One lane's folder made by hand, segment by segment, and opened as a start opens it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from simdisk import Image, SimDisk

from gateway.codec import encode_event, observe_gap
from gateway.journal.format import (
    BLOCK,
    MetaState,
    RecordType,
    SegmentHeader,
    encode_header,
    encode_meta,
    encode_record,
    salt_seed,
)
from gateway.journal.geometry import LaneGeometry
from gateway.journal.meta import Meta
from gateway.journal.salvage import ASIDE_SUFFIX, SUFFIX, Opened, Salvage, Trouble
from gateway.model import Event, Gap, Lane, Stamp, TimeQuality

FOLDER = Path("/j/urgent")
META = Path("/j/meta")
JOURNAL = b"j" * 16
SIZE = 4 * BLOCK
GEOMETRY = LaneGeometry(SIZE, 5)
BLANK = bytes(SIZE)
RUBBISH = b"\xee" * SIZE


class Started(NamedTuple):
    """A lane after a start."""

    lane: Opened
    meta: Meta
    trouble: Trouble


def header(number: int, first: int, lane: Lane = Lane.URGENT, journal: bytes = JOURNAL) -> bytes:
    """One block of a segment file."""
    head = SegmentHeader(journal, lane, number, 1000 + number, first)
    return encode_header(head).ljust(BLOCK, b"\0")


def records(number: int, first: int, count: int, size: int = 40) -> bytes:
    """Records of a segment's life, each a commit of its own."""
    return b"".join(
        encode_record(
            salt_seed(1000 + number), seq, RecordType.EVENT, b"%d." % seq * (size // 4), seq - 1
        )
        for seq in range(first, first + count)
    )


def torn(number: int, first: int) -> bytes:
    """What a power cut leaves of a commit of two: the second record is there, the first is not."""
    second = encode_record(salt_seed(1000 + number), first + 1, RecordType.EVENT, b"torn")
    return bytes(100) + second


def gap_record(number: int, seq: int, gap: Gap) -> bytes:
    """A record that tells of a loss."""
    seen = observe_gap(gap)
    stamp = Stamp(b"bootboot", 1, 1, TimeQuality.UNKNOWN)
    payload = encode_event(Event(seen.kind, "journal", stamp, detail=seen.detail))
    return encode_record(salt_seed(1000 + number), seq, RecordType.GAP, payload, seq - 1)


def segment(number: int, first: int, data: bytes | int, head: bytes | None = None) -> bytes:
    """A segment file that holds these bytes, or so many records."""
    if isinstance(data, int):
        data = records(number, first, data)
    head = header(number, first) if head is None else head
    return head + data.ljust(SIZE - 2 * BLOCK, b"\0") + head


def shelf(*files: bytes, **state: object) -> SimDisk:
    """A disk with these segment files, and a `meta` that says so."""
    image: Image = {FOLDER / f"{number:05d}.seg": data for number, data in enumerate(files)}
    meta = MetaState(**{"journal": JOURNAL, "acknowledged": (0, 0), "durable": (0, 0)} | state)
    image[FOLDER / "left by somebody"] = b"x"
    image[META] = bytes(BLOCK) + encode_meta(meta, 1).ljust(BLOCK, b"\0")
    return SimDisk(image)


def start(disk: SimDisk, geometry: LaneGeometry = GEOMETRY, *, may_shrink: bool = False) -> Started:
    """What a start makes of it."""
    trouble = Trouble()
    salvage = Salvage(disk, FOLDER, Lane.URGENT, trouble)
    salvage.find()
    salvage.fit(geometry, may_shrink=may_shrink)
    meta = Meta.open(disk, META)
    assert meta
    return Started(salvage.open(meta), meta, trouble)


def names(disk: SimDisk) -> list[str]:
    """The segment files in the folder, those set aside among them."""
    found = (path for path in disk.image() if path.parent == FOLDER)
    return sorted(path.name for path in found if path.suffix in {SUFFIX, ASIDE_SUFFIX})
