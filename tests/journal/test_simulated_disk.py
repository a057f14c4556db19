"""The simulated disk keeps the rules of medium.py: the crash cases are worth what these are worth.

Each rule is shown from both sides: what may be there after a power cut, all of it, and what may not.
A last test holds the disk, while nothing goes wrong, to a real filesystem.
"""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from simdisk import PAGE, SECTOR, ShortWrite, SimDisk

from gateway.journal.files import OsFiles

FOLDER = Path("/d")
FILE = FOLDER / "f"
OLD, NEW, NEWER = b"o" * SECTOR, b"n" * SECTOR, b"m" * SECTOR
MANY = 10_000  # more states than any of these tests has


@pytest.fixture
def disk() -> SimDisk:
    """One file of two sectors, all of it on the medium."""
    return SimDisk({FILE: OLD + OLD})


def states(disk: SimDisk) -> set[frozenset[tuple[Path, bytes]]]:
    """Every content of the medium that a power cut may leave now."""
    medium = disk.medium(len(disk.ops))
    assert medium.states <= MANY
    return {frozenset(image.items()) for image in medium.every(MANY, Random(0))}


def contents(disk: SimDisk, path: Path = FILE) -> set[bytes | None]:
    """What the file may hold then; None where it has no name."""
    return {dict(state).get(path) for state in states(disk)}


def names(disk: SimDisk) -> set[frozenset[str]]:
    """The sets of names that there may be then."""
    return {frozenset(str(path.relative_to("/")) for path, _ in state) for state in states(disk)}


def refuse(disk: SimDisk, call: str, code: int = errno.EIO) -> None:
    """From now on this call fails."""

    def fail(asked: str, path: Path | None) -> None:
        if asked == call:
            raise OSError(code, "played")

    disk.fail = fail


# --- bytes ----------------------------------------------------------------------------------------


def test_what_nobody_touched_is_certain(disk):
    assert contents(disk) == {OLD + OLD}


def test_each_sector_that_was_written_may_have_arrived_or_not(disk):
    disk.pwrite(disk.open(FILE), NEW + NEW, 0)
    assert contents(disk) == {OLD + OLD, NEW + OLD, OLD + NEW, NEW + NEW}


def test_a_sector_is_old_or_new_and_no_mixture(disk):
    disk.pwrite(disk.open(FILE), b"xy", SECTOR - 1)  # a byte of each sector
    first, second = OLD[:-1] + b"x", b"y" + OLD[1:]
    assert contents(disk) == {OLD + OLD, first + OLD, OLD + second, first + second}


def test_a_sector_that_was_written_twice_may_hold_either(disk):
    fd = disk.open(FILE)
    disk.pwrite(fd, NEW, 0)
    disk.pwrite(fd, NEWER, 0)
    assert contents(disk) == {OLD + OLD, NEW + OLD, NEWER + OLD}


def test_a_flush_makes_what_was_written_certain(disk):
    fd = disk.open(FILE)
    disk.pwrite(fd, NEW, 0)
    disk.pwrite(fd, NEWER, 0)
    disk.fdatasync(fd)
    assert contents(disk) == {NEWER + OLD}


def test_what_is_written_after_a_flush_is_loose_again(disk):
    fd = disk.open(FILE)
    disk.pwrite(fd, NEW, 0)
    disk.fdatasync(fd)
    disk.pwrite(fd, NEW, SECTOR)
    assert contents(disk) == {NEW + OLD, NEW + NEW}


def test_a_flush_is_of_one_file_alone():
    other = FOLDER / "g"
    disk = SimDisk({FILE: OLD, other: OLD})
    fd, beside = disk.open(FILE), disk.open(other)
    disk.pwrite(fd, NEW, 0)
    disk.pwrite(beside, NEW, 0)
    disk.fdatasync(fd)
    assert contents(disk) == {NEW}
    assert contents(disk, other) == {OLD, NEW}


def test_writing_the_same_again_makes_nothing_loose(disk):
    disk.pwrite(disk.open(FILE), OLD, 0)
    assert contents(disk) == {OLD + OLD}


