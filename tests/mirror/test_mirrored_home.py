"""A home, its gateway as it ships, and what somebody at the broker sees of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from brokers import needs_mosquitto
from discovery_schema import check, check_state
from ear import Ear, retained
from mirrored_home import BUTTON, DOOR, SMOKE, MirroredHome

from drivers.sim.broker import Broker
from drivers.sim.loopback import HOST, free_port
from gateway.cli.status import _page

pytestmark = [needs_mosquitto, pytest.mark.timeout(180)]

ROOT = "hearth/v1/mirrored-home"
ALL = f"{ROOT}/mirror", f"{ROOT}/json/#", f"{ROOT}/home/#", "homeassistant/#"
STATES = f"{ROOT}/home"
CONFIG = "homeassistant/device/mirrored-home/{}/config"
NAMES = {"gateway", "call-bedroom", "smoke-kitchen", "door-hall", "meter-kitchen"}


async def up(home):
    await home.start()
    for line in (BUTTON, SMOKE, DOOR):
        await home.board.button(line).watched()


async def test_a_day_of_a_mirrored_home(tmp_path):
    async with MirroredHome(tmp_path) as home:
        async with Ear(home.broker, *ALL) as ear:
            await up(home)
            await ear.hears(f"{ROOT}/mirror", b"online")
            for name in NAMES:
                await ear.hears(CONFIG.format(name))
            await ear.hears(f"{STATES}/door-hall/measurement/open", b"OFF")
            home.door.hold()
            await ear.hears(f"{STATES}/door-hall/measurement/open", b"ON")
            home.smoke.hold()
            await ear.hears(f"{STATES}/smoke-kitchen/alarm/smoke", b"ON")
            await ear.hears(f"{STATES}/meter-kitchen/measurement/volume")
            await ear.hears(f"{STATES}/meter-kitchen/availability", b"online")
            await home.button.press()
            await ear.hears(f"{STATES}/call-bedroom/call", b"ON")
            rung = json.loads(await ear.hears(f"{STATES}/call-bedroom/calls"))
            assert (rung["event_type"], rung["cause"]) == ("call", "button")

            event = json.loads(await ear.hears(f"{ROOT}/json/call-bedroom"))
            assert (event["kind"], event["labels"]["room"]) == ("call", "bedroom")
            await home.stored("call", "call-bedroom", 1)
            seqs = home.query("SELECT seq FROM events WHERE kind = 'call'")
            told = [json.loads(it) for it in ear.payloads(f"{ROOT}/json/call-bedroom")]
            assert [it["seq"] for it in told if it["kind"] == "call"] == [seq for (seq,) in seqs]

            home.wires.unplug()
            await ear.hears(f"{STATES}/meter-kitchen/availability", b"offline")
            home.wires.plug_in()
            await ear.hears(f"{STATES}/meter-kitchen/availability", b"online")
            status = await home.status()
            assert status["mirror"]["connected"]
            assert status["mirror"]["dropped"] == status["mirror"]["refused"] == 0
            assert "mirror" in _page(status) or "副本" in _page(status)

        _check_all(await retained(home.broker, *ALL))
        await _restart_with_an_open_call(home)
        await _take_the_meter_away(home)


def _check_all(found: dict[str, bytes]) -> None:
    """Every discovery that is retained, and every state, as Home Assistant would find them."""
    configs = {it: check(it, found[it]) for it in found if it.endswith("/config")}
    assert configs.keys() == {CONFIG.format(name) for name in NAMES}
    components = [it for config in configs.values() for it in config["components"].values()]
    states = [(it, found[it["state_topic"]]) for it in components if it["state_topic"] in found]
    assert len(states) > 8
    for component, payload in states:
        check_state(component, payload)
    names = {it["name"] for it in components}
    assert {"门", "烟雾报警", "用水量", "流量", "待上传常规事件", "呼叫", "连接状态"} <= names
    assert found[f"{STATES}/call-bedroom/call"] == b"ON"
    assert not [it for it in found if it.endswith("/calls")], "it would ring again"
    assert b"resident-1" not in b"".join(found.values())


async def _restart_with_an_open_call(home):
    """A power cut: the broker says that the gateway is gone; the call is open when it is back."""
    async with Ear(home.broker, *ALL) as ear:
        await home.kill()
        await ear.hears(f"{ROOT}/mirror", b"offline")
        await up(home)
        await ear.hears(f"{STATES}/call-bedroom/call", b"ON")
        assert not ear.payloads(f"{STATES}/call-bedroom/calls"), "nobody pressed"


async def _take_the_meter_away(home):
    await home.stop()
    (home.folder / "hearth.toml").write_text(home.config(meter=False))
    topic = CONFIG.format("meter-kitchen")
    assert topic in await retained(home.broker, *ALL)
    async with Ear(home.broker, topic) as ear:
        await up(home)
        await ear.hears(topic, b"")
    left = await retained(home.broker, *ALL)
    assert not [it for it in left if "meter-kitchen" in it]


async def test_a_mirror_without_a_broker_is_in_nobodys_way(tmp_path):
    home = MirroredHome(tmp_path)
    home.mirror = f"mqtt://{HOST}:{free_port()}"
    async with home:
        await up(home)
        await home.button.press()
        await home.stored("call", "call-bedroom", 1)
        status = await home.status()
        assert status["uplink"]["connected"]
        assert not status["mirror"]["connected"]
        assert "Connection refused" in status["mirror"]["last_error"]


async def test_a_broker_of_its_own_that_hangs_is_in_nobodys_way(tmp_path):
    """It takes the connection and then stands still; readings and calls go their way."""
    async with Broker() as other:
        home = MirroredHome(tmp_path)
        home.mirror = other.url
        async with home:
            await up(home)
            async with Ear(other, f"{ROOT}/mirror") as ear:
                await ear.hears(f"{ROOT}/mirror", b"online")
            other.pause()
            stored = home.count("measurement", "meter-kitchen")
            await home.button.press()
            await home.stored("call", "call-bedroom", 1)
            await home.stored("measurement", "meter-kitchen", stored + 3)
            other.resume()
            async with Ear(other, f"{STATES}/#") as ear:
                await ear.hears(f"{STATES}/meter-kitchen/measurement/volume")
            began = asyncio.get_running_loop().time()
            assert await home.stop() == 0
            assert asyncio.get_running_loop().time() - began < 10
