"""The pure rules: which message is fresh, which is a repetition, which value is told; the key."""

import sys

import msgspec
import pytest

from drivers.bthome.driver import BthomeDriver
from drivers.bthome.guard import RESTARTED, SAME_COUNTER, Guard
from drivers.bthome.key import read_key
from drivers.bthome.memory import RETELL_S, SAME_BYTES_S, SAME_PACKET_S, Events, Values
from drivers.bthome.settings import EVERY_PRESS, BthomeSettings
from drivers.bthome.wire.objects import OTHER_PRESS, PRESSES
from drivers.call import SAME_CALL_S, SameCall
from gateway.errors import SettingsError
from gateway.model import Measurement

# --- fresh or replayed ---------------------------------------------------------------------------


def accepted(guard, *counters):
    return [guard.accepts(counter, b"%d" % counter) for counter in counters]


def test_a_counter_that_increases_is_fresh():
    assert accepted(Guard(), 0, 1, 5000, 5001, 2**32 - 1) == [True] * 5


def test_a_counter_that_was_passed_is_a_replay():
    guard = Guard()
    assert accepted(guard, 5000, 4999, RESTARTED, 5001, 5000) == [True, False, False, True, False]


def test_the_first_message_passes_whatever_its_counter():
    assert accepted(Guard(), 3_000_000) == [True]


@pytest.mark.parametrize("counter", [0, 1, RESTARTED - 1])
def test_a_device_that_began_anew_is_heard(counter):
    guard = Guard()
    assert accepted(guard, 2**32 - 1, counter, counter + 1) == [True] * 3


def test_a_device_that_began_anew_elsewhere_is_not():
    assert accepted(Guard(), 5000, RESTARTED + 1) == [True, False]


def test_what_was_said_last_is_a_repetition():
    guard = Guard()
    assert not guard.repeats(b"a")
    assert guard.accepts(7, b"a")
    assert guard.repeats(b"a")
    assert guard.accepts(8, b"b")
    assert not guard.repeats(b"a")


def test_a_few_messages_may_share_a_counter():
    guard = Guard()
    fresh = [guard.accepts(500, bytes([n])) for n in range(SAME_COUNTER + 1)]
    assert fresh == [True] * SAME_COUNTER + [False]
    assert guard.repeats(b"\0")
    assert guard.accepts(501, b"next")


# --- new or repeated -----------------------------------------------------------------------------


def test_a_packet_id_is_the_same_event_until_it_was_silent_for_a_minute():
    events = Events()
    assert events.is_new(9, SAME_PACKET_S, 0)
    assert not events.is_new(9, SAME_PACKET_S, 59)
    assert not events.is_new(9, SAME_PACKET_S, 59 + 59)
    assert events.is_new(9, SAME_PACKET_S, 59 + 59 + SAME_PACKET_S)
    assert events.is_new(10, SAME_PACKET_S, 200)


def test_without_one_the_same_bytes_are_the_same_event_for_seconds():
    events = Events()
    assert events.is_new(b"a", SAME_BYTES_S, 0)
    assert not events.is_new(b"a", SAME_BYTES_S, 3.9)
    assert events.is_new(b"b", SAME_BYTES_S, 4)
    assert events.is_new(b"b", SAME_BYTES_S, 8)


def test_presses_in_fear_are_one_call():
    same = SameCall()
    times = (0, 1, SAME_CALL_S - 0.1, SAME_CALL_S, 2 * SAME_CALL_S + 1)
    assert [same.is_new(at) for at in times] == [True, False, False, True, True]


def test_a_value_is_told_when_it_changes_and_once_a_minute():
    values = Values()
    door = Measurement("door", True)
    warm, cold = Measurement("temperature", 21.0, "Cel"), Measurement("temperature", 20.9, "Cel")
    assert values.due([door, warm], 0) == (door, warm)
    assert values.due([door, warm], 1) == ()
    assert values.due([door, cold], 2) == (cold,)
    assert values.due([door, cold], RETELL_S) == (door,)
    assert values.due([door, cold], RETELL_S + 2) == (cold,)


# --- settings and key ----------------------------------------------------------------------------


def test_settings_know_every_press():
    assert {*EVERY_PRESS} == {*PRESSES.values(), OTHER_PRESS}
    table = {"address": "C0:FF:EE:00:00:02", "call_on": ["long", "hold"]}
    assert msgspec.convert(table, BthomeSettings).call_on == ("long", "hold")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**table, "call_on": ["sneeze"]}, BthomeSettings)


def test_the_key_is_in_a_file_and_nowhere_else(key_file):
    settings = BthomeSettings("C0:FF:EE:00:00:02", key_file=str(key_file))
    BthomeDriver.check(settings)
    assert read_key(str(key_file)) == bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
    assert "231d" not in repr(settings)


@pytest.mark.parametrize("text", ["", "231d39c1", "231d39c1d7cc1ab1aee224cd096db93x", "00" * 17])
def test_no_key_in_the_file(key_file, text):
    key_file.write_text(text)
    with pytest.raises(SettingsError) as faulty:
        read_key(str(key_file))
    assert "32 hexadecimal digits" in str(faulty.value)
    assert not text or text not in str(faulty.value)


def test_a_key_that_everybody_can_read(key_file):
    key_file.chmod(0o644)
    with pytest.raises(SettingsError) as faulty:
        read_key(str(key_file))
    assert faulty.value.hint == f"chmod 600 {key_file}"


def test_a_key_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        BthomeDriver.check(BthomeSettings("C0:FF:EE:00:00:02", key_file=f"{tmp_path}/none"))


def test_without_a_key_no_cryptography_is_loaded(tmp_path):
    import subprocess

    program = "import sys, drivers.bthome.driver; print('cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
