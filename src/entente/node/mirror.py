"""Mirror: the partner's register is followed to the head it signed, in steps that a cut wire cannot undo.

First the hashes of its full tiles, from where the mirror stands, and those of the last entries: they must give the
signed head, and agree with all that the partner signed before. Then the bundles, each by its tile's hash. Proven
entries rest ahead of the mirror, a step at a time, until the head is reached; only then are they folded and the head
cosigned, so that the mirror always stands at a head that the partner signed, and what we write, serve and cosign never
rests on half a pull. A body that does not match its leaf is corruption: fetch it again. Only two validly signed heads
that contradict each other are a fork.
Source: design core-spec, Receiver and Bootstrap; C2SP tlog-tiles.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from typing import NoReturn

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
from entente.node.inbox import judge, store_inbox
from entente.node.ledger import PARTNER, Ledger
from entente.node.served import Reader, bundle_path
from entente.register import note as notes
from entente.register.checkpoint import Checkpoint, open_own, parse_text
from entente.register.entry import parse_entry, signed_message
from entente.register.tiles import TILE_WIDTH, Tile, split
from entente.register.tree import HASH_BYTES, Edge, leaf_hash, leaf_hashes
from entente.store.node_db import NoteRow
from entente.strict import canonical

MAX_NOTE = 4096
MAX_AGREEMENT = 1 << 20
MAX_NEW = 1 << 28  # entries; what a pull holds of them all is 32 bytes for every 256, but the tree holds 32 for each
MAX_BUNDLE = TILE_WIDTH * (2 + 65_535)
STEP_BUNDLES = 16
STEP_BYTES = 8 << 20
TRIES = 5  # of a register that moves on while it is read
_TILE_BYTES = HASH_BYTES * TILE_WIDTH


def pull_register(node: Ledger, tree: Reader) -> int:
    """The partner's register is mirrored here up to its signed head, and cosigned; returns how many were new.

    Raises: PartnerError, CorruptionError: cut short or damaged; what was proven rests here, pull again. BehindError,
    ForkError, VerificationError: nothing was taken.
    """
    before = node.trees[node.partner].size
    shown = _checkpoint(tree)
    for left in reversed(range(TRIES)):
        try:
            _follow(node, tree, shown)
            break
        except CorruptionError:
            again = _checkpoint(tree)  # the partner may have published while we read: its older files are gone
            if again == shown or not left:
                raise
            shown = again
    return node.trees[node.partner].size - before


def _checkpoint(tree: Reader) -> bytes:
    data = tree.get("own/checkpoint", MAX_NOTE)
    if data is None:
        raise PartnerError("the partner serves no register yet", remedy="It has not been set up; try again later.")
    return data


def _follow(node: Ledger, tree: Reader, shown: bytes) -> None:
    """The mirror stands at this head, and stood on the way at the one that it was after before."""
    side = node.other_side
    head = open_own(shown, side.origin, side.log_key or _genesis_key(node, tree, shown))
    mirror, promise = node.trees[node.partner], node.towards()
    if head.size <= mirror.size and mirror.root(head.size) != head.root:
        contradiction(node, node.partner, _held(node), shown)
    if promise is not None and head.size <= promise.size:
        _check_promise(node, head, shown, promise)
    if head.size < mirror.size:
        raise behind(node, head, f"{mirror.size} were cosigned")
    if head.size == mirror.size:
        return
    proof = _prove(node, tree, head)
    if proof.edge_at(mirror.size).root != mirror.root():
        contradiction(node, node.partner, _held(node), shown)
    if promise is not None and proof.edge_at(promise.size).root.hex() != promise.root:
        contradiction(node, node.partner, promise.data, shown)
    if promise is not None and promise.size < head.size:
        _reach(node, proof, promise)
    _reach(node, proof, NoteRow(head.size, head.root.hex(), shown))


def _check_promise(node: Ledger, head: Checkpoint, shown: bytes, promise: NoteRow) -> None:
    """A head no larger than the one we are after is that one; a smaller one is behind, or contradicts what we have."""
    if head.size == promise.size:
        if head.root.hex() != promise.root:
            contradiction(node, node.partner, promise.data, shown)
        return
    if head.size > node.trees[node.partner].size:
        ahead = _ahead(node, head.size)
        if ahead.size == head.size and ahead.root != head.root:
            contradiction(node, node.partner, promise.data, shown)
    raise behind(node, head, f"{promise.size} were signed")


def behind(node: Ledger, head: Checkpoint, but: str) -> BehindError:
    """The fault of a partner that shows less than it once signed."""
    return BehindError(
        f"shows {head.size} entries, but {but}", place=node.other_side.origin, remedy="The partner must heal."
    )


def _held(node: Ledger) -> bytes:
    """The partner's note at whose head the mirror stands."""
    held = node.db.get_note(node.logs[node.partner], PARTNER)
    return held.data if held is not None else b""


