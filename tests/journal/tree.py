"""Folders and files by number, so that a name can move or vanish while its file goes on."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Image = dict[Path, bytes]  # files by path, as they lie on the medium; empty folders do not count

ROOT = 0


class Link(NamedTuple):
    """A new file or folder has a name."""

    folder: int
    name: str
    node: int
    is_folder: bool


class Rename(NamedTuple):
    """A name becomes another, replacing what had that."""

    folder: int
    name: str
    to_folder: int
    to_name: str


class Unlink(NamedTuple):
    """A name is gone."""

    folder: int
    name: str


NameOp = Link | Rename | Unlink


class Tree:
    """Which names each folder holds, and what each file holds."""

    def __init__(self, folders: dict[int, dict[str, int]], files: dict[int, bytearray]) -> None:
        self.folders = folders
        self.files = files

    @classmethod
    def of(cls, image: Image) -> Tree:
        """The tree of an image."""
        tree, numbers = cls({ROOT: {}}, {}), itertools.count(1)
        for path in sorted(image):
            folder, node = tree.make_folders(path.parent, numbers), next(numbers)
            tree.folders[folder][path.name] = node
            tree.files[node] = bytearray(image[path])
        return tree

    def copy(self) -> Tree:
        """Another one like it."""
        folders = {node: dict(names) for node, names in self.folders.items()}
        return Tree(folders, {node: bytearray(data) for node, data in self.files.items()})

    def image(self) -> Image:
        """Every file that has a name."""
        return {path: bytes(self.files[node]) for path, node in self._walk(ROOT, Path("/"))}

    def find(self, path: Path) -> int | None:
        """The number of what has this path."""
        node = ROOT
        for name in path.parts[1:]:
            names = self.folders.get(node)
            if names is None or name not in names:
                return None
            node = names[name]
        return node

    def folder(self, path: Path) -> dict[str, int]:
        """The names in a folder."""
        node = self.find(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(path))
        if node not in self.folders:
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(path))
        return self.folders[node]

    def make_folders(self, path: Path, numbers: Iterator[int]) -> int:
        """A folder and all above it; its number."""
        node = ROOT
        for name in path.parts[1:]:
            names = self.folders[node]
            if name not in names:
                names[name] = next(numbers)
                self.folders[names[name]] = {}
            node = names[name]
        return node

    def apply(self, op: NameOp) -> None:
        """Change a name."""
        match op:
            case Link(folder, name, node, is_folder):
                self.folders.setdefault(folder, {})[name] = node
                if is_folder:
                    self.folders.setdefault(node, {})
                else:
                    self.files.setdefault(node, bytearray())
            case Rename(folder, name, to_folder, to_name):
                names = self.folders.setdefault(to_folder, {})
                names[to_name] = self.folders[folder].pop(name)
            case Unlink(folder, name):
                del self.folders[folder][name]

    def _walk(self, node: int, path: Path) -> Iterator[tuple[Path, int]]:
        for name, child in self.folders[node].items():
            if child in self.files:
                yield path / name, child
            elif child in self.folders:
                yield from self._walk(child, path / name)
