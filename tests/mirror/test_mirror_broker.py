"""The mirror and a real broker: what comes, what stays, and that nothing else ever waits for it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from brokers import event_of, needs_mosquitto, until
from discovery_schema import check
from ear import Ear, retained

from drivers.sim.broker import Broker
from gateway.errors import UplinkLost
from gateway.journal.no_flash import NoFlash
from gateway.mirror import Mirror, mirror
from gateway.mirror.home_assistant import HomeAssistant
from gateway.mirror.home_assistant.kept import Kept
from gateway.mirror.mirror import uplink_of
from gateway.model import Event, Kind
from gateway.settings import DeviceSettings, MirrorSettings

METER, BED = DeviceSettings("meter-1", "modbus"), DeviceSettings("bed", "button")
ALL = "hearth/v1/#", "homeassistant/#"
JSON, STATUS = "hearth/v1/gw-1/json/meter-1", "hearth/v1/gw-1/mirror"
VOLUME = "hearth/v1/gw-1/home/meter-1/measurement/volume"
CONFIG = "homeassistant/device/gw-1/{}/config"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Tests have no second to wait for the next try."""
    monkeypatch.setattr(mirror, "RECONNECT_FIRST_S", 0.05)
    monkeypatch.setattr(mirror, "RECONNECT_CAP_S", 0.2)


def made(folder, broker, *, devices=(METER, BED), home=True, files=None):
    kept = Kept(folder / "mirror.json", files)
    facts = {"language": "zh", "is_online": lambda _: True, "calls": list}
    told = HomeAssistant("gw-1", "homeassistant", devices, kept, **facts) if home else None
    settings = MirrorSettings(url=broker.url)
    return Mirror("gw-1", uplink_of("gw-1", settings), kept, told)


@asynccontextmanager
async def running(it: Mirror):
    it.start()
    try:
        await until(lambda: it.facts()["connected"], "connected")
        yield it
    finally:
        await it.close()


@pytest.fixture
async def broker():
    async with Broker() as started:
        yield started


@needs_mosquitto
async def test_each_event_as_json_in_its_order(tmp_path, broker):
    async with Ear(broker, *ALL) as ear, running(made(tmp_path, broker, home=False)) as it:
        await ear.hears(STATUS, b"online")
        for n in range(1, 51):
            it.note(event_of(n), n)
        await until(lambda: len(ear.payloads(JSON)) == 50, "all")
        told = [json.loads(payload) for payload in ear.payloads(JSON)]
        assert [one["seq"] for one in told] == list(range(1, 51))
        assert told[0]["measurements"] == {"volume": 0.001}
        assert {message.topic for message in ear.messages} == {JSON, STATUS}
        assert it.facts() == {
            "connected": True, "queued": 0, "published": 51, "refused": 0, "dropped": 0,
            "last_error": "",
        }  # fmt: skip
        await it.close()
        await ear.hears(STATUS, b"offline")
    assert await retained(broker, *ALL) == {STATUS: b"offline"}, "an event is no state"


@needs_mosquitto
async def test_what_somebody_finds_who_comes_later(tmp_path, broker):
    async with running(made(tmp_path, broker)) as it:
        it.note(event_of(1500), 1)
        it.note(Event(Kind.CALL, "bed", event_of(1).stamp, detail={"call": "c1"}), 2)
        await until(lambda: not it.facts()["queued"], "all told")
        found = await retained(broker, *ALL)
    assert found.pop(STATUS) == b"online"
    configs = {topic: check(topic, found.pop(topic)) for topic in list(found) if "device" in topic}
    assert configs.keys() == {CONFIG.format(name) for name in ("gateway", "meter-1", "bed")}
    assert found == {
        VOLUME: b"1.5",
        "hearth/v1/gw-1/home/meter-1/availability": b"online",
        "hearth/v1/gw-1/home/bed/availability": b"online",
        "hearth/v1/gw-1/home/bed/call": b"ON",
    }, "that somebody called is no state"


