"""From the line in the store to an output: order, failures, giving up, ends; nothing is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import pytest
from brokers import event_of, until
from store_kit import U, ask, events

from collector.outputs import patience, teller
from collector.outputs.port import TOLD, Outcome, Verdict
from collector.outputs.teller import Teller
from collector.storage import hands, lapses, line
from collector.store import open_store
from gateway.errors import StoreError
from gateway.model import Kind

REFUSED = Verdict(Outcome.REFUSED, "not this")
FAILED = Verdict(Outcome.FAILED, "not now")
JOURNALS = {name: name.encode() * 16 for name in "abc"}


class Scripted:
    """An output that asks the test what to answer."""

    name = "webhook"

    def __init__(self, answer=lambda alarm: TOLD, *, width=8, in_order=False):
        self.answer, self.width, self.in_order = answer, width, in_order
        self.tried, self.told, self.closed = [], [], False

    async def tell(self, alarm):
        name = f"{alarm.gateway}{alarm.id.rpartition('/')[2]}"
        self.tried.append(name)
        verdict = self.answer(name)
        if not isinstance(verdict, Verdict):
            verdict = await verdict
        if verdict == TOLD:
            self.told.append(name)
        return verdict

    async def close(self):
        self.closed = True

    def __str__(self):
        return f"tried {self.tried[-50:]}, told {self.told}"


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(patience, "AWAY_FIRST_S", 0.1)
    monkeypatch.setattr(patience, "AWAY_CAP_S", 0.3)
    monkeypatch.setattr(patience, "HOLD_S", 0.8)
    monkeypatch.setattr(patience, "ALONE_FIRST_S", 0.2)
    monkeypatch.setattr(patience, "ALONE_CAP_S", 0.4)
    monkeypatch.setattr(teller, "LEAST_PAUSE_S", 0.01)
    monkeypatch.setattr(teller, "POLL_S", 0.05)


@pytest.fixture
def store(store_url):
    store = open_store(store_url, outputs=("webhook",))
    yield store
    store.close()


def call(store, gateway, first, last=None):
    told = [event_of(seq, Kind.CALL) for seq in range(first, (last or first) + 1)]
    batch = events(*told, first=first, lane=U, gateway=gateway, journal=JOURNALS[gateway])
    store.commit([batch], [])


@contextlib.asynccontextmanager
async def telling(store, output):
    task = asyncio.create_task((it := Teller(store, output)).run())
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)
        if not task.cancelled():
            task.result()
    assert output.closed


def in_line(store):
    return store.waiting()[0].count


def names(gateway, first, last):
    return [f"{gateway}{n}" for n in range(first, last + 1)]


async def test_what_waits_and_what_comes_is_told_in_order(store):
    call(store, "a", 1, 20)
    output = Scripted()
    async with telling(store, output) as it:
        await until(lambda: len(output.told) == 20)
        call(store, "a", 21)
        it.ring()
        await until(lambda: in_line(store) == 0)
        assert it.counts == (21, 0, 0, 0)
    assert output.told == names("a", 1, 21)


async def test_a_ring_is_heard_at_once(store, monkeypatch):
    monkeypatch.setattr(teller, "POLL_S", 1000.0)
    output = Scripted()
    async with telling(store, output) as it:
        await asyncio.sleep(0.1)
        call(store, "a", 1)
        it.ring()
        await until(lambda: output.told == ["a1"])


async def test_a_long_line_is_told_without_a_pause(store, monkeypatch):
    monkeypatch.setattr(teller, "POLL_S", 1000.0)
    for n in range(1, 61):
        call(store, "abc"[n % 3], n)
    output = Scripted(width=4)
    async with telling(store, output):
        await until(lambda: in_line(store) == 0, output, timeout_s=30)


@pytest.fixture
def lapses_soon(monkeypatch):
    monkeypatch.setattr(hands, "BEAT_S", 0.05)
    monkeypatch.setattr(lapses, "LOOK_S", 0.05)


async def test_one_whose_claim_runs_out_while_it_is_told_is_told_once(
    store, lapses_soon, monkeypatch
):
    """A reader that stops reading for a while."""
    monkeypatch.setattr(hands, "CLAIM_S", 0.1)
    gate = asyncio.Event()

    async def wait():
        await gate.wait()
        return TOLD

    output = Scripted(lambda name: wait(), width=16, in_order=True)
    call(store, "a", 1, 3)
    async with telling(store, output):
        await asyncio.sleep(0.5)
        gate.set()
        await until(lambda: in_line(store) == 0)
    assert output.told == ["a1", "a2", "a3"]


async def test_an_output_in_order_mixes_gateways_as_they_came(store):
    for n in range(1, 6):
        call(store, "a", n)
        call(store, "b", n)
    output = Scripted(width=16, in_order=True)
    async with telling(store, output):
        await until(lambda: in_line(store) == 0)
    assert output.told == [f"{gateway}{n}" for n in range(1, 6) for gateway in "ab"]


async def test_one_that_hangs_holds_up_its_gateway_alone(store):
    gate = asyncio.Event()

    async def hang():
        await gate.wait()
        return TOLD

    output = Scripted(lambda name: hang() if name == "a1" else TOLD)
    call(store, "a", 1, 2)
    async with telling(store, output) as it:
        await until(lambda: output.tried == ["a1"])
        for n in range(1, 15):
            call(store, "b", n)
            it.ring()
            await until(lambda n=n: f"b{n}" in output.told)
        assert "a2" not in output.tried
        gate.set()
        await until(lambda: in_line(store) == 0)
    assert output.told.index("a1") < output.told.index("a2")


async def test_after_a_short_outage_all_comes_in_its_order(store, monkeypatch):
    """Also what was stored during it, however many tries there were."""
    monkeypatch.setattr(patience, "HOLD_S", 60.0)
    away = True
    output = Scripted(lambda name: FAILED if away else TOLD)
    call(store, "a", 1, 10)
    async with telling(store, output) as it:
        for n in range(1, 6):
            await until(lambda n=n: len(output.tried) >= 2 * n, timeout_s=30)
            call(store, "b", n)
            it.ring()
        away = False
        await until(lambda: in_line(store) == 0)
        assert it.counts.told == 15
        assert it.counts.failed > 0
    for gateway, count in (("a", 10), ("b", 5)):
        assert [it for it in output.told if it[0] == gateway] == names(gateway, 1, count)


async def test_an_outage_is_not_hammered(store, monkeypatch):
    monkeypatch.setattr(patience, "AWAY_FIRST_S", 0.2)
    monkeypatch.setattr(patience, "AWAY_CAP_S", 0.2)
    output = Scripted(lambda name: FAILED)
    for n in range(1, 101):
        call(store, "a", n)
    async with telling(store, output):
        await asyncio.sleep(1.0)
    assert 1 <= len(output.tried) <= 1.0 / 0.1 + 2


@pytest.mark.parametrize("verdict", [REFUSED, FAILED])
async def test_one_that_is_never_taken_is_overtaken(store, verdict):
    output = Scripted(lambda name: verdict if name == "a1" else TOLD)
    call(store, "a", 1, 3)
    call(store, "b", 1, 2)
    async with telling(store, output) as it:
        await until(lambda: {"a2", "a3", "b1", "b2"} <= set(output.told))
        call(store, "b", 3)
        it.ring()
        await until(lambda: "b3" in output.told)
        await until(lambda: in_line(store) == 1)
    assert output.tried.index("a2") > 1  # not at once: it may be a moment's trouble
    assert output.told.index("a2") < output.told.index("a3")


async def test_a_home_alone_is_not_kept_from_calling_by_one_that_is_never_taken(store):
    output = Scripted(lambda name: FAILED if name == "a1" else TOLD)
    call(store, "a", 1, 2)
    async with telling(store, output) as it:
        await until(lambda: output.told == ["a2"])
        call(store, "a", 3)
        it.ring()
        await until(lambda: output.told == ["a2", "a3"])


async def test_what_is_refused_for_a_day_is_given_up_with_its_reason(
    store, store_url, monkeypatch, caplog
):
    monkeypatch.setattr(patience, "GIVE_UP_AFTER_S", 0.5)
    output = Scripted(lambda name: REFUSED if name == "a1" else TOLD)
    call(store, "a", 1, 2)
    async with telling(store, output) as it:
        await until(lambda: in_line(store) == 0)
        assert it.counts.given_up == 1
    tries = output.tried.count("a1") - 1
    assert tries in {2, 3, 4}  # after 0.1-0.2, 0.2-0.4, 0.2-0.4 s
    rows = ask(store_url, "SELECT output, seq, tries, reason FROM undelivered")
    assert rows == [("webhook", 1, tries, "not this")]
    (gave_up,) = [it for it in caplog.records if it.levelno == logging.ERROR]
    assert "gave up a call" in gave_up.getMessage()


async def test_a_far_end_that_asks_for_a_pause_gets_one_that_is_bounded(store, monkeypatch):
    monkeypatch.setattr(patience, "MAX_PAUSE_S", 0.5)
    times = []

    def answer(name):
        times.append(time.monotonic())
        return Verdict(Outcome.FAILED, "429", 3600.0) if len(times) == 1 else TOLD

    output = Scripted(answer)
    call(store, "a", 1)
    async with telling(store, output) as it:
        await until(lambda: times)
        await until(lambda: it.counts.failed == 1)
        call(store, "b", 1)
        it.ring()
        await until(lambda: in_line(store) == 0)
    assert 0.4 < times[1] - times[0] < 60


async def test_where_nobody_can_be_told_any_more_all_stays_in_line(store, caplog):
    output = Scripted(lambda name: Verdict(Outcome.ENDED, "gone"), width=16, in_order=True)
    call(store, "a", 1, 3)
    await asyncio.wait_for(Teller(store, output).run(), 5)
    assert output.tried == ["a1"]
    assert [due.seq for due in store.due("webhook", 10)] == [1, 2, 3]
    assert "gone" in caplog.text


async def test_who_is_stopped_gives_back_what_it_had_taken(store):
    async def hang():
        await asyncio.Event().wait()

    output = Scripted(lambda name: hang())
    call(store, "a", 1, 2)
    call(store, "b", 1)
    async with telling(store, output):
        await until(lambda: len(output.tried) == 2)
        assert store.due("webhook", 10) == []
    assert len(store.due("webhook", 10)) == 3


async def test_restarts_do_not_begin_the_day_anew(store, monkeypatch):
    """Each teller tries once and is stopped."""
    monkeypatch.setattr(patience, "GIVE_UP_AFTER_S", 0.5)
    call(store, "a", 1)
    restarts = 0
    while True:
        output = Scripted(lambda name: REFUSED)
        async with telling(store, output) as it:
            await until(lambda it=it: it.counts.failed)
            await until(lambda it=it: it.counts.given_up or not it._mine)
            if it.counts.given_up:
                break
        restarts += 1
        assert restarts < 10
    assert 2 <= restarts <= 5  # 0.1-0.2 s a try
    assert in_line(store) == 0


async def test_what_somebody_who_was_killed_had_taken_is_told_later(store, store_url, lapses_soon):
    call(store, "a", 1)
    dead = open_store(store_url)
    assert len(dead.due("webhook", 10)) == 1
    dead.close()
    output = Scripted()
    async with telling(store, output):
        await until(lambda: in_line(store) == 0)
    assert output.told == ["a1"]


async def test_a_store_that_refuses_is_asked_again_and_nothing_is_lost(
    store, lapses_soon, monkeypatch, caplog
):
    failing = {"due": 2, "told": 3, "put_off": 1}

    def unwell(name, done):
        def refuse(*values):
            if failing[name]:
                failing[name] -= 1
                raise StoreError("disk full", where="here")
            return done(*values)

        monkeypatch.setattr(line, name, refuse)

    for name in failing:
        unwell(name, getattr(line, name))
    answers = iter([FAILED])
    output = Scripted(lambda name: next(answers, TOLD))
    call(store, "a", 1, 3)
    async with telling(store, output) as it:
        await until(lambda: in_line(store) == 0)
        assert it.counts.store_errors == 6
    assert set(output.told) == {"a1", "a2", "a3"}
    assert "disk full" in caplog.text


async def test_two_collectors_share_a_line(store, store_url):
    other = open_store(store_url, outputs=("webhook",))
    try:
        first, second = Scripted(width=2), Scripted(width=2)
        for n in range(1, 41):
            call(store, "a", n)
        async with telling(store, first), telling(other, second):
            await until(lambda: in_line(store) == 0, timeout_s=20)
    finally:
        other.close()
    assert sorted(first.told + second.told) == sorted(names("a", 1, 40))


async def test_trouble_is_logged_once_and_its_end_too(store, caplog):
    caplog.set_level(logging.INFO)
    answers = iter([FAILED] * 5)
    output = Scripted(lambda name: next(answers, TOLD))
    call(store, "a", 1)
    async with telling(store, output):
        await until(lambda: in_line(store) == 0)
    messages = [it.getMessage() for it in caplog.records if it.name == "hearth.outputs"]
    assert messages == ["output webhook: not now", "output webhook: works again"]
