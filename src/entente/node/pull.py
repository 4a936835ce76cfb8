"""Pull: read the partner's tree, believe nothing that is not proven, store, cosign, then open what is for us.

First its own register, then its mirror of ours (a puller reads `/own` before `/mirror`), then what it released. A cut
wire loses a step at most: the next pull goes on from there.
Source: design core-spec, Receiver and Bootstrap.
"""

from bisect import bisect_left
from contextlib import suppress

import msgspec

from entente.errors import BehindError, FormatError, VerificationError
from entente.node.heal import heal
from entente.node.import_ import Validate
from entente.node.ledger import Ledger, mirror_name
from entente.node.mirror import MAX_NOTE, behind, contradiction, pull_register, read_bundle
from entente.node.receive import Held, open_pending
from entente.node.served import FolderTree, Reader
from entente.node.stores import CLOCK_SLACK_S
from entente.register import note as notes
from entente.register.checkpoint import Checkpoint, open_mirror, open_own
from entente.register.tiles import TILE_WIDTH, Tile
from entente.register.tree import leaf_hashes
from entente.store.node_db import NoteRow

MAX_HEALED = 1 << 22  # entries, all of which a heal holds in memory


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

    Raises: PartnerError (away: what came before is kept, try later), CorruptionError (fetch again), BehindError (the
    partner shows less than it signed before), ForkError (evidence kept, this node is frozen), VerificationError.
    """
    if node.healable and node.knows_heads():
        with suppress(FormatError, VerificationError):  # our own files may be damaged as well: the partner has them
            heal_own(node)
    if node.healable:
        heal_from(node, tree)
    if node.clock_doubt:
        confirm_clock(node, tree)
    node.finish_late()
    new = pull_register(node, tree)
    if new:
        node.publish_releases()  # what its answers returned or destroyed is served no more
    pull_mirror(node, tree)
    done = open_pending(node, tree, validate)
    tree_size = node.trees[node.partner].size
    return Pulled(
        new, tree_size, node.acknowledged(), tuple(done.opened), tuple(done.refused), tuple(sorted(done.waiting))
    )


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
    if head.size > node.trees[node.party].size:
        node.remember_own(head, _own_line(data))
        heal_from(node, tree)
    if node.trees[node.party].root(head.size) != head.root:
        signed = node.head_of(node.party)
        contradiction(node, node.party, signed.line if signed is not None else b"", data)
    known = node.acknowledged()
    if head.size > known:
        node.db.put_note(node.logs[node.party], "acknowledged", NoteRow(head.size, head.root.hex(), data))
        node.publish_releases(bisect_left(node.side.releases, known, key=lambda fact: fact.idx))


def confirm_clock(node: Ledger, tree: Reader) -> None:
    """A clock in doubt is believed again if the partner has cosigned our register within five minutes of it."""
    data = tree.get("mirror/checkpoint", MAX_NOTE)
    own, other = node.side, node.other_side
    if data is None or own.log_key is None or other.mirror_key is None:
        return
    shown = open_mirror(data, own.origin, own.log_key, mirror_name(node.law.law.id, other.party), other.mirror_key)
    held = node.trees[node.party]
    ours = shown.checkpoint.size <= held.size and held.root(shown.checkpoint.size) == shown.checkpoint.root
    if ours and abs(node.clock().timestamp() - shown.time_s) <= CLOCK_SLACK_S:
        node.trust()


def heal_own(node: Ledger) -> dict[str, int]:
    """What our own served tree still holds comes back, as far as we once signed and cosigned it; see `heal`.

    Only where heads.db tells how far that was: a lost heads.db needs the partner's word.
    """
    tree = FolderTree(node.served.folder)
    own, other = node.side, node.other_side
    heads = {}
    shown, mirrored = tree.get("own/checkpoint", MAX_NOTE), tree.get("mirror/checkpoint", MAX_NOTE)
    if shown is not None and own.log_key is not None:
        heads[own.party] = ("own", open_own(shown, own.origin, own.log_key), shown)
    if mirrored is not None and other.log_key is not None and own.mirror_key is not None:
        cosigner = mirror_name(node.law.law.id, own.party)
        head = open_mirror(mirrored, other.origin, other.log_key, cosigner, own.mirror_key).checkpoint
        heads[other.party] = ("mirror", head, _own_line(mirrored))
    heads = {party: found for party, found in heads.items() if found[1].size > node.trees[party].size}
    if not heads:
        return {}
    return heal(node, heads, lambda prefix, party, to: _after(tree, prefix, node.trees[party].size, to.size))


def _own_line(data: bytes) -> bytes:
    """A cosigned note as the log itself had signed it."""
    parsed = notes.parse(data)
    return notes.Note(text=parsed.text, lines=parsed.lines[:1]).encode()


def heal_from(node: Ledger, tree: Reader) -> dict[str, int]:
    """Our own entries and the partner's come back from the partner's tree; see `heal`."""
    own, other = node.side, node.other_side
    shown, theirs = tree.get("mirror/checkpoint", MAX_NOTE), tree.get("own/checkpoint", MAX_NOTE)
    if shown is None or theirs is None or own.log_key is None or other.log_key is None or other.mirror_key is None:
        raise BehindError(
            node.frozen, place=own.origin, remedy="Wait until the partner's tree is there, then pull again."
        )
    cosigner = mirror_name(node.law.law.id, other.party)
    head = open_own(theirs, other.origin, other.log_key)
    mirrored = open_mirror(shown, own.origin, own.log_key, cosigner, other.mirror_key).checkpoint
    promise = node.towards()
    if promise is not None and head.size < promise.size:
        raise behind(node, head, f"{promise.size} were signed")

    def fetch(prefix: str, party: str, wanted: Checkpoint) -> list[bytes]:
        mirror = node.trees[party]
        entries = _after(tree, prefix, mirror.size, wanted.size)
        if party != node.party and promise is not None:
            there = mirror.grown(leaf_hashes(entries[: promise.size - mirror.size])).root
            if there.hex() != promise.root and mirror.grown(leaf_hashes(entries)).root == wanted.root:
                contradiction(node, party, promise.data, theirs)
        return entries

    return heal(node, {other.party: ("own", head, theirs), own.party: ("mirror", mirrored, shown)}, fetch)


def _after(tree: Reader, prefix: str, held: int, size: int) -> list[bytes]:
    """Entries of a served register from index `held` to `size`, unproven."""
    if size - held > MAX_HEALED:
        raise FormatError(f"{size} entries are more than a heal takes", place=f"{prefix}/checkpoint")
    first = held // TILE_WIDTH
    tiles = [Tile(0, i, min(TILE_WIDTH, size - TILE_WIDTH * i)) for i in range(first, -(-size // TILE_WIDTH))]
    entries = [entry for tile in tiles for entry in read_bundle(tree, prefix, tile)]
    return entries[held - TILE_WIDTH * first :]
