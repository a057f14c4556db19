"""Which family serves which band, and what each says of itself."""

from datetime import UTC, datetime

import pytest

from drivers.wristband import family as families
from drivers.wristband.driver import WristbandDriver
from drivers.wristband.families.colmi import Colmi
from drivers.wristband.families.fff0 import Fff0
from drivers.wristband.families.moyoung import Moyoung
from drivers.wristband.families.standard import Standard
from drivers.wristband.family import Family, check_profile, find_family
from drivers.wristband.settings import WristbandSettings
from drivers.wristband.wire import colmi, fff0, moyoung
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import DecodeError, SettingsError

NOW = datetime(2026, 11, 25, 18, 42, 7, tzinfo=UTC)
HEART_RATE_SERVICE = frozenset({uuid_of(0x180D), uuid_of(0x2A37)})
OFFERS = {
    Standard: HEART_RATE_SERVICE,
    Colmi: frozenset({colmi.SERVICE, colmi.WRITE, colmi.NOTIFY}),
    Fff0: frozenset({fff0.SERVICE, fff0.WRITE, fff0.NOTIFY}),
    Moyoung: frozenset({moyoung.SERVICE, moyoung.WRITE, moyoung.NOTIFY, moyoung.STEPS}),
}
EVERY = pytest.mark.parametrize("make", OFFERS)


@EVERY
def test_auto_finds_the_family_by_what_a_band_offers(make):
    assert type(find_family("auto", OFFERS[make], "")) is make


@pytest.mark.parametrize("make", [Colmi, Fff0, Moyoung])
def test_a_family_goes_before_the_standard(make):
    """A Moyoung band shows a heart rate service that says nothing."""
    assert type(find_family("auto", OFFERS[make] | HEART_RATE_SERVICE, "")) is make


def test_what_nobody_recognises_is_standard():
    assert type(find_family("auto", frozenset(), "")) is Standard
    fff0_of_somebody_else = frozenset({fff0.SERVICE, fff0.NOTIFY, uuid_of(0xFFF5)})
    assert type(find_family("auto", fff0_of_somebody_else, "GAN-123")) is Standard


@EVERY
def test_a_profile_is_taken_at_its_word(make):
    assert type(find_family(make.name, frozenset(), "")) is make


@EVERY
def test_the_name_is_that_of_the_entry_point(make):
    check_profile(make.name)
    assert find_family(make.name, frozenset(), "").name == make.name


def test_an_unknown_profile_is_refused_and_the_known_are_named():
    settings = WristbandSettings(address="C0:FF:EE:00:00:01", profile="colmy")
    with pytest.raises(SettingsError, match="auto, colmi, fff0, moyoung, standard"):
        WristbandDriver.check(settings)
    WristbandDriver.check(WristbandSettings(address="C0:FF:EE:00:00:01"))


class Point:
    """An entry point of somebody's package."""

    name = "new"

    def __init__(self, load):
        self.load = load


def broken():
    raise ImportError("no such module")


class New(Family):
    name = "new"

    @classmethod
    def recognises(cls, offers, name):
        return name.startswith("New")

    @property
    def told_by(self):
        return ()

    def decode(self, uuid, data):
        raise DecodeError("nothing")


@pytest.fixture
def installed(monkeypatch):
    """Entry points as if installed."""

    def install(*points):
        families._families.cache_clear()
        monkeypatch.setattr(families, "entry_points", lambda group: points)

    yield install
    monkeypatch.undo()
    families._families.cache_clear()


def test_a_family_of_another_package_is_found_by_the_advertised_name(installed):
    standard = Point(lambda: Standard)
    standard.name = "standard"
    installed(Point(lambda: New), standard)
    family = find_family("auto", frozenset(), "New Band")
    assert type(family) is New
    assert type(find_family("auto", frozenset(), "Old Band")) is Standard
    assert (family.start(NOW), family.poll(0), family.vibrate(on=True)) == ([], [], None)


def test_the_standard_comes_last_whatever_the_others_are_called(installed):
    last, standard = Point(lambda: New), Point(lambda: Standard)
    last.name, standard.name = "zz", "standard"
    installed(standard, last)
    assert type(find_family("auto", HEART_RATE_SERVICE, "New Band")) is New


@pytest.mark.parametrize(
    ("points", "what"),
    [
        ([Point(broken)], "does not load: no such module"),
        ([Point(lambda: Point)], "not a Family"),
        ([Point(lambda: New)], "no wristband families"),
    ],
)
def test_families_that_cannot_be_had(installed, points, what):
    installed(*points)
    with pytest.raises(SettingsError, match=what):
        check_profile("auto")


@EVERY
def test_what_a_family_writes_is_what_it_offers(make):
    family = make()
    commands = [*family.start(NOW), *family.poll(0), *family.poll(1)]
    for uuid, data in commands:
        assert uuid in OFFERS[make] | {uuid_of(0x2A2B)}
        assert 0 < len(data) <= 20  # one write at the smallest MTU


@EVERY
def test_the_clock_is_left_alone_while_the_gateway_does_not_know_the_time(make):
    unset = make().start(None)
    assert len(make().start(NOW)) == len(unset) + 1
    assert all(command in make().start(NOW) for command in unset)


@EVERY
def test_another_characteristic_is_refused(make):
    with pytest.raises(DecodeError):
        make().decode(uuid_of(0x2A00), b"\x00\x48")


@EVERY
def test_steady_is_part_of_what_is_told(make):
    assert make.steady <= set(make().told_by)


def test_spot_measurements_take_turns():
    ring, band = Colmi(), Moyoung()
    started = [ring.poll(turn)[-1].data[1] for turn in range(3)]
    assert started == [colmi.HEART_RATE, colmi.SPO2, colmi.HEART_RATE]
    stopped = [ring.poll(turn)[-2].data[1] for turn in range(3, 5)]
    assert stopped == [colmi.HEART_RATE, colmi.SPO2]  # what the round before began
    asked = [band.poll(turn)[0].data[4] for turn in range(3)]
    assert asked == [moyoung.HEART_RATE, moyoung.SPO2, moyoung.HEART_RATE]


def test_a_band_is_answered_in_the_version_it_speaks():
    band = Moyoung()
    assert band.poll(0)[0].data[2] == 0x10
    band.decode(moyoung.NOTIFY, bytes.fromhex("feea20066d48"))
    assert band.poll(0)[0].data[2] == 0x20


def test_vibrating():
    assert Standard().vibrate(on=True) == (uuid_of(0x2A06), b"\x02")
    assert Standard().vibrate(on=False) == (uuid_of(0x2A06), b"\x00")
    assert Fff0().vibrate(on=True).data == fff0.vibrate(3)
    assert Fff0().vibrate(on=False) is None
    assert Moyoung().vibrate(on=True).data[4] == moyoung.FIND
    assert Moyoung().vibrate(on=False) is None
    assert Colmi().vibrate(on=True) is None
