"""What Home Assistant is told, held against what it takes (discovery_schema.py)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import msgspec
import pytest
from discovery_schema import check, check_state
from hypothesis import given
from hypothesis import strategies as st
from wire_strategies import events

from drivers.bthome.wire.objects import NUMBERS, TRUTHS
from drivers.mbus.wire.quantities import FB, FD, PRIMARY, quantity_of
from drivers.modbus.profile import load_profile
from gateway.mirror.home_assistant import HomeAssistant
from gateway.mirror.home_assistant.kept import Kept
from gateway.model import CALL_ENDED, CallState, Event, Kind, Measurement, Stamp, TimeQuality
from gateway.settings import DeviceSettings

STAMP = Stamp(bytes(8), 5, 1_764_132_885_123, TimeQuality.SYNCHRONISED)
ROOT = Path(__file__).parents[2]
DEVICES = [
    DeviceSettings("meter", "modbus", room="kitchen"),
    DeviceSettings("band.1", "wristband", resident="resident-1"),
    DeviceSettings("beacon", "bthome"),
    DeviceSettings("bed", "button", room="bedroom"),
    DeviceSettings("smoke", "contact", options={"kind": "smoke"}),
    DeviceSettings("door", "contact", options={"kind": "door"}),
    DeviceSettings("io", "modbus"),
    DeviceSettings("heat", "mbus"),
]
LANGUAGE = "zh"  # of the homes below


@pytest.fixture(scope="module", params=["zh", "en"], autouse=True)
def language(request):
    """Whatever holds in one language holds in the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "LANGUAGE", request.param)
        yield request.param


@pytest.fixture
def offline():
    """Devices that do not answer."""
    return set()


@pytest.fixture
def home(tmp_path, offline):
    return home_in(tmp_path, offline=offline)


def home_in(folder, devices=DEVICES, offline=frozenset(), calls=()):
    kept = Kept(folder / "mirror.json")
    facts = {"is_online": lambda it: it not in offline, "calls": lambda: calls}
    facts["language"] = LANGUAGE
    return HomeAssistant("gw_1", "homeassistant", devices, kept, **facts)


def reading(device, *measurements, kind=Kind.MEASUREMENT, **detail):
    return Event(kind, device, STAMP, measurements, {}, detail)


class Listener:
    """Plays Home Assistant: takes discovery, then states; complains as it would."""

    def __init__(self, home):
        self.components: dict[str, dict] = {}
        self.devices: dict[str, dict] = {}
        self.states: dict[str, str] = {}
        self.retained: dict[str, bool] = {}
        self._home = home
        self._take(home.everything())

    def tell(self, event):
        """What became new by it: state topics and states."""
        before = set(self.states.items())
        self._take(self._home.answer(event))
        return dict(set(self.states.items()) - before)

    def find(self, device, place):
        return self.components[f"hearth/gw_1/{device}/{place}"]

    def state(self, device, place):
        return self.states[self.find(device, place)["state_topic"]]

    def _take(self, answer):
        for topic, payload, retain in answer.configs:
            assert retain
            config = check(topic, payload)
            assert topic not in self.devices or self._grew(self.devices[topic], config)
            self.devices[topic] = config
            for it in config["components"].values():
                self.components[it["unique_id"]] = it
        for topic, payload, retain in answer.states:
            self.states[topic] = payload.decode()
            self.retained[topic] = retain
            for it in self.components.values():
                if it["state_topic"] == topic:
                    check_state(it, payload)
            assert any(
                topic == it["state_topic"] or {"topic": topic} in it.get("availability", [])
                for it in self.components.values()
            ), f"nobody listens to {topic}"

    @staticmethod
    def _grew(before, after):
        return before["components"].keys() <= after["components"].keys()


