"""mqtts://: who the broker is gets checked, always; what does not fit is named, and tried again."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import time
from contextlib import suppress

import pytest
from authority import HOUR, LOOPBACK, Authority
from brokers import MemoryBacklog, needs_mosquitto, payload_of, until
from cryptography import x509

from drivers.sim.broker import Broker
from drivers.sim.loopback import HOST
from gateway.backoff import Backoff
from gateway.errors import SettingsError, UplinkLost
from gateway.forwarding.forwarder import Forwarder
from gateway.model import Lane
from gateway.settings import UplinkSettings, read_uplink
from gateway.uplink import MqttUplink

DAY = 24 * HOUR
TLS_HANDSHAKE = 0x16  # the first byte of a ClientHello; a CONNECT begins with 0x10
OTHER = x509.DNSName("other.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.7"))


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "our-ca")


def listener(cert: str, key: str, more: str = "") -> str:
    return f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n{more}"


def tls_settings(port: int, **changes) -> UplinkSettings:
    return UplinkSettings(url=f"mqtts://{HOST}:{port}", **changes)


async def refusal(settings: UplinkSettings) -> UplinkLost:
    """Why there is no session."""
    with pytest.raises(UplinkLost) as refused:
        async with MqttUplink(settings).session():
            pass
    return refused.value


def day(from_now: datetime.timedelta) -> str:
    return f"{datetime.datetime.now(datetime.UTC) + from_now:%Y-%m-%d}"


@needs_mosquitto
async def test_a_broker_with_the_right_name_of_our_authority(authority):
    async with Broker(listener=listener(*authority.issue("broker", LOOPBACK))) as broker:
        settings = tls_settings(broker.port, ca=authority.ca)
        async with MqttUplink(settings).session() as session:
            await session.subscribe("a")
            await session.publish("a", bytes(100_000))
            assert len((await session.receive(1))[0].payload) == 100_000


# --- certificates of the broker -----------------------------------------------------------------


def another_host(authority, _):
    return authority.issue("broker", *OTHER), ("for other.example, 192.0.2.7, not for 127.0.0.1",)


def expired(authority, _):
    files = authority.issue("broker", LOOPBACK, since=-9 * DAY, until=-2 * DAY)
    return files, (f"expired on {day(-2 * DAY)}", f"Here it is {day(0 * DAY)}")


def not_yet_valid(authority, _):
    files = authority.issue("broker", LOOPBACK, since=2 * DAY, until=9 * DAY)
    return files, (f"valid only from {day(2 * DAY)}", f"here it is {day(0 * DAY)}")


def self_signed(authority, folder):
    return Authority(folder, "lone").alone(LOOPBACK), ("signed its certificate itself", "`ca`")


def other_authority(authority, folder):
    files = Authority(folder, "other-ca").issue("broker", LOOPBACK)
    return files, ("does not know who signed", "`ca`")


def expired_and_for_another_host(authority, _):
    """One fault after the other: the name is checked first."""
    files = authority.issue("broker", *OTHER, since=-9 * DAY, until=-2 * DAY)
    return files, ("for other.example, 192.0.2.7, not for 127.0.0.1",)


@needs_mosquitto
@pytest.mark.parametrize(
    "story",
    [
        another_host,
        expired,
        not_yet_valid,
        self_signed,
        other_authority,
        expired_and_for_another_host,
    ],
)
async def test_a_broker_that_cannot_prove_who_it_is(authority, tmp_path, story):
    files, words = story(authority, tmp_path)
    async with Broker(listener=listener(*files)) as broker:
        refused = await refusal(tls_settings(broker.port, ca=authority.ca))
    assert isinstance(refused.__cause__, ssl.SSLCertVerificationError)
    for word in words:
        assert word in refused.hint, refused.hint


@needs_mosquitto
async def test_a_broker_that_trusts_itself_is_trusted_by_who_names_it(tmp_path):
    """What the hint for a self-signed certificate says to do works."""
    cert, key = Authority(tmp_path, "lone").alone(LOOPBACK)
    async with Broker(listener=listener(cert, key)) as broker:
        uplink = MqttUplink(tls_settings(broker.port, ca=cert))
        async with uplink.session() as session:
            await session.publish("a", b"1")


async def test_its_certificate_is_looked_at_once_and_not_with_every_try(authority):
    """A SIM card has a budget: one more handshake in all, not one with each try."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("broker", *OTHER))
    async with Door(context) as door:
        uplink = MqttUplink(tls_settings(door.port, ca=authority.ca))
        for _ in range(3):
            with pytest.raises(UplinkLost) as refused:
                async with uplink.session():
                    pass
            assert "other.example" in refused.value.hint
        assert len(door.came_s) == 4


