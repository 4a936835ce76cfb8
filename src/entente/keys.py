"""Keys and signatures: Ed25519 over DSSE pre-authentication encoding, HPKE for sealing, and keys encrypted at rest.

Key text is `alg:hex`; a key's id is SHA-256(alg, newline, raw bytes). `Signer` is a port: a WebAuthn or PKCS#11 signer
takes the place of `SoftSigner` without a caller noticing.
"""

import hashlib
import os
import re
from typing import NewType, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from entente.errors import FormatError, KeyUnavailableError, VerificationError

KeyText = NewType("KeyText", str)
KeyId = NewType("KeyId", str)

ED25519 = "ed25519"
X25519_SUITE = "x25519-hkdfsha256-aes256gcm"
HYBRID_SUITE = "mlkem768x25519-hkdfsha256-aes256gcm"
SUITE_ALGORITHM = {X25519_SUITE: "x25519", HYBRID_SUITE: "mlkem768x25519"}
RAW_BYTES = {ED25519: 32, "x25519": 32, "mlkem768x25519": 1216}

_KEMS = {X25519_SUITE: KEM.X25519, HYBRID_SUITE: KEM.MLKEM768_X25519}
_ARGON2_KIB = 2**16  # with three passes, in one lane (several fail at times when keys are opened at once); about 0.2 s
_SCRYPT_SEAL = b"entente-key-v1\n"  # what earlier versions locked, which still opens
_SEAL = b"entente-key-v2\n"

_HEX = re.compile(r"[0-9a-f]*").fullmatch
_PRIME = 2**255 - 19

# The order of the prime subgroup: a signature whose S is not below it is malleable (RFC 8032, 5.1.7).
_ORDER = 2**252 + 27742317777372353535851937790883648493


def pae(kind: str, body: bytes, *, suffix: str = "json") -> bytes:
    """DSSE pre-authentication encoding with payloadType `application/vnd.entente.<kind>.v1+<suffix>`.

    Source: DSSE protocol, PAE.
    """
    media = f"application/vnd.entente.{kind}.v1+{suffix}".encode()
    return b"DSSEv1 %d %b %d %b" % (len(media), media, len(body), body)


def digest(kind: str, body: bytes, *, suffix: str = "json") -> str:
    """D(kind, body): the lowercase hex SHA-256 of the PAE; what an act, a core or an agreement is called by."""
    return hashlib.sha256(pae(kind, body, suffix=suffix)).hexdigest()


def split_key(text: str) -> tuple[str, bytes]:
    """The algorithm and raw bytes of `alg:hex`; FormatError on anything else."""
    algorithm, _, tail = text.partition(":")
    size = RAW_BYTES.get(algorithm)
    if size is None or len(tail) != 2 * size or not _HEX(tail):
        raise FormatError(
            f"{text[:40]!r} is not a key", remedy="Keys are alg:hex with a known algorithm and its length."
        )
    return algorithm, bytes.fromhex(tail)


def key_id(text: str) -> KeyId:
    """SHA-256(alg, 0x0A, raw) of `alg:hex`, lowercase hex."""
    algorithm, raw = split_key(text)
    return KeyId(hashlib.sha256(algorithm.encode() + b"\n" + raw).hexdigest())


class Verifier(Protocol):
    """Whether `signature` (64 bytes, hex) by `key` (`alg:hex`) covers `message`; total, never raises."""

    def __call__(self, key: str, message: bytes, signature: str, /) -> bool:
        """Whether it verifies."""
        ...


def verify(key: str, message: bytes, signature: str) -> bool:
    """Whether an Ed25519 signature verifies; False for any malformed key or signature. Source: RFC 8032."""
    try:
        algorithm, raw = split_key(key)
        if algorithm != ED25519 or len(signature) != 128 or signature.lower() != signature:
            return False
        sig = bytes.fromhex(signature)
        return verify_raw(raw, message, sig)
    except (FormatError, ValueError):
        return False


def verify_raw(raw: bytes, message: bytes, signature: bytes) -> bool:
    """Whether 64 signature bytes by a 32-byte public key cover `message`; False when malformed."""
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= _ORDER:
        return False
    if not (_is_canonical(raw) and _is_canonical(signature[:32])):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_canonical(point: bytes) -> bool:
    """Whether 32 bytes are the one spelling of a point: y below p, no sign where x is 0. Source: RFC 8032, 5.1.3."""
    number = int.from_bytes(point, "little")
    height = number & (2**255 - 1)
    return len(point) == 32 and height < _PRIME and not (number >> 255 and height in (1, _PRIME - 1))


