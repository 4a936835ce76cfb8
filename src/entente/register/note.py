"""Signed notes, byte-exact: a text, an empty line, and signature lines that each begin with an em dash.

A note has one spelling. What `parse` accepts, `Note.encode` gives back byte for byte; a lenient reader would let the
last byte of a stored note rot unseen.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from entente.errors import FormatError, VerificationError
from entente.keys import ED25519, Signer, split_key, verify_raw

LOG = 0x01
COSIGNATURE = 0x04
MAX_NOTE_BYTES = 65_536
MAX_LINES = 16
MAX_TIME_S = 2**63 - 1
_HASH_BYTES = 4
_TIME_BYTES = 8
_DASH = "\u2014 ".encode()
_BREAK = b"\n\n"
_NOT_IN_NAMES = re.compile(r"[\s+\x00-\x1f]")


class NoteKey(msgspec.Struct, frozen=True):
    """A key as a note's reader expects it: name, key text (`ed25519:hex`) and what it signs (LOG or COSIGNATURE)."""

    name: str
    key: str
    type: int = LOG

    @property
    def hash(self) -> bytes:
        """The four bytes by which signature lines name this key."""
        return key_hash(self.name, self.key, self.type)


class Line(msgspec.Struct, frozen=True):
    """One signature line: the key's name, its four-byte hash, and a signature shaped by the key's type."""

    name: str
    hash: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The line's bytes with its line feed."""
        return _DASH + self.name.encode() + b" " + base64.b64encode(self.hash + self.signature) + b"\n"


