#!/usr/bin/env python3
"""Independent verifier of what two entente nodes wrote down: one file, standard library only.

    python3 verify.py DIR [--json]

DIR is a node's folder (it holds `served/`), a served tree itself (it holds `own/`), or a demo's folder (it holds
`demo.json`: every node is verified and the two are compared). Exit 0: all is well. 3: at least one fault, each named
by its place. 2: there is nothing here to verify. It was written from the documents alone (core-spec.md, formats.md)
and imports nothing of the project; where `cryptography` can be imported it lends its faster Ed25519.

How to read it, top to bottom:
  1 bytes       canonical JSON (RFC 8785 as narrowed by formats.md), PAE (DSSE), keys
  2 Ed25519     RFC 8032 section 5.1.7, strict
  3 tree        RFC 6962 hashing; C2SP tlog-tiles paths
  4 notes       C2SP signed-note, tlog-checkpoint, tlog-cosignature, byte-exact
  5 entries     the fields of every kind
  6 files       a served tree, walked once, no link followed; agreements
  7 register    checkpoint, entries and tiles must be one tree
  8 law         who may write what: an entry that breaks it is listed as invalid and changes nothing
  9 node, demo  the exact set of files, releases' blobs and keys; two nodes against each other
 10 command

Three outcomes are kept apart. A *fault* (FAIL, exit 3): a file, hash, signature line or entry 0 is not what it must
be. An *invalid* entry: honestly stored nonsense of its author; it stays in the register, is listed, and is no fault.
*Not checked*: what this file cannot know; it is always printed.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import stat
import sys
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any, BinaryIO

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:  # the pure path below is complete
    Ed25519PublicKey = None  # type: ignore[assignment,misc]

ENTRY_LIMIT = 32_768
BUNDLE_LIMIT = 256 * (2 + 65_535)
AGREEMENT_LIMIT = 1 << 20
CHUNK = (1 << 20) + 16
LISTED = 1_000  # faults and invalid entries kept in full; beyond that they are only counted
NOT_CHECKED = (
    "who the persons are",
    "plaintext against its content commitment",
    "each party's own gate()",
    "decide(): the 26 rules (entente verify recomputes them)",
    "which version of the agreement was in force at each entry",
)


class Fault(Exception):
    """A place in the tree is not what it must be; `args` = (path inside the served tree, detail)."""


class Invalid(Exception):
    """An entry breaks its law: it is listed and changes nothing."""


class Unchecked(Exception):
    """An entry rests on a register that is not here (the epoch before)."""


class Report:
    """Collects one line per check, and what the command returns."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.faults: list[dict[str, str]] = []
        self.invalid: list[dict[str, str]] = []
        self.not_checked: list[str] = list(NOT_CHECKED)
        self.failed = self.invalid_count = self.entries = self.heads = self.signatures = 0
        self.registers: dict[str, dict[str, Any]] = {}

    def _line(self, word: str, place: str, detail: str) -> dict[str, str]:
        row = {"place": show(place), "detail": show(detail)[:300]}
        self.lines.append(f"{word:<12} {row['place']}: {row['detail']}")
        return row

    def ok(self, place: str, detail: str) -> None:
        """Say that a check passed."""
        self._line("ok", place, detail)

    def fail(self, place: str, detail: str) -> None:
        """Record a fault at `place`."""
        self.failed += 1
        if self.failed <= LISTED:
            self.faults.append(self._line("FAIL", place, detail))

    def bad_entry(self, place: str, detail: str) -> None:
        """List an invalid entry."""
        self.invalid_count += 1
        if self.invalid_count <= LISTED:
            self.invalid.append(self._line("invalid", place, detail))

    def skip(self, what: str) -> None:
        """Say what could not be checked."""
        if what not in self.not_checked and len(self.not_checked) < LISTED:
            self.not_checked.append(what)


def show(text: str) -> str:
    """Return `text` with everything that does not print escaped: file names may be hostile."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


# --- 1 bytes -----------------------------------------------------------------------------------------------------

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def canonical(value: object) -> bytes:
    """Return RFC 8785 bytes of a value whose keys are ASCII and whose numbers are integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def decode(data: bytes) -> dict[str, Any]:
    """Return the object whose canonical form is exactly `data`, or raise Invalid."""
    try:
        value = READ_JSON(data.decode())
        if not isinstance(value, dict):
            raise Invalid("not a JSON object")
        _strings(value, newlines=value.get("kind") == "undertaking", path=())
        if canonical(value) != data:
            raise Invalid("not in canonical form")
    except RecursionError:
        raise Invalid("nested too deeply") from None
    except ValueError as why:  # not UTF-8, not JSON, a lone surrogate
        raise Invalid(f"not canonical JSON ({type(why).__name__})") from None
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Invalid("duplicate key")
    return made


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) >= 1 << 53:
        raise Invalid("integer not below 2^53")
    return int(text)


def _no(text: str) -> None:
    raise Invalid(f"number {text[:20]} is not an integer")


READ_JSON = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_float=_no, parse_constant=_no).decode


def _strings(value: object, *, newlines: bool, path: tuple[str, ...]) -> None:
    """Raise Invalid for null, a non-ASCII key, a string not in NFC, or a control or bidirectional character."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.isascii():
                raise Invalid("object key is not ASCII")
            _strings(key, newlines=False, path=())
            _strings(inner, newlines=newlines, path=(*path, key))
    elif isinstance(value, list):
        for inner in value:
            _strings(inner, newlines=newlines, path=(*path, "[]"))
    elif value is None:
        raise Invalid("null")
    elif isinstance(value, str):
        if not unicodedata.is_normalized("NFC", value):
            raise Invalid("string is not NFC")
        text = value.replace("\n", "") if newlines and len(path) == 3 and path[:2] == ("body", "text") else value
        if not text.isprintable() and any(c in BIDI or unicodedata.category(c) == "Cc" for c in text):
            raise Invalid("control or bidirectional character in a string")


def pae(kind: str, data: bytes, suffix: str = "json") -> bytes:
    """Return the DSSE v1 pre-authentication encoding of `data` under our type for `kind`."""
    name = f"application/vnd.entente.{kind}.v1+{suffix}".encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(data), data)


def digest(kind: str, data: bytes, suffix: str = "json") -> str:
    """Return D(kind, data) in hex."""
    return hashlib.sha256(pae(kind, data, suffix)).hexdigest()


KEY_BYTES = {"ed25519": 32, "x25519": 32, "mlkem768x25519": 1_216}


def parse_key(text: object, *algorithms: str) -> bytes | None:
    """Return the raw bytes of `alg:hex` if it is one of `algorithms` and of its length, else None."""
    alg, _, raw = text.partition(":") if isinstance(text, str) else ("", "", "")
    if alg not in algorithms or not re.fullmatch("[0-9a-f]*", raw) or len(raw) != 2 * KEY_BYTES[alg]:
        return None
    return bytes.fromhex(raw)


def key_id(text: str) -> str:
    """Return SHA-256(alg, 0x0A, raw) of a well-formed `alg:hex` in hex."""
    alg, _, raw = text.partition(":")
    return hashlib.sha256(alg.encode() + b"\n" + bytes.fromhex(raw)).hexdigest()


# --- 2 Ed25519 ---------------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]  # extended homogeneous coordinates X, Y, Z, T (RFC 8032 5.1.4)
NEUTRAL: Point = (0, 1, 1, 0)


def _add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * CURVE_D % P, 2 * a[2] * b[2] % P
    h, i, j, k = f - e, d - c, d + c, f + e
    return (h * i % P, j * k % P, i * j % P, h * k % P)


def _double(a: Point) -> Point:
    xx, yy, zz = a[0] * a[0] % P, a[1] * a[1] % P, 2 * a[2] * a[2] % P
    h = xx + yy
    e = h - (a[0] + a[1]) ** 2 % P
    g = xx - yy
    f = zz + g
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _decompress(data: bytes) -> Point | None:
    """Return the point, or None where the encoding is not canonical or not on the curve (RFC 8032 5.1.3)."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (CURVE_D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == (P - u) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = _decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little")) or NEUTRAL


