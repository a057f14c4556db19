"""mqtts://: who the broker is gets checked, always."""

import ssl

import pytest
from authority import LOOPBACK, Authority
from brokers import needs_mosquitto
from cryptography import x509

from drivers.sim.broker import Broker
from gateway.errors import SettingsError, UplinkLost
from gateway.settings import UplinkSettings
from gateway.uplink import MqttUplink

pytestmark = needs_mosquitto


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "our-ca")


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
