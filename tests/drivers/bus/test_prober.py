"""`hearth probe`: what is on a bus is found, on its line, and told so that it can be pasted."""

import asyncio
import sys
import tomllib
from pathlib import Path

import pytest
from line_faults import Faulty, mute

from drivers.bus import look
from drivers.bus.bus import Bus
from drivers.bus.line import Line
from drivers.bus.look import stable_name
from drivers.bus.prober import Found, installed_probers, plan, probe
from drivers.cjt188.prober import Cjt188Prober
from drivers.mbus.prober import MbusProber, probers
from drivers.modbus.prober import ModbusProber
from drivers.sim.meter_cjt188 import Cjt188Script, CollidingMeters, VirtualCjt188Meter
from drivers.sim.meter_mbus import VirtualMbusMeter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.wires import VirtualBus
from gateway.cli.probe import tables
from gateway.cli.progress import RichBar
from gateway.errors import LinkLost
from gateway.settings import BusSettings, parse

sys.path.insert(0, str(Path(__file__).parents[2] / "rigs"))

from serial_server import SerialServer

# The command gives a meter 0.2 s to answer; a busy machine may keep one of ours for longer, once.
TRIES = 3

NINE = Line(9600, "N", 1)
TWO = Line(2400, "E", 1)


@pytest.fixture
def impatient(monkeypatch):
    for kind in (Cjt188Prober, MbusProber, ModbusProber):
        monkeypatch.setattr(kind, "wait_s", lambda self, line: 0.05)


async def find(port, probers, lines=("9600 8N1", "2400 8E1")):
    settings = BusSettings("bus-1", port)
    bus = Bus(settings)
    told = []
    try:
        steps = plan(settings, probers, lines)
        return [it async for it in probe(bus, steps, lambda step, done: told.append(done))], told
    finally:
        await bus.close()


def usual_modbus():
    return [[ModbusProber("serial", range(1, 9))]]


async def test_every_meter_is_found_on_its_own_line(impatient):
    with VirtualBus() as wires:
        wires.add(VirtualModbusMeter(3, "xintai"), "9600 8N1")
        wires.add(VirtualModbusMeter(5, "bove"), "2400 8E1")
        wires.add(VirtualCjt188Meter("78330011223344"), "2400 8E1")
        found, told = await find(wires.port, [[Cjt188Prober()], *usual_modbus()])
    assert {(str(line), it.driver, *it.keys.values()) for line, it in found} == {
        ("9600 8N1", "modbus", 3, "xintai"),
        ("2400 8E1", "modbus", 5, "bove"),
        ("2400 8E1", "cjt188", "78330011223344"),
    }
    assert all(0 < done <= 1 for done in told)
    assert told.count(1.0) == 4


async def test_parity_matters(impatient):
    with VirtualBus(SerialServer("rfc2217")) as wires:
        wires.add(VirtualModbusMeter(2, "xintai"), "9600 8E1")
        found, _ = await find(wires.port, usual_modbus(), ["9600 8N1", "9600 8O1", "9600 8E1"])
    assert [(str(line), it.keys["unit"]) for line, it in found] == [("9600 8E1", 2)]


async def test_meters_that_answer_at_once_are_told_apart(impatient):
    meters = [VirtualCjt188Meter(f"783300112233{n:02d}") for n in (44, 45)]
    with VirtualBus() as wires:
        wires.add(CollidingMeters(meters))
        found, _ = await find(wires.port, [[Cjt188Prober()]], ["115200 8N1"])
    assert {it.keys["address"] for _, it in found} == {"78330011223344", "78330011223345"}


async def test_byte_order_and_type_are_told_where_they_are_unusual(impatient):
    script = Cjt188Script(orders=("high-first",))
    with VirtualBus() as wires:
        wires.add(VirtualCjt188Meter("78330011223344", script=script))
        found, _ = await find(wires.port, [[Cjt188Prober()]], ["2400 8E1"])
    assert [it.keys for _, it in found] == [{"address": "78330011223344", "di_order": "high-first"}]


async def test_m_bus_meters_are_found_by_who_they_are_or_where(impatient):
    deaf_to_selection = VirtualMbusMeter("44332211.HRT.01.07", 5)
    deaf_to_selection.hear = only_primary(deaf_to_selection.hear)
    by_selection, by_address = probers()
    with VirtualBus() as wires:
        wires.add(VirtualMbusMeter("12345678.KAM.01.07", 0))
        wires.add(deaf_to_selection)
        found, _ = await find(wires.port, [[by_selection, by_address]], ["115200 8E1"])
    assert [it.keys for _, it in found] == [{"secondary": "12345678.KAM.01.07"}, {"address": 5}]
    assert [it.note for _, it in found] == ["", "meter 44332211.HRT.01.07"]


def only_primary(hear):
    def heard(telegram):
        return hear(telegram) if telegram[:1] == b"\x10" and telegram[2] != 0xFD else []

    return heard


async def test_two_devices_with_one_address_are_no_device(impatient):
    meters = [VirtualModbusMeter(4, "xintai"), VirtualModbusMeter(4, "bove")]
    with VirtualBus() as wires:
        wires.add(CollidingMeters(meters))
        found, _ = await find(wires.port, usual_modbus(), ["9600 8N1"])
    ((_, it),) = found
    assert it.keys == {}
    assert it.note == "unit 4: bytes and no answer; two devices with one address?"


