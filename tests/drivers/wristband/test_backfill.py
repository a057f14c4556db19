"""What a band stored: told once, whatever happens in between, and deleted there only afterwards."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub_context import StubContext, StubReceipt

from drivers.wristband import backfill as backfill_module
from drivers.wristband.backfill import LIVE, MET, Backfill
from drivers.wristband.command import Command
from drivers.wristband.family import Family
from drivers.wristband.history import History, Step, Stored
from drivers.wristband.teller import Teller
from drivers.wristband.wearer import Wearer
from drivers.wristband.wire.reading import Reading
from gateway.clock import uptime_now_ms
from gateway.errors import DecodeError, JournalWriteFailed
from gateway.model import Kind, Measurement

NOW = datetime(2026, 11, 25, 18, 0).astimezone()  # local, as a band's clock is
ASK, ASK_ON, FORGET = (Command("write", word) for word in (b"ask", b"ask on", b"forget"))


def ago(**age):
    """A time by the band's clock."""
    return (NOW - timedelta(**age)).replace(tzinfo=None)


class PlayedHistory(History):
    """Each notification is a time, `end`, or nonsense."""

    name = "heart_rate"
    patient = False

    def begin(self):
        return (ASK,)

    def take(self, uuid, data):
        if uuid != "history":
            return None
        if data == b"end":
            return Step(done=True)
        try:
            at = datetime.fromisoformat(data.decode())
        except ValueError as error:
            raise DecodeError("nonsense") from error
        return Step((Stored(at, Reading((Measurement("heart_rate", 60, "beat/min"),))),))

    def silent(self):
        if self.patient:
            self.patient = False
            return Step(write=(ASK_ON,))
        return None

    def forget(self):
        return (FORGET,)


class PlayedFamily(Family):
    name = "played"
    steady = frozenset({"live"})
    stores = ("heart_rate",)

    @classmethod
    def recognises(cls, offers, name):
        return False

    @property
    def told_by(self):
        return ("live", "history")

    def histories(self, now, since):
        return [PlayedHistory()]

    def decode(self, uuid, data):
        return Reading()


class Band:
    """What is stored on it, and how it answers."""

    def __init__(self, context):
        self.values = []
        self.nonsense = False
        self.dumb = False
        self.written = []
        self.backfill = Backfill(context, PlayedFamily(), Teller(context, Wearer()), self.write)

    async def write(self, commands):
        for command in commands:
            self.written.append(command)
            if command == ASK and not self.dumb:
                answers = [at.isoformat().encode() for at in self.values]
                for answer in [*answers, b"rubbish" if self.nonsense else b"end"]:
                    assert self.backfill.take("history", answer)
            elif command == ASK_ON:
                assert self.backfill.take("history", b"end")
            elif command == FORGET:
                self.values.clear()


@pytest.fixture
async def context():
    return StubContext("band-1")


@pytest.fixture
async def band(context):
    """One that hearth met nine days ago."""
    context.notes.values[MET] = ago(days=40).isoformat()
    return Band(context)


@pytest.fixture(scope="module", autouse=True)
def one_moment():
    """No time passes between what is told and how old it is then."""
    moment_ms = uptime_now_ms()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backfill_module, "uptime_now_ms", lambda: moment_ms)
        yield


def told(context):
    """The ages (s) of the stored values that were told, in their order."""
    now_ms = backfill_module.uptime_now_ms()
    return [
        round((now_ms - seen.uptime_ms) / 1000)
        for seen in context.of(Kind.MEASUREMENT)
        if seen.detail.get("stored")
    ]


def faults(context):
    return [seen.detail for seen in context.of(Kind.FAULT)]


async def test_a_band_that_is_met_for_the_first_time_has_no_past(context):
    band = Band(context)
    band.values = [ago(hours=1)]
    await band.backfill.run(NOW)
    assert not band.written
    await band.backfill.run(NOW)
    assert band.written == [ASK, FORGET]
    assert told(context) == []


async def test_stored_values_are_told_with_the_time_they_were_measured(band, context):
    band.values = [ago(hours=1), ago(days=7), ago(minutes=5)]
    await band.backfill.run(NOW)
    assert told(context) == [7 * 86400, 3600, 300]
    assert context.values("heart_rate") == [60, 60, 60]
    assert band.backfill.caught_up
    assert not faults(context)


async def test_nothing_is_told_twice_though_the_band_keeps_it(band, context):
    kept = band.values = [ago(hours=2), ago(hours=1)]
    await band.backfill.run(NOW)
    again = Band(context)
    again.values = [*kept, ago(hours=2), ago(hours=1), ago(minutes=1)]
    await again.backfill.run(NOW)
    assert told(context) == [7200, 3600, 60]


