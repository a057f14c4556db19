"""A budget of bytes a day: readings wait when it is spent, calls never do, and it is never silent."""

import pytest
from brokers import until
from test_forwarder_rules import Rig

from gateway.errors import JournalSaturated
from gateway.forwarding import allowance as allowance_module
from gateway.forwarding import forwarder as forwarder_module
from gateway.forwarding.allowance import DAY_MS, Allowance
from gateway.forwarding.forwarder import Forwarder
from gateway.model import Lane, Stamp, TimeQuality
from gateway.settings import UplinkSettings
from gateway.timekeeper import Timekeeper
from gateway.uplink import Traffic

U, R = Lane.URGENT, Lane.ROUTINE
LIMIT = 100_000
NOON_MS = 1_795_608_000_000  # some noon of 2026


class HandClock:
    def __init__(self, *, known=True) -> None:
        self.uptime_ms = 1000
        self.known = known

    def stamp(self, uptime_ms=None) -> Stamp:
        at = self.uptime_ms if uptime_ms is None else uptime_ms
        quality = TimeQuality.SYNCHRONISED if self.known else TimeQuality.UNKNOWN
        return Stamp(b"bootboot", at, NOON_MS + at, quality)


class Bench:
    def __init__(self, path, *, limit=LIMIT, sign_of_life_s=3600.0, known=True) -> None:
        self.clock = HandClock(known=known)
        self.told = []
        self.path = path
        self.allowance = Allowance(
            limit, sign_of_life_s, Timekeeper(self.clock), path, self.told.append
        )

    async def spend(self, sent, received=0):
        await self.allowance.spent(Traffic(7, 9), Traffic(7 + sent, 9 + received))

    @property
    def faults(self):
        return [seen.detail["active"] for seen in self.told]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "traffic.json")


async def test_what_goes_and_what_comes_count_until_the_limit(bench):
    await bench.spend(LIMIT - 10, 9)
    assert bench.allowance.admits()
    assert not bench.allowance.exhausted
    await bench.spend(0, 1)
    assert bench.allowance.spent_bytes == LIMIT
    assert bench.allowance.exhausted
    assert bench.faults == [True]
    assert bench.told[0].detail == {"fault": "daily_limit", "active": True, "limit_bytes": LIMIT}
    await bench.spend(500)
    assert bench.faults == [True]  # told once


async def test_one_small_batch_goes_as_a_sign_of_life(bench):
    await bench.spend(LIMIT)
    assert bench.allowance.admits()  # none went for an hour
    bench.allowance.went()
    assert not bench.allowance.admits()


async def test_the_next_day_is_another_budget(bench):
    await bench.spend(LIMIT)
    bench.allowance.went()
    bench.clock.uptime_ms += DAY_MS
    await bench.spend(3)
    assert bench.allowance.spent_bytes == 3
    assert bench.allowance.admits()
    assert bench.faults == [True, False]


async def test_a_day_of_unknown_date_lasts_a_day(tmp_path):
    bench = Bench(tmp_path / "traffic.json", known=False)
    await bench.spend(LIMIT)
    bench.clock.uptime_ms += DAY_MS - 1
    await bench.spend(1)
    assert bench.allowance.exhausted
    bench.clock.uptime_ms += 2
    await bench.spend(5)
    assert bench.allowance.spent_bytes == 5
    bench.clock.known = True  # it was this date all along
    await bench.spend(5)
    assert bench.allowance.spent_bytes == 10


async def test_no_limit_counts_and_holds_nothing(tmp_path):
    bench = Bench(tmp_path / "traffic.json", limit=0)
    await bench.spend(10**12)
    assert bench.allowance.admits()
    assert not bench.allowance.exhausted
    await bench.allowance.save()
    assert not bench.path.exists()
    assert not bench.told


async def test_a_restart_keeps_the_count(bench, monkeypatch):
    await bench.spend(LIMIT)
    assert not bench.path.exists()  # not at every look: flash wears
    monkeypatch.setattr(allowance_module, "SAVE_EVERY_S", 0.0)
    await bench.spend(1)
    again = Bench(bench.path)
    assert again.allowance.spent_bytes == LIMIT + 1
    assert again.allowance.exhausted


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"spent_bytes":"x"}', b"[" * 2000])
async def test_a_file_that_cannot_be_believed_is_counted_from_nothing(tmp_path, content):
    path = tmp_path / "traffic.json"
    path.write_bytes(content)
    assert Bench(path).allowance.spent_bytes == 0


async def test_a_full_journal_does_not_stop_the_counting(tmp_path):
    bench = Bench(tmp_path / "traffic.json")

    def refuse(seen):
        raise JournalSaturated("full")

    bench.allowance._tell = refuse
    await bench.spend(LIMIT)
    assert bench.allowance.exhausted


class LimitedRig(Rig):
    def __init__(self, path, *, sign_of_life_s) -> None:
        super().__init__(ack_timeout=60.0)
        self.bench = Bench(path, sign_of_life_s=sign_of_life_s)
        settings = UplinkSettings(url="mqtt://127.0.0.1", max_batch="16 KiB", ack_timeout=60.0)
        self.forwarder = Forwarder(
            "gw-1", settings, (self.backlog,), self.uplink, allowance=self.bench.allowance
        )


async def test_readings_wait_and_calls_go(tmp_path, monkeypatch):
    monkeypatch.setattr(forwarder_module, "COUNT_TRAFFIC_EVERY_S", 0.01)
    rig = LimitedRig(tmp_path / "traffic.json", sign_of_life_s=3600.0)
    rig.bench.allowance.went()
    async with rig.running():
        await rig.uplink.until(lambda: rig.uplink.sessions)
        rig.uplink.sessions[0].traffic = Traffic(LIMIT, 0)
        await until(lambda: rig.bench.allowance.exhausted)
        rig.append(R, 50)
        for n in range(1, 4):
            rig.append(U, 1)
            await rig.sent(U, n)
            rig.uplink.acknowledge_all()
        assert rig.uplink.ranges(R) == []
        rig.bench.clock.uptime_ms += DAY_MS
        await rig.sent(R, 50)
        counters = rig.forwarder.counters
        assert counters["wire_bytes_sent"] == LIMIT
    assert rig.bench.faults == [True, False]


async def test_a_home_out_of_budget_is_still_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(forwarder_module, "COUNT_TRAFFIC_EVERY_S", 0.01)
    rig = LimitedRig(tmp_path / "traffic.json", sign_of_life_s=0.2)
    await rig.bench.spend(LIMIT)
    async with rig.running():
        rig.append(R, 500)
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) >= 2)
    sizes = [len(data) for name, data in rig.uplink.published if name.endswith("/up/routine")]
    assert max(sizes) < 1500
    assert rig.uplink.ranges(R)[-1][1] < 500
