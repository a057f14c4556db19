"""Every way to damage the last 8 KiB that were written, and what must be left of them.

The tail is the record area of a full urgent segment, written by the journal itself. What is expected
is worked out from which records still have all their bytes, without a look at how the journal scans.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from content import Content
from layout import Placed, Store
from rig import PATIENCE_S, Rig, repeatable, settle
from simdisk import SECTOR, Image, SimDisk

from gateway.journal.format import BLOCK, FIRST_HEAD_BYTES, salt_seed
from gateway.journal.recovery import Verdict, decide
from gateway.journal.scan import records, scan
from gateway.model import Lane

TAIL = 8192
SECTORS = TAIL // SECTOR
HELP = b"help, after all that"
FILLS = ("end", "zeros", "ones", "stale")
KINDS = ("zeros", "random", "stale", "unreadable")


class Damage(NamedTuple):
    """`how` is one of FILLS behind byte `at`, "flip" of bit `at`, one of KINDS for sector `at`,
    or "swap" of sectors `at` and `other`.
    """

    what: str
    at: int
    how: str
    other: int = 0


@cache
def table() -> tuple[Damage, ...]:
    """All of them, about 100,000."""
    return tuple(_table())


def _table() -> Iterator[Damage]:
    yield from (Damage("cut", at, fill) for at in range(TAIL) for fill in FILLS)
    yield from (Damage("flip", bit, "") for bit in range(TAIL * 8))
    yield from (Damage("sector", at, kind) for at in range(SECTORS) for kind in KINDS)
    for at in range(SECTORS):
        yield from (Damage("swap", at, "", other) for other in range(at + 1, SECTORS))


@dataclass(frozen=True)
class Tail:
    """A store whose newest urgent segment is full, and was full before in an earlier life."""

    image: Image
    path: Path
    salt: int
    first_seq: int
    records: tuple[Placed, ...]
    stale: bytes

    @property
    def data(self) -> bytes:
        """The segment without its last header, as a scan gets it."""
        return self.image[self.path][: BLOCK + TAIL]

    @property
    def last(self) -> int:
        """Its last seq."""
        return self.records[-1].seq

    def damaged(self, damage: Damage, rng: random.Random) -> bytes:
        """Its bytes with this damage; shorter if they end."""
        data = bytearray(self.data)
        at = BLOCK + damage.at * (SECTOR if damage.what in {"sector", "swap"} else 1)
        match damage:
            case Damage("cut", _, "end"):
                del data[at:]
            case Damage("cut", offset, fill):
                data[at:] = self._fill(fill, len(data) - at, rng, offset)
            case Damage("flip", bit):
                data[BLOCK + bit // 8] ^= 1 << bit % 8
            case Damage("sector", number, "unreadable"):
                at = BLOCK + number * SECTOR // BLOCK * BLOCK  # the page that it is in
                data[at : at + BLOCK] = bytes(BLOCK)
            case Damage("sector", number, kind):
                data[at : at + SECTOR] = self._fill(kind, SECTOR, rng, number * SECTOR)
            case Damage("swap", _, _, other):
                to = BLOCK + other * SECTOR
                data[at : at + SECTOR], data[to : to + SECTOR] = (
                    data[to : to + SECTOR],
                    data[at : at + SECTOR],
                )
        return bytes(data)

    def _fill(self, kind: str, length: int, rng: random.Random, offset: int) -> bytes:
        match kind:
            case "zeros":
                return bytes(length)
            case "ones":
                return b"\xff" * length
            case "random":
                return rng.randbytes(length)
            case _:
                return self.stale[offset : offset + length]


def make_tail(rig: Rig, seed: int) -> Tail:
    """Go once round the urgent segments, then fill the first of them again, to the last byte."""
    rng, disk = random.Random(seed), SimDisk()
    with repeatable(seed):
        journal = rig.open(disk)
        earlier: Image = {}
        while True:
            newest = Store.of(disk.image()).newest(Lane.URGENT)
            if newest and newest.number == 5:
                break
            earlier = disk.image()
            _append(journal, rng, rng.choice([1, 2, 4]))
            journal.acknowledge(Lane.URGENT, journal.durable(Lane.URGENT))
            settle(journal)
        while (room := BLOCK + TAIL - newest.end) > 3 * 400:
            _append(journal, rng, rng.choice([1, 1, 2, 3]))
            newest = Store.of(disk.image()).newest(Lane.URGENT)
        journal.append(Lane.URGENT, rng.randbytes(room - FIRST_HEAD_BYTES)).result(PATIENCE_S)
        settle(journal)
        image = disk.image()
        journal.close()
    newest = Store.of(image).newest(Lane.URGENT)
    stale = earlier[newest.path][BLOCK : BLOCK + TAIL]
    placed = tuple(newest.records)
    return Tail(image, newest.path, newest.salt, newest.first_seq, placed, stale)


def _append(journal, rng: random.Random, count: int) -> None:
    """One group."""
    for _ in range(count):
        journal.append(Lane.URGENT, rng.randbytes(rng.choice([0, 10, 40, 90, 300])))
    settle(journal)


class Expected(NamedTuple):
    """What is kept, what is told as lost, and where it goes on."""

    kept: frozenset[int]
    lost: frozenset[int]
    next_seq: int


def expected(tail: Tail, data: bytes, known: int) -> Expected:
    """What must be left if `meta` knows seqs up to `known` to be durable."""
    intact, vouched = evidence(tail, data)
    return judge(intact, tail.first_seq, max(known, vouched))


def evidence(tail: Tail, data: bytes) -> tuple[set[int], int]:
    """The records that are intact, and the highest seq that these know to be durable."""
    intact = [record for record in tail.records if record.is_intact(data)]
    vouched = [record.synced for record in intact if record.synced is not None]
    return {record.seq for record in intact}, max([tail.first_seq - 1, *vouched])


def judge(intact: set[int], first_seq: int, proven: int) -> Expected:
    """It goes on at the first seq that is neither there nor proven."""
    next_seq = first_seq
    while next_seq in intact or next_seq <= proven:
        next_seq += 1
    kept = frozenset(seq for seq in intact if seq < next_seq)
    return Expected(kept, frozenset(range(first_seq, next_seq)) - kept, next_seq)


def tail_case(tail: Tail, damage: Damage, rng: random.Random) -> None:
    """Scan the damaged bytes and decide, for all that `meta` may know."""
    data, seed = tail.damaged(damage, rng), salt_seed(tail.salt)
    found = scan(data, seed, tail.first_seq)
    originals = {record.seq: record.payload for record in tail.records}
    seqs: list[int] = []
    for span in found.spans:
        for record in records(data, seed, span.first, span.start):
            assert record.payload == originals[record.seq], f"seq {record.seq} changed"
            seqs.append(record.seq)
    assert seqs == sorted(set(seqs)), "out of order or twice"
    if damage.what == "swap":
        return  # either sector may be believed, and what lies between them given up
    intact, vouched = evidence(tail, data)
    for known in {0, tail.first_seq, tail.last, rng.randint(tail.first_seq, tail.last)}:
        wanted = judge(intact, tail.first_seq, max(known, vouched))
        verdict = decide(found, first_seq=tail.first_seq, start=BLOCK, meta_durable=known)
        got = Expected(
            frozenset(seq for seq in seqs if seq < verdict.next_seq),
            frozenset(seq for first, last in verdict.lost for seq in range(first, last + 1)),
            verdict.next_seq,
        )
        _compare(got, wanted)
        if verdict.erase_through:
            _check_leftovers(data, seed, tail.first_seq, verdict)


def _compare(got: Expected, wanted: Expected) -> None:
    """Exactly what is expected."""
    assert got.kept == wanted.kept, f"kept: {sorted(got.kept ^ wanted.kept)}"
    assert got.lost == wanted.lost, f"lost: {sorted(got.lost ^ wanted.lost)}"
    assert got.next_seq == wanted.next_seq, f"goes on at {got.next_seq}, not {wanted.next_seq}"


def _check_leftovers(data: bytes, seed: int, first_seq: int, verdict: Verdict) -> None:
    """Once the leftovers are erased, what is left is the same, and nothing is left over."""
    erased = bytearray(data)
    erased[verdict.end : verdict.erase_through] = bytes(verdict.erase_through - verdict.end)
    found = scan(bytes(erased), seed, first_seq)
    again = decide(found, first_seq=first_seq, start=BLOCK, meta_durable=verdict.next_seq - 1)
    assert (again.end, again.next_seq, again.lost) == (verdict.end, verdict.next_seq, verdict.lost)
    assert not again.erase_through, "leftovers are left"


def tail_opened(rig: Rig, tail: Tail, damage: Damage, rng: random.Random) -> None:
    """The same, with a journal that opens the damaged store."""
    image, data = dict(tail.image), tail.damaged(damage, rng)
    disk = SimDisk(image)
    if damage.how == "unreadable":
        disk.bad[tail.path] = {BLOCK // SECTOR + damage.at}
    else:
        rest = b"" if damage.how == "end" else image[tail.path][BLOCK + TAIL :]
        disk = SimDisk(image | {tail.path: data + rest})
    store = Store.of(image)
    wanted = expected(tail, data, store.durable[Lane.URGENT])
    with rig.opened(disk) as journal:
        seq = journal.append(Lane.URGENT, HELP).result(PATIENCE_S)
        got = Content(journal, Lane.URGENT)
    moved = damage.what == "swap"
    assert moved or seq >= wanted.next_seq, "a seq is given twice"
    assert got.payloads.pop(seq) == HELP, "the call is not what was stored"
    originals = {record.seq: record.payload for record in tail.records}
    for seq, payload in got.payloads.items():
        assert payload == originals[seq], f"seq {seq} changed"
    assert {gap.reason for gap in got.gaps} <= {"damage"}, f"a loss that is none: {got.gaps}"
    if moved:
        return  # see tail_case
    needed = got.acknowledged + 1
    kept, lost = frozenset(got.payloads), frozenset(got.lost)
    _compare(
        Expected(kept, lost, wanted.next_seq),
        Expected(
            frozenset(seq for seq in wanted.kept if seq >= needed),
            frozenset(seq for seq in wanted.lost if seq >= needed),
            wanted.next_seq,
        ),
    )
