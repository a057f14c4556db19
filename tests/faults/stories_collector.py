"""The collector and its database: killed around a commit, at random, frozen, doubled, without room."""

import asyncio
import os
import shutil
import signal
import subprocess

from ledger import now_s
from story import Skipped, World, story

DISK_KIB = 2048  # a database that is empty takes some 100 KiB with its log


@story("collector-dies-before-commit", "killed -9 with events in hand, before they are committed")
async def dies_before(world: World) -> None:
    await _dies(world, "before")


@story("collector-dies-after-commit", "killed -9 after a commit, before its acknowledgement")
async def dies_after(world: World) -> None:
    await _dies(world, "after")


async def _dies(world: World, when: str) -> None:
    await world.start("--die", when)
    for _ in range(world.times(4, 1)):
        await asyncio.wait_for(world.collectors[-1].wait(), 30)
        stored = world.ledger.count()
        await asyncio.sleep(world.seconds(1, 0.2))
        assert world.ledger.count() == stored, "stored by a dead collector"
        await world.collect("--die", when)
    await asyncio.wait_for(world.collectors[-1].wait(), 30)
    await world.collect()
    world.fault_ends()
    await world.recovered()


@story("collector-killed", "killed -9 at random moments, again and again")
async def collector_killed(world: World) -> str:
    await world.start()
    times = world.times(12, 2)
    for _ in range(times):
        await asyncio.sleep(world.rng.uniform(0, 1.5))
        await world.end(world.collectors[-1])
        await world.collect()
        world.fault_ends()
    await world.recovered()
    return f"{times} times"


@story("collector-frozen", "SIGSTOP for a while")
async def collector_frozen(world: World) -> None:
    await world.start()
    world.collectors[-1].send_signal(signal.SIGSTOP)
    await asyncio.sleep(world.seconds(12, 1.5))
    world.collectors[-1].send_signal(signal.SIGCONT)
    world.fault_ends()
    await world.recovered()


@story("collector-slow", "takes 0.15 s for each commit, while ten calls a second come")
async def collector_slow(world: World) -> str:
    since_s = now_s()
    await world.start("--slow", "0.15")
    took_s = now_s() - since_s
    await world.end(world.collectors[-1])
    await world.collect()
    world.fault_ends()
    await world.recovered()
    return f"calls do not starve readings: both lanes stored within {took_s:.1f} s of the start"


@story("collector-shared", "two on one shared subscription, one of them killed again and again")
async def collector_shared(world: World) -> str:
    await world.start_broker()
    await world.collect(share="collectors")
    await world.gateway()
    await world.flowing()
    times = world.times(8, 2)
    for _ in range(times):
        other = await world.collect(share="collectors")
        await asyncio.sleep(0.7 + world.rng.uniform(0, 1))  # it starts in half a second
        await world.end(other)
        world.fault_ends()
        await world.flowing()
    await world.recovered()
    return f"{times} times"


@story("database-killed", "the database server killed -9 and started again", "postgresql")
async def database_killed(world: World) -> None:
    await world.start()
    for _ in range(world.times(3, 1)):
        await asyncio.to_thread(world.server.kill)
        await asyncio.sleep(world.seconds(2, 0.3))
        await asyncio.to_thread(world.server.start)
        world.fault_ends()
        await world.recovered()


@story("database-frozen", "the database server stopped for a while", "postgresql")
async def database_frozen(world: World) -> None:
    await world.start()
    world.server.pause()
    await asyncio.sleep(world.seconds(10, 1.5))
    world.server.resume()
    world.fault_ends()
    await world.recovered()


@story("disk-full", "the database's disk has no room for a while", "sqlite")
async def disk_full(world: World) -> str:
    folder = world.folder / "disk"
    _mount(folder)
    world.stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
    world.place(f"sqlite://{folder}/events.db")
    gateway = await world.start()
    ballast = folder / "ballast"
    _fill(ballast)
    await gateway.until(lambda it: it["outstanding"] > 0, "a batch waits for the disk", 20)
    await asyncio.sleep(world.seconds(6, 1.5))
    stored = world.ledger.count()
    _fill(ballast)
    await asyncio.sleep(world.seconds(2, 0.5))
    full = world.ledger.count() == stored
    ballast.unlink()
    world.fault_ends()
    assert full, "the disk was not full"
    await world.recovered()
    return "gateways keep what it did not take"


def _mount(folder) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise Skipped("needs root to mount a small filesystem")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"no small filesystem here: {done.stderr.strip()}")


def _fill(ballast) -> None:
    """Until there is no room for a page."""
    try:
        with ballast.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        return
