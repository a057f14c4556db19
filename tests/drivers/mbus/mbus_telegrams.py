"""Telegrams for the tests: published ones from tests/fixtures/mbus, and some made here."""

from pathlib import Path

from drivers.mbus import wire

FOLDER = Path(__file__).parents[2] / "fixtures" / "mbus"
METER = wire.parse_identification("12345678.KAM.01.07")


def published(name):
    """The bytes of a published telegram; the lines that say where it is from begin with #."""
    lines = (FOLDER / f"{name}.hex").read_text("utf-8").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


ALL = {path.stem: published(path.stem) for path in sorted(FOLDER.glob("*.hex"))}


def telegram_of(name):
    return wire.decode_telegram(wire.decode_frame(published(name)))


def telegram(*records, meter=METER, address=5, status=0, signature=0, tail=b""):
    header = wire.Header(meter, 1, wire.Status(status))
    return wire.encode_telegram(address, header, records, tail=tail, signature=signature)


def record(text):
    """The one record in these bytes."""
    (only,) = wire.decode_records(bytes.fromhex(text)).records
    return only
