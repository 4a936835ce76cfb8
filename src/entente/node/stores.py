"""The stores of one node, opened for writing by this process alone, and the two registers in memory as they say.

The start gate decides here whether the node may sign at all. Source: design core-spec, Storage, start gate.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from entente.account.fold import EMPTY_ROOT, Fold, new_pair
from entente.account.state import Pair, Side
from entente.account.view import agreement_at
from entente.errors import AgreementError, FrozenError, StoreError
from entente.keys import SoftSigner, verify
from entente.node.lock import Lock
from entente.node.served import ServedTree
from entente.register.checkpoint import Checkpoint
from entente.register.tree import Tree, leaf_hashes
from entente.store.blobs import Blobs
from entente.store.heads import Head, Heads
from entente.store.keystore import Keystore
from entente.store.node_db import NodeDb, NoteRow
from entente.store.view_db import ViewDb, heads_text
from entente.strict import parse_time, time_text
from entente.treaty.agreement import SignedAgreement, parse_agreement

CLOCK_SLACK_S = 300
LONGEST_STOP_S = 86_400
MARK_EVERY_S = 3600
SIGNED = "signed"  # the kind of note that tells which head of a register this node last signed or cosigned


class Stores(ABC):
    """One node's stores, opened for writing by this process alone.

    Raises on opening: StoreError if another process has the node, FrozenError if what was signed is not here.
    """

    def __init__(
        self,
        folder: Path,
        party: str,
        passphrase: bytes,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        yields: bool = False,
        reads: bool = False,
    ) -> None:
        """Args: `yields`: whoever wants the node next may say so (see `wanted`), and the caller will close it.

        `reads`: it is opened for reading alone, also while somebody else has it; nothing in it can be written then.
        """
        self.folder = folder
        self.party = party
        self.clock = clock
        self.frozen = ""
        self._long_stop = ""
        self.healable = False
        self.half_done = False
        self.accreditation = ""
        self.partner_genesis = ""
        self.laws: dict[str, SignedAgreement] = {}
        self.trees: dict[str, Tree] = {}
        self.logs: dict[str, int] = {}
        self.noted: set[str] = set()
        self.settled: tuple[int, int] = (-1, -1)
        self.reads = reads
        self._lock = None if reads else Lock(folder, yields=yields)
        with ExitStack() as undo:  # a node that cannot be opened is left free to be opened
            if self._lock is not None:
                undo.callback(self._lock.close)
                _clear(folder / "tmp")
            self.db = NodeDb(folder / "node.db")
            undo.callback(self.db.close)
            self.keys = Keystore(folder / "keys.db")
            undo.callback(self.keys.close)
            self.heads = Heads(folder / "heads.db")
            undo.callback(self.heads.close)
            self.view = ViewDb(folder / "view.db")
            undo.callback(self.view.close)
            self.blobs = Blobs(folder / "blobs", folder / "tmp")
            self.served = ServedTree(folder / "served", folder / "tmp")
            self.keys.open_node_key(passphrase)
            if reads:
                for store in (self.db, self.keys, self.heads, self.view):
                    store.seal()
            self._doubt_clock()
            for data in self.db.agreements():
                self._add_law(data)
            if self.laws:
                self._load()
            undo.pop_all()

    def close(self) -> None:
        """The fold is saved, every file closed, and another process may open the node."""
        if self.trees and not self.reads:
            self.view.save_fold(self._heads_text(), self.pair)
            for party in self.trees:
                head = self.head_of(party)
                if head is not None and not self.frozen:
                    self.db.put_note(self.logs[party], SIGNED, NoteRow(head.size, head.root, head.line))
        for store in (self.db, self.keys, self.heads, self.view):
            store.close()
        if self._lock is not None:
            self._lock.close()

    def wanted(self) -> bool:
        """Whether another process waits for this node; false where it was not opened to yield."""
        return self._lock is not None and self._lock.wanted()

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
        """The version that entries of ours act under here and now; AgreementError if there is none.

        It is the latest that both have adopted and that has started, whether or not its term has ended; before that the
        latest that this party has adopted, and before any the latest that is held.
        """
        if not self.laws:
            raise AgreementError("this node has no agreement yet", remedy="Run `entente init`.")
        held = list(self.laws.values())
        if self.trees:
            found = agreement_at(self.side, self.other_side, self.trees[self._other].size, self.now(), self.laws)
            if found is not None:
                return found
            held = [signed for name, signed in self.laws.items() if name in self.side.adopted] or held
        return max(held, key=lambda signed: signed.law.version)

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
        known = set(self.laws)
        signed = self._add_law(data)
        self.db.put_agreement(signed.hash, data)
        if signed.hash not in known:
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
        fold = Fold(pair if fresh or saved is None else saved[1], self.laws, self.root_at, verify)
        if fresh:
            fold.extend(entries)
        self.fold = fold  # whole at once: the listener asks it meanwhile whose a key is
        self.noted = {party for party, log_id in self.logs.items() if self.db.get_note(log_id, SIGNED)}
        self._start_gate()
        self.finish()

    def reload(self) -> None:
        """Memory is what node.db says: after a batch that could not be committed."""
        self._load()

    def refresh(self) -> None:
        """A node opened for reading knows what its stores say by now, whoever wrote them."""
        self.heads.refresh()  # before node.db, where entries stand before their head is signed
        held = self.db.agreements()
        fresh = held if len(held) != len(self.laws) else []
        heads = {party: self.db.head(log_id) for party, log_id in self.logs.items()}
        if not fresh and all((tree.size, tree.root().hex()) == heads[party] for party, tree in self.trees.items()):
            return
        for data in fresh:
            self._add_law(data)
        grown = {
            party: self.db.entries(self.logs[party], tree.size, heads[party][0]) for party, tree in self.trees.items()
        }
        for party, entries in grown.items():
            self.trees[party].append(leaf_hashes(entries))
        if fresh or any((tree.size, tree.root().hex()) != heads[party] for party, tree in self.trees.items()):
            self._load()
            return
        self.fold.extend(grown)
        self._start_gate()

    def _heads_text(self) -> str:
        heads = {party: (tree.size, tree.root().hex()) for party, tree in self.trees.items()}
        return heads_text(heads, sorted(self.laws))

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
                if self.trees[party].size and party in self.noted:
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
        """A heads.db that was lost remembers what the registers hold; the caller has seen the partner's heads on them.

        A head that heads.db still knows is left alone.
        """
        for name, party in self._head_names():
            tree = self.trees[party]
            if self.heads.get(name) is None and tree.size:
                note = self.db.get_note(self.logs[party], SIGNED)
                if note is not None and note.size <= tree.size and tree.root(note.size).hex() == note.root:
                    self.heads.swap(name, None, Head(note.size, note.root, note.data))

    def knows_heads(self) -> bool:
        """Whether heads.db knows a head of both registers."""
        return all(self.heads.get(name) is not None for name, _ in self._head_names())

    def head_of(self, party: str) -> Head | None:
        """The last head of this party's register that this node signed or cosigned."""
        names = {owner: name for name, owner in self._head_names()}
        return self.heads.get(names[party])

    def _head_names(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.side.origin, self.party), (f"{self.other_side.origin}#cosigned", self._other)

    def remember_own(self, head: Checkpoint, line: bytes) -> None:
        """A head of ours that the partner shows and we lost is durable in heads.db until we heal."""
        old = self.heads.get(self.side.origin)
        if old is None or old.size < head.size:
            self.heads.swap(self.side.origin, old, Head(head.size, head.root.hex(), line))
        self._start_gate()

    def check_may_sign(self) -> None:
        """Raise FrozenError if this node must not sign: behind its own heads, forked, or its clock fell back."""
        if self.frozen:
            raise FrozenError(
                self.frozen,
                remedy="Run `entente pull`: the node heals from the partner's mirror. See docs/howto/restore.md.",
            )
        if self.clock_doubt:
            raise FrozenError(
                self.clock_doubt,
                remedy="If it is right, pull: the partner's fresh cosignature confirms it. Or `entente confirm`.",
            )

    @property
    def clock_doubt(self) -> str:
        """Why the clock alone is not believed: it fell back, or this node did not run for more than a day."""
        ahead = self._since_mark()
        if ahead is not None and ahead < -CLOCK_SLACK_S:
            return f"the clock says {self.now()}, but this node signed at {self.heads.watermark()}"
        return self._long_stop

    def _since_mark(self) -> float | None:
        """Seconds since this node is last known to have run with a clock that was believed; None if it never has."""
        mark = self.heads.watermark()
        return None if mark is None else parse_time(self.now()).timestamp() - parse_time(mark).timestamp()

    def _doubt_clock(self) -> None:
        """After a stop of more than a day, which a clock that leapt looks like, the clock alone is not believed."""
        ahead = self._since_mark()
        if ahead is not None and ahead > LONGEST_STOP_S:
            self._long_stop = f"the clock says {self.now()}, {ahead / 3600:.0f} hours after this node last ran"

    def may_sign(self) -> bool:
        """Whether `check_may_sign` raises nothing."""
        try:
            self.check_may_sign()
        except FrozenError:
            return False
        return True

    def doubt(self) -> str:
        """What persons, or the partner, may confirm: the clock after a stop, or heads.db after its loss; "" if none."""
        return self.clock_doubt or (self.frozen if self.healable else "")

    def trust(self) -> None:
        """What was in doubt is confirmed: the clock is believed from now on, and the registers are the latest."""
        if self.clock_doubt:
            self._long_stop = ""
            self.heads.mark(self.now())
        if self.healable:
            self.restore_heads()
        self.reload()

    def mark_time(self) -> None:
        """The watermark is less than an hour old, if this node may sign: a stop is measured from it."""
        ahead = self._since_mark()
        if ahead is not None and ahead >= MARK_EVERY_S and self.may_sign():
            self.heads.mark(self.now())

    @abstractmethod
    def finish(self) -> None:
        """What a crash left half done (signing, publishing) is done; called once the registers are loaded."""

    def machine_signer(self, name: str) -> SoftSigner:
        """The signer of one of this node's own keys: `log` or `mirror`."""
        seed = self.keys.key(f"machine/{name}")
        if seed is None:
            raise StoreError(f"the {name} key is not in keys.db", place=str(self.keys.path))
        return SoftSigner(seed)


def _clear(folder: Path) -> None:
    """What a killed process was still writing is gone; nothing refers to it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