def test_writing_what_was_there_before_may_still_leave_what_came_between(disk):
    fd = disk.open(FILE)
    disk.pwrite(fd, NEW, 0)
    disk.pwrite(fd, OLD, 0)
    assert contents(disk) == {OLD + OLD, NEW + OLD}


# --- a flush that failed --------------------------------------------------------------------------


@pytest.fixture
def given_up(disk: SimDisk) -> int:
    """The file, open, with a first sector of which a flush failed."""
    fd = disk.open(FILE)
    disk.pwrite(fd, NEW, 0)
    refuse(disk, "fdatasync")
    with pytest.raises(OSError):
        disk.fdatasync(fd)
    disk.fail = lambda call, path: None
    return fd


def test_a_later_flush_does_not_make_good_for_one_that_failed(disk, given_up):
    disk.fdatasync(given_up)
    assert contents(disk) == {OLD + OLD, NEW + OLD}


def test_who_reads_then_reads_the_page_cache(disk, given_up):
    assert disk.pread(given_up, SECTOR, 0) == NEW


def test_a_new_write_of_the_same_makes_it_good_with_a_flush(disk, given_up):
    disk.pwrite(given_up, NEW, 0)
    disk.fdatasync(given_up)
    assert contents(disk) == {NEW + OLD}


def test_what_other_sectors_got_meanwhile_is_flushed(disk, given_up):
    disk.pwrite(given_up, NEW, SECTOR)
    disk.fdatasync(given_up)
    assert contents(disk) == {OLD + NEW, NEW + NEW}


def test_a_dropped_cache_shows_what_the_medium_holds(disk, given_up):
    disk.drop_cache(given_up)
    assert disk.pread(given_up, SECTOR, 0) == OLD
    assert contents(disk) == {OLD + OLD}


def test_dropping_the_cache_loses_nothing_that_no_flush_failed_of(disk):
    fd = disk.open(FILE)
    disk.pwrite(fd, NEW, 0)
    disk.drop_cache(fd)
    assert disk.pread(fd, SECTOR, 0) == NEW
    assert contents(disk) == {OLD + OLD, NEW + OLD}


def test_a_killed_process_leaves_the_page_cache(disk, given_up):
    disk.pwrite(given_up, NEWER, SECTOR)
    after = disk.killed(len(disk.ops))
    fd = after.open(FILE)
    assert after.pread(fd, 2 * SECTOR, 0) == NEW + NEWER
    after.fdatasync(fd)  # by the next process, which knows nothing of the failure
    assert contents(after) == {OLD + NEWER, NEW + NEWER}


# --- names ----------------------------------------------------------------------------------------


def make(disk: SimDisk, path: Path, data: bytes = NEW) -> int:
    """A file whose bytes are certain, and its name is not."""
    fd = disk.open(path, create=True)
    disk.pwrite(fd, data, 0)
    disk.fdatasync(fd)
    return fd


def test_a_new_name_may_be_missing_although_the_file_was_flushed(disk):
    make(disk, FOLDER / "g")
    assert names(disk) == {frozenset({"d/f"}), frozenset({"d/f", "d/g"})}


def test_a_sync_of_the_folder_makes_its_names_certain(disk):
    make(disk, FOLDER / "g")
    disk.sync_dir(FOLDER)
    assert names(disk) == {frozenset({"d/f", "d/g"})}


def test_a_sync_of_another_folder_does_not():
    disk = SimDisk({FILE: OLD, Path("/e/h"): OLD})
    disk.unlink(FILE)
    disk.sync_dir(Path("/e"))
    assert names(disk) == {frozenset({"d/f", "e/h"}), frozenset({"e/h"})}


def test_changes_of_different_names_happen_in_any_order(disk):
    make(disk, FOLDER / "g")
    disk.unlink(FILE)
    assert names(disk) == {
        frozenset({"d/f"}), frozenset(), frozenset({"d/f", "d/g"}), frozenset({"d/g"})
    }  # fmt: skip


def test_changes_of_one_name_happen_in_their_order(disk):
    disk.unlink(FILE)
    make(disk, FILE)
    assert contents(disk) == {OLD + OLD, None, NEW}


def test_a_rename_is_one_change_of_two_names(disk):
    disk.rename(FILE, FOLDER / "g")
    assert names(disk) == {frozenset({"d/f"}), frozenset({"d/g"})}


