"""What a power cut leaves on the medium: for certain, and perhaps.

* A write is cut into sectors of 512 bytes. Until an fdatasync of its file ends well, each sector
  may hold what it held or anything that was written to it since, whatever the others hold.
* After an fdatasync that failed the kernel calls the pages clean: what they held is on the medium
  or it is not, and no later fdatasync changes that. Only a new write does. Who reads meanwhile
  reads the page cache, until that is dropped.
* A name that was made, moved or removed is certain after a sync of its folder. Until then each such
  change has happened or not, but changes of one name happen in their order, and a rename is one
  change of two names.
* Room that is being allocated is zeros, as far as the length of the file has come.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tree import Image as Image
from tree import Link as Link
from tree import NameOp, Tree
from tree import Rename as Rename
from tree import Unlink as Unlink

SECTOR = 512
BLOCK = 4096


class Write(NamedTuple):
    """Bytes in the page cache."""

    node: int
    offset: int
    data: bytes


class Grow(NamedTuple):
    """A file is this long now, with zeros at its end."""

    node: int
    size: int


class Sync(NamedTuple):
    """fdatasync of a file ended well."""

    node: int


class SyncFailed(NamedTuple):
    """fdatasync of a file failed."""

    node: int


class Drop(NamedTuple):
    """The page cache forgot what it held of a file and need not write."""

    node: int


class SyncDir(NamedTuple):
    """The names in a folder are on the medium."""

    folder: int
    path: Path


Op = NameOp | Write | Grow | Sync | SyncFailed | Drop | SyncDir


class Medium:
    """The content of a disk after some calls, as far as it is certain, and what is loose."""

    def __init__(self, start: Tree) -> None:
        self._certain = start.copy()
        self.cache = start.copy()  # what a process sees
        self._names: list[NameOp] = []
        self._sectors: dict[tuple[int, int], list[bytes]] = {}  # oldest first, the cached last
        self._given_up: set[tuple[int, int]] = set()  # sectors whose flush failed
        self._sizes: dict[int, list[int]] = {}

    def apply(self, op: Op) -> None:
        """One more call."""
        match op:
            case Write(node, offset, data):
                self._write(node, offset, data)
            case Grow(node, size):
                self._grow(node, size)
            case Sync(node):
                self._sync(node)
            case SyncFailed(node):
                self._given_up |= {key for key in self._sectors if key[0] == node}
            case Drop(node):
                self._drop(node)
            case SyncDir(folder):
                self._sync_dir(folder)
            case _:
                self.cache.apply(op)
                self._names.append(op)

    @property
    def states(self) -> int:
        """How many contents there may be, at most."""
        return math.prod(map(len, self._options()))

    def written(self) -> Image:
        """The one in which everything arrived."""
        return self._image([options[-1] for options in self._options()])

    def sample(self, rng: Random) -> Image:
        """One of them. How much of what is loose arrived differs from sample to sample."""
        share = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        return self._image(
            [
                rng.choice(options[1:]) if rng.random() < share else options[0]
                for options in self._options()
            ]
        )

    def every(self, limit: int, rng: Random) -> Iterator[Image]:
        """All of them, or this many samples if there are more; none and all arrived are in it."""
        options = self._options()
        if self.states <= limit:
            for choice in itertools.product(*options):
                yield self._image(choice)
            return
        yield self._image([option[0] for option in options])
        yield self._image([option[-1] for option in options])
        for _ in range(limit - 2):
            yield self.sample(rng)

    # --- inside --------------------------------------------------------------------------------

    def _write(self, node: int, offset: int, data: bytes) -> None:
        cached = self.cache.files[node]
        cached[offset : offset + len(data)] = data
        certain = self._certain.files.setdefault(node, bytearray())
        for sector in range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1):
            place = slice(sector * SECTOR, (sector + 1) * SECTOR)
            versions = self._sectors.get((node, sector), [])
            if not versions and cached[place] == certain[place]:
                continue  # the same bytes again: nothing is loose
            self._sectors[node, sector] = [*versions, bytes(cached[place])]
            self._given_up.discard((node, sector))

    def _grow(self, node: int, size: int) -> None:
        cached = self.cache.files[node]
        before = len(self._certain.files.setdefault(node, bytearray()))
        cached.extend(bytes(size - len(cached)))
        half = (before + size) // 2 // BLOCK * BLOCK
        if size > before:
            self._sizes[node] = sorted({before, max(before, half), size})

    def _sync(self, node: int) -> None:
        certain = self._certain.files.setdefault(node, bytearray())
        certain.extend(bytes(len(self.cache.files[node]) - len(certain)))
        self._sizes.pop(node, None)
        for key in [key for key in self._sectors if key[0] == node and key not in self._given_up]:
            at = key[1] * SECTOR
            certain[at : at + SECTOR] = self._sectors.pop(key)[-1]

    def _drop(self, node: int) -> None:
        """Of what a flush gave up nothing had arrived: now it shows."""
        for key in [key for key in self._given_up if key[0] == node]:
            place = slice(key[1] * SECTOR, (key[1] + 1) * SECTOR)
            self.cache.files[node][place] = self._certain.files[node][place]
            self._given_up.discard(key)
            del self._sectors[key]

    def _sync_dir(self, folder: int) -> None:
        """All changes of names in this folder, and those before them that they build on."""
        wanted = {key for op in self._names for key in _touched(op) if key[0] == folder}
        certain: list[NameOp] = []
        loose: list[NameOp] = []
        for op in reversed(self._names):
            if wanted.isdisjoint(_touched(op)):
                loose.append(op)
            else:
                wanted |= set(_touched(op))
                certain.append(op)
        for op in reversed(certain):
            self._certain.apply(op)
        self._names = loose[::-1]

    def _options(self) -> list[Sequence[Any]]:
        """For each loose thing what it may be: as it was, ..., as it was meant last."""
        sectors = ((None, *versions) for versions in self._sectors.values())
        return [*sectors, *self._sizes.values(), *((False, True) for _ in self._names)]

    def _image(self, choice: Sequence[Any]) -> Image:
        parts = iter(choice)
        sectors = {key: version for key in self._sectors if (version := next(parts)) is not None}
        sizes = {node: next(parts) for node in self._sizes}
        happened = list(parts)
        tree = Tree(
            {node: dict(names) for node, names in self._certain.folders.items()},
            {node: self._certain.files.get(node, bytearray()) for node in self.cache.files},
        )
        for node in {*sizes, *(node for node, _ in sectors)}:
            tree.files[node] = bytearray(tree.files[node])
        for node, size in sizes.items():
            tree.files[node].extend(bytes(size - len(tree.files[node])))
        for (node, sector), version in sectors.items():
            data, at = tree.files[node], sector * SECTOR
            data[at : at + SECTOR] = version[: max(0, len(data) - at)]
        for op in self._in_order(happened):
            tree.apply(op)
        return tree.image()

    def _in_order(self, happened: Sequence[bool]) -> Iterator[NameOp]:
        """Those changes before which no change of the same name is missing."""
        blocked: set[tuple[int, str]] = set()
        for op, has_happened in zip(self._names, happened, strict=True):
            if has_happened and blocked.isdisjoint(_touched(op)):
                yield op
            else:
                blocked |= set(_touched(op))


def _touched(op: NameOp) -> tuple[tuple[int, str], ...]:
    """The (folder, name) pairs that a change is of."""
    match op:
        case Rename(folder, name, to_folder, to_name):
            return (folder, name), (to_folder, to_name)
        case _:
            return ((op.folder, op.name),)
