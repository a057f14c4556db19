"""Batches that nobody should send, beside traffic that must not mind."""

import asyncio
from collections import Counter

import cbor2
from story import World, story
from stranger import Stranger, nested

UP = "hearth/v1/gw-1/up/routine"
MIB = 1 << 20
NOBODY = bytes(range(16))
IMPOSSIBLE = 2**63 - 1


@story("hostile-batches", "overlapping, impossible, nested, of the future: refused, counted, kept")
async def hostile_batches(world: World) -> str:
    gateway = await world.start()
    world.expect.strangers = True
    journal = bytes.fromhex(gateway.state["journal"])
    async with Stranger(world.broker.url) as stranger:
        for _ in range(world.times(20, 2)):
            for payload in _hostile(journal):
                await stranger.publish(UP, payload)
            await stranger.publish("hearth/v1/gw-1/up/sideways", b"\x00")
            await stranger.publish("hearth/v1/gw-1/up/urgent", _batch(NOBODY, 1, lane=1))
            await asyncio.sleep(0.2)
    await world.flowing()
    world.fault_ends()
    await world.recovered()
    await world.settle()
    refused = Counter()
    for it in world.ledger.refused():
        refused[it.reason] += it.times
    for reason in ("malformed", "unknown_version", "wrong_lane", "malformed_gap", "conflict"):
        assert refused[reason], f"nothing was kept as {reason}: {dict(refused)}"
    return ", ".join(f"{times} {reason}" for reason, times in sorted(refused.items()))


def _hostile(journal: bytes) -> list[bytes]:
    return [
        _batch(NOBODY, 1, count=10),
        _batch(NOBODY, 5, count=10),  # overlaps, and says the same of 5 to 10
        _batch(NOBODY, 5, count=10, other=True),  # overlaps, and says something else
        _batch(journal, 1, count=3, other=True),  # the names of events that are stored
        _batch(NOBODY, 0),
        _batch(NOBODY, -1),
        _batch(NOBODY, IMPOSSIBLE),
        _batch(NOBODY, 2.0),
        _batch(NOBODY, 10**6, count=0),
        _batch(NOBODY, 20, gap={"lane": "routine", "first": 9, "last": 3, "reason": "none"}),
        _batch(NOBODY, 21, gap={"lane": "routine", "first": 0, "last": 3, "reason": "none"}),
        _batch(NOBODY, 1, version=2),
        _batch(NOBODY, 1, gateway="gw-2"),
        b"",
        b"\xff\x00garbage",
        nested(200_000),
        nested(MIB),  # the broker keeps it back: larger than a collector says it takes
    ]


def _batch(
    journal: bytes,
    first: object,
    *,
    count: int = 1,
    lane: int = 1,
    version: int = 1,
    gateway: str = "gw-1",
    other: bool = False,
    gap: dict | None = None,
) -> bytes:
    """A batch by hand, as `config/event.cddl` has it or as it must not be."""
    kind = 3 if gap else 2
    events = [
        {0: kind, 1: "nobody", 2: bytes(8), 3: _number(first) + at, 4: 0, 5: 0}
        | ({8: gap} if gap else {6: [{0: "n", 4: other}]})
        for at in range(count)
    ]
    return cbor2.dumps([version, gateway, journal, lane, first, events])


def _number(first: object) -> int:
    """The same for the same seq, so that what overlaps is the same event."""
    return int(first) if 0 < first < 100 else 0
