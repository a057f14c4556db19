"""More bands than an adapter holds connections, and where each of them is."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from band_bench import ADDRESS, driven, settings, states
from stub_context import StubContext

from drivers.ble import seats
from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.band_colmi import VirtualColmi
from drivers.sim.hci import VirtualAdapter
from drivers.wristband import presence, whereabouts
from gateway.errors import JournalSaturated
from gateway.model import Kind


@pytest.fixture
async def band(air):
    band = VirtualBand(air, ADDRESS)
    await band.power_on()
    return band


# --- turns ---------------------------------------------------------------------------------------


async def test_six_bands_share_two_connections_and_none_is_offline(
    adapter, air, context, monkeypatch
):
    monkeypatch.setattr(seats, "TURN_S", 0.2)
    bands = [VirtualBand(air, f"C0:FF:EE:00:00:{n:02X}") for n in range(6)]
    contexts = [StubContext(band.address) for band in bands]
    async with AsyncExitStack() as stack:
        for band, mine in zip(bands, contexts, strict=True):
            await band.power_on()
            mine.shared_objects = context.shared_objects
            of_band = settings(adapter, band.address, connections=2)
            await stack.enter_async_context(driven(of_band, mine))
        most = 0
        async with asyncio.timeout(30):
            while min(band.connections for band in bands) < 3:
                most = max(most, sum(band.connected for band in bands))
                await asyncio.sleep(0.005)
    assert most <= 2
    turns = [band.connections for band in bands]
    assert max(turns) - min(turns) <= 2
    for mine in contexts:
        assert states(mine)[0] == "online"
        assert "offline" not in states(mine)
        assert set(mine.values("presence")) == {"in range"}


async def test_a_band_that_is_alone_keeps_its_connection(adapter, band, context, monkeypatch):
    monkeypatch.setattr(seats, "TURN_S", 0.02)
    async with driven(settings(adapter, connections=1), context):
        await band.wait_subscribed()
        for rate in range(60, 80):
            await band.beat(rate)
            await asyncio.sleep(0.01)
        await context.wait_until(lambda: 79 in context.values("heart_rate"))
    assert band.connections == 1


async def test_a_turn_that_waits_when_the_radio_goes_is_not_waited_for_for_ever(
    adapter, air, band, context
):
    """The second band stands in the queue while the adapter is pulled and plugged again."""
    other = VirtualBand(air, "C0:FF:EE:00:00:02")
    await other.power_on()
    second = StubContext("band-2")
    second.shared_objects = context.shared_objects
    one = settings(adapter, connections=1)
    async with driven(one, context):
        await band.wait_subscribed()
        async with driven(settings(adapter, other.address, connections=1), second):
            await second.wait_until(lambda: second.values("presence"))
            await adapter.unplug()
            await second.wait_until(lambda: "offline" in states(second))
            await adapter.plug()
            async with asyncio.timeout(20):
                while not (band.connected or other.connected):
                    await asyncio.sleep(0.01)


# --- presence ------------------------------------------------------------------------------------


@pytest.fixture
def quick_absence(monkeypatch):
    monkeypatch.setattr(presence, "FADES_S", 0.3)
    monkeypatch.setattr(presence, "AWAY_S", 0.8)
    monkeypatch.setattr(whereabouts, "LOOK_S", 0.02)


async def test_who_walks_away_fades_and_is_away_and_comes_back(
    adapter, band, context, quick_absence, monkeypatch
):
    monkeypatch.setattr(presence, "AWAY_S", 60.0)  # a busy machine must not pass over "fading"
    async with driven(settings(adapter), context):
        await band.wait_subscribed()
        band.walk_away()
        await context.wait_until(lambda: context.values("presence")[-1] == "fading")
        monkeypatch.setattr(presence, "AWAY_S", 1.2)
        await context.wait_until(lambda: context.values("presence")[-1] == "away")
        band.come_back()
        await context.wait_until(lambda: context.values("presence")[-1] == "in range")
    # Of a busy machine it may have faded before, for a moment.
    assert context.values("presence")[-4:] == ["in range", "fading", "away", "in range"]


async def test_a_drop_is_no_absence(adapter, band, context, quick_absence, monkeypatch):
    monkeypatch.setattr(presence, "FADES_S", 5.0)
    monkeypatch.setattr(presence, "AWAY_S", 9.0)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: "online" in states(context))
        await band.drop()
        await context.wait_until(lambda: states(context).count("online") == 2)
    assert context.values("presence") == ["in range"]


async def test_a_band_that_is_hardly_heard_is_fading(adapter, air, band, context):
    """The first adapter stands where the band is not heard at all; the second one listens."""
    air.set_rssi(ADDRESS, -97)
    async with VirtualAdapter(Air(), adapter.path.with_name("cellar.sock")) as cellar:
        of_band = settings(cellar, connect_timeout=0.5, listen_adapter=f"sim:{adapter.path}")
        async with driven(of_band, context):
            await context.wait_until(lambda: context.values("presence") == ["fading"])
            assert context.values("rssi") == [-97]
            air.set_rssi(ADDRESS, -60)
            await context.wait_until(lambda: context.values("presence") == ["fading", "in range"])


async def test_a_second_adapter_that_is_not_there_is_not_needed(adapter, band, context):
    async with driven(settings(adapter, listen_adapter="sim:/nonexistent"), context):
        await band.wait_subscribed()
        await band.beat(66)
        await context.wait_until(lambda: context.values("heart_rate") == [66])


async def test_presence_that_the_journal_refuses_is_told_later(
    adapter, band, context, quick_absence, monkeypatch
):
    monkeypatch.setattr(presence, "FADES_S", 60.0)
    emit, refused = context.emit, []

    def refusing(observation):
        is_presence = any(m.name == "presence" for m in observation.measurements)
        if observation.kind is Kind.MEASUREMENT and is_presence and len(refused) < 3:
            refused.append(observation)
            raise JournalSaturated("full")
        return emit(observation)

    monkeypatch.setattr(context, "emit", refusing)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("presence"))
    assert context.values("presence") == ["in range"]
    assert len(refused) == 3


async def test_what_is_measured_next_does_not_begin_anew_with_each_connection(
    adapter, air, context
):
    """Turns are shorter than the time between two questions: else oxygen would never be asked."""
    ring = VirtualColmi(air, ADDRESS)
    await ring.power_on()
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("heart_rate"))
        await ring.drop()
        await context.wait_until(lambda: context.values("spo2"))
    assert context.values("heart_rate") == [72]
