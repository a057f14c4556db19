"""Secrets of webhooks: how they are written, kept, and what they sign."""

import base64

import pytest
from receiver import SECRET, WRITTEN

from collector.outputs.signature import secrets_of, sign
from gateway.errors import SettingsError


def write(tmp_path, text, mode=0o600):
    path = tmp_path / "secret"
    path.touch(mode=mode)
    path.write_text(text)
    return str(path)


def test_the_example_that_libraries_of_the_specification_are_tested_with(tmp_path):
    """github.com/standard-webhooks/standard-webhooks, libraries/python/tests/test_webhooks.py."""
    file = write(tmp_path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    secrets = secrets_of("x", file)
    signature = sign(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_one_secret_or_two(tmp_path):
    other = "whsec_" + base64.b64encode(bytes(24)).decode()
    assert secrets_of("x", write(tmp_path, f"{WRITTEN}\n")) == (SECRET,)
    assert secrets_of("x", write(tmp_path, f"{other}\r\n{WRITTEN}\n")) == (bytes(24), SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "whsec_hunter2",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        f"{WRITTEN}\n" * 3,
        f"{WRITTEN}\nhunter2",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\u5bc6",
        WRITTEN * 100,
    ],
)
def test_what_is_no_secret_is_refused_and_not_told(tmp_path, text):
    with pytest.raises(SettingsError) as caught:
        secrets_of("--webhook-secret-file", write(tmp_path, text))
    told = f"{caught.value}{caught.value.hint}"
    assert "hunter2" not in told
    assert "MfKQ" not in told


def test_a_file_that_others_can_read_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="open to every user"):
        secrets_of("x", write(tmp_path, WRITTEN, mode=0o644))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        secrets_of("x", str(tmp_path / "no"))


def test_a_credential_of_systemd(tmp_path, monkeypatch):
    write(tmp_path, WRITTEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secrets_of("x", "credential:secret") == (SECRET,)
