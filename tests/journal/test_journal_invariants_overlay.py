"""Files over a folder that is not touched: they read as if everything had been done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK
from gateway.journal.overlay import Overlay, Telling

DATA = bytes(range(1, 252)) * 50  # three blocks and a bit; no zeros
WRITES = st.lists(
    st.tuples(st.integers(0, len(DATA) + BLOCK), st.binary(min_size=1, max_size=2 * BLOCK)),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files."""
    (tmp_path / "lane").mkdir()
    for name in ("a.seg", "b.seg"):
        (tmp_path / "lane" / name).write_bytes(DATA)
    return tmp_path / "lane"


def contents(folder: Path) -> dict[str, bytes]:
    """All files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(WRITES, st.integers(0, 4 * BLOCK), st.integers(0, 4 * BLOCK))
def test_what_was_written_is_read_and_the_file_is_as_it_was(folder, writes, offset, length):
    path, twin = folder / "a.seg", folder.parent / "twin"
    shutil.copy(path, twin)
    overlay, real = Overlay(), OsFiles()
    above, below = overlay.open(path), real.open(twin)
    for at, data in writes:
        for files, fd in ((overlay, above), (real, below)):
            files.pwrite(fd, data, at)
            files.fdatasync(fd)
    assert overlay.size(above) == real.size(below)
    assert overlay.pread(above, length, offset) == real.pread(below, length, offset)
    assert overlay.pread(above, 10**6, 0) == real.pread(below, 10**6, 0)
    overlay.close(above)
    real.close(below)
    assert path.read_bytes() == DATA


def test_names_are_as_if_they_had_changed(folder):
    twin = folder.parent / "twin"
    shutil.copytree(folder, twin / "lane")
    before, files = contents(folder), Overlay()
    for overlay, below in ((files, folder), (OsFiles(), twin / "lane")):
        overlay.close(overlay.open(below / "c.seg", create=True))
        overlay.rename(below / "a.seg", below / "a.damaged")
        overlay.unlink(below / "b.seg")
        overlay.make_dir(below / "more")
        overlay.sync_dir(below)
    assert files.list_dir(folder / "more") == []
    assert files.list_dir(folder) == OsFiles().list_dir(twin / "lane")
    assert contents(folder) == before
    with pytest.raises(FileNotFoundError):
        files.open(folder / "d.seg")


def test_a_file_that_is_gone_hides_none_of_its_name_elsewhere(folder):
    """The lanes number their segments alike."""
    other = shutil.copytree(folder, folder.parent / "other")
    overlay = Overlay()
    overlay.unlink(folder / "b.seg")
    assert overlay.list_dir(other) == ["a.seg", "b.seg"]


def test_a_folder_that_moved_takes_its_files_along(folder):
    """As a store of a later format does, before a new one is made in its place."""
    before, overlay, aside = contents(folder), Overlay(), folder.parent / "aside"
    overlay.rename(folder, aside)
    assert overlay.list_dir(aside) == ["a.seg", "b.seg"]
    assert overlay.pread(overlay.open(aside / "a.seg"), 100, 0) == DATA[:100]
    with pytest.raises(FileNotFoundError):
        overlay.open(folder / "a.seg")
    overlay.make_dir(folder)
    overlay.make_dir(folder)
    assert overlay.list_dir(folder) == []
    assert overlay.size(overlay.open(folder / "a.seg", create=True)) == 0
    assert overlay.list_dir(folder) == ["a.seg"]
    assert overlay.changes == [
        f"rename {folder.parent.name}/lane to aside",
        "create the folder lane",
    ]
    assert contents(folder) == before


def test_a_file_that_is_created_is_full_of_zeros(folder):
    overlay = Overlay()
    fd = overlay.open(folder / "c.seg", create=True)
    overlay.allocate(fd, 3 * BLOCK)
    overlay.pwrite(fd, b"x", BLOCK)
    assert overlay.size(fd) == 3 * BLOCK
    assert overlay.pread(fd, 10 * BLOCK, 0) == bytes(BLOCK) + b"x" + bytes(2 * BLOCK - 1)
    assert not (folder / "c.seg").exists()


def test_both_tell_the_same_changes(folder):
    overlay, telling = Overlay(), Telling()
    for files in (overlay, telling):
        fd = files.open(folder / "a.seg")
        files.pwrite(fd, b"xyz", 7)
        files.pwrite(fd, bytes(3), BLOCK)
        files.close(fd)
        fd = files.open(folder / "c.seg", create=True)
        files.allocate(fd, BLOCK)
        files.close(fd)
        files.rename(folder / "a.seg", folder / "a.damaged")
        files.unlink(folder / "b.seg")
    assert overlay.changes == telling.changes
    assert telling.changes == [
        "write 3 bytes of lane/a.seg at 7",
        f"erase 3 bytes of lane/a.seg at {BLOCK}",
        f"create lane/c.seg, {BLOCK} bytes",
        "rename lane/a.seg to a.damaged",
        "remove lane/b.seg",
    ]
    assert sorted(contents(folder)) == ["a.damaged", "c.seg"]