@needs_mosquitto
async def test_what_is_new_is_described_once_more_later(tmp_path, broker, monkeypatch):
    """Home Assistant may have passed over it; each description twice, and then no more."""
    monkeypatch.setattr(mirror, "DESCRIBE_AGAIN_S", 0.2)
    config = CONFIG.format("meter-1")
    async with Ear(broker, *ALL) as ear, running(made(tmp_path, broker)) as it:
        await until(lambda: len(ear.payloads(config)) == 2, "as it began")
        it.note(event_of(1), 1)
        await until(lambda: len(ear.payloads(config)) == 4, "with a volume, twice")
        first, again, new, new_again = ear.payloads(config)
        assert (first, new) == (again, new_again)
        assert b"measurement_volume" in new
        it.note(event_of(2), 2)
        await ear.hears(VOLUME, b"0.002")
        assert len(ear.payloads(config)) == 4, "nothing new: nothing described"


@needs_mosquitto
async def test_a_broker_that_is_away_costs_the_oldest(tmp_path, broker, monkeypatch):
    monkeypatch.setattr(mirror, "QUEUE_EVENTS", 5)
    async with running(made(tmp_path, broker)) as it:
        await broker.kill()
        await until(lambda: not it.facts()["connected"], "lost")
        for n in range(1, 10):
            it.note(event_of(n), n)
        assert (it.facts()["queued"], it.facts()["dropped"]) == (5, 4)
        assert it.facts()["last_error"]
        await broker.start()
        await until(lambda: it.facts()["connected"] and not it.facts()["queued"], "all told")
        assert it.facts()["dropped"] == 4


@needs_mosquitto
async def test_the_newest_are_told_in_their_order(tmp_path, broker, monkeypatch):
    monkeypatch.setattr(mirror, "QUEUE_EVENTS", 5)
    it = made(tmp_path, broker)
    for n in range(1, 10):
        it.note(event_of(n), n)
    async with Ear(broker, JSON) as ear, running(it):
        await until(lambda: len(ear.payloads(JSON)) == 5, "all that waited")
        assert [json.loads(one)["seq"] for one in ear.payloads(JSON)] == [5, 6, 7, 8, 9]


@needs_mosquitto
async def test_a_broker_that_lost_its_data_is_told_everything_again(tmp_path, broker):
    """mosquitto without persistence, as many have it."""
    async with running(made(tmp_path, broker)) as it:
        it.note(event_of(1), 1)
        await until(lambda: not it.facts()["queued"], "told")
        before = await retained(broker, *ALL)
        await broker.kill()
        await until(lambda: not it.facts()["connected"], "lost")
        await broker.start()
        await until(lambda: it.facts()["connected"], "connected again")
        assert await retained(broker, *ALL) == before
        assert before[VOLUME] == b"0.001"


@needs_mosquitto
async def test_nobody_is_told_to_believe_what_is_retained_before_all_is_told(tmp_path, broker):
    """An open call of yesterday would ring for the moment between."""
    async with Ear(broker, STATUS, "hearth/v1/gw-1/home/#") as ear:
        async with running(made(tmp_path, broker)):
            await ear.hears(STATUS, b"online")
        topics = [message.topic for message in ear.messages]
        assert topics.index(STATUS) > topics.index("hearth/v1/gw-1/home/bed/call")


@needs_mosquitto
async def test_a_device_that_is_gone_leaves_nothing(tmp_path, broker):
    async with running(made(tmp_path, broker)) as it:
        it.note(event_of(1500), 1)
        await until(lambda: not it.facts()["queued"], "told")
    assert CONFIG.format("meter-1") in await retained(broker, *ALL)
    without = made(tmp_path, broker, devices=(BED,))
    async with Ear(broker, CONFIG.format("meter-1")) as ear, running(without):
        await ear.hears(CONFIG.format("meter-1"), b"")
        found = await retained(broker, *ALL)
    assert not [topic for topic in found if "meter-1" in topic]
    assert CONFIG.format("bed") in found
    assert "meter-1" not in (tmp_path / "mirror.json").read_text()


