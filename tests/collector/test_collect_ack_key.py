"""`hearth collect --ack-key`: which files will do, and that what it says is signed with it."""

from __future__ import annotations

import pytest

from gateway.cli.main import main
from gateway.errors import SettingsError
from gateway.signing.keys import read_private_key, write_keys
from gateway.signing.signature import ACKNOWLEDGEMENT, PrivateKey

KEY = PrivateKey.generate()


def refused(capsys, name: str) -> str:
    store, broker = "sqlite:/nowhere/x.db", "mqtt://127.0.0.1:1"
    assert main(["collect", "--store", store, "--url", broker, "--ack-key", name]) == 2
    return capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path, capsys):
    told = refused(capsys, str(tmp_path / "ack.key"))
    assert f"--ack-key: {tmp_path}/ack.key: No such file" in told
    assert "hearth keys new" in told


def test_a_key_that_others_can_read(tmp_path, capsys):
    private, _ = write_keys(KEY, str(tmp_path / "ack"))
    private.chmod(0o644)
    told = refused(capsys, str(private))
    assert "open to every user" in told
    assert "PRIVATE KEY" not in told


def test_the_public_half_signs_nothing(tmp_path, capsys):
    _, public = write_keys(KEY, str(tmp_path / "ack"))
    public.chmod(0o600)
    assert "no private key" in refused(capsys, str(public))


def test_a_credential_of_systemd(tmp_path, monkeypatch, capsys):
    private, _ = write_keys(KEY, str(tmp_path / "ack"))
    private.rename(tmp_path / "ack-key")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "no credentials" in refused(capsys, "credential:ack-key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    signed = read_private_key("credential:ack-key", "--ack-key").sign(ACKNOWLEDGEMENT, b"x")
    assert KEY.public.verifies(ACKNOWLEDGEMENT, signed)
    with pytest.raises(SettingsError, match="names no credential"):
        read_private_key("credential:../ack-key", "--ack-key")
