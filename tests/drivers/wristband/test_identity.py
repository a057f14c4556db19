"""Another device at a known address is told, once; who it is comes from its own words."""

import pytest
from stub_context import StubContext

from drivers.wristband.identity import compare_identity
from gateway.errors import JournalSaturated, JournalWriteFailed
from gateway.model import Kind

OURS = {"manufacturer": "Hearth", "model": "Virtual Band", "serial": "17", "firmware": "1.0"}
OTHER = {**OURS, "serial": "99"}


@pytest.fixture
async def context():
    return StubContext("band-1")


def faults(context):
    return [seen.detail for seen in context.of(Kind.FAULT)]


async def test_the_same_band_is_not_talked_of(context):
    for identity in (OURS, OURS, {**OURS, "firmware": "1.1"}):
        await compare_identity(context, identity)
    assert not faults(context)


async def test_another_band_is_told_once(context):
    for identity in (OURS, OTHER, OTHER):
        await compare_identity(context, identity)
    (fault,) = faults(context)
    assert fault == {
        "fault": "identity",
        "active": True,
        "was": "Hearth / Virtual Band / 17",
        "is": "Hearth / Virtual Band / 99",
    }


async def test_a_band_that_says_nothing_of_itself_is_not_judged(context):
    for identity in (OURS, {}, {"firmware": "1.0"}, OURS):
        await compare_identity(context, identity)
    assert not faults(context)


async def test_what_could_not_be_told_or_noted_is_told_the_next_time(context, monkeypatch):
    await compare_identity(context, OURS)
    emit = context.emit

    def refusing(observation):
        raise JournalSaturated("full")

    monkeypatch.setattr(context, "emit", refusing)
    await compare_identity(context, OTHER)
    monkeypatch.setattr(context, "emit", emit)
    context.notes.refusal = JournalWriteFailed("no")
    await compare_identity(context, OTHER)
    assert len(faults(context)) == 1
    context.notes.refusal = None
    await compare_identity(context, OTHER)
    assert len(faults(context)) == 2, "rather twice than never"


async def test_a_name_that_is_not_text_is_made_sayable(context):
    await compare_identity(context, OURS)
    await compare_identity(context, {**OURS, "serial": "\ud800"})
    assert "\ud800" not in faults(context)[0]["is"]
