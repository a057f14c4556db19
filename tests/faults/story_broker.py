"""The broker of a story: mosquitto that also listens to the home's network, and can forbid."""

import signal
from pathlib import Path

from drivers.sim.broker import Broker

# What everybody may, and what is left while batches are refused: acknowledgements still pass.
_FREELY = "topic readwrite hearth/#\n"
_NO_BATCHES = "topic read hearth/#\ntopic write hearth/v1/+/ack\ntopic write hearth/v1/+/state\n"


class StoryBroker(Broker):
    """See Broker.

    Args:
        folder: of its access rules and its data.
        persistent: keep sessions and retained messages over a restart.
        address: where else to listen.
    """

    def __init__(self, folder: Path, *, persistent: bool = False, address: str = "") -> None:
        self._rules = folder / "acl"
        self._data = folder / "broker"
        self._data.mkdir(exist_ok=True)
        self._rules.write_text(_FREELY)
        self._rules.chmod(0o600)
        lines = f"acl_file {self._rules}\n"
        if persistent:
            lines += f"persistence true\nautosave_interval 1\npersistence_location {self._data}/\n"
        super().__init__(lines=lines)
        self._lines += f"listener {self.port} {address}\n" if address else ""

    def forbid_batches(self) -> None:
        """From now on a batch is answered with a PUBACK that says no."""
        self._rule(_NO_BATCHES)

    def allow_batches(self) -> None:
        """As before."""
        self._rule(_FREELY)

    async def halt(self) -> None:
        """End it in good order, so that it saves what it means to keep; `start` goes on."""
        await self._end(signal.SIGTERM)

    def forget(self) -> int:
        """Delete its data, while it is down; how many bytes there were."""
        files = list(self._data.iterdir())
        size = sum(file.stat().st_size for file in files)
        for file in files:
            file.unlink()
        return size

    def _rule(self, text: str) -> None:
        self._rules.write_text(text)
        self._signal(signal.SIGHUP)
