"""The two registers on one node: trees and fold in memory, entries in node.db, heads in heads.db, files in `served`.

Order of writing, always: entries durable, then compare-and-swap in heads.db and sign, then publish. What fails before the
first is undone; what fails after it is finished by the next `open`.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from entente.account.acts import Release
from entente.account.fold import EMPTY_ROOT, Fold, new_pair
from entente.account.judge import OnRelease
from entente.account.state import Pair, ReleaseFact, Side
from entente.account.view import in_force, view_for
from entente.errors import AgreementError, BehindError, FrozenError, StateError, StoreError
from entente.keys import SoftSigner, verify
from entente.node.served import ServedTree
from entente.register.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from entente.register.entry import Entry, Seen, Sig, encode
from entente.register.note import LOG, NoteKey
from entente.register.tree import Growth, Tree, leaf_hashes
from entente.store.blobs import Blobs
from entente.store.heads import Head, Heads
from entente.store.keystore import Keystore
from entente.store.node_db import NodeDb, NoteRow
from entente.store.view_db import ViewDb, heads_text
from entente.strict import canonical, parse_time, time_text
from entente.treaty.agreement import SignedAgreement, parse_agreement
from entente.treaty.approval import rid_of
from entente.treaty.decision import Decision, Request, View, decide, sealed_ref

CLOCK_SLACK_S = 300


class Draft(msgspec.Struct, frozen=True):
    """What an entry will say: its kind, body and signatures; `at` and `seen` are set when it is appended."""

    kind: str
    body: dict[str, object]
    sigs: tuple[Sig, ...] = ()


class Ledger:
    """One node's stores, opened for writing by this process alone.

    Raises on opening: StoreError if another process has the node, FrozenError if what was signed is not here.
    """

    def __init__(
        self, folder: Path, party: str, passphrase: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = folder
        self.party = party
        self.clock = clock
        self._lock = _take_lock(folder / "lock")
        _clear(folder / "tmp")
        self.db = NodeDb(folder / "node.db")
        self.keys = Keystore(folder / "keys.db")
        self.heads = Heads(folder / "heads.db")
        self.view = ViewDb(folder / "view.db")
        self.blobs = Blobs(folder / "blobs", folder / "tmp")
        self.served = ServedTree(folder / "served", folder / "tmp")
        self.keys.open_node_key(passphrase)
        self.frozen = ""
        self.healable = False
        self.accreditation = ""
        self.partner_genesis = ""
        self.laws: dict[str, SignedAgreement] = {}
        self.trees: dict[str, Tree] = {}
        self.logs: dict[str, int] = {}
        for data in self.db.agreements():
            self._add_law(data)
        if self.laws:
            self._load()

    def close(self) -> None:
        """The fold is saved, every file closed, and another process may open the node."""
        if self.trees:
            self.view.save_fold(self._heads_text(), self.pair)
        for store in (self.db, self.keys, self.heads, self.view):
            store.close()
        os.close(self._lock)

    # What is in force

    def now(self) -> str:
        """This minute, by the node's clock."""
        return time_text(self.clock())

    @property
    def partner(self) -> str:
        """The other party's code."""
        return self.law.law.other(self.party)

    @property
    def law(self) -> SignedAgreement:
        """The version in force here and now, else the latest one held; AgreementError if there is none."""
        if not self.laws:
            raise AgreementError("this node has no agreement yet", remedy="Run `entente init`.")
        if self.trees:
            found = in_force(self.side, self.other_side, self.trees[self._other].size, self.now(), self.laws)
            if found is not None:
                return self.laws[found]
        return max(self.laws.values(), key=lambda signed: signed.law.version)

    @property
    def side(self) -> Side:
        """This party's facts."""
        return self.pair.sides[self.party]

    @property
    def other_side(self) -> Side:
        """The partner's facts."""
        return self.pair.other(self.party)

    @property
    def pair(self) -> Pair:
        """Both sides' facts."""
        return self.fold.pair

    @property
    def _other(self) -> str:
        return next(party for party in self.trees if party != self.party)

    def adopt_law(self, data: bytes) -> SignedAgreement:
        """The agreement's exact bytes are kept and served; its registers exist, empty if they are new."""
        signed = self._add_law(data)
        self.db.put_agreement(signed.hash, data)
        if not self.trees:
            self._load()
        self.served.put(f"agreement/{signed.hash}", data)
        return signed

    def _add_law(self, data: bytes) -> SignedAgreement:
        signed = parse_agreement(data)
        self.laws[signed.hash] = signed
        return signed

    # Loading

    def _load(self) -> None:
        """Trees and fold are what node.db says; what a crash left half done is finished."""
        law = next(iter(self.laws.values())).law
        pair = new_pair(law)
        entries = {}
        for party, side in pair.sides.items():
            self.logs[party] = self.db.add_log(side.origin, party, EMPTY_ROOT)
            entries[party] = self.db.entries(self.logs[party])
            self.trees[party] = Tree.from_leaves(leaf_hashes(entries[party]))
            size, root = self.db.head(self.logs[party])
            if (self.trees[party].size, self.trees[party].root().hex()) != (size, root):
                raise StoreError(
                    "entries do not give the stored head",
                    place=str(self.db.path),
                    remedy="Restore, then `entente verify`.",
                )
        saved = self.view.saved_fold()
        fresh = saved is None or saved[0] != self._heads_text()
        self.fold = Fold(pair if fresh or saved is None else saved[1], self.laws, self.root_at, verify)
        if fresh:
            self.fold.extend(entries)
        self._start_gate()
        self._finish()

    def reload(self) -> None:
        """Memory is what node.db says: after a batch that could not be committed."""
        self._load()

    def _heads_text(self) -> str:
        return heads_text({party: (tree.size, tree.root().hex()) for party, tree in self.trees.items()})

    def root_at(self, party: str, size: int) -> str | None:
        """The hex root of a register at a size, or None if this node holds less of it."""
        tree = self.trees[party]
        return tree.root(size).hex() if size <= tree.size else None

    def _start_gate(self) -> None:
        """Nothing is signed on a database that is behind what this node signed before."""
        evidence = self.folder / "evidence"
        self.frozen = f"two signed heads contradict each other; see {evidence}" if evidence.is_dir() else ""
        self.healable = False
        if self.frozen:
            return
        for name, party in self._head_names():
            head = self.heads.get(name)
            if head is None:
                if self.trees[party].size and self.db.get_note(
                    self.logs[party], "signed" if party == self.party else "cosigned"
                ):
                    self.frozen = f"heads.db does not know {name}: it was lost"
                    self.healable = True
                continue
            tree = self.trees[party]
            if head.size > tree.size:
                self.frozen = f"node.db holds {tree.size} entries of {name}, but {head.size} were signed: it is older"
                self.healable = True
            elif tree.root(head.size).hex() != head.root:
                self.frozen = f"node.db is another history of {name} than the one signed at {head.size}"

    def restore_heads(self) -> None:
        """A heads.db that was lost remembers what the registers hold now; the caller has seen the partner's heads on them.

        A head that heads.db still knows is left alone.
        """
        for name, party in self._head_names():
            tree = self.trees[party]
            if self.heads.get(name) is None and tree.size:
                kind = "signed" if party == self.party else "cosigned"
                note = self.db.get_note(self.logs[party], kind)
                if note is not None and note.size <= tree.size and tree.root(note.size).hex() == note.root:
                    self.heads.swap(name, None, Head(note.size, note.root, note.data))

    def _head_names(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.side.origin, self.party), (f"{self.other_side.origin}#cosigned", self._other)

    def check_may_sign(self) -> None:
        """Raise FrozenError if this node must not sign: behind its own heads, forked, or with a clock that fell back."""
        if self.frozen:
            raise FrozenError(
                self.frozen,
                remedy="Run `entente pull`: the node heals from the partner's mirror. See docs/howto/restore.md.",
            )
        mark = self.heads.watermark()
        if mark is not None and parse_time(self.now()).timestamp() < parse_time(mark).timestamp() - CLOCK_SLACK_S:
            raise FrozenError(
                f"the clock says {self.now()}, but this node signed at {mark}", remedy="Set the clock right."
            )

    def _finish(self) -> None:
        """Heads that were committed but not yet signed or published are signed and published."""
        for prefix, party, kind in (("own", self.party, "signed"), ("mirror", self._other, "cosigned")):
            tree = self.trees[party]
            if not tree.size or self.frozen:
                continue
            if party == self.party:
                self._sign_own()
            elif self.db.get_note(self.logs[party], "partner") is not None:
                self._cosign()
            note = self.db.get_note(self.logs[party], kind)
            if note is not None and self.served.get(f"{prefix}/checkpoint") != note.data:
                self.served.rebuild(prefix, tree, note.data, self._reader(party))
        for name, signed in self.laws.items():
            if self.served.get(f"agreement/{name}") is None:
                self.served.put(f"agreement/{name}", signed.data)
        self.publish_releases()

    def publish_releases(self, first: int = 0) -> None:
        """Every release of ours from the `first` on that stands has its blob served, and its key once the partner's cosignature covers it.

        What was withdrawn, returned or destroyed is served no more.
        """
        acknowledged = self.acknowledged()
        for fact in self.side.releases[first:]:
            if fact.withdrawn_at(self.side.size) or {"returned", "destroyed"} & {
                given.outcome for given in fact.answers
            }:
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

    def view_of(self, party: str, seen: int, request: Request, law: SignedAgreement) -> View:
        """The View of the next entry of `party`, which has seen `seen` of the other's entries."""
        return view_for(self.pair, party, seen, request, self.laws, law=law.law)

    def decide_next(self, request: Request, skip: frozenset[str] = frozenset()) -> Decision:
        """decide() for what would be this party's next entry."""
        law = self.laws.get(request.core.agreement, self.law)
        view = self.view_of(self.party, self.trees[self._other].size, request, law)
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
                if also is not None:
                    also(made)
        except BaseException:
            if made or len(self.side.invalid) > before:
                self.reload()
            raise
        old = tree.size
        tree.take(growth)
        self._sign_own()
        self._publish("own", self.party, old, "signed")
        return [idx for idx, _ in made]

    def _sign_own(self) -> None:
        tree, origin = self.trees[self.party], self.side.origin
        signer = self._machine_signer("log")
        head = self.heads.get(origin)
        if head is None or (head.size, head.root) != (tree.size, tree.root().hex()):
            self._extends(tree, head, origin)
            note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root()), signer)
            with self.heads.transaction():
                self.heads.swap(origin, head, Head(tree.size, tree.root().hex(), note))
                self._advance_clock()
            head = self.heads.get(origin)
        if head is not None:
            self.db.put_note(self.logs[self.party], "signed", NoteRow(head.size, head.root, head.line))

    def _advance_clock(self) -> None:
        now, mark = self.now(), self.heads.watermark()
        if mark is None or now > mark:
            self.heads.set_watermark(now)

    @staticmethod
    def _extends(tree: Tree, head: Head | None, origin: str) -> None:
        """What is about to be signed must contain what was signed before."""
        if head is not None and (head.size > tree.size or tree.root(head.size).hex() != head.root):
            raise BehindError(f"the register does not extend the head signed at {head.size}", place=origin)

    def _publish(self, prefix: str, party: str, old: int, kind: str) -> None:
        note = self.db.get_note(self.logs[party], kind)
        if note is not None:
            self.served.publish(prefix, self.trees[party], old, note.data, self._reader(party))

    # Mirroring the partner's register

    def take_partner(
        self,
        data: Sequence[bytes],
        growth: Growth,
        note: NoteRow,
        on_release: OnRelease,
        also: Callable[[], None],
    ) -> None:
        """The partner's verified entries and signed head are stored, folded, cosigned and served.

        `on_release` meets each release as the fold does; `also` writes what belongs to the same transaction, after the fold
        has the entries.
        """
        self.check_may_sign()
        party = self._other
        tree, log_id = self.trees[party], self.logs[party]
        old = tree.size
        tree.take(growth)
        try:
            self.fold.on_release = on_release
            self.fold.extend({party: data})
            self.fold.on_release = None
            with self.db.transaction():
                self.db.append(log_id, old, data, growth.root.hex())
                self.db.put_note(log_id, "partner", note)
                also()
        except BaseException:
            self.reload()
            raise
        self._cosign()
        self._publish("mirror", party, old, "cosigned")

    def _cosign(self) -> None:
        """The partner's latest stored head bears our cosignature; made once per head."""
        party, origin = self._other, self.other_side.origin
        name, tree = f"{origin}#cosigned", self.trees[party]
        note = self.db.get_note(self.logs[party], "partner")
        log_key = self.other_side.log_key
        if note is None or log_key is None:
            return
        head = self.heads.get(name)
        if head is None or note.size > head.size or (note.size == head.size and note.root != head.root):
            self._extends(tree, head, origin)
            signer, cosigner = self._machine_signer("mirror"), mirror_name(self.law.law.id, self.party)
            line = cosign_checkpoint(
                note.data, [NoteKey(origin, log_key, LOG)], cosigner, signer, int(self.clock().timestamp())
            )
            with self.heads.transaction():
                self.heads.swap(name, head, Head(note.size, note.root, line))
                self._advance_clock()
            head = self.heads.get(name)
        if head is not None:
            self.db.put_note(self.logs[party], "cosigned", NoteRow(head.size, head.root, head.line))

    def _machine_signer(self, name: str) -> SoftSigner:
        seed = self.keys.key(f"machine/{name}")
        if seed is None:
            raise StoreError(f"the {name} key is not in keys.db", place=str(self.keys.path))
        return SoftSigner(seed)


def mirror_name(agreement_id: str, party: str) -> str:
    """The name under which a party cosigns."""
    return f"entente/{agreement_id}/{party}/mirror"


def _rid(draft: Draft) -> str:
    return rid_of(canonical(draft.body["core"]))


def _take_lock(path: Path) -> int:
    """One writer per node: the lock goes with the process, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + 2
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise StoreError(
                    "another process has this node open", place=str(path.parent), remedy="Stop it, or use it."
                ) from None
            time.sleep(0.05)
        else:
            return handle


def _clear(folder: Path) -> None:
    """What a killed process was still writing is gone; nothing refers to it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