class Note(msgspec.Struct, frozen=True):
    """A text that ends in a line feed, and its signature lines in their order."""

    text: bytes
    lines: tuple[Line, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        return self.text + b"\n" + b"".join(line.encode() for line in self.lines)


def check_name(name: str) -> None:
    """Raise FormatError unless `name` can name a key: not empty, no space of any kind, no plus, no control."""
    if not name or _NOT_IN_NAMES.search(name):
        raise FormatError(f"{name[:80]!r} cannot name a key", remedy="Use neither spaces nor plus signs.")


def key_hash(name: str, key: str, key_type: int) -> bytes:
    """First four bytes of SHA-256(name, 0x0A, type, raw public key); FormatError unless it is an Ed25519 key.

    Source: C2SP signed-note, Signatures.
    """
    check_name(name)
    return sha256(b"%b\n%c%b" % (name.encode(), key_type, _raw(key))).digest()[:_HASH_BYTES]


def parse(data: bytes) -> Note:
    """The note in exactly these bytes; FormatError if they are not one, or not in its only spelling.

    Nothing in the result is verified. Source: C2SP signed-note, Format.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise FormatError(f"{len(data)} bytes are too many", place="note")
    try:
        data.decode()
    except UnicodeDecodeError as fault:
        raise FormatError(f"not UTF-8 at byte {fault.start}", place="note") from None
    if any(byte < 0x20 and byte != 0x0A for byte in data):
        raise FormatError("holds a control character other than a line feed", place="note")
    cut = data.rfind(_BREAK)
    if cut < 0 or not data.endswith(b"\n"):
        raise FormatError("has no empty line before its signatures or does not end in a line feed", place="note")
    raw_lines = data[cut + len(_BREAK) : -1].split(b"\n")
    if len(raw_lines) > MAX_LINES:
        raise FormatError(f"{len(raw_lines)} signature lines are too many", place="note")
    note = Note(data[: cut + 1], tuple(_parse_line(raw) for raw in raw_lines))
    if note.encode() != data:
        raise FormatError("is not in its only spelling", place="note")
    return note


def _parse_line(raw: bytes) -> Line:
    if not raw.startswith(_DASH):
        raise FormatError(f"{raw[:80]!r} is not a signature line", place="note")
    name, _, encoded = raw.removeprefix(_DASH).decode().partition(" ")
    check_name(name)
    signed = decode_base64(encoded)
    if len(signed) <= _HASH_BYTES:
        raise FormatError(f"the signature of {name[:80]} is empty", place="note")
    return Line(name, signed[:_HASH_BYTES], signed[_HASH_BYTES:])


def decode_base64(text: str) -> bytes:
    """The bytes of standard base64 in its only spelling; FormatError on anything a lenient decoder would skip."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"{text[:80]!r} is not base64", place="note") from None
    if base64.b64encode(data).decode() != text:
        raise FormatError(f"{text[:80]!r} is not the only spelling of its bytes", place="note")
    return data


def sign(text: bytes, name: str, signer: Signer) -> Line:
    """A log's signature line over a note's text. Source: C2SP signed-note, Ed25519 signatures (0x01)."""
    return Line(name, key_hash(name, signer.public, LOG), signer.sign(text))


def cosign(text: bytes, name: str, signer: Signer, time_s: int) -> Line:
    """A cosigner's signature line over a checkpoint's text at a POSIX time in seconds.

    The signature does not cover the cosigner's name: a key must cosign under one name only.
    Source: C2SP tlog-cosignature, Ed25519 signed message (0x04).
    """
    if not 0 <= time_s <= MAX_TIME_S:
        raise FormatError(f"{time_s} is not a time that can be cosigned")
    signature = time_s.to_bytes(_TIME_BYTES, "big") + signer.sign(_cosigned_message(text, time_s))
    return Line(name, key_hash(name, signer.public, COSIGNATURE), signature)


def check_line(text: bytes, line: Line, expected: NoteKey) -> int | None:
    """The line is the expected key's signature over `text`; a cosigner's POSIX time in seconds, None from a log.

    Raises: VerificationError when the line is another key's or does not verify.
    """
    if line.name != expected.name or line.hash != expected.hash:
        raise VerificationError(f"signed by {line.name}, not by the expected key of {expected.name}", place="note")
    time_s, message, signature = None, text, line.signature
    if expected.type == COSIGNATURE:
        time_s, signature = int.from_bytes(line.signature[:_TIME_BYTES], "big"), line.signature[_TIME_BYTES:]
        message = _cosigned_message(text, time_s)
    elif expected.type != LOG:
        raise VerificationError(f"signature type 0x{expected.type:02x} is not known here", place="note")
    good = verify_raw(_raw(expected.key), message, signature)
    if not good or (time_s or 0) > MAX_TIME_S:
        raise VerificationError(f"the signature of {line.name} does not verify", place="note")
    return time_s


def check_lines(note: Note, expected: Sequence[NoteKey]) -> list[int | None]:
    """The note bears exactly the expected signatures in this order; what `check_line` says of each.

    Raises: VerificationError when a line is missing, unknown, twice, out of order or does not verify.
    """
    if len(note.lines) != len(expected):
        raise VerificationError(f"{len(note.lines)} signature lines where {len(expected)} are expected", place="note")
    return [check_line(note.text, line, key) for line, key in zip(note.lines, expected, strict=True)]


def format_vkey(key: NoteKey) -> str:
    """The key as other tools write it: name+hash+base64(type, key). Source: C2SP signed-note, Verifier keys."""
    return f"{key.name}+{key.hash.hex()}+{base64.b64encode(bytes([key.type]) + _raw(key.key)).decode()}"


def parse_vkey(text: str) -> NoteKey:
    """The key in a verifier-key text; FormatError unless it is Ed25519, of type 0x01 or 0x04, with its own hash."""
    name, _, rest = text.partition("+")
    data = decode_base64(rest.partition("+")[2])
    if data[:1] not in (bytes([LOG]), bytes([COSIGNATURE])):
        raise FormatError(f"{text[:80]!r} is not a verifier key of a known type")
    key = NoteKey(name, f"{ED25519}:{data[1:].hex()}", data[0])
    if format_vkey(key) != text:
        raise FormatError(f"{text[:80]!r} does not hold the hash of its key")
    return key


def _raw(key: str) -> bytes:
    algorithm, raw = split_key(key)
    if algorithm != ED25519:
        raise FormatError(f"a {algorithm} key cannot sign notes")
    return raw


def _cosigned_message(text: bytes, time_s: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % time_s + text
