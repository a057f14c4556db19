"""Commands and replies: written as they are read, and whatever else comes is a DecodeError."""

import contextlib

import cbor2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ordered import command_of
from wire_strategies import commands, replies, wild

from gateway.commands.wire import (
    MAX_ARGUMENT_TEXT,
    MAX_COMMAND_BYTES,
    MAX_REPLY_BYTES,
    MAX_ROWS,
    Command,
    Head,
    Outcome,
    Reply,
    decode_command,
    decode_envelope,
    decode_head,
    decode_reply,
    encode_command,
    encode_envelope,
    encode_reply,
)
from gateway.errors import DecodeError, UnknownVersion
from gateway.model import Signed

ID = bytes(16)


def encoded(encode, item):
    try:
        return encode(item)
    except DecodeError:
        assume(False)
        raise


@given(commands)
def test_a_command_is_read_as_it_was_written(command):
    assert decode_command(encode_command(command)) == command
    assert decode_head(encode_command(command)) == Head(command.gateway, command.id)


@given(replies)
def test_a_reply_is_read_as_it_was_written(reply):
    assert decode_reply(encoded(encode_reply, reply)) == reply


@given(st.binary(max_size=2000), st.binary(min_size=64, max_size=64))
def test_an_envelope_is_read_as_it_was_written(body, signature):
    envelope = Signed(body, signature)
    assert decode_envelope(encode_envelope(envelope)) == envelope


@given(commands)
def test_the_order_of_arguments_does_not_matter(command):
    backwards = dict(reversed(command.arguments.items()))
    other = Command(*[getattr(command, f) for f in command.__struct_fields__[:-1]], backwards)
    assert encode_command(other) == encode_command(command)


def test_keys_stand_in_the_order_of_rfc_8949():
    body = encode_command(command_of(arguments={"b": 1, "aa": 2, "a": [{"z": 1, "b": 2.5}]}))
    assert list(cbor2.loads(body)[7]) == ["a", "b", "aa"]
    assert list(cbor2.loads(body)[7]["a"][0]) == ["b", "z"]
    assert b"\xfb" + b"\x40\x04" in body, "floats are 64 bit wide"


DECODERS = [decode_command, decode_envelope, decode_reply, decode_head]


@pytest.mark.parametrize("decode", DECODERS, ids=lambda f: f.__name__)
@given(data=st.data())
def test_no_bytes_raise_anything_but_a_decode_error(decode, data):
    raw = data.draw(st.binary(max_size=200))
    try:
        decode(raw)
    except DecodeError:
        return


@pytest.mark.parametrize("decode", DECODERS, ids=lambda f: f.__name__)
@given(data=st.data())
def test_no_damage_raises_anything_but_a_decode_error(decode, data):
    """One byte of something right is another one, missing, or too many."""
    right = {
        decode_command: encode_command(command_of(arguments={"a": [{"b": 1}], "c": 2.5})),
        decode_envelope: encode_envelope(Signed(b"body", bytes(64))),
        decode_reply: encode_reply(Reply(ID, Outcome.FAILED, "silent", {"a": True})),
        decode_head: encode_command(command_of()),
    }[decode]
    at = data.draw(st.integers(0, len(right) - 1))
    insert = data.draw(st.binary(max_size=2))
    try:
        decode(right[:at] + insert + right[at + data.draw(st.integers(0, 1)) :])
    except DecodeError:
        return


@given(st.lists(wild, max_size=10))
def test_no_items_raise_anything_but_a_decode_error(items):
    try:
        data = cbor2.dumps(items)
    except (UnicodeEncodeError, cbor2.CBOREncodeError):
        assume(False)
    for decode in DECODERS:
        with contextlib.suppress(DecodeError):
            decode(data)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "gateway": wild, "id": wild, "name": wild, "issued_ms": wild, "expires_ms": wild, "who": wild,
            "arguments": wild | st.dictionaries(wild.filter(lambda x: not isinstance(x, list)), wild, max_size=2),
        },
    )
)  # fmt: skip
def test_what_is_written_can_be_read(changes):
    """Whoever calls it: the encoder writes nothing that the decoder refuses."""
    command = command_of(**changes)
    try:
        body = encode_command(command)
    except DecodeError:
        return
    assert encode_command(decode_command(body)) == body