def contradiction(node: Ledger, party: str, held: bytes, shown: bytes) -> NoReturn:
    """Both notes are kept as evidence, this node signs nothing more, and the caller is told: ForkError, always."""
    folder = node.folder / "evidence"
    folder.mkdir(exist_ok=True)
    name = f"{party}-{hashlib.sha256(held + shown).hexdigest()[:16]}"
    node.frozen = f"two signed heads of {party}'s register contradict each other; see {folder}"
    if not (folder / f"{name}-shown.note").exists():
        (folder / f"{name}-held.note").write_bytes(held)
        (folder / f"{name}-shown.note").write_bytes(shown)
        node.db.journal(node.now(), "frozen", party, canonical({"evidence": name}))
    raise ForkError(
        "two validly signed heads contradict each other",
        place=str(folder / name),
        remedy="Only an epoch signed by both goes on.",
    )


# What rests ahead of the mirror


def _ahead(node: Ledger, size: int | None = None) -> Edge:
    """The edge of the register after the entries that rest ahead of the mirror, or at `size` if that is earlier.

    Entries that do not give the root they were stored with are damaged here, at rest: they are dropped and fetched
    again, and nobody is accused.
    """
    log_id = node.logs[node.partner]
    edge = start = node.trees[node.partner].edge
    found = None
    try:
        for data in node.entries_ahead():
            if size is not None and edge.size <= size <= edge.size + len(data):
                found = edge.grown(leaf_hashes(data[: size - edge.size])).edge
            edge = edge.grown(leaf_hashes(data)).edge
        whole = True
    except FormatError:
        whole = False
    stored = node.db.ahead(log_id)
    if stored is not None and not (whole and (edge.size, edge.root.hex()) == (stored.size, stored.root)):
        with node.db.transaction():
            node.db.drop_ahead(log_id)
        return start
    return found or edge


