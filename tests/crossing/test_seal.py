"""A blob opens only whole, in order and with its key; each chunk verifies alone; a second plaintext is detected."""

import functools
import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from entente.crossing.payload import content
from entente.crossing.seal import (
    CHUNK,
    TAG,
    Blob,
    check_chunk,
    check_leaves,
    chunk_count,
    chunked,
    leaf_hash,
    seal,
    unseal,
)
from entente.errors import CorruptionError, FormatError, VerificationError
from entente.register.tree import root_of

DEK, SALT = bytes(range(32)), bytes(range(32, 64))
SIZES = (1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5)


@functools.cache
def plaintext(size: int) -> bytes:
    return hashlib.shake_128(b"plain").digest(size)


@functools.cache
def sealed(size: int) -> tuple[Blob, tuple[bytes, ...]]:
    chunks: list[bytes] = []
    blob = seal([plaintext(size)], DEK, chunks.append)
    return blob, tuple(chunks)


def opened(chunks: list[bytes], count: int, dek: bytes = DEK) -> bytes:
    return b"".join(unseal(chunks, count, dek))


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_of_any_length_opens_and_its_numbers_fit(size: int) -> None:
    blob, chunks = sealed(size)
    assert opened(list(chunks), len(chunks)) == plaintext(size)
    assert blob.size == sum(map(len, chunks)) == size + TAG * len(chunks)
    assert chunk_count(blob.size) == len(chunks) == -(-size // CHUNK) == len(blob.leaves)
    assert blob.root == root_of(blob.leaves).hex()
    assert check_leaves(b"".join(blob.leaves), blob.root, blob.size) == blob.leaves
    for number, chunk in enumerate(chunks):
        check_chunk(chunk, blob.leaves[number], place="blob")


def test_the_cipher_is_that_of_the_format() -> None:
    _, chunks = sealed(CHUNK + 1)
    cipher = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=b"entente/blob/v1").derive(DEK))
    data = plaintext(CHUNK + 1)
    assert chunks == (
        cipher.encrypt(bytes(11) + b"\x00", data[:CHUNK], None),
        cipher.encrypt((1).to_bytes(11, "big") + b"\x01", data[CHUNK:], None),
    )