ROW = {"id": "pill-1", "at": "08:00"}
WRONG_ARGUMENTS = {
    "a map": {"a": {"b": 1}},
    "a list of numbers": {"a": [1, 2]},
    "a list in a row": {"a": [{"b": [1]}]},
    "null": {"a": None},
    "bytes": {"a": b"x"},
    "too many rows": {"a": [ROW] * (MAX_ROWS + 1)},
    "too many": {str(n): n for n in range(33)},
    "too many in a row": {"a": [{str(n): n for n in range(33)}]},
    "a long text": {"a": "x" * (MAX_ARGUMENT_TEXT + 1)},
    "an empty text": {"a": ""},
    "an empty key": {"": 1},
    "not a number": {"a": float("nan")},
    "65 bits": {"a": 2**64},
    "half a surrogate pair": {"a": "\ud800"},
    "half a surrogate pair as key": {"\ud800": 1},
}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_arguments_that_are_refused_on_both_sides(name):
    arguments = WRONG_ARGUMENTS[name]
    with pytest.raises(DecodeError):
        encode_command(command_of(arguments=arguments))
    if "surrogate" not in name:
        items = [*cbor2.loads(encode_command(command_of()))[:7], arguments]
        with pytest.raises(DecodeError):
            decode_command(cbor2.dumps(items))


def test_the_most_there_may_be():
    arguments = {"a": [{}] * MAX_ROWS, "b": "界" * MAX_ARGUMENT_TEXT, "c": []}
    assert decode_command(encode_command(command_of(arguments=arguments))).arguments == arguments


@pytest.mark.parametrize("name", ["", "Call", "call.", ".call", "a..b", "a/b", "a b", "+", "#", "a" * 65, "a\n", "呼叫"])  # fmt: skip
def test_names_that_are_none(name):
    with pytest.raises(DecodeError):
        encode_command(command_of(name=name))


def test_an_envelope_that_is_too_large():
    most = MAX_COMMAND_BYTES - len(encode_envelope(Signed(bytes(10_000), bytes(64)))) + 10_000
    assert len(encode_envelope(Signed(bytes(most), bytes(64)))) == MAX_COMMAND_BYTES
    with pytest.raises(DecodeError):
        encode_envelope(Signed(bytes(most + 1), bytes(64)))
    with pytest.raises(DecodeError):
        decode_envelope(cbor2.dumps([1, bytes(most + 1), bytes(64)]))


def test_a_reply_that_is_too_large():
    with pytest.raises(DecodeError):
        encode_reply(Reply(ID, Outcome.DONE, result={str(n): "x" * 200 for n in range(10)}))
    with pytest.raises(DecodeError):
        decode_reply(cbor2.dumps([1, ID, 0, "", {str(n): "x" * 200 for n in range(10)}]))
    with pytest.raises(DecodeError):
        encode_reply(Reply(ID, Outcome.DONE, "x" * 257))
    longest = Reply(ID, Outcome.FAILED, "x" * 256)
    assert len(encode_reply(longest)) < MAX_REPLY_BYTES
    assert decode_reply(encode_reply(longest)) == longest


def test_other_versions_say_so():
    for data, decode in [
        (cbor2.dumps([2, b"", bytes(64)]), decode_envelope),
        (cbor2.dumps([2, "g", ID, "and", "more"]), decode_command),
        (cbor2.dumps([2, ID]), decode_reply),
    ]:
        with pytest.raises(UnknownVersion):
            decode(data)


def test_the_head_of_a_body_from_the_future():
    future = cbor2.dumps([7, "g", ID, {"all": {"sorts": {"of": {"new": [[[[b"things"]]]]}}}}])
    assert decode_head(future) == Head("g", ID)
    for short in ([7], [7, "g"], ["7", "g", ID], [7, 5, ID], [7, "g", b"short"], 5):
        with pytest.raises(DecodeError):
            decode_head(cbor2.dumps(short))
    with pytest.raises(DecodeError):
        decode_head(cbor2.dumps([7, "g"]) + cbor2.dumps(ID))  # behind the body is not in it