# --- quantities ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "measured", "expected"),
    [
        ("modbus", ("volume", 12.3456, "m3"), ("12.3456", "water", "m³", "total_increasing")),
        ("modbus", ("volume_reverse", 1, "m3"), ("1", "water", "m³", "total_increasing")),
        ("modbus", ("volume_hour", 0.02, "m3"), ("0.02", "water", "m³", None)),
        ("cjt188", ("volume_settled", 3.5, "m3"), ("3.5", "water", "m³", None)),
        ("cjt188", ("volume_month", 3.5, "m3"), ("3.5", "water", "m³", None)),
        ("mbus", ("volume_s1", 3.5, "m3"), ("3.5", "water", "m³", None)),
        ("mbus", ("energy_t1", 7_200_000, "J"), ("2", "energy", "kWh", "total_increasing")),
        ("mbus", ("flow", 0.001, "m3/s"), ("3.6", "volume_flow_rate", "m³/h", "measurement")),
        ("mbus", ("temperature_return", 41.5, "Cel"), ("41.5", "temperature", "°C", "measurement")),
        ("mbus", ("temperature_difference", 9.1, "K"), ("9.1", None, "K", "measurement")),
        ("modbus", ("energy_import", 3_600_000, "J"), ("1", "energy", "kWh", "total_increasing")),
        ("modbus", ("power_l1", -20.5, "W"), ("-20.5", "power", "W", "measurement")),
        ("modbus", ("power_factor", 0.98, ""), ("0.98", "power_factor", None, "measurement")),
        ("modbus", ("pressure", 250_000, "Pa"), ("250000", "pressure", "Pa", "measurement")),
        ("modbus", ("serial", 123, ""), ("123", None, None, None)),
        ("modbus", ("distance", 1.25, "m"), ("1.25", "distance", "m", "measurement")),
        ("wristband", ("distance", 812, "m"), ("812", "distance", "m", "total_increasing")),
        ("wristband", ("heart_rate", 71, "beat/min"), ("71", None, "bpm", "measurement")),
        ("wristband", ("spo2", 97, "%"), ("97", None, "%", "measurement")),
        ("wristband", ("battery", 80, "%EL"), ("80", "battery", "%", "measurement")),
        ("wristband", ("steps", 5120, "count"), ("5120", None, "steps", "total_increasing")),
        ("wristband", ("energy", 418_400, "J"), ("100", None, "kcal", "total_increasing")),
        ("wristband", ("rssi", -71, "dBm"), ("-71", "signal_strength", "dBm", "measurement")),
        ("bthome", ("volume", 3.2, "m3"), ("3.2", "volume", "m³", "total")),
        ("bthome", ("volume_stored", 3.2, "m3"), ("3.2", "volume_storage", "m³", "measurement")),
        ("bthome", ("gas", 3.2, "m3"), ("3.2", "gas", "m³", "total_increasing")),
        ("bthome", ("co2", 0.000_421, "/"), ("421", "carbon_dioxide", "ppm", "measurement")),
        ("bthome", ("pm2_5", 1.2e-8, "kg/m3"), ("12", "pm25", "µg/m³", "measurement")),
        ("bthome", ("conductivity", 0.05, "S/m"), ("500", "conductivity", "µS/cm", "measurement")),
        ("bthome", ("temperature_2", -3.25, "Cel"), ("-3.25", "temperature", "°C", "measurement")),
        ("bthome", ("moisture_2", 31, "%"), ("31", "moisture", "%", "measurement")),
        ("bthome", ("count", 4, "count"), ("4", None, None, "measurement")),
        ("x", ("newest", 1.5, "mol"), ("1.5", None, "mol", "measurement")),
        ("x", ("small", -1e-9, "V"), ("0", "voltage", "V", "measurement")),
    ],
    ids=lambda it: it if isinstance(it, str) else it[0],
)
def test_numbers(tmp_path, driver, measured, expected):
    listener = Listener(home_in(tmp_path, [DeviceSettings("d", driver)]))
    listener.tell(reading("d", Measurement(*measured)))
    it = listener.find("d", f"measurement/{measured[0]}")
    assert it["platform"] == "sensor"
    keys = "device_class", "unit_of_measurement", "state_class"
    state = listener.state("d", f"measurement/{measured[0]}")
    assert (state, *(it.get(key) for key in keys)) == expected


