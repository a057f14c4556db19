"""What a real Home Assistant shows, a line for each thing that is looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from real_home_assistant import RealHomeAssistant

# A restarted Home Assistant, or one whose broker was away, takes up to ten seconds; all else one.
PATIENCE_S = 40.0
POLL_S = 0.1
ATTRIBUTES = "device_class", "unit_of_measurement", "state_class", "friendly_name"
States = dict[str, dict[str, Any]]


class Showing:
    """Counts what was otherwise."""

    def __init__(self, ha: RealHomeAssistant) -> None:
        self.ha = ha
        self.failed = 0

    def see(self, what: str, good: object, instead: object = "") -> None:
        """One line."""
        self.failed += not good
        print(f"ok      {what}" if good else f"FAILED  {what}: {instead}", flush=True)

    async def comes(self, what: str, condition: Callable[[States], bool]) -> States:
        """One line, once the states are so, or when patience ends; the states then."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while not (good := condition(states := await self.ha.states())):
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(POLL_S)
        ours = {it: states[it]["state"] for it in states if "mirrored" in it or "_" in it}
        self.see(what, good, ours)
        return states

    async def shows(self, what: str, wanted: dict[str, str]) -> States:
        """The same, of some entities' states."""
        return await self.comes(
            what, lambda states: all(state_of(states, it) == wanted[it] for it in wanted)
        )

    async def looks(self, entity: str, *wanted: str | None) -> None:
        """One line: device class, unit, state class and name of an entity."""
        attributes = (await self.ha.states())[entity]["attributes"]
        seen = tuple(attributes.get(it) for it in ATTRIBUTES)
        self.see(f"{entity}: {', '.join(it for it in wanted if it)}", seen == wanted, seen)

    async def devices(self) -> dict[str, dict[str, Any]]:
        """Those that came by MQTT, by name."""
        found = await self.ha.ask("config/device_registry/list")
        return {
            it["name"]: it for it in found if ["mqtt"] in [each[:1] for each in it["identifiers"]]
        }

    async def ids(self, gateway: str) -> dict[str, str]:
        """Entity ids by unique id, of what is of a gateway."""
        found = await self.ha.ask("config/entity_registry/list")
        begin = f"hearth/{gateway}/"
        return {
            it["unique_id"]: it["entity_id"] for it in found if it["unique_id"].startswith(begin)
        }

    async def registered(self, gateway: str, wanted: set[str]) -> dict[str, str]:
        """The same, once all that are wanted are there, or patience ends."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while not wanted <= (ids := await self.ids(gateway)).keys():
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(POLL_S)
        return ids


def state_of(states: States, entity: str) -> str | None:
    """The state of an entity; None if there is no such entity."""
    return states[entity]["state"] if entity in states else None


def is_number(states: States, entity: str) -> bool:
    """Whether an entity has a number."""
    return state_of(states, entity) not in {None, "unknown", "unavailable"}
