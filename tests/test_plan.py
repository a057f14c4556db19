"""Every device finds its driver and its options, or all that is wrong is told at once."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import msgspec
import pytest

from gateway import driver as driver_module
from gateway.driver import ENTRY_POINT_GROUP, Driver, installed_drivers
from gateway.errors import SettingsError
from gateway.plan import plan
from gateway.settings import Settings, parse

HEAD = '[gateway]\nid = "g"\n[uplink]\nurl = "mqtts://h"\n[[bus]]\nid = "b"\nport = "p"\n'


class ThermoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    where: str
    poll: float = 60.0


class ThermoDriver(Driver):
    """A driver as a third party would bring it."""

    summary = "a thermometer"
    Settings = ThermoSettings

    @classmethod
    def check(cls, settings: ThermoSettings) -> None:
        if settings.where == "nowhere":
            raise SettingsError(["there is no nowhere", "and no thermometer either"])

    async def run(self) -> None: ...


class BusDriver(ThermoDriver):
    """One on a bus."""

    needs_bus = True


class LoneDriver(ThermoDriver):
    """One of which a home has one."""

    only_one = True


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Five drivers: three good ones, one that does not load, one that is none."""
    points = EntryPoints(
        EntryPoint(name, value, ENTRY_POINT_GROUP)
        for name, value in {
            "thermo": f"{__name__}:ThermoDriver",
            "thermo-bus": f"{__name__}:BusDriver",
            "lone": f"{__name__}:LoneDriver",
            "broken": "no_such_module:Driver",
            "impostor": f"{__name__}:ThermoSettings",
        }.items()
    )

    def entry_points(**wanted: str) -> EntryPoints:
        return points.select(**wanted)

    monkeypatch.setattr(driver_module, "entry_points", entry_points)


def with_devices(*devices: str) -> Settings:
    return parse(HEAD + "".join(f"[[device]]\n{device}\n" for device in devices), "f.toml")


def faults_of(*devices: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        plan(with_devices(*devices))
    return caught.value.faults


def test_devices_in_the_order_of_the_file():
    settings = with_devices(
        'id = "roof"\ndriver = "thermo"\nwhere = "roof"\nroom = "attic"',
        'id = "cellar"\ndriver = "thermo-bus"\nbus = "b"\nwhere = "cellar"\npoll = 5',
    )
    roof, cellar = plan(settings)
    assert (roof.driver, roof.options, roof.bus) == (ThermoDriver, ThermoSettings("roof"), None)
    assert roof.device.labels == {"room": "attic"}
    assert cellar.driver is BusDriver
    assert cellar.options == ThermoSettings("cellar", 5.0)
    assert cellar.bus == settings.buses[0]


def test_no_devices():
    assert plan(with_devices()) == []


INSTALLED = "installed: broken, impostor, lone, thermo, thermo-bus"


def test_all_faults_of_all_devices_at_once():
    assert faults_of(
        'id = "a"\ndriver = "thermo"\nwhere = 5\npol = 1',
        'id = "b"\ndriver = "missing"',
        'id = "c"\ndriver = "thermo"\nwhere = "x"\nbus = "b"',
        'id = "d"\ndriver = "thermo-bus"\nwhere = "x"',
        'id = "e"\ndriver = "thermo"\nwhere = "nowhere"',
        'id = "f"\ndriver = "thermo"',
    ) == (
        "f.toml:11: device[0].where: Expected str, got int",
        "f.toml:12: device[0].pol: unknown key; did you mean 'poll'?",
        "f.toml:15: device[1].driver: no driver 'missing'; " + INSTALLED,
        "f.toml:20: device[2].bus: thermo devices do not hang on a bus",
        "f.toml:21: device[3].bus: missing; thermo-bus devices hang on a [[bus]]",
        "f.toml:25: device[4]: there is no nowhere",
        "f.toml:25: device[4]: and no thermometer either",
        "f.toml:29: device[5].where: missing",
    )


def test_a_fault_of_the_bus_and_of_the_options_of_one_device():
    assert len(faults_of('id = "a"\ndriver = "thermo-bus"\nwhere = 5')) == 2


def test_a_second_one_of_what_a_home_has_one():
    lone = 'id = "{}"\ndriver = "lone"\nwhere = "x"'
    assert len(plan(with_devices(lone.format("a")))) == 1
    assert faults_of(*map(lone.format, "abc")) == (
        "f.toml:14: device[1].driver: 'a' is one already; a home has only one lone",
        "f.toml:18: device[2].driver: 'a' is one already; a home has only one lone",
    )


def test_drivers_that_cannot_be_used():
    (fault,) = faults_of('id = "a"\ndriver = "broken"')
    assert "does not load: No module named 'no_such_module'" in fault
    (fault,) = faults_of('id = "a"\ndriver = "impostor"')
    assert "not a Driver" in fault


def test_what_is_installed_is_listed():
    assert list(installed_drivers()) == ["broken", "impostor", "lone", "thermo", "thermo-bus"]
