"""A signature holds for one key, one kind of statement and one register; a wrapped key for one key and one release.

RFC 8032 vectors; every flipped bit, wrong length, spelling, key, type and origin (row B-13); HPKE and locks at rest.
"""

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st

from entente.account.acts import act_message
from entente.crossing.seal import unwrap_key, wrap_key
from entente.errors import EntenteError, FormatError, KeyUnavailableError, VerificationError
from entente.keys import (
    HYBRID_SUITE,
    X25519_SUITE,
    SoftSigner,
    digest,
    key_id,
    lock,
    new_kem,
    pae,
    split_key,
    unlock,
    unwrap,
    verify,
    verify_raw,
    wrap,
)
from entente.treaty.approval import approval_message, approve

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
SIGNER = SoftSigner(b"\x01" * 32)
OTHER = SoftSigner(b"\x02" * 32)
MESSAGE = pae("term", b"{}")
SIGNATURE = SIGNER.sign(MESSAGE).hex()

# RFC 8032, 7.1: seed, public key, message, signature
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_rfc_8032_vectors(seed: str, public: str, message: str, signature: str) -> None:
    signer = SoftSigner(bytes.fromhex(seed))
    assert signer.public == f"ed25519:{public}"
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    assert verify(signer.public, bytes.fromhex(message), signature)
    assert not verify(signer.public, bytes.fromhex(message) + b"\x00", signature)


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    raw = bytes.fromhex(SIGNATURE)
    for bit in range(512):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(SIGNER.public, MESSAGE, changed.hex())


def test_every_flipped_bit_of_a_message_or_key_is_refused() -> None:
    for bit in range(8 * len(MESSAGE)):
        changed = bytearray(MESSAGE)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(SIGNER.public, bytes(changed), SIGNATURE)
    raw = bytes.fromhex(SIGNER.public[8:])
    for bit in range(256):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(f"ed25519:{changed.hex()}", MESSAGE, SIGNATURE)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        SIGNATURE[:-2],
        SIGNATURE[:-1],
        SIGNATURE + "00",
        SIGNATURE.upper(),
        SIGNATURE[2:],
        SIGNATURE[:64],
        SIGNATURE * 2,
        " " + SIGNATURE[:-1],
        SIGNATURE[:-2] + "  ",
        SIGNATURE[:-1] + "\n",
        "0x" + SIGNATURE[2:],
        "zz" * 64,
        "00" * 64,
        "é" * 128,
        "\uff10" * 128,
        SIGNATURE[:-2] + " " + SIGNATURE[-2:],
        SIGNATURE[64:] + SIGNATURE[:64],
    ],
)
def test_a_signature_of_another_length_or_spelling_is_refused(signature: str) -> None:
    assert verify(SIGNER.public, MESSAGE, SIGNATURE)
    assert not verify(SIGNER.public, MESSAGE, signature)


@pytest.mark.parametrize(
    "key",
    [
        OTHER.public,
        SIGNER.public[8:],
        "ed25519:" + SIGNER.public[8:].upper(),
        "ED25519:" + SIGNER.public[8:],
        SIGNER.public + "00",
        SIGNER.public[:-2],
        "x25519:" + SIGNER.public[8:],
        "none:" + SIGNER.public[8:],
        "",
        ":",
        "ed25519:",
        "ed25519:" + "é" * 64,
        "ed25519:" + "00" * 32,
        "ed25519:" + "ff" * 32,
        " " + SIGNER.public,
        SIGNER.public[:-1] + " ",
    ],
)
def test_another_key_or_another_spelling_of_it_is_refused(key: str) -> None:
    assert not verify(key, MESSAGE, SIGNATURE)


def test_a_malleable_signature_is_refused() -> None:
    raw = bytes.fromhex(SIGNATURE)
    scalar = int.from_bytes(raw[32:], "little")
    for times in range(1, 8):
        larger = scalar + times * ORDER
        if larger < 2**256:
            assert not verify_raw(bytes.fromhex(SIGNER.public[8:]), MESSAGE, raw[:32] + larger.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "raw",
    [
        (FIELD + 1).to_bytes(32, "little"),  # another spelling of y = 1
        (FIELD + 1 + 2**255).to_bytes(32, "little"),
        (1 + 2**255).to_bytes(32, "little"),  # x = 0 with a sign
        (FIELD - 1 + 2**255).to_bytes(32, "little"),
    ],
)
def test_a_key_that_is_not_spelt_canonically_verifies_nothing_as_in_verify_py(raw: bytes) -> None:
    neutral = (1).to_bytes(32, "little")
    for message in (b"", b"a", b"b", MESSAGE):
        for first in (neutral, raw):
            assert not verify_raw(raw, message, first + bytes(32))


