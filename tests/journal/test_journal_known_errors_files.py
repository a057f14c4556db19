"""The operating system's own files: what it may do short of what was asked, and what must be asked.

The filesystem is real. Where the system would do all at once, the call is replaced by one that
does only a part of it, or is watched.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.journal.files import OsFiles

DATA = bytes(range(256)) * 40  # tells every place from its neighbours


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of a test is."""
    return tmp_path / "segment"


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    """A new file, open."""
    files = OsFiles()
    fd = files.open(path, create=True)
    yield fd
    files.close(fd)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What was asked of the system: pwrite with its offset, flushes with what they are of."""
    seen: list[tuple[str, object]] = []

    def watch(name: str, of: Callable[..., object]) -> None:
        whole = getattr(os, name)

        def watched(*arguments: object) -> object:
            seen.append((name, of(*arguments)))
            return whole(*arguments)

        monkeypatch.setattr(os, name, watched)

    watch("pwrite", lambda fd, data, offset: offset)
    watch("fsync", lambda fd: os.readlink(f"/proc/self/fd/{fd}"))
    watch("fdatasync", lambda fd: os.readlink(f"/proc/self/fd/{fd}"))
    return seen


@pytest.mark.parametrize("at_once", [1, 511, 4096, len(DATA)])
def test_a_short_write_goes_on_where_it_ended(fd, path, monkeypatch, at_once):
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: whole(fd, data[:at_once], offset))
    OsFiles().pwrite(fd, DATA, 8)
    assert path.read_bytes() == bytes(8) + DATA


@pytest.mark.parametrize("at_once", [1, 511, 4096, len(DATA)])
def test_a_short_read_goes_on_where_it_ended(fd, path, monkeypatch, at_once):
    path.write_bytes(bytes(8) + DATA)
    whole = os.pread
    monkeypatch.setattr(
        os, "pread", lambda fd, length, offset: whole(fd, min(length, at_once), offset)
    )
    assert OsFiles().pread(fd, len(DATA), 8) == DATA


def test_a_read_ends_at_the_end_of_the_file(fd, path):
    path.write_bytes(DATA)
    assert OsFiles().pread(fd, 2 * len(DATA), 100) == DATA[100:]
    assert OsFiles().pread(fd, 10, len(DATA)) == b""


@pytest.mark.parametrize("size", [4096, (1 << 20) + 4096])
def test_room_is_written_full_of_zeros_and_flushed_after_that(fd, path, calls, size):
    path.write_bytes(DATA[:4096])
    OsFiles().allocate(fd, size)
    assert path.read_bytes() == bytes(size)
    assert path.stat().st_blocks * 512 >= size
    *writes, flush = calls
    assert [offset for name, offset in writes if name == "pwrite"] == list(range(0, size, 1 << 20))
    assert flush == ("fsync", str(path))  # the length, too: fdatasync need not write all of it


def test_a_commit_is_flushed(fd, path, calls):
    OsFiles().fdatasync(fd)
    assert calls == [("fdatasync", str(path))]


def test_the_names_of_a_folder_are_flushed_through_the_folder(tmp_path, calls):
    OsFiles().sync_dir(tmp_path)
    assert calls == [("fsync", str(tmp_path))]


def test_each_new_folder_is_flushed_into_the_one_above_it(tmp_path, calls):
    OsFiles().make_dir(tmp_path / "a" / "b")
    assert set(calls) == {("fsync", str(tmp_path)), ("fsync", str(tmp_path / "a"))}
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_exists_is_left_alone(tmp_path, calls):
    tmp_path.chmod(0o755)
    OsFiles().make_dir(tmp_path)
    assert calls == []
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_new_file_is_its_owners_alone(fd, path):
    assert path.stat().st_mode & 0o777 == 0o600


def _refuse(monkeypatch: pytest.MonkeyPatch, code: int, unless: int) -> None:
    """The system refuses to open anything but with exactly these flags."""
    whole = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags != unless:
            raise OSError(code, os.strerror(code), str(path))
        return whole(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)


def test_on_a_filesystem_that_fell_read_only_what_is_there_can_be_read(path, monkeypatch):
    path.write_bytes(DATA)
    _refuse(monkeypatch, errno.EROFS, unless=os.O_CLOEXEC | os.O_RDONLY)
    files = OsFiles()
    fd = files.open(path)
    try:
        assert files.pread(fd, len(DATA), 0) == DATA
        with pytest.raises(OSError) as refused:
            files.pwrite(fd, b"x", 0)
        assert refused.value.errno == errno.EROFS  # and not EBADF, which tells a fitter nothing
    finally:
        files.close(fd)


def test_any_other_refusal_to_open_is_told(path, monkeypatch):
    path.write_bytes(DATA)
    _refuse(monkeypatch, errno.EIO, unless=os.O_CLOEXEC | os.O_RDONLY)
    with pytest.raises(OSError) as refused:
        OsFiles().open(path)
    assert refused.value.errno == errno.EIO


def test_read_only_files_write_nothing(path):
    path.write_bytes(DATA)
    files = OsFiles(read_only=True)
    fd = files.open(path)
    try:
        with pytest.raises(OSError):
            files.pwrite(fd, b"x", 0)
    finally:
        files.close(fd)
    assert path.read_bytes() == DATA


def test_names_are_sorted_moved_and_removed(tmp_path):
    files = OsFiles()
    for name in ("b", "c", "a"):
        (tmp_path / name).write_text(name)
    assert files.list_dir(tmp_path) == ["a", "b", "c"]
    files.rename(tmp_path / "a", tmp_path / "d")
    files.unlink(tmp_path / "b")
    assert files.list_dir(tmp_path) == ["c", "d"]
    assert (tmp_path / "d").read_text() == "a"
