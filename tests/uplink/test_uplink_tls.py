"""mqtts://: who the broker is gets checked, always."""

import datetime
import ipaddress
import ssl

import pytest
from brokers import needs_mosquitto

from drivers.sim.broker import Broker
from gateway.errors import SettingsError, UplinkLost
from gateway.settings import UplinkSettings
from gateway.uplink import MqttUplink

x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

pytestmark = needs_mosquitto
PEM = serialization.Encoding.PEM


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self, folder, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.ca = self._write(name, self._build(self.subject, self.key, ca=True), self.key)[0]

    def issue(self, name: str, *alternatives) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return self._write(name, self._build(subject, key, *alternatives), key)

    def _build(self, subject, key, *alternatives, ca: bool = False):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, certificate, key) -> tuple[str, str]:
        cert, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(certificate.public_bytes(PEM))
        none = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, none))
        return str(cert), str(private)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "our-ca")


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def listener(cert: str, key: str, more: str = "") -> str:
    return f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n{more}"


def tls_settings(broker: Broker, **changes) -> UplinkSettings:
    return UplinkSettings(url=f"mqtts://127.0.0.1:{broker.port}", **changes)


async def test_a_broker_with_the_right_name_of_our_authority(authority):
    async with Broker(listener=listener(*authority.issue("broker", LOOPBACK))) as broker:
        settings = tls_settings(broker, ca=authority.ca)
        async with MqttUplink(settings).session() as session:
            await session.subscribe("a")
            await session.publish("a", bytes(100_000))
            assert len((await session.receive(1))[0].payload) == 100_000


@pytest.mark.parametrize("fault", ["wrong name", "unknown authority"])
async def test_a_broker_that_cannot_prove_who_it_is(authority, tmp_path, fault):
    name = LOOPBACK if fault == "unknown authority" else x509.DNSName("other.example")
    trusted = Authority(tmp_path, "other-ca") if fault == "unknown authority" else authority
    async with Broker(listener=listener(*authority.issue("broker", name))) as broker:
        with pytest.raises(UplinkLost) as refused:
            async with MqttUplink(tls_settings(broker, ca=trusted.ca)).session():
                pass
    assert isinstance(refused.value.__cause__, ssl.SSLCertVerificationError)
    assert "certificate" in refused.value.hint


async def test_client_certificates(authority):
    more = f"cafile {authority.ca}\nrequire_certificate true"
    cert, key = authority.issue("gw-1")
    async with Broker(listener=listener(*authority.issue("broker", LOOPBACK), more)) as broker:
        settings = tls_settings(broker, ca=authority.ca, cert=cert, key=key)
        async with MqttUplink(settings).session() as session:
            await session.publish("a", b"1")
        with pytest.raises(UplinkLost):
            async with MqttUplink(tls_settings(broker, ca=authority.ca)).session():
                pass


def test_files_that_are_missing_are_faults_of_the_settings():
    settings = UplinkSettings(url="mqtts://broker.example", ca="/nowhere/ca.pem")
    with pytest.raises(SettingsError, match="cannot be loaded"):
        MqttUplink(settings).check()
