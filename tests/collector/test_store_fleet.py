"""How each gateway of a fleet is, as the store knows it."""

import itertools

import pytest
from brokers import BOOT, GATEWAY, event_of
from store_kit import OTHER_JOURNAL, WALL, U, anchor_row, ask, delivery, events, row

from collector.fleet import DEFAULT_QUIET_AFTER_S, GatewayFacts
from collector.storage import words
from collector.store import open_store
from gateway.model import Event, Kind, Measurement, Stamp, TimeQuality

NOW_MS = 1_800_000_000_000


@pytest.fixture
def now(monkeypatch):
    clock = {"ms": NOW_MS}
    monkeypatch.setattr(words.time, "time_ns", lambda: clock["ms"] * 1_000_000)
    return clock


@pytest.fixture
def store(store_url, now):
    store = open_store(store_url)
    yield store
    store.close()


def tells(kind, device="meter-1", quality=TimeQuality.SYNCHRONISED, measured=(), **detail):
    return Event(kind, device, Stamp(BOOT, 1000, WALL, quality), measured, {}, detail)


def fault(name, active, device="meter-1"):
    return tells(Kind.FAULT, device, fault=name, active=active)


def state(word, device="meter-1"):
    return tells(Kind.DEVICE, device, state=word)


def alive(measured=(), **more):
    return tells(Kind.GATEWAY, "gateway", measured=measured, state="alive", **more)


def started(version="0.1.0", **more):
    return tells(Kind.GATEWAY, "gateway", state="started", version=version, **more)


def the_one(store):
    (facts,) = store.fleet()
    return facts


def test_an_empty_store_has_no_fleet(store):
    assert store.fleet() == []


def test_a_gateway_that_says_nothing_of_itself(store):
    store.commit([events(event_of(1))], [])
    assert store.fleet() == [GatewayFacts(GATEWAY, 1, NOW_MS, DEFAULT_QUIET_AFTER_S)]


def test_all_of_it(store):
    backlog = (Measurement("backlog_urgent", 0), Measurement("backlog_routine", 812))
    story = [
        started(),
        fault("wire", True),
        state("failed", "band-1"),
        alive(backlog, quiet_after_s=90),
    ]
    store.commit([events(*story)], [])
    assert the_one(store) == GatewayFacts(
        GATEWAY, 1, NOW_MS, 90.0, "synchronised", "0.1.0", 0, 812,
        (("meter-1", "wire"),), ("band-1",),
    )  # fmt: skip


FAULTS = [
    fault("wire", True), fault("stuck", True), fault("wire", False), fault("wire", True, "meter-2"),
    fault("stuck", False), fault("stuck", True), fault("wire", True, "meter-3"),
    fault("wire", False, "meter-3"),
]  # fmt: skip


@pytest.mark.parametrize("order", [*itertools.permutations(range(8))][::5000])
def test_the_newest_by_seq_counts_whatever_comes_first(store, order):
    for index in order:
        store.commit([events(FAULTS[index], first=index + 1)], [])
    assert the_one(store).faults == (("meter-1", "stuck"), ("meter-2", "wire"))


def test_devices_that_are_not_there(store):
    story = [
        state("offline", "a"),
        state("failed", "b"),
        state("offline", "c"),
        state("online", "c"),
    ]
    store.commit([events(*story)], [])
    assert the_one(store).offline == ("a", "b")


def test_a_start_forgets_what_was_wrong_before_it(store):
    """Who still is wrong then says so again."""
    story = [
        started("0.1.0"), fault("wire", True), fault("stuck", True), state("offline", "band-1"),
        alive((Measurement("backlog_urgent", 3),), quiet_after_s=90),
        started("0.2.0"), fault("wire", True),
    ]  # fmt: skip
    store.commit([events(*story)], [])
    facts = the_one(store)
    assert (facts.version, facts.faults, facts.offline) == ("0.2.0", (("meter-1", "wire"),), ())
    assert facts.quiet_after_s == 90  # what it said of itself counts until it says otherwise


@pytest.mark.parametrize(
    "told",
    [
        tells(Kind.FAULT, fault=7, active=True), tells(Kind.FAULT, fault="x", active="yes"),
        tells(Kind.FAULT, fault="x", active=1), tells(Kind.FAULT, active=True),
        tells(Kind.DEVICE, state=False), tells(Kind.DEVICE), tells(Kind.GATEWAY, "gateway", state=1),
        started(version=3), alive(quiet_after_s="90"), alive(quiet_after_s=True),
        alive((Measurement("backlog_urgent", "many"), Measurement("backlog_routine", -1))),
        alive((Measurement("backlog_urgent", True), Measurement("backlog_routine", 0.5))),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_not_believed(store, told):
    store.commit([events(told)], [])
    facts = the_one(store)
    assert (facts.faults, facts.offline, facts.version) == ((), (), "")
    assert facts.quiet_after_s == DEFAULT_QUIET_AFTER_S
    assert (facts.backlog_urgent, facts.backlog_routine) == (None, None)


def test_in_the_lane_of_calls_nobody_tells_of_himself(store):
    store.commit([events(fault("wire", True), alive(quiet_after_s=90), lane=U)], [])
    assert the_one(store) == GatewayFacts(GATEWAY, 1, NOW_MS)


def test_the_clock_is_that_of_its_last_word_and_mended_with_it(store):
    unknown = tells(Kind.GATEWAY, "gateway", TimeQuality.UNKNOWN, state="stopped")
    store.commit([events(alive(), unknown)], [])
    assert the_one(store).clock == "unknown"
    store.commit([delivery(anchor_row(3, 5000, WALL))], [])
    assert the_one(store).clock == "anchored"
    store.commit([events(alive(), first=4)], [])
    assert the_one(store).clock == "synchronised"


def test_the_journal_that_was_heard_last_is_believed(store, now):
    """A card that was replaced: how it is supposed to live on counts, what was wrong with it not."""
    old = [started("0.1"), alive(quiet_after_s=90), fault("wire", True), fault("stuck", True)]
    store.commit([events(*old, first=100)], [])
    now["ms"] += 1
    new = [started("0.2"), fault("wire", True), state("offline")]
    store.commit([events(*new, journal=OTHER_JOURNAL)], [])
    assert the_one(store) == GatewayFacts(
        GATEWAY, 2, NOW_MS + 1, 90.0, "synchronised", "0.2",
        faults=(("meter-1", "wire"),), offline=("meter-1",),
    )  # fmt: skip


def test_many_gateways_in_order(store):
    group = [
        events(alive(quiet_after_s=n), journal=bytes([n] * 16), gateway=f"gw-{n:02}")
        for n in range(40, 10, -1)
    ]
    store.commit(group, [])
    told = [(it.gateway, it.quiet_after_s) for it in store.fleet()]
    assert told == [(f"gw-{n}", n) for n in range(11, 41)]


def test_a_conflicting_event_tells_nothing(store, store_url):
    store.commit([events(fault("wire", True))], [])
    store.commit([events(fault("wire", False))], [])
    assert the_one(store).faults == (("meter-1", "wire"),)
    assert ask(store_url, "SELECT seq FROM latest") == [(1,)]


def test_a_device_of_a_strange_name(store):
    store.commit([delivery(row(1, fault("wi\0re", True, "me\0ter")))], [])
    assert the_one(store).faults == (("me\ufffdter", "wi\ufffdre"),)
