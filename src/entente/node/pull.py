"""Pull: read the partner's tree, believe nothing that is not proven, store, cosign, then open what is for us.

First its own register, then its mirror of ours (a puller reads `/own` before `/mirror`). A body that does not match
its leaf is corruption: drop it and fetch again. Only two validly signed heads that contradict each other are a fork.
Source: design core-spec, Receiver and Bootstrap.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec

from entente.account.acts import Adopt, Genesis, parse_body
from entente.errors import (
    AgreementError,
    BehindError,
    CorruptionError,
    EntenteError,
    ForkError,
    FormatError,
    PartnerError,
    VerificationError,
)
from entente.keys import digest, key_id, verify
from entente.node.heal import heal
from entente.node.inbox import judge, store_inbox
from entente.node.ledger import Ledger, mirror_name
from entente.node.receive import Held, Validate, open_release
from entente.node.served import Reader, bundle_path
from entente.register import note as notes
from entente.register.checkpoint import Checkpoint, open_mirror, open_own, parse_text
from entente.register.entry import parse_entry, signed_message
from entente.register.tiles import Tile, split
from entente.register.tree import Growth, leaf_hash, leaf_hashes, root_of
from entente.store.node_db import InboxRow, NoteRow
from entente.strict import canonical, parse_time

MAX_NOTE = 4096
MAX_AGREEMENT = 1 << 20
MAX_NEW = 1 << 22  # entries; what a pull may hold in memory is 32 bytes each, before their bundles
MAX_BUNDLE = 256 * (2 + 65_535)
GIVE_UP = timedelta(hours=24)


class Pulled(msgspec.Struct, frozen=True):
    """What one pull did: new entries, how far the partner cosigned us, what was opened, what is waited for."""

    entries: int
    size: int
    acknowledged: int
    opened: tuple[Held, ...]
    refused: tuple[tuple[int, str, str], ...]
    waiting: tuple[tuple[int, str], ...]


def pull(
    node: Ledger,
    tree: Reader,
    validate: Validate,
) -> Pulled:
    """The partner's new entries are stored, cosigned and folded; what they release is opened once its key is served.

    Raises: PartnerError (away: nothing changed, try later), CorruptionError (fetch again), BehindError (the partner
    shows less than it signed before), ForkError (evidence kept, this node is frozen), VerificationError.
    """
    if node.healable:
        heal_from(node, tree)
    node.finish_late()
    new = pull_register(node, tree)
    if new:
        node.publish_releases()  # what its answers returned or destroyed is served no more
    pull_mirror(node, tree)
    opened, refused, waiting = [], [], []
    for row in node.db.pending(node.logs[node.partner]):
        try:
            held = open_release(node, tree, validate, row)
        except EntenteError as fault:
            outcome = _give_up(node, row, fault)
            if outcome is None:
                waiting.append((row.idx, f"{fault.title}: {fault.detail}"))
            else:
                refused.append((row.idx, outcome, fault.detail))
            continue
        if isinstance(held, Held):
            opened.append(held)
        elif held is not None:
            refused.append((row.idx, *held))
        elif _overdue(node, row):
            node.db.set_outcome(row.log_id, row.idx, "no_blob", "its key was not served for a day")
            refused.append((row.idx, "no_blob", "its key was not served for a day"))
        else:
            waiting.append((row.idx, "its key is not served yet"))
    tree_size = node.trees[node.partner].size
    return Pulled(new, tree_size, node.acknowledged(), tuple(opened), tuple(refused), tuple(waiting))


def _give_up(node: Ledger, row: InboxRow, fault: EntenteError) -> str | None:
    """The outcome once what was promised has been missing or wrong for 24 hours; None while it may still come."""
    if not _overdue(node, row):
        return None
    outcome = "bad_digest" if isinstance(fault, VerificationError) else "no_blob"
    node.db.set_outcome(row.log_id, row.idx, outcome, fault.title)
    return outcome


def _overdue(node: Ledger, row: InboxRow) -> bool:
    """Whether a release has been here for a day by our own clock, whatever its author's `at` says."""
    return row.kind == "release" and parse_time(node.now()) - parse_time(row.since) >= GIVE_UP


# The partner's register


def pull_register(node: Ledger, tree: Reader) -> int:
    """The partner's register is mirrored here up to its signed head, and cosigned; returns how many were new."""
    data = tree.get("own/checkpoint", MAX_NOTE)
    if data is None:
        raise PartnerError("the partner serves no register yet", remedy="It has not been set up; try again later.")
    side = node.other_side
    log_key = side.log_key or _genesis_key(node, tree, data)
    head = open_own(data, side.origin, log_key)
    mirror = node.trees[node.partner]
    if head.size < mirror.size:
        _same_history(node, head, data)
        raise BehindError(
            f"shows {head.size} entries, but {mirror.size} were cosigned",
            place=side.origin,
            remedy="The partner must heal.",
        )
    if head.size == mirror.size:
        _same_history(node, head, data)
        return 0
    growth, entries = _fetch(node, tree, head, data)
    _learn_agreements(node, tree, entries)
    rows, on_release = judge(node, node.pair)
    row = NoteRow(head.size, head.root.hex(), data)
    node.take_partner(entries, growth, row, on_release, also=lambda: store_inbox(node, node.pair, rows))
    return len(entries)


