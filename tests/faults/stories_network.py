"""The network between home and far side, packet by packet: cut, lossy, slow, flapping."""

import asyncio

from gateway_handle import GatewayHandle
from home_network import HomeNetwork, why_not
from ledger import now_s
from story import Skipped, World, story

KEEPALIVE_S = 4
LOOK_S = 1.5  # as in stories_broker.py
# On a bad link: readings stand back for half a second behind each call that is not acknowledged,
# and few batches are under way at a time.
SPARSE = {"urgent_every_s": 1.0, "routine_every_s": 0.5, "max_batch": "16 KiB"}


async def _behind(world: World, **plan: object) -> tuple[HomeNetwork, GatewayHandle]:
    """A gateway in a network of its own."""
    if reason := why_not():
        raise Skipped(reason)
    network = await world.stack.enter_async_context(HomeNetwork(world.rng.randrange(1000)))
    await world.start_broker(address=network.far)
    await world.collect()
    url = f"mqtt://{network.far}:{world.broker.port}"
    gateway = await world.gateway(prefix=network.prefix, url=url, **plan)
    await world.flowing()
    return network, gateway


@story("link-cut", "nothing passes for a while, and nobody says so")
async def link_cut(world: World) -> str:
    network, gateway = await _behind(world, keepalive_s=KEEPALIVE_S)
    await network.set(cut=True)
    cut_s = now_s()
    await gateway.until(lambda it: not it["connected"], "the gateway finds out", 60)
    found_s = gateway.disconnections[-1] - cut_s
    await asyncio.sleep(world.seconds(8, 0.3))
    await network.set(cut=False)
    world.fault_ends()
    assert found_s <= KEEPALIVE_S + LOOK_S, f"half-open for {found_s:.1f} s of {KEEPALIVE_S}"
    await world.recovered()
    return f"found after {found_s:.1f} s, keepalive {KEEPALIVE_S} s"


@story("link-loses", "30 % of the packets are lost, each way")
async def link_loses(world: World) -> str:
    network, gateway = await _behind(world, **SPARSE)
    await network.set(loss=0.3)
    await asyncio.sleep(world.seconds(20, 3))
    await world.flowing()
    counters = await network.set(loss=0.0)
    world.fault_ends()
    assert counters["lost"], "no packet was lost"
    await world.recovered()
    lost = counters["lost"] / (counters["lost"] + counters["passed"])
    return f"{100 * lost:.0f} % lost; {len(gateway.connections)} sessions"


@story("link-slow", "a round trip takes 2 s")
async def link_slow(world: World) -> str:
    network, gateway = await _behind(world, **SPARSE)
    await network.set(delay_s=1.0)
    await asyncio.sleep(world.seconds(15, 2))
    since_s = now_s()
    await world.flowing()
    took_s = now_s() - since_s
    await network.set(delay_s=0.0)
    world.fault_ends()
    await world.recovered()
    return f"both lanes stored within {took_s:.1f} s; {len(gateway.connections)} sessions"


@story("link-flaps", "cut with a batch in flight, again and again")
async def link_flaps(world: World) -> str:
    network, _ = await _behind(world, keepalive_s=2)
    for _ in range(world.times(8, 2)):
        before = (await network.set(cut_at_bytes=300))["cuts"]
        async with asyncio.timeout(30):
            while (await network.set())["cuts"] == before:
                await asyncio.sleep(0.01)
        await asyncio.sleep(world.rng.uniform(0.1, world.seconds(4, 1)))
        await network.set(cut=False)
        world.fault_ends()
        await world.flowing()
    counters = await network.set()
    await world.recovered()
    return f"{counters['cuts']} times"


@story("link-narrow", "1,000 bytes a second, less than what is told, for a while")
async def link_narrow(world: World) -> str:
    network, _ = await _behind(world, **SPARSE)
    await network.set(bytes_per_s=1000)
    await asyncio.sleep(world.seconds(15, 2))
    counters = await network.set(bytes_per_s=0)
    world.fault_ends()
    await world.recovered()
    return f"{counters['overflowed']} packets found the modem's buffer full"
