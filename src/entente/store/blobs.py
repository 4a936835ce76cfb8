"""Encrypted files by root: sealed payloads and import packs on the local file system.

Written to a temporary name, flushed, then renamed, so that a file under a root is always whole.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from entente.crossing.seal import SEALED_CHUNK, Blob
from entente.errors import StoreError


class Blobs:
    """A folder of ciphertext files named by root, with their leaf hashes beside them."""

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

    def _put(self, path: Path, data: bytes) -> None:
        draft = self.temporary / f"leaves-{os.urandom(8).hex()}"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)

    def chunks(self, root: str) -> Iterator[bytes]:
        """The ciphertext chunks of a blob; StoreError if it is not held."""
        try:
            with self.path(root).open("rb") as file:
                while chunk := file.read(SEALED_CHUNK):
                    yield chunk
        except OSError as fault:
            raise StoreError(str(fault), place=f"blob {root}") from None

    def leaves(self, root: str) -> bytes:
        """The leaf hashes of a blob."""
        try:
            return self.leaves_path(root).read_bytes()
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


def sync_folder(folder: Path) -> None:
    """Renames in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