def test_a_rename_replaces_what_had_the_name():
    disk = SimDisk({FILE: OLD, FOLDER / "g": NEW})
    disk.rename(FOLDER / "g", FILE)
    assert states(disk) == {
        frozenset({(FILE, OLD), (FOLDER / "g", NEW)}),
        frozenset({(FILE, NEW)}),
    }


def test_a_rename_waits_for_the_name_that_it_moves(disk):
    make(disk, FOLDER / "g")
    disk.rename(FOLDER / "g", FILE)
    assert contents(disk) == {OLD + OLD, NEW}
    assert names(disk) == {frozenset({"d/f"}), frozenset({"d/f", "d/g"})}


def test_a_folder_that_was_made_is_certain_but_not_what_is_in_it(tmp_path):
    disk = SimDisk({tmp_path / "f": OLD})
    disk.make_dir(tmp_path / "inner")
    make(disk, tmp_path / "inner" / "g")
    assert contents(disk, tmp_path / "f") == {OLD}
    assert contents(disk, tmp_path / "inner" / "g") == {None, NEW}
    disk.sync_dir(tmp_path / "inner")
    assert contents(disk, tmp_path / "inner" / "g") == {NEW}


# --- room -----------------------------------------------------------------------------------------


def test_room_is_zeros_and_certain_once_it_is_allocated(disk):
    fd = make(disk, FOLDER / "g", b"")
    disk.sync_dir(FOLDER)
    disk.allocate(fd, 2 * PAGE)
    assert contents(disk, FOLDER / "g") == {bytes(2 * PAGE)}


def test_a_file_that_grows_may_have_any_length_on_the_way(disk):
    disk.pwrite(disk.open(FILE), bytes(SECTOR), 2 * PAGE)
    lengths = {len(content or b"") for content in contents(disk)}
    assert {2 * SECTOR, 2 * PAGE + SECTOR} <= lengths


def test_an_allocation_that_failed_leaves_a_part_of_the_room(disk):
    fd = make(disk, FOLDER / "g", b"")
    disk.sync_dir(FOLDER)
    refuse(disk, "allocate", errno.ENOSPC)
    with pytest.raises(OSError):
        disk.allocate(fd, 4 * PAGE)
    assert {len(content or b"") for content in contents(disk, FOLDER / "g")} == {0, PAGE, 2 * PAGE}


def test_room_that_is_allocated_is_gone_from_the_disk():
    disk = SimDisk(room=10 * PAGE)
    disk.make_dir(FOLDER)
    disk.allocate(disk.open(FILE, create=True), 4 * PAGE)
    assert disk.free_bytes(FOLDER) == 6 * PAGE


# --- refusals -------------------------------------------------------------------------------------


def test_a_short_write_leaves_its_beginning(disk):
    def fail(call: str, path: Path | None) -> None:
        raise ShortWrite(errno.ENOSPC, SECTOR)

    fd = disk.open(FILE)
    disk.fail = fail
    with pytest.raises(ShortWrite):
        disk.pwrite(fd, NEW + NEW, 0)
    assert contents(disk) == {OLD + OLD, NEW + OLD}


@pytest.mark.parametrize(
    ("call", "ask"),
    [
        ("open", lambda disk, fd: disk.open(FILE)),
        ("pread", lambda disk, fd: disk.pread(fd, 1, 0)),
        ("pwrite", lambda disk, fd: disk.pwrite(fd, NEW, 0)),
        ("size", lambda disk, fd: disk.size(fd)),
        ("rename", lambda disk, fd: disk.rename(FILE, FOLDER / "g")),
        ("unlink", lambda disk, fd: disk.unlink(FILE)),
        ("sync_dir", lambda disk, fd: disk.sync_dir(FOLDER)),
        ("list_dir", lambda disk, fd: disk.list_dir(FOLDER)),
        ("drop_cache", lambda disk, fd: disk.drop_cache(fd)),
    ],
)
def test_a_call_that_is_refused_changes_nothing(disk, call, ask):
    fd = disk.open(FILE)
    refuse(disk, call)
    with pytest.raises(OSError, match="played"):
        ask(disk, fd)
    assert contents(disk) == {OLD + OLD}


