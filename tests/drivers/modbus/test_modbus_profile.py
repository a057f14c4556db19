"""Register maps: those we ship, and what is said of faulty ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modbus_requests import data_of

from drivers.modbus.profile import load_profile, parse_profile
from drivers.modbus.wire import ReadRequest
from gateway import resources
from gateway.errors import DecodeError, SettingsError
from gateway.model import Measurement

SHIPPED = sorted(path.stem for path in Path(resources.ROOTS[-1], "profiles/modbus").glob("*.toml"))
HEAD = '[profile]\ntitle = "a meter"\n'


def register(**keys):
    values = {True: "true", False: "false"}
    lines = [
        f"{key} = {values[value] if isinstance(value, bool) else repr(value)}".replace("'", '"')
        for key, value in keys.items()
    ]
    return "\n".join(["[[register]]", *lines, ""])


def parse(text):
    return parse_profile(text, "test", "test.toml")


def faults(text):
    with pytest.raises(SettingsError) as caught:
        parse(text)
    return list(caught.value.faults)


def test_xintai_is_read_at_once_as_its_maker_does():
    (block,) = load_profile("xintai").blocks()
    assert block.request(7) == ReadRequest(7, 3, 0x0001, 28)


def test_xintai_values():
    (block,) = load_profile("xintai").blocks()
    data = bytearray(56)
    data[0:4] = bytes.fromhex("6666a641")  # 20.8 as a little-endian float
    data[8:12] = bytes.fromhex("1e850b3f")  # the maker's example, 0.545 m3/h
    data[12:14] = bytes.fromhex("00aa")
    data[50:54] = bytes.fromhex("66666640")  # 3.6
    data[54:56] = bytes.fromhex("0009")  # valve open, battery low
    measurements, withheld = block.read(bytes(data))
    assert not withheld
    assert measurements == [
        Measurement("volume", 20.8, "m3"),
        Measurement("volume_reverse", 0.0, "m3"),
        Measurement("flow", pytest.approx(0.54499996 / 3600), "m3/s"),
        Measurement("pipe", "full"),
        Measurement("battery", 3.6, "V"),
        Measurement("valve", "open"),
        Measurement("valve_fault", False),
        Measurement("battery_low", True),
    ]


def test_bove_values():
    (block,) = load_profile("bove").blocks()
    assert block.request(1) == ReadRequest(1, 3, 1, 34)
    words = dict.fromkeys(range(1, 35), 0)
    words |= {1: 1587, 7: 12345, 19: 291, 20: 0x0024, 30: 2715, 33: 0x1234, 34: 0x5678}
    measurements, withheld = block.read(b"".join(w.to_bytes(2, "big") for w in words.values()))
    assert not withheld
    assert {m.name: (m.value, m.unit) for m in measurements} == {
        "flow": (15.87 / 3_600_000, "m3/s"),  # the numbers of its public firmware's own print-out
        "volume": (12.345, "m3"),
        "volume_reverse": (0, "m3"),
        "pressure": (291_000, "Pa"),
        "pipe_empty": (True, ""),
        "battery_low": (True, ""),
        "temperature": (27.15, "Cel"),
        "serial": ("12345678", ""),
    }


def test_absurd_values_are_withheld_and_the_others_are_not():
    (block,) = load_profile("xintai").blocks()
    data = bytearray(56)
    data[0:4] = bytes.fromhex("0000c07f")  # NaN
    data[12:14] = bytes.fromhex("1234")  # neither full nor empty
    data[50:54] = bytes.fromhex("0000c842")  # 100 V
    data[54:56] = bytes.fromhex("0003")  # open and closed at once
    measurements, withheld = block.read(bytes(data))
    assert withheld.keys() == {"volume", "pipe", "battery", "valve"}
    assert "100 V is not within 0 and 24" in withheld["battery"]
    assert {m.name for m in measurements} == {
        "volume_reverse",
        "flow",
        "valve_fault",
        "battery_low",
    }


def test_a_number_no_event_could_carry_is_withheld():
    (block,) = parse(HEAD + register(name="n", address=0, type="u64")).blocks()
    assert block.read(b"\xff" * 8)[1].keys() == {"n"}


@given(st.sampled_from(SHIPPED), st.data())
def test_fuzz_shipped_profiles(name, data):
    for block in load_profile(name).blocks():
        raw = data.draw(data_of(block.request(1)))
        measurements, withheld = block.read(raw)
        assert len(measurements) + len(withheld) == len(block.registers)


@given(st.binary(max_size=200))
def test_fuzz_block_length(raw):
    (block,) = load_profile("xintai").blocks()
    if len(raw) != 2 * block.count:
        with pytest.raises(DecodeError):
            block.read(raw)


def blocks(text):
    return [(block.address, block.count) for block in parse(text).blocks()]


def test_only_neighbours_share_a_request_unless_the_profile_allows_more():
    some = [register(name=f"r{a}", address=a, type="u16") for a in (0, 1, 4, 90, 200)]
    assert blocks(HEAD + "".join(some)) == [(0, 2), (4, 1), (90, 1), (200, 1)]
    assert blocks(HEAD + "join = 2\n" + "".join(some)) == [(0, 5), (90, 1), (200, 1)]
    # 125 registers are the most of one request
    assert blocks(HEAD + "join = 125\n" + "".join(some)) == [(0, 91), (200, 1)]


def test_every_fault_is_named_with_its_place():
    text = "[profile]\ntitel = 'x'\n" + register(name="a", address=70000, type="u16")
    text += register(name="b c", address=1, type="u17")
    found = faults(text)
    assert "test.toml:2: profile.titel: unknown key; did you mean 'title'?" in found
    assert any("profile.title: missing" in fault for fault in found)
    assert any(fault.startswith("test.toml:5: register[0].address") for fault in found)
    assert any(fault.startswith("test.toml:8: register[1].name") for fault in found)
    assert any("u17" in fault for fault in found)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"type": "u32", "bit": 1}, "bit: needs type u16"),
        ({"type": "u16", "digits": 4}, "digits: needs type bcd"),
        ({"type": "u16", "scale": "1/0"}, "scale: is no number"),
        ({"type": "u16", "scale": "ten"}, "scale: is no number"),
        ({"type": "u16", "mask": 3}, "mask: means something with states only"),
        ({"type": "u16", "min": 5, "max": 4}, "min: is above max"),
        ({"type": "bit"}, '"bit" is for functions 1 and 2'),
        ({"type": "u16", "function": 2}, 'functions 1 and 2 read type "bit"'),
        ({"type": "bit", "function": 1, "scale": 2, "max": 1}, "scale, max: mean nothing"),
        ({"type": "bit", "function": 1, "invalid": [1]}, "invalid: means nothing for a bit"),
        ({"type": "bit", "function": 1, "bit": 0}, "bit: needs type u16"),
        ({"type": "u16", "invalid": [0x10000]}, "invalid: is more than the registers hold"),
        ({"type": "u16", "invalid": [-1]}, "register[0].invalid"),
        ({"type": "u16", "invert": True}, "invert: needs a bit"),
        ({"type": "u16", "alarm": True}, "alarm: needs a bit"),
        ({"type": "bit", "function": 2, "writable": True}, "only coils and holding registers"),
        ({"type": "u16", "function": 4, "writable": True}, "only coils and holding registers"),
        ({"type": "u16", "bit": 3, "writable": True}, "a part of a register"),
        ({"type": "u16", "function": 7}, "register[0].function"),
    ],
)
def test_contradictions(keys, what):
    assert [f for f in faults(HEAD + register(name="n", address=1, **keys)) if what in f]


def test_more_contradictions():
    states = '[[register]]\nname = "n"\naddress = 1\ntype = "u16"\nstates = { one = "x" }\n'
    assert "keys are integers" in faults(HEAD + states)[0]
    assert (
        "beyond the last register"
        in faults(HEAD + register(name="n", address=65535, type="u32"))[0]
    )
    twice = register(name="n", address=1, type="u16")
    assert "used twice" in faults(HEAD + twice + twice)[0]
    assert "at least one" in faults(HEAD)[0]
    assert "not TOML" in faults("[profile")[0]
    assert "must be a table" in faults("profile = 3\n")[0]
    assert "unknown section" in faults(HEAD + "[registers]\n")[0]


def test_a_missing_profile_says_where_it_was_looked_for():
    with pytest.raises(SettingsError, match="nonesuch") as caught:
        load_profile("nonesuch")
    assert "/etc/hearth" in caught.value.hint


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_load(name):
    profile = load_profile(name)
    assert profile.registers
    assert all(it.area for it in profile.registers)


def test_an_alarm_needs_a_name_of_its_own():
    text = HEAD + register(name="withheld", address=1, type="bit", function=2, alarm=True)
    assert "tells another fault under this name" in faults(text)[0]


def test_values_of_several_registers_cannot_be_written_singly():
    text = HEAD + 'write = "single"\n'
    text += register(name="a", address=1, type="u16", writable=True)
    text += register(name="b", address=2, type="u32", writable=True)
    (fault,) = faults(text)
    assert "register[1] b: writable:" in fault


def test_a_line_is_a_line():
    assert any("profile.line" in fault for fault in faults(HEAD + 'line = "fast"\n'))


def test_functions_are_the_profiles_unless_a_register_has_its_own():
    text = HEAD + "function = 4\n" + register(name="a", address=1, type="u16")
    text += register(name="b", address=2, type="u16")
    text += register(name="c", address=3, type="u16", function=3)
    text += register(name="d", address=0, type="bit", function=1)
    text += register(name="e", address=1, type="bit", function=1)
    text += register(name="f", address=1, type="bit", function=2)
    found = [(b.function, b.address, b.count) for b in parse(text).blocks()]
    assert found == [(1, 0, 2), (2, 1, 1), (3, 3, 1), (4, 1, 2)]


def test_bits_are_joined_up_to_2000():
    text = HEAD + "function = 2\njoin = 125\n"
    text += "".join(register(name=f"b{a}", address=a, type="bit") for a in range(0, 2200, 100))
    assert blocks(text) == [(0, 1901), (2000, 101)]


def test_bits_and_their_inverse():
    text = HEAD + "function = 2\njoin = 7\n"
    text += register(name="a", address=10, type="bit")
    text += register(name="b", address=12, type="bit", invert=True)
    text += register(name="c", address=18, type="bit")
    (block,) = parse(text).blocks()
    values = {m.name: m.value for m in block.read(b"\x01\x01")[0]}
    assert values == {"a": True, "b": True, "c": True}
    values = {m.name: m.value for m in block.read(b"\xfe\xfe")[0]}
    assert values == {"a": False, "b": False, "c": False}


def test_raw_values_that_mean_no_reading():
    text = HEAD + register(name="a", address=0, type="u16", scale=0.1, invalid=[0xFFFF, 0x8000])
    text += register(name="b", address=1, type="s16", invalid=[0x8000])
    text += register(name="c", address=2, type="f32", order="cdab", invalid=[0x7FC00000])
    text += register(name="d", address=4, type="bcd", digits=4, invalid=[0xFFFF])
    text += register(name="e", address=5, type="u16")
    (block,) = parse(text).blocks()
    measurements, withheld = block.read(bytes.fromhex("8000 8000 0000 7fc0 ffff 0001"))
    assert [m.name for m in measurements] == ["e"]
    assert withheld == {
        "a": "0x8000 means no reading",
        "b": "0x8000 means no reading",
        "c": "0x7fc00000 means no reading",
        "d": "0xffff means no reading",
    }
    assert not block.read(bytes.fromhex("7fff 7fff 0000 3f80 1234 0001"))[1]
