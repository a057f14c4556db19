"""What `[uplink]` names may be files or systemd credentials; secrets are for hearth alone.

systemd itself hands them over in tests/systemd/test_booted_credentials.py.
"""

from __future__ import annotations

import os

import pytest
from authority import Authority
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.doctor.secrets import look_at_files
from gateway.errors import SettingsError
from gateway.finding import Level
from gateway.settings import MirrorSettings, UplinkSettings
from gateway.uplink.credentials import password_of, path_of, tls_context_of

URL = "mqtts://broker.example"
CREDENTIAL = "credential:mqtt-password"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What systemd makes for a service."""
    made = tmp_path / "credentials"
    made.mkdir(mode=0o500)
    made.chmod(0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made))
    return made


def secret(path, text="geheim\n", mode=0o400):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_password_that_is_a_credential(folder):
    secret(folder / "mqtt-password")
    assert password_of(UplinkSettings(URL, password_file=CREDENTIAL)) == "geheim"


def test_certificates_that_are_credentials(folder):
    authority = Authority(folder, "our-ca")
    authority.issue("gw")
    files = {"ca": "our-ca.pem", "cert": "gw.pem", "key": "gw.key"}
    named = {key: f"credential:{name}" for key, name in files.items()}
    assert tls_context_of(UplinkSettings(URL, **named)) is not None
    assert [it.level for it in look_at_files(UplinkSettings(URL, **named))] == [Level.OK]


@pytest.mark.parametrize(
    "name", ["", "a/b", "../x", "/etc/passwd", ".", "..", ".hidden", "a\n", "a b", "x" * 256]
)
def test_no_way_out_of_the_folder(folder, name):
    with pytest.raises(SettingsError, match="names no credential"):
        path_of("uplink.key", f"credential:{name}")


def test_without_systemd_it_says_what_to_write(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SettingsError, match=r"uplink\.password_file: .*credential") as missing:
        password_of(UplinkSettings(URL, password_file=CREDENTIAL))
    assert "LoadCredential=mqtt-password:" in missing.value.hint
    assert "SetCredentialEncrypted=" in missing.value.hint
    (found,) = look_at_files(UplinkSettings(URL, password_file=CREDENTIAL))
    assert found.level is Level.OK  # the service may have it; a shell cannot know
    settings = UplinkSettings(URL, password_file=CREDENTIAL, ca="/nowhere/ca.pem")
    (found,) = look_at_files(settings)
    assert found.level is Level.FAULT  # what a shell can see is looked at all the same
    assert found.about == "uplink.ca"


def test_a_credential_that_systemd_did_not_load(folder):
    with pytest.raises(SettingsError, match="cannot be read"):
        password_of(UplinkSettings(URL, password_file=CREDENTIAL))


def test_a_fault_of_the_mirror_is_not_blamed_on_the_uplink(tmp_path):
    with pytest.raises(SettingsError, match=r"^mirror\.password_file"):
        password_of(MirrorSettings(url=URL, password_file=str(tmp_path / "none")))
    with pytest.raises(SettingsError, match=r"^mirror: ca, cert or key"):
        tls_context_of(MirrorSettings(url=URL, ca=str(tmp_path / "none")))


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_secrets_that_everybody_can_read_are_refused(tmp_path, mode):
    cert, key = Authority(tmp_path, "our-ca").issue("gw")
    os.chmod(key, mode)
    with pytest.raises(SettingsError, match=r"uplink\.key: .* open to every user") as refused:
        tls_context_of(UplinkSettings(URL, cert=cert, key=key))
    assert refused.value.hint == f"chmod 600 {key}"
    password = secret(tmp_path / "password", mode=mode)
    with pytest.raises(SettingsError, match=r"uplink\.password_file: .* open to every user"):
        password_of(UplinkSettings(URL, password_file=password))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_secrets_of_hearth_and_its_group_are_taken(tmp_path, mode):
    cert, key = Authority(tmp_path, "our-ca").issue("gw")
    os.chmod(key, mode)
    assert tls_context_of(UplinkSettings(URL, cert=cert, key=key)) is not None


@pytest.mark.parametrize("text", ["", "\n", "\r\n", "x" * 65_536])
def test_what_is_no_password(tmp_path, text):
    with pytest.raises(SettingsError, match="holds no password"):
        password_of(UplinkSettings(URL, password_file=secret(tmp_path / "p", text)))


@pytest.mark.parametrize("text", ["a b", " a", "口令", "x" * 65_535])
def test_a_password_is_taken_as_it_is(tmp_path, text):
    path = secret(tmp_path / "p", text + "\n")
    assert password_of(UplinkSettings(URL, password_file=path)) == text


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path):
    """OpenSSL would ask on the terminal, and a daemon would wait for ever."""
    cert, _ = Authority(tmp_path, "our-ca").issue("gw")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = serialization.BestAvailableEncryption(b"x")
    key = tmp_path / "locked.key"
    key.touch(0o600)
    key.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*form, locked))
    with pytest.raises(SettingsError, match="cannot be loaded"):
        tls_context_of(UplinkSettings(URL, cert=cert, key=str(key)))
