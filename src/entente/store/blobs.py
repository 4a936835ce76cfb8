"""Encrypted files by root: sealed payloads and import packs on the local file system.

Written to a temporary name, flushed, then renamed, so that a file under a root is always whole. What has come so far of
a blob that is being fetched rests beside the whole ones as `<root>.part`; nothing in it is believed without its leaf.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from entente.crossing.seal import SEALED_CHUNK, Blob, check_chunk, leaf_hash
from entente.errors import StoreError

FLUSHES = 8


class Part:
    """What has come so far of one blob. A chunk that is taken or found here matches its leaf."""

    def __init__(self, file: BinaryIO, blob: Blob) -> None:
        self._file, self.blob = file, blob

    def missing(self) -> list[int]:
        """The numbers of the chunks that are not here whole; nothing stands after the last chunk's end."""
        if self._file.seek(0, os.SEEK_END) > self.blob.size:
            self._file.truncate(self.blob.size)
        self._file.seek(0)
        found = [leaf_hash(self._file.read(self._length(number))) for number in range(len(self.blob.leaves))]
        return [number for number, leaf in enumerate(self.blob.leaves) if leaf != found[number]]

    def put(self, number: int, chunk: bytes) -> None:
        """The chunk is here; CorruptionError, and nothing is written, if it does not match its leaf."""
        check_chunk(chunk, self.blob.leaves[number], place=f"blob/{self.blob.root} chunk {number}")
        self._file.seek(SEALED_CHUNK * number)
        self._file.write(chunk)

    def _length(self, number: int) -> int:
        return min(SEALED_CHUNK, self.blob.size - SEALED_CHUNK * number)


class Blobs:
    """A folder of ciphertext files named by root; those that are served have their leaf hashes beside them."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary
        folder.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(parents=True, exist_ok=True)

    def path(self, root: str) -> Path:
        """Where the ciphertext of this root rests."""
        return self.folder / root

    def leaves_path(self, root: str) -> Path:
        """Where its leaf hashes rest."""
        return self.folder / f"{root}.leaves"

    def part_path(self, root: str) -> Path:
        """Where what has come so far of this root rests."""
        return self.folder / f"{root}.part"

    def write(self, make: Callable[[Callable[[bytes], object]], Blob]) -> Blob:
        """What `make` writes is durable under the root it returns."""
        draft = self.temporary / f"blob-{os.urandom(8).hex()}"
        try:
            with draft.open("wb") as file:
                blob = make(file.write)
                file.flush()
                os.fsync(file.fileno())
            self._put(self.leaves_path(blob.root), b"".join(blob.leaves))
            draft.rename(self.path(blob.root))
            sync_folder(self.folder)
        except OSError as fault:
            raise StoreError(str(fault), place=str(self.folder), remedy="Is the disk full?") from None
        finally:
            draft.unlink(missing_ok=True)
        return blob

    @contextmanager
    def part(self, blob: Blob) -> Iterator[Part]:
        """What has come so far of a blob, to go on with; what is taken stays, whatever happens inside."""
        try:
            handle = os.open(self.part_path(blob.root), os.O_RDWR | os.O_CREAT, 0o600)
            with open(handle, "r+b") as file:  # noqa: PTH123 - a Path cannot be opened for both without losing what is there
                yield Part(file, blob)
        except OSError as fault:
            raise StoreError(str(fault), place=str(self.folder), remedy="Is the disk full?") from None

    def keep(self, roots: Iterable[str]) -> None:
        """These parts, each of them whole, are durable blobs: all files are flushed, then named, then the folder is."""
        done = [root for root in dict.fromkeys(roots) if not self.holds(root)]
        if not done:
            return
        try:
            _flush([self.part_path(root) for root in done])
            for root in done:
                self.part_path(root).rename(self.path(root))
            sync_folder(self.folder)
        except OSError as fault:
            raise StoreError(str(fault), place=str(self.folder), remedy="Is the disk full?") from None

    def drop_part(self, root: str) -> None:
        """Nothing rests here of a blob that had not come whole."""
        self.part_path(root).unlink(missing_ok=True)

    def _put(self, path: Path, data: bytes) -> None:
        draft = self.temporary / f"leaves-{os.urandom(8).hex()}"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)

    def chunks(self, root: str) -> Iterator[bytes]:
        """The ciphertext chunks of a blob; StoreError if it is not held."""
        return self._chunks(self.path(root))

    def part_chunks(self, root: str) -> Iterator[bytes]:
        """The ciphertext chunks of what has come so far of a blob."""
        return self._chunks(self.part_path(root))

    @staticmethod
    def _chunks(path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := file.read(SEALED_CHUNK):
                    yield chunk
        except OSError as fault:
            raise StoreError(str(fault), place=f"blob {path.name}") from None

    def chunk(self, root: str, number: int) -> bytes:
        """One ciphertext chunk of a blob, whole or as far as it has come; StoreError if it is not held."""
        for path in (self.path(root), self.part_path(root)):  # a part is renamed once it is whole
            try:
                with path.open("rb") as file:
                    file.seek(SEALED_CHUNK * number)
                    return file.read(SEALED_CHUNK)
            except FileNotFoundError:
                continue
            except OSError as fault:
                raise StoreError(str(fault), place=f"blob {root}") from None
        raise StoreError("the blob is not here", place=f"blob {root}")

    def leaves(self, root: str) -> bytes:
        """The leaf hashes of a blob; of one that came as a part no file tells them, so they are computed."""
        try:
            return self.leaves_path(root).read_bytes()
        except FileNotFoundError:
            return b"".join(map(leaf_hash, self.chunks(root)))
        except OSError as fault:
            raise StoreError(str(fault), place=f"leaves of {root}") from None

    def size(self, root: str) -> int:
        """How many bytes of ciphertext rest here under the root; 0 if none."""
        try:
            return self.path(root).stat().st_size
        except FileNotFoundError:
            return 0

    def holds(self, root: str) -> bool:
        """Whether the blob is here."""
        return self.path(root).is_file()

    def delete(self, root: str) -> None:
        """Neither the blob nor its leaves are here."""
        self.path(root).unlink(missing_ok=True)
        self.leaves_path(root).unlink(missing_ok=True)
        sync_folder(self.folder)


def _flush(paths: Sequence[Path]) -> None:
    """What the files hold survives a power cut. Many are flushed at once: the file system waits once for several."""
    if len(paths) < FLUSHES:
        for path in paths:
            _flush_one(path)
        return
    with ThreadPoolExecutor(FLUSHES) as pool:
        list(pool.map(_flush_one, paths))


def _flush_one(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Renames in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
