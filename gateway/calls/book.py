"""What is known of open calls after a power cut: one small file, replaced whole."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from gateway.calls.call import Call
from gateway.durable_file import UNREADABLE, DurableFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway.journal.files import Files

# A home has a few open calls. More than this in a file is damage, and what is on flash of the calls
# themselves is in the journal.
MAX_BYTES = 256 * 1024

log = logging.getLogger("hearth.calls")


class CallBook:
    """The file."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._file = DurableFile(path, files)

    def read(self) -> list[Call]:
        """The calls that were open; none if there is no file, or none that can be believed."""
        try:
            return self._file.load(list[Call], MAX_BYTES) or []
        except UNREADABLE as error:
            log.warning("what was known of open calls is lost: %s", error)
            return []

    async def write(self, calls: Iterable[Call]) -> None:
        """Keep these; JournalWriteFailed if the flash refuses."""
        await self._file.replace(msgspec.json.encode(list(calls)))
