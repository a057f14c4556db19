"""Everything in turn, told as it is found: the network may take its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.doctor.broker import look_at_broker
from gateway.doctor.configuration import look_at_configuration
from gateway.doctor.room import look_at_journal
from gateway.doctor.running import look_at_daemon
from gateway.doctor.secrets import look_at_files
from gateway.doctor.surroundings import look_around
from gateway.errors import DriverError, SettingsError
from gateway.finding import Finding, Level, Words, fault_of
from gateway.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.plan import Planned


def examine(config: str) -> Iterator[Finding]:
    """Look at the gateway with this configuration file; blocking."""
    yield from look_around()
    try:
        settings = load(config)
    except SettingsError as error:
        for what in error.faults:
            yield Finding(Level.FAULT, Words.same(what), about="configuration")
        return
    planned, findings = look_at_configuration(settings)
    yield from findings
    yield from look_at_journal(settings.journal)
    yield from look_at_files(settings.uplink)
    yield from look_at_broker(settings.uplink)
    yield from look_at_daemon(settings.control.socket)
    yield from look_at_devices(planned)


def look_at_devices(planned: Sequence[Planned]) -> Iterator[Finding]:
    """What each device's driver sees; what several share is told once."""
    told: set[Finding] = set()
    for item in planned:
        try:
            found = item.driver.look(item.options, item.bus)
        except DriverError as error:
            found = [fault_of(error)]
        for finding in found:
            named = finding.of(item.device.id)
            if named not in told:
                told.add(named)
                yield named
