"""The journal against a plain list: random actions, the same answers (hypothesis, stateful)."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from content import Content
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from rig import SMALL, FixedClock
from simdisk import SimDisk

from gateway.errors import JournalSaturated
from gateway.journal import Journal
from gateway.model import Lane

lanes = st.sampled_from(list(Lane))


class JournalModel(RuleBasedStateMachine):
    """Two lanes as dicts of seq -> payload, split into what is promised and what may be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.disk = SimDisk()
        self.promised: dict[Lane, dict[int, bytes]] = {lane: {} for lane in Lane}
        self.waiting: dict[Lane, dict[int, bytes]] = {lane: {} for lane in Lane}
        self.acknowledged = dict.fromkeys(Lane, 0)
        self._open()

    def _open(self) -> None:
        with patch("gateway.journal.store.divide", lambda quota: SMALL):
            self.journal = Journal.open(
                self.folder, quota_bytes=0, clock=FixedClock(), commit_interval_s=3600,
                files=self.disk,
            )  # fmt: skip

    @rule(lane=lanes, payload=st.binary(max_size=300), count=st.integers(1, 4))
    def append(self, lane: Lane, payload: bytes, count: int) -> None:
        for _ in range(count):
            try:
                seq = self.journal.append(lane, payload).seq
            except JournalSaturated:
                self.flush()
                seq = self.journal.append(lane, payload).seq
            self.waiting[lane][seq] = payload

    @rule()
    def flush(self) -> None:
        self.journal.flush()
        for lane in Lane:
            self.promised[lane] |= self.waiting[lane]
            self.waiting[lane] = {}

    @rule(lane=lanes, share=st.floats(0, 1))
    def acknowledge(self, lane: Lane, share: float) -> None:
        through = int(self.journal.durable(lane) * share)
        self.journal.acknowledge(lane, through)
        self.acknowledged[lane] = max(self.acknowledged[lane], through)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        for lane in Lane:
            self.promised[lane] |= self.waiting[lane]
            self.waiting[lane] = {}
        self.disk = SimDisk(self.disk.image())
        self._open()

    @rule(seed=st.integers(0, 2**32))
    def power_cut(self, seed: int) -> None:
        calls = len(self.disk.ops)  # before close() commits what waits
        self.journal.close()
        self.disk = SimDisk(self.disk.crash_state(calls, random.Random(seed)))
        for lane in Lane:
            self.waiting[lane] = {}
        self._open()
        self.read_back()

    @rule()
    def read_back(self) -> None:
        self.flush()
        for lane in Lane:
            got = Content(self.journal, lane)
            for seq, payload in self.promised[lane].items():
                if seq <= max(self.acknowledged[lane], got.acknowledged):
                    continue
                assert got.payloads.get(seq) == payload or seq in got.lost, (lane, seq)
            assert all(gap.reason == "quota" for gap in got.gaps)
            # what came back without having been promised was at least appended, and is now durable
            self.promised[lane] |= got.payloads

    @invariant()
    def never_more_than_the_quota(self) -> None:
        for lane in Lane:
            assert self.journal.status()[lane].segments <= SMALL[lane].segments

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder)


JournalModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_journal_against_a_plain_model = JournalModel.TestCase
