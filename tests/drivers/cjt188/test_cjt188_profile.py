"""Status profiles: the one we ship, and what is said of faulty ones."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cjt188.driver import Cjt188Driver, Cjt188Settings
from drivers.cjt188.profile import NO_PROFILE, load_profile, parse_profile
from drivers.cjt188.wire import Status
from gateway.errors import SettingsError

HEAD = '[profile]\ntitle = "a meter"\n'
BIT = '[[bit]]\nname = "magnet"\nbyte = 1\nbit = 3\n'
SHIPPED = Path(__file__).parents[3] / "config" / "profiles" / "cjt188"


def faults(text):
    with pytest.raises(SettingsError) as caught:
        parse_profile(text, "test", "test.toml")
    return "\n".join(caught.value.faults)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_profiles_are_sound(path):
    assert load_profile(path.stem).bits


def test_kingda_as_its_firmware_has_it():
    bits = {bit.name: bit for bit in load_profile("kingda").bits}
    assert bits["magnet"].read(Status(bytes([0x00, 0x08])))
    assert not bits["magnet"].read(Status(bytes([0xFF, 0xF7])))
    assert bits["counter_fault"].read(Status(bytes([0x00, 0x10])))


def test_no_profile():
    assert load_profile("") is NO_PROFILE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[profile", "not TOML"),
        (BIT, "profile.title: missing"),
        (HEAD, "at least one [[bit]]"),
        ("bit = 5\n" + HEAD, "at least one [[bit]]"),
        ("bit = [5]\n" + HEAD, "bit[0]: must be a table"),
        ("profile = 5\n" + BIT, "profile: must be a table"),
        (HEAD + BIT + "[more]", "more: unknown section"),
        (HEAD + BIT + "alrm = true", "alrm: unknown key; did you mean 'alarm'?"),
        (HEAD + BIT.replace("byte = 1", "byte = 2"), "Expected int <= 1"),
        (HEAD + BIT.replace("bit = 3", "bit = 8"), "Expected int <= 7"),
        (HEAD + BIT.replace("magnet", "a b"), "matching regex"),
        (HEAD + BIT.replace("magnet", "volume"), "tells something else under this name"),
        (HEAD + BIT + BIT.replace("bit = 3", "bit = 4"), "the name is used twice"),
        (HEAD + BIT + BIT.replace("magnet", "leak"), "this bit has a name"),
        (HEAD + '[[bit]]\nname = "x"\nbyte = 0\nbit = 2', "this bit is the standard's"),
    ],
)
def test_faults(text, fault):
    assert fault in faults(text)


@given(st.text(max_size=80) | st.text(max_size=40).map(lambda text: HEAD + BIT + text))
def test_whatever_is_in_the_file(text):
    try:
        parse_profile(text, "test", "test.toml")
    except SettingsError as error:
        assert error.faults


def test_a_profile_that_is_not_there_is_a_fault_of_the_settings():
    options = {"address": "78330011223344", "profile": "nobody"}
    with pytest.raises(SettingsError, match="nobody"):
        Cjt188Driver.check(msgspec.convert(options, Cjt188Settings))


@pytest.mark.parametrize("name", ["../modbus/bove", "a/b", ".", "a\n"])
def test_names_that_are_none(name):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"address": "78330011223344", "profile": name}, Cjt188Settings)