def all_measurements():
    """Name and unit of everything that a driver here can tell as a number."""
    found = {("bthome", it.name, it.unit) for it in NUMBERS.values()}
    for path in (ROOT / "config/profiles/modbus").glob("*.toml"):
        found |= {("modbus", it.name, it.unit) for it in load_profile(path.stem).registers}
    for table in (PRIMARY, FB, FD):
        quantities = [quantity_of(table, code) for code in range(0x80)]
        found |= {("mbus", it.name, it.unit) for it in quantities if it and it.kind == "number"}
    for path in (ROOT / "drivers").rglob("*.py"):
        for name, unit in re.findall(r'Measurement\("(\w+)",.*?, "([^"]*)"\)', path.read_text()):
            found.add((path.relative_to(ROOT / "drivers").parts[0], name, unit))
    return sorted(found)


def test_there_are_measurements():
    drivers = {driver for driver, _, _ in all_measurements()}
    assert {"bthome", "modbus", "mbus", "wristband", "modem", "cjt188"} <= drivers
    assert len(all_measurements()) > 80


@pytest.mark.parametrize("it", all_measurements(), ids=lambda it: "-".join(it[:2]))
def test_home_assistant_takes_all_that_drivers_measure(tmp_path, it):
    driver, name, unit = it
    listener = Listener(home_in(tmp_path, [DeviceSettings("d", driver)]))
    assert listener.tell(reading("d", Measurement(name, 12.5, unit)))
    found = listener.find("d", f"measurement/{name}")
    known = unit in {"", "count", "/", "1/min", "%", "beat/min", "deg", "rad", "lat", "lon", "K"}
    assert found.get("device_class") or known or unit in {"kg/s", "m/s2", "J"}, (
        f"{unit} has a class in Home Assistant?"
    )


@pytest.mark.parametrize("name", sorted({*TRUTHS.values(), "open", "charging", "input_1"}))
@pytest.mark.parametrize("value", [True, False])
def test_truths(tmp_path, name, value):
    listener = Listener(home_in(tmp_path, [DeviceSettings("d", "bthome")]))
    listener.tell(reading("d", Measurement(name, value)))
    on = value is not (name == "safety")  # BTHome: true is safe; there: on is unsafe
    assert listener.state("d", f"measurement/{name}") == ("ON" if on else "OFF")


def test_texts_are_as_long_as_a_state_may_be(tmp_path):
    listener = Listener(home_in(tmp_path, [DeviceSettings("d", "x")]))
    listener.tell(reading("d", Measurement("clock", "x" * 256)))
    assert listener.state("d", "measurement/clock") == "x" * 255


@given(st.lists(st.tuples(events, st.sampled_from([it.id for it in DEVICES])), max_size=8))
def test_events_of_every_shape(tmp_path_factory, happened):
    listener = Listener(home_in(tmp_path_factory.mktemp("home")))
    for event, device in happened:
        listener.tell(msgspec.structs.replace(event, device=device))


# --- devices ------------------------------------------------------------------------------------


def test_every_device_of_the_home_is_there_before_it_says_anything(home):
    listener = Listener(home)
    topics = {f"homeassistant/device/gw__1/{it}/config" for it in (
        "gateway", "meter", "band_-1", "beacon", "bed", "smoke", "door", "io", "heat")}  # fmt: skip
    assert listener.devices.keys() == topics
    meter = listener.devices["homeassistant/device/gw__1/meter/config"]
    assert meter["device"] == {
        "identifiers": ["hearth/gw_1/meter"],
        "name": "meter",
        "model": "modbus",
        "via_device": "hearth/gw_1/gateway",
        "suggested_area": "kitchen",
    }
    assert meter["origin"]["name"] == "hearth"
    assert "resident-1" not in json.dumps([*listener.devices.values()])
    assert listener.find("smoke", "alarm/smoke")["device_class"] == "smoke"
    assert listener.find("door", "measurement/open")["device_class"] == "door"
    assert listener.find("bed", "call")["device_class"] == "safety"
    assert listener.find("band.1", "calls")["platform"] == "event"


def test_ids_that_differ_stay_different(tmp_path):
    names = ["a.b", "a_b", "a-b", "a_-b", "a__b", "a._b", "a_.b"]
    home = home_in(tmp_path, [DeviceSettings(name, "x") for name in names])
    assert len(Listener(home).devices) == len(names) + 1