async def test_it_is_deleted_on_the_band_only_when_it_is_on_flash_here(band, context, monkeypatch):
    receipts = []

    def emit(observation):
        receipts.append(StubReceipt())
        return receipts[-1]

    monkeypatch.setattr(context, "emit", emit)
    band.values = [ago(hours=2), ago(hours=1)]
    task = asyncio.ensure_future(band.backfill.run(NOW))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(receipts) == 2
    receipts[0].set_result(1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert FORGET not in band.written
    receipts[1].set_result(2)
    await task
    assert band.written == [ASK, FORGET]


async def test_what_the_flash_refuses_stays_on_the_band(band, context, monkeypatch):
    def emit(observation):
        receipt = StubReceipt()
        receipt.set_exception(JournalWriteFailed("refused"))
        return receipt

    band.values = [ago(hours=1)]
    with monkeypatch.context() as patch:
        patch.setattr(context, "emit", emit)
        with pytest.raises(JournalWriteFailed):
            await band.backfill.run(NOW)
    assert FORGET not in band.written
    assert not band.backfill.caught_up
    await band.backfill.run(NOW)
    assert told(context) == [3600]


async def test_what_cannot_be_noted_stays_on_the_band(band, context):
    context.notes.refusal = JournalWriteFailed("refused")
    band.values = [ago(hours=1)]
    with pytest.raises(JournalWriteFailed):
        await band.backfill.run(NOW)
    assert FORGET not in band.written


async def test_times_that_cannot_be_are_no_readings(band, context):
    band.values = [ago(days=-1), ago(days=33), ago(days=9000), ago(hours=1)]
    await band.backfill.run(NOW)
    assert told(context) == [3600]
    (fault,) = faults(context)
    assert fault["fault"] == "clock"
    assert "3 values" in fault["what"]


async def test_a_band_that_does_not_answer_is_not_waited_for_without_end(
    band, context, monkeypatch
):
    monkeypatch.setattr(backfill_module, "ANSWER_S", 0.01)
    band.dumb = True
    await band.backfill.run(NOW)
    assert faults(context)[0]["what"] == "heart_rate: the band does not answer"
    assert not band.backfill.caught_up
    assert not band.backfill.take("history", b"end"), "its late answer is not of a conversation"


async def test_a_band_that_waits_to_be_asked_on_is_asked_on(band, context, monkeypatch):
    monkeypatch.setattr(backfill_module, "ANSWER_S", 0.01)
    monkeypatch.setattr(PlayedHistory, "patient", True)
    band.dumb = True
    await band.backfill.run(NOW)
    assert band.written == [ASK, ASK_ON, FORGET]
    assert band.backfill.caught_up
    assert not faults(context)


async def test_a_band_that_never_ends_takes_no_longer_than_it_may(band, context, monkeypatch):
    monkeypatch.setattr(backfill_module, "LONGEST_S", 0.05)
    monkeypatch.setattr(backfill_module, "ANSWER_S", 0.001)
    monkeypatch.setattr(PlayedHistory, "silent", lambda self: Step())
    band.dumb = True
    await band.backfill.run(NOW)
    assert faults(context)[0]["what"] == "heart_rate: the band does not answer"


async def test_nonsense_ends_the_conversation_and_nothing_of_it_is_believed(band, context):
    band.values, band.nonsense = [ago(hours=1)], True
    await band.backfill.run(NOW)
    assert told(context) == []
    assert faults(context)[0]["what"] == "heart_rate: nonsense"
    assert FORGET not in band.written
    band.nonsense = False
    await band.backfill.run(NOW)
    assert told(context) == [3600]


async def test_a_band_without_end_is_given_up(band, context, monkeypatch):
    monkeypatch.setattr(backfill_module, "MAX_VALUES", 50)
    band.values = [ago(minutes=n) for n in range(100)]
    await band.backfill.run(NOW)
    assert told(context) == []
    assert faults(context)[0]["what"] == "heart_rate: more than 50 values"


async def test_what_was_told_live_is_not_told_again(band, context):
    await band.backfill.run(NOW)
    await band.backfill.live(NOW - timedelta(minutes=30))
    band.values = [ago(hours=1), ago(minutes=10)]
    await band.backfill.run(NOW)
    assert told(context) == [600]


async def test_before_the_past_was_read_the_present_does_not_hide_it(band, context):
    await band.backfill.live(NOW)
    assert context.notes.get(LIVE) is None
    band.values = [ago(hours=1)]
    await band.backfill.run(NOW)
    assert told(context) == [3600]


async def test_a_note_that_somebody_spoiled_is_no_note(band, context):
    context.notes.values[LIVE] = "yesterday"
    band.values = [ago(hours=1)]
    await band.backfill.run(NOW)
    assert told(context) == [3600]


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 10_000), max_size=20),
            st.sampled_from(["well", "nonsense", "refused"]),
        ),
        max_size=6,
    )
)
async def test_each_value_is_told_once_whatever_comes_between(days):
    """Absence after absence; each conversation ends well, in nonsense, or on flash that refuses."""
    context = StubContext("band-1")
    context.notes.values[MET] = ago(days=8).isoformat()
    stored, minute = [], 0
    values = []
    for gaps, end in [*days, (set(), "well")]:
        for gap in sorted(gaps):
            minute += gap % 50 + 1
            stored.append(minute)
            values.append(ago(days=8) + timedelta(minutes=minute))
        band = Band(context)
        band.values = values
        band.nonsense = end == "nonsense"
        context.notes.refusal = JournalWriteFailed("no") if end == "refused" else None
        emit = context.emit
        if end == "refused":
            context.emit = refusing
        try:
            await band.backfill.run(NOW)
        except JournalWriteFailed:
            assert end == "refused"
        context.emit = emit
    assert sorted(told(context)) == sorted(8 * 86400 - minute * 60 for minute in stored)


def refusing(observation):
    receipt = StubReceipt()
    receipt.set_exception(JournalWriteFailed("no"))
    return receipt
