"""Many short sessions are told, once, and that it is over; few of them, or long ones, are not."""

import pytest
from test_forwarder_rules import R, Rig

from gateway.errors import JournalSaturated
from gateway.forwarding import forwarder as forwarder_module
from gateway.forwarding.forwarder import Forwarder
from gateway.forwarding.steadiness import MANY, SHORT_S, STEADY_S, WITHIN_S, Steadiness
from gateway.settings import UplinkSettings


@pytest.fixture
def told():
    return []


@pytest.fixture
def steadiness(told):
    return Steadiness(lambda seen: told.append(seen.detail))


def test_many_short_sessions_are_told_once_and_so_is_their_end(steadiness, told):
    for n in range(3 * MANY):
        assert bool(told) == (n >= MANY)
        steadiness.ended(1.0, n * 2.0)
    steadiness.holds(STEADY_S - 1)
    assert [detail["active"] for detail in told] == [True]
    steadiness.holds(STEADY_S)
    steadiness.holds(STEADY_S + 5)
    assert [detail["active"] for detail in told] == [True, False]
    assert "this id" in told[0]["reason"]
    assert {detail["fault"] for detail in told} == {"unsteady_uplink"}


def test_a_link_that_is_lost_now_and_then_is_no_news(steadiness, told):
    for n in range(50):
        steadiness.ended(1.0, n * WITHIN_S / (MANY - 2))
        steadiness.ended(SHORT_S, n * 1.0)
    steadiness.holds(STEADY_S)
    assert told == []


def test_a_full_journal_does_not_matter():
    def refuse(seen):
        raise JournalSaturated("full")

    steadiness = Steadiness(refuse)
    for n in range(MANY):
        steadiness.ended(0.0, float(n))


async def test_sessions_that_are_thrown_out(steadiness, told, monkeypatch):
    monkeypatch.setattr(forwarder_module, "RECONNECT_CAP_S", 0.01)
    rig = Rig()
    rig.forwarder = Forwarder(
        "gw-1",
        UplinkSettings(url="mqtt://127.0.0.1"),
        (rig.backlog,),
        rig.uplink,
        steadiness=steadiness,
    )
    async with rig.running():
        for n in range(1, MANY + 1):
            rig.append(R, 1)
            await rig.uplink.until(
                lambda n=n: len(rig.uplink.sessions) == n and rig.forwarder.connected
            )
            assert not told
            rig.uplink.sessions[-1].lose()
        await rig.uplink.until(lambda: told)
