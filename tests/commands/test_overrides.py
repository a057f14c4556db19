"""Settings that orders may change: where it is permitted, checked before, kept, laid over the file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CommandRefused, SettingsError
from gateway.overrides import Overrides, load_overridden
from gateway.settings import parse

TEXT = """
[gateway]
id = "g"
[journal]
path = "{folder}/journal"
[uplink]
url = "mqtt://127.0.0.1"
[announce]
mute = "22:00-07:00"
[commands]
settable = ["announce.mute", "calls.accept", "device.meter.poll", "device.none.poll"]
[[bus]]
id = "b"
port = "/dev/null"
[[device]]
id = "meter"
driver = "modbus"
bus = "b"
unit = 7
profile = "xintai"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "hearth.toml"
    path.write_text(TEXT.format(folder=tmp_path))
    return path


def kept(config):
    return config.parent / "journal" / "home" / "settings.json"


def poll_of(settings):
    return settings.devices[0].options.get("poll")


async def test_what_was_changed_holds_from_the_next_start(config):
    overrides = Overrides(load_overridden(str(config)))
    await overrides.set({"announce.mute": "21:00-08:00", "device.meter.poll": 30})
    settings = load_overridden(str(config))
    assert settings.announce.mute == "21:00-08:00"
    assert poll_of(settings) == 30
    assert config.read_text() == TEXT.format(folder=config.parent)
    await Overrides(settings).set({"calls.accept": 90.0})
    settings = load_overridden(str(config))
    assert (settings.calls.accept, settings.announce.mute) == (90.0, "21:00-08:00")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "no setting is named"),
        ({"uplink.url": "mqtt://evil"}, "uplink.url: is not to be set"),
        ({"announce.language": "en"}, "is not to be set"),
        ({"announce.mute": "late"}, "mute"),
        ({"calls.accept": -1}, "accept"),
        ({"calls.accept": "soon"}, "accept"),
        ({"device.meter.poll": 0}, "poll"),
        ({"device.none.poll": 5}, "device.none.poll: there is no such table"),
        ({"announce.mute": "21:00-08:00", "calls.accept": -1}, "accept"),
    ],
)
async def test_what_is_refused_changes_nothing(config, values, reason):
    overrides = Overrides(load_overridden(str(config)))
    with pytest.raises(CommandRefused, match=reason):
        await overrides.set(values)
    assert not kept(config).exists()


@pytest.mark.parametrize(
    "damage", [b"", b"[", b"5", b'{"announce.mute": "late"}', b'{"x": [1]}', b"[" * 5000]
)
def test_what_does_not_fit_is_no_reason_not_to_start(config, damage):
    kept(config).parent.mkdir(parents=True)
    kept(config).write_bytes(damage)
    assert load_overridden(str(config)).announce.mute == "22:00-07:00"


def test_what_is_not_settable_any_more_does_not_hold(config):
    kept(config).parent.mkdir(parents=True)
    kept(config).write_text(json.dumps({"announce.mute": "21:00-08:00", "uplink.url": "mqtt://x"}))
    config.write_text(config.read_text().replace('"announce.mute", ', ""))
    settings = load_overridden(str(config))
    assert (settings.announce.mute, settings.uplink.url) == ("22:00-07:00", "mqtt://127.0.0.1")


@pytest.mark.parametrize(
    "key", ["uplink.url", "journal.path", "commands.keys", "gateway.id", "mute", "device.x", ""]
)
def test_what_can_never_be_settable(config, key):
    text = config.read_text().replace('"announce.mute"', f'"{key}"')
    with pytest.raises(SettingsError, match="settable"):
        parse(text)


@given(st.dictionaries(st.text(max_size=30), st.integers() | st.text() | st.booleans(), max_size=4))
def test_overrides_of_every_shape(values):
    text = TEXT.format(folder="/nowhere")
    try:
        parse(text, overrides=values)
    except SettingsError as error:
        assert error.faults
