"""The served tree: plain files that the partner reads, over the network or from a stick. Nobody writes to the other.

Everything in it can be written again from node.db and keys.db. Files appear by rename, so a reader never sees half a
one.
Source: design core-spec, Served tree; C2SP tlog-tiles.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from entente.errors import FormatError, PartnerError
from entente.register.tiles import ENTRIES, Tile, changed_bundles, changed_tiles, pack, partial_tiles
from entente.register.tree import Tree

Entries = Callable[[int, int], Sequence[bytes]]


class Reader(Protocol):
    """The partner's served tree: a folder now; the network and a stick have the same calls."""

    def get(self, path: str, limit: int) -> bytes | None:
        """The file's bytes, or None if it is not served; FormatError if it exceeds `limit` bytes."""
        ...

    def range(self, path: str, start: int, length: int) -> bytes | None:
        """Up to `length` bytes of a file from `start`, or None if it is not served."""
        ...

    def close(self) -> None:
        """Nothing stays open."""
        ...


class ServedTree:
    """The folder `served` of one node."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary
        folder.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(parents=True, exist_ok=True)

    def put(self, path: str, data: bytes) -> None:
        """The file holds exactly these bytes."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = self.temporary / f"served-{os.urandom(8).hex()}"
        draft.write_bytes(data)
        draft.rename(target)

    def link(self, path: str, source: Path) -> None:
        """The file has the bytes of `source`, sharing its space on disk where the file system can."""
        target = self.folder / path
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = self.temporary / f"served-{os.urandom(8).hex()}"
        try:
            os.link(source, draft)
        except OSError:
            shutil.copyfile(source, draft)
        draft.rename(target)

    def get(self, path: str) -> bytes | None:
        """The file's bytes, or None if it is not served."""
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def agreements(self) -> list[str]:
        """The hashes of the agreements that are served."""
        folder = self.folder / "agreement"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def delete(self, path: str) -> None:
        """The file is not served any more."""
        (self.folder / path).unlink(missing_ok=True)

    def publish(self, prefix: str, tree: Tree, old: int, note: bytes, entries: Entries) -> None:
        """The register under `prefix` (`own` or `mirror`) is served at the tree's size; it was served at `old`.

        Tiles and bundles come before the checkpoint that needs them; partial ones it replaces go after it.
        """
        for tile in changed_tiles(old, tree.size):
            self.put(f"{prefix}/{tile.path}", tree.tile(tile))
        for tile in changed_bundles(old, tree.size):
            first = 256 * tile.index
            self.put(f"{prefix}/{tile.path}", pack(entries(first, first + tile.width)))
        self.put(f"{prefix}/checkpoint", note)
        keep = {tile.path for tile in partial_tiles(tree.size)}
        for tile in partial_tiles(old):
            if tile.path not in keep:
                self._remove(self.folder / prefix / tile.path)

    def rebuild(self, prefix: str, tree: Tree, note: bytes, entries: Entries) -> None:
        """The register under `prefix` is served whole and nothing else stands there, whatever stood there before.

        Every file takes the place of the one before it, so that a reader meanwhile misses nothing.
        """
        self.publish(prefix, tree, 0, note, entries)
        expected = _files(tree.size)
        for path in sorted((self.folder / prefix).rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(self.folder / prefix).as_posix() not in expected:
                path.unlink()

    def is_whole(self, prefix: str, tree: Tree, note: bytes) -> bool:
        """Whether exactly the files of the register at this size stand under `prefix`, none of them cut short."""
        folder = self.folder / prefix
        paths = [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]
        found = {path.relative_to(folder).as_posix() for path in paths}
        return (
            self.get(f"{prefix}/checkpoint") == note
            and found == _files(tree.size)
            and all((folder / tile.path).stat().st_size == 32 * tile.width for tile in changed_tiles(0, tree.size))
            and all((folder / tile.path).stat().st_size for tile in changed_bundles(0, tree.size))
        )

    def _remove(self, stale: Path) -> None:
        stale.unlink(missing_ok=True)
        if stale.parent.is_dir() and not any(stale.parent.iterdir()):
            stale.parent.rmdir()


def _files(size: int) -> set[str]:
    """The files of a register of this size."""
    return {"checkpoint", *(tile.path for tile in (*changed_tiles(0, size), *changed_bundles(0, size)))}


class FolderTree:
    """A partner's served tree as a folder: on the same disk, or on a stick. No link in it is followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._real = os.path.realpath(folder)

    def get(self, path: str, limit: int) -> bytes | None:
        """The file's bytes or None; PartnerError if the tree is away, FormatError if the file exceeds `limit` bytes."""
        if not self.folder.is_dir():
            raise PartnerError(
                "the partner's tree is not there",
                place=str(self.folder),
                remedy="Is the folder mounted? Try again later.",
            )
        data = self.range(path, 0, limit + 1)
        if data is not None and len(data) > limit:
            raise FormatError(f"more than the {limit} bytes it may have", place=path)
        return data

    def range(self, path: str, start: int, length: int) -> bytes | None:
        """Up to `length` bytes of the file from `start`, or None if it is not served."""
        try:
            file = self.open(path)
            if file is None:
                return None
            with file:
                file.seek(start)
                return file.read(length)
        except OSError as fault:
            raise PartnerError(str(fault), place=path) from None

    def close(self) -> None:
        """Nothing stays open: each call opens and closes its file."""

    def open(self, path: str) -> BinaryIO | None:
        """The file, to be read and closed, or None if it is not served: not a plain file, or behind a link."""
        target = f"{self._real}/{path}"
        if os.path.realpath(target) != target or not os.path.isfile(target):  # noqa: PTH113 - asked for each request
            return None
        with suppress(FileNotFoundError):
            return open(target, "rb")  # noqa: PTH123 - the same; who asked closes it
        return None


def bundle_path(prefix: str, tile: Tile) -> str:
    """The path of the entry bundle beside a level-0 tile."""
    return f"{prefix}/{Tile(ENTRIES, tile.index, tile.width).path}"
