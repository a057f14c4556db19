"""One segment: a file of fixed size, written full of zeros once and recycled in place.

The header stands in the first block and once more in the last, so that one bad spot on the medium
does not take a whole segment. Records lie between.
"""

from __future__ import annotations

import os
from bisect import bisect_right
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
        fd = files.open(path, create=True)
        try:
            files.allocate(fd, size)
        except OSError:
            files.close(fd)
            raise
        return cls(files, path, fd, size)

    @classmethod
    def open(cls, files: Files, path: Path) -> Segment:
        """An existing segment; its header is None if no copy is intact."""
        fd = files.open(path)
        try:
            segment = cls(files, path, fd, files.size(fd))
            segment.read_header()
        except BaseException:
            files.close(fd)
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
        self._write_header(header)
        self.adopt(header)

    def restore_header(self) -> None:
        """Durably write both copies of the adopted header again."""
        if self.header:
            self._write_header(self.header)
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

    def erase(self, start: int, end: int) -> None:
        """Durably overwrite `start..end` with zeros."""
        self._files.pwrite(self.fd, bytes(end - start), start)
        self._files.fdatasync(self.fd)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the record area."""
        return self._files.pread(self.fd, min(length, self.size - BLOCK - offset), offset)

    def read_all(self) -> bytes:
        """The whole segment but its last header copy; sectors that can't be read are zeros."""
        end = self.size - BLOCK
        try:
            return self._files.pread(self.fd, end, 0)
        except OSError:
            return b"".join(self._block_or_zeros(at) for at in range(0, end, BLOCK))

    def mark(self, seq: int, offset: int) -> None:
        """Remember that the record `seq` begins at `offset`, if the last mark is far behind."""
        if self._marks and offset >= self._marks[-1][1] + MARK_EVERY:
            self._marks.append((seq, offset))

    def nearest(self, seq: int) -> tuple[int, int]:
        """(seq, offset) of the last marked record at or before `seq`."""
        at = bisect_right(self._marks, (seq, self.size))
        return self._marks[max(0, at - 1)]

    def close(self) -> None:
        """Close the file."""
        self._files.close(self.fd)

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
        found = []
        for offset in (0, self.size - BLOCK):
            try:
                found.append(decode_header(self._files.pread(self.fd, BLOCK, max(0, offset))))
            except UnknownVersion:
                raise
            except (DecodeError, OSError):
                continue  # the other copy may do; none intact is reported by the lane
        return found

    def _write_header(self, header: SegmentHeader) -> None:
        data = encode_header(header).ljust(BLOCK, b"\0")
        self._files.pwrite(self.fd, data, 0)
        self._files.pwrite(self.fd, data, self.size - BLOCK)

    def _block_or_zeros(self, offset: int) -> bytes:
        try:
            return self._files.pread(self.fd, BLOCK, offset).ljust(BLOCK, b"\0")
        except OSError:
            return bytes(BLOCK)


def new_salt() -> int:
    """A salt for a new life of a segment."""
    return int.from_bytes(os.urandom(4), "big")