def test_a_signature_holds_for_one_kind_of_statement_and_one_register() -> None:
    body = {"act": "suspend", "nonce": "ab" * 16}
    here, there = "entente/x/AAA-to-BBB/1", "entente/x/BBB-to-AAA/1"
    message = act_message("term", here, "00" * 32, body)
    signature = SIGNER.sign(message).hex()
    assert verify(SIGNER.public, message, signature)
    for other in (
        act_message("claim", here, "00" * 32, body),
        act_message("term", there, "00" * 32, body),
        act_message("term", here[:-1] + "2", "00" * 32, body),
        act_message("term", here, "11" * 32, body),
        act_message("term", here, "00" * 32, {**body, "nonce": "cd" * 16}),
        act_message("term", here, "00" * 32, {**body, "act": "resume"}),
    ):
        assert not verify(SIGNER.public, other, signature)


def test_an_approval_holds_for_one_release_handle_role_and_time() -> None:
    given_ = approve(SIGNER, "ab" * 32, "AAA/a", "release", "2026-01-01T00:00Z")
    good = ("ab" * 32, "AAA/a", "release", "2026-01-01T00:00Z")
    assert verify(SIGNER.public, approval_message(*good), given_.sig)
    for place, other in enumerate(("cd" * 32, "AAA/b", "security", "2026-01-01T00:01Z")):
        changed = [*good[:place], other, *good[place + 1 :]]
        assert not verify(SIGNER.public, approval_message(*changed), given_.sig)
    with pytest.raises(FormatError):
        approve(SIGNER, "ab" * 32, "AAA/a", "release", "tomorrow")


@given(st.text(), st.binary(max_size=40), st.text())
def test_verify_is_total(key: str, message: bytes, signature: str) -> None:
    assert verify(key, message, signature) is False
    assert verify("ed25519:" + key, message, signature) is False
    assert verify(SIGNER.public, message, signature) is False


# Encodings and names


def test_pae_is_that_of_dsse() -> None:
    assert pae("core", b"hello") == b"DSSEv1 36 application/vnd.entente.core.v1+json 5 hello"
    assert pae("agreement", b"", suffix="toml") == b"DSSEv1 41 application/vnd.entente.agreement.v1+toml 0 "
    assert digest("core", b"hello") == hashlib.sha256(pae("core", b"hello")).hexdigest()


