"""The two registers on one node: trees and fold in memory, entries in node.db, heads in heads.db, files in `served`.

Order of writing, always: entries durable, then compare-and-swap in heads.db and sign, then publish. What fails before
the first is undone; what fails after it is finished by the next `open`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import msgspec

from entente.account.acts import Release
from entente.account.cascade import went_home
from entente.account.judge import OnRelease
from entente.account.state import ReleaseFact
from entente.account.view import view_for
from entente.errors import BehindError, StateError, StoreError
from entente.keys import verify
from entente.node.stores import SIGNED, Stores
from entente.register.checkpoint import Checkpoint, cosign_checkpoint, open_mirror, sign_checkpoint
from entente.register.entry import Entry, Seen, Sig, encode
from entente.register.note import LOG, NoteKey
from entente.register.tree import Edge, Tree, leaf_hashes
from entente.store.heads import Head
from entente.store.node_db import NoteRow
from entente.strict import canonical
from entente.treaty.approval import rid_of
from entente.treaty.decision import decide
from entente.treaty.request import Decision, Request, View, sealed_ref

PARTNER = "partner"  # the kind of note under which node.db keeps the head of the partner's at which the mirror stands
TOWARDS = "towards"  # and the one that it has begun to fetch
AHEAD_AT_ONCE = 4096
FRESH_S = 120  # how old our cosignature may be; a partner that confirms its clock by it allows 300


class Draft(msgspec.Struct, frozen=True):
    """What an entry will say: its kind, body and signatures; `at` and `seen` are set when it is appended."""

    kind: str
    body: dict[str, object]
    sigs: tuple[Sig, ...] = ()


class Ledger(Stores):
    """One node's registers: the only way to write our own and to mirror the partner's."""

    def finish(self) -> None:
        """Heads that were committed but not yet signed or published are signed and published."""
        if self.reads:
            return
        for prefix, party in (("own", self.party), ("mirror", self._other)):
            if not self.may_sign() or not self.trees[party].size:
                continue
            if party == self.party:
                self._sign_own()
            else:
                self._cosign()
            head = self.head_of(party)
            if head is not None and not self.served.is_whole(prefix, self.trees[party], head.line):
                self.heads.flush()
                self.served.rebuild(prefix, self.trees[party], head.line, self._reader(party))
        for name, signed in self.laws.items():
            if self.served.get(f"agreement/{name}") is None:
                self.served.put(f"agreement/{name}", signed.data)
        for name in self.served.agreements():
            if name not in self.laws:  # put there for an adoption that was never entered
                self.served.delete(f"agreement/{name}")
        self.publish_releases()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """What fails inside (a full disk, say) stands in node.db already: the next act or opening finishes it first."""
        late, self.half_done = self.half_done, True
        try:
            yield
        except (StoreError, OSError) as fault:
            raise StoreError(
                f"the act stands in the register, but could not be signed or published yet: {fault}",
                place=str(self.folder),
                remedy="Free the disk; the next act, or the next opening of the node, finishes it.",
            ) from None
        self.half_done = late

    def finish_late(self) -> None:
        """What an earlier act could not sign or publish is signed and published."""
        if self.half_done:
            self.finish()
            self.half_done = False

    def publish_releases(self, first: int = 0) -> None:
        """Every release of ours from the `first` on that stands is served, its key once it is cosigned.

        What was withdrawn, returned or destroyed, or ordered destroyed, is served no more; nor is a return that is
        over.
        """
        with self.finishing():
            self._publish_releases(first, self.acknowledged())

    def _publish_releases(self, first: int, acknowledged: int) -> None:
        for fact in self.side.releases[first:]:
            ordered = any(order.act in ("withdraw", "destroy") for order in fact.orders)
            ended = {"returned", "destroyed"} & {given.outcome for given in fact.answers}
            if ordered or ended or went_home(self.pair, self.side, fact):
                for path in (f"blob/{fact.blob}", f"leaves/{fact.blob}", f"key/{fact.rid}"):
                    self.served.delete(path)
            else:
                self._serve_release(fact, keyed=fact.idx < acknowledged or self.laws[fact.agreement].law.key_before_ack)

    def _serve_release(self, fact: ReleaseFact, *, keyed: bool) -> None:
        if self.blobs.holds(fact.blob):
            self.served.link(f"blob/{fact.blob}", self.blobs.path(fact.blob))
            self.served.link(f"leaves/{fact.blob}", self.blobs.leaves_path(fact.blob))
        if keyed and self.served.get(f"key/{fact.rid}") is None:
            wrapped = self.keys.wrapped(fact.rid)
            if wrapped is not None:
                self.served.put(f"key/{fact.rid}", wrapped)

    def acknowledged(self) -> int:
        """How many of our entries the partner has cosigned, as far as this node has seen."""
        note = self.db.get_note(self.logs[self.party], "acknowledged")
        return note.size if note is not None else 0

    def _reader(self, party: str) -> Callable[[int, int], Sequence[bytes]]:
        return lambda first, end: self.db.entries(self.logs[party], first, end)

    # Writing our own register

    def seen(self) -> Seen:
        """The partner's register as this node holds it now."""
        tree = self.trees[self._other]
        return Seen(self.other_side.epoch, tree.size, tree.root().hex())

    def request_for(self, release: Release, idx: int, at: str) -> Request:
        """What decide() is asked about a release entry."""
        return Request(self.side.origin, idx, at, release.core, sealed_ref(release.sealed), release.approvals)

    def view_of(self, party: str, seen: int, request: Request) -> View:
        """The View of the next entry of `party`, which has seen `seen` of the other's entries."""
        return view_for(self.pair, party, seen, request, self.laws)

    def decide_next(self, request: Request, skip: frozenset[str] = frozenset()) -> Decision:
        """decide() for what would be this party's next entry."""
        law = self.laws.get(request.core.agreement, self.law)
        view = self.view_of(self.party, self.trees[self._other].size, request)
        return decide(law.law, view, request, verify, skip=skip)

    def append(
        self,
        drafts: Iterable[Draft],
        *,
        agreement: str | None = None,
        admit: Callable[[Draft, int, str], bool] | None = None,
        also: Callable[[Sequence[tuple[int, Draft]]], None] | None = None,
    ) -> list[int]:
        """The drafts stand in our register, signed and published; returns their indices.

        Args:
            drafts: in order.
            agreement: the hash they act under; the one in force if None.
            admit: asked for each with (draft, index, at) after all earlier ones joined the fold; False leaves it out.
            also: writes what belongs to the same transaction, given the (index, draft) pairs.
        Raises: FrozenError, StoreError, StateError: nothing was written.
        """
        self.check_may_sign()
        self.finish_late()
        at, seen = self.now(), self.seen()
        name = agreement or self.law.hash
        made: list[tuple[int, Draft]] = []
        data: list[bytes] = []
        tree, log_id = self.trees[self.party], self.logs[self.party]
        before = len(self.side.invalid)
        try:
            for draft in drafts:
                idx = tree.size + len(data)
                if admit is not None and not admit(draft, idx, at):
                    continue
                entry = encode(
                    Entry(1, draft.kind, at, seen, name, draft.body, sorted(draft.sigs, key=lambda sig: sig.by))
                )
                self.fold.append(self.party, entry)
                if len(self.side.invalid) > before:
                    raise StateError(f"would not be a valid {draft.kind} entry: {self.side.invalid[-1].reason}")
                data.append(entry)
                made.append((idx, draft))
            if not data:
                return []
            growth = tree.grown(leaf_hashes(data))
            rids = [(_rid(draft), idx) for idx, draft in made if draft.kind == "release"]
            with self.db.transaction():
                self.db.append(log_id, tree.size, data, growth.root.hex(), rids)
                self._note_head(self.party)
                if also is not None:
                    also(made)
        except BaseException:
            if made or len(self.side.invalid) > before:
                self.reload()
            raise
        tree.take(growth)
        with self.finishing():
            self._sign_own(growth.before)
            self._publish("own", self.party, growth.before.size)
        return [idx for idx, _ in made]

    def _sign_own(self, before: Edge | None = None) -> None:
        """Our head bears our signature; `before` is the edge that the tree has just grown from, if it has."""
        tree, origin = self.trees[self.party], self.side.origin
        head, root = self.heads.get(origin), tree.root()
        if head is not None and (head.size, head.root) == (tree.size, root.hex()):
            return
        self._extends(tree, head, origin, before)
        note = sign_checkpoint(Checkpoint(origin, tree.size, root), self.machine_signer("log"))
        self.heads.swap(origin, head, Head(tree.size, root.hex(), note), at=self.now())

    @staticmethod
    def _extends(tree: Tree, head: Head | None, origin: str, before: Edge | None = None) -> None:
        """What is about to be signed must contain what was signed before."""
        if head is None or (before is not None and (head.size, head.root) == (before.size, before.root.hex())):
            return
        if head.size > tree.size or tree.root(head.size).hex() != head.root:
            raise BehindError(f"the register does not extend the head signed at {head.size}", place=origin)

    def _publish(self, prefix: str, party: str, old: int) -> None:
        head = self.head_of(party)
        if head is not None:
            self.heads.flush()
            self.served.publish(prefix, self.trees[party], old, head.line, self._reader(party))

    def _note_head(self, party: str) -> None:
        """Inside a transaction: node.db knows that heads of this register were signed, should heads.db be lost.

        Once is enough while a node is open: entries stand in node.db before their head is signed. `close` says it anew.
        """
        head = self.head_of(party)
        if head is not None and party not in self.noted:
            self.noted.add(party)
            self.db.put_note(self.logs[party], SIGNED, NoteRow(head.size, head.root, head.line))

    # Mirroring the partner's register

    def towards(self) -> NoteRow | None:
        """The head that the partner signed and that this node has begun to fetch; None once the mirror is there."""
        note = self.db.get_note(self.logs[self._other], TOWARDS)
        return note if note is not None and note.size > self.trees[self._other].size else None

    def rest_ahead(self, data: Sequence[bytes], root: str, towards: NoteRow) -> None:
        """The partner's next entries, proven, rest ahead of the mirror: durable, of no effect until it moves over them.

        `root` is the register's after them, `towards` the signed head that they are on the way to.
        """
        self.check_may_sign()
        log_id = self.logs[self._other]
        with self.db.transaction():
            self.db.put_ahead(log_id, data, root)
            self.db.put_note(log_id, TOWARDS, towards)

    def entries_ahead(self) -> Iterator[list[bytes]]:
        """The partner's entries that rest ahead of the mirror, in order, some at a time."""
        log_id, size = self.logs[self._other], self.trees[self._other].size
        ahead = self.db.ahead(log_id)
        end = ahead.size if ahead is not None else size
        for first in range(size, end, AHEAD_AT_ONCE):
            yield self.db.entries(log_id, first, min(end, first + AHEAD_AT_ONCE))

    def take_partner(
        self, last: Sequence[bytes], note: NoteRow, on_release: OnRelease, also: Callable[[], None]
    ) -> None:
        """The mirror stands at a head that the partner signed: its entries are stored, folded, cosigned and served.

        They are those that rest ahead, then the `last`; all verified. `on_release` meets each release as the fold
        does; `also` writes what belongs to the same transaction, each time after the fold has some of the entries.
        """
        self.check_may_sign()
        self.finish_late()
        party = self._other
        tree, log_id = self.trees[party], self.logs[party]
        old = tree.size
        try:
            self.fold.on_release = on_release
            with self.db.transaction():
                for data in chain(self.entries_ahead(), [last]):
                    tree.append(leaf_hashes(data))
                    self.fold.extend({party: data})
                    also()
                if (tree.size, tree.root().hex()) != (note.size, note.root):
                    raise StateError("the entries do not give the head that the partner signed", place=party)
                self.db.take_ahead(log_id, last, note.root)
                self.db.put_note(log_id, PARTNER, note)
                self._note_head(party)
            self.fold.on_release = None
        except BaseException:
            self.reload()
            raise
        with self.finishing():
            self._cosign()
            self._publish("mirror", party, old)

    def _cosign(self) -> None:
        """The partner's latest stored head bears our cosignature; made once per head."""
        party, origin = self._other, self.other_side.origin
        name, tree = f"{origin}#cosigned", self.trees[party]
        note = self.db.get_note(self.logs[party], PARTNER)
        log_key = self.other_side.log_key
        if note is None or log_key is None:
            return
        head = self.heads.get(name)
        if head is None or note.size > head.size or (note.size == head.size and note.root != head.root):
            self._extends(tree, head, origin)
            if (note.size, note.root) != (tree.size, tree.root().hex()):
                raise BehindError(f"the mirror is not at the head that the partner signed at {note.size}", place=origin)
            signer, cosigner = self.machine_signer("mirror"), mirror_name(self.law.law.id, self.party)
            line = cosign_checkpoint(
                note.data, [NoteKey(origin, log_key, LOG)], cosigner, signer, int(self.clock().timestamp())
            )
            self.heads.swap(name, head, Head(note.size, note.root, line), at=self.now())

    def cosign_anew(self) -> None:
        """Our cosignature of the partner's head is at most two minutes old: by it the partner may confirm its clock.

        Nothing is done where this node may not sign, or has cosigned nothing yet.
        """
        party = self._other
        head, side = self.head_of(party), self.other_side
        own_key = self.side.mirror_key
        if head is None or side.log_key is None or own_key is None or not self.may_sign():
            return
        cosigner, now_s = mirror_name(self.law.law.id, self.party), int(self.clock().timestamp())
        shown = open_mirror(head.line, side.origin, side.log_key, cosigner, own_key)
        note = self.db.get_note(self.logs[party], PARTNER)
        if now_s - shown.time_s <= FRESH_S or note is None or (note.size, note.root) != (head.size, head.root):
            return
        key = NoteKey(side.origin, side.log_key, LOG)
        line = cosign_checkpoint(note.data, [key], cosigner, self.machine_signer("mirror"), now_s)
        self.heads.swap(f"{side.origin}#cosigned", head, Head(head.size, head.root, line))
        self.heads.flush()
        self.served.put("mirror/checkpoint", line)


def mirror_name(agreement_id: str, party: str) -> str:
    """The name under which a party cosigns."""
    return f"entente/{agreement_id}/{party}/mirror"


def _rid(draft: Draft) -> str:
    return rid_of(canonical(draft.body["core"]))
