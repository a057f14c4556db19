"""Bytes of the journal, format version 1. Pure: no I/O. DESIGN.md is the specification.

Everything is CBOR with fixed-width heads, so that a whole file is a CBOR sequence (RFC 8742) that
any CBOR tool reads, and unused room (zeros) decodes as integers 0.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any
from zlib import crc32

import cbor2
import msgspec

from gateway.errors import DecodeError, UnknownVersion
from gateway.model import Lane

VERSION = 1
BLOCK = 4096  # one filesystem block: what a commit costs at least, so what headers may use

SEGMENT_MAGIC = b"hearthsg"
META_MAGIC = b"hearthmt"


class RecordType(IntEnum):
    """What a record's payload is."""

    EVENT = 1  # an event of wire version 1
    GAP = 2  # the same, and it tells of a gap


# --- records ----------------------------------------------------------------------------------
#
#   84 1B<seq:8> 18<type> 1A<crc:4>                59<len:2> <payload>     inside a commit
#   85 1B<seq:8> 18<type> 1A<crc:4> 1B<synced:8>   59<len:2> <payload>     first of a commit
#
# crc = CRC-32 of salt, everything before the crc's head, everything after the crc.

_PLAIN = struct.Struct(">BBQBBBIBH")
_FIRST = struct.Struct(">BBQBBBIBQBH")
_SEQ_TYPE = struct.Struct(">BBQBB")
PLAIN_HEAD_BYTES = _PLAIN.size  # 20
FIRST_HEAD_BYTES = _FIRST.size  # 29
MAX_PAYLOAD = 0xFFFF
_CRC_AT = 12  # the crc's own head; its value is the next 4 bytes
_AFTER_CRC = 17


class Record(msgspec.Struct, frozen=True):
    """One record as read: where it lies, what it holds."""

    seq: int
    type: int
    synced_through: int | None  # only in the first record of a commit
    payload: bytes
    end: int  # offset behind it


def salt_seed(salt: int) -> int:
    """The CRC state after the salt, from which every record's CRC of a segment starts."""
    return crc32(salt.to_bytes(4, "big"))


def encode_record(
    seed: int, seq: int, kind: int, payload: bytes, synced_through: int | None = None
) -> bytes:
    """The bytes of one record; with `synced_through` it is the first of a commit."""
    first = 0x84 if synced_through is None else 0x85
    head = _SEQ_TYPE.pack(first, 0x1B, seq, 0x18, kind)
    synced = b"" if synced_through is None else b"\x1b" + synced_through.to_bytes(8, "big")
    tail = synced + b"\x59" + len(payload).to_bytes(2, "big") + payload
    crc = crc32(tail, crc32(head, seed))
    return head + b"\x1a" + crc.to_bytes(4, "big") + tail


def decode_record(data: bytes, at: int, seed: int) -> Record | None:
    """The intact record that begins at `at`, or None if none does."""
    try:
        if data[at] == 0x84:
            _, h1, seq, h2, kind, h3, crc, h4, length = _PLAIN.unpack_from(data, at)
            synced, start, h5 = None, at + PLAIN_HEAD_BYTES, 0x1B
        elif data[at] == 0x85:
            _, h1, seq, h2, kind, h3, crc, h5, synced, h4, length = _FIRST.unpack_from(data, at)
            start = at + FIRST_HEAD_BYTES
        else:
            return None
    except (IndexError, struct.error):
        return None
    end = start + length
    if (h1, h2, h3, h4, h5) != (0x1B, 0x18, 0x1A, 0x59, 0x1B) or end > len(data):
        return None
    if crc32(data[at + _AFTER_CRC : end], crc32(data[at : at + _CRC_AT], seed)) != crc:
        return None
    return Record(seq, kind, synced, data[start:end], end)


# --- segment headers ----------------------------------------------------------------------------
#
#   88 48<magic:8> 18<version> 50<journal:16> 18<lane>
#      1B<number:8> 1A<salt:4> 1B<first seq:8> 1A<crc:4>

_HEADER = struct.Struct(">BB8sBBB16sBBBQBIBQBI")


class SegmentHeader(msgspec.Struct, frozen=True):
    """What a segment says of itself."""

    journal: bytes  # 16 B
    lane: Lane
    number: int  # grows by one at every recycling of the lane
    salt: int  # new at every recycling: tells this life's records from the last one's
    first_seq: int  # seq of its first record; everything before it is durable


def encode_header(header: SegmentHeader) -> bytes:
    """One copy of a segment header."""
    body = _HEADER.pack(
        0x88, 0x48, SEGMENT_MAGIC, 0x18, VERSION, 0x50, header.journal, 0x18, header.lane,
        0x1B, header.number, 0x1A, header.salt, 0x1B, header.first_seq, 0x1A, 0,
    )[:-4]  # fmt: skip
    return body + crc32(body).to_bytes(4, "big")