def test_a_device_that_is_offline_is_unavailable_and_what_hearth_itself_knows_is_not(home, offline):
    offline.add("band.1")
    listener = Listener(home)
    band = reading(
        "band.1", Measurement("heart_rate", 70, "beat/min"), Measurement("presence", "away")
    )
    listener.tell(band)
    own = "hearth/v1/gw_1/home/band.1/availability"
    assert listener.states[own] == "offline"
    assert listener.retained[own]
    mirror = {"topic": "hearth/v1/gw_1/mirror"}
    heart_rate = listener.find("band.1", "measurement/heart_rate")
    assert heart_rate["availability"] == [mirror, {"topic": own}]
    assert heart_rate["availability_mode"] == "all"
    for place in ("measurement/presence", "call", "connection"):
        assert listener.find("band.1", place)["availability"] == [mirror]
    assert listener.find("band.1", "connection")["state_topic"] == own
    listener.tell(reading("band.1", kind=Kind.DEVICE, state="online"))
    assert listener.states[own] == "online"
    for state in ("offline", "failed"):
        listener.tell(reading("band.1", kind=Kind.DEVICE, state=state))
        assert listener.states[own] == "offline"


def test_the_gateway_itself_is_shown_as_gone_and_not_as_unavailable(home):
    connection = Listener(home).find("gateway", "connection")
    assert connection["state_topic"] == "hearth/v1/gw_1/mirror"
    assert (connection["payload_on"], connection["payload_off"]) == ("online", "offline")
    assert "availability" not in connection


def test_what_waits_in_the_journal_is_a_state_of_the_gateway(home):
    listener = Listener(home)
    waiting = Measurement("backlog_routine", 7, "count")
    listener.tell(reading("gateway", waiting, kind=Kind.GATEWAY, state="alive"))
    assert listener.state("gateway", "measurement/backlog_routine") == "7"
    assert (
        listener.find("gateway", "measurement/backlog_routine")["entity_category"] == "diagnostic"
    )


def test_what_is_new_comes_before_what_home_assistant_may_still_be_busy_with(home):
    """It leaves a description at the first entity that it is busy with (2024.12 to 2026.2)."""
    begun = set()

    def take(payload):
        for it in json.loads(payload)["components"].values():
            if it["unique_id"] in begun:
                return
            begun.add(it["unique_id"])

    described = {topic: payload for topic, payload, _ in home.everything().configs}
    take(described["homeassistant/device/gw__1/meter/config"])
    told = Measurement("volume", 1.0, "m3"), Measurement("flow", 0.1, "m3/s")
    for measured in (told[:1], told, (Measurement("power", 1.0, "W"), *told)):
        for _, payload, _ in home.answer(reading("meter", *measured)).configs:
            take(payload)
    places = ("connection", "measurement/volume", "measurement/flow", "measurement/power")
    assert begun == {f"hearth/gw_1/meter/{it}" for it in places}


# --- what happens -------------------------------------------------------------------------------


def call(call_id, kind=Kind.CALL, device="bed", **detail):
    return reading(device, kind=kind, call=call_id, **detail)


def test_a_call_from_the_press_to_its_end(home):
    listener = Listener(home)
    assert listener.state("bed", "call") == "OFF"
    listener.tell(call("c1", cause="button"))
    assert listener.state("bed", "call") == "ON"
    rung = json.loads(listener.state("bed", "calls"))
    assert rung == {"event_type": "call", "call": "c1", "cause": "button"}
    listener.tell(call("c1", Kind.CALL_STATE, state="accepted", by="Sun"))
    assert listener.state("bed", "call") == "ON"
    listener.tell(call("c2", cause="button"))
    listener.tell(call("c1", Kind.CALL_STATE, state="closed"))
    assert listener.state("bed", "call") == "ON", "the second is open"
    listener.tell(call("c2", Kind.CALL_STATE, state="cancelled"))
    assert listener.state("bed", "call") == "OFF"