# --- certificates of the gateway ----------------------------------------------------------------


@needs_mosquitto
async def test_client_certificates(authority, tmp_path):
    more = f"cafile {authority.ca}\nrequire_certificate true"
    stranger = Authority(tmp_path, "other-ca").issue("stranger")
    old = authority.issue("old", since=-9 * DAY, until=-2 * DAY)
    async with Broker(listener=listener(*authority.issue("broker", LOOPBACK), more)) as broker:

        def settings(*files: str) -> UplinkSettings:
            pair = dict(zip(("cert", "key"), files, strict=False))
            return tls_settings(broker.port, ca=authority.ca, **pair)

        async with MqttUplink(settings(*authority.issue("gw-1"))).session() as session:
            await session.publish("a", b"1")
        assert "asks for a client certificate, set cert" in (await refusal(settings())).hint
        hint = (await refusal(settings(*stranger))).hint
        assert f"know the authority that signed {stranger[0]}" in hint
        hint = (await refusal(settings(*old))).hint
        assert f"{old[0]} expired on {day(-2 * DAY)}" in hint


def test_files_that_are_missing_are_faults_of_the_settings():
    settings = UplinkSettings(url="mqtts://broker.example", ca="/nowhere/ca.pem")
    with pytest.raises(SettingsError, match="cannot be loaded"):
        MqttUplink(settings).check()


# --- TLS that is none, or too old ---------------------------------------------------------------


class Door:
    """Takes connections on loopback, with TLS or without, and notes when they came and with what."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.came_s: list[float] = []
        self.first_bytes: list[bytes] = []
        self._context = context

    async def __aenter__(self) -> Door:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came_s.append(time.monotonic())
        try:
            if self._context:
                await writer.start_tls(self._context)
            self.first_bytes.append(await reader.read(1))
        except OSError:
            pass
        finally:
            writer.close()


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    """Once, and refused by us or by the other."""
    link, _ = server.accept()
    with link, suppress(ssl.SSLError):
        context.wrap_socket(link, server_side=True)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_only_tls_11_is_offered(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    except (ValueError, ssl.SSLError) as error:
        pytest.skip(f"the local OpenSSL has no TLS 1.1: {error}")
    context.load_cert_chain(*authority.issue("broker", LOOPBACK))
    with socket.create_server((HOST, 0)) as server:
        serving = asyncio.create_task(asyncio.to_thread(_shake_hands, server, context))
        port = server.getsockname()[1]
        refused = await refusal(tls_settings(port, ca=authority.ca))
        await serving
    assert "only TLS 1.1 or older" in refused.hint


@needs_mosquitto
async def test_the_port_speaks_no_tls(authority):
    async with Broker() as broker:
        refused = await refusal(tls_settings(broker.port, ca=authority.ca))
    assert "no TLS on this port" in refused.hint


@needs_mosquitto
async def test_the_port_speaks_tls_and_the_url_does_not(authority):
    async with Broker(listener=listener(*authority.issue("broker", LOOPBACK))) as broker:
        refused = await refusal(UplinkSettings(url=broker.url))
    assert "does it want TLS" in refused.hint


def test_plaintext_to_another_machine_is_refused():
    with pytest.raises(SettingsError, match="plaintext to another machine"):
        read_uplink({"url": "mqtt://192.0.2.7"}, "here")


async def test_tried_again_with_growing_pauses_and_never_in_plaintext(authority, monkeypatch):
    """The forwarder against a broker whose certificate nobody knows."""
    asked_s: list[float] = []

    class Told(Backoff):
        def next_s(self) -> float:
            asked_s.append(super().next_s())
            return asked_s[-1]

    monkeypatch.setattr("gateway.forwarding.forwarder.Backoff", Told)
    async with Door() as door:
        backlog = MemoryBacklog()
        backlog.append(Lane.ROUTINE, payload_of(1))
        settings = tls_settings(door.port, ca=authority.ca)
        forwarder = Forwarder("gw-1", settings, [backlog])
        running = asyncio.create_task(forwarder.run())
        await until(lambda: len(door.first_bytes) >= 4, "four tries")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert isinstance(forwarder.last_error, UplinkLost)
    assert "no TLS on this port" in forwarder.last_error.hint
    assert all(first[0] == TLS_HANDSHAKE for first in door.first_bytes), "never MQTT's CONNECT"
    pauses_s = [after - before for before, after in zip(door.came_s, door.came_s[1:], strict=False)]
    assert asked_s == sorted(asked_s), "half to whole of 0.5, 1, 2 s: they cannot overlap"
    assert all(took_s >= least_s for took_s, least_s in zip(pauses_s, asked_s, strict=False))
    assert pauses_s[-1] > 0.9