@needs_mosquitto
async def test_without_home_assistant_all_of_it_is_cleared(tmp_path, broker):
    async with running(made(tmp_path, broker)):
        assert len(await retained(broker, *ALL)) == 7
    async with running(made(tmp_path, broker, home=False)):
        assert await retained(broker, *ALL) == {STATUS: b"online"}


@needs_mosquitto
async def test_what_the_broker_refuses_is_counted_and_the_rest_goes_on(tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite hearth/v1/#\ntopic readwrite ear/#\n")
    strict = Broker(listener=f"allow_anonymous true\nacl_file {acl}")
    async with strict as broker, Ear(broker, JSON) as ear, running(made(tmp_path, broker)) as it:
        it.note(event_of(1), 1)
        await ear.hears(JSON)
        assert it.facts()["refused"] >= 3
        assert "Not authorized" in str(it.facts()["last_error"])
        assert it.facts()["connected"]


@needs_mosquitto
async def test_a_flash_that_refuses_the_note_does_not_stop_it(tmp_path, broker):
    refusing = NoFlash(OSError(30, "Read-only file system"))
    it = made(tmp_path, broker, files=refusing)
    async with Ear(broker, JSON) as ear, running(it):
        it.note(event_of(1), 1)
        await ear.hears(JSON)
        assert "could not be kept" in str(it.facts()["last_error"])


# --- without a broker ---------------------------------------------------------------------------


class Moody:
    """An uplink whose broker hangs up when it is given a certain event."""

    def __init__(self, hates: int) -> None:
        self._hates = str(hates).encode()
        self.taken: list[int] = []
        self.sessions = 0
        self._lost = asyncio.Event()

    @asynccontextmanager
    async def session(self):
        self.sessions += 1
        self._lost.clear()
        yield self

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if b'"seq":' + self._hates + b"," in payload:
            self._lost.set()
            raise UplinkLost("hung up")
        if topic == JSON:
            self.taken.append(json.loads(payload)["seq"])

    async def messages(self):
        await self._lost.wait()
        raise UplinkLost("hung up")
        yield


async def test_an_event_that_a_broker_hangs_up_on_is_given_up(tmp_path):
    uplink = Moody(hates=2)
    it = Mirror("gw-1", uplink, Kept(tmp_path / "mirror.json"), None)
    async with running(it):
        for n in (1, 2, 3):
            it.note(event_of(n), n)
        await until(lambda: uplink.taken == [1, 3], "the others")
        assert it.facts()["dropped"] == 1
        assert uplink.sessions == 3


async def test_an_error_of_its_own_ends_the_mirror_alone(tmp_path, monkeypatch, caplog):
    it = Mirror("gw-1", Moody(hates=0), Kept(tmp_path / "mirror.json"), None)

    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(mirror, "message_of", broken)
    async with running(it):
        it.note(event_of(1), 1)
        await until(lambda: it.facts()["last_error"], "told")
        assert it.facts()["last_error"] == "ended: ZeroDivisionError()"
        assert not it.facts()["connected"]
        for n in range(2, 2000):
            it.note(event_of(n), n)
        assert it.facts()["queued"] == mirror.QUEUE_EVENTS
    assert "the mirror ended" in caplog.text


async def test_a_password_that_is_not_there_is_looked_for_again(tmp_path):
    settings = MirrorSettings(url="mqtts://127.0.0.1:1", password_file=str(tmp_path / "none"))
    it = Mirror("gw-1", uplink_of("gw-1", settings), Kept(tmp_path / "mirror.json"), None)
    it.start()
    await until(lambda: "mirror.password_file" in str(it.facts()["last_error"]), "said")
    (tmp_path / "none").touch(0o600)
    (tmp_path / "none").write_text("x")
    await until(lambda: "no connection" in str(it.facts()["last_error"]), "one step further")
    await it.close()