@pytest.mark.parametrize("state", sorted(CallState))
def test_only_an_end_ends_a_call(home, state):
    listener = Listener(home)
    listener.tell(call("c1"))
    listener.tell(call("c1", Kind.CALL_STATE, state=str(state)))
    assert listener.state("bed", "call") == ("OFF" if state in CALL_ENDED else "ON")


def known(call_id, device, state="stored", **more):
    return {"call": call_id, "device": device, "state": state, "presses": 1, **more}


def test_calls_are_as_the_desk_knows_them_whenever_a_session_begins(tmp_path):
    """Of an earlier run, or of a time when the broker was away and events were dropped."""
    calls = [
        known("c1", "bed", None),
        known("c2", "band.1", test=True),
        known("c3", "beacon", "closed"),
        known("c4", "gateway"),
        known("c5", "sold"),
    ]
    home = home_in(tmp_path, calls=calls)
    listener = Listener(home)
    states = {name: listener.state(name, "call") for name in ("bed", "band.1", "beacon")}
    assert states == {"bed": "ON", "band.1": "OFF", "beacon": "OFF"}
    listener.tell(call("c6", device="beacon"))
    assert listener.state("beacon", "call") == "ON"
    calls.clear()
    again = Listener(home)
    assert {again.state(name, "call") for name in states} == {"OFF"}


def test_an_installers_test_is_an_event_and_calls_nobody(home):
    listener = Listener(home)
    listener.tell(call("c1", cause="button", test=True))
    assert json.loads(listener.state("bed", "calls"))["event_type"] == "test"
    assert listener.state("bed", "call") == "OFF"
    listener.tell(call("c2", device="gateway", cause="test", test=True))
    assert json.loads(listener.state("gateway", "calls"))["event_type"] == "test"
    listener.tell(reading("smoke", kind=Kind.ALARM, alarm="smoke", active=True, test=True))
    assert listener.state("smoke", "alarm/smoke") == "OFF"


def test_nothing_rings_again_after_a_restart_of_home_assistant(home):
    """What is retained is what it gets then."""
    listener = Listener(home)
    listener.tell(call("c1"))
    listener.tell(reading("beacon", Measurement("button_2", "double")))
    assert not listener.retained[listener.find("bed", "calls")["state_topic"]]
    press = listener.find("beacon", "press/button_2")
    assert not listener.retained[press["state_topic"]]
    assert json.loads(listener.state("beacon", "press/button_2")) == {"event_type": "double"}
    listener.tell(reading("meter", Measurement("volume", 1.0, "m3")))
    assert listener.retained[listener.find("meter", "measurement/volume")["state_topic"]]


def test_a_press_of_a_kind_that_is_not_known_is_another(home):
    listener = Listener(home)
    listener.tell(reading("beacon", Measurement("button", "tap-tap")))
    listener.tell(reading("beacon", Measurement("dimmer", -3)))
    assert json.loads(listener.state("beacon", "press/button")) == {"event_type": "other"}
    turned = json.loads(listener.state("beacon", "press/dimmer"))
    assert turned == {"event_type": "turned", "steps": -3}


@pytest.mark.parametrize(
    ("alarm", "device_class"),
    [
        ("smoke", "smoke"),
        ("gas", "gas"),
        ("heat", "heat"),
        ("water", "moisture"),
        ("new", "safety"),
    ],
)
def test_alarms_come_and_go_and_last_over_a_restart(home, alarm, device_class):
    listener = Listener(home)
    for active in (True, False):
        detail = {"alarm": alarm, "active": active, "contact": "detector_1"}
        listener.tell(reading("io", kind=Kind.ALARM, **detail))
        assert listener.state("io", f"alarm/{alarm}/detector_1") == ("ON" if active else "OFF")
    found = listener.find("io", f"alarm/{alarm}/detector_1")
    assert found["device_class"] == device_class
    assert listener.retained[found["state_topic"]]


def test_faults_are_problems(home):
    listener = Listener(home)
    listener.tell(reading("meter", kind=Kind.FAULT, fault="overloaded", active=True))
    assert listener.find("meter", "fault/overloaded")["device_class"] == "problem"
    assert listener.state("meter", "fault/overloaded") == "ON"
    listener.tell(reading("journal", kind=Kind.FAULT, fault="flash", active=False))
    assert listener.state("gateway", "fault/flash") == "OFF"
    assert not listener.tell(reading("bed", kind=Kind.FAULT, fault="stuck")), "it happened once"


