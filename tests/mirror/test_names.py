"""What entities are called, in both languages; and that nothing hearth tells lacks a Chinese name."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bthome.wire.objects import NUMBERS, TRUTHS
from drivers.cjt188.profile import load_profile as load_bits
from drivers.contact.settings import ContactSettings
from drivers.mbus.wire.dif import Function
from drivers.mbus.wire.quantities import FB, FD, PRIMARY, quantity_of
from drivers.mbus.wire.vif import Direction
from drivers.modbus.profile import load_profile
from drivers.modbus.register import Danger
from drivers.water.counter import Break
from drivers.water.period import Span
from drivers.wristband.wire import fitness
from gateway.mirror.home_assistant import HomeAssistant
from gateway.mirror.home_assistant.kept import Kept
from gateway.mirror.home_assistant.names import name_of
from gateway.mirror.home_assistant.words import ALARMS, CLASSED, FAULTS, MEASURED, OWN
from gateway.mirror.outgoing import place_of
from gateway.model import Event, Kind, Lane, Measurement, Stamp, TimeQuality
from gateway.settings import DeviceSettings

ROOT = Path(__file__).parents[2]
STAMP = Stamp(bytes(8), 5, 1_764_132_885_123, TimeQuality.SYNCHRONISED)
CHINESE = re.compile("[\u4e00-\u9fff]")
SAME_IN_BOTH = re.compile(r"(PM10|PM2\.5)( 2)?")  # nobody says them in Chinese

# Calls by which a driver, or the gateway, tells a fault: its name is their first text. A function
# that is called `fault` tells what is wrong with a configuration; a method, what is with a device.
TELLS_FAULT = {"see", "bad", "doubt", "fault", "Trouble", "tell_fault", "_keys"}
# Names that are made of parts; `emitted` has what comes of them.
MADE_OF_PARTS = {
    "Measurement": {
        "drivers/bthome/teller.py",  # button_{n}
        "drivers/bthome/wire/payload.py",  # objects.py, temperature_2
        "drivers/cjt188/driver.py",  # bits of a profile
        "drivers/mbus/told.py",  # quantities.py and suffixes
        "drivers/modbus/block.py",  # registers of a profile
        "drivers/water/teller.py",  # volume_{span}
        "drivers/wristband/wire/fitness.py",  # its tables
        "drivers/wristband/wire/location.py",  # latitude, longitude
        "drivers/wristband/wire/oximeter.py",  # spo2_fast
        "gateway/codec.py",  # what was told before
        "gateway/supervision.py",  # backlog_{lane}
    },
    "fault": {
        "drivers/fault.py",
        "drivers/water/teller.py",  # volume_{what}
        "drivers/wristband/identity.py",  # identity
        "drivers/wristband/teller.py",
        "drivers/bthome/teller.py",
        "gateway/assembly.py",
        "gateway/cli/fleet.py",  # reads them
        "gateway/reminders/teller.py",
    },
}


@cache
def trees():
    return list(read_trees())


def read_trees():
    for package in ("drivers", "gateway"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("drivers/sim/"):  # what plays hardware tells nothing itself
                yield name, ast.parse(path.read_text())


def called(node):
    """The name of what a call calls; empty if it is no call."""
    function = getattr(node, "func", None)
    return getattr(function, "attr", "") or getattr(function, "id", "")


def is_function(call, name):
    return isinstance(call.func, ast.Name) and call.func.id == name


def literal(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def read_measurements():
    """Literal names in the source, and the files in which a name is none."""
    names, others = set(), set()
    for file, tree in trees():
        for node in ast.walk(tree):
            if called(node) == "Measurement" and node.args:
                name = literal(node.args[0])
                names |= {name} if name else set()
                others |= set() if name else {file}
    return names, others


@cache
def read_faults():
    """The same for faults."""
    names, others = set(), set()
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                for value in [value for key, value in pairs if key and literal(key) == "fault"]:
                    names |= {literal(value)} - {None}
                    others |= set() if literal(value) else {file}
            elif called(node) in TELLS_FAULT and not is_function(node, "fault"):
                texts = [text for it in node.args if (text := literal(it))]
                names |= {it for it in texts[:1] if re.fullmatch(r"[a-z]\w*", it)}
    return names, others


def profiles():
    """Registers and bits of the profiles that ship."""
    folder = ROOT / "config/profiles"
    for path in sorted((folder / "modbus").glob("*.toml")):
        yield from load_profile(path.stem).registers
    for path in sorted((folder / "cjt188").glob("*.toml")):
        yield from load_bits(path.stem).bits


def quantities():
    found = [quantity_of(table, code) for table in (PRIMARY, FB, FD) for code in range(0x80)]
    return {it.name for it in found if it and it.kind != "identity"}


@cache
def emitted():
    """Every name of a measurement that hearth's own drivers and gateway tell."""
    names = read_measurements()[0]
    names |= {it.name for it in (*NUMBERS.values(), *profiles())} | set(TRUTHS.values())
    names |= {f"{name}_2" for name in {it.name for it in NUMBERS.values()} | set(TRUTHS.values())}
    names |= {"button_2", "latitude", "longitude"}
    for name in quantities():
        functions = [it for it in get_args(Function) if it != "now"]
        names |= {name, f"{name}_u1_t2_s3", f"{name}_2"}
        names |= {f"{name}_{it}" for it in (*functions, *filter(None, get_args(Direction)))}
    tables = (fitness._TREADMILL, fitness._BIKE, fitness._CROSS_TRAINER)
    names |= {it.name for table in tables for it in table if it.name}
    names |= {f"{name}{end}" for name in ("spo2", "pulse_rate") for end in ("", "_fast", "_slow")}
    names |= {f"volume_{span}" for span in get_args(Span)}
    return names | {f"backlog_{lane.name.lower()}" for lane in Lane}


