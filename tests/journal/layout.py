"""Where everything lies in an undamaged store: read straight from its bytes, for tests to aim at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from simdisk import Image

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError
from gateway.journal.format import (
    BLOCK,
    MetaState,
    RecordType,
    SegmentHeader,
    decode_header,
    decode_meta,
    decode_record,
    salt_seed,
)
from gateway.model import Gap, Lane


class Placed(NamedTuple):
    """One record, and the bytes it should have."""

    seq: int
    start: int
    end: int
    synced: int | None
    payload: bytes
    is_gap: bool
    raw: bytes

    def is_intact(self, data: bytes) -> bool:
        """It lies where it lay, unchanged."""
        return data[self.start : self.end] == self.raw

    @property
    def gap(self) -> Gap:
        """What it tells of."""
        return gap_of(decode_event(self.payload))


@dataclass(frozen=True)
class Laid:
    """One segment in use."""

    path: Path
    header: SegmentHeader
    records: tuple[Placed, ...]

    @property
    def number(self) -> int:
        """Of its header."""
        return self.header.number

    @property
    def first_seq(self) -> int:
        """Of its header."""
        return self.header.first_seq

    @property
    def salt(self) -> int:
        """Of its header."""
        return self.header.salt

    @property
    def end(self) -> int:
        """Behind its last record."""
        return self.records[-1].end if self.records else BLOCK


def header_of(data: bytes) -> SegmentHeader | None:
    """What a segment file says of itself, in either place."""
    found = []
    for at in (0, max(0, len(data) - BLOCK)):
        try:
            found.append(decode_header(data[at : at + BLOCK]))
        except DecodeError:
            continue
    return max(found, key=lambda header: header.number, default=None)


def meta_of(data: bytes) -> MetaState | None:
    """The newer intact slot of a meta file."""
    found = []
    for at in (0, BLOCK):
        try:
            found.append(decode_meta(data[at : at + BLOCK]))
        except DecodeError:
            continue
    return max(found, key=lambda slot: slot[0])[1] if found else None


class Store:
    """A store's bytes, by what they mean."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.meta_path = next((path for path in image if path.name == "meta"), None)
        self.meta = meta_of(image[self.meta_path]) if self.meta_path else None

    @classmethod
    def of(cls, image: Image) -> Store:
        """The store in an image."""
        return cls(image)

    @property
    def durable(self) -> dict[Lane, int]:
        """What `meta` knows to be durable."""
        return {lane: max(self.meta.durable[lane], self.meta.acknowledged[lane]) for lane in Lane}

    @cached_property
    def lanes(self) -> dict[Lane, list[Laid]]:
        """The segments in use, oldest first. One whose seqs a newer one claims holds them no more."""
        lanes: dict[Lane, list[Laid]] = {lane: [] for lane in Lane}
        for path, data in self.image.items():
            if path.suffix == ".seg" and (header := header_of(data)):
                lanes[header.lane].append(Laid(path, header, tuple(_records(data, header))))
        for laid in lanes.values():
            laid.sort(key=lambda segment: segment.number)
        return lanes

    def newest(self, lane: Lane) -> Laid | None:
        """The segment that is being written."""
        return self.lanes[lane][-1] if self.lanes[lane] else None


def _records(data: bytes, header: SegmentHeader):
    at, seq, seed = BLOCK, header.first_seq, salt_seed(header.salt)
    while (record := decode_record(data[:-BLOCK], at, seed)) and record.seq == seq:
        raw = data[at : record.end]
        is_gap = record.type == RecordType.GAP
        yield Placed(seq, at, record.end, record.synced_through, record.payload, is_gap, raw)
        at, seq = record.end, seq + 1
