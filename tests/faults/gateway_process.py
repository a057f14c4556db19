"""A gateway that can be killed: a real journal, a real forwarder, and events all the time.

    gateway_process.py PLAN      the fields of `gateway_handle.Plan`, as JSON

An event is written to the file of the confirmed when its receipt was awaited, and not before. That
line outlives kill -9 of this process, because write(2) has returned. Standard output: the state as
a line of JSON, at once when the link comes or goes and ten times a second. Standard input: `quiet`
ends the events, its end ends the process.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.errors import JournalSaturated
from gateway.forwarding.forwarder import Forwarder
from gateway.forwarding.trust import Trust
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement
from gateway.settings import UplinkSettings
from gateway.signing.keys import read_public_keys

LOOK_EVERY_S = 0.01  # how exactly it is told when the link came or went
TELL_EVERY_S = 0.1
DRAIN_S = 5.0  # as long as a daemon that stops waits for its far side


class Producer:
    """Readings and calls, and who of them is confirmed."""

    def __init__(self, journal: Journal, plan: dict) -> None:
        self.quiet = asyncio.Event()
        self._journal = journal
        self._plan = plan
        self._clock = SystemClock()
        self._file = os.open(plan["confirmed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._number = 0

    async def run(self) -> None:
        plan = self._plan
        await asyncio.gather(
            self._flow(Lane.URGENT, 1, plan["urgent_every_s"]),
            self._flow(Lane.ROUTINE, plan["burst"], plan["routine_every_s"]),
        )

    async def _flow(self, lane: Lane, burst: int, every_s: float) -> None:
        while not self.quiet.is_set():
            for fact, receipt in self._accepted(lane, burst):
                seq = await receipt
                self._confirm(lane, seq, fact)
            await self._pause(every_s)

    async def _pause(self, every_s: float) -> None:
        try:
            async with asyncio.timeout(every_s):
                await self.quiet.wait()
        except TimeoutError:
            return

    def _accepted(self, lane: Lane, burst: int) -> list[tuple]:
        """So many events, or as many as the journal takes while its flash is behind."""
        accepted: list[tuple] = []
        with contextlib.suppress(JournalSaturated):
            while len(accepted) < burst:
                accepted.append(self._append(lane))
        return accepted

    def _append(self, lane: Lane):
        self._number += 1
        token, value = secrets.token_hex(8), self._number / 1000
        kind, device = (
            (Kind.CALL, "call-1") if lane is Lane.URGENT else (Kind.MEASUREMENT, "meter-1")
        )
        event = Event(
            kind,
            device,
            self._clock.stamp(),
            (Measurement("volume", value, "m3"),),
            {"room": "kitchen"},
            {"token": token},
        )
        fact = (kind.name.lower(), device, value, token)
        return fact, self._journal.append(lane, encode_event(event))

    def _confirm(self, lane: Lane, seq: int, fact: tuple) -> None:
        place = (time.monotonic(), self._journal.uuid.hex(), lane.name.lower(), seq)
        os.write(self._file, json.dumps([*place, *fact]).encode() + b"\n")


def state_of(journal: Journal, forwarder: Forwarder, quiet: bool) -> dict:
    return {
        "at_s": time.monotonic(),
        "connected": forwarder.connected,
        "quiet": quiet,
        "journal": journal.uuid.hex(),
        "durable": {lane.name.lower(): journal.durable(lane) for lane in Lane},
        "acknowledged": {lane.name.lower(): journal.acknowledged(lane) for lane in Lane},
        "outstanding": forwarder.outstanding,
        "counters": dict(forwarder.counters),
        "error": type(forwarder.last_error).__name__ if forwarder.last_error else "",
        "said": str(forwarder.last_error or ""),
    }


async def tell(journal: Journal, forwarder: Forwarder, producing: asyncio.Task) -> None:
    connected, next_s = None, 0.0
    while True:
        if forwarder.connected is not connected or time.monotonic() >= next_s:
            connected, next_s = forwarder.connected, time.monotonic() + TELL_EVERY_S
            print(json.dumps(state_of(journal, forwarder, producing.done())), flush=True)
        await asyncio.sleep(LOOK_EVERY_S)


async def listen(producer: Producer) -> None:
    """Until the end of standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while await reader.readline():
        producer.quiet.set()


def trust_of(name: str) -> Trust | None:
    return Trust(read_public_keys([name], "plan"), lambda _: None) if name else None


async def live(plan: dict) -> None:
    journal = Journal.open(
        plan["folder"],
        quota_bytes=plan["quota_bytes"],
        clock=SystemClock(),
        commit_interval_s=plan["commit_interval_s"],
    )
    forwarder = Forwarder(
        plan["gateway"],
        UplinkSettings(
            url=plan["url"],
            allow_plaintext=True,
            keepalive=plan["keepalive_s"],
            ack_timeout=plan["ack_timeout_s"],
            max_batch=plan["max_batch"],
        ),
        (journal, journal.unwritten),
        trust=trust_of(plan["ack_key"]),
    )
    producer = Producer(journal, plan)
    producing = asyncio.create_task(producer.run())
    beside = [asyncio.create_task(forwarder.run())]
    beside.append(asyncio.create_task(tell(journal, forwarder, producing)))
    listening = asyncio.create_task(listen(producer))
    producing.add_done_callback(lambda it: it.exception() and listening.cancel())
    await asyncio.wait([listening, *beside], return_when=asyncio.FIRST_COMPLETED)
    for task in beside:
        if task.done():
            task.result()
    producer.quiet.set()
    await producing
    await forwarder.drain(DRAIN_S)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    journal.close()


if __name__ == "__main__":
    asyncio.run(live(json.loads(sys.argv[1])))
