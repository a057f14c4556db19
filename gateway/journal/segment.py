"""One segment: a file of fixed size, written full of zeros once and recycled in place.

The header stands in the first block and once more in the last, so that one bad spot on the medium
does not take a whole segment. Records lie between.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import DecodeError, UnknownVersion
from gateway.journal.format import (
    BLOCK,
    SegmentHeader,
    decode_header,
    encode_header,
    salt_seed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files

# A reader that seeks a seq starts at the nearest mark before it; one mark in this many bytes keeps
# both the list (64 marks in 4 MiB) and the search (about 600 records) short.
MARK_EVERY = 64 * 1024
HEADER_COPIES = 2


class Segment:
    """An open segment file, and what is known of its content."""

    def __init__(self, files: Files, path: Path, fd: int, size: int) -> None:
        self._files = files
        self.path = path
        self.fd = fd
        self.size = size
        self.header: SegmentHeader | None = None
        self.seed = 0
        self.end = BLOCK  # where the next record goes
        self._marks: list[tuple[int, int]] = []  # (seq, offset), ascending

    @classmethod
    def create(cls, files: Files, path: Path, size: int) -> Segment:
        """A new segment full of zeros; OSError if there is no room."""
        segment = cls(files, path, files.open(path, create=True), size)
        try:
            files.allocate(segment.fd, size)
        except OSError:
            segment.close()
            raise
        return segment

    @classmethod
    def open(cls, files: Files, path: Path) -> Segment:
        """An existing segment; its header is None if no copy is intact.

        Raises:
            OSError: it cannot be opened, or nothing of it can be read.
        """
        segment = cls(files, path, files.open(path), 0)
        try:
            segment.size = files.size(segment.fd)
            segment.read_header()
        except BaseException:
            segment.close()
            raise
        return segment

    @property
    def capacity(self) -> int:
        """Bytes of records that fit."""
        return self.size - 2 * BLOCK

    @property
    def room(self) -> int:
        """Bytes of records that still fit."""
        return self.size - BLOCK - self.end

    @property
    def first_seq(self) -> int:
        """Seq of the first record; 0 while the segment is not in use."""
        return self.header.first_seq if self.header else 0

    def is_blank(self) -> bool:
        """Never used: both header blocks are zeros."""
        ends = (0, max(0, self.size - BLOCK))
        try:
            return not any(any(self._files.pread(self.fd, BLOCK, at)) for at in ends)
        except OSError:
            return False

    def begin(self, header: SegmentHeader) -> None:
        """Start a new life. Durable with the first commit's fdatasync, not before."""
        self._write_header(header, twice=True)
        self.adopt(header)

    def restore_header(self, *, twice: bool) -> None:
        """Durably write the adopted header again; once if the file was cut short within records."""
        if self.header:
            self._write_header(self.header, twice=twice)
            self._files.fdatasync(self.fd)

    def adopt(self, header: SegmentHeader) -> None:
        """Take this header as the segment's; its records are not known yet."""
        self.header = header
        self.seed = salt_seed(header.salt)
        self.end = BLOCK
        self._marks = [(header.first_seq, BLOCK)]

    def append(self, data: bytearray, first_seq: int) -> None:
        """Write records and return when they are on the medium."""
        self._files.pwrite(self.fd, data, self.end)
        self._files.fdatasync(self.fd)
        self.mark(first_seq, self.end)
        self.end += len(data)

    def rewrite(self, start: int, end: int, *, twice: bool) -> None:
        """Durably write again what can be read of `start..end`, and the header."""
        data, at = self.read_all(), start
        while at < end:
            stop = min(end, at - at % BLOCK + BLOCK)
            if self._block_or_none(at - at % BLOCK) is not None:
                self._files.pwrite(self.fd, data[at:stop], at)
            at = stop
        self.restore_header(twice=twice)

    def erase(self, start: int, end: int) -> None:
        """Durably overwrite `start..end` with zeros."""
        self._files.pwrite(self.fd, bytes(end - start), start)
        self._files.fdatasync(self.fd)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file from `offset` on."""
        return self._files.pread(self.fd, min(length, self.size - offset), offset)

    def read_all(self) -> bytes:
        """The whole file; blocks that can't be read are zeros.

        With its last block: that is a header, unless the file was cut short.

        Raises:
            OSError: not one block can be read. Then the card is gone, not a sector of it bad.
        """
        try:
            return self._files.pread(self.fd, self.size, 0)
        except OSError:
            blocks = [self._block_or_none(at) for at in range(0, self.size, BLOCK)]
            if not any(blocks):
                raise
            return b"".join(block or bytes(BLOCK) for block in blocks)

    def mark(self, seq: int, offset: int) -> None:
        """Remember that the record `seq` begins at `offset`, if the last mark is far behind."""
        if self._marks and offset >= self._marks[-1][1] + MARK_EVERY:
            self._marks.append((seq, offset))

    def nearest(self, seq: int) -> tuple[int, int]:
        """(seq, offset) of the last marked record at or before `seq`."""
        at = bisect_right(self._marks, (seq, self.size))
        return self._marks[max(0, at - 1)]

    def close(self) -> None:
        """Close the file, once: its number may be another file's by then.

        What counts was flushed long ago, so an error here changes nothing.
        """
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with suppress(OSError):
                self._files.close(fd)

    def drop_cache(self) -> None:
        """Have the next read ask the medium."""
        self._files.drop_cache(self.fd)

    def header_copies(self) -> int:
        """How many of the two copies of the header are intact on the medium."""
        return sum(header == self.header for header in self._headers())

    def read_header(self) -> None:
        """Take the newest intact copy of the header as the segment's."""
        found = self._headers()
        if found:
            self.adopt(max(found, key=lambda header: header.number))

    def _headers(self) -> list[SegmentHeader]:
        found, refused = [], 0
        for offset in (0, max(0, self.size - BLOCK)):
            try:
                data = self._files.pread(self.fd, BLOCK, offset)
            except OSError:
                refused += 1
                if refused == HEADER_COPIES:
                    self.read_all()  # raises if the rest can't be read either
                continue
            try:
                found.append(decode_header(data))
            except UnknownVersion:
                raise
            except DecodeError:
                continue  # the other copy may do; none intact is reported by the lane
        return found

    def _write_header(self, header: SegmentHeader, *, twice: bool) -> None:
        data = encode_header(header).ljust(BLOCK, b"\0")
        self._files.pwrite(self.fd, data, 0)
        if twice:
            self._files.pwrite(self.fd, data, self.size - BLOCK)

    def _block_or_none(self, offset: int) -> bytes | None:
        try:
            return self._files.pread(self.fd, BLOCK, offset).ljust(BLOCK, b"\0")
        except OSError:
            return None


def new_salt() -> int:
    """A salt for a new life of a segment."""
    return int.from_bytes(os.urandom(4), "big")