@cache
def emitted_faults():
    names = read_faults()[0] | {"identity", "number_1"}
    names |= {f"volume_{what}" for what in get_args(get_type_hints(Break)["what"])}
    return names | {it.name for it in profiles() if getattr(it, "alarm", False)}


def emitted_alarms():
    kinds = set(get_args(get_type_hints(ContactSettings)["kind"])) | set(get_args(Danger))
    return kinds - {"door", "window"}


def without_chinese(group, names):
    said = {it: name_of(place_of(group, it), "", "zh").removeprefix("故障：") for it in names}
    lacking = {it for it, zh in said.items() if not CHINESE.search(zh)}
    return sorted(it for it in lacking if not SAME_IN_BOTH.fullmatch(said[it]))


# --- everything has a Chinese name ----------------------------------------------------------------


def test_every_measurement_has_a_chinese_name():
    assert len(emitted()) > 400
    assert without_chinese("measurement", emitted()) == []


def test_every_fault_has_a_chinese_name():
    known = {"stuck", "flash", "battery_low", "reminders_lost", "metrics", "unknown_object"}
    assert known <= emitted_faults()
    assert without_chinese("fault", emitted_faults()) == []


def test_every_alarm_has_a_chinese_name():
    assert {"smoke", "detector"} <= emitted_alarms()
    assert without_chinese("alarm", emitted_alarms()) == []


def test_who_makes_names_of_parts_is_known_here():
    """A new one belongs into MADE_OF_PARTS, and what comes of it into `emitted`."""
    assert read_measurements()[1] == MADE_OF_PARTS["Measurement"]
    assert read_faults()[1] == MADE_OF_PARTS["fault"]


def test_no_word_is_for_nothing():
    """Each is of a name that is told, or of one of which a told name begins."""
    bare = {re.sub(r"_\d+\Z", "", it) for it in emitted()}
    assert MEASURED.keys() - bare == set()
    assert {name for name, _ in CLASSED} - bare == set()
    assert FAULTS.keys() - {re.sub(r"_\d+\Z", "", it) for it in emitted_faults()} == set()
    assert ALARMS.keys() == emitted_alarms()
    assert OWN.keys() == {"call", "calls", "connection"}


