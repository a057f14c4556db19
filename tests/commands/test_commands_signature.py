"""Who may order: what one key signed for one gateway, and nothing that differs by a bit."""

import os
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ordered import KEY, OTHER_KEY, command_of

from gateway.commands.wire import encode_command
from gateway.errors import SettingsError
from gateway.model import Signed
from gateway.signing.keys import read_private_key, read_public_keys, write_keys
from gateway.signing.signature import ACKNOWLEDGEMENT, COMMAND, PrivateKey, PublicKey

BODY = encode_command(command_of())
ENVELOPE = KEY.sign(COMMAND, BODY)


def test_what_the_key_signed():
    assert KEY.public.verifies(COMMAND, ENVELOPE)
    assert not OTHER_KEY.public.verifies(COMMAND, ENVELOPE)
    assert not KEY.public.verifies(COMMAND, OTHER_KEY.sign(COMMAND, BODY))


@given(st.integers(0, 8 * (len(BODY) + 64) - 1))
def test_no_bit_can_be_changed(bit):
    data = bytearray(ENVELOPE.signature + ENVELOPE.body)
    data[bit // 8] ^= 1 << bit % 8
    assert not KEY.public.verifies(COMMAND, Signed(bytes(data[64:]), bytes(data[:64])))


@given(st.integers(0, len(BODY) - 1))
def test_nothing_can_be_cut_off(length):
    assert not KEY.public.verifies(COMMAND, Signed(BODY[:length], ENVELOPE.signature))


@given(st.binary(max_size=100), st.binary(min_size=64, max_size=64))
def test_nothing_else_is_a_signature(body, signature):
    assert not KEY.public.verifies(COMMAND, Signed(body, signature))
    assert not KEY.public.verifies(COMMAND, Signed(b"", ENVELOPE.signature))


def test_a_signature_for_another_purpose_is_none_of_a_command():
    """The prefix is part of what is signed, and cannot be moved into the body either."""
    bare = KEY._key.sign(BODY)
    assert not KEY.public.verifies(COMMAND, Signed(BODY, bare))
    assert not KEY.public.verifies(COMMAND, Signed(COMMAND + BODY, ENVELOPE.signature))
    assert not KEY.public.verifies(COMMAND, KEY.sign(ACKNOWLEDGEMENT, BODY))
    assert not KEY.public.verifies(ACKNOWLEDGEMENT, ENVELOPE)


# --- files ---------------------------------------------------------------------------------------


def test_a_pair_of_files(tmp_path):
    private, public = write_keys(PrivateKey.generate(), str(tmp_path / "desk"))
    assert (private.name, public.name) == ("desk.key", "desk.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = read_private_key(str(private), "--key")
    (known,) = read_public_keys([str(public)], "commands.keys")
    assert known.verifies(COMMAND, key.sign(COMMAND, BODY))
    before = private.read_bytes()
    with pytest.raises(SettingsError, match="is there already"):
        write_keys(PrivateKey.generate(), str(tmp_path / "desk"))
    assert private.read_bytes() == before


def test_neither_file_is_written_over(tmp_path):
    (tmp_path / "desk.pub").write_text("")
    with pytest.raises(SettingsError, match="is there already"):
        write_keys(KEY, str(tmp_path / "desk"))
    assert not (tmp_path / "desk.key").exists()


def test_a_private_key_that_others_can_read_is_refused(tmp_path):
    private, _ = write_keys(KEY, str(tmp_path / "desk"))
    private.chmod(0o644)
    with pytest.raises(SettingsError, match="open to every user") as refused:
        read_private_key(str(private), "--key")
    assert "chmod 600" in refused.value.hint


def test_a_public_key_that_others_can_write_is_refused(tmp_path):
    _, public = write_keys(KEY, str(tmp_path / "desk"))
    public.chmod(0o666)
    with pytest.raises(SettingsError, match="open to every user"):
        read_public_keys([str(public)], "commands.keys")


def test_every_file_without_a_key_is_a_fault(tmp_path):
    private, good = write_keys(KEY, str(tmp_path / "desk"))
    (tmp_path / "empty").write_text("")
    (tmp_path / "long").write_bytes(good.read_bytes() + b"\n" * 5000)
    names = [str(tmp_path / name) for name in ("none", "empty", "desk.key", "desk.pub")]
    with pytest.raises(SettingsError) as refused:
        read_public_keys([*names, str(tmp_path)], "hearth.toml:9: commands.keys")
    assert len(refused.value.faults) == 4
    assert all(fault.startswith("hearth.toml:9: commands.keys: ") for fault in refused.value.faults)
    assert "No such file" in refused.value.faults[0]
    assert private.read_text().splitlines()[1] not in str(refused.value), "no secret in a message"


@pytest.mark.parametrize("name", ["none", "desk.pub", "junk"])
def test_a_private_key_that_is_none(tmp_path, name):
    write_keys(KEY, str(tmp_path / "desk"))
    (tmp_path / "junk").write_bytes(os.urandom(100))
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    with pytest.raises(SettingsError):
        read_private_key(str(tmp_path / name), "--key")


def test_keys_of_other_kinds_are_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    other = ec.generate_private_key(ec.SECP256R1())
    public = tmp_path / "p256.pub"
    public.write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(SettingsError, match="not one of Ed25519"):
        read_public_keys([str(public)], "commands.keys")
    private = tmp_path / "p256.key"
    private.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    with pytest.raises(SettingsError, match="not one of Ed25519"):
        read_private_key(str(private), "--key")
    locked = KEY._key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    private.write_bytes(locked)
    with pytest.raises(SettingsError, match="no private key"):
        read_private_key(str(private), "--key")


def test_openssl_makes_such_keys(tmp_path):
    """The files are those of other tools, so a key can be made where no hearth is."""
    try:
        run = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True)  # noqa: E731
        run("genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "k"))
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no openssl here that makes Ed25519 keys")
    run("pkey", "-in", str(tmp_path / "k"), "-pubout", "-out", str(tmp_path / "p"))
    (tmp_path / "k").chmod(0o600)
    key, (known,) = (
        read_private_key(str(tmp_path / "k"), "--key"),
        read_public_keys([str(tmp_path / "p")], "commands.keys"),
    )
    assert isinstance(known, PublicKey)
    assert known.verifies(COMMAND, key.sign(COMMAND, BODY))