def test_a_close_that_is_refused_gives_the_descriptor_back(disk):
    fd = disk.open(FILE)
    refuse(disk, "close")
    with pytest.raises(OSError):
        disk.close(fd)
    assert disk.open_files == 0


def test_a_page_with_a_bad_sector_cannot_be_read_nor_half_written():
    disk = SimDisk({FILE: bytes(2 * PAGE)})
    disk.bad[FILE] = {1}
    fd = disk.open(FILE)
    for ask in (lambda: disk.pread(fd, 1, 0), lambda: disk.pwrite(fd, b"x", 3 * SECTOR)):
        with pytest.raises(OSError, match="unreadable"):
            ask()
    assert disk.pread(fd, PAGE, PAGE) == bytes(PAGE)


def test_a_page_that_is_written_whole_has_a_good_sector_again():
    disk = SimDisk({FILE: bytes(2 * PAGE)})
    disk.bad[FILE] = {1}
    fd = disk.open(FILE)
    disk.pwrite(fd, b"x" * PAGE, 0)
    assert disk.pread(fd, PAGE, 0) == b"x" * PAGE


# --- all of it ------------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**32)
WRITES = st.tuples(
    st.just("write"), st.sampled_from("abc"), st.integers(0, 3000), st.binary(max_size=1500)
)
OTHERS = st.tuples(
    st.sampled_from(["fdatasync", "unlink", "create", "allocate", "drop_cache"]),
    st.sampled_from("abc"),
)
MOVES = st.tuples(st.just("rename"), st.sampled_from("abc"), st.sampled_from("abc"))
ACTIONS = st.lists(WRITES | OTHERS | MOVES | st.just(("sync_dir",)), max_size=25)


def act(files: SimDisk | OsFiles, folder: Path, action: tuple) -> object:
    """One action; what came of it, which is the same on every filesystem."""
    call, *names = action
    try:
        match call:
            case "rename":
                return files.rename(folder / names[0], folder / names[1])
            case "unlink":
                return files.unlink(folder / names[0])
            case "sync_dir":
                return files.sync_dir(folder)
            case _:
                return _with_file(files, folder, action)
    except OSError as error:
        return error.errno


def _with_file(files: SimDisk | OsFiles, folder: Path, action: tuple) -> object:
    call, name, *more = action
    fd = files.open(folder / name, create=call == "create")
    try:
        match call:
            case "write":
                files.pwrite(fd, more[1], more[0])
            case "fdatasync" | "drop_cache":
                getattr(files, call)(fd)
            case "allocate":
                files.allocate(fd, 2 * PAGE)
        return files.size(fd), files.pread(fd, 4 * PAGE, 0)
    finally:
        files.close(fd)


@example([("create", "a"), ("write", "a", 1, b"")])
@given(ACTIONS)
def test_while_nothing_goes_wrong_it_is_as_a_real_filesystem(tmp_path_factory, actions):
    folder = tmp_path_factory.mktemp("d")
    played, real = SimDisk(), OsFiles()
    played.make_dir(folder)
    for action in actions:
        assert act(played, folder, action) == act(real, folder, action)
        assert played.list_dir(folder) == real.list_dir(folder)
    for name in real.list_dir(folder):
        assert played.image()[folder / name] == (folder / name).read_bytes()


@given(ACTIONS, SEEDS)
def test_a_sample_is_one_of_the_states_and_a_sync_of_all_leaves_only_one(
    tmp_path_factory, actions, seed
):
    disk = SimDisk()
    folder = tmp_path_factory.mktemp("d")
    disk.make_dir(folder)
    for action in actions:
        act(disk, folder, action)
    medium = disk.medium(len(disk.ops))
    if medium.states <= MANY:
        assert medium.sample(Random(seed)) in list(medium.every(MANY, Random(0)))
    assert medium.written() == disk.image()
    for name in disk.list_dir(folder):
        disk.fdatasync(disk.open(folder / name))
    disk.sync_dir(folder)
    after = disk.medium(len(disk.ops))
    assert after.sample(Random(seed)) == after.written() == disk.image()