async def test_nobody_is_there(impatient):
    with VirtualBus() as wires:
        wires.add(Faulty(VirtualModbusMeter(4), mute))
        found, told = await find(wires.port, usual_modbus())
    assert found == []
    assert told[-1] == 1.0


async def test_the_adapter_is_pulled_meanwhile(impatient):
    with VirtualBus() as wires:
        wires.add(VirtualModbusMeter(1), "9600 8N1")
        settings = BusSettings("bus-1", wires.port)
        bus = Bus(settings)
        found = []

        async def pulled():
            async for it in probe(bus, plan(settings, usual_modbus()), lambda *_: None):
                found.append(it)
                wires.unplug()

        with pytest.raises(LinkLost):
            await pulled()
        await bus.close()
    assert [it.keys["unit"] for _, it in found] == [1]


def test_what_is_likely_is_asked_first_and_a_fixed_line_is_kept():
    probers = installed_probers()
    steps = plan(BusSettings("b", "/dev/ttyUSB0"), probers)
    first = [step.prober.driver for step in steps if step.prober is not steps[-1].prober]
    assert {"modbus", "cjt188"} <= set(first)
    likely = plan(BusSettings("b", "/dev/ttyUSB0"), probers, quick=True)
    assert steps[: len(likely)] == likely
    assert 0 < sum(it.seconds for it in likely) < 120 < sum(it.seconds for it in steps)
    fixed = plan(BusSettings("b", "socket://a:1", 2400, "E"), probers)
    assert {it.line for it in fixed} == {TWO}
    tcp = plan(BusSettings("b", "modbus-tcp://a:502"), probers)
    assert {it.prober.driver for it in tcp} == {"modbus"}


def test_tables_can_be_pasted():
    found = [
        (NINE, Found("modbus", {"unit": 3, "profile": "xintai"}, "fits as well: bove")),
        (TWO, Found("cjt188", {"address": "78330011223344"})),
        (TWO, Found("cjt188", {}, "something")),
        (NINE, Found("modbus", {"unit": 4, "profile": "bove"})),
    ]
    text = "\n".join(tables("/dev/serial/by-id/usb-x", found))
    head = '[gateway]\nid = "g"\n[uplink]\nurl = "mqtts://b"\n'
    settings = parse(head + text)
    (bus,) = settings.buses
    assert (bus.port, bus.baudrate, bus.parity) == ("/dev/serial/by-id/usb-x", 9600, "N")
    assert [(it.driver, it.bus, it.options) for it in settings.devices] == [
        ("modbus", "bus-1", {"unit": 3, "profile": "xintai"}),
        ("cjt188", "bus-1", {"line": "2400 8E1", "address": "78330011223344"}),
        ("modbus", "bus-1", {"unit": 4, "profile": "bove"}),
    ]
    assert "# fits as well: bove" in text
    assert "# cjt188 2400 8E1: something" in text


def test_the_bar_goes_by_the_time_that_steps_take():
    steps = plan(BusSettings("b", "/dev/ttyUSB0"), usual_modbus(), ["9600 8N1", "2400 8E1"])
    first, second = steps
    with RichBar(steps) as bar:
        bar.told(first, 0.5)
        half = bar.done
        bar.told(second, 0.0)
        at_second = bar.done
        bar.told(second, 1.0)
    share = first.seconds / (first.seconds + second.seconds)
    assert (half, at_second, bar.done) == pytest.approx((share / 2, share, 1.0))


def test_a_port_is_told_by_the_name_that_survives_replugging(tmp_path, monkeypatch):
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "usb-adapter").symlink_to("../ttyUSB0")
    monkeypatch.setattr(look, "_BY_ID", tmp_path / "by-id")
    assert stable_name(str(tmp_path / "ttyUSB0")) == str(tmp_path / "by-id" / "usb-adapter")
    assert stable_name(str(tmp_path / "ttyUSB1")) == str(tmp_path / "ttyUSB1")
    assert stable_name("socket://a:1") == "socket://a:1"


async def hearth_probe(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.cli.main", "probe", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    return process.returncode, out.decode(), said.decode()


async def test_the_command_prints_tables_and_says_how_long_it_takes():
    with VirtualBus() as wires:
        wires.add(VirtualModbusMeter(7, "xintai"), "9600 8N1")
        wires.add(VirtualCjt188Meter("78330011223344"), "9600 8N1")
        arguments = ("--quick", "--line", "9600 8N1", "--protocol", "modbus")
        for _ in range(TRIES):
            code, out, said = await hearth_probe(wires.port, *arguments, "--protocol", "cjt188")
            assert code == 0, said
            devices = tomllib.loads(out)["device"]
            if len(devices) == 2:
                break
    assert [(it["driver"], it.get("unit"), it.get("address")) for it in devices] == [
        ("modbus", 7, None),
        ("cjt188", None, "78330011223344"),
    ]
    assert said.startswith("about ")
    assert "modbus 9600 8N1 ..." in said
    assert "modbus 9600 8N1: unit=7 profile=xintai" in said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["/dev/no-such-port", "--quick"], 1, "is the adapter plugged in?"),
        (["/dev/null", "--quick"], 1, "does not open"),
        (["tcp://a:1"], 2, "is no port of another machine"),
        (["/dev/null", "--line", "9600"], 1, "write it like 2400 8E1"),
        (["/dev/null", "--protocol", "dlms"], 1, "no protocol 'dlms'; installed: cjt188"),
    ],
)
async def test_what_cannot_be_probed(arguments, code, says):
    returned, _, said = await hearth_probe(*arguments)
    assert (returned, says in said) == (code, True), said
