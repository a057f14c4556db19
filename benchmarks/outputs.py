"""From the commit of a call to the webhook's receiver, on loopback: `python -m benchmarks.outputs`.

One call at a time, as people press buttons; SQLite on the disk of the current folder.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from collector.delivery import Delivery, row_of
from collector.outputs.teller import Teller
from collector.outputs.webhook import Webhook
from collector.store import open_store
from collector.watched import WatchedStore
from gateway.codec import encode_event
from gateway.model import Event, Kind, Lane, Stamp, TimeQuality

CALLS = 500
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


def call(seq: int) -> Delivery:
    stamp = Stamp(bytes(8), seq, 1_700_000_000_000 + seq, TimeQuality.SYNCHRONISED)
    event = Event(Kind.CALL, "button", stamp, detail={"call": f"c{seq}"})
    row = row_of(seq, event, encode_event(event))
    return Delivery("hearth/v1/gw/up/urgent", "gw", bytes(16), Lane.URGENT, (row,))


async def measure(folder: str) -> list[float]:
    arrived: asyncio.Queue[float] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return writer.close()
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(size)
            arrived.put_nowait(time.perf_counter())
            writer.write(ANSWER)

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    store = open_store(f"sqlite://{folder}/events.db", outputs=("webhook",))
    teller = Teller(store, Webhook(url, (bytes(32),)))
    loop = asyncio.get_running_loop()
    watched = WatchedStore(store, lambda: loop.call_soon_threadsafe(teller.ring))
    task = asyncio.create_task(teller.run())
    took = []
    for seq in range(1, CALLS + 1):
        await asyncio.to_thread(watched.commit, [call(seq)], [])
        committed = time.perf_counter()
        took.append(await arrived.get() - committed)
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    server.close()
    store.close()
    return took


def main() -> int:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        took = sorted(1000 * it for it in asyncio.run(measure(folder)))
    middle, p99 = statistics.median(took), took[int(0.99 * len(took))]
    figures = f"{middle:.1f} ms, p99 {p99:.1f} ms, worst {took[-1]:.1f} ms"
    print(f"commit to webhook, {CALLS} calls: {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
