"""Colmi, FFF0 and Moyoung: vectors from public decoders, and every way to be wrong."""

import struct
from datetime import UTC, datetime

import pytest

from drivers.wristband.wire import colmi, fff0, moyoung
from drivers.wristband.wire.frame import check_frame, encode_frame, encode_moment, read_bcd
from drivers.wristband.wire.reading import Reading
from gateway.errors import DecodeError

MOMENT = datetime(2026, 11, 25, 18, 42, 7)


def values(reading):
    return {m.name: (m.value, m.unit) for m in reading.measurements}


# --- the frame ----------------------------------------------------------------------------------


def test_the_checksum_of_a_band():
    """A reply that com.jstyle.blesdk2025 quotes in ResolveUtil.getSpo2."""
    check_frame(bytes.fromhex("29010139013001307F00000000000045"), "x")


def test_frames_that_are_none():
    sound = encode_frame(3, b"\x40")
    for data in (b"", sound[:15], sound + b"\0", sound[:-1] + b"\0", b"\x04" + sound[1:]):
        with pytest.raises(DecodeError):
            check_frame(data, "x")


def test_dates_are_bcd():
    assert encode_moment(MOMENT) == bytes.fromhex("261125184207")
    assert read_bcd(0x59, "x") == 59
    for byte in (0x5A, 0xA5):
        with pytest.raises(DecodeError):
            read_bcd(byte, "x")


# --- Colmi: the vectors of github.com/tahnok/colmi_r02_client, tests/ ---------------------------

COLMI_BATTERY = b"\x03@\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00C"
COLMI_LIVE = b"i\x01\x00N\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xb8"
COLMI_DAY = [
    b"C\xf0\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x009",
    b"C#\x08\x13\x10\x00\x05\xc8\x000\x00\x1b\x00\x00\x00\xa9",
    b"C#\x08\x13\x14\x01\x05\xb6\x18\xaa\x04i\x03\x00\x00\x83",
    b"C#\x08\x13\x18\x02\x058\x04\xe1\x00\x95\x00\x00\x00R",
    b"C#\x08\x13\x1c\x03\x05\x05\x02l\x00H\x00\x00\x00`",
    b"C#\x08\x13L\x04\x05\xef\x01c\x00D\x00\x00\x00m",
]
COLMI_NO_DAY = b"C\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00B"


def decode_colmi(*frames):
    decoder = colmi.ColmiDecoder()
    return [decoder.decode(frame) for frame in frames][-1]


def test_colmi_commands():
    assert colmi.encode_time(MOMENT) == encode_frame(1, bytes.fromhex("26112518420701"))
    assert colmi.ask_battery().hex() == "03" + 14 * "00" + "03"
    assert colmi.ask_steps()[:6].hex() == "43000f005f01"
    assert colmi.start(colmi.SPO2)[:3].hex() == "690301"
    assert colmi.stop(colmi.HEART_RATE)[:2].hex() == "6a01"


def test_colmi_battery():
    assert values(decode_colmi(COLMI_BATTERY)) == {"battery": (64, "%EL"), "charging": (False, "")}
    told = encode_frame(0x73, b"\x0c\x32")
    assert values(decode_colmi(told)) == {"battery": (50, "%EL")}
    for frame in (encode_frame(3, b"\x65"), encode_frame(0x73, b"\x0c\x65")):
        with pytest.raises(DecodeError, match="battery of 101"):
            decode_colmi(frame)


def test_colmi_live():
    reading = decode_colmi(COLMI_LIVE)
    assert values(reading) == {"heart_rate": (78, "beat/min")}
    assert reading.contact is True
    assert values(decode_colmi(encode_frame(0x69, b"\x03\x00\x61"))) == {"spo2": (97, "%")}
    assert decode_colmi(encode_frame(0x69, b"\x01\x00\x00")) == Reading()  # none yet
    assert decode_colmi(encode_frame(0x69, b"\x01\x02\x48")) == Reading()
    assert decode_colmi(encode_frame(0x69, b"\x01\x01\x48")) == Reading(contact=False)
    assert decode_colmi(encode_frame(0x69, b"\x08\x00\x48")) == Reading()  # stress
    with pytest.raises(DecodeError, match="error 07"):
        decode_colmi(encode_frame(0x69, b"\x01\x07\x48"))
    with pytest.raises(DecodeError, match="SpO2 of 101"):
        decode_colmi(encode_frame(0x69, b"\x03\x00\x65"))


