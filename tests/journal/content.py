"""What a journal gives back, and whether that is what it owes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError, JournalWriteFailed
from gateway.journal import Journal
from gateway.model import Gap, Lane

TRIES = 3
POWER_CUT = frozenset({"quota"})  # the reasons for a gap where no medium is damaged


def flush(journal: Journal) -> None:
    """Commit what waits; damage may sit just where it should go, and again where it goes then."""
    for _ in range(TRIES):
        try:
            return journal.flush()
        except JournalWriteFailed as error:
            refused = error
    raise refused


class Content:
    """What a lane gives back: payloads by seq, and the gaps it tells of."""

    def __init__(self, journal: Journal, lane: Lane) -> None:
        self.payloads: dict[int, bytes] = {}
        self.told: dict[int, Gap] = {}  # gaps by the seq of the event that tells of them
        self.acknowledged = journal.acknowledged(lane)
        after = 0
        while True:
            while run := journal.read(lane, after, 4096):
                for seq, payload in enumerate(run.payloads, run.first):
                    assert seq > after, f"seq {seq} behind {after}"
                    after = seq
                    self._take(seq, payload)
            flush(journal)  # reading may have found a loss and told of it
            if journal.read(lane, after, 1) is None:
                break
        self.durable = journal.durable(lane)

    def _take(self, seq: int, payload: bytes) -> None:
        try:
            self.told[seq] = gap_of(decode_event(payload))
        except DecodeError:
            self.payloads[seq] = payload

    @property
    def gaps(self) -> list[Gap]:
        """The gaps told of, in the order of their telling."""
        return list(self.told.values())

    @property
    def lost(self) -> set[int]:
        """Every seq that a gap names."""
        return {seq for gap in self.gaps for seq in range(gap.first, gap.last + 1)}


@dataclass
class Promise:
    """What a lane owes: I1 to I4 of one lane."""

    confirmed: dict[int, bytes] = field(default_factory=dict)
    accepted: list[bytes] = field(default_factory=list)  # in the order of acceptance, all different
    acknowledged: int = 0

    def check(self, got: Content, reasons: frozenset[str] = POWER_CUT) -> None:
        """Nothing promised is missing, nothing is changed or invented, and the books balance."""
        lost = got.lost
        for seq, payload in self.confirmed.items():
            if seq in got.payloads:
                assert got.payloads[seq] == payload, f"seq {seq} changed"
            else:
                assert seq <= self.acknowledged or seq in lost, f"seq {seq} is lost, and not told"
        twice = sorted(lost & got.payloads.keys())
        assert not twice or "damage" in reasons, f"a gap covers what is there: {twice}"
        wrong = [gap for gap in got.gaps if gap.reason not in reasons]
        assert not wrong, f"a loss that is none: {wrong}"
        self._check_order(got)
        self._check_books(got, lost)

    def _check_order(self, got: Content) -> None:
        """What is there was accepted, in this order, and once."""
        places = {payload: place for place, payload in enumerate(self.accepted)}
        found = []
        for seq in sorted(got.payloads):
            assert got.payloads[seq] in places, f"seq {seq} is invented: {got.payloads[seq][:40]!r}"
            found.append(places[got.payloads[seq]])
        assert found == sorted(set(found)), f"out of order or twice: {found}"
        for seq, gap in got.told.items():
            assert gap.first <= gap.last < seq, f"seq {seq} tells of what is not yet: {gap}"

    def _check_books(self, got: Content, lost: set[int]) -> None:
        """Every seq that is not acknowledged is there or told of; the cursor passed nothing else."""
        there = got.payloads.keys() | got.told.keys() | lost
        missing = set(range(got.acknowledged + 1, got.durable + 1)) - there
        assert not missing, f"neither there nor told of: {sorted(missing)}"
        passed = set(range(self.acknowledged + 1, got.acknowledged + 1)) & self.confirmed.keys()
        assert passed <= lost, f"the cursor passed what nobody has: {sorted(passed - lost)}"
