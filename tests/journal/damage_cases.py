"""Damage anywhere in a store: what is hit is missed and told of, everything else is delivered."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

from content import Content, flush
from layout import Laid, Placed, Store, header_of, meta_of
from rig import Rig
from simdisk import SECTOR, Image, SimDisk
from workload import Habits, Recording, record

from gateway.journal.format import BLOCK, Newest
from gateway.model import Lane

HELP = b"help, after all that"
REASONS = frozenset({"quota", "damage"})


@dataclass
class Damaged:
    """A store's bytes, with damage. `bad` are sectors that cannot be read."""

    image: Image
    bad: dict[Path, set[int]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def disk(self) -> SimDisk:
        """A disk with that."""
        disk = SimDisk(self.image)
        disk.bad = {path: set(sectors) for path, sectors in self.bad.items()}
        return disk

    def readable(self, path: Path) -> bytes:
        """What can be read of a file: a bad sector takes the page that it is in."""
        data = bytearray(self.image.get(path, b""))
        for sector in self.bad.get(path, ()):
            at = sector * SECTOR // BLOCK * BLOCK
            data[at : at + BLOCK] = bytes(len(data[at : at + BLOCK]))
        return bytes(data)


def damage_store(rig: Rig, seed: int) -> Recording:
    """A store to damage: stopped cleanly or not, sometimes gone round, its quota not exhausted."""
    rng = random.Random(seed)
    wanted = Habits(
        steps=rng.choice([8, 20, 40]),
        largest=rng.choice([60, 200, 400]),
        acknowledges=rng.choice([0.0, 0.3]),
        restarts=0.03,
        leaves_open=rng.random() < 0.3,
    )
    return record(rig, seed, wanted)


def damage_case(rig: Rig, recording: Recording, rng: random.Random) -> Damaged:
    """One to three damages to a recorded store."""
    image = recording.disk.medium(recording.calls).written()
    damaged = Damaged(dict(image))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(WAYS)(damaged, rng)
    check_damaged(rig, image, damaged)
    return damaged


def check_damaged(rig: Rig, image: Image, damaged: Damaged) -> None:
    """I4, I5: a damaged store opens, delivers the rest, names what is missing, and takes a call."""
    disk = damaged.disk()
    with rig.opened(disk) as journal:
        got = {lane: Content(journal, lane) for lane in Lane}
        for lane in Lane:
            _check_lane(image, damaged, lane, got[lane])
        _check_aside(disk)
        receipt = journal.append(Lane.URGENT, HELP)
        flush(journal)
        seq = receipt.seq
        run = journal.read(Lane.URGENT, seq - 1, 1)
        assert run is not None, "the call cannot be read"
        assert (run.first, run.payloads) == (seq, (HELP,)), "the call is not what was stored"
    assert disk.open_files == 0, "files are left open"
    with rig.opened(replace(damaged, image=disk.image(), bad=disk.bad).disk()) as journal:
        for lane in Lane:
            again = Content(journal, lane)
            again.payloads.pop(seq if lane is Lane.URGENT else 0, None)
            assert again.payloads == {
                s: p for s, p in got[lane].payloads.items() if s > again.acknowledged
            }, "opening again finds something else"
            assert got[lane].lost - set(range(again.acknowledged + 1)) <= again.lost, "forgotten"
        _check_aside(disk)


def _check_aside(disk: SimDisk) -> None:
    for lane in Lane:
        aside = [
            p for p in disk.image() if p.suffix == ".damaged" and p.parent.name == lane.name.lower()
        ]
        assert len(aside) <= 2, f"{len(aside)} files set aside"


def _check_lane(image: Image, damaged: Damaged, lane: Lane, got: Content) -> None:
    store, left = Store.of(image), Left.of(image, damaged, lane)
    originals = {r.seq: r for laid in store.lanes[lane] for r in laid.records}
    for seq, payload in got.payloads.items():
        assert seq in originals, f"seq {seq} is invented"
        assert payload == originals[seq].payload, f"seq {seq} changed"
    there = got.payloads.keys() | got.told.keys()
    needed = {seq for seq in left.intact if left.acknowledged < seq <= left.proven}
    assert needed <= there, f"intact, and not delivered: {sorted(needed - there)}"
    told_before = _told(r for r in originals.values() if r.is_gap)
    twice = (got.lost - told_before) & got.payloads.keys()
    assert not twice, f"a gap covers what is there: {sorted(twice)}"
    missing = set(range(left.acknowledged + 1, left.proven + 1)) - there
    assert missing <= got.lost, f"neither there nor told of: {sorted(missing - got.lost)}"
    invented = got.lost - missing - told_before
    assert not invented, f"a loss that is none: {sorted(invented)}"
    reasons = {gap.reason for gap in got.gaps}
    assert reasons <= REASONS, f"reasons {reasons}"


def _told(records) -> set[int]:
    return {seq for r in records for seq in range(r.gap.first, r.gap.last + 1)}


@dataclass(frozen=True)
class Left:
    """What the damage left of one lane, worked out from the bytes alone."""

    intact: frozenset[int]
    acknowledged: int
    proven: int

    @classmethod
    def of(cls, image: Image, damaged: Damaged, lane: Lane) -> Left:
        """Segments that are known by a header or, the newest, by `meta`; their records that have
        all their bytes; what these and `meta` know to be durable.
        """
        store = Store.of(image)
        meta = meta_of(damaged.readable(store.meta_path))
        segments = [
            segment
            for segment in store.lanes[lane]
            if header_of(damaged.readable(segment.path)) == segment.header
            or (
                meta
                and _is_named(meta.newest[lane], segment)
                and (segment is store.lanes[lane][-1] or _begins(damaged, segment))
            )
        ]
        acknowledged, durable = segments[0].first_seq - 1 if segments else 0, 0
        if meta:
            acknowledged, durable = meta.acknowledged[lane], meta.durable[lane]
        intact = {}
        for segment, following in zip(segments, [*segments[1:], None], strict=False):
            data = damaged.readable(segment.path)
            for found in segment.records:
                if found.is_intact(data) and not (following and found.seq >= following.first_seq):
                    intact[found.seq] = found
        return cls(
            frozenset(intact), acknowledged, _proven(segments, intact, acknowledged, durable)
        )


def _is_named(newest: Newest | None, segment: Laid) -> bool:
    return newest is not None and (newest.number, newest.salt) == (segment.number, segment.salt)


def _begins(damaged: Damaged, segment: Laid) -> bool:
    """Its first record is there: so it had no later life."""
    return bool(segment.records) and segment.records[0].is_intact(damaged.readable(segment.path))


def _proven(
    segments: list[Laid], intact: dict[int, Placed], acknowledged: int, durable: int
) -> int:
    """The last seq that is there or known to have been, without a hole that nobody vouches for."""
    newest = segments[-1].first_seq if segments else 0
    vouched = [r.synced for r in intact.values() if r.synced is not None and r.seq >= newest]
    proven = max([acknowledged, durable, newest - 1, *vouched])
    while proven + 1 in intact:
        proven += 1
    return proven


# --- ways to damage ------------------------------------------------------------------------------


def flip_a_bit(damaged: Damaged, rng: random.Random) -> None:
    path, data = _any(damaged, rng)
    at = rng.randrange(len(data) * 8)
    data[at // 8] ^= 1 << at % 8
    _put(damaged, path, data, f"bit {at}")


def lose_a_sector(damaged: Damaged, rng: random.Random) -> None:
    path, data = _any(damaged, rng)
    at = rng.randrange(len(data) // SECTOR) * SECTOR
    data[at : at + SECTOR] = rng.choice([bytes(SECTOR), b"\xff" * SECTOR, rng.randbytes(SECTOR)])
    _put(damaged, path, data, f"sector at {at}")


def read_errors(damaged: Damaged, rng: random.Random) -> None:
    path, data = _any(damaged, rng)
    sector = rng.randrange(len(data) // SECTOR)
    damaged.bad.setdefault(path, set()).add(sector)
    damaged.done.append(f"{path.parent.name}/{path.name}: sector {sector} unreadable")


def lose_a_header(damaged: Damaged, rng: random.Random) -> None:
    path, data = _segment(damaged, rng)
    at = rng.choice([0, len(data) - BLOCK])
    data[at : at + BLOCK] = rng.choice([bytes(BLOCK), rng.randbytes(BLOCK)])
    _put(damaged, path, data, f"header at {at}")


def lose_both_headers(damaged: Damaged, rng: random.Random) -> None:
    path, data = _segment(damaged, rng)
    for at in (0, len(data) - BLOCK):
        data[at : at + BLOCK] = rng.choice([bytes(BLOCK), rng.randbytes(BLOCK)])
    _put(damaged, path, data, "both headers")


def lose_a_file(damaged: Damaged, rng: random.Random) -> None:
    path, _ = _any(damaged, rng)
    del damaged.image[path]
    damaged.done.append(f"{path.parent.name}/{path.name}: gone")


def cut_a_file(damaged: Damaged, rng: random.Random) -> None:
    path, data = _any(damaged, rng)
    length = rng.choice([0, rng.randrange(len(data)), rng.randrange(len(data)) // BLOCK * BLOCK])
    _put(damaged, path, data[:length], f"cut to {length}")


WAYS = (
    flip_a_bit,
    lose_a_sector,
    read_errors,
    lose_a_header,
    lose_both_headers,
    lose_a_file,
    cut_a_file,
)


def _any(damaged: Damaged, rng: random.Random) -> tuple[Path, bytearray]:
    """A file that is neither empty nor gone; used segments and `meta` rather than blank ones."""
    paths = sorted(path for path, data in damaged.image.items() if len(data) >= SECTOR)
    used = [path for path in paths if any(damaged.image[path])]
    path = rng.choice(used if used and rng.random() < 0.9 else paths)
    return path, bytearray(damaged.image[path])


def _segment(damaged: Damaged, rng: random.Random) -> tuple[Path, bytearray]:
    paths = sorted(
        p for p, data in damaged.image.items() if p.suffix == ".seg" and len(data) > BLOCK
    )
    used = [path for path in paths if any(damaged.image[path])]
    path = rng.choice(used or paths)
    return path, bytearray(damaged.image[path])


def _put(damaged: Damaged, path: Path, data: bytearray, what: str) -> None:
    damaged.image[path] = bytes(data)
    damaged.done.append(f"{path.parent.name}/{path.name}: {what}")