def test_colmi_steps_of_a_day_are_added_up():
    calories = 2000 + 63260 + 10800 + 5170 + 4950
    assert values(decode_colmi(*COLMI_DAY)) == {
        "steps": (48 + 1194 + 225 + 108 + 99, "count"),
        "distance": (27 + 873 + 149 + 72 + 68, "m"),
        "energy": (round(calories * 4.184), "J"),
    }
    for n in range(1, len(COLMI_DAY)):
        assert decode_colmi(*COLMI_DAY[:n]) == Reading()
    assert decode_colmi(COLMI_NO_DAY) == Reading()


def test_colmi_energy_in_an_unknown_unit_is_not_told():
    header = encode_frame(0x43, b"\xf0\x05\x00")
    assert "energy" not in values(decode_colmi(header, *COLMI_DAY[1:]))


def test_colmi_steps_begin_anew_with_a_header():
    assert decode_colmi(*COLMI_DAY[:3], *COLMI_DAY) == decode_colmi(*COLMI_DAY)


def test_colmi_steps_with_a_hole_are_not_told():
    decoder = colmi.ColmiDecoder()
    for frame in COLMI_DAY[:2]:
        decoder.decode(frame)
    with pytest.raises(DecodeError, match="out of order"):
        decoder.decode(COLMI_DAY[3])


@pytest.mark.parametrize("payload", ["2a0813100005", "230813600005", "230813100505"])
def test_colmi_quarter_hours_that_cannot_be(payload):
    with pytest.raises(DecodeError):
        decode_colmi(COLMI_DAY[0], encode_frame(0x43, bytes.fromhex(payload)))


def test_colmi_so_far_today():
    """Big-endian, unlike everything else: Gadgetbridge, ColmiR0xPacketHandler.liveActivity."""
    frame = encode_frame(0x73, bytes.fromhex("12 000102 000000 000304".replace(" ", "")))
    assert values(decode_colmi(frame)) == {"steps": (258, "count"), "distance": (772, "m")}


def test_colmi_refusals_carry_their_code():
    with pytest.raises(DecodeError, match="command 69, code ee"):
        decode_colmi(encode_frame(0xE9, b"\xee"))


@pytest.mark.parametrize("command", [0x01, 0x6A, 0x16, 0x50])
def test_colmi_acknowledgements_tell_nothing(command):
    assert decode_colmi(encode_frame(command)) == Reading()


# --- FFF0: layouts of the J-Style SDKs' ResolveUtil and DeviceConst -----------------------------


def live(rate=72, tenths=364, spo2=b"\x61"):
    counts = struct.pack("<IIIII", 1234, 5678, 95, 60, 30)
    return b"\x09" + counts + struct.pack("<BH", rate, tenths) + spo2


def test_fff0_commands():
    assert fff0.encode_time(MOMENT) == encode_frame(1, bytes.fromhex("261125184207"))
    assert fff0.start_live()[:3].hex() == "090101"
    assert fff0.ask_battery()[0] == 0x13
    assert fff0.vibrate(3)[:2].hex() == "3603"


def test_fff0_live():
    assert values(fff0.decode_fff0(live())) == {
        "steps": (1234, "count"),
        "energy": (round(56.78 * 4184), "J"),
        "distance": (950, "m"),
        "heart_rate": (72, "beat/min"),
        "body_temperature": (36.4, "Cel"),
        "spo2": (97, "%"),
    }
    assert "spo2" not in values(fff0.decode_fff0(live(spo2=b"")))
    bare = values(fff0.decode_fff0(live(rate=0, tenths=0, spo2=b"\0")))
    assert set(bare) == {"steps", "energy", "distance"}


def test_fff0_battery():
    assert values(fff0.decode_fff0(encode_frame(0x13, b"\x47"))) == {"battery": (71, "%EL")}