class Signer(Protocol):
    """Something that holds one Ed25519 private key: the server's own, a person's token, a module."""

    @property
    def public(self) -> KeyText:
        """The public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64 signature bytes over `message`."""
        ...


class SoftSigner:
    """An Ed25519 key in this process's memory."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.seed = seed
        self.public = KeyText(f"{ED25519}:{self._key.public_key().public_bytes_raw().hex()}")

    @classmethod
    def generate(cls) -> "SoftSigner":
        """A signer with a new key from the operating system's randomness."""
        return cls(os.urandom(32))

    def sign(self, message: bytes) -> bytes:
        """The 64 signature bytes over `message` (RFC 8032, deterministic)."""
        return self._key.sign(message)


def new_kem(suite: str) -> tuple[KeyText, bytes]:
    """A new key pair for an HPKE suite: the public text and the private bytes (to be kept encrypted).

    Hybrid keys are the ML-KEM part followed by the X25519 part, as in draft-connolly-cfrg-xwing-kem.
    """
    algorithm = SUITE_ALGORITHM[suite]
    curve = X25519PrivateKey.generate()
    public, private = curve.public_key().public_bytes_raw(), curve.private_bytes_raw()
    if suite == HYBRID_SUITE:
        lattice = MLKEM768PrivateKey.generate()
        public = lattice.public_key().public_bytes_raw() + public
        private = lattice.private_bytes_raw() + private
    return KeyText(f"{algorithm}:{public.hex()}"), private


def _hpke(suite: str) -> Suite:
    if suite not in _KEMS:
        raise FormatError(f"suite {suite!r} is not known here")
    return Suite(_KEMS[suite], KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def wrap(suite: str, public: str, secret: bytes, info: bytes) -> bytes:
    """`secret` sealed to a KEM key, bound to `info`. Source: RFC 9180, single-shot base mode."""
    algorithm, raw = split_key(public)
    if SUITE_ALGORITHM.get(suite) != algorithm:
        raise FormatError(f"a {algorithm} key does not belong to suite {suite}")
    try:
        curve = X25519PublicKey.from_public_bytes(raw[-32:])
        if suite == X25519_SUITE:
            return _hpke(suite).encrypt(secret, curve, info)
        lattice = MLKEM768PublicKey.from_public_bytes(raw[:-32])
        return _hpke(suite).encrypt(secret, MLKEM768X25519PublicKey(lattice, curve), info)
    except ValueError as fault:  # a point of small order, or numbers out of range
        raise FormatError(f"the sealing key {public[:24]}… is not usable ({fault})") from None


def unwrap(suite: str, private: bytes, wrapped: bytes, info: bytes) -> bytes:
    """The secret inside a wrapped object; VerificationError if it was made for another key or another release."""
    try:
        curve = X25519PrivateKey.from_private_bytes(private[-32:])
        if suite == X25519_SUITE:
            return _hpke(suite).decrypt(wrapped, curve, info)
        lattice = MLKEM768PrivateKey.from_seed_bytes(private[:-32])
        return _hpke(suite).decrypt(wrapped, MLKEM768X25519PrivateKey(lattice, curve), info)
    except (InvalidTag, ValueError) as fault:
        raise VerificationError(f"the wrapped key does not open ({type(fault).__name__})") from None


def lock(secret: bytes, passphrase: bytes, *, label: str) -> bytes:
    """`secret` encrypted for rest under a passphrase (Argon2id, AES-256-GCM), bound to `label`. Source: RFC 9106."""
    salt, nonce = os.urandom(16), os.urandom(12)
    body = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, secret, label.encode())
    return _SEAL + salt + nonce + body


def unlock(locked: bytes, passphrase: bytes, *, label: str) -> bytes:
    """The secret locked under this passphrase and label; KeyUnavailableError otherwise."""
    head = len(_SEAL)
    if not locked.startswith((_SEAL, _SCRYPT_SEAL)) or len(locked) < head + 44:
        raise KeyUnavailableError("not a key file of this version", place=label)
    salt, nonce, body = locked[head : head + 16], locked[head + 16 : head + 28], locked[head + 28 :]
    stretch = _stretch if locked.startswith(_SEAL) else _stretch_before
    try:
        return AESGCM(stretch(passphrase, salt)).decrypt(nonce, body, label.encode())
    except InvalidTag:
        raise KeyUnavailableError(
            "the passphrase does not open it", place=label, remedy="Give the passphrase it was made with."
        ) from None


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=_ARGON2_KIB).derive(passphrase)


def _stretch_before(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase)