def test_what_a_band_kept_for_hours_is_not_how_it_is_now(home):
    listener = Listener(home)
    listener.tell(reading("band.1", Measurement("heart_rate", 80, "beat/min")))
    old = reading("band.1", Measurement("heart_rate", 55, "beat/min"), stored=True)
    assert not listener.tell(old)
    assert listener.state("band.1", "measurement/heart_rate") == "80"


# --- over restarts ------------------------------------------------------------------------------


def test_that_a_call_is_open_is_known_after_a_restart_of_home_assistant(home):
    """It said `unknown` for as long as nobody called, and of an open call, too."""
    listener = Listener(home)
    call_topic = listener.find("bed", "call")["state_topic"]
    assert (listener.states[call_topic], listener.retained[call_topic]) == ("OFF", True)
    listener.tell(call("c1"))
    assert (listener.states[call_topic], listener.retained[call_topic]) == ("ON", True)
    assert call_topic in home.topics(), "it is cleared once the device is gone"


async def test_a_detector_that_never_told_an_alarm_is_not_unknown(tmp_path):
    home = home_in(tmp_path)
    assert Listener(home).state("smoke", "alarm/smoke") == "OFF"
    home.answer(reading("smoke", kind=Kind.ALARM, alarm="smoke", active=True))
    await home._kept.save()
    again = Listener(home_in(tmp_path))
    assert again.find("smoke", "alarm/smoke")["state_topic"] not in again.states, "who knows?"


def test_a_broker_that_comes_back_is_told_how_things_are(home):
    """It may have lost all, or have what it wrote to its disk half an hour ago."""
    listener = Listener(home)
    listener.tell(reading("smoke", kind=Kind.ALARM, alarm="smoke", active=True))
    listener.tell(reading("door", Measurement("open", True)))
    listener.tell(reading("door", Measurement("open", False)))
    listener.tell(reading("beacon", Measurement("button", "press")))
    again = Listener(home)
    assert again.state("smoke", "alarm/smoke") == "ON"
    assert again.state("door", "measurement/open") == "OFF"
    assert again.find("beacon", "press/button")["state_topic"] not in again.states


async def test_entities_are_known_after_a_restart_and_their_ids_stay(tmp_path):
    home = home_in(tmp_path)
    listener = Listener(home)
    listener.tell(reading("meter", Measurement("volume", 1.0, "m3"), Measurement("a/b+#", 1)))
    await home._kept.save()
    again = Listener(home_in(tmp_path))
    assert again.components == listener.components
    assert again.find("meter", "measurement/a%2Fb%2B%23")["name"] == "A/b+#"
    assert not home_in(tmp_path).answer(reading("meter", Measurement("volume", 2.0, "m3"))).configs


async def test_a_device_of_another_kind_begins_anew(tmp_path):
    home = home_in(tmp_path, [DeviceSettings("d", "contact", options={"kind": "smoke"})])
    await home._kept.save()
    changed = home_in(tmp_path, [DeviceSettings("d", "contact", options={"kind": "door"})])
    assert "hearth/gw_1/d/alarm/smoke" not in Listener(changed).components
    assert "hearth/gw_1/d/measurement/open" in Listener(changed).components


@pytest.mark.parametrize("text", ["", "[]", '{"devices": 5}', "{" * 5000, "x" * 2_000_000])
def test_a_kept_file_that_cannot_be_believed_is_none(tmp_path, text):
    (tmp_path / "mirror.json").write_text(text)
    assert len(Listener(home_in(tmp_path)).devices) == len(DEVICES) + 1


def test_an_entity_that_changes_is_told_anew(home):
    listener = Listener(home)
    listener.tell(reading("io", Measurement("mode", 1)))
    listener.tell(reading("io", Measurement("mode", 1, "Hz")))
    assert listener.find("io", "measurement/mode")["device_class"] == "frequency"
