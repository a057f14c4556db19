"""Whose acknowledgements free events: of who has the key, and what was signed with it as that."""

from __future__ import annotations

import cbor2
import pytest
from brokers import GATEWAY, JOURNAL
from hypothesis import given
from hypothesis import strategies as st
from test_forwarder_rules import R, Rig, U

from gateway.codec import encode_ack, open_ack, seal_ack
from gateway.errors import DecodeError, JournalSaturated
from gateway.forwarding import trust as trust_module
from gateway.forwarding.forwarder import Forwarder
from gateway.forwarding.trust import Trust
from gateway.model import Ack, Signed
from gateway.settings import UplinkSettings
from gateway.signing.signature import ACKNOWLEDGEMENT, COMMAND, PrivateKey

KEY, NEXT_KEY, STRANGER = (PrivateKey.generate() for _ in range(3))
BODY = encode_ack(Ack(JOURNAL, R, 1, 5))
OTHER_BODY = encode_ack(Ack(JOURNAL, R, 1, 4))
SIGNED = KEY.sign(ACKNOWLEDGEMENT, BODY)


def trusting_rig(told: list, *keys: PrivateKey) -> Rig:
    rig = Rig()
    settings = UplinkSettings(url="mqtt://127.0.0.1", ack_timeout=60.0)
    trust = Trust([key.public for key in keys], lambda seen: told.append(seen.detail))
    rig.forwarder = Forwarder(GATEWAY, settings, (rig.backlog,), rig.uplink, trust=trust)
    return rig


FORGED = {
    "unsigned": BODY,
    "by a stranger": seal_ack(STRANGER.sign(ACKNOWLEDGEMENT, BODY)),
    "for another purpose": seal_ack(KEY.sign(COMMAND, BODY)),
    "of other events": seal_ack(Signed(BODY, KEY.sign(ACKNOWLEDGEMENT, OTHER_BODY).signature)),
    "of nothing": seal_ack(Signed(BODY, bytes(64))),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_acknowledgement_frees_nothing_and_is_told(name):
    told: list = []
    async with trusting_rig(told, KEY).running() as rig:
        rig.append(R, 5)
        await rig.sent(R, 5)
        rig.uplink.say(FORGED[name])
        rig.uplink.say(FORGED[name])
        await rig.uplink.until(lambda: rig.forwarder.counters["acks_untrusted"] == 2)
        assert rig.freed(R) == 0
        assert [detail["active"] for detail in told] == [True], "once"
        assert "--ack-key" in told[0]["reason"]
        rig.uplink.say(seal_ack(SIGNED))
        assert await rig.forwarder.drain(5)
        assert rig.freed(R) == 5


async def test_a_forged_acknowledgement_of_a_call_tells_nobody_that_it_came():
    """What the light of a call goes by is what is freed."""
    async with trusting_rig([], KEY).running() as rig:
        rig.append(U)
        await rig.sent(U, 1)
        rig.uplink.acknowledge_all()
        await rig.uplink.until(lambda: rig.forwarder.counters["acks_untrusted"] == 1)
        assert rig.freed(U) == 0


async def test_any_of_several_keys_so_that_one_can_follow_another():
    async with trusting_rig([], KEY, NEXT_KEY).running() as rig:
        for last, key in ((1, KEY), (2, NEXT_KEY)):
            rig.append(R)
            await rig.sent(R, last)
            ack = Ack(JOURNAL, R, last, last)
            rig.uplink.say(seal_ack(key.sign(ACKNOWLEDGEMENT, encode_ack(ack))))
            await rig.uplink.until(lambda last=last: rig.freed(R) == last)


async def test_without_a_key_that_could_be_read_nobody_is_believed():
    async with trusting_rig([]).running() as rig:
        rig.append(R, 5)
        await rig.sent(R, 5)
        rig.uplink.say(seal_ack(SIGNED))
        await rig.uplink.until(lambda: rig.forwarder.counters["acks_untrusted"] == 1)
        assert rig.freed(R) == 0


async def test_who_asks_for_no_key_takes_a_signed_one_as_any_other():
    async with Rig().running() as rig:
        rig.append(R, 5)
        await rig.sent(R, 5)
        rig.uplink.say(seal_ack(STRANGER.sign(ACKNOWLEDGEMENT, BODY)))
        assert await rig.forwarder.drain(5)


async def test_what_would_free_nothing_is_not_worth_a_look():
    """A flood of them costs no signatures, and is no fault of the collector's."""
    told: list = []
    async with trusting_rig(told, KEY).running() as rig:
        rig.append(R, 5)
        await rig.sent(R, 5)
        rig.uplink.say(OTHER_BODY)
        rig.uplink.say(seal_ack(STRANGER.sign(ACKNOWLEDGEMENT, OTHER_BODY)))
        await rig.uplink.until(lambda: rig.forwarder.counters["acks_never_sent"] == 2)
        assert told == []


def test_it_is_over_when_nothing_was_refused_for_a_while(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr(trust_module.time, "monotonic", lambda: now_s)
    told: list = []
    trust = Trust([KEY.public], lambda seen: told.append(seen.detail["active"]))
    assert trust.believes(SIGNED)
    assert not trust.believes(Signed(BODY))
    now_s = trust_module.QUIET_S - 1
    assert trust.believes(SIGNED)
    assert told == [True]
    assert not trust.believes(Signed(BODY))
    now_s = 2 * trust_module.QUIET_S - 1
    assert trust.believes(SIGNED)
    assert told == [True, False]
    assert not trust.believes(Signed(BODY))
    assert told == [True, False, True]


def test_a_full_journal_does_not_matter():
    def refuse(seen):
        raise JournalSaturated("full")

    assert not Trust([KEY.public], refuse).believes(Signed(BODY))


# --- on the wire --------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.none() | st.binary(min_size=64, max_size=64))
def test_what_is_sealed_is_opened(body, signature):
    if signature is not None:
        assert open_ack(seal_ack(Signed(body, signature))) == Signed(body, signature)
    assert open_ack(seal_ack(Signed(BODY))) == Signed(BODY)


@pytest.mark.parametrize(
    "items",
    [
        [1, BODY, bytes(63)],
        [1, BODY, bytes(65)],
        [1, BODY, "x" * 64],
        [1, "text", bytes(64)],
        [2, BODY, bytes(64)],
        {1: BODY},
        "ack",
    ],
    ids=repr,
)
def test_seals_that_are_none(items):
    with pytest.raises(DecodeError):
        open_ack(cbor2.dumps(items))


@given(st.integers(0, 8 * len(seal_ack(SIGNED)) - 1))
def test_no_bit_can_be_changed(bit):
    data = bytearray(seal_ack(SIGNED))
    data[bit // 8] ^= 1 << bit % 8
    try:
        opened = open_ack(bytes(data))
    except DecodeError:
        return
    assert not Trust([KEY.public], lambda _: None).believes(opened)