@pytest.mark.parametrize(
    "data",
    [
        "fe",
        "fe0102",
        "fe" + 15 * "00",
        encode_frame(0xFE).hex(),
        encode_frame(0x16, b"\xfe").hex(),
        "16fe",
    ],
)
def test_fff0_sos_whatever_follows(data):
    assert fff0.decode_fff0(bytes.fromhex(data)) == Reading(sos=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16",
        live()[:23],
        live(tenths=851),
        live(spo2=b"\x65"),
        encode_frame(0x13, b"\x65"),
        encode_frame(0x13, b"\x47")[:-1] + b"\0",
        encode_frame(0x13)[:8],
        b"\x60" * 20,
    ],
)
def test_fff0_what_cannot_be(data):
    with pytest.raises(DecodeError):
        fff0.decode_fff0(data)


def test_fff0_refusals_and_acknowledgements():
    with pytest.raises(DecodeError, match="command 13, code 00"):
        fff0.decode_fff0(encode_frame(0x93))
    assert fff0.decode_fff0(encode_frame(0x01)) == Reading()
    assert fff0.decode_fff0(encode_frame(0x16, b"\x04\x01")) == Reading()  # finds its phone


# --- Moyoung: layouts of Gadgetbridge's MoyoungConstants and MoyoungPacketIn --------------------


def decode_moyoung(*fragments):
    decoder = moyoung.MoyoungDecoder()
    return [decoder.decode(fragment) for fragment in fragments][-1]


def test_moyoung_packets():
    assert moyoung.encode_packet(109, b"\0").hex() == "feea10066d00"
    assert moyoung.encode_packet(109, b"\0", v2=True).hex() == "feea20066d00"
    long = moyoung.encode_packet(65, bytes(300), v2=True)
    assert long[:5].hex() == "feea213141"


def test_moyoung_time_is_local_time_as_if_it_were_gmt_8():
    packet = moyoung.encode_time(MOMENT)
    assert packet[:5].hex() == "feea100a31"
    assert packet[9:].hex() == "08"
    seconds = int.from_bytes(packet[5:9], "big")
    shown = datetime.fromtimestamp(seconds + 8 * 3600, UTC).replace(tzinfo=None)
    assert shown == MOMENT
    assert moyoung.encode_time(MOMENT.astimezone(UTC).replace(tzinfo=UTC)) != b""


def test_moyoung_values():
    assert values(decode_moyoung(bytes.fromhex("feea10066d48"))) == {"heart_rate": (72, "beat/min")}
    assert values(decode_moyoung(bytes.fromhex("feea20066b61"))) == {"spo2": (97, "%")}
    for none in ("feea10066d00", "feea10066dff", "feea10066bff"):
        assert decode_moyoung(bytes.fromhex(none)) == Reading()


def test_moyoung_fragments_are_joined():
    packet = moyoung.encode_packet(109, b"\x48")
    assert decode_moyoung(packet[:4]) == Reading()
    assert values(decode_moyoung(packet[:4], packet[4:5], packet[5:])) == {
        "heart_rate": (72, "beat/min")
    }


def test_moyoung_a_packet_that_never_ended_does_not_cost_the_next():
    lost = moyoung.encode_packet(33, bytes(5))[:8]
    assert values(decode_moyoung(lost, moyoung.encode_packet(109, b"\x48"))) == {
        "heart_rate": (72, "beat/min")
    }


@pytest.mark.parametrize(
    "data",
    [
        "",
        "fe",
        "feea10",
        "eafe10066d48",
        "feea11066d48",
        "feea1004",
        "feea30006d",
        "feea10066d4800",
        "feea10076d4848",
        "feea10056d",
        "feea10066b65",
    ],
)
def test_moyoung_what_cannot_be(data):
    with pytest.raises(DecodeError):
        decode_moyoung(bytes.fromhex(data))


def test_moyoung_steps():
    data = bytes.fromhex("d20400 e80300 2a0000".replace(" ", ""))
    assert values(moyoung.decode_steps(data)) == {
        "steps": (1234, "count"),
        "distance": (1000, "m"),
        "energy": (42 * 4184, "J"),
    }
    for wrong in (data[:8], data + b"\0", b""):
        with pytest.raises(DecodeError):
            moyoung.decode_steps(wrong)
