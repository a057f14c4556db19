"""What drivers see of their hardware without touching it."""

from __future__ import annotations

import os
import pty
from pathlib import Path
from types import SimpleNamespace

import pytest
from found import FAULT, OK, WARNING, levels, only

from drivers.ble import look as ble_look
from drivers.ble.look import look_at_adapter
from drivers.bthome.driver import BthomeDriver
from drivers.bthome.settings import BthomeSettings
from drivers.bus import look as bus_look
from drivers.bus.look import look_at_port
from drivers.button.driver import ButtonDriver
from drivers.button.settings import ButtonSettings
from drivers.contact.driver import ContactDriver
from drivers.contact.settings import ContactSettings
from drivers.gpio import look as gpio_look
from drivers.modbus.driver import ModbusDriver
from drivers.modem.driver import ModemDriver
from drivers.modem.settings import ModemSettings
from drivers.signal.driver import SignalDriver
from drivers.signal.settings import SignalSettings
from drivers.sim.board import VirtualBoard
from drivers.speaker import look as speaker_look
from drivers.speaker.driver import SpeakerDriver
from drivers.speaker.settings import SpeakerSettings
from drivers.wristband.driver import WristbandDriver
from drivers.wristband.settings import WristbandSettings
from gateway.doctor.examination import look_at_devices
from gateway.driver import Driver, NoSettings
from gateway.errors import LinkLost
from gateway.finding import ok
from gateway.plan import Planned
from gateway.settings import BusSettings, DeviceSettings

# --- ports ---------------------------------------------------------------------------------------


@pytest.fixture
def port():
    """A serial port."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_port_that_is_there(port):
    only([look_at_port(port)], OK, "is there")


def test_a_port_that_is_not(tmp_path):
    only([look_at_port(str(tmp_path / "ttyUSB0"))], FAULT, "No such file")
    (tmp_path / "file").touch()
    only([look_at_port(str(tmp_path / "file"))], FAULT, "no serial port")


def test_a_port_that_is_not_ours(port, monkeypatch):
    monkeypatch.setattr(bus_look.os, "access", lambda *_: False)
    finding = only([look_at_port(port)], FAULT, "not ours to open")
    assert "dialout" in finding.hint.english


def test_a_port_that_is_numbered_is_told_its_lasting_name(port, tmp_path, monkeypatch):
    folder = tmp_path / "by-id"
    folder.mkdir()
    monkeypatch.setattr(bus_look, "_BY_ID", folder)
    monkeypatch.setattr(bus_look, "_NUMBERED", bus_look.re.compile(r"/dev/pts/\d+"))
    finding = only([look_at_port(port)], WARNING, "another number")
    assert "/dev/serial" in finding.hint.english
    (folder / "usb-adapter").symlink_to(port)
    assert str(folder / "usb-adapter") in look_at_port(port).hint.chinese
    assert look_at_port(str(folder / "usb-adapter")).level is OK


def test_a_port_of_another_machine_is_left_alone():
    only([look_at_port("socket://203.0.113.1:4001")], OK, "another machine")


def test_meters_and_modems_look_at_their_port(port):
    (of_bus,) = ModbusDriver.look(None, BusSettings("b", port))
    assert (of_bus.level, of_bus.about) == (OK, "bus b")
    only(
        ModemDriver.look(ModemSettings(port="/nowhere", numbers=("123",)), None), FAULT, "/nowhere"
    )


# --- lines ---------------------------------------------------------------------------------------


class Chip:
    """Lines 17, held by whoever the test says, and 27, which is free."""

    consumer: str | None = None

    def __init__(self, path: str) -> None:
        if path == "/dev/missing":
            raise FileNotFoundError(2, "No such file or directory")

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_line_info(self, offset: int) -> SimpleNamespace:
        if offset > 27:
            raise ValueError("line offset out of range")
        used = offset == 17 and self.consumer is not None
        return SimpleNamespace(used=used, consumer=self.consumer if used else "")


@pytest.fixture
def chip(monkeypatch):
    fake = type("FakeChip", (Chip,), {})
    monkeypatch.setattr(gpio_look.gpiod, "Chip", fake)
    return fake


def button(**more: object) -> ButtonSettings:
    return ButtonSettings(**{"chip": "/dev/gpiochip0", "offset": 17, "light": 27} | more)


def test_lines_that_are_free_or_hearths_own(chip):
    only(ButtonDriver.look(button(), None), OK, "lines 17, 27")
    chip.consumer = "hearth"
    only(ButtonDriver.look(button(), None), OK, "lines 17, 27")


@pytest.mark.parametrize(("consumer", "owner"), [("led-driver", "led-driver"), ("", "the kernel")])
def test_a_line_that_somebody_else_has(chip, consumer, owner):
    chip.consumer = consumer
    only(ButtonDriver.look(button(), None), FAULT, f"line 17 is held by {owner}")


def test_a_line_or_a_chip_that_is_not_there(chip):
    finding = only(ButtonDriver.look(button(light=28), None), FAULT, "out of range")
    assert "gpioinfo" in finding.hint.english
    only(ButtonDriver.look(button(chip="/dev/missing"), None), FAULT, "No such file")
    only(ButtonDriver.look(button(chip="pinctrl-nowhere"), None), FAULT, "no such chip")


def test_contacts_and_signals_name_their_lines(chip):
    contact = ContactSettings(
        kind="smoke", normally="open", chip="/dev/gpiochip0", offset=23, offset_nc=24
    )
    only(ContactDriver.look(contact, None), OK, "lines 23, 24")
    signal = SignalSettings(chip="/dev/gpiochip0", lamp=5, beeper=None)
    only(SignalDriver.look(signal, None), OK, "line 5")


async def test_a_virtual_board(tmp_path):
    settings = button(chip=f"sim:{tmp_path}/board.sock")
    only(ButtonDriver.look(settings, None), FAULT, "no virtual hardware")
    async with VirtualBoard(tmp_path / "board.sock"):
        only(ButtonDriver.look(settings, None), OK, "is there")


# --- radio ---------------------------------------------------------------------------------------


@pytest.fixture
def adapters(tmp_path, monkeypatch) -> Path:
    """The kernel's list, with hci0 and a connection of it."""
    for name in ("hci0", "hci0:64"):
        (tmp_path / name / "rfkill0").mkdir(parents=True)
    monkeypatch.setattr(ble_look, "_ADAPTERS", tmp_path)
    return tmp_path