def verify_pure(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether encode([S]B - [k]A) equals R, with S < L and A canonical: RFC 8032 5.1.7 without the cofactor."""
    if len(public) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    point = _decompress(public)
    if s >= L or point is None:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus: Point = (P - point[0], point[1], 1, P - point[3])
    table = (NEUTRAL, BASE, minus, _add(BASE, minus))
    total = NEUTRAL
    for bit in range(252, -1, -1):
        total = _double(total)
        which = (s >> bit & 1) | (k >> bit & 1) << 1
        if which:
            total = _add(total, table[which])
    inverse = pow(total[2], -1, P)
    x, y = total[0] * inverse % P, total[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def verify_fast(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return what verify_pure returns, by `cryptography`; what its OpenSSL lets pass is refused beforehand."""
    if len(public) != 32 or len(signature) != 64 or int.from_bytes(signature[32:], "little") >= L:
        return False
    y = int.from_bytes(public, "little")
    if y & (1 << 255) - 1 >= P or y in ((1 << 255) + 1, (1 << 255) + P - 1):  # y not reduced; x = 0 with a sign
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except Exception:  # noqa: BLE001  any refusal is a refusal
        return False
    return True


ed25519: Callable[[bytes, bytes, bytes], bool] = verify_pure if Ed25519PublicKey is None else verify_fast


# --- 3 tree ------------------------------------------------------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    """Return the RFC 6962 2.1 leaf hash."""
    return hashlib.sha256(b"\0" + data).digest()


class Tree:
    """A Merkle tree (RFC 6962 2.1) that keeps every complete subtree's hash, so that any earlier root can be had."""

    def __init__(self) -> None:
        self.levels = [bytearray()]

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self.levels[0]) // 32

    def append(self, node: bytes) -> None:
        """Add one leaf hash."""
        height = 0
        self.levels[0] += node
        while len(self.levels[height]) % 64 == 0:
            node = hashlib.sha256(b"\1" + self.levels[height][-64:]).digest()
            height += 1
            if height == len(self.levels):
                self.levels.append(bytearray())
            self.levels[height] += node

    def part(self, height: int, start: int, count: int) -> bytes:
        """Return `count` hashes of subtrees of 2^height leaves, from number `start`."""
        return bytes(self.levels[height][32 * start : 32 * (start + count)]) if height < len(self.levels) else b""

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves."""
        root = b""
        for height in range(size.bit_length()):
            if size >> height & 1:
                left = self.part(height, (size >> height) - 1, 1)
                root = hashlib.sha256(b"\1" + left + root).digest() if root else left
        return root or hashlib.sha256().digest()


def root_of(nodes: Iterator[bytes]) -> bytes:
    """Return the root over leaf hashes, holding only the right edge of the tree."""
    edge: list[tuple[int, bytes]] = []
    for leaf in nodes:
        height, node = 0, leaf
        while edge and edge[-1][0] == height:
            height, node = height + 1, hashlib.sha256(b"\1" + edge.pop()[1] + node).digest()
        edge.append((height, node))
    root = edge.pop()[1] if edge else hashlib.sha256().digest()
    while edge:
        root = hashlib.sha256(b"\1" + edge.pop()[1] + root).digest()
    return root


def tile_path(number: int, width: int) -> str:
    """Return the C2SP tlog-tiles path of a tile: 1234067 is x001/x234/067, a partial one ends in .p/<width>."""
    path = f"{number % 1000:03d}"
    while number := number // 1000:
        path = f"x{number % 1000:03d}/{path}"
    return path if width == 256 else f"{path}.p/{width}"


def tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (level, number, width) of every tile of a tree of `size`; the widths of level 0 are the bundles' too."""
    level = 0
    while size:
        full, part = divmod(size, 256)
        yield from ((level, number, 256) for number in range(full))
        if part:
            yield level, full, part
        level, size = level + 1, full


# --- 4 notes -----------------------------------------------------------------------------------------------------

ORIGIN = re.compile(r"entente/([A-Za-z0-9._-]{1,64})/([A-Z]{2,8})-to-([A-Z]{2,8})/([1-9][0-9]{0,8})")
SIGNATURE_LINE = re.compile("\u2014 ([!-*,-~]+) ([A-Za-z0-9+/]+={0,2})".encode())
LOG, MIRROR = 1, 4  # key types of C2SP signed-note


@dataclass(frozen=True)
class Origin:
    """A register's name, taken apart."""

    name: str
    agreement: str
    author: str
    partner: str
    epoch: int

    @classmethod
    def parse(cls, name: object) -> Origin | None:
        """Return the origin, or None where `name` is none."""
        found = ORIGIN.fullmatch(name) if isinstance(name, str) else None
        if not found or found[2] == found[3]:
            return None
        return cls(found[0], found[1], found[2], found[3], int(found[4]))

    def answers(self, other: Origin) -> bool:
        """Return whether this register runs the other way, under the same agreement."""
        return (self.agreement, self.author, self.partner) == (other.agreement, other.partner, other.author)


@dataclass(frozen=True)
class Note:
    """A checkpoint, parsed byte for byte: every byte is either in `text` or in a line that must verify."""

    text: bytes
    origin: Origin
    size: int
    root: bytes
    lines: list[tuple[str, bytes]]  # name, key hash and signature

    def signed(self, line: tuple[str, bytes], kind: int, name: str, public: bytes) -> bool:
        """Return whether `line` is the signature of `kind` by this key under this name."""
        mark = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]
        signature, message = line[1][4:], self.text
        if kind == MIRROR:
            time, signature = signature[:8], signature[8:]
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(time, "big") + self.text
        return line[0] == name and line[1][:4] == mark and ed25519(public, signature, message)


def parse_note(data: bytes) -> Note:
    """Return the note whose bytes are exactly `data`; raise ValueError. Lines end at 0x0A and nowhere else."""
    head, blank, tail = data.partition(b"\n\n")
    texts = head.split(b"\n")
    if not blank or len(texts) != 3 or not tail.endswith(b"\n"):
        raise ValueError("not three lines, a blank line and signature lines")
    origin = Origin.parse(texts[0].decode("latin-1"))
    if origin is None:
        raise ValueError("the first line is not an origin")
    if not re.fullmatch(b"0|[1-9][0-9]{0,15}", texts[1]) or int(texts[1]) >= 1 << 53:
        raise ValueError("the second line is not a size")
    lines = []
    for line in tail[:-1].split(b"\n"):
        found = SIGNATURE_LINE.fullmatch(line)
        if not found:
            raise ValueError("a signature line is malformed")
        lines.append((found[1].decode(), _base64(found[2])))
    root = _base64(texts[2])
    if len(root) != 32:
        raise ValueError("the third line is not a root")
    return Note(head + b"\n", origin, int(texts[1]), root, lines)


def _base64(text: bytes) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if base64.b64encode(data) != text:
        raise ValueError("not the one base64 form of its bytes")
    return data


# --- 5 entries ---------------------------------------------------------------------------------------------------

Rule = Callable[[Any, str], None]  # (value, its name): raises Invalid


def a(test: Callable[[Any], bool], what: str) -> Rule:
    """Make a rule from a predicate."""

    def rule(value: Any, name: str) -> None:
        if not test(value):
            raise Invalid(f"{name} is not {what}")

    return rule


def obj(fields: dict[str, Rule]) -> Rule:
    """Make the rule of an object with exactly these fields; a name that ends in `?` may be left out."""
    rules = {name.rstrip("?"): rule for name, rule in fields.items()}
    needed = {name for name in fields if not name.endswith("?")}

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise Invalid(f"{name} is not an object")
        if unknown := sorted(value.keys() - rules.keys()):
            raise Invalid(f"{name}.{unknown[0][:40]} is unknown")
        if missing := sorted(needed - value.keys()):
            raise Invalid(f"{name}.{missing[0]} is missing")
        for key, inner in value.items():
            rules[key](inner, f"{name}.{key}")

    return rule


def many(of: Rule, at_most: int = ENTRY_LIMIT, order: Callable[[Any], Any] | None = None) -> Rule:
    """Make the rule of a list; with `order`, strictly ascending (a set is sorted bytewise and unique)."""

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, list) or len(value) > at_most:
            raise Invalid(f"{name} is not a list of at most {at_most}")
        for inner in value:
            of(inner, f"{name}[]")
        keys = [order(inner) for inner in value] if order else []
        if any(not low < high for low, high in pairwise(keys)):
            raise Invalid(f"{name} is not sorted and unique")

    return rule


def hexes(count: int) -> Rule:
    """Make the rule of `count` bytes in lowercase hex."""
    form = re.compile(f"[0-9a-f]{{{2 * count}}}")
    return a(lambda v: isinstance(v, str) and bool(form.fullmatch(v)), f"{count} bytes in hex")


def words(*allowed: str) -> Rule:
    """Make the rule of one word out of a list."""
    return a(lambda v: isinstance(v, str) and v in allowed, f"one of {', '.join(allowed)}")


@lru_cache(4_096)
def is_time(text: str) -> bool:
    """Return whether `text` is a real `YYYY-MM-DDTHH:MMZ`."""
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z", text):
        return False
    try:
        datetime.fromisoformat(text[:-1])
    except ValueError:
        return False
    return True


def _spans(value: Any, name: str) -> None:
    """Hold for [[first, last], ...], not empty, sorted and disjoint."""
    many(many(INT, 2))(value, name)
    flat = [number for pair in value for number in pair]
    if not value or any(len(pair) != 2 or pair[0] > pair[1] for pair in value):
        raise Invalid(f"{name} are not pairs of first and last")
    if any(flat[i] >= flat[i + 1] for i in range(1, len(flat) - 1, 2)):
        raise Invalid(f"{name} are not sorted and disjoint")


