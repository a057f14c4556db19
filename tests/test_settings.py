"""The configuration: every fault of a file at once, each with its line; nothing but SettingsError."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.codec import MAX_BATCH_BYTES, encode_event
from gateway.driver import load_driver
from gateway.errors import SettingsError
from gateway.journal.geometry import MIN_QUOTA
from gateway.model import Event, Kind, Stamp, TimeQuality
from gateway.plan import plan
from gateway.settings import (
    AnnounceSettings,
    BusSettings,
    CallSettings,
    ControlSettings,
    DeviceSettings,
    GatewaySettings,
    JournalSettings,
    MetricsSettings,
    MirrorSettings,
    RemindersSettings,
    SupervisionSettings,
    UplinkSettings,
    load,
    parse,
    parse_size,
    read_table,
    read_uplink,
)

EXAMPLE = Path(__file__).parent.parent / "config" / "hearth.example.toml"
SOUND = '[gateway]\nid = "g"\n[uplink]\nurl = "mqtts://broker.example"\n'


def faults_of(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text, "f.toml")
    return list(caught.value.faults)


# --- the least, and the most --------------------------------------------------------------------


def test_the_least_there_is():
    read = parse(SOUND)
    assert read.gateway.id == "g"
    assert read.journal == JournalSettings()
    assert read.journal.quota_bytes == 256 * 2**20
    assert read.uplink.max_batch_bytes == 16 * 2**10
    assert read.buses == ()
    assert read.devices == ()


def test_device_keys_and_driver_keys_are_told_apart():
    text = SOUND + '[[device]]\nid = "d"\ndriver = "x"\nroom = "k"\nunit = 7\n[device.sim]\na = 1\n'
    (device,) = parse(text).devices
    assert device.labels == {"room": "k"}
    assert device.options == {"unit": 7, "sim": {"a": 1}}


def test_the_example_is_sound():
    read = load(EXAMPLE)
    assert {item.device.driver for item in plan(read)} == {
        "bthome",
        "button",
        "cjt188",
        "contact",
        "mbus",
        "modbus",
        "modem",
        "signal",
        "speaker",
        "wristband",
    }


NO_DEFAULTS = frozenset({"ca", "cert", "key"})  # shown, and empty by default


def test_what_the_example_leaves_out_are_the_defaults():
    """A comment `# key = value` in the example is what holds without it."""
    text = EXAMPLE.read_text("utf-8")
    as_told = re.sub(r"^# (?=\[[a-z]+\]|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert as_told.count("\n# ") < text.count("\n# ") - 15
    told, read = parse(as_told), parse(text)
    empty = msgspec.structs.replace(told.uplink, **dict.fromkeys(NO_DEFAULTS, ""))
    assert (told.gateway, told.journal, told.control) == (read.gateway, read.journal, read.control)
    assert (told.calls, told.supervision) == (read.calls, read.supervision)
    assert (told.announce, told.reminders) == (read.announce, read.reminders)
    assert (told.mirror, told.metrics) == (read.mirror, read.metrics)
    assert (told.mirror, told.metrics) == (MirrorSettings(), MetricsSettings())
    assert (empty, told.buses) == (read.uplink, read.buses)
    for full, short in zip(plan(told), plan(read), strict=True):
        assert full.options == short.options


@pytest.mark.parametrize(
    "section",
    [
        GatewaySettings,
        JournalSettings,
        UplinkSettings,
        ControlSettings,
        CallSettings,
        SupervisionSettings,
        AnnounceSettings,
        RemindersSettings,
        MirrorSettings,
        MetricsSettings,
        BusSettings,
    ],
)
def test_the_example_names_every_key(section):
    text = EXAMPLE.read_text("utf-8")
    names = {field.encode_name for field in msgspec.structs.fields(section)}
    told = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE))
    assert names - {"allow_plaintext"} <= told
    assert "allow_plaintext" in text


@pytest.mark.parametrize(
    "driver",
    [
        "bthome",
        "button",
        "cjt188",
        "contact",
        "mbus",
        "modbus",
        "modem",
        "signal",
        "speaker",
        "wristband",
    ],
)
def test_the_example_names_every_key_of_its_drivers(driver):
    names = {field.encode_name for field in msgspec.structs.fields(load_driver(driver).Settings)}
    told = set(re.findall(r"^(?:# )?([a-z_]+) = ", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    assert names <= told


# --- faults -------------------------------------------------------------------------------------

BROKEN = """\
[gateway]
idd = "g"

