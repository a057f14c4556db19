"""How hearth is, for the command line and for whoever asks: facts, never guesses.

Health only collects. Whoever knows a fact sets it; `snapshot` is what `hearth status` prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.model import Lane

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.forwarding.allowance import Allowance
    from gateway.forwarding.forwarder import Forwarder
    from gateway.household import Household
    from gateway.journal import Journal
    from gateway.mirror import Mirror


class DeviceHealth(msgspec.Struct):
    """One device: `state` is starting, online, offline or failed."""

    state: str = "starting"
    reason: str = ""
    restarts: int = 0
    events: int = 0
    last_event_uptime_ms: int | None = None


class Health:
    """Everything that `hearth status` can tell."""

    def __init__(self, gateway: str, journal: Journal, clock: Clock) -> None:
        self._gateway = gateway
        self._journal = journal
        self._clock = clock
        self.forwarder: Forwarder | None = None
        self.household: Household | None = None
        self.mirror: Mirror | None = None
        self.allowance: Allowance | None = None
        self.devices: dict[str, DeviceHealth] = {}

    def snapshot(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        stamp = self._clock.stamp()
        mirror = {"mirror": self.mirror.facts()} if self.mirror else {}
        return {
            "gateway": self._gateway,
            "uptime_ms": stamp.uptime_ms,
            "wall_ms": stamp.wall_ms,
            "clock": stamp.quality.name.lower(),
            "journal": self._journal_facts(),
            "uplink": self._uplink_facts(),
            "testing": self.household is not None and self.household.testing,
            "calls": self.household.desk.snapshot() if self.household else [],
            "devices": {name: msgspec.to_builtins(d) for name, d in self.devices.items()},
            **mirror,
        }

    def _journal_facts(self) -> dict[str, object]:
        status = self._journal.status()
        lanes = {
            lane.name.lower(): msgspec.to_builtins(status[lane]) | {"backlog": status[lane].backlog}
            for lane in Lane
        }
        return {
            "uuid": self._journal.uuid.hex(),
            "bytes_written": self._journal.bytes_written,
            "set_aside": list(self._journal.trouble.set_aside),
            "trouble": list(self._journal.trouble.notes),
            "lanes": lanes,
        }

    def _uplink_facts(self) -> dict[str, object]:
        if self.forwarder is None:
            return {"connected": False, "last_error": "", "hint": ""}
        error = self.forwarder.last_error
        return {
            "connected": self.forwarder.connected,
            "outstanding": self.forwarder.outstanding,
            "last_error": str(error or ""),
            "hint": error.hint if error else "",
            "counters": dict(self.forwarder.counters),
            "today": self._allowance_facts(),
        }

    def _allowance_facts(self) -> dict[str, object]:
        """What the link has cost today; a limit of 0 is none."""
        if self.allowance is None:
            return {}
        return {
            "spent_bytes": self.allowance.spent_bytes,
            "limit_bytes": self.allowance.limit_bytes,
            "exhausted": self.allowance.exhausted,
        }