def _learn_agreements(node: Ledger, tree: Reader, entries: Sequence[bytes]) -> None:
    """Every agreement that these entries adopt is held here before they are folded: both sides must judge alike.

    One that is not an agreement at all stays unknown, here as there.
    """
    for data in entries:
        try:
            entry = parse_entry(data)
            body = parse_body(entry.kind, entry.body)
        except FormatError:
            continue
        if not isinstance(body, Adopt) or body.agreement in node.laws:
            continue
        text = _get(tree, f"agreement/{body.agreement}", MAX_AGREEMENT)
        if digest("agreement", text, suffix="toml") != body.agreement:
            raise CorruptionError(
                "does not hash to its name", place=f"agreement/{body.agreement}", remedy="Fetch it again."
            )
        with suppress(AgreementError):
            node.adopt_law(text)


def _genesis_key(node: Ledger, tree: Reader, data: bytes) -> str:
    """The log key from entry 0, which the agreement's authority must have signed, before any checkpoint is believed."""
    side, law = node.other_side, node.law
    claimed = parse_text(notes.parse(data).text)
    if claimed.size == 0:
        raise PartnerError("the partner's register is empty")
    first = _bundle(tree, "own", Tile(0, 0, min(256, claimed.size)))[0]
    entry = parse_entry(first, place="own entry 0")
    if node.partner_genesis and leaf_hash(first).hex() != node.partner_genesis:
        raise VerificationError("entry 0 is not the one in the pairing file", place=side.origin)
    authority = {str(key_id(key)): key for key in law.law.party[side.party].authority}
    message = signed_message(side.origin, entry)
    good = (
        entry.kind == "genesis"
        and entry.sigs
        and all(sig.by in authority and verify(authority[sig.by], message, sig.sig) for sig in entry.sigs)
    )
    body = parse_body("genesis", entry.body) if good else None
    if not isinstance(body, Genesis) or entry.agreement != law.hash or body.origin != side.origin:
        raise VerificationError(
            f"entry 0 is not signed by {side.party}'s authority for this agreement",
            place=side.origin,
            remedy="Compare the agreement and the pairing file by hand.",
        )
    return body.keys.log.key


def _same_history(node: Ledger, head: Checkpoint, data: bytes) -> None:
    """A validly signed head that is not on our mirror is a fork."""
    mirror = node.trees[node.partner]
    if mirror.root(head.size) != head.root:
        _evidence(node, node.partner, data)


def _evidence(node: Ledger, party: str, data: bytes) -> None:
    """Both contradicting notes are kept, this node signs nothing more, and the caller is told."""
    head = node.head_of(party)
    folder = node.folder / "evidence"
    folder.mkdir(exist_ok=True)
    held = node.db.get_note(node.logs[party], "partner") if party != node.party else None
    before = held.data if held is not None else head.line if head is not None else b""
    name = f"{party}-{hashlib.sha256(before + data).hexdigest()[:16]}"
    node.frozen = f"two signed heads of {party}'s register contradict each other; see {folder}"
    if not (folder / f"{name}-shown.note").exists():
        (folder / f"{name}-held.note").write_bytes(before)
        (folder / f"{name}-shown.note").write_bytes(data)
        node.db.journal(node.now(), "frozen", party, canonical({"evidence": name}))
    raise ForkError(
        "two validly signed heads contradict each other",
        place=str(folder / name),
        remedy="Only an epoch signed by both goes on.",
    )


def _fetch(node: Ledger, tree: Reader, head: Checkpoint, data: bytes) -> tuple[Growth, list[bytes]]:
    """The new entries up to the head, each proven by the tiles, the tiles by the signed root."""
    mirror = node.trees[node.partner]
    first = mirror.size // 256
    tiles = _tiles(first, head.size)
    hashes = b"".join(_tile(tree, "own", tile) for tile in tiles)
    growth = mirror.grown(hashes[32 * (mirror.size - 256 * first) :])
    if growth.root != head.root:
        _whose_fault(node, tree, head, data)
    entries: list[bytes] = []
    for tile in tiles:
        bundle = _bundle(tree, "own", tile)
        start = 32 * 256 * (tile.index - first)
        if leaf_hashes(bundle) != hashes[start : start + 32 * tile.width]:
            raise CorruptionError(
                "an entry does not match its leaf", place=bundle_path("own", tile), remedy="Fetch it again."
            )
        entries += bundle
    return growth, entries[mirror.size - 256 * first :]