@given(st.lists(st.binary(max_size=9), max_size=8))
def test_pieces_of_any_size_give_the_same_blob(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    if not whole:
        with pytest.raises(FormatError):
            list(chunked(pieces))
        return
    assert list(chunked(pieces)) == [(whole, True)]


def test_pieces_that_end_at_a_chunk_make_no_empty_chunk() -> None:
    data = plaintext(2 * CHUNK)
    for cuts in ([CHUNK, CHUNK], [CHUNK - 1, 1, CHUNK], [1, 2 * CHUNK - 1], [2 * CHUNK], [CHUNK, CHUNK, 0]):
        pieces, at = [], 0
        for cut in cuts:
            pieces.append(data[at : at + cut])
            at += cut
        found = list(chunked(pieces))
        assert [(len(chunk), last) for chunk, last in found] == [(CHUNK, False), (CHUNK, True)]
        assert b"".join(chunk for chunk, _ in found) == data


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_chunks_out_of_order_left_out_doubled_or_cut_off_do_not_open(count: int) -> None:
    _, chunks = sealed(2 * CHUNK + 5)
    one, two, three = chunks
    for wrong in (
        [two, one, three],
        [one, three, two],
        [three, two, one],
        [two, three],
        [one, three],
        [one, one, two, three],
        [one, two, three, three],
        [one, two, two],
        [three],
        [two],
    ):
        with pytest.raises(VerificationError):
            opened(wrong, count)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_truncated_blob_does_not_open_whatever_count_is_claimed(kept: int) -> None:
    _, chunks = sealed(2 * CHUNK + 5)
    for count in range(5):
        if kept == count == 0:
            continue
        with pytest.raises(VerificationError):
            opened(list(chunks[:kept]), count)


def test_a_whole_chunk_at_the_end_cannot_be_cut_off() -> None:
    _, chunks = sealed(2 * CHUNK)
    with pytest.raises(VerificationError):
        opened([chunks[0]], 1)
    _, single = sealed(CHUNK)
    with pytest.raises(VerificationError):
        opened([single[0], chunks[1]], 2)


@pytest.mark.parametrize("size", [1, 33])
def test_every_flipped_byte_of_a_chunk_is_refused(size: int) -> None:
    blob, (chunk,) = sealed(size)
    for place in range(len(chunk)):
        changed = bytearray(chunk)
        changed[place] ^= 1
        with pytest.raises(VerificationError):
            opened([bytes(changed)], 1)
        with pytest.raises(CorruptionError):
            check_chunk(bytes(changed), blob.leaves[0], place="blob")
    for wrong in (chunk[:-1], chunk + b"\x00", b"", chunk[:TAG], chunk[1:]):
        with pytest.raises(VerificationError):
            opened([wrong], 1)


def test_another_key_does_not_open_it() -> None:
    _, chunks = sealed(1)
    for dek in (bytes(32), SALT, DEK[::-1]):
        with pytest.raises(VerificationError):
            opened(list(chunks), 1, dek)


@pytest.mark.parametrize("size", [0, 1, TAG, CHUNK + TAG + 1, CHUNK + 2 * TAG, 2 * (CHUNK + TAG) + TAG])
def test_no_blob_has_an_impossible_size(size: int) -> None:
    with pytest.raises(FormatError):
        chunk_count(size)


@given(st.integers(1, 5 * CHUNK))
def test_a_blobs_size_tells_its_chunks(size: int) -> None:
    count = -(-size // CHUNK)
    assert chunk_count(size + TAG * count) == count


def test_leaves_that_are_not_those_of_the_root_are_refused() -> None:
    blob, _ = sealed(2 * CHUNK + 5)
    data = b"".join(blob.leaves)
    for wrong in (
        data[:-1],
        data[:-32],
        data + bytes(32),
        data[32:64] + data[:32] + data[64:],
        bytes(len(data)),
        b"",
        data + b"\x00",
    ):
        with pytest.raises(CorruptionError):
            check_leaves(wrong, blob.root, blob.size)
    with pytest.raises(CorruptionError):
        check_leaves(data, "00" * 32, blob.size)
    with pytest.raises((CorruptionError, FormatError)):
        check_leaves(data, blob.root, blob.size + CHUNK + TAG)


def test_the_content_hmac_detects_a_second_plaintext_of_one_ciphertext() -> None:
    """AES-GCM commits to no key: one ciphertext can be made to open under two. The content tells them apart."""
    first, second = (
        HKDF(algorithm=SHA256(), length=32, salt=None, info=b"entente/blob/v1").derive(k) for k in (DEK, SALT)
    )
    nonce = bytes(11) + b"\x01"
    chunk = two_faced(first, second, nonce)
    one, two = opened([chunk], 1, DEK), opened([chunk], 1, SALT)
    assert one != two  # both open, under the same leaf hash and root
    assert leaf_hash(chunk) == leaf_hash(chunk)
    approved = content(SALT, [one])
    assert content(SALT, [two]) != approved
    assert content(DEK, [two]) != approved


def gmul(x: int, y: int) -> int:
    """Multiplication in GCM's field (NIST SP 800-38D, 6.3)."""
    z = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            z ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return z


def ginverse(x: int) -> int:
    result, power = 1 << 127, x
    for _ in range(127):  # x^(2^128 - 2)
        power = gmul(power, power)
        result = gmul(result, power)
    return result


def two_faced(first: bytes, second: bytes, nonce: bytes) -> bytes:
    """One ciphertext block and tag that open under both keys: two GHASH equations, solved for block and tag."""
    lengths = 128  # no associated data, one block
    blocks = []
    for key in (first, second):
        ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the hash key of GCM is made so
        h = int.from_bytes(ecb.update(bytes(16)), "big")
        mask = int.from_bytes(ecb.update(nonce + (1).to_bytes(4, "big")), "big")
        blocks.append((gmul(h, h), gmul(lengths, h) ^ mask))
    (a, c), (b, d) = blocks  # tag = block*a ^ c = block*b ^ d
    block = gmul(c ^ d, ginverse(a ^ b))
    tag = gmul(block, a) ^ c
    return block.to_bytes(16, "big") + tag.to_bytes(16, "big")
