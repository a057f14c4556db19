"""The way to the broker: every step that fails says which, and what to look at."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from authority import LOOPBACK, Authority
from cryptography import x509
from found import FAULT, OK, WARNING, levels, only

from drivers.sim.loopback import free_port
from gateway.doctor import broker
from gateway.doctor.broker import look_at_broker, resolve
from gateway.settings import UplinkSettings


class Listener:
    """Takes connections on a thread; with a context it shakes hands, and says nothing else."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(taken, server_side=True) if self._context else taken:
                    pass
            except OSError:
                taken.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def plain(port: int, **more: object) -> UplinkSettings:
    return UplinkSettings(url=f"mqtt://127.0.0.1:{port}", **more)


def test_a_broker_that_takes_connections(listener):
    only(look_at_broker(plain(listener.port)), OK, "takes connections")


def test_no_encryption_is_said(listener):
    found = list(look_at_broker(plain(listener.port, allow_plaintext=True)))
    assert levels(found) == [WARNING, OK]


def test_nobody_listens():
    finding = only(look_at_broker(plain(free_port())), FAULT, "refused")
    assert "port" in finding.hint.english


def test_a_machine_that_does_not_answer(monkeypatch):
    def hang(*_: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(broker.socket, "create_connection", hang)
    only(look_at_broker(plain(1)), FAULT, "no answer within 5 s")


def test_a_name_that_is_none():
    only(look_at_broker(UplinkSettings(url="mqtts://broker.invalid")), FAULT, "does not resolve")
    only(look_at_broker(UplinkSettings(url=f"mqtts://{'a' * 64}.b")), FAULT, "does not resolve")


def test_a_resolver_that_hangs_is_left_behind(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(broker, "STEP_S", 0.01)
    monkeypatch.setattr(broker.socket, "getaddrinfo", lambda *_, **__: release.wait())
    finding = resolve("broker.example", 8883)
    release.set()
    assert finding
    assert "no answer within 0.01 s" in finding.what.english


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path, "our-ca")


def secured(authority: Authority, name: x509.GeneralName) -> Listener:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("broker", name))
    return Listener(context)


def tls(port: int, **more: object) -> UplinkSettings:
    return UplinkSettings(url=f"mqtts://127.0.0.1:{port}", **more)


def test_tls_with_the_configured_authority(authority):
    listener = secured(authority, LOOPBACK)
    found = list(look_at_broker(tls(listener.port, ca=authority.ca)))
    assert levels(found) == [OK, OK]
    assert "TLSv1.3" in found[1].what.english
    listener.close()


@pytest.mark.parametrize("fault", ["another authority", "another name"])
def test_a_certificate_that_is_not_believed(authority, tmp_path, fault):
    listener = secured(authority, LOOPBACK if "auth" in fault else x509.DNSName("other.example"))
    ca = Authority(tmp_path, "other-ca").ca if "auth" in fault else authority.ca
    _, finding = look_at_broker(tls(listener.port, ca=ca))
    assert finding.level is FAULT
    assert "certificate is not believed" in finding.what.english
    assert "clock" in finding.hint.english
    listener.close()


def test_a_port_that_speaks_no_tls(listener):
    _, finding = look_at_broker(tls(listener.port))
    assert (finding.level, finding.what.english[:7]) == (FAULT, "no TLS:")


def test_credentials_that_only_the_service_sees_are_no_fault(listener, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    settings = UplinkSettings(
        f"mqtts://127.0.0.1:{listener.port}", ca="credential:ca", cert="c", key="credential:key"
    )
    taken, tls = look_at_broker(settings)
    assert levels([taken, tls]) == [OK, WARNING]
    assert "only the service sees these credentials: ca, key" in tls.what.english


def test_files_that_do_not_load_keep_tls_from_being_tried(listener):
    _, finding = look_at_broker(tls(listener.port, ca="/nowhere/ca.pem"))
    assert finding.level is FAULT
    assert "TLS was not tried" in finding.what.english