def _whose_fault(node: Ledger, tree: Reader, head: Checkpoint, data: bytes) -> None:
    """The head does not extend our mirror by the tiles shown: damaged tiles, or a fork. All tiles tell which."""
    hashes = b"".join(_tile(tree, "own", tile) for tile in _tiles(0, head.size))
    if root_of(hashes[i : i + 32] for i in range(0, len(hashes), 32)) != head.root:
        raise CorruptionError("tiles do not give the signed root", place="own/tile/0", remedy="Fetch them again.")
    _evidence(node, node.partner, data)


def _tiles(first: int, size: int) -> list[Tile]:
    """The level-0 tiles of a register of `size` entries from tile `first` on; FormatError if they are absurdly many."""
    if size - 256 * first > MAX_NEW:
        raise FormatError(f"{size} entries are more than one pull takes", place="own/checkpoint")
    return [Tile(0, i, min(256, size - 256 * i)) for i in range(first, -(-size // 256))]


def _tile(tree: Reader, prefix: str, tile: Tile) -> bytes:
    """The level-0 tile at its width; a missing partial one is cut from the full one."""
    data = tree.get(f"{prefix}/{tile.path}", 32 * 256)
    if data is None:
        data = _get(tree, f"{prefix}/{tile.full.path}", 32 * 256)
    if len(data) < 32 * tile.width:
        raise CorruptionError("a tile is too short", place=f"{prefix}/{tile.path}", remedy="Fetch it again.")
    return data[: 32 * tile.width]


def _bundle(tree: Reader, prefix: str, tile: Tile) -> list[bytes]:
    """The entries beside a level-0 tile; a missing partial bundle is cut from the full one."""
    data, place = tree.get(bundle_path(prefix, tile), MAX_BUNDLE), bundle_path(prefix, tile)
    try:
        if data is not None:
            return split(data, tile.width)
        place = bundle_path(prefix, tile.full)
        return split(_get(tree, place, MAX_BUNDLE), 256)[: tile.width]
    except FormatError as fault:
        raise CorruptionError(fault.detail, place=place, remedy="Fetch it again.") from None


def _get(tree: Reader, path: str, limit: int) -> bytes:
    data = tree.get(path, limit)
    if data is None:
        raise CorruptionError("a file that the checkpoint needs is missing", place=path, remedy="Fetch it again.")
    return data


# The partner's mirror of ours


def pull_mirror(node: Ledger, tree: Reader) -> None:
    """How far the partner has cosigned our register is known, and keys up to there are served.

    Raises: ForkError if the partner cosigned another history of ours; BehindError if it holds more of ours than we do.
    """
    data = tree.get("mirror/checkpoint", MAX_NOTE)
    other, own = node.other_side, node.side
    if data is None or own.log_key is None or other.mirror_key is None:
        return
    cosigner = mirror_name(node.law.law.id, other.party)
    head = open_mirror(data, own.origin, own.log_key, cosigner, other.mirror_key).checkpoint
    parsed = notes.parse(data)
    if head.size > node.trees[node.party].size:
        node.remember_own(head, notes.Note(text=parsed.text, lines=parsed.lines[:1]).encode())
        heal_from(node, tree)
    if node.trees[node.party].root(head.size) != head.root:
        _evidence(node, node.party, data)
    known = node.acknowledged()
    if head.size > known:
        node.db.put_note(node.logs[node.party], "acknowledged", NoteRow(head.size, head.root.hex(), data))
        node.publish_releases(bisect_left(node.side.releases, known, key=lambda fact: fact.idx))


def heal_from(node: Ledger, tree: Reader) -> dict[str, int]:
    """Our own entries and the partner's come back from the partner's tree; see `heal`."""
    own, other = node.side, node.other_side
    shown, theirs = tree.get("mirror/checkpoint", MAX_NOTE), tree.get("own/checkpoint", MAX_NOTE)
    if shown is None or theirs is None or own.log_key is None or other.log_key is None or other.mirror_key is None:
        raise BehindError(
            node.frozen, place=own.origin, remedy="Wait until the partner's tree is there, then pull again."
        )
    cosigner = mirror_name(node.law.law.id, other.party)
    heads = {
        other.party: ("own", open_own(theirs, other.origin, other.log_key), theirs),
        own.party: (
            "mirror",
            open_mirror(shown, own.origin, own.log_key, cosigner, other.mirror_key).checkpoint,
            shown,
        ),
    }
    return heal(node, heads, lambda prefix, party, head: _after(tree, prefix, node.trees[party].size, head.size))


def _after(tree: Reader, prefix: str, held: int, size: int) -> tuple[bytes, list[bytes]]:
    """Leaf hashes and entries of a served register from index `held` to `size`."""
    first = held // 256
    tiles = _tiles(first, size)
    hashes = b"".join(_tile(tree, prefix, tile) for tile in tiles)
    entries = [entry for tile in tiles for entry in _bundle(tree, prefix, tile)]
    skip = held - 256 * first
    return hashes[32 * skip :], entries[skip:]
