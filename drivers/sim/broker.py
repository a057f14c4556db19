"""An MQTT broker for the demo, for training and for tests: started, stopped, killed, come again.

mosquitto as a child process where the machine has it; else amqtt, also as a child process, so that
both can be killed like a real one. It listens on loopback only and takes everybody.

amqtt 0.12 speaks MQTT 3.1.1 only, loses the offline messages of persistent sessions and does a
tenth of mosquitto's rate. hearth rests on none of these.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import pwd
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.sim.loopback import HOST, free_port
from gateway.errors import UplinkLost

if TYPE_CHECKING:
    from types import TracebackType

# amqtt needs a second or two of imports on a small machine.
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
# A broker that does not listen yet refuses at once; asked this often it is not kept busy.
PROBE_INTERVAL_S = 0.02
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # where distributions put mosquitto


def find_mosquitto() -> str | None:
    """Path of mosquitto, if this machine has it."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


class Broker:
    """One broker on one port of loopback; `async with` starts and stops it.

    Args:
        port: where it listens; 0 picks a free one, which then stays the same.
        kind: "mosquitto", "amqtt", or "" for mosquitto if installed, else amqtt.
        lines: further lines of mosquitto's configuration; they come before the listener's own.
        listener: lines that replace "allow_anonymous true" in mosquitto's listener.
    """

    def __init__(
        self, port: int = 0, *, kind: str = "", lines: str = "", listener: str = ""
    ) -> None:
        self.port = port or free_port()
        self.kind = kind or ("mosquitto" if find_mosquitto() else "amqtt")
        self._lines = lines
        self._listener = listener or "allow_anonymous true"
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens, as `[uplink] url` wants it."""
        return f"mqtt://{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start, and return when it takes connections; UplinkLost if it ends or does not come."""
        nowhere = asyncio.subprocess.DEVNULL  # a pipe of ours would outlive us in the child
        self._process = await asyncio.create_subprocess_exec(
            *self._command(), stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await self._listens():  # noqa: ASYNC110 - a child process has no Event
                    await asyncio.sleep(PROBE_INTERVAL_S)
        except TimeoutError:
            await self.kill()
            raise UplinkLost(f"{self.kind} does not listen", where=self.url) from None

    async def stop(self) -> None:
        """Ask it to end, and wait; killed if it does not."""
        if self._process is not None:
            self.resume()
            await self._end(signal.SIGTERM)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def kill(self) -> None:
        """End it without a word, as a power cut would."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Stop it and start it again on the same port."""
        await self._end(signal.SIGTERM)
        await self.start()

    def pause(self) -> None:
        """Freeze it: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _listens(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise UplinkLost(f"{self.kind} ended while starting", where=self.url)
        try:
            _, writer = await asyncio.open_connection(HOST, self.port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    def _command(self) -> list[str]:
        if self.kind == "amqtt":
            return [sys.executable, "-m", "drivers.sim.broker", "--port", str(self.port)]
        mosquitto = find_mosquitto()
        if mosquitto is None:
            raise UplinkLost("mosquitto is not installed", hint="install it, or use kind='amqtt'")
        return [mosquitto, "-c", str(self._write_config())]

    def _write_config(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hearth-broker-")
        path = Path(self._folder.name) / "mosquitto.conf"
        user = pwd.getpwuid(os.getuid()).pw_name
        text = f"user {user}\npersistence false\nlog_dest none\n{self._lines}\n"
        path.write_text(f"{text}listener {self.port} {HOST}\n{self._listener}\n", "utf-8")
        return path


async def _serve_amqtt(port: int) -> None:
    from amqtt.broker import Broker as AmqttBroker  # noqa: PLC0415 - an extra, and slow to import

    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listeners = {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}}
    broker = AmqttBroker({"listeners": listeners, "plugins": plugins})
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await broker.start()
    await stopping.wait()
    await broker.shutdown()


def main() -> None:
    """`python -m drivers.sim.broker --port N`: amqtt until SIGTERM."""
    parser = argparse.ArgumentParser(description="an MQTT 3.1.1 broker on loopback")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(_serve_amqtt(arguments.port))


if __name__ == "__main__":
    main()