[journal]
quota = "lots"

[uplink]
url = "mqtt://broker.example"
cert = "a.pem"
max_batch = "1 GiB"

[[bus]]
id = "b"
port = ""

[[bus]]
id = "b"
port = "/dev/ttyUSB1"
parity = "X"

[[device]]
id = "d"
driver = "modbus"
bus = "nowhere"

[[device]]
driver = 5
id = "d"

[control]
socket = 5

[jurnal]
"""


def test_every_fault_at_once_with_its_line():
    faults = faults_of(BROKEN)
    expected = [
        "f.toml:33: jurnal: unknown section; did you mean 'journal'?",
        "f.toml:2: gateway.idd: unknown key; did you mean 'id'?",
        "f.toml:1: gateway.id: missing",
        "f.toml:31: control.socket: Expected str, got int",
        "f.toml:14: bus[0].port: Expected str of length >= 1",
        "f.toml:19: bus[1].parity: Invalid enum value 'X'",
        "f.toml:27: device[1].driver: Expected str, got int",
        "f.toml:5: journal.quota: 'lots' is no size; write it like 256 MiB",
        "f.toml:8: uplink.url: plaintext to another machine; use mqtts:// or set allow_plaintext",
        "f.toml:9: uplink.cert: cert and key go together",
        "f.toml:10: uplink.max_batch: '1 GiB' is not between 1 KiB and 256 KiB",
        "f.toml:17: bus[1].id: 'b' is used twice",
        "f.toml:28: device[1].id: 'd' is used twice",
        "f.toml:24: device[0].bus: no [[bus]] with id 'nowhere'",
    ]
    assert sorted(faults) == sorted(expected)


def test_faults_of_options_name_their_lines_too():
    text = SOUND + (
        '[[bus]]\nid = "b"\nport = "p"\n'
        '[[device]]\nid = "m"\ndriver = "modbus"\nunit = 300\nprofle = "xintai"\n'
        '[[device]]\nid = "c"\ndriver = "button"\nbus = "b"\noffset = 17\n'
        '[[device]]\nid = "x"\ndriver = "no-such"\n'
    )
    with pytest.raises(SettingsError) as caught:
        plan(parse(text, "f.toml"))
    faults = "\n".join(caught.value.faults)
    assert "f.toml:11: device[0].unit: Expected int <= 255" in faults
    assert "f.toml:12: device[0].profle: unknown key; did you mean 'profile'?" in faults
    assert "f.toml:8: device[0].bus: missing" in faults
    assert "f.toml:16: device[1].bus: button devices do not hang on a bus" in faults
    assert "f.toml:20: device[2].driver: no driver 'no-such'; installed: bthome, button" in faults


BUS = "[[bus]]\nid = 'b'\nport = '{}'"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "gateway.id: missing"),
        ("[gateway", "not TOML"),
        ("gateway = 5", "gateway: must be a table"),
        ("[[gateway]]", "gateway: must be a table"),
        ("bus = 5", "bus: must be an array of tables"),
        ("[bus]", "bus: must be an array of tables"),
        ("bus = [5]", "bus[0]: must be a table"),
        ("device = [5]", "device: must be an array of tables"),
        ("[device]", "device: must be an array of tables"),
        (SOUND + BUS.format("socket://server"), "bus[0].port: 'socket://server' is no port of"),
        (SOUND + BUS.format("tcp://server:4001"), "write socket://HOST:PORT, rfc2217://HOST:PORT"),
        (SOUND + BUS.format("modbus-tcp://:502"), "'modbus-tcp://:502' is no port of another"),
        (SOUND + "[journal]\nquota = '1 MiB'", "'1 MiB' is not between 2 MiB and 1024 GiB"),
        (SOUND + "[journal]\nquota = '9999 GiB'", "is not between 2 MiB and 1024 GiB"),
        (SOUND + f"[journal]\nquota = '{'9' * 400} GiB'", "is no size"),
        (SOUND + "[journal]\ncommit_interval = nan", "Expected float > 0.0"),
        (SOUND + "[journal]\ncommit_interval = inf", "Expected float <= 60.0"),
        (SOUND + f"[journal]\ncommit_interval = {'9' * 5000}", "not TOML"),
        (SOUND + "[journal]\nx = " + "[" * 5000, "not TOML"),
        (SOUND + "[journal]\npath = ''", "Expected str of length >= 1"),
        (SOUND + "[[device]]\nid = 'gateway'\ndriver = 'x'", "is what hearth calls itself"),
        (SOUND + "[[device]]\nid = 'journal'\ndriver = 'x'", "is what hearth calls itself"),
        (SOUND + "[[device]]\nid = 'a b'\ndriver = 'x'", "Expected str matching regex"),
        (SOUND + "[[device]]\nid = 'a\\n'\ndriver = 'x'".replace("'", '"'), "matching regex"),
        (SOUND + f"[[device]]\nid = 'a'\ndriver = 'x'\nroom = '{'x' * 257}'", "length <= 256"),
    ],
    ids=lambda text: text[-40:],
)
def test_single_faults(text, fault):
    assert fault in "\n".join(faults_of(text))


@pytest.mark.parametrize(
    "port",
    ["/dev/ttyUSB0", "socket://192.0.2.7:4001", "rfc2217://a:1", "modbus-tcp://[2001:db8::1]:502"],
)
def test_sound_ports(port):
    assert parse(SOUND + BUS.format(port)).buses[0].port == port


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "latin.toml")


# --- the uplink's rules -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        {"url": "mqtts://broker.example"},
        {"url": "mqtts://broker.example:8883", "cert": "a", "key": "b"},
        {"url": "mqtt://localhost"},
        {"url": "mqtt://127.0.0.1:1883"},
        {"url": "mqtt://[::1]"},
        {"url": "mqtt://broker.example", "allow_plaintext": True},
        {"url": "mqtts://broker.example", "ack_keys": ["a.pub", "b.pub"]},
    ],
    ids=repr,
)
def test_sound_uplinks(table):
    assert read_uplink(table, "here").url == table["url"]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "url: missing"),
        ({"url": ""}, "must be mqtts://HOST"),
        ({"url": "broker.example"}, "must be mqtts://HOST"),
        ({"url": "http://broker.example"}, "must be mqtts://HOST"),
        ({"url": "mqtts://"}, "must be mqtts://HOST"),
        ({"url": "mqtts://h:99999"}, "out of range"),
        ({"url": "mqtts://h:x"}, "could not be cast"),
        ({"url": "mqtts://[::1"}, "Invalid IPv6"),
        ({"url": "mqtt://broker.example"}, "plaintext to another machine"),
        ({"url": "mqtt://localhost.evil.example"}, "plaintext to another machine"),
        ({"url": "mqtt://127.0.0.1.example"}, "plaintext to another machine"),
        ({"url": "mqtts://u:p@h"}, "no user or password here"),
        ({"url": "mqtts://h", "key": "b"}, "cert and key go together"),
        ({"url": "mqtts://h", "keepalive": 1}, "Expected int >= 2"),
        ({"url": "mqtts://h", "ack": "nobody"}, "Invalid enum value"),
        ({"url": "mqtts://h", "ack": "broker", "ack_keys": ["k"]}, "no collector is waited for"),
        ({"url": "mqtts://h", "ack_keys": [""]}, "Expected str of length >= 1"),
        ({"url": "mqtts://h", "ack_keys": ["k"] * 9}, "Expected array of length <= 8"),
        ({"url": "mqtts://h", "max_batch": "1 B"}, "not between 1 KiB and 256 KiB"),
    ],
    ids=repr,
)
def test_unsound_uplinks(table, fault):
    with pytest.raises(SettingsError, match=re.escape(fault)):
        read_uplink(table, "here")


def test_a_password_in_the_url_is_not_repeated():
    with pytest.raises(SettingsError) as caught:
        read_uplink({"url": "mqtts://user:secret@h"}, "here")
    assert "secret" not in str(caught.value)


# --- the mirror and the figures ------------------------------------------------------------------


def test_both_are_off_unless_they_are_asked_for():
    read = parse(SOUND)
    assert read.mirror.broker(read.uplink) is None
    assert read.metrics.address is None


def test_the_mirror_goes_to_the_broker_of_the_uplink_or_to_its_own():
    read = parse(SOUND + '[mirror]\nurl = "uplink"\nhome_assistant = true')
    assert read.mirror.broker(read.uplink) is read.uplink
    own = '[mirror]\nurl = "mqtt://localhost:1884"\nusername = "a"\npassword_file = "b"\n'
    read = parse(SOUND + own)
    broker = read.mirror.broker(read.uplink)
    assert broker is not None
    assert (broker.address, broker.username) == (("localhost", 1884), "a")


@pytest.mark.parametrize(
    ("section", "keys", "fault"),
    [
        ("mirror", 'url = "http://h"', "mirror.url: must be mqtts://HOST"),
        ("mirror", 'url = "mqtt://192.0.2.7"', "mirror.url: plaintext to another machine"),
        ("mirror", 'url = "mqtts://u:p@h"', "mirror.url: no user or password here"),
        ("mirror", 'url = "mqtts://h"\ncert = "a"', "mirror.cert: cert and key go together"),
        ("mirror", 'url = "uplink"\nca = "a"', 'mirror.ca: url = "uplink" goes by the same key'),
        ("mirror", 'url = "uplink"\nallow_plaintext = true', "mirror.allow_plaintext: url ="),
        ("mirror", "home_assistant = true", "mirror.home_assistant: nothing is mirrored without"),
        ("mirror", 'max_batch = "1 KiB"', "mirror.max_batch: unknown key"),
        ("mirror", 'discovery_prefix = "a/#"', "mirror.discovery_prefix: Expected str matching"),
        ("mirror", 'discovery_prefix = ""', "mirror.discovery_prefix: Expected str matching"),
        ("metrics", 'listen = "0.0.0.0:9464"', "metrics.listen: other machines could ask"),
        ("metrics", 'listen = "[::]:9464"', "metrics.listen: other machines could ask"),
        ("metrics", 'listen = "localhost.evil.example:1"', "metrics.listen: other machines"),
        ("metrics", 'listen = "9464"', "metrics.listen: '9464' is no HOST:PORT"),
        ("metrics", 'listen = ":9464"', "is no HOST:PORT"),
        ("metrics", 'listen = "localhost"', "is no HOST:PORT"),
        ("metrics", 'listen = "localhost:0"', "is no HOST:PORT"),
        ("metrics", 'listen = "localhost:99999"', "out of range"),
        ("metrics", 'listen = "http://localhost:1"', "metrics.listen: "),
        ("metrics", 'listen = "u@localhost:1"', "is no HOST:PORT"),
        ("metrics", 'listen = "localhost:1/metrics"', "is no HOST:PORT"),
    ],
    ids=lambda text: text[:40],
)
def test_unsound_mirrors_and_figures(section, keys, fault):
    assert fault in "\n".join(faults_of(f"{SOUND}[{section}]\n{keys}\n"))


@pytest.mark.parametrize(
    ("keys", "address"),
    [
        ('listen = "127.0.0.1:9464"', ("127.0.0.1", 9464)),
        ('listen = "localhost:1"', ("localhost", 1)),
        ('listen = "[::1]:9464"', ("::1", 9464)),
        ('listen = "0.0.0.0:9464"\nallow_remote = true', ("0.0.0.0", 9464)),
    ],
)
def test_sound_figures(keys, address):
    assert parse(f"{SOUND}[metrics]\n{keys}\n").metrics.address == address


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0 B", 0),
        ("1B", 1),
        ("16 KiB", 16 * 2**10),
        ("1.5 MiB", 3 * 2**19),
        ("256 MiB", 2**28),
        ("2 GiB", 2**31),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "5", "MiB", "-1 MiB", "1 MB", "1 mib", "1 MiB ", "1e3 B", "1 MiB\n", ". B", "٣ X"]
)
def test_no_sizes(text):
    with pytest.raises(ValueError, match="no size"):
        parse_size(text)


@given(st.text(max_size=30) | st.from_regex(r"\A[0-9.]{1,40} ?[KMG]?i?B\Z"))
def test_a_size_is_a_number_or_a_value_error(text):
    try:
        assert parse_size(text) >= 0
    except ValueError:
        return


def test_bounds_hold_for_those_who_use_the_sizes():
    """A configuration that passes must not fail later, out of the journal or the collector."""
    assert parse_size("2 MiB") >= MIN_QUOTA
    assert parse_size("256 KiB") == MAX_BATCH_BYTES


# --- whatever is in the file --------------------------------------------------------------------

keys = st.sampled_from(
    ["id", "url", "path", "quota", "commit_interval", "port", "parity", "stopbits", "driver", "bus",
     "room", "max_batch", "keepalive", "cert", "allow_plaintext", "unit", "uplink", "listen", "home_assistant",
     "discovery_prefix", "é", "a b"]
)  # fmt: skip
leaves = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.sampled_from(
        [
            "mqtts://h",
            "mqtt://h",
            "uplink",
            "127.0.0.1:1",
            "[::1:5",
            "mqtts://[",
            "16 KiB",
            "b",
            "N",
            "x" * 300,
        ]
    ),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
sections = st.sampled_from(
    ["gateway", "journal", "uplink", "control", "mirror", "metrics", "bus", "device", "jurnal"]
)
tables = st.dictionaries(
    sections,
    st.dictionaries(keys, values, max_size=5)
    | st.lists(st.dictionaries(keys, values, max_size=5), max_size=3)
    | values,
)


def as_toml(value: object) -> str:
    """A value as TOML, inline."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return repr(value)
        case str():
            inside = (c if c.isalnum() or c in " :/[]" else f"\\U{ord(c):08x}" for c in value)
            return '"' + "".join(inside) + '"'
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{as_toml(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
        case _:
            return value.isoformat() if hasattr(value, "isoformat") else str(value)


def as_file(content: dict[str, object]) -> str:
    """As people write it: a header for each table."""
    lines: list[str] = []
    for name, value in content.items():
        if isinstance(value, dict):
            lines += [f"[{name}]", *(f"{as_toml(k)} = {as_toml(v)}" for k, v in value.items())]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for item in value:
                lines += [f"[[{name}]]", *(f"{as_toml(k)} = {as_toml(v)}" for k, v in item.items())]
        else:
            lines.insert(0, f"{name} = {as_toml(value)}")
    return "\n".join(lines)


def only_settings_error(text: str) -> None:
    try:
        plan(parse(text, "f.toml"))
    except SettingsError as error:
        faults = error.faults
    else:
        faults = ("f.toml: none",)
    assert faults
    assert all(fault.startswith("f.toml") for fault in faults)


@settings(max_examples=150)
@given(tables)
def test_tables_of_every_shape(content):
    only_settings_error(as_file(content))


@settings(max_examples=60)
@given(st.lists(st.dictionaries(keys, values, max_size=6), max_size=3), st.integers(0, 2))
def test_devices_of_every_shape(devices, drivers):
    names = ["modbus", "button", "wristband"]
    for index, device in enumerate(devices):
        device |= {"id": f"d{index}", "driver": names[(index + drivers) % 3]}
    only_settings_error(SOUND + as_file({"bus": [{"id": "b", "port": "p"}], "device": devices}))


@settings(max_examples=200)
@given(st.text(max_size=60))
@example("\x00")
@example("a.b.c = 1\na.b = 2")
@example("[[a]]\n[a]")
@example("x = 2024-13-45")
@example('x = "\\ud800"')
def test_text_of_every_kind(text):
    only_settings_error(text)
    only_settings_error(SOUND + text)


class Wanted(msgspec.Struct, frozen=True):
    number: int
    size: float = 1.0


def test_read_table_adds_to_the_faults_it_was_given():
    faults = ["an earlier one"]
    assert read_table({"number": "x", "more": 1}, Wanted, "f:t", faults) is None
    assert faults == [
        "an earlier one",
        "f: t.more: unknown key",
        "f: t.number: Expected int, got str",
    ]
    assert read_table({"number": 1, "size": 2}, Wanted, "f:t", faults) == Wanted(1, 2.0)


# --- what is allowed in the file can be said in an event ----------------------------------------


@given(
    st.text(max_size=256).filter(lambda text: not set(text) & set("\x7f") and text.isprintable()),
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"),
)
def test_labels_that_pass_fit_into_events(label, name):
    """A room name too long for the wire must not be found out when somebody calls."""
    text = (
        f"{SOUND}[[device]]\nid = {as_toml('d' + name[:63])}\ndriver = 'x'\nroom = {as_toml(label)}"
    )
    (device,) = parse(text).devices
    assert isinstance(device, DeviceSettings)
    stamp = Stamp(b"bootboot", 0, 0, TimeQuality.UNKNOWN)
    encode_event(Event(Kind.CALL, device.id, stamp, labels=device.labels))
