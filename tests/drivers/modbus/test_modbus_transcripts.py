"""Golden transcripts: every shipped profile, through the real driver and a real port."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from stub_context import StubContext
from transcript import TranscriptSlave, read

from drivers.modbus.driver import ModbusDriver, ModbusSettings
from drivers.sim.wires import VirtualBus
from gateway.settings import BusSettings

TESTS = Path(__file__).parents[2]
FIXTURES = TESTS / "fixtures" / "modbus"
PROFILES = TESTS.parent / "config" / "profiles" / "modbus"

SCENES = [
    pytest.param(path.stem, scene, id=f"{path.stem}: {scene.title}")
    for path in sorted(FIXTURES.glob("*.txt"))
    for scene in read(path.read_text("utf-8"))
]


@asynccontextmanager
async def replayed(profile, scene):
    slave = TranscriptSlave(scene)
    with VirtualBus() as line:
        line.add(slave)
        context = StubContext("meter", BusSettings("wires", line.port, 115_200))
        settings = ModbusSettings(scene.unit, profile, writable=tuple(scene.told), retries=0)
        yield ModbusDriver(settings, context)
        await context.close()
    assert not slave.unexpected
    assert not slave.left


@pytest.mark.parametrize(("profile", "scene"), SCENES)
async def test_transcript(profile, scene):
    async with replayed(profile, scene) as driver:
        if scene.told:
            await driver.write(scene.told)
            return
        reading = await driver.read(driver.bus)
    assert {m.name: (m.value, m.unit) for m in reading.measurements} == scene.values
    assert reading.withheld == scene.withheld


def test_every_shipped_profile_has_a_transcript():
    shipped = {path.stem for path in PROFILES.glob("*.toml")}
    assert shipped == {path.stem for path in FIXTURES.glob("*.txt")}
    for profile in shipped:
        assert ModbusDriver.check(ModbusSettings(1, profile)) is None
