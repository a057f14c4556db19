"""A session on a link that is played: who comes first, what is missed, what ends it."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from band_bench import ADDRESS, RefusingContext, SetClock
from stub_context import StubContext, StubReceipt

from drivers.call import TRIES, Caller
from drivers.wristband.rhythm import STEADY
from drivers.wristband.session import INBOX, Session, local_time
from drivers.wristband.settings import WristbandSettings
from drivers.wristband.wearer import Wearer
from drivers.wristband.wire import fff0
from drivers.wristband.wire.frame import encode_frame
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import DeviceSilent, JournalClosed, JournalSaturated, JournalWriteFailed
from gateway.model import Kind, TimeQuality

HEART_RATE, OXIMETER = uuid_of(0x2A37), uuid_of(0x2A5F)
MOMENT = datetime(2026, 11, 25, 18, 42, 7, tzinfo=UTC)
SOS = encode_frame(fff0.SOS)
BATTERY = encode_frame(fff0.BATTERY, b"\x47")


class PlayedLink:
    """A link whose other end is the test."""

    def __init__(self, *offers):
        self.offers = frozenset(offers)
        self.name = ""
        self.told = {}
        self.subscriptions = []
        self.written = []
        self.trouble = None
        self.lost = asyncio.get_running_loop().create_future()

    def can_read(self, uuid):
        return False

    def can_tell(self, uuid):
        return uuid in self.offers

    can_write = can_tell

    async def subscribe(self, uuid, told):
        self.subscriptions.append(uuid)
        self.told[uuid] = told

    async def write(self, uuid, data):
        if self.trouble:
            raise self.trouble
        self.written.append(data)

    async def turn_over(self):
        await asyncio.Event().wait()

    async def wait_lost(self):
        return await asyncio.shield(self.lost)


@pytest.fixture
async def band():
    return PlayedLink(fff0.SERVICE, fff0.WRITE, fff0.NOTIFY)


@asynccontextmanager
async def at_work(link, context, wearer=None, caller=None, **options):
    """A session that has begun, as a task."""
    settings = WristbandSettings(address=ADDRESS, **options)
    wearer = wearer or Wearer()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        caller = caller or Caller(context, tasks, lambda: context.online(**(wearer.identity or {})))
        session = Session(settings, context, link, wearer, caller)
        task = asyncio.ensure_future(session.run(SetClock(MOMENT)))
        await context.wait_until(lambda: context.states or task.done())
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


def kinds(context):
    return [seen.kind for seen in context.observations]


async def test_an_sos_does_not_stand_behind_readings(band, context):
    async with at_work(band, context):
        before = len(context.observations)
        for _ in range(INBOX + 5):
            band.told[fff0.NOTIFY](BATTERY)
        band.told[fff0.NOTIFY](SOS)
        assert kinds(context)[before:] == [Kind.CALL]  # nothing else had its turn yet
        await context.wait_until(lambda: len(context.values("battery")) >= INBOX - 1)
    (call,) = context.of(Kind.CALL)
    assert call.detail == {"cause": "band"}
    assert call.uptime_ms is not None


async def test_an_sos_is_never_what_a_flood_washes_away(band, context):
    async with at_work(band, context):
        band.told[fff0.NOTIFY](SOS)
        for _ in range(3 * INBOX):
            band.told[fff0.NOTIFY](BATTERY)
        await context.wait_until(lambda: context.of(Kind.FAULT))
    assert len(context.of(Kind.CALL)) == 1


async def test_repeats_are_one_call_across_connections(band, context):
    wearer = Wearer()
    for _ in range(2):
        async with at_work(band, context, wearer):
            for _ in range(5):
                band.told[fff0.NOTIFY](SOS)
    assert len(context.of(Kind.CALL)) == 1


async def test_an_sos_before_the_session_is_online_is_a_call(band, context):
    async def subscribe(uuid, told):
        told(SOS)

    band.subscribe = subscribe
    async with at_work(band, context):
        assert kinds(context)[0] is Kind.CALL


class FarContext(StubContext):
    """Calls are on flash at once, and with those who should hear them when the test says so."""

    def __init__(self):
        super().__init__()
        self.receipt = StubReceipt()
        self.receipt.set_result(1)

    def emit(self, observation):
        super().emit(observation)
        return self.receipt


async def vibrated(band):
    """Once the band was told to."""
    async with asyncio.timeout(5):
        while fff0.vibrate(3) not in band.written:
            await asyncio.sleep(0.001)


async def whoever_can_goes_on():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_band_vibrates_when_the_call_is_delivered_and_not_before(band):
    context = FarContext()
    async with at_work(band, context):
        band.told[fff0.NOTIFY](SOS)
        await whoever_can_goes_on()
        assert context.of(Kind.CALL)
        assert fff0.vibrate(3) not in band.written
        context.receipt.far.set_result(None)
        await vibrated(band)


async def test_a_band_that_was_away_vibrates_when_it_is_back(band):
    context, wearer = FarContext(), Wearer()
    async with asyncio.TaskGroup() as tasks:
        caller = Caller(context, tasks, lambda: None)
        async with at_work(band, context, wearer=wearer, caller=caller):
            band.told[fff0.NOTIFY](SOS)
            await whoever_can_goes_on()
        context.receipt.far.set_result(None)
        await whoever_can_goes_on()
        again = PlayedLink(*band.offers)
        async with at_work(again, context, wearer=wearer, caller=caller):
            await vibrated(again)
    assert len(context.of(Kind.CALL)) == 1
    assert fff0.vibrate(3) not in band.written
    assert not wearer.undelivered


async def test_a_call_that_had_to_go_is_not_called_delivered(band):
    context = FarContext()
    async with at_work(band, context):
        band.told[fff0.NOTIFY](SOS)
        context.receipt.far.set_exception(JournalSaturated("no room was left for it"))
        await whoever_can_goes_on()
    assert fff0.vibrate(3) not in band.written


async def test_a_call_that_is_refused_is_offered_again(band):
    context = RefusingContext(JournalSaturated("full"), JournalWriteFailed("no"))
    async with at_work(band, context):
        band.told[fff0.NOTIFY](SOS)
        await context.wait_until(lambda: context.of(Kind.CALL))
        await context.wait_until(lambda: context.states[-1][0] == "online")
    assert [state for state, _ in context.states] == ["online", "offline", "offline", "online"]
    assert context.states[1] == ("offline", "call not stored: full")
    assert context.states[-1] == ("online", {"profile": "fff0"})


async def test_a_call_is_given_up_after_a_while_and_at_once_when_it_is_hopeless(band):
    context = RefusingContext(*(JournalSaturated(f"full {n}") for n in range(TRIES)))
    async with at_work(band, context):
        band.told[fff0.NOTIFY](SOS)
        await context.wait_until(lambda: not context.refusals)
        await asyncio.sleep(0)
    assert context.of(Kind.CALL) == []
    assert [why for _, why in context.states[1:]] == [
        f"call not stored: full {n}" for n in range(TRIES)
    ]
    context = RefusingContext(JournalClosed("closed"))
    async with at_work(band, context):
        band.told[fff0.NOTIFY](SOS)
    assert context.states[1:] == [("offline", "call not stored: closed")]
    assert context.of(Kind.CALL) == []


async def test_a_journal_that_refuses_a_reading_ends_it_after_the_calls(band):
    class FullContext(RefusingContext):
        def emit(self, observation):
            if observation.kind is Kind.MEASUREMENT:
                raise JournalSaturated("full")
            return super().emit(observation)

    context = FullContext(JournalSaturated("full"), JournalSaturated("full"))
    async with at_work(band, context) as task:
        band.told[fff0.NOTIFY](SOS)
        band.told[fff0.NOTIFY](BATTERY)
        with pytest.raises(JournalSaturated):
            await task
        assert len(context.of(Kind.CALL)) == 1


async def test_what_the_family_writes(band, context):
    async with at_work(band, context, poll=0.01):
        async with asyncio.timeout(5):
            while band.written.count(fff0.ask_battery()) < 3:
                await asyncio.sleep(0.001)
    assert band.written[0] == fff0.encode_time(MOMENT.astimezone())
    assert band.written[1] == fff0.start_live()


async def test_a_band_that_only_answers_may_be_silent_between_two_questions(band, context):
    async with at_work(band, context, silence=0.05, poll=0.1) as task:
        assert await task == "silent for 0.15 s"


async def test_a_write_that_fails_in_an_answer_ends_the_session(band, context):
    async with at_work(band, context) as task:
        band.trouble = DeviceSilent("no answer in time")
        band.told[fff0.NOTIFY](SOS)
        with pytest.raises(DeviceSilent):
            await task
    assert len(context.of(Kind.CALL)) == 1


async def test_a_decoder_that_is_broken_is_not_swallowed(band, context, monkeypatch):
    def broken(data):
        raise ZeroDivisionError

    async with at_work(band, context) as task:
        monkeypatch.setattr(fff0, "decode_fff0", broken)
        with pytest.raises(ZeroDivisionError):
            band.told[fff0.NOTIFY](BATTERY)
        with pytest.raises(ZeroDivisionError):
            await task


# --- one that falls silent while others talk ----------------------------------------------------


SILENCE_S = 0.6  # a busy machine does not keep the talk of every 10 ms for so long


@asynccontextmanager
async def two_that_talk(context):
    """A standard band that told its heart rate and its oxygen for a while."""
    link = PlayedLink(HEART_RATE, OXIMETER)
    async with at_work(link, context, silence=SILENCE_S) as task:
        for _ in range(STEADY):
            link.told[HEART_RATE](b"\x00\x48")
            link.told[OXIMETER](b"\x00\x61\x00\x48\x00")

        async def talk(uuid, value, until):
            while not until():
                link.told[uuid](value)
                await asyncio.sleep(0.01)

        yield link, task, talk


async def test_one_that_falls_silent_is_subscribed_again_and_then_given_up(context):
    async with two_that_talk(context) as (link, task, talk):
        await talk(OXIMETER, b"\x00\x61\x00\x48\x00", task.done)
        assert await task == f"2a37 silent for {SILENCE_S:g} s, subscribed again in vain"
        assert link.subscriptions.count(HEART_RATE) == 2
        assert link.subscriptions.count(OXIMETER) == 1


async def test_one_that_talks_again_is_fine(context):
    async with two_that_talk(context) as (link, task, talk):
        subscribed_again = lambda: link.subscriptions.count(HEART_RATE) == 2  # noqa: E731
        await talk(OXIMETER, b"\x00\x61\x00\x48\x00", subscribed_again)
        link.told[HEART_RATE](b"\x00\x49")
        await context.wait_until(lambda: 0x49 in context.values("heart_rate"))
        assert not task.done()
        assert await task == f"silent for {SILENCE_S:g} s"  # both


# --- the clock -----------------------------------------------------------------------------------


def test_local_time_is_only_told_when_it_is_known():
    assert local_time(SetClock(MOMENT)) == MOMENT
    assert local_time(SetClock(MOMENT)).tzinfo is not None
    assert local_time(SetClock(MOMENT, TimeQuality.UNKNOWN)) is None
