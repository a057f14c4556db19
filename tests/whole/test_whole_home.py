"""The whole daemon, unmodified, with all its real adapters, from the wire to the database."""

from __future__ import annotations

import asyncio
import json


async def test_every_device_reaches_the_collector(home):
    await home.start()
    await home.connected()
    await home.band.beat(72)
    await home.press()
    await home.stored("call", "call-bedroom", 1)
    await home.stored("measurement", "band-1", 3)  # presence, battery at connect, the beat
    rows = home.query("SELECT kind, body FROM events WHERE device = 'band-1'")
    values = [
        (record["n"], record.get("v"), record.get("u"))
        for kind, body in rows
        if kind == "measurement"
        for record in json.loads(body)["measurements"]
    ]
    assert ("heart_rate", 72, "beat/min") in values
    labels = json.loads(home.query("SELECT body FROM events WHERE kind = 'call'")[0][0])["labels"]
    assert labels == {"room": "bedroom"}
    started = home.query("SELECT body FROM events WHERE kind = 'gateway'")[0][0]
    assert json.loads(started)["detail"]["address_code"] == "370303"
    assert await home.stop() == 0
    code, books = await home.books()
    assert code == 0, books
    assert all(book["missing"] == 0 for book in books)


async def test_a_call_survives_outage_and_kill_9(home):
    """What the light showed is true: broker gone, gateway killed, all of it back."""
    await home.start()
    await home.connected()
    await home.broker.kill()
    await home.press()
    await home.kill()
    await home.gpio.released(17)
    await home.start()
    await home.gpio.requested(17)
    await home.press()
    await home.waiting(calls=2)  # the light was on for the first already
    async with asyncio.timeout(10):
        while "nobody listens there" not in (await home.status())["uplink"]["hint"]:
            await asyncio.sleep(0.05)
    await home.kill()
    await home.gpio.released(17)
    assert home.count("call", "call-bedroom") == 0
    await home.broker.start()
    await home.start()
    await home.stored("call", "call-bedroom", 2, timeout_s=60)
    assert await home.stop() == 0
    code, books = await home.books()
    assert code == 0, books


async def test_one_dead_device_does_not_silence_the_others(home):
    """Adapter pulled, bluetoothd gone: the button still calls, and each comes back by itself."""
    await home.start()
    await home.connected()
    home.wires.unplug()
    await home.bluez.crash()
    await home.press()
    await home.stored("call", "call-bedroom", 1)
    home.wires.plug_in()
    await home.bluez.start()
    before = home.count("measurement", "meter-kitchen")
    await home.stored("measurement", "meter-kitchen", before + 1)
    beats = home.count("measurement", "band-1")
    async with asyncio.timeout(90):
        while home.count("measurement", "band-1") <= beats:
            await home.band.beat(70)
            await asyncio.sleep(0.2)
    assert await home.stop() == 0


async def test_a_call_gets_through_though_nothing_can_be_stored(home):
    """The journal's place is taken by a file: no light while nothing is stored; but the call comes."""
    (home.folder / "journal").write_text("not a folder")
    await home.broker.kill()
    await home.start()
    await home.gpio.requested(17)
    home.gpio.set(17, 0)
    async with asyncio.timeout(10):
        while not (await home.status())["calls"]:
            await asyncio.sleep(0.02)
    assert (await home.status())["calls"][0]["state"] is None
    assert home.gpio.level(27) == 0, "the light says stored, and it is not"
    await home.broker.start()
    await home.stored("call", "call-bedroom", 1)
    await home.gpio.driven(27, 1)  # now it is delivered, and that is true
    await home.stored("fault", "journal", 3)  # what opening met, and each lane's flash
    told = [json.loads(body)["detail"] for (body,) in home.query(
        "SELECT body FROM events WHERE kind = 'fault' AND device = 'journal'"
    )]  # fmt: skip
    assert any("cannot be used" in detail.get("what", "") for detail in told)
    assert {detail["lane"] for detail in told if detail["fault"] == "flash"} == {
        "urgent",
        "routine",
    }
    assert await home.stop() == 0
