"""The gateway: killed anywhere, twice there, put back from a backup, out of room."""

import asyncio
import shutil
from pathlib import Path

from story import World, story

QUOTA_BYTES = 1_400_000  # little more than the least that a journal takes


@story("gateway-killed", "killed -9 at random moments, on the same journal")
async def gateway_killed(world: World) -> str:
    gateway = await world.start()
    times = world.times(15, 2)
    for _ in range(times):
        await asyncio.sleep(world.rng.uniform(0, 1))
        await gateway.kill()
        await gateway.start()
        world.fault_ends()
    await world.recovered()
    return f"{times} times"


@story("gateway-killed-while-forwarding", "killed -9 with batches on their way to a slow collector")
async def gateway_killed_forwarding(world: World) -> str:
    gateway = await world.start("--slow", "0.15", urgent_every_s=1.0)
    times = world.times(10, 2)
    for _ in range(times):
        await gateway.until(lambda it: it["outstanding"] >= 2, "batches on their way", 20)
        await asyncio.sleep(world.rng.uniform(0, 0.3))
        await gateway.kill()
        await gateway.start()
    await world.end(world.collectors[-1])
    await world.collect()
    world.fault_ends()
    await world.recovered()
    return f"{times} times"


@story(
    "gateway-twin", "two gateways with one id by mistake: each throws the other out, both arrive"
)
async def gateway_twin(world: World) -> str:
    first = await world.start()
    second = await world.gateway("gw-1")
    lasting_s = world.seconds(30, 4)
    before = [len(it.connections) for it in (first, second)]
    await asyncio.sleep(lasting_s)
    for gateway in (first, second):
        await world.flowing_from(gateway)
    rates = [
        (len(it.connections) - was) / lasting_s
        for it, was in zip((first, second), before, strict=True)
    ]
    assert max(rates) <= 5, f"a storm: {rates} connections a second"
    await second.quiet()
    drained = "the twin's events are acknowledged while the other is there"
    await second.until(lambda _: second.drained, drained, 60)
    await second.stop()
    world.gateways.remove(second)
    world.departed.append(second)
    world.fault_ends()
    await world.recovered()
    said = first.state["said"]
    return f"{rates[0]:.1f} and {rates[1]:.1f} connections a second; told as: {said}"


@story("gateway-restored", "a backup of its journal is put back: seqs are given a second time")
async def gateway_restored(world: World) -> str:
    gateway = await world.start()
    folder, backup = Path(gateway.plan.folder), world.folder / "backup"
    await gateway.stop()
    shutil.copytree(folder, backup)
    await gateway.start()
    await world.flowing()
    await asyncio.sleep(world.seconds(3, 0.5))
    await gateway.stop()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    await gateway.start()
    world.expect.conflicts = True
    world.fault_ends()
    await world.kept()
    await asyncio.sleep(world.seconds(5, 1))
    await world.settle()
    return "every event under a taken name is kept among the refused, and --check ends with 1"


@story("gateway-overflows", "away for longer than the quota lasts: what is lost is named")
async def gateway_overflows(world: World) -> str:
    gateway = await world.start(quota_bytes=QUOTA_BYTES, max_batch="16 KiB")
    await world.broker.kill()
    gateway.plan.burst, gateway.plan.routine_every_s = 100, 0.01
    await gateway.stop()
    await gateway.start()
    most = 2 * QUOTA_BYTES // 130
    world.expect.gaps = True
    full = "more than fits"
    await gateway.until(lambda it: it["durable"]["routine"] > most, full, 60)
    await gateway.stop()
    gateway.plan.burst, gateway.plan.routine_every_s = 10, 0.1
    await gateway.start()
    await world.broker.start()
    world.fault_ends()
    await world.recovered()
    return f"quota {QUOTA_BYTES} bytes"