H16, H32, SIG = hexes(16), hexes(32), hexes(64)
STR = a(lambda v: isinstance(v, str) and v != "", "a string")
INT = a(lambda v: type(v) is int and v >= 0, "a whole number")
TEXT = a(lambda v: isinstance(v, str), "a string, which may be empty")
TRUE = a(lambda v: v is True, "true")
TIME = a(lambda v: isinstance(v, str) and is_time(v), "a time")
PARTY = a(lambda v: isinstance(v, str) and bool(re.fullmatch("[A-Z]{2,8}", v)), "a party code")
HANDLE = re.compile("([A-Z]{2,8})/[A-Za-z0-9._-]{1,64}")
MACHINES: dict[str, tuple[str, ...]] = {
    "log": ("ed25519",),
    "mirror": ("ed25519",),
    "kem": ("x25519", "mlkem768x25519"),
    "tls": ("ed25519",),
}
SUBJECT = a(lambda v: isinstance(v, str) and (v in MACHINES or bool(HANDLE.fullmatch(v))), "a handle or machine")
NAME = a(lambda v: Origin.parse(v) is not None, "an origin")
SET = many(STR, order=str.encode)
SIGS = many(obj({"by": STR, "sig": SIG}), order=lambda v: v["by"].encode())
EPOCH = a(lambda v: type(v) is int and v > 0, "an epoch")


def key_of(*algorithms: str) -> Rule:
    """Make the rule of a key in one of these algorithms."""
    return a(lambda v: parse_key(v, *algorithms) is not None, f"a key ({', '.join(algorithms)})")


KEYS = obj(
    {
        "kem": obj({"key": key_of("x25519", "mlkem768x25519"), "until": TIME}),
        "log": obj({"key": key_of("ed25519")}),
        "mirror": obj({"key": key_of("ed25519")}),
    }
)
MARKING = obj({"caveats": SET, "level": STR, "originator": STR, "purpose": STR, "releasable_to": SET})
CORE = obj({
    "agreement": H32, "ancestors": many(H32, 256, str.encode), "area": STR, "article": STR, "bytes_padded": INT,
    "channel": STR, "content": H32, "copies": INT, "custody": STR, "exercise?": TRUE, "format": STR,
    "marking": MARKING, "nonce": H16, "origin": NAME, "records": obj({"count": INT, "root": H32}), "retain_days": INT,
    "standing?": H32, "to": PARTY, "units": many(STR, 64, str.encode), "view": STR,
    "third_party": a(lambda v: isinstance(v, str) and bool(re.fullmatch("none|[0-9a-f]{64}", v)), "none or hex"),
})  # fmt: skip
BLOB_BYTES = a(lambda v: type(v) is int and v > 0 and not 1 <= v % CHUNK <= 16, "a size in whole chunks")
SEALED = obj({"blob": H32, "blob_bytes": BLOB_BYTES, "kem_key": H32, "key_digest": H32, "suite": STR})
SPANS = obj({"origin": NAME, "spans": _spans})
CLASS = obj({"area": STR, "ceiling": STR, "format": STR, "purpose": STR, "view": STR})
REFUSALS = ("not_permitted", "bad_digest", "unopenable", "bad_format", "too_large", "no_blob")
STRENGTHS = (
    "agreed",
    "finalised",
    "will",
    "explore",
    "keen",
    "aim",
    "discussed",
    "exchanged",
    "conveyed",
    "noted",
    "fact",
)
BODIES: dict[str, dict[str, Rule]] = {
    "genesis": {"agreement": H32, "origin": NAME, "keys": KEYS, "nonce": H16},
    "epoch": {"old": obj({"origin": NAME, "size": INT, "root": H32}), "new_origin": NAME, "keys": KEYS, "cause": STR,
              "nonce": H16},
    "adopt": {"agreement": H32, "sig": obj({"by": H32, "sig": SIG}), "supersedes?": H32, "nonce": H16},
    "key": {"subject": SUBJECT, "commitment?": H32, "key": key_of(*KEY_BYTES), "roles": SET, "areas": SET,
            "ceiling?": STR, "until": TIME, "replaces?": H32, "revoked?": obj({"from_index": INT, "reason": STR}),
            "nonce": H16},
    "term": {"act": words("suspend", "resume", "notice_of_end"), "nonce": H16},
    "assurance": {"level": STR, "areas": SET, "units": SET, "until": TIME, "nonce": H16},
    "standing": {"class?": CLASS, "per_day?": obj({"bytes": INT, "count": INT}), "until?": TIME, "revokes?": H32,
                 "nonce": H16},
    "release": {"core": CORE, "sealed": SEALED, "private": H32,
                "approvals": many(obj({"by": STR, "role": STR, "sig": SIG, "until": TIME}), 16)},
    "order": {"rid": H32, "act": words("withdraw", "reclass", "return", "destroy"), "marking?": MARKING, "nonce": H16},
    "incident": {"releases": many(SPANS), "discovered_at": TIME, "class": words("loss", "compromise", "possible"),
                 "stage": words("notice", "findings", "measures"), "nonce": H16},
    "answer": {"re": SPANS, "outcome": words("received", "applied", "returned", "destroyed", *REFUSALS),
               "copies?": INT, "witnesses": SIGS},
    "undertaking": {"key": STR, "from": STR, "to": STR, "text": a(lambda v: isinstance(v, dict) and bool(v) and all(
        isinstance(w, str) and w for w in v.values()), "words by language"), "strength": words(*STRENGTHS),
        "source": TEXT, "measure": TEXT, "basis": TEXT, "band": TEXT, "due?": TIME, "amends?": H32, "restates?": H32,
        "nonce": H16},
    "claim": {"key": STR, "value": TEXT, "basis": TEXT,
              "evidence": many(H32, order=str.encode), "nonce": H16},
}  # fmt: skip
BODY = {kind: obj(fields) for kind, fields in BODIES.items()}
ENVELOPE = obj({
    "v": a(lambda v: type(v) is int and v == 1, "1"), "kind": words(*BODIES), "at": TIME, "agreement": H32,
    "seen": obj({"epoch": EPOCH, "size": INT, "root": H32}), "body": a(lambda v: isinstance(v, dict), "an object"),
    "sigs": SIGS,
})  # fmt: skip
EMPTY_ROOT = hashlib.sha256().hexdigest()


# --- 6 files -----------------------------------------------------------------------------------------------------