def band(**more: str) -> WristbandSettings:
    return WristbandSettings(address="C0:FF:EE:00:00:01", **more)


def test_an_adapter_that_is_there(adapters):
    assert only([look_at_adapter("hci0")], OK, "is there").about == "hci0"
    only(BthomeDriver.look(BthomeSettings(address="C0:FF:EE:00:00:01"), None), OK, "is there")


def test_an_adapter_that_is_not(adapters):
    only([look_at_adapter("hci1")], FAULT, "there is no hci1; present: hci0")


@pytest.mark.parametrize("switch", ["soft", "hard"])
def test_an_adapter_that_is_blocked(adapters, switch):
    (adapters / "hci0" / "rfkill0" / "state").write_text("1\n")
    (adapters / "hci0" / "rfkill0" / switch).write_text("0\n")
    assert look_at_adapter("hci0").level is OK
    (adapters / "hci0" / "rfkill0" / switch).write_text("1\n")
    only([look_at_adapter("hci0")], FAULT, "blocked by rfkill")


def test_a_second_adapter_is_not_needed(adapters):
    assert levels(WristbandDriver.look(band(), None)) == [OK]
    assert levels(WristbandDriver.look(band(listen_adapter="hci1"), None)) == [OK, WARNING]
    assert levels(WristbandDriver.look(band(listen_adapter="hci0"), None)) == [OK, OK]


def test_a_virtual_adapter(tmp_path):
    only([look_at_adapter(f"sim:{tmp_path}/radio.sock")], FAULT, "no virtual hardware")


# --- loudspeaker ---------------------------------------------------------------------------------


@pytest.fixture
def speaker(tmp_path, monkeypatch) -> SpeakerSettings:
    """All that it needs."""
    programs, devices, sounds = (tmp_path / name for name in ("bin", "snd", "sounds"))
    for folder in (programs, devices, sounds / "zh"):
        folder.mkdir(parents=True)
    for name in ("aplay", "espeak-ng"):
        (programs / name).touch(0o755)
    (devices / "pcmC1D0p").touch()
    (sounds / "zh" / "x.wav").touch()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(speaker_look, "_DEVICES", devices)
    return SpeakerSettings(sounds=str(sounds))


def test_a_loudspeaker_that_can_speak(speaker):
    assert levels(SpeakerDriver.look(speaker, None)) == [OK, OK, OK]


@pytest.mark.parametrize("name", ["aplay", "espeak-ng"])
def test_a_program_that_is_missing(speaker, tmp_path, name):
    (tmp_path / "bin" / name).unlink()
    (missing,) = [it for it in SpeakerDriver.look(speaker, None) if it.level is FAULT]
    assert missing.what.english == f"{name} is not installed"
    assert missing.hint.english.startswith("sudo apt install")


def test_no_sound_card(speaker, tmp_path, monkeypatch):
    monkeypatch.setattr(speaker_look.os, "access", lambda *_: False)
    assert "group audio" in SpeakerDriver.look(speaker, None)[2].hint.english
    (tmp_path / "snd" / "pcmC1D0p").rename(tmp_path / "snd" / "pcmC1D0c")  # a microphone
    assert "no sound card" in SpeakerDriver.look(speaker, None)[2].what.english


def test_another_player_needs_no_card_of_this_machine(speaker, tmp_path):
    (tmp_path / "bin" / "castwav").touch(0o755)
    (tmp_path / "snd" / "pcmC1D0p").unlink()
    settings = SpeakerSettings(sounds=speaker.sounds, player=("castwav", "-"))
    assert levels(SpeakerDriver.look(settings, None)) == [OK, OK]


def test_phrases_that_were_not_rendered(speaker, tmp_path):
    (tmp_path / "sounds" / "zh" / "x.wav").unlink()
    assert SpeakerDriver.look(speaker, None)[3].hint.english == "hearth phrases render"


# --- all devices ---------------------------------------------------------------------------------


class Shared(Driver):
    """Says the same of what all share, and something of itself."""

    async def run(self) -> None: ...

    @classmethod
    def look(cls, settings, bus):
        return [ok("up", "好", about="adapter"), ok("here", "在")]


class Broken(Shared):
    """Cannot even look."""

    @classmethod
    def look(cls, settings, bus):
        raise LinkLost("gone", where="x", hint="come back")


class Silent(Driver):
    """Of a third party that knows nothing of this."""

    async def run(self) -> None: ...


def test_what_is_shared_is_told_once_and_a_broken_look_is_a_fault():
    kinds = [Shared, Shared, Broken, Silent]
    planned = [
        Planned(kind, NoSettings(), DeviceSettings(f"d{number}", "x"), None)
        for number, kind in enumerate(kinds)
    ]
    found = list(look_at_devices(planned))
    assert [it.about for it in found] == ["adapter", "d0", "d1", "d2"]
    assert (found[3].level, found[3].what.english, found[3].hint.english) == (
        FAULT,
        "x: gone",
        "come back",
    )
