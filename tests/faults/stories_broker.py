"""The broker: killed, frozen, restarted, forgetful, unwilling."""

import asyncio

from ledger import now_s
from story import World, story

KEEPALIVE_S = 4
# paho looks at its timers once a second (aiomqtt's loop_misc), and a busy machine adds its own.
LOOK_S = 1.5


@story("broker-killed", "killed -9 and started again")
async def broker_killed(world: World) -> None:
    await world.start()
    for _ in range(world.times(3, 1)):
        await world.broker.kill()
        await asyncio.sleep(world.seconds(2, 0.3))
        await world.broker.start()
        world.fault_ends()
        await world.recovered()


@story(
    "broker-frozen", "SIGSTOP for longer than the keepalive: the half-open link is found in time"
)
async def broker_frozen(world: World) -> str:
    gateway = await world.start(keepalive_s=KEEPALIVE_S)
    world.broker.pause()
    frozen_s = now_s()
    await gateway.until(lambda it: not it["connected"], "the gateway finds out", 60)
    found_s = gateway.disconnections[-1] - frozen_s
    await asyncio.sleep(world.seconds(4, 0.3))
    world.broker.resume()
    world.fault_ends()
    assert found_s <= KEEPALIVE_S + LOOK_S, f"half-open for {found_s:.1f} s of {KEEPALIVE_S}"
    await world.recovered()
    return f"found after {found_s:.1f} s, keepalive {KEEPALIVE_S} s"


@story("broker-restarted", "restarted without its data, several times")
async def broker_restarted(world: World) -> None:
    await world.start()
    for _ in range(world.times(4, 2)):
        await world.broker.restart()
        world.fault_ends()
        await world.recovered()


@story("broker-persistent", "restarted with its data")
async def broker_persistent(world: World) -> None:
    await _with_data(world, forgets=False)


@story("broker-emptied", "had persistence, and comes back on empty data")
async def broker_emptied(world: World) -> str:
    return f"{await _with_data(world, forgets=True)} bytes forgotten"


async def _with_data(world: World, *, forgets: bool) -> int:
    await world.start_broker(persistent=True)
    await world.collect()
    await world.gateway()
    await world.flowing()
    await world.broker.halt()
    forgotten = world.broker.forget() if forgets else 0
    assert forgotten or not forgets, "there was nothing to forget"
    await asyncio.sleep(world.seconds(2, 0.2))
    await world.broker.start()
    world.fault_ends()
    await world.recovered()
    return forgotten


@story("broker-refuses", "refuses batches in its PUBACKs for a while")
async def broker_refuses(world: World) -> str:
    gateway = await world.start()
    world.broker.forbid_batches()
    await gateway.until(lambda it: it["error"] == "PublishRefused", "the refusal is told", 20)
    freed = dict(gateway.state["acknowledged"])
    await asyncio.sleep(world.seconds(5, 0.5))
    assert gateway.state["connected"], "a refusal is no reason to go"
    held = all(gateway.state["acknowledged"][lane] - freed[lane] <= 40 for lane in freed)
    assert held, "what the broker refused was freed"
    world.broker.allow_batches()
    world.fault_ends()
    await world.recovered()
    return f"{gateway.state['counters']['publishes_refused']} refusals told as errors"