class Folder:
    """A served tree: its regular files and folders as they are, links and devices being faults."""

    def __init__(self, root: str, shown: str, report: Report) -> None:
        """Walk `root` without following a link."""
        self.root, self.shown = root, shown
        self.files: dict[str, int] = {}
        self.folders: set[str] = set()
        todo = [""]
        while todo:
            inside = todo.pop()
            try:
                with os.scandir(os.path.join(root, inside)) as found:
                    for item in found:
                        self._note(item, f"{inside}/{item.name}" if inside else item.name, todo, report)
            except OSError as why:
                report.fail(self.place(inside), f"cannot be listed ({why.strerror})")

    def _note(self, item: os.DirEntry[str], path: str, todo: list[str], report: Report) -> None:
        if item.is_dir(follow_symlinks=False):
            self.folders.add(path)
            if path.count("/") < 12:
                todo.append(path)
        elif item.is_file(follow_symlinks=False):
            self.files[path] = item.stat(follow_symlinks=False).st_size
        else:
            report.fail(self.place(path), "symbolic link" if item.is_symlink() else "not a regular file")

    def place(self, path: str) -> str:
        """Return `path` as it is named in the report."""
        return "/".join(part for part in (self.shown, path) if part) or "."

    def open(self, path: str) -> BinaryIO:
        """Open a file that was there as a regular one when the tree was walked."""
        if path not in self.files:
            raise Fault(path, "missing")
        try:
            handle = os.open(os.path.join(self.root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise Fault(path, "not a regular file")
            return os.fdopen(handle, "rb")
        except OSError as why:
            raise Fault(path, f"cannot be read ({why.strerror})") from None

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of a file of at most `limit`."""
        with self.open(path) as file:
            try:
                data = file.read(limit + 1)
            except OSError as why:
                raise Fault(path, f"cannot be read ({why.strerror})") from None
        if len(data) > limit:
            raise Fault(path, f"longer than {limit:,} bytes")
        return data

    def pieces(self, path: str, length: int) -> Iterator[bytes]:
        """Yield the bytes of a file, `length` at a time."""
        with self.open(path) as file:
            try:
                while piece := file.read(length):
                    yield piece
            except OSError as why:
                raise Fault(path, f"cannot be read ({why.strerror})") from None


class Agreement:
    """An agreement's bytes and what its TOML says; whatever it leaves out makes the act that needs it invalid."""

    def __init__(self, data: bytes) -> None:
        """Parse the exact bytes; raise ValueError."""
        self.data = data
        try:
            self.table = tomllib.loads(data.decode())
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def get(self, *path: str) -> Any:
        """Return what stands at `path`, or None."""
        value: Any = self.table
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def authority(self, party: str) -> dict[str, bytes]:
        """Return the party's authority keys by key id."""
        listed = self.get("party", party, "authority")
        keys = [(text, parse_key(text, "ed25519")) for text in listed] if isinstance(listed, list) else []
        return {key_id(text): raw for text, raw in keys if raw is not None}

    def signers(self, act: str) -> int:
        """Return how many persons must sign such an act."""
        return _count(self.get("acts", "signers", act), f"acts.signers.{act}")

    def area(self, name: str) -> tuple[int, set[str]]:
        """Return an area's approvals and roles: its own, else those of [terms]."""
        own, terms = self.get("area", name), self.get("terms")
        if not isinstance(own, dict):
            raise Invalid(f"the agreement has no area {name}")
        merged = {**(terms if isinstance(terms, dict) else {}), **own}
        roles = merged.get("roles")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise Invalid(f"the agreement names no roles for {name}")
        return _count(merged.get("approvals"), f"{name}.approvals"), set(roles)


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise Invalid(f"the agreement gives no number for {name}")
    return value


class Agreements:
    """The agreements a served tree holds, by hash, each read once and held to its name."""

    def __init__(self, folder: Folder, report: Report) -> None:
        self.folder, self.report = folder, report
        self.named: dict[str, bool] = {}  # hash: whether the file must be there
        self.known: dict[str, Agreement | None] = {}

    def name(self, wanted: str, *, must: bool) -> None:
        """Note that an entry names an agreement, so that its file is expected."""
        self.named[wanted] = self.named.get(wanted, False) or must

    def get(self, wanted: str) -> Agreement:
        """Return the agreement of that hash; raise Invalid where it is not here or is no TOML."""
        if wanted not in self.known:
            self.known[wanted] = self._read(wanted)
        found = self.known[wanted]
        if found is None:
            raise Invalid(f"agreement {wanted[:16]} cannot be had")
        return found

    def _read(self, wanted: str) -> Agreement | None:
        path = f"agreement/{wanted}"
        if path not in self.folder.files:
            return None
        try:
            data = self.folder.read(path, AGREEMENT_LIMIT)
        except Fault as fault:
            self.report.fail(self.folder.place(path), fault.args[1])
            return None
        if digest("agreement", data, "toml") != wanted:
            self.report.fail(self.folder.place(path), "its bytes do not hash to its name")
            return None
        try:
            return Agreement(data)
        except ValueError:
            return None


# --- 7 register --------------------------------------------------------------------------------------------------


class Register:
    """`own` or `mirror`: a checkpoint, the entries, and the tiles between them."""

    def __init__(self, folder: Folder, side: str, report: Report) -> None:
        """Read it all; afterwards `sound` says whether entries, tiles and checkpoint are one tree."""
        self.folder, self.side, self.report = folder, side, report
        self.tree, self.sound, self.signed = Tree(), False, False
        self.expected: set[str] = {f"{side}/checkpoint"}
        self.note: Note | None = None
        try:
            self.note = parse_note(folder.read(f"{side}/checkpoint", 4_096))
        except Fault as fault:
            report.fail(folder.place(fault.args[0]), fault.args[1])
        except ValueError as why:
            report.fail(self.place("checkpoint"), str(why))
        if self.note and self._complete(self.note.size):
            self._join(self.note)

    def place(self, path: str) -> str:
        """Return a path below this register as it is named in the report."""
        return self.folder.place(f"{self.side}/{path}")

    def _complete(self, size: int) -> bool:
        """Return whether every tile and bundle of a tree of `size` is there."""
        if size == 0 or size > 256 * len(self.folder.files):
            self.report.fail(self.place("checkpoint"), f"its size is {size}, which the files here do not reach")
            return False
        for level, number, width in tiles(size):
            path = tile_path(number, width)
            self.expected |= {f"{self.side}/tile/{kind}/{path}" for kind in ((level,) if level else (0, "entries"))}
        missing = sorted(self.expected - self.folder.files.keys())
        for path in missing:
            self.report.fail(self.folder.place(path), "missing")
        if missing:
            self.report.fail(self.place("checkpoint"), f"not verified: files of its tree of {size} are missing")
        return not missing

    def _join(self, note: Note) -> None:
        """Recompute the tree from the entries and hold checkpoint and tiles to it, naming the piece that differs."""
        before, tree = self.report.failed, Tree()
        try:
            for leaf, _ in self.bundles():
                tree.append(leaf)
        except Fault as fault:
            self.report.fail(self.folder.place(fault.args[0]), fault.args[1])
        parts, stored = self._tiles(note.size)
        entries_good = tree.size == note.size and tree.root(note.size) == note.root
        tiles_good = stored.size == note.size and stored.root(note.size) == note.root
        truth = tree if entries_good or not tiles_good else stored
        if not entries_good and not tiles_good:
            self.report.fail(self.place("checkpoint"), "its root is neither that of the entries nor that of the tiles")
        for index in range(tree.size if truth is stored else 0):
            if tree.part(0, index, 1) != stored.part(0, index, 1):
                path = tile_path(index // 256, min(256, note.size - index // 256 * 256))
                detail = f"entry {index} does not hash to its leaf (corruption)"
                self.report.fail(self.place(f"tile/entries/{path}"), detail)
        for (level, number, width), data in parts.items():
            if data != truth.part(8 * level, 256 * number, width):
                path = f"tile/{level}/{tile_path(number, width)}"
                self.report.fail(self.place(path), "not the hashes of the entries")
        self.tree, self.sound = tree, entries_good and self.report.failed == before
        if self.sound:
            self.report.entries += note.size
            self.report.ok(
                self.folder.place(self.side), f"{note.size} entries and their tiles give root {note.root.hex()[:16]}"
            )

    def _tiles(self, size: int) -> tuple[dict[tuple[int, int, int], bytes], Tree]:
        """Return every hash tile as stored, and the tree that level 0 makes."""
        parts: dict[tuple[int, int, int], bytes] = {}
        stored = Tree()
        for tile in tiles(size):
            level, number, width = tile
            try:
                parts[tile] = self.folder.read(f"{self.side}/tile/{level}/{tile_path(number, width)}", 8_192)
            except Fault as fault:
                self.report.fail(self.folder.place(fault.args[0]), fault.args[1])
                continue
            if level == 0 and len(parts[tile]) == 32 * width:
                for start in range(0, 32 * width, 32):
                    stored.append(parts[tile][start : start + 32])
        return parts, stored

    def bundles(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (leaf hash, bytes) of every entry, one bundle in memory at a time."""
        size = self.note.size if self.note else 0
        for level, number, width in tiles(size):
            if level:
                return
            path = f"{self.side}/tile/entries/{tile_path(number, width)}"
            data, start = self.folder.read(path, BUNDLE_LIMIT), 0
            for index in range(width):
                end = start + 2 + int.from_bytes(data[start : start + 2], "big")
                if start + 2 > len(data) or end > len(data):
                    raise Fault(path, f"the framing breaks at entry {256 * number + index}")
                yield leaf_hash(data[start + 2 : end]), data[start + 2 : end]
                start = end
            if start != len(data):
                raise Fault(path, "bytes after the last entry")

    def check_lines(self, law: Law, cosigner: Law | None) -> None:
        """Hold the note to exactly its expected lines: the log's, and on a mirror the cosignature of its keeper."""
        note, lines = self.note, list(self.note.lines) if self.note else []
        if note is None:
            return
        problem = ""
        if cosigner:
            name = f"entente/{note.origin.agreement}/{note.origin.partner}/mirror"
            last = lines.pop()
            if not any(note.signed(last, MIRROR, name, key) for key in cosigner.machine("mirror")):
                problem = "its last line is not the cosignature of this node's mirror key"
        keys = law.machine("log")
        orders = (keys[-1:], keys[-2:], keys[-2:][::-1])  # a new log key: the checkpoint over it is signed by both
        name = note.origin.name
        good = (
            len(order) == len(lines) and all(map(note.signed, lines, repeat(LOG), repeat(name), order))
            for order in orders
        )
        if not keys or not any(good):
            problem = problem or "its log lines are not exactly the signature of the log key certified in the register"
        if problem:
            self.report.fail(self.place("checkpoint"), problem)
            return
        self.signed = True
        self.report.heads += 1
        self.report.signatures += len(note.lines)
        self.report.ok(
            self.place("checkpoint"), f"size {note.size}, {len(note.lines)} signature line(s), none unexpected"
        )


# --- 8 law -------------------------------------------------------------------------------------------------------


@dataclass
class Certified:
    """A key as its register certifies it; from entry `revoked` on it holds no more."""

    key: bytes
    revoked: int | None = None
    commitment: str = ""
    roles: set[str] = field(default_factory=set)
    areas: set[str] = field(default_factory=set)
    until: str = "9999"

    def holds(self, index: int) -> bool:
        """Return whether the key is unrevoked at `index`."""
        return self.revoked is None or index < self.revoked


@dataclass
class Release:
    """A well-formed release and what verifies it: files must be there only while it is valid and not ended."""

    index: int
    rid: str
    area: str
    agreement: str
    blob: str
    blob_bytes: int
    key_digest: str
    ancestors: tuple[str, ...]
    originator: str
    valid: bool = False
    ended: bool = False
    withdrawn: bool = False


class Law:
    """One register read under the law of its author; what it certifies is true only of the entries read so far."""

    partner: Law | None = None  # the other register's, where it is here and sound

    def __init__(self, register: Register, origin: Origin, other: Register | None, agreements: Agreements) -> None:
        """Take a sound register, to be read; `other` is the partner's register as held here, if it is sound."""
        self.register, self.origin, self.agreements, self.report = register, origin, agreements, register.report
        self.other = other if other and other.sound else None
        self.persons: dict[str, Certified] = {}
        self.machines: dict[str, list[Certified]] = {name: [] for name in MACHINES}
        self.adopted: set[str] = set()
        self.acts: set[str] = set()
        self.standings: dict[str, dict[str, Any]] = {}
        self.releases: dict[str, Release] = {}
        self.appended: list[
            Release
        ] = []  # every well-formed one, repeats and invalid ones too: their files may be here
        self.endings: list[tuple[str, list[list[int]], int]] = []  # (origin, spans, index) answered destroyed, returned
        self.derived: dict[str, list[Release]] = {}  # by rid of the partner's release that they derive from
        self.stated: dict[str, tuple[int, dict[str, Any]]] = {}  # undertakings by act id
        self.undertaken: dict[str, str] = {}  # by key: the act id that is current
        self.seen, self.begun, self.size, self.done = (1, 0), False, 0, False
        self.place = register.folder.place(register.side)
        self.bad, self.unchecked = 0, 0
        self.waiting = self.register.bundles()
        self.next = next(self.waiting, None)

    def advance(self, *, force: bool = False) -> bool:
        """Read on until an entry has seen what is not read yet of the partner's register; return whether it moved."""
        before = self.size
        while not self.done and self.next is not None and (force or not self._waits(self.next[1])):
            self._take(*self.next)
            force, self.next = False, next(self.waiting, None)
        if self.next is None and not self.done:
            self.done = True
            told = f"{self.size - self.bad - self.unchecked} valid, {self.bad} invalid (listed), "
            self.report.ok(f"{self.place} entries", f"{told}{self.unchecked} not checked")
        return self.size > before

    def _take(self, leaf: bytes, raw: bytes) -> None:
        """Judge the next entry, and count it."""
        index = self.size
        if leaf != self.register.tree.part(0, index, 1):
            raise Fault(f"{self.register.side}/tile/entries", "changed while it was read")
        try:
            self._judge(index, raw)
            self.begun = True
        except (Invalid, Unchecked) as why:
            if index == 0:
                self.report.fail(f"{self.place} entry 0", f"does not begin the register: {why}")
                self.done = True
                return
            if isinstance(why, Invalid):
                self.bad += 1
                self.report.bad_entry(f"{self.place} entry {index}", str(why))
            else:
                self.unchecked += 1
                where = "the epoch before" if self.origin.epoch > 1 else "the partner's register"
                self.report.skip(f"{self.place} entry {index}, which rests on {where} ({why})")
        self.size = index + 1

    def _waits(self, raw: bytes) -> bool:
        """Return whether an entry truly saw entries of the partner's that are not read yet."""
        if self.partner is None or self.partner.done or self.other is None or self.other.note is None:
            return False
        try:
            seen = decode(raw)["seen"]
            size, root = seen["size"], seen["root"]
            ahead = type(size) is int and self.partner.size < size <= self.other.note.size
            return ahead and self.other.tree.root(size).hex() == root
        except (Invalid, KeyError, TypeError):
            return False

    def machine(self, subject: str) -> list[bytes]:
        """Return the unrevoked keys of a machine subject, newest last; none for a log whose newest key is revoked."""
        keys = self.machines[subject]
        if subject == "log" and keys and not keys[-1].holds(self.size - 1):
            return []
        return [key.key for key in keys if key.holds(self.size - 1) or subject == "log"]

    def _judge(self, index: int, raw: bytes) -> None:
        """Apply entry `index`, or raise Invalid and leave everything as it was."""
        if len(raw) > ENTRY_LIMIT:
            raise Invalid(f"longer than {ENTRY_LIMIT:,} bytes")
        entry = decode(raw)
        ENVELOPE(entry, "entry")
        kind, body, problem = entry["kind"], entry["body"], self._look(entry["seen"])
        BODY[kind](body, kind)
        known = self._name(index, entry)
        if (index == 0) != (kind in ("genesis", "epoch")):
            raise Invalid("genesis or epoch is entry 0, and entry 0 only")
        if problem or known:
            raise Invalid(problem or known)
        if index and entry["agreement"] not in self.adopted:
            raise Invalid("acts under an agreement its register has not adopted")
        signed = pae(kind, canonical({"agreement": entry["agreement"], "body": body, "origin": self.origin.name}))
        act = hashlib.sha256(signed).hexdigest()
        if kind not in ("release", "answer") and act in self.acts:
            raise Invalid("repeats an act")
        if kind in ("release", "answer") and entry["sigs"]:
            raise Invalid(f"{kind} carries sigs")
        getattr(self, f"_{kind}")(index, entry, body, signed, act)
        self.acts.add(act)
        self.seen = (entry["seen"]["epoch"], entry["seen"]["size"])

    def _name(self, index: int, entry: dict[str, Any]) -> str:
        """Note which files a well-formed entry names, valid or not; return what is wrong if it repeats a release."""
        body = entry["body"]
        if index == 0:
            self.agreements.name(entry["agreement"], must=True)
        elif entry["kind"] == "adopt":
            self.agreements.name(body["agreement"], must=self.register.side == "own")
        elif entry["kind"] == "release":
            core, sealed = body["core"], body["sealed"]
            rid = digest("core", canonical(core))
            files = sealed["blob"], sealed["blob_bytes"], sealed["key_digest"]
            line = tuple(core["ancestors"]), core["marking"]["originator"]
            release = Release(index, rid, core["area"], core["agreement"], *files, *line)
            self.appended.append(release)
            if self.releases.setdefault(rid, release) is not release:
                return "repeats a release"
        return ""

    def _look(self, seen: dict[str, Any]) -> str:
        """Return what is wrong with `seen`: it never falls, is never beyond the partner's register, has its root."""
        epoch, size, root = seen["epoch"], seen["size"], seen["root"]
        if (epoch, size) < self.seen:
            return "seen falls"
        if size == 0 and root != EMPTY_ROOT:
            return "seen.root is not that of the empty register"
        here, place = self.other.note if self.other else None, self.register.folder.place(self.register.side)
        if here is None or self.other is None:
            folder = self.register.folder
            if size and self.register.side == "own" and not any(path.startswith("mirror/") for path in folder.files):
                self.report.fail(folder.place("mirror/checkpoint"), "missing, though our entries saw it")
            elif size:
                self.report.skip(f"{place}: seen, as the partner's register is not here (or not sound)")
        elif epoch < here.origin.epoch:
            self.report.skip(f"{place}: seen of an earlier epoch")
        elif epoch > here.origin.epoch or size > here.size:
            return "seen is beyond the partner's register"
        elif self.other.tree.root(size).hex() != root:
            return "seen.root is not the partner's root at that size"
        return ""

    def _signers(self, entry: dict[str, Any], signed: bytes, keys: dict[str, bytes]) -> set[str]:
        """Return who signed; every one of them must be in `keys` and every signature must verify."""
        for one in entry["sigs"]:
            if one["by"] not in keys:
                raise Invalid(f"signed by {one['by'][:40]}, who may not sign this here")
            self._verify(one, keys[one["by"]], signed)
        return {one["by"] for one in entry["sigs"]}

    def _verify(self, one: dict[str, Any], key: bytes, message: bytes) -> None:
        if not ed25519(key, bytes.fromhex(one["sig"]), message):
            raise Invalid(f"the signature of {one['by'][:40]} does not verify")
        self.report.signatures += 1

    def _authority(self, entry: dict[str, Any], signed: bytes, *more: tuple[str, bytes]) -> None:
        """Hold for an act signed by the author's authority and by each key in `more`."""
        keys = self.agreements.get(entry["agreement"]).authority(self.origin.author)
        by = self._signers(entry, signed, {**keys, **dict(more)})
        if not by & keys.keys() or not by >= {name for name, _ in more}:
            raise Invalid("not signed by the authority (and the replaced key)")

    def _person(self, handle: str, index: int, at: str) -> Certified | None:
        """Return the person certified under this handle, unrevoked and unexpired, at `index`."""
        one = self.persons.get(handle)
        if one is None and self.origin.epoch > 1 and HANDLE.fullmatch(handle):
            raise Unchecked(f"{handle} may be certified there")
        return one if one and one.holds(index) and at < one.until else None

    def _people(self, index: int, entry: dict[str, Any], signed: bytes, need: int, roles: set[str] | None) -> None:
        """Hold for an act signed by `need` distinct persons who hold one of `roles` (any, where none is asked for)."""
        found = {one["by"]: self._person(one["by"], index, entry["at"]) for one in entry["sigs"]}
        live = {handle: one for handle, one in found.items() if one}
        self._signers(entry, signed, {handle: one.key for handle, one in live.items()})
        who = {one.commitment for one in live.values() if not roles or one.roles & roles}
        if len(who) < need:
            raise Invalid(f"signed by {len(who)} persons, {need} are needed")

    def _genesis(self, _: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, __: str) -> None:
        agreement = self.agreements.get(entry["agreement"])
        again = entry["kind"] == "epoch"
        if body["new_origin" if again else "origin"] != self.origin.name or again != (self.origin.epoch > 1):
            raise Invalid("names another origin than the checkpoint")
        if body.get("agreement", entry["agreement"]) != entry["agreement"]:
            raise Invalid("names two agreements")
        parties = [self.origin.author, self.origin.partner]
        if agreement.get("id") != self.origin.agreement or not all(map(agreement.authority, parties)):
            raise Invalid("the agreement is not that of the origin, or has no authority keys for both parties")
        if again:
            old = Origin.parse(body["old"]["origin"])
            both = [agreement.authority(party) for party in parties]
            by = self._signers(entry, signed, {**both[0], **both[1]})
            if (
                old is None
                or old.name.rpartition("/")[0] != self.origin.name.rpartition("/")[0]
                or old.epoch >= self.origin.epoch
            ):
                raise Invalid("does not continue an earlier epoch of this register")
            if not all(by & keys.keys() for keys in both):
                raise Invalid("not signed by both authorities")
        else:
            self._authority(entry, signed)
        for subject in ("log", "mirror", "kem"):
            self.machines[subject].append(Certified(bytes.fromhex(body["keys"][subject]["key"].partition(":")[2])))
        self.adopted.add(entry["agreement"])

    _epoch = _genesis

    def _adopt(self, _: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, __: str) -> None:
        new, old = self.agreements.get(body["agreement"]), body.get("supersedes", entry["agreement"])
        first = len(self.adopted) == 1 and body["agreement"] in self.adopted
        if old not in self.adopted or ("supersedes" not in body and not first):
            raise Invalid("supersedes nothing that was adopted")
        if new.get("id") != self.origin.agreement:
            raise Invalid("adopts the agreement of another register")
        ours, before = new.authority(self.origin.author), self.agreements.get(old).authority(self.origin.author)
        if body["sig"]["by"] not in ours:
            raise Invalid("the agreement is not signed by the author's authority")
        self._verify(body["sig"], ours[body["sig"]["by"]], pae("agreement", new.data, "toml"))
        by = self._signers(entry, signed, {**ours, **before})
        if not by & before.keys() or not by & ours.keys():
            raise Invalid("not signed by the authority, before and after")
        self.adopted.add(body["agreement"])

    def _key(self, index: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, _: str) -> None:
        subject, raw = body["subject"], bytes.fromhex(body["key"].partition(":")[2])
        revoked = body["revoked"]["from_index"] if "revoked" in body else None
        if revoked is not None and revoked < index:
            raise Invalid("revokes before its own index")
        person = self._fits(subject, body)
        held = [self.persons[subject]] if subject in self.persons else self.machines.get(subject, [])
        current = held[-1] if held and held[-1].holds(index) else None
        rotated = revoked is None and subject in ("log", "mirror", "tls") and current is not None and current.key != raw
        old = [(key_id(f"ed25519:{current.key.hex()}"), current.key)] if rotated and current else []
        if not person and old and body.get("replaces", old[0][0]) != old[0][0]:
            raise Invalid("replaces a key that is not the current one")
        self._authority(entry, signed, *old)
        if revoked is not None:
            for one in held:
                if one.key == raw:
                    one.revoked = min(revoked, one.revoked if one.revoked is not None else revoked)
        elif person:
            self.persons[subject] = Certified(
                raw, None, body["commitment"], set(body["roles"]), set(body["areas"]), body["until"]
            )
        elif all(one.key != raw for one in held):
            self.machines[subject].append(Certified(raw))

    def _fits(self, subject: str, body: dict[str, Any]) -> bool:
        """Return whether the subject is a person; raise Invalid where key and fields do not fit it."""
        person = HANDLE.fullmatch(subject)
        if parse_key(body["key"], *MACHINES.get(subject, ("ed25519",))) is None:
            raise Invalid("a key of the wrong algorithm for its subject")
        if person and (person[1] != self.origin.author or "commitment" not in body or "ceiling" not in body):
            raise Invalid("a person of the author's has a commitment and a ceiling")
        if not person and ("commitment" in body or "ceiling" in body):
            raise Invalid("a machine has neither commitment nor ceiling")
        return person is not None

    def _assurance(self, _: int, entry: dict[str, Any], __: dict[str, Any], signed: bytes, ___: str) -> None:
        self._authority(entry, signed)

    def _term(self, index: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, _: str) -> None:
        self._people(index, entry, signed, self.agreements.get(entry["agreement"]).signers(body["act"]), None)

    def _standing(self, index: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, act: str) -> None:
        agreement = self.agreements.get(entry["agreement"])
        if body.keys() == {"revokes", "nonce"}:
            if body["revokes"] not in self.standings:
                if self.origin.epoch > 1:
                    raise Unchecked("a standing act")
                raise Invalid("revokes no standing act of this register")
            roles = agreement.area(self.standings[body["revokes"]]["class"]["area"])[1]
            self._people(index, entry, signed, agreement.signers("revoke"), roles)
            del self.standings[body["revokes"]]
        elif body.keys() == {"class", "per_day", "until", "nonce"}:
            self._people(index, entry, signed, *agreement.area(body["class"]["area"]))
            self.standings[act] = body
        else:
            raise Invalid("neither a standing act nor its revocation")

    def _release(self, index: int, entry: dict[str, Any], body: dict[str, Any], _: bytes, __: str) -> None:
        core, at, release = body["core"], entry["at"], self.appended[-1]
        for rid in release.ancestors:
            self.derived.setdefault(rid, []).append(release)
        if core["origin"] != self.origin.name or core["to"] != self.origin.partner:
            raise Invalid("core names another register or recipient")
        if core["agreement"] not in self.adopted:
            raise Invalid("core names an agreement its register has not adopted")
        approvals = body["approvals"]
        if "standing" in core:
            standing = self.standings.get(core["standing"])
            if standing is None and self.origin.epoch > 1:
                raise Unchecked("a standing act")
            if approvals or standing is None or not at < standing["until"] or standing["class"]["area"] != core["area"]:
                raise Invalid("no live standing act covers it")
        else:
            need, roles = self.agreements.get(core["agreement"]).area(core["area"])
            who = [self._approval(index, at, release.rid, core["area"], one) for one in approvals]
            if len({one.commitment for one in who}) < need or len({one.key for one in who}) < need:
                raise Invalid(f"fewer than {need} distinct persons approve it")
            if not roles <= {one["role"] for one in approvals}:
                raise Invalid("a role that must approve is missing")
        release.valid = True

    def _approval(self, index: int, at: str, rid: str, area: str, one: dict[str, Any]) -> Certified:
        """Return the person whose approval this is."""
        person = self._person(one["by"], index, at)
        if person is None or one["role"] not in person.roles or area not in person.areas or not at < one["until"]:
            raise Invalid(f"{one['by'][:40]} cannot approve this, or no more")
        said = {"by": one["by"], "rid": rid, "role": one["role"], "until": one["until"]}
        self._verify(one, person.key, pae("approval", canonical(said)))
        return person

    def _order(self, index: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, _: str) -> None:
        agreement, release = self.agreements.get(entry["agreement"]), self.releases.get(body["rid"])
        if ("marking" in body) != (body["act"] == "reclass"):
            raise Invalid("a marking belongs to reclass, and to it alone")
        if release is None:
            if self.origin.epoch > 1:
                raise Unchecked("a release")
            raise Invalid("names no release of this register")
        self._people(index, entry, signed, agreement.signers("order"), agreement.area(release.area)[1])
        if "marking" in body:
            marked = body["marking"]
            scale = marked["originator"] if agreement.get("party", marked["originator"]) else self.origin.author
            levels = agreement.get("party", scale, "levels")
            if marked["originator"] != release.originator:
                raise Invalid("reclassifies to another originator")
            if not isinstance(levels, list) or marked["level"] not in levels:
                raise Invalid("reclassifies to a level that its scale has not")
        release.ended = release.ended or body["act"] in ("withdraw", "destroy")
        release.withdrawn = release.withdrawn or body["act"] == "withdraw"

    def _incident(self, index: int, entry: dict[str, Any], _: dict[str, Any], signed: bytes, __: str) -> None:
        self._people(index, entry, signed, self.agreements.get(entry["agreement"]).signers("incident"), None)

    def _undertaking(self, index: int, entry: dict[str, Any], body: dict[str, Any], signed: bytes, act: str) -> None:
        self._people(index, entry, signed, self.agreements.get(entry["agreement"]).signers("undertaking"), None)
        if sorted((body["from"], body["to"])) != sorted((self.origin.author, self.origin.partner)):
            raise Invalid("is not from one party to the other")
        current, amends, restates = self.undertaken.get(body["key"]), body.get("amends"), body.get("restates")
        for name, gone in ((amends, False), (restates, self.partner is None)):
            if name and name not in self.stated and (gone or self.origin.epoch > 1):
                raise Unchecked("an undertaking")
        if amends != current:
            raise Invalid("amends another than the current one" if amends else "is a second one under its key")
        if restates:
            theirs = self.partner.stated.get(restates) if self.partner else None
            theirs = theirs if theirs and theirs[0] < entry["seen"]["size"] else None
            _, source = self.stated.get(restates) or theirs or (0, None)
            if source is None:
                raise Invalid("restates what its author has not seen")
            apart = {"nonce", "source", "amends", "restates", "key"}
            if {k: v for k, v in body.items() if k not in apart} != {k: v for k, v in source.items() if k not in apart}:
                raise Invalid("restates other content")
        self.stated[act] = index, body
        self.undertaken[body["key"]] = act

    def _claim(self, index: int, entry: dict[str, Any], _: dict[str, Any], signed: bytes, __: str) -> None:
        role = self.agreements.get(entry["agreement"]).get("acts", "roles", "claim")
        if not isinstance(role, str):
            raise Invalid("the agreement names no role for claims")
        self._people(index, entry, signed, 1, {role})

    def _answer(self, index: int, entry: dict[str, Any], body: dict[str, Any], __: bytes, ___: str) -> None:
        about, spans = Origin.parse(body["re"]["origin"]), body["re"]["spans"]
        if about is None or not about.answers(self.origin) or about.epoch > entry["seen"]["epoch"]:
            raise Invalid("answers another register than the partner's")
        if about.epoch == entry["seen"]["epoch"] and spans[-1][1] >= entry["seen"]["size"]:
            raise Invalid("answers what it has not seen")
        if body["witnesses"] or body["outcome"] == "destroyed":
            self.report.skip("witnesses of answers (which bytes they sign is not documented)")
        if body["outcome"] in ("destroyed", "returned"):
            self._may_end(about, spans, entry["seen"]["size"])
            self.endings.append((about.name, spans, index))

    def _may_end(self, about: Origin, spans: list[list[int]], seen: int) -> None:
        """Hold for an ending from which nothing derives here that stands: withdrawn, ended and returned is well."""
        partner = self.partner
        if not self.derived:
            return
        if partner is None or about.name != partner.origin.name:
            raise Unchecked("releases that others derive from")
        mine, theirs = set[str](), {
            release.rid
            for release in partner.appended
            if any(first <= release.index <= last for first, last in spans)
        }  # fmt: skip
        wave = list(theirs)
        while wave:
            below = [one for rid in wave for one in self.derived.get(rid, ()) if one.rid not in mine]
            mine |= {one.rid for one in below}
            for one in below:
                if (
                    not one.withdrawn
                    and one.originator != self.origin.partner
                    and not partner.has_ended(one, self, seen)
                ):
                    raise Invalid(f"ends what its release at {one.index} derives from")
            onward = [two for one in below for two in partner.derived.get(one.rid, ()) if two.index < seen]
            wave = [two.rid for two in onward if two.rid not in theirs]
            theirs |= set(wave)

    def has_ended(self, release: Release, author: Law, size: int) -> bool:
        """Return whether the first `size` entries answer a release of the partner's as destroyed or returned."""
        return any(
            name == author.origin.name and index < size and any(a <= release.index <= b for a, b in spans)
            for name, spans, index in self.endings
        )


# --- 9 node, demo ------------------------------------------------------------------------------------------------


class Node:
    """One served tree, verified."""

    def __init__(self, root: str, shown: str, report: Report) -> None:
        """Verify everything that one node serves."""
        self.report, self.shown = report, shown
        if os.path.islink(root) or not os.path.isdir(root):
            report.fail(shown or ".", "missing, or not a folder")
        self.folder = Folder(root, shown, report) if os.path.isdir(root) and not os.path.islink(root) else None
        self.own: Register | None = None
        self.mirror: Register | None = None
        self.law: Law | None = None
        if self.folder:
            try:
                self._verify(self.folder)
            except Fault as fault:
                report.fail(self.folder.place(fault.args[0]), fault.args[1])

    def _verify(self, folder: Folder) -> None:
        report = self.report
        agreements = Agreements(folder, report)
        self.own = own = Register(folder, "own", report)
        if any(path == "mirror" or path.startswith("mirror/") for path in (*folder.folders, *folder.files)):
            self.mirror = Register(folder, "mirror", report)
        else:
            report.skip(f"{folder.place('mirror')}: this node has not pulled yet")
        mirror = self.mirror
        if own.note and mirror and mirror.note and not mirror.note.origin.answers(own.note.origin):
            report.fail(mirror.place("checkpoint"), "is not the register that runs the other way")
            mirror.sound = False
        laws: dict[str, Law] = {}
        for register, other in ((own, mirror), (mirror, own)):
            if register and register.note and register.sound:
                laws[register.side] = Law(register, register.note.origin, other, agreements)
            elif register:
                report.skip(f"{register.place('checkpoint')}: signatures and entries of an unsound register")
        ours, theirs = laws.get("own"), laws.get("mirror")
        read_together(ours, theirs)
        for law in laws.values():
            note = law.register.note
            if note and law.begun and (law is ours or note.origin.author not in report.registers):
                report.registers[note.origin.author] = {"size": note.size, "root": note.root.hex()}
        self._heads(ours, theirs)
        expected = self._releases(folder, ours, theirs) | self._agreements(folder, agreements)
        self._files(folder, expected, complete=bool(ours and ours.begun and (not mirror or (theirs and theirs.begun))))

    def _heads(self, ours: Law | None, theirs: Law | None) -> None:
        """Check the signature lines of both checkpoints; one that could not be checked is a fault."""
        if ours and ours.begun:
            self.law = ours
            ours.register.check_lines(ours, None)
            if theirs and theirs.begun:
                theirs.register.check_lines(theirs, ours)
        for register, law in ((self.own, ours), (self.mirror, theirs)):
            unnamed = register and register.sound and not (law and law.begun)
            if register and not register.signed and (unnamed or not self.report.failed):
                self.report.fail(register.place("checkpoint"), "not verified: entry 0 certifies no key for it")

    def _agreements(self, folder: Folder, agreements: Agreements) -> set[str]:
        """Check each named agreement, and return the paths."""
        good, before = 0, self.report.failed
        for name, must in sorted(agreements.named.items()):
            if f"agreement/{name}" not in folder.files and must:
                self.report.fail(folder.place(f"agreement/{name}"), "missing")
            try:
                agreements.get(name)
                good += 1
            except Invalid:
                continue
        if self.report.failed == before:
            self.report.ok(
                folder.place("agreement"),
                f"{good} of {len(agreements.named)} named agreement(s) here, each hashing to its name",
            )
        return {f"agreement/{name}" for name in agreements.named}

    def _releases(self, folder: Folder, ours: Law | None, theirs: Law | None) -> set[str]:
        """Check blob, leaves and key of every release of `own`, and return the paths."""
        if ours is None:
            return set()
        ended = answered_as_ended(ours, theirs)
        before, here = self.report.failed, 0
        needed: dict[str, Release] = {}
        keys: dict[str, str] = {}
        blobs: set[tuple[str, int]] = set()
        for release in ours.appended:
            keys.setdefault(f"key/{release.rid}", release.key_digest)
            blobs.add((release.blob, release.blob_bytes))
            over = release.ended or ended[release.index] or went_home(release, ours, theirs)
            if release.valid and not over:
                needed |= {f"blob/{release.blob}": release, f"leaves/{release.blob}": release}
        for path, release in needed.items():
            if path not in folder.files:
                self.report.fail(
                    folder.place(path), f"missing: release {release.rid[:16]} (entry {release.index}) is not ended"
                )
        checks = [partial(check_key, folder, path, wanted) for path, wanted in keys.items()]
        checks += [partial(check_blob, folder, root, size) for root, size in sorted(blobs)]
        for check in checks:
            try:
                here += check()
            except Fault as fault:
                self.report.fail(folder.place(fault.args[0]), fault.args[1])
        if self.report.failed == before:
            self.report.ok(
                folder.place("blob"), f"{here} blobs and keys of {len(ours.appended)} release(s) here, all as entered"
            )
        return keys.keys() | {f"{kind}/{root}" for root, _ in blobs for kind in ("blob", "leaves")}

    def _files(self, folder: Folder, expected: set[str], *, complete: bool) -> None:
        """Fail on everything that is not expected; where a register is unsound, what it would name is left alone."""
        registers = [one for one in (self.own, self.mirror) if one]
        blind = [f"{one.side}/" for one in registers if one.note is None or not one.sound]
        blind += [] if complete else ["agreement/", "key/", "blob/", "leaves/"]
        for register in registers:
            expected = expected | register.expected
        allowed = {"agreement", "key", "blob", "leaves"}
        for path in expected & folder.files.keys():
            while (path := os.path.dirname(path)) and path not in allowed:
                allowed.add(path)
        unknown = [path for path in folder.files if path not in expected]
        unknown += [f"{path}/" for path in folder.folders if path not in allowed and f"{path}/" not in blind]
        bad = sorted(path for path in unknown if not path.startswith(tuple(blind)))
        for path in bad:
            self.report.fail(folder.place(path), "unknown: not part of a served tree")
        if blind:
            self.report.skip(f"{folder.place('.')}: unknown files below {' '.join(blind)}")
        elif not bad:
            self.report.ok(folder.place(""), f"{len(folder.files)} files, none unknown")


def read_together(ours: Law | None, theirs: Law | None) -> None:
    """Read both registers, each entry after those it saw; who reads one first reads the same."""
    laws = [law for law in (ours, theirs) if law]
    if ours and theirs:
        ours.partner, theirs.partner = theirs, ours
    while laws:
        moved = [law.advance() for law in laws]
        laws = [law for law in laws if not law.done]
        if laws and not any(moved):  # entries that truly saw each other would need a hash cycle
            laws[0].advance(force=True)


def answered_as_ended(ours: Law, theirs: Law | None) -> bytearray:
    """Return a mark for each of our entries: whether the partner answered it destroyed or returned."""
    ended = bytearray(ours.size)
    for origin, spans, _ in theirs.endings if theirs else []:
        for first, last in spans if origin == ours.origin.name else []:
            end = min(last + 1, ours.size)
            ended[first:end] = b"\1" * max(0, end - first)
    return ended


def went_home(release: Release, ours: Law, theirs: Law | None) -> bool:
    """Return whether a return is over: its author answered all that it brought home as destroyed or returned."""
    if theirs is None or not release.ancestors or release.originator != ours.origin.partner:
        return False
    above = {one.rid: one for one in theirs.appended if one.rid in release.ancestors}
    return len(above) == len(release.ancestors) and all(
        ours.has_ended(one, theirs, ours.size) for one in above.values()
    )


def check_key(folder: Folder, path: str, wanted: str) -> bool:
    """Return whether a wrapped key is here; raise Fault where it is another than its release says."""
    if path in folder.files and hashlib.sha256(folder.read(path, 1 << 16)).hexdigest() != wanted:
        raise Fault(path, "does not hash to key_digest")
    return path in folder.files


def check_blob(folder: Folder, root: str, size: int) -> bool:
    """Return whether the blob is here; raise Fault where it or its leaves differ. One chunk in memory at a time."""
    blob, leaves, count = f"blob/{root}", f"leaves/{root}", -(-size // CHUNK)
    if leaves in folder.files:
        if folder.files[leaves] != 32 * count:
            raise Fault(leaves, f"is not {count} leaf hashes")
        if root_of(folder.pieces(leaves, 32)).hex() != root:
            raise Fault(leaves, "does not give the root it is named by")
    if blob not in folder.files:
        return False
    if folder.files[blob] != size:
        raise Fault(blob, f"is {folder.files[blob]:,} bytes long, its release says {size:,}")
    if root_of(leaf_hash(chunk) for chunk in folder.pieces(blob, CHUNK)).hex() != root:
        stored = folder.pieces(leaves, 32) if leaves in folder.files else iter(())
        made = (leaf_hash(chunk) for chunk in folder.pieces(blob, CHUNK))
        bad = next((index for index, (one, other) in enumerate(zip(made, stored, strict=False)) if one != other), None)
        where = "" if bad is None else f": chunk {bad} does not hash to its leaf"
        raise Fault(blob, f"does not give the root it is named by{where} (corruption)")
    return True


def compare(keeper: Node, author: Node, report: Report) -> None:
    """Hold a mirror to the register it mirrors: only two validly signed heads that differ are a fork."""
    mirror, own, place = keeper.mirror, author.own, f"{keeper.shown}/mirror against {author.shown}/own"
    if not mirror or not own or not mirror.note or not own.note or not mirror.signed or not own.signed:
        report.skip(f"{place}: not both are there and sound")
    elif mirror.note.origin != own.note.origin:
        report.skip(f"{place}: they are of different epochs")
    else:
        least = min(mirror.note.size, own.note.size)
        if mirror.tree.root(least) != own.tree.root(least):
            report.fail(f"{keeper.shown}/mirror/checkpoint", f"fork: {author.shown}/own, signed too, is another tree")
        elif mirror.note.size > own.note.size:
            report.fail(
                f"{author.shown}/own/checkpoint", f"behind: {own.note.size} of {mirror.note.size} cosigned entries"
            )
        else:
            report.ok(place, f"the first {least} of {own.note.size} entries are the same")
    if not author.law or not own or not own.note or (mirror and not mirror.signed):
        return
    if mirror and mirror.note and mirror.note.origin == own.note.origin:
        size = mirror.note.size
    elif mirror is None:
        size = 0
    else:
        return
    for release in author.law.appended:
        agreement, path = author.law.agreements.known.get(release.agreement), f"key/{release.rid}"
        early = release.index >= size and not (agreement and agreement.get("key_before_ack") is True)
        if early and path in own.folder.files:
            report.fail(own.folder.place(path), "served before the partner's cosignature covers its release")


def read_demo(folder: Path) -> dict[str, str]:
    """Return each party's folder; raise ValueError or OSError where `demo.json` is not {PARTY: {dir}}."""
    with Path(path if (path := folder / "demo.json").is_file() else os.devnull).open("rb") as file:
        table = json.loads(file.read(1 << 20).decode(), object_pairs_hook=_pairs)
    parties = table if isinstance(table, dict) else {}
    places = {party: value["dir"] for party, value in parties.items() if isinstance(value, dict) and "dir" in value}
    good = [re.fullmatch("[A-Z]{2,8}", party) and isinstance(place, str) for party, place in places.items()]
    if len(good) < 2 or len(good) != len(parties) or not all(good):
        raise ValueError
    return {party: _beside(folder, place) for party, place in places.items()}


def _beside(folder: Path, place: str) -> str:
    """Return the folder of that name beside demo.json, as a demo may have been moved; else the one it names."""
    beside = folder / Path(place).name
    return os.path.realpath(beside if beside.is_dir() else folder / place)


def verify_demo(folder: Path, report: Report) -> None:
    """Verify every node that `demo.json` names, then each against the others."""
    try:
        places = read_demo(folder)
    except (ValueError, OSError, RecursionError, Invalid):
        report.fail("demo.json", "is not {PARTY: {dir}} for two parties or more")
        return
    base, nodes = os.path.realpath(folder), {}
    for party, path in places.items():
        shown = os.path.relpath(path, base) if path.startswith(base + os.sep) else path
        nodes[party] = node = Node(os.path.join(path, "served"), f"{shown}/served", report)
        note = node.own.note if node.own else None
        if note and (note.origin.author != party or note.origin.partner not in places):
            report.fail("demo.json", f"names {shown} as {party}, but its register is {note.origin.name}")
    for party, keeper in nodes.items():
        for other, author in nodes.items():
            note = author.own.note if author.own else None
            if party != other and (note is None or note.origin.partner == party):
                compare(keeper, author, report)


# --- 10 command --------------------------------------------------------------------------------------------------


def heads(folder: Path) -> list[bytes]:
    """Return the bytes of every checkpoint below: they tell whether a live node moved while it was read."""
    found = []
    for pattern in ("own/checkpoint", "mirror/checkpoint"):
        for path in sorted(
            [*folder.glob(pattern), *folder.glob(f"served/{pattern}"), *folder.glob(f"*/served/{pattern}")]
        ):
            try:
                with Path(path if path.is_file() else os.devnull).open("rb") as file:
                    found.append(file.read(4_096))
            except OSError:
                found.append(b"")
    return found


def verify(folder: Path) -> Report | None:
    """Return the report on `folder`, or None where there is nothing to verify; read again if a live node moved."""
    report = Report()
    for _ in range(3):
        before, report = [b""], Report()
        try:
            before = heads(folder)
            if os.path.lexists(folder / "demo.json"):
                verify_demo(folder, report)
            elif os.path.lexists(folder / "served"):
                Node(str(folder / "served"), "served", report)
            elif os.path.lexists(folder / "own"):
                Node(str(folder), "", report)
            else:
                return None
        except Exception as why:  # noqa: BLE001  fail closed: what was not foreseen is a fault, never a traceback
            report.fail(".", f"verification stopped: {type(why).__name__}: {why}")
        if not (report.failed or report.invalid_count) or heads(folder) == before:
            break
    if not os.path.lexists(folder / "demo.json"):
        report.skip("whether the partner holds the same registers, and keys served only after its cosignature")
    return report


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verify what an entente node serves, or a demo.")
    parser.add_argument("folder", metavar="DIR", help="a node's folder, its served tree, or a demo's folder")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON line at the end")
    parser.add_argument("--pure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.pure:
        global ed25519  # noqa: PLW0603  the one switch of this file
        ed25519 = verify_pure
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    report = verify(Path(options.folder)) if os.path.isdir(options.folder) else None
    if report is None:
        print(
            f"verify.py: nothing to verify in {show(options.folder)}: no demo.json, served/ or own/ there",
            file=sys.stderr,
        )
        return 2
    for line in report.lines:
        print(line)
    for what in report.not_checked:
        print(f"{'not checked':<12} {show(what)}")
    reached = ", ".join(f"{party} to {one['size']}" for party, one in sorted(report.registers.items())) or "no register"
    done = f"{report.entries} entries, {report.heads} heads, {report.signatures} signatures"
    rest = f"{report.invalid_count} invalid entries listed, {len(report.not_checked)} things not checked"
    print(f"verified {reached}: {done}; {report.failed} failed, {rest}")
    if options.json:
        print(json.dumps({
            "verified": {"entries": report.entries, "heads": report.heads, "signatures": report.signatures,
                         "failed": report.failed, "not_checked": report.not_checked},
            "registers": report.registers, "faults": report.faults,
            "invalid": {"count": report.invalid_count, "entries": report.invalid},
        }))  # fmt: skip
    return 3 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