def _reach(node: Ledger, proof: "_Proof", goal: NoteRow) -> None:
    """The mirror stands at a signed head. Entries come in steps; whatever ends them early, what was proven rests here.

    Raises: PartnerError, CorruptionError: pull again, it goes on from there.
    """
    edge = _ahead(node)
    step: list[bytes] = []
    try:
        for index in range(edge.size // TILE_WIDTH, -(-goal.size // TILE_WIDTH)):
            if step and (index % STEP_BUNDLES == 0 or sum(map(len, step)) >= STEP_BYTES):
                edge, step = _rest(node, edge, step, goal), []
            first = TILE_WIDTH * index
            step += proof.bundle(index)[max(0, edge.size - first) : goal.size - first]
        _learn_agreements(node, proof.tree, chain(node.entries_ahead(), [step]))
    except EntenteError:
        if step:
            _rest(node, edge, step, goal)
        raise
    pair = node.pair
    rows, on_release = judge(node, pair)

    def store() -> None:
        store_inbox(node, pair, rows)
        rows.clear()

    node.take_partner(step, goal, on_release, store)


def _rest(node: Ledger, edge: Edge, step: list[bytes], goal: NoteRow) -> Edge:
    """The step rests ahead of the mirror, durable; returns the register's edge after it."""
    after = edge.grown(leaf_hashes(step)).edge
    node.rest_ahead(step, after.root.hex(), goal)
    return after


def _learn_agreements(node: Ledger, tree: Reader, steps: Iterable[list[bytes]]) -> None:
    """Every agreement that these entries adopt is held here before they are folded: both sides must judge alike.

    One that is not an agreement at all stays unknown, here as there.
    """
    for data in chain.from_iterable(steps):
        if b'"kind":"adopt"' not in data:  # entries are canonical: it is spelt so or it is no adoption
            continue
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
    first = read_bundle(tree, "own", Tile(0, 0, min(TILE_WIDTH, claimed.size)))[0]
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


# Proof by tiles


class _Proof(msgspec.Struct, frozen=True):
    """The hashes by which every entry after the mirror belongs to a signed head.

    `base` is the mirror's edge at a multiple of 256; `tops` are the hashes of the full tiles after it, end to end, and
    `last` the leaf hashes of the entries after those.
    """

    tree: Reader
    size: int
    base: Edge
    tops: bytes
    last: bytes

    def edge_at(self, size: int) -> Edge:
        """The register's edge at a size not before the base; CorruptionError if a tile that it takes is damaged."""
        whole, rest = divmod(size, TILE_WIDTH)
        first = self.base.size // TILE_WIDTH
        # A tree's peaks are those of the tree over its tiles' hashes, as far as its tiles are full.
        above = Edge(first, self.base.peaks).grown(self.tops[: HASH_BYTES * (whole - first)]).edge
        edge = Edge(TILE_WIDTH * whole, above.peaks)
        return edge.grown(self._leaves(whole)[: HASH_BYTES * rest]).edge if rest else edge

    def _leaves(self, index: int) -> bytes:
        if index == self.size // TILE_WIDTH:
            return self.last
        data = _tile(self.tree, Tile(0, index))
        self._check(index, data, f"own/{Tile(0, index).path}")
        return data

    def bundle(self, index: int) -> list[bytes]:
        """The entries beside a tile, each matching its leaf; CorruptionError if one does not."""
        tile = Tile(0, index, min(TILE_WIDTH, self.size - TILE_WIDTH * index))
        entries = read_bundle(self.tree, "own", tile)
        self._check(index, leaf_hashes(entries), bundle_path("own", tile))
        return entries

    def _check(self, index: int, leaves: bytes, place: str) -> None:
        at = HASH_BYTES * (index - self.base.size // TILE_WIDTH)
        if index == self.size // TILE_WIDTH:
            good = leaves == self.last
        else:
            good = Edge().grown(leaves).root == self.tops[at : at + HASH_BYTES]
        if not good:
            raise CorruptionError("an entry does not match its leaf", place=place, remedy="Fetch it again.")


def _prove(node: Ledger, tree: Reader, head: Checkpoint) -> _Proof:
    """Hashes that give the signed root, from where the mirror stands or else from the beginning.

    Which of the two it took accuses nobody: a hash may have been damaged on the way.
    """
    mirror = node.trees[node.partner]
    if head.size - mirror.size > MAX_NEW:
        raise FormatError(f"{head.size} entries are more than one pull takes", place="own/checkpoint")
    last = Tile(0, head.size // TILE_WIDTH, head.size % TILE_WIDTH)
    leaves = _tile(tree, last) if last.width else b""
    for first in sorted({mirror.size // TILE_WIDTH, 0}, reverse=True):
        proof = _Proof(tree, head.size, mirror.edge_at(TILE_WIDTH * first), _tops(tree, first, last.index), leaves)
        if proof.edge_at(head.size).root == head.root:
            return proof
    raise CorruptionError("tiles do not give the signed root", place="own/tile/0", remedy="Fetch them again.")


def _tops(tree: Reader, first: int, end: int) -> bytes:
    """The hashes of the full tiles from number `first` up to, not including, `end`."""
    if first == end:
        return b""
    start = first // TILE_WIDTH
    tiles = [Tile(1, i, min(TILE_WIDTH, end - TILE_WIDTH * i)) for i in range(start, -(-end // TILE_WIDTH))]
    return b"".join(_tile(tree, tile) for tile in tiles)[HASH_BYTES * (first - TILE_WIDTH * start) :]


def _tile(tree: Reader, tile: Tile) -> bytes:
    """A hash tile at its width; a missing partial one is cut from the full one."""
    data = tree.get(f"own/{tile.path}", _TILE_BYTES)
    if data is None:
        data = _get(tree, f"own/{tile.full.path}", _TILE_BYTES)
    if len(data) < HASH_BYTES * tile.width:
        raise CorruptionError("a tile is too short", place=f"own/{tile.path}", remedy="Fetch it again.")
    return data[: HASH_BYTES * tile.width]


def read_bundle(tree: Reader, prefix: str, tile: Tile) -> list[bytes]:
    """The entries beside a level-0 tile, unproven; a missing partial bundle is cut from the full one."""
    data, place = tree.get(bundle_path(prefix, tile), MAX_BUNDLE), bundle_path(prefix, tile)
    try:
        if data is not None:
            return split(data, tile.width)
        place = bundle_path(prefix, tile.full)
        return split(_get(tree, place, MAX_BUNDLE), TILE_WIDTH)[: tile.width]
    except FormatError as fault:
        raise CorruptionError(fault.detail, place=place, remedy="Fetch it again.") from None


def _get(tree: Reader, path: str, limit: int) -> bytes:
    data = tree.get(path, limit)
    if data is None:
        raise CorruptionError("a file that the checkpoint needs is missing", place=path, remedy="Fetch it again.")
    return data
