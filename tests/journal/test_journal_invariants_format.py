"""The bytes of records, headers and meta slots: nothing that was changed is believed."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import DecodeError, UnknownVersion
from gateway.journal.format import (
    BLOCK,
    MAX_PAYLOAD,
    MAX_TOLD_GAPS,
    VERSION,
    MetaState,
    Newest,
    Record,
    RecordType,
    SegmentHeader,
    ToldGap,
    decode_header,
    decode_meta,
    decode_record,
    encode_header,
    encode_meta,
    encode_record,
    salt_seed,
)
from gateway.model import Lane

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
UUIDS = st.binary(min_size=16, max_size=16)
LANES = st.sampled_from(Lane)
HEADERS = st.builds(SegmentHeader, UUIDS, LANES, U64, U32, U64)
GAPS = st.builds(ToldGap, LANES, U64, U64, U64, st.booleans())
NEWEST = st.none() | st.builds(Newest, U64, U32, U64)
METAS = st.builds(
    MetaState,
    UUIDS,
    st.tuples(U64, U64),
    st.tuples(U64, U64),
    st.lists(GAPS, max_size=5).map(tuple),
    U64,
    U64,
    st.tuples(NEWEST, NEWEST),
)
RECORDS = st.tuples(
    U32,
    U64,
    st.sampled_from(RecordType),
    st.binary(max_size=200),
    st.none() | U64,
)
CHANGES = st.tuples(st.integers(0, 10_000), st.integers(1, 255))


def changed(data: bytes, change: tuple[int, int]) -> bytes:
    """The same with one byte otherwise."""
    place, bits = change
    other = bytearray(data)
    other[place % len(data)] ^= bits
    return bytes(other)


@given(HEADERS, st.binary(max_size=20))
def test_a_header_comes_back(header, rest):
    assert decode_header(encode_header(header) + rest) == header


@given(HEADERS, CHANGES)
def test_a_header_that_was_changed_is_none(header, change):
    with pytest.raises(DecodeError):
        decode_header(changed(encode_header(header), change))


@given(METAS, st.integers(0, 2**64 - 1))
def test_a_meta_slot_comes_back(state, generation):
    assert decode_meta(encode_meta(state, generation)) == (generation, state)


@given(METAS, CHANGES)
def test_a_meta_slot_that_was_changed_is_none(state, change):
    data = encode_meta(state, 7)
    try:
        found = decode_meta(changed(data, change))
    except DecodeError:
        return
    assert found == (7, state)
    assert change[0] % len(data) == len(data) - 5  # the CRC's own CBOR head carries nothing


@given(METAS, st.data())
def test_a_meta_slot_that_was_cut_short_is_none(state, data):
    slot = encode_meta(state, 7)
    with pytest.raises(DecodeError):
        decode_meta(slot[: data.draw(st.integers(0, len(slot) - 1))])


def test_however_many_losses_were_told_a_slot_fits_into_its_block():
    most = 2**64 - 1
    gaps = tuple(ToldGap(Lane.URGENT, most - i, most, most, True) for i in range(2 * MAX_TOLD_GAPS))
    state = MetaState(b"j" * 16, (most, most), (most, most), gaps, most, most)
    slot = encode_meta(state, most)
    assert len(slot) <= BLOCK
    assert decode_meta(slot)[1].gaps == gaps[-MAX_TOLD_GAPS:]  # the latest


def test_a_slot_of_an_earlier_hearth_is_read():
    """Keys 5 and 6 and a gap's last field came later; gaps were lists of four."""
    state = MetaState(b"j" * 16, (1, 2), (3, 4), (ToldGap(Lane.ROUTINE, 5, 6, 7),), 8)
    slot = encode_meta(state, 9)
    body = b"\xa5" + slot[slot.index(b"\x00\x50") :]  # five entries
    assert b"\x05\x00\x06\x82\xf6\xf6" in body
    body = body.replace(b"\x05\x00\x06\x82\xf6\xf6", b"")[:-5].replace(
        b"\x85\x01\x05\x06\x07\xf4", b"\x84\x01\x05\x06\x07"
    )
    assert decode_meta(_meta_of(body)) == (9, state)


@pytest.mark.parametrize("body", [b"", b"\xa0", b"\x80", b"\x01", b"\xa1\x00\x01", b"\xff"])
def test_a_slot_with_an_intact_crc_and_nonsense_in_it_is_none(body):
    with pytest.raises(DecodeError):
        decode_meta(_meta_of(body))


def _meta_of(body: bytes, *, version: int = VERSION) -> bytes:
    head = b"\x85\x48hearthmt\x18" + bytes([version]) + b"\x1b" + (9).to_bytes(8, "big")
    data = head + b"\x59" + len(body).to_bytes(2, "big") + body
    return data + b"\x1a" + crc32(data).to_bytes(4, "big")


@given(st.integers(0, 255).filter(lambda version: version != VERSION))
def test_a_later_format_is_told_from_damage(version):
    with pytest.raises(UnknownVersion, match=str(version)):
        decode_meta(_meta_of(b"\xa0", version=version))


@given(RECORDS, st.binary(max_size=30), st.binary(max_size=30))
@example((0, 1, RecordType.EVENT, bytes(MAX_PAYLOAD), None), b"", b"")
def test_a_record_comes_back(record, before, after):
    salt, seq, kind, payload, synced = record
    data = encode_record(salt_seed(salt), seq, kind, payload, synced)
    end = len(before) + len(data)
    assert decode_record(before + data + after, len(before), salt_seed(salt)) == Record(
        seq, kind, synced, payload, end
    )


@given(RECORDS, CHANGES)
def test_a_record_that_was_changed_is_none(record, change):
    salt, seq, kind, payload, synced = record
    data = encode_record(salt_seed(salt), seq, kind, payload, synced)
    assert decode_record(changed(data, change), 0, salt_seed(salt)) is None


@given(RECORDS, U32)
def test_a_record_of_another_life_is_none(record, other):
    salt, seq, kind, payload, synced = record
    data = encode_record(salt_seed(salt), seq, kind, payload, synced)
    found = decode_record(data, 0, salt_seed(other))
    assert (found is None) is (other != salt)


@given(RECORDS, st.data())
def test_a_record_that_was_cut_short_is_none(record, data):
    salt, seq, kind, payload, synced = record
    whole = encode_record(salt_seed(salt), seq, kind, payload, synced)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert decode_record(part, 0, salt_seed(salt)) is None


@given(st.binary(max_size=4096), st.integers(0, 4096))
def test_nonsense_is_no_record_and_no_error(data, at):
    assert decode_record(data, at, salt_seed(1)) is None
    for decode in (decode_header, decode_meta):
        with pytest.raises(DecodeError):
            decode(data)
