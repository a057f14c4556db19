"""Acknowledgements: lost, doubled, out of order, forged, from another life. None frees too much."""

import asyncio
import shutil

import cbor2
from gateway_handle import GatewayHandle
from story import World, story
from stranger import Stranger, nested

from gateway.codec import encode_ack, seal_ack
from gateway.model import Ack, Lane
from gateway.signing.keys import write_keys
from gateway.signing.signature import ACKNOWLEDGEMENT, PrivateKey

UP, ACK = "hearth/v1/gw-1/up/+", "hearth/v1/gw-1/ack"
MIB = 1 << 20
LANES = {0: "urgent", 1: "routine"}


@story("acks-lost", "half of the acknowledgements never arrive")
async def acks_lost(world: World) -> str:
    return await _mangled(world, "lost")


@story("acks-doubled", "each acknowledgement arrives twice")
async def acks_doubled(world: World) -> str:
    gateway_says = await _mangled(world, "doubled")
    stale = world.gateways[0].state["counters"]
    assert stale["acks_stale"] + stale["acks_never_sent"], "none came twice"
    return gateway_says


@story("acks-reordered", "acknowledgements overtake each other, by up to half a second")
async def acks_reordered(world: World) -> str:
    return await _mangled(world, "reordered")


async def _mangled(world: World, how: str) -> str:
    gateway = await world.start("--acks", how, "--seed", str(world.rng.randrange(1000)))
    await asyncio.sleep(world.seconds(8, 1.5))
    await world.end(world.collectors[-1])
    await world.collect()
    world.fault_ends()
    await world.recovered()
    counters = gateway.state["counters"]
    return f"{counters['batches_resent']} batches sent again, {counters['acks_stale']} acks stale"


@story("acks-forged", "forged while no collector is there: nothing is freed")
async def acks_forged(world: World) -> str:
    await world.start_broker()
    gateway = await world.gateway()
    async with Stranger(world.broker.url, UP) as stranger:
        await gateway.until(lambda it: it["connected"], "a session", 20)
        await world.until(lambda: len(stranger.heard) >= 20, "batches")
        count = 0
        for _ in range(world.times(10, 2)):
            for forged in _forgeries([batch for _, batch in stranger.heard]):
                await stranger.publish(ACK, forged)
                count += 1
            await asyncio.sleep(0.2)
        _nothing_freed(gateway)
        counters = gateway.state["counters"]
        told = sum(counters[f"acks_{why}"] for why in ("never_sent", "malformed", "wrong_journal"))
        assert told >= count / 2, f"of {count} forged only {told} were counted"
    await world.collect()
    world.fault_ends()
    await world.recovered()
    return f"{count} forged, {told} of them seen and refused"


def _forgeries(batches: list[bytes]) -> list[bytes]:
    """What almost fits the batches that were sent, and what fits nothing."""
    sent = [cbor2.loads(batch) for batch in batches]
    _, _, journal, lane, first, events = sent[-1]
    last = first + len(events) - 1
    ranges = [(first, last + 1), (1, 2**62), (first + 10_000, last + 10_000), (last, first - 1)]
    if last > first:
        ranges += [(first + 1, last), (first, last - 1)]
    acks = [[1, journal, lane, *it] for it in ranges]
    acks += [[1, bytes(16), lane, first, last], [2, journal, lane, first, last]]
    acks += [[1, journal, 7, first, last], [1, journal, lane, first], [1, journal, lane, -1, last]]
    acks += [[1, journal, lane, float(first), last], {"journal": journal}]
    garbage = [b"", b"\xff" * 100, nested(200_000), nested(MIB)]
    return [cbor2.dumps(ack) for ack in acks] + garbage


def _nothing_freed(gateway: GatewayHandle) -> None:
    freed = gateway.state["acknowledged"]
    assert not any(freed.values()), f"freed without a collector: {freed}"


@story("acks-forged-exactly", "somebody who may publish them names exactly what was sent")
async def acks_forged_exactly(world: World) -> str:
    """Nobody listens there, and a stranger says that all of it is stored."""
    private, public = write_keys(PrivateKey.generate(), str(world.folder / "collector"))
    await world.start_broker()
    gateway = await world.gateway(ack_key=str(public))
    async with Stranger(world.broker.url, UP) as stranger:
        await gateway.until(lambda it: it["connected"], "a session", 20)
        await world.until(lambda: len(stranger.heard) >= 20, "batches")
        count = 0
        for _ in range(world.times(10, 2)):
            for forged in _exact([batch for _, batch in stranger.heard[-40:]]):
                await stranger.publish(ACK, forged)
                count += 1
            await asyncio.sleep(0.2)
        await gateway.until(
            lambda it: it["counters"]["acks_untrusted"] >= 20, "they are refused", 20
        )
        _nothing_freed(gateway)
    await world.collect(ack_key=str(private))
    world.fault_ends()
    await world.recovered()
    return f"{count} forged, {gateway.state['counters']['acks_untrusted']} judged by signature"


def _exact(batches: list[bytes]) -> list[bytes]:
    """For each batch what its collector would say, without the key that it would say it with."""
    stranger, forged = PrivateKey.generate(), []
    for batch in batches:
        _, _, journal, lane, first, events = cbor2.loads(batch)
        body = encode_ack(Ack(journal, Lane(lane), first, first + len(events) - 1))
        forged += [body, seal_ack(stranger.sign(ACKNOWLEDGEMENT, body))]
    return forged


@story("acks-older-journal", "the journal is made anew; the acknowledgements of the old one come")
async def acks_older_journal(world: World) -> str:
    gateway = await world.start()
    async with Stranger(world.broker.url, ACK) as stranger:
        await world.flowing()
        await world.until(lambda: len(stranger.heard) >= 5, "acknowledgements")
        await world.settle()
        await gateway.stop()
        await world.end(world.collectors[-1])
        shutil.rmtree(gateway.plan.folder)
        old = [ack for _, ack in stranger.heard]
        await gateway.start()
        await gateway.until(lambda it: it["connected"] and it["outstanding"] > 1, "batches", 20)
        for ack in old:
            await stranger.publish(ACK, ack)
        seen = "acks_wrong_journal"
        await gateway.until(lambda it: it["counters"][seen] >= len(old), "they are refused", 20)
        _nothing_freed(gateway)
    await world.collect()
    world.fault_ends()
    await world.recovered()
    return f"{len(old)} old acknowledgements refused"