@given(
    st.binary(max_size=9), st.binary(max_size=9), st.sampled_from(["a", "ab", "b"]), st.sampled_from(["a", "ab", "b"])
)
def test_pae_tells_any_two_statements_apart(one: bytes, two: bytes, kind: str, other: str) -> None:
    assert (pae(kind, one) == pae(other, two)) == ((kind, one) == (other, two))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ed25519:" + "00" * 32, hashlib.sha256(b"ed25519\n" + bytes(32)).hexdigest()),
        (f"ed25519:{VECTORS[0][1]}", hashlib.sha256(b"ed25519\n" + bytes.fromhex(VECTORS[0][1])).hexdigest()),
        ("x25519:" + "00" * 32, hashlib.sha256(b"x25519\n" + bytes(32)).hexdigest()),
        ("mlkem768x25519:" + "ab" * 1216, hashlib.sha256(b"mlkem768x25519\n" + b"\xab" * 1216).hexdigest()),
    ],
)
def test_a_key_id_is_the_hash_of_algorithm_and_raw_key(text: str, expected: str) -> None:
    assert key_id(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519",
        "ed25519:",
        "rsa:" + "00" * 32,
        "ed25519:" + "00" * 31,
        "ed25519:" + "00" * 33,
        "ed25519:" + "AB" * 32,
        "ed25519:" + "0g" * 32,
        "Ed25519:" + "00" * 32,
        "ed25519:" + "00" * 32 + "\n",
        "mlkem768x25519:" + "00" * 32,
        pytest.param("ed25519:" + "00" * 31 + "  "),
        pytest.param("ed25519: " + "00" * 31 + " "),
        pytest.param("ed25519:" + "00" * 31 + "\n\n"),
        "ed25519:" + "0" * 62 + "é1",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        split_key(text)
    with pytest.raises(FormatError):
        key_id(text)


# HPKE


SUITES = (X25519_SUITE, HYBRID_SUITE)


@pytest.mark.parametrize("suite", SUITES)
def test_a_wrapped_key_opens_for_its_key_and_its_release_only(suite: str) -> None:
    public, private = new_kem(suite)
    _, stranger = new_kem(suite)
    name, rid, secret = key_id(public), "ab" * 32, bytes(range(64))
    wrapped = wrap_key(suite, public, name, rid, secret)
    assert unwrap_key(suite, private, name, rid, wrapped) == (secret[:32], secret[32:])
    attempts: list[Callable[[], object]] = [
        lambda: unwrap_key(suite, stranger, name, rid, wrapped),
        lambda: unwrap_key(suite, private, name, "cd" * 32, wrapped),
        lambda: unwrap_key(suite, private, "cd" * 32, rid, wrapped),
        lambda: unwrap_key(SUITES[1 - SUITES.index(suite)], private, name, rid, wrapped),
        lambda: unwrap_key("rot13", private, name, rid, wrapped),
        lambda: unwrap_key(suite, private, name, rid, wrapped + b"\x00"),
        lambda: unwrap_key(suite, private, name, rid, wrapped[1:]),
        lambda: unwrap_key(suite, private, name, rid, b""),
        lambda: unwrap(suite, private, wrapped, b"other info"),
    ]
    for attempt in attempts:
        with pytest.raises((VerificationError, FormatError)):
            attempt()


@pytest.mark.parametrize("suite", SUITES)
def test_every_damaged_byte_of_a_wrapped_key_is_refused(suite: str) -> None:
    public, private = new_kem(suite)
    wrapped = wrap(suite, public, b"s" * 64, b"info")
    assert unwrap(suite, private, wrapped, b"info") == b"s" * 64
    for place in range(0, len(wrapped), 1 if suite == X25519_SUITE else 23):
        changed = bytearray(wrapped)
        changed[place] ^= 1
        with pytest.raises(VerificationError):
            unwrap(suite, private, bytes(changed), b"info")
    for size in range(0, len(wrapped), 1 if suite == X25519_SUITE else 23):
        with pytest.raises(VerificationError):
            unwrap(suite, private, wrapped[:size], b"info")


def test_a_wrapped_object_must_hold_64_bytes() -> None:
    public, private = new_kem(X25519_SUITE)
    name = key_id(public)
    for size in (0, 32, 63, 65):
        wrapped = wrap_key(X25519_SUITE, public, name, "ab" * 32, bytes(size))
        with pytest.raises(VerificationError):
            unwrap_key(X25519_SUITE, private, name, "ab" * 32, wrapped)


@pytest.mark.parametrize(
    ("suite", "key"),
    [
        pytest.param(X25519_SUITE, new_kem(HYBRID_SUITE)[0], id="a hybrid key"),
        pytest.param(HYBRID_SUITE, new_kem(X25519_SUITE)[0], id="a plain key for the hybrid suite"),
        pytest.param("rot13", new_kem(X25519_SUITE)[0], id="no suite"),
        pytest.param(X25519_SUITE, SIGNER.public, id="a signing key"),
        (X25519_SUITE, "x25519:"),
        pytest.param(X25519_SUITE, "x25519:" + "00" * 31 + "  "),
        pytest.param(X25519_SUITE, "x25519:" + "00" * 32),  # of low order
        pytest.param(HYBRID_SUITE, "mlkem768x25519:" + "ff" * 1216),  # coefficients not reduced
    ],
)
def test_a_key_that_cannot_seal_is_an_error_of_ours(suite: str, key: str) -> None:
    """A partner's certified key reaches `wrap` unseen: what it cannot use must not be a traceback."""
    with pytest.raises(EntenteError):
        wrap(suite, key, b"secret", b"info")


# At rest


def test_a_locked_key_opens_with_its_passphrase_and_label_only() -> None:
    locked = lock(b"secret", b"pass", label="node")
    assert b"secret" not in locked
    assert unlock(locked, b"pass", label="node") == b"secret"
    assert lock(b"secret", b"pass", label="node") != locked
    for data, passphrase, label in (
        (locked, b"Pass", "node"),
        (locked, b"", "node"),
        (locked, b"pass", "other"),
        (locked, b"pass", ""),
        (locked[:-1], b"pass", "node"),
        (locked + b"\x00", b"pass", "node"),
        (b"", b"pass", "node"),
        (b"x" + locked, b"pass", "node"),
        (locked.replace(b"v2", b"v1", 1), b"pass", "node"),
        (locked.replace(b"v2", b"v3", 1), b"pass", "node"),
        (locked[:40], b"pass", "node"),
    ):
        with pytest.raises(KeyUnavailableError) as fault:
            unlock(data, passphrase, label=label)
        assert fault.value.place == label
        assert "secret" not in str(fault.value)
        assert not passphrase or passphrase.decode() not in fault.value.detail.replace("passphrase", "")


def test_a_key_that_an_earlier_version_locked_still_opens() -> None:
    salt, nonce = bytes(16), bytes(12)
    stretched = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(b"pass")
    locked = b"entente-key-v1\n" + salt + nonce + AESGCM(stretched).encrypt(nonce, b"secret", b"node")
    assert unlock(locked, b"pass", label="node") == b"secret"
    with pytest.raises(KeyUnavailableError):
        unlock(locked, b"Pass", label="node")


def test_damage_in_any_part_of_a_locked_key_is_refused() -> None:
    locked = lock(b"secret", b"pass", label="node")
    for place in (0, 14, 15, 20, 31, 36, 43, 45, len(locked) - 1):
        changed = bytearray(locked)
        changed[place] ^= 1
        with pytest.raises(KeyUnavailableError):
            unlock(bytes(changed), b"pass", label="node")


def test_a_signer_shows_its_seed_in_no_text() -> None:
    assert SIGNER.seed.hex() not in repr(SIGNER)
    assert SIGNER.seed.hex() not in str(vars(SIGNER).get("public"))