# --- how a name is made -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "device_class", "en", "zh"),
    [
        ("measurement/heart_rate", "", "Heart rate", "心率"),
        ("measurement/steps", "", "Steps", "步数"),
        ("measurement/battery", "battery", "Battery", "电量"),
        ("measurement/battery", "voltage", "Battery voltage", "电池电压"),
        ("measurement/volume", "water", "Volume", "用水量"),
        ("measurement/volume", "volume", "Volume", "体积"),
        ("measurement/volume_2", "volume", "Volume 2", "体积 2"),
        ("measurement/volume_reverse", "water", "Volume reverse", "反向用水量"),
        ("measurement/volume_hour", "water", "Volume hour", "小时用水量"),
        ("measurement/energy", "", "Energy", "消耗热量"),
        ("measurement/energy_t2", "energy", "Energy t2", "能耗 费率2"),
        ("measurement/flow_max_u1_t2_s3", "", "Flow max u1 t2 s3", "最大流量 子单元1 费率2 存储3"),
        ("measurement/voltage_l2", "voltage", "Voltage l2", "电压 L2"),
        ("measurement/spo2_fast", "", "SpO2 fast", "快速血氧"),
        ("measurement/pm2_5", "pm25", "PM2.5", "PM2.5"),
        ("measurement/co2_2", "carbon_dioxide", "CO2 2", "二氧化碳 2"),
        ("measurement/open", "door", "Door", "门"),
        ("measurement/open", "window", "Window", "窗"),
        ("measurement/open", "opening", "Opening", "开合"),
        ("press/button_2", "button", "Button 2", "按键 2"),
        ("press/dimmer", "", "Dimmer", "旋钮"),
        ("alarm/smoke", "smoke", "Smoke", "烟雾报警"),
        ("alarm/smoke/detector_1", "smoke", "Smoke detector 1", "烟雾报警 探测器 1"),
        ("fault/overloaded", "problem", "Fault: overloaded", "故障：轮询超负荷"),
        ("fault/malformed/2a37", "problem", "Fault: malformed 2a37", "故障：数据格式错误 2a37"),
        (
            "fault/number_2",
            "problem",
            "Fault: text message to number 2",
            "故障：短信未能送达号码 2",
        ),
        ("fault/pipe_empty", "problem", "Fault: pipe empty", "故障：空管"),
        ("call", "safety", "Call", "呼叫"),
        ("calls", "button", "Calls", "呼叫事件"),
        ("connection", "connectivity", "Connection", "连接状态"),
        # What nobody has words for is shown as it is, also where it begins with a word.
        ("measurement/tank_level", "", "Tank level", "Tank level"),
        ("measurement/volume_of_tank", "", "Volume of tank", "Volume of tank"),
        ("measurement/a%2Fb%2B%23", "", "A/b+#", "A/b+#"),
        ("alarm/flood", "safety", "Flood", "Flood"),
        ("fault/burst_pipe", "problem", "Fault: burst pipe", "故障：burst pipe"),
        ("measurement/_", "", "_", "_"),
    ],
)
def test_names(place, device_class, en, zh):
    assert name_of(place, device_class, "en") == en
    assert name_of(place, device_class, "zh") == zh


@given(st.sampled_from(["measurement", "alarm", "fault", "press"]), st.text(min_size=1))
def test_every_text_has_a_name(group, text):
    for language in ("en", "zh"):
        assert name_of(place_of(group, text), "", language)


# --- in a home ----------------------------------------------------------------------------------


METER = DeviceSettings("meter", "modbus")
READING = Event(Kind.MEASUREMENT, "meter", STAMP, (Measurement("volume", 1.0, "m3"),), {}, {})


def home_in(folder, language):
    facts = {"is_online": lambda _: True, "calls": list, "language": language}
    return HomeAssistant("gw", "homeassistant", [METER], Kept(folder / "mirror.json"), **facts)


def described(home):
    """Components by unique id, and all that they are but their names; the names apart."""
    components = {}
    for _, payload, _ in home.everything().configs:
        for it in json.loads(payload)["components"].values():
            components[it["unique_id"]] = it
    names = {key: it.pop("name") for key, it in components.items()}
    return components, names


async def test_a_home_that_changes_its_language_has_new_names_and_all_else_stays(tmp_path):
    home = home_in(tmp_path, "en")
    home.answer(READING)
    await home._kept.save()
    was, english = described(home)
    after, chinese = described(home_in(tmp_path, "zh"))
    assert after == was
    volume = "hearth/gw/meter/measurement/volume"
    assert (english[volume], chinese[volume]) == ("Volume", "用水量")
    assert english.keys() == chinese.keys()
    assert not {key for key, name in chinese.items() if not CHINESE.search(name)}


@pytest.mark.parametrize(("language", "name"), [("zh", "用水量"), ("en", "Volume")])
def test_a_file_that_kept_names_freezes_none(tmp_path, language, name):
    """As hearth wrote it when an entity's name was among what it kept."""
    entity = {
        "platform": "sensor", "name": "Volume in a file", "device_class": "water", "unit": "m³",
        "state_class": "total_increasing",
    }  # fmt: skip
    devices = {"meter": {"kind": "modbus", "entities": {"measurement/volume": entity}}}
    (tmp_path / "mirror.json").write_text(json.dumps({"devices": devices, "topics": []}))
    home = home_in(tmp_path, language)
    assert described(home)[1]["hearth/gw/meter/measurement/volume"] == name
    assert not home.answer(READING).configs, "nothing else about it is new"
