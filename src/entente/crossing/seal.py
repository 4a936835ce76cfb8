"""Sealing: a blob of independently verifiable chunks, and the wrapped key that opens it.

Chunks of 1 MiB under AES-256-GCM; a leaf hash over each ciphertext chunk, so every Range verifies alone; the root over
the leaves names the blob. The data key and the salt travel in the wrapped object only.
Source: design core-spec, Bytes (sealed, wrapped object, blob); RFC 9180; RFC 5869.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from entente.errors import CorruptionError, FormatError, VerificationError
from entente.keys import pae, unwrap, wrap
from entente.register.tree import root_of
from entente.strict import canonical

CHUNK = 1_048_576
TAG = 16
SEALED_CHUNK = CHUNK + TAG
SECRET = 64


class Blob(msgspec.Struct, frozen=True):
    """A sealed blob: hex root over its chunks' leaf hashes, those hashes, and the ciphertext's length."""

    root: str
    leaves: tuple[bytes, ...]
    size: int


def _cipher(dek: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=b"entente/blob/v1").derive(dek))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def leaf_hash(chunk: bytes) -> bytes:
    """The RFC 6962 leaf hash of a ciphertext chunk."""
    return hashlib.sha256(b"\x00" + chunk).digest()


def chunked(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The pieces re-cut to chunks of CHUNK bytes, each with whether it is the last; at least one byte is needed."""
    held = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        while view:
            if len(held) == CHUNK:
                yield bytes(held), False
                held.clear()
            room = CHUNK - len(held)
            held += view[:room]
            view = view[room:]
    if not held:
        raise FormatError("an empty payload cannot be sealed")
    yield bytes(held), True


def seal(pieces: Iterable[bytes], dek: bytes, write: Callable[[bytes], object]) -> Blob:
    """The plaintext is encrypted chunk by chunk through `write`; returns the blob's root, leaves and size."""
    cipher, leaves, size = _cipher(dek), [], 0
    for number, (chunk, last) in enumerate(chunked(pieces)):
        sealed = cipher.encrypt(_nonce(number, last=last), chunk, None)
        leaves.append(leaf_hash(sealed))
        size += len(sealed)
        write(sealed)
    return Blob(root_of(leaves).hex(), tuple(leaves), size)


def chunk_count(size: int) -> int:
    """How many chunks a ciphertext of `size` bytes has; FormatError if none can have that size."""
    whole, rest = divmod(size, CHUNK + TAG)
    if size <= TAG or 0 < rest <= TAG:
        raise FormatError(f"no blob has {size} bytes")
    return whole + (1 if rest else 0)


def sealed_bytes(plaintext_bytes: int) -> int:
    """The ciphertext's length for a plaintext of so many bytes."""
    return plaintext_bytes + TAG * -(-plaintext_bytes // CHUNK)


def plain_bytes(sealed: int) -> int:
    """The plaintext's length of a ciphertext of so many bytes; FormatError if none can have that size."""
    return sealed - TAG * chunk_count(sealed)


def check_leaves(data: bytes, root: str, size: int) -> tuple[bytes, ...]:
    """The leaf hashes in a `leaves` file; CorruptionError unless they fit the size and give the root."""
    leaves = tuple(data[i : i + 32] for i in range(0, len(data), 32))
    if len(data) != 32 * chunk_count(size) or root_of(leaves).hex() != root:
        raise CorruptionError("leaf hashes do not give the blob's root", place=f"leaves/{root}")
    return leaves


def check_chunk(chunk: bytes, leaf: bytes, *, place: str) -> None:
    """Raise CorruptionError unless a ciphertext chunk has its leaf hash."""
    if leaf_hash(chunk) != leaf:
        raise CorruptionError("a chunk does not match its leaf hash", place=place)


def unseal(chunks: Iterable[bytes], count: int, dek: bytes) -> Iterator[bytes]:
    """The plaintext chunks of verified ciphertext chunks; VerificationError if the key does not open one."""
    cipher, number = _cipher(dek), -1
    for number, chunk in enumerate(chunks):
        yield _decrypt(cipher, number, chunk, last=number == count - 1)
    if number + 1 != count:
        raise VerificationError(f"{number + 1} of {count} chunks are there")


class Unsealed:
    """A blob's plaintext at any place: `read_chunk(number)` gives a ciphertext chunk, the last one opened is kept."""

    def __init__(self, read_chunk: Callable[[int], bytes], count: int, dek: bytes) -> None:
        self._read, self._count, self._cipher = read_chunk, count, _cipher(dek)
        self._number, self._chunk = -1, b""

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`; VerificationError if the key does not open one of their chunks."""
        for number in range(start // CHUNK, -(-end // CHUNK)):
            base = CHUNK * number
            yield self._open(number)[max(start - base, 0) : end - base]

    def _open(self, number: int) -> bytes:
        if number != self._number:
            self._chunk = _decrypt(self._cipher, number, self._read(number), last=number == self._count - 1)
            self._number = number
        return self._chunk


def _decrypt(cipher: AESGCM, number: int, chunk: bytes, *, last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last=last), chunk, None)
    except InvalidTag:
        raise VerificationError(f"chunk {number} does not open with this key") from None


def _info(rid: str, suite: str, kem_key: str) -> bytes:
    return pae("dek", canonical({"kem_key": kem_key, "rid": rid, "suite": suite}))


def wrap_key(suite: str, public: str, kem_key: str, rid: str, secret: bytes) -> bytes:
    """Dek ‖ salt (64 bytes) sealed to the recipient's key, bound to this release."""
    return wrap(suite, public, secret, _info(rid, suite, kem_key))


def unwrap_key(suite: str, private: bytes, kem_key: str, rid: str, wrapped: bytes) -> tuple[bytes, bytes]:
    """(dek, salt) of a wrapped object; VerificationError if it is not ours or not of this release."""
    secret = unwrap(suite, private, wrapped, _info(rid, suite, kem_key))
    if len(secret) != SECRET:
        raise VerificationError("the wrapped object does not hold 64 bytes")
    return secret[:32], secret[32:]
