"""A million frames that nobody meant, through the decoders of all meters: `make fuzz`.

    python tests/fuzz/frames.py [--frames N] [--seed N]

Right answers of every protocol are cut, bent, spliced and repeated, and half of them get their
checksum made right, so that what lies behind it is reached. Random bytes as well. Nothing but
DecodeError may come of them, and what is told must fit an event. Ends with 1 at the first that does
otherwise, and prints it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from drivers.bus.meter import Reading
from drivers.cjt188 import wire as cjt188
from drivers.mbus import wire as mbus
from drivers.mbus.told import told
from drivers.modbus import wire as modbus
from drivers.modbus.profile import load_profile
from drivers.sim.meter_mbus import MbusScript, VirtualMbusMeter, reverse_volume, volume
from drivers.sim.meter_modbus import VirtualModbusMeter
from gateway import resources
from gateway.codec import encode_event
from gateway.errors import DecodeError
from gateway.model import Event, Kind, Measurement, Stamp, TimeQuality

ADDRESS = cjt188.wire_address("78330011223344")
WHEN = datetime(2026, 2, 28, 23, 59, 58)
STAMP = Stamp(b"bootboot", 0, 0, TimeQuality.UNKNOWN)
RANDOM_SHARE = 0.1


class Target(NamedTuple):
    """One conversation: a right answer, what reads it, and how its checksum is made right."""

    name: str
    answer: bytes
    read: Callable[[list[bytes]], Reading | None]
    mend: Callable[[bytearray], bytes]


def targets() -> list[Target]:
    return [*_modbus(), *_cjt188(), *_mbus()]


def _modbus() -> list[Target]:
    found = []
    for name in resources.names("profiles/modbus", ".toml"):
        meter = VirtualModbusMeter(7, name)
        for block in load_profile(name).blocks():
            request = block.request(7)
            said = meter.answer(request) or b""

            def rtu(chunks: list[bytes], request=request, block=block) -> Reading | None:
                return _block(modbus.rtu.Answer(request), chunks, block)

            def tcp(chunks: list[bytes], request=request, block=block) -> Reading | None:
                return _block(modbus.tcp.Answer(request, 77), chunks, block)

            found += [
                Target(f"modbus {name}", modbus.rtu.frame(7, said), rtu, _mend_rtu),
                Target(f"modbus-tcp {name}", modbus.tcp.frame(7, said, 77), tcp, bytes),
            ]
    return found


def _block(answer, chunks: list[bytes], block) -> Reading | None:
    values = _fed(answer, chunks)
    if not isinstance(values, modbus.Values):
        return None
    measurements, withheld = block.read(values.data)
    return Reading(tuple(measurements), withheld)


def _cjt188() -> list[Target]:
    read = cjt188.read_request(ADDRESS, 0x10, "low-first")
    month = cjt188.month_request(ADDRESS, 0x10, "low-first", 1)
    freeze = cjt188.freeze_request(ADDRESS, 0x10, "low-first", "timer", 1)
    valve = cjt188.valve_request(ADDRESS, 0x10, "low-first", opened=True)
    answers = {
        "reading": (read, cjt188.encode_reading(read, ADDRESS, 123450, WHEN), _reading),
        "short": (read, cjt188.encode_short_reading(read, ADDRESS, 123450), _reading),
        "month": (month, cjt188.encode_month(month, ADDRESS, 123450), cjt188.decode_month),
        "freeze": (
            freeze,
            cjt188.encode_freeze(freeze, ADDRESS, WHEN, 123450, litres_per_hour=5),
            cjt188.decode_freeze,
        ),
        "valve": (valve, cjt188.encode_valve(valve, ADDRESS, bytes(2)), cjt188.decode_valve),
    }
    found = []
    for name, (request, frame, decode) in answers.items():

        def read_it(chunks: list[bytes], request=request, decode=decode) -> Reading | None:
            cjt188.split_frames(b"".join(chunks))
            frame = _fed(cjt188.FrameAnswer(request), chunks)
            if not isinstance(frame, cjt188.Frame):
                return None
            values = decode(frame)
            return values if isinstance(values, Reading) else Reading(())

        found.append(Target(f"cjt188 {name}", cjt188.encode(frame), read_it, _mend_cjt188))
    return found


def _reading(frame: cjt188.Frame) -> Reading:
    found = cjt188.decode_reading(frame)
    volume_m3 = () if found.volume_m3 is None else (Measurement("volume", found.volume_m3, "m3"),)
    return Reading(volume_m3, found.absurd)


def _mbus() -> list[Target]:
    further = [[reverse_volume(12), volume(7, storage=3)]]
    meter = VirtualMbusMeter("12345678.KAM.01.07", 5, script=MbusScript(further=further))
    found = []
    for number, fcb in enumerate((True, False)):
        request = mbus.ask(5, fcb=fcb)
        ((_, answer),) = meter.hear(mbus.encode(request))

        def read_it(chunks: list[bytes], request=request) -> Reading | None:
            mbus.split_frames(b"".join(chunks))
            frame = _fed(mbus.DataAnswer(request), chunks)
            if frame is None:
                return None
            telegram = mbus.decode_telegram(frame)
            return None if isinstance(telegram, mbus.Refusal) else told([telegram])

        found.append(Target(f"mbus telegram {number}", answer, read_it, _mend_mbus))
    return found


def _fed(answer, chunks: list[bytes]):
    for chunk in chunks:
        found = answer.feed(chunk)
        if found is not None:
            return found
    return None


def _mend_rtu(data: bytearray) -> bytes:
    body = bytes(data[:-2])
    return body + modbus.rtu.crc16(body).to_bytes(2, "little")


def _mend_cjt188(data: bytearray) -> bytes:
    start = max(0, data.find(0x68))
    data[start + 10 : start + 11] = bytes([max(0, len(data) - start - 13) % 256])
    return bytes(data[:-2]) + bytes([sum(data[start:-2]) % 256, 0x16])


def _mend_mbus(data: bytearray) -> bytes:
    body = bytes(data[4:-2])[:255]
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) % 256, 0x16])


def bend(rng: random.Random, target: Target, others: list[Target]) -> list[bytes]:
    """A frame that nobody meant, in the pieces that it comes in."""
    if rng.random() < RANDOM_SHARE:
        data = bytearray(rng.randbytes(rng.randrange(300)))
    else:
        data = bytearray(target.answer)
        for _ in range(rng.choice([0, 1, 1, 2, 5])):
            _change(rng, data, others)
        if rng.random() < 0.5:
            data = bytearray(target.mend(data))
    if rng.random() < 0.2:
        data[:0] = rng.randbytes(rng.randrange(8))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 0, 1, 3])))
    return [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _change(rng: random.Random, data: bytearray, others: list[Target]) -> None:
    at = rng.randrange(len(data) + 1)
    what = rng.randrange(6)
    if what == 0 and data:
        data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
    elif what == 1:
        del data[at : at + rng.randrange(1, 5)]
    elif what == 2:
        data[at:at] = rng.randbytes(rng.randrange(1, 5))
    elif what == 3:
        data[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\xaa" * 4, b"\x7f\xc0\0\0"])
    elif what == 4:
        data += rng.choice(others).answer[: rng.randrange(40)]
    else:
        data += data[:at]


def run(frames: int, seed: int) -> Counter[str]:
    """So many frames; how many were read, refused, and read with values withheld."""
    rng = random.Random(seed)
    known = targets()
    outcomes: Counter[str] = Counter()
    for _ in range(frames):
        target = rng.choice(known)
        chunks = bend(rng, target, known)
        try:
            outcomes[_outcome(target, chunks)] += 1
        except Exception:
            print(f"{target.name}: {[chunk.hex() for chunk in chunks]}", file=sys.stderr)
            raise
    return outcomes


def _outcome(target: Target, chunks: list[bytes]) -> str:
    try:
        reading = target.read(chunks)
    except DecodeError:
        return "refused"
    if reading is None:
        return "no answer"
    encode_event(Event(Kind.MEASUREMENT, "m", STAMP, reading.measurements))
    return "withheld" if reading.withheld else "read"


def main() -> int:
    """Print what became of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    outcomes = run(options.frames, options.seed)
    print(f"{options.frames} frames in {time.monotonic() - began:.0f} s: {dict(outcomes)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
