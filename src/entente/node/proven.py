"""The proof of one entry: its exact bytes, and every hash and note by which anyone can check that it stands there.

The entry leads to the last head that its register's log signed, and that head begins with the last one that the other
party cosigned. Source: RFC 6962 2.1, RFC 9162 2.1.3.2 and 2.1.4.2; C2SP signed-note, tlog-cosignature.
"""

from collections.abc import Iterator, Sequence

import msgspec

from entente.errors import FormatError, StateError, UsageError
from entente.node.ledger import PARTNER, Ledger, mirror_name
from entente.node.shelves import rank_of
from entente.register import note
from entente.register.checkpoint import Checkpoint, parse_text
from entente.register.entry import Entry, parse_entry
from entente.register.note import COSIGNATURE, LOG, NoteKey
from entente.register.proof import check_consistency, check_inclusion, consistency_proof, inclusion_proof
from entente.register.tree import leaf_hash, node_hash


class Head(msgspec.Struct, frozen=True):
    """A head as a note states it: size, root in hex, the note's text with its signature lines, and who signed."""

    size: int
    root: str
    note: str
    keys: tuple[str, ...]  # verifier keys, in the order of the lines


class EntryProof(msgspec.Struct, frozen=True):
    """One entry with its proof; hashes are lowercase hex.

    `cosigned` is None while the other party has cosigned nothing; `covered` says that it reaches this entry. `area` and
    `rank` say who may know of it: of a release and what is about one, else "" and 0. What cannot be read has no `kind`.
    """

    party: str
    origin: str
    idx: int
    kind: str
    at: str
    area: str
    rank: int
    entry: bytes
    leaf: str
    signed: Head
    inclusion: tuple[str, ...]
    cosigned: Head | None
    consistency: tuple[str, ...]
    covered: bool
    steps: tuple[str, ...]


def entry_proof(node: Ledger, party: str, idx: int) -> EntryProof:
    """The entry at `idx` of a party's register with its proof, checked here once more.

    Raises: UsageError if there is no such entry; StateError if no signed head covers it yet.
    """
    tree, side = node.trees.get(party), node.pair.sides.get(party)
    if tree is None or side is None or not 0 <= idx < tree.size:
        raise UsageError(f"no entry {idx} of {party}", remedy="See `entente status` for the size of each register.")
    (data,) = node.db.entries(node.logs[party], idx, idx + 1)
    signed, cosigned = _heads(node, party)
    if signed is None or not idx < signed.size <= tree.size:
        raise StateError("no signed head covers this entry yet", place=f"{party} {idx}", remedy="Pull, or start again.")
    leaf, root = leaf_hash(data), bytes.fromhex(signed.root)
    path = inclusion_proof(tree, idx, signed.size)
    check_inclusion(leaf, idx, signed.size, path, root)
    joint: Sequence[bytes] = ()
    if cosigned is not None:
        joint = consistency_proof(tree, cosigned.size, signed.size)
        check_consistency(cosigned.size, bytes.fromhex(cosigned.root), signed.size, root, joint)
    entry = _read(data)
    area, rank = _about(node, party, idx, entry) if entry is not None else ("", 0)
    steps = [*_to_root(leaf, idx, signed, path), *_to_cosigned(signed, cosigned, joint)]
    return EntryProof(
        party=party, origin=side.origin, idx=idx, kind=entry.kind if entry is not None else "",
        at=entry.at if entry is not None else "", area=area, rank=rank, entry=data,
        leaf=leaf.hex(), signed=signed, inclusion=tuple(one.hex() for one in path), cosigned=cosigned,
        consistency=tuple(one.hex() for one in joint), covered=cosigned is not None and idx < cosigned.size,
        steps=tuple(f"{number}. {step}" for number, step in enumerate(steps, 1)),
    )  # fmt: skip


def _read(data: bytes) -> Entry | None:
    """What an entry says; None if it cannot be read, which changes nothing of where it stands."""
    try:
        return parse_entry(data)
    except FormatError:
        return None


def _heads(node: Ledger, party: str) -> tuple[Head | None, Head | None]:
    """The last head that the log signed and the last that the other party cosigned, as this node holds them."""
    own = node.head_of(party)
    stored = node.db.get_note(node.logs[party], "acknowledged" if party == node.party else PARTNER)
    line, kept = (own.line if own is not None else None), (stored.data if stored is not None else None)
    signed, cosigned = (line, kept) if party == node.party else (kept, line)
    return _head(node, party, signed), _head(node, party, cosigned)


def _head(node: Ledger, party: str, data: bytes | None) -> Head | None:
    if data is None:
        return None
    parsed = note.parse(data)
    found: Checkpoint = parse_text(parsed.text)
    side, other = node.pair.sides[party], node.pair.other(party)
    keys = [NoteKey(side.origin, side.log_key or "", LOG)]
    if len(parsed.lines) > 1:
        keys.append(NoteKey(mirror_name(node.law.law.id, other.party), other.mirror_key or "", COSIGNATURE))
    texts = tuple(note.format_vkey(key) for key in keys)
    return Head(found.size, found.root.hex(), data.decode(), texts) if found.size else None


def _about(node: Ledger, party: str, idx: int, entry: Entry) -> tuple[str, int]:
    """The area and rank of a release, or of the release that an order is about."""
    side, rid = node.pair.sides[party], entry.body.get("rid")
    place = side.by_idx.get(idx) if entry.kind == "release" else side.by_rid.get(rid) if isinstance(rid, str) else None
    if place is None:
        return "", 0
    fact = side.releases[place]
    return fact.area, rank_of(node.law.law, node.party, fact.marking, party)


# By hand


def _to_root(leaf: bytes, idx: int, signed: Head, path: Sequence[bytes]) -> Iterator[str]:
    """From the entry's bytes to the signed note, hash by hash."""
    yield f"SHA-256 over one byte 00 and the entry's exact bytes is the leaf hash: {leaf.hex()}."
    first, last, found = idx, signed.size - 1, leaf
    for sibling in path:
        left = bool(first & 1 or first == last)
        found = node_hash(sibling, found) if left else node_hash(found, sibling)
        what = f"{sibling.hex()} and the last result" if left else f"the last result and {sibling.hex()}"
        yield f"SHA-256 over one byte 01, {what}, is {found.hex()}."
        while left and first and not first & 1:
            first, last = first >> 1, last >> 1
        first, last = first >> 1, last >> 1
    yield f"That is the root {signed.root}: the third line of the signed note, in base64, at size {signed.size}."
    yield (
        "The note's log line is an Ed25519 signature over the note's three lines with their line feeds, after four "
        f"bytes of key hash; the key is {signed.keys[0]}, certified in entry 0 or by a later key entry."
    )


def _to_cosigned(signed: Head, cosigned: Head | None, joint: Sequence[bytes]) -> Iterator[str]:
    if cosigned is None:
        yield "The other party has cosigned nothing of this register yet, as far as this node knows."
        return
    hashes = ", ".join(one.hex() for one in joint) or "none: it is the same head"
    yield (
        f"By RFC 9162 2.1.4.2 the tree of {signed.size} begins with the cosigned one of {cosigned.size}, whose root is "
        f"{cosigned.root}; the hashes are: {hashes}."
    )
    yield (
        "The cosigned note's last line holds four bytes of key hash, eight of time (seconds since 1970) and an Ed25519 "
        "signature over `cosignature/v1`, a line `time` with that number, and the note's three lines; the key is "
        f"{cosigned.keys[-1]}."
    )
