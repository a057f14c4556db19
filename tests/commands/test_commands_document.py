"""docs/commands.md is right: its example is computed anew, and its lists are complete."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.commands.dispatcher import Reason
from gateway.commands.wire import (
    Command,
    Outcome,
    Reply,
    encode_command,
    encode_envelope,
    encode_reply,
)
from gateway.signing.signature import COMMAND as PURPOSE
from gateway.signing.signature import PrivateKey

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
HEX = {
    name: bytes.fromhex("".join(digits.split()))
    for name, digits in re.findall(r"```hex (\w+)\n([0-9a-f\n]+)```", TEXT)
}
COMMAND = Command(
    gateway="ky-panyuan-03-2-301",
    id=bytes.fromhex("00112233445566778899aabbccddeeff"),
    name="call.accept",
    issued_ms=1_795_651_200_000,
    expires_ms=1_795_651_200_000 + 3_600_000,
    who="desk-1",
    arguments={"call": "17", "note": "在路上"},
)


def test_the_worked_example():
    secret = Ed25519PrivateKey.from_private_bytes(HEX["private"])
    public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert public == HEX["public"]
    body = encode_command(COMMAND)
    assert body == HEX["body"]
    assert secret.sign(b"hearth command v1\0" + body) == HEX["signature"]
    assert encode_envelope(PrivateKey(secret).sign(PURPOSE, body)) == HEX["message"]
    assert encode_reply(Reply(COMMAND.id, Outcome.DONE)) == HEX["reply"]
    assert len(PURPOSE) == 18


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason):
    assert f"`{reason}`" in TEXT
