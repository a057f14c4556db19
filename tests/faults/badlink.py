"""A bad link, packet by packet: joins a TUN device here to one in another network namespace.

    badlink.py HERE NAMESPACE THERE SEED

A relay of TCP connections would hide what a bad link does to TCP; this one loses, delays and drops
IP packets, so that retransmission, congestion control and half-open connections are the kernel's
own. (netem does the same, where the kernel has it.) Standard input: one JSON object a line with any
of `loss` (0..1), `delay_s` (each way), `cut` (true: nothing passes), `bytes_per_s` (0: no limit) and
`cut_at_bytes` (cut with the first packet from there that is as large; 0: never). Each is answered
with the counters.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import random
import struct
import sys

# linux/if_tun.h, linux/sched.h
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
MOST_BYTES = 65_536
QUEUE_S = 2.0  # a modem's buffer: what would wait for longer is dropped


def open_tun(name: str) -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


def open_tun_in(namespace: str, name: str) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    try:
        return open_tun(name)
    finally:
        if libc.setns(home, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns back")
        os.close(home)
        os.close(there)


class Link:
    """Both directions, and what is wrong with them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.faults = {"loss": 0.0, "delay_s": 0.0, "cut": False}
        self.faults |= {"bytes_per_s": 0.0, "cut_at_bytes": 0}
        self.counters = {"passed": 0, "lost": 0, "cut_off": 0, "overflowed": 0, "cuts": 0}

    def passes(self, size: int, outward: bool) -> bool:
        """Whether this packet gets through, apart from queues."""
        if outward and 0 < self.faults["cut_at_bytes"] <= size and not self.faults["cut"]:
            self.faults |= {"cut": True, "cut_at_bytes": 0}
            self.counters["cuts"] += 1
        lost = self.rng.random() < self.faults["loss"]
        if self.faults["cut"]:
            self.counters["cut_off"] += 1
        elif lost:
            self.counters["lost"] += 1
        return not lost and not self.faults["cut"]


class Direction:
    """From one device to the other."""

    def __init__(self, link: Link, source: int, sink: int, outward: bool) -> None:
        self._link = link
        self._source = source
        self._sink = sink
        self._outward = outward
        self._free_s = 0.0  # when the link has sent what waits
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(source, self._take)

    def _take(self) -> None:
        try:
            packet = os.read(self._source, MOST_BYTES)
        except BlockingIOError:
            return
        if not self._link.passes(len(packet), self._outward):
            return
        now_s, rate = self._loop.time(), self._link.faults["bytes_per_s"]
        self._free_s = max(self._free_s, now_s)
        if self._free_s - now_s > QUEUE_S:
            self._link.counters["overflowed"] += 1
            return
        self._free_s += len(packet) / rate if rate else 0.0
        self._loop.call_at(self._free_s + self._link.faults["delay_s"], self._give, packet)

    def _give(self, packet: bytes) -> None:
        if self._link.faults["cut"]:  # what was under way when the link was cut
            self._link.counters["cut_off"] += 1
            return
        self._link.counters["passed"] += 1
        try:
            os.write(self._sink, packet)
        except OSError:  # the device is not up yet, or its queue is full: lost, as on any link
            self._link.counters["overflowed"] += 1


async def relay(here: str, namespace: str, there: str, seed: int) -> None:
    link = Link(seed)
    near, far = open_tun(here), open_tun_in(namespace, there)
    Direction(link, near, far, outward=False)
    Direction(link, far, near, outward=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    print("{}", flush=True)  # ready
    while line := await reader.readline():
        link.faults |= json.loads(line)
        print(json.dumps(link.counters), flush=True)


if __name__ == "__main__":
    asyncio.run(relay(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
