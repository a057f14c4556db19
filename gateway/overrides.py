"""Settings that people upstream changed, where the installer let them.

The configuration file stays as the installer wrote it; what was changed since is kept beside the
journal and laid over it at every start. Only keys that `[commands] settable` names can be changed,
by their place in the file: `announce.mute`, `device.meter-kitchen.poll`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.durable_file import UNREADABLE, DurableFile
from gateway.errors import CommandRefused, SettingsError
from gateway.model import Scalar
from gateway.plan import plan
from gateway.settings import load, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.settings import Settings

MAX_BYTES = 64 * 1024

log = logging.getLogger("hearth.settings")


class Overrides:
    """What was changed. What cannot be read, or does not fit the file any more, is left out."""

    def __init__(self, settings: Settings) -> None:
        """Args: the settings as they hold now."""
        self._settings = settings
        self._file = DurableFile(_path(settings))
        self._values = _read(self._file)

    async def set(self, values: Mapping[str, Scalar]) -> None:
        """Change some, all or none; they hold from the next start on.

        Raises:
            CommandRefused: one of them is not to be set, or the configuration would have a fault.
            JournalWriteFailed: the flash refused; nothing has changed.
        """
        if not values:
            raise CommandRefused("no setting is named")
        for name in values:
            if name not in self._settings.commands.settable:
                raise CommandRefused(f"{name}: is not to be set; [commands] settable permits it")
        changed = {**self._values, **values}
        try:
            plan(parse(self._settings.source, self._settings.file, overrides=changed))
        except SettingsError as error:
            raise CommandRefused(error.faults[0]) from error
        await self._file.replace(msgspec.json.encode(changed))
        self._values = changed


def load_overridden(path: str) -> Settings:
    """The configuration with what was changed since; SettingsError if the file itself has faults.

    A change that does not fit any more is no reason not to start: the file is what counts then.
    """
    settings = load(path)
    values = {
        name: value
        for name, value in _read(DurableFile(_path(settings))).items()
        if name in settings.commands.settable
    }
    if not values:
        return settings
    try:
        overridden = parse(settings.source, settings.file, overrides=values)
        plan(overridden)
    except SettingsError as error:
        log.error("what was changed from upstream does not fit and is left out: %s", error)  # noqa: TRY400
        return settings
    return overridden


def _path(settings: Settings) -> Path:
    return Path(settings.journal.path) / "home" / "settings.json"


def _read(file: DurableFile) -> dict[str, Scalar]:
    try:
        return file.load(dict[str, Scalar], MAX_BYTES) or {}
    except UNREADABLE as error:
        log.warning("what was changed from upstream is lost: %s", error)
        return {}