def decode_header(data: bytes) -> SegmentHeader:
    """A segment header; UnknownVersion or DecodeError if it is none."""
    data = data[: _HEADER.size]
    if len(data) < _HEADER.size or crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
        raise DecodeError("no intact segment header")
    fields = _HEADER.unpack(data)
    if fields[2] != SEGMENT_MAGIC:
        raise DecodeError("not a segment of a hearth journal")
    if fields[4] != VERSION:
        raise UnknownVersion(f"journal format {fields[4]}; this hearth reads {VERSION}")
    if fields[8] not in tuple(Lane):
        raise DecodeError(f"segment of lane {fields[8]}")
    return SegmentHeader(fields[6], Lane(fields[8]), fields[10], fields[12], fields[14])


# --- meta slots ---------------------------------------------------------------------------------
#
#   85 48<magic:8> 18<version> 1B<generation:8> 59<len:2><body> 1A<crc:4>
#   body = {0: journal uuid, 1: [acknowledged, ...], 2: [durable, ...],
#           3: [[lane, first, last, seq, given up], ...], 4: bytes written, 5: seconds in use,
#           6: [[number, salt, first seq] of the newest segment or null, ...]}

_META = struct.Struct(">BB8sBBBQBH")
MAX_TOLD_GAPS = 120  # keeps a slot within one block
QUOTA, AGE = "quota", "age"  # reasons of gaps for what had to go; the third is "damage"
GIVEN_UP = frozenset({QUOTA, AGE})


class ToldGap(msgspec.Struct, frozen=True, array_like=True):
    """Seqs `first..last` of a lane are lost, and the gap event `seq` says so.

    `given_up`: they had to go (quota, age); everything up to `last` was acknowledged or told of.
    """

    lane: Lane
    first: int
    last: int
    seq: int
    given_up: bool = False


class Newest(msgspec.Struct, frozen=True, array_like=True):
    """What the header of a lane's newest segment says: enough to read it without its headers."""

    number: int
    salt: int
    first_seq: int


class MetaState(msgspec.Struct, frozen=True):
    """What the journal remembers beside its segments. Lists are indexed by lane."""

    journal: bytes
    acknowledged: tuple[int, int]  # freed through here
    durable: tuple[int, int]  # on flash through at least here
    gaps: tuple[ToldGap, ...] = ()  # losses told of, until the telling is acknowledged
    bytes_written: int = 0  # to flash since creation, headers and meta included
    seconds_used: int = 0  # how long the journal was open since creation
    newest: tuple[Newest | None, Newest | None] = (None, None)


def encode_meta(state: MetaState, generation: int) -> bytes:
    """One slot."""
    body = cbor2.dumps(
        {
            0: state.journal,
            1: list(state.acknowledged),
            2: list(state.durable),
            3: [list(msgspec.structs.astuple(gap)) for gap in state.gaps[-MAX_TOLD_GAPS:]],
            4: state.bytes_written,
            5: state.seconds_used,
            6: [newest and list(msgspec.structs.astuple(newest)) for newest in state.newest],
        }
    )
    head = _META.pack(0x85, 0x48, META_MAGIC, 0x18, VERSION, 0x1B, generation, 0x59, len(body))
    return head + body + b"\x1a" + crc32(head + body).to_bytes(4, "big")


def decode_meta(data: bytes) -> tuple[int, MetaState]:
    """Generation and state of one slot; UnknownVersion or DecodeError if it is none."""
    try:
        _, _, magic, _, version, _, generation, _, length = _META.unpack_from(data, 0)
    except struct.error as error:
        raise DecodeError("meta slot is cut short") from error
    end = _META.size + length
    crc = int.from_bytes(data[end + 1 : end + 5], "big")
    if magic != META_MAGIC or len(data) < end + 5 or crc32(data[:end]) != crc:
        raise DecodeError("no intact meta slot")
    if version != VERSION:
        raise UnknownVersion(f"journal format {version}; this hearth reads {VERSION}")
    return generation, _meta_state(data[_META.size : end])


def _meta_state(body: bytes) -> MetaState:
    try:
        fields: dict[int, Any] = cbor2.loads(body)
        return msgspec.convert(
            {
                "journal": fields[0],
                "acknowledged": fields[1],
                "durable": fields[2],
                "gaps": fields[3],
                "bytes_written": fields[4],
                "seconds_used": fields.get(5, 0),  # 5 and 6 came later; older slots lack them
                "newest": fields.get(6, (None, None)),
            },
            MetaState,
        )
    except (
        cbor2.CBORError,
        msgspec.ValidationError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise DecodeError(f"meta slot is not readable: {error}") from error
