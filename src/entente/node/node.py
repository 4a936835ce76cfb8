"""class Node: the verbs on one set of stores. Every door (command line, web, TAXII, demo) calls only this.

The way of one release through it: import_file, propose, approve, dispatch; at the partner pull, answer; pull again
here.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from entente.account.duties import Duty, duties
from entente.account.incidents import Case, Reached, blast_radius, cases
from entente.account.state import ReleaseFact
from entente.errors import StoreError, UsageError
from entente.keys import Signer, SoftSigner, key_id
from entente.node import (
    account,
    act,
    adopt,
    answer,
    approve,
    confirm,
    copies,
    destroy,
    dispatch,
    documents,
    import_,
    map,  # noqa: A004 - the verb is called so
    order,
    pair,
    propose,
    pull,
    rebuild,
    refuse,
    requests,
    setup,
    shelves,
    show,
    slots,
    tls,
    why,
)
from entente.node.documents import Held
from entente.node.import_ import Validate
from entente.node.ledger import Ledger
from entente.node.served import FolderTree, Reader
from entente.node.wire import WireTree
from entente.store.shelf_rows import NOBODY
from entente.store.view_db import Thing
from entente.treaty.area import Area
from entente.treaty.cover import ReplySheet, RequestSheet, Stated
from entente.treaty.marking import MarkingMap
from entente.treaty.record import Data

PERSON = "person/"


class Synced(msgspec.Struct, frozen=True):
    """One round: releases dispatched, what the pull brought, answer entries written."""

    dispatched: int
    pulled: pull.Pulled
    answered: int


class Node(Ledger):
    """One party's node. Open it, call verbs, close it; one process at a time."""

    def __init__(
        self,
        folder: Path,
        areas: Mapping[str, Area],
        validate: Validate,
        *,
        passphrase: bytes | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        yields: bool = False,
        reads: bool = False,
    ) -> None:
        """Open the node in `folder`, for reading alone if `reads`; no passphrase: that of its passphrase file.

        Raises: UsageError (not a node), KeyUnavailableError (wrong passphrase), StoreError (open elsewhere, or
        damaged).
        """
        self.settings = setup.read_settings(folder)
        self._opening = passphrase or setup.read_passphrase(folder)
        super().__init__(folder, self.settings.party, self._opening, clock, yields=yields, reads=reads)
        self.accreditation = self.settings.accreditation
        self.partner_genesis = self.settings.partner_genesis
        self.areas = areas
        self.validate = validate
        if reads:
            return
        destroy.settle(self)
        if not self.view.built:
            self.rebuild()  # also of a node that has nothing yet: its view.db is whole from the first
        shelves.settle(self)
        shelves.project(self)

    def close(self) -> None:
        """Who may read is what the register says now, and every file is closed."""
        try:
            if not self.reads:
                shelves.project(self)
        finally:
            super().close()

    def onlooker(self) -> "Node":
        """The same node, open beside this one for reading alone; `refresh` it, and close it."""
        return Node(self.folder, self.areas, self.validate, passphrase=self._opening, clock=self.clock, reads=True)

    # Persons

    def person_signer(self, handle: str, password: bytes) -> SoftSigner:
        """The signer of a person whose key is held here; KeyUnavailableError on a wrong password."""
        return self.keys.signer(PERSON + handle, password)

    def person_key(self, handle: str) -> str:
        """The public half of the key that is held here for this handle; "" if none is."""
        name = PERSON + handle
        return self.keys.public(name) if self.keys.locked(name) is not None else ""

    def add_person_key(self, handle: str, password: bytes) -> str:
        """A new key for this handle rests here under the password; returns its public half."""
        signer = SoftSigner.generate()
        self.keys.put_secret(PERSON + handle, signer.public, signer.seed, password)
        return signer.public

    # The verbs of a release

    def sign_map(self, found: MarkingMap, persons: Sequence[tuple[str, SoftSigner]]) -> str:
        """The marking map is held here, signed; returns its id."""
        return map.sign_map(self, found, list(persons))

    def import_file(
        self, area: str, data: Data, *, place: str, map_id: str, form: str = "",
        along: import_.Along = lambda _: None, reads: int = NOBODY,
    ) -> import_.Imported:  # fmt: skip
        """The file's objects can be proposed; `form` is its format, the area's first by default.

        What `along` writes into node.db is committed with it; `reads` is the rank up to which the importer may read.
        """
        if area not in self.areas:
            raise UsageError(f"area {area} is not built here", remedy=f"Built: {', '.join(self.areas)}.")
        found = self.areas[area]
        if form and form not in found.formats:
            raise UsageError(f"{area} has no format {form}", remedy=f"Its formats: {', '.join(found.formats)}.")
        chosen = form or found.formats[0]
        return import_.import_file(
            self, found, chosen, data, place=place, map_id=map_id, validate=self.validate, along=along, reads=reads
        )

    def propose(self, source: str, wish: propose.Wish) -> propose.Proposal:
        """A frozen draft of what may cross from an import, or of a release that goes back to the partner."""
        return propose.propose(self, self.areas, self.validate, source, wish)

    def revoke_approval(self, rid: str, handle: str, signer: SoftSigner) -> approve.Approved:
        """As `approve.revoke_approval`."""
        return approve.revoke_approval(self, rid, handle, signer)

    def approve(
        self, rid: str, handle: str, role: str, signer: SoftSigner, *, seconds: int | None = None
    ) -> approve.Approved:
        """A person's approval of the draft's exact bytes, signed so many seconds after they were shown."""
        return approve.approve_draft(self, rid, handle, role, signer, seconds=seconds)

    def refuse(self, rid: str, handle: str, reason: str, signer: SoftSigner) -> refuse.Refusal:
        """The draft is refused for good, with a reason that stays at home."""
        return refuse.refuse(self, rid, handle, reason, signer)

    def dispatch(self, rids: Sequence[str]) -> list[dispatch.Dispatched]:
        """Approved drafts become entries, sealed to the partner."""
        return dispatch.dispatch(self, rids)

    def queue(self, rids: Sequence[str]) -> str:
        """Approved drafts leave at the end of this dispatch slot; returns that time."""
        return slots.queue(self, rids, self.settings.dispatch_slot_minutes)

    def sync(self, tree: Reader | None = None) -> Synced:
        """What is due was dispatched; then the partner's tree was pulled, and outcomes answered.

        Raises: as `pull`; what was dispatched by then stands. StoreError if what is due could not leave: only after
        the rest was done, so that a draft whose key is gone does not cut this node off.
        """
        self.mark_time()
        sent, late = [], None
        try:
            sent = slots.dispatch_due(self, self.settings.dispatch_slot_minutes)
        except StoreError as fault:
            late = fault
        got = self.pull(tree)
        answered = self.answer()
        self.cosign_anew()
        if late is not None:
            raise late
        return Synced(len(sent), got, answered)

    def pull(self, tree: Reader | None = None) -> pull.Pulled:
        """The partner's tree is read, stored, cosigned and opened as far as keys are served."""
        own = self.partner_tree() if tree is None else tree
        try:
            done = pull.pull(self, own, self.validate)
        finally:
            if tree is None:
                own.close()
        destroy.settle(self)
        shelves.settle(self)
        return done

    def answer(self) -> int:
        """Outcomes are stated in our register; returns how many entries that took."""
        return answer.answer(self)

    def partner_tree(self, interrupted: Callable[[], bool] = lambda: False) -> Reader:
        """The partner's served tree as the settings name it; over the wire, reading ends once `interrupted` is true."""
        if self.settings.partner_tree:
            given = Path(self.settings.partner_tree)
            return FolderTree(given if given.is_absolute() else (self.folder / given).resolve())
        if not self.settings.partner_url:
            raise UsageError("no partner is known", remedy="Run `entente pair accept FILE`, or give --from DIR.")
        return WireTree(
            self.settings.partner_url, self.tls_context(server=False), self.is_partner_leaf, interrupted=interrupted
        )

    def tls_context(self, *, server: bool) -> ssl.SSLContext:
        """Our end of the wire, which accepts what the partner's CA signed; UsageError if the pairing named none."""
        try:
            partner_ca = (self.folder / pair.PARTNER_CA).read_text()
        except FileNotFoundError:
            raise UsageError("the partner's CA is not known", remedy="Run `entente pair accept FILE`.") from None
        leaf = self._leaf()
        tls.identity(self.keys, self.folder, self.party, leaf=leaf)
        return tls.context(self.keys, self.folder, partner_ca, server=server, leaf=leaf)

    def _leaf(self) -> str:
        """The name of the leaf key to show: the newest one of our register that the partner has cosigned."""
        for fact in reversed(self.side.tls.values()):
            name = tls.leaf_name(fact.key)
            if fact.born < self.acknowledged() and fact.revoked_from is None and self.keys.key(name) is not None:
                return name
        return tls.FIRST

    def is_partner_leaf(self, key: str) -> bool:
        """Whether a TLS leaf key is the partner's: paired by hand or certified in its register, and not revoked."""
        facts = self.other_side.tls if self.trees else {}
        fact = facts.get(key_id(key))
        if fact is None:
            return key == self.settings.partner_tls_key
        latest = max(self.now(), self.heads.watermark() or "")  # a clock set back makes no expired key good again
        return fact.revoked_from is None and latest < fact.until

    def rebuild(self) -> tuple[int, list[tuple[str, str]]]:
        """view.db is made anew; returns how many imports and releases that took, and what cannot be read any more."""
        return rebuild.rebuild(self, self.areas, self.validate)

    def confirm(self, persons: Sequence[tuple[str, SoftSigner]]) -> str:
        """Persons vouch for the clock or the registers, and the node signs again; returns what was in doubt."""
        return confirm.confirm(self, persons)

    # Documents, requests and replies

    def document(
        self, file: Data, stated: Stated, *, label: str, parents: Sequence[str], place: str, map_id: str
    ) -> import_.Imported:
        """The file can be proposed as a document."""
        return documents.document(
            self, self.areas, file, stated, label=label, parents=tuple(sorted(set(parents))), place=place,
            map_id=map_id, validate=self.validate,
        )  # fmt: skip

    def documents(self, rid: str) -> tuple[documents.Held, ...]:
        """The documents of a release held here, or of a draft of ours."""
        return documents.documents(self, rid)

    def export(self, held: Held, out: Path, holder: str, place: str) -> copies.Copy | None:
        """A document's file stands at `out`, as a numbered copy if the partner released it."""
        return documents.export(self, held, out, holder, place)

    def ask(self, sheet: RequestSheet, *, author: str, map_id: str) -> requests.Proposed:
        """A draft of this request stands."""
        return requests.ask(self, self.areas, sheet, author=author, map_id=map_id, validate=self.validate)

    def reply(self, sheet: ReplySheet, *, author: str, map_id: str) -> requests.Proposed:
        """A draft of this reply stands."""
        return requests.reply(self, self.areas, sheet, author=author, map_id=map_id, validate=self.validate)

    def asked(self) -> tuple[requests.Asked, ...]:
        """Every request of either side with its replies, oldest first."""
        return requests.asked(self)

    def stray_replies(self) -> tuple[tuple[str, requests.Reply], ...]:
        """Replies to what is no request known here, each with the release id it names."""
        return requests.strays(self)

    # Acts of persons

    def acts(self) -> list[act.Act]:
        """Every act that was prepared here, oldest first, with who signed it."""
        return [act.show(self, row) for row in self.db.acts()]

    def act_named(self, name: str) -> act.Act:
        """One act, by its id or the beginning of one."""
        return act.show(self, act.act_of(self, name))

    def needed(self, kind: str, body: Mapping[str, Any]) -> act.Needed:
        """How many persons, in which roles, an act takes; raises what `prepare` would."""
        whole = {**body, "nonce": "00" * 16}
        act.check_signable(self, kind, whole)
        return act.needed(self, kind, whole)

    def prepare(
        self, kind: str, body: Mapping[str, Any], *, by: str = "", home: Mapping[str, Any] | None = None
    ) -> act.Act:
        """An act rests here, to be signed by as many persons as the agreement asks."""
        return act.prepare(self, kind, body, by=by, home=home)

    def sign(self, name: str, handle: str, signer: Signer) -> act.Act:
        """A person's signature of an act; nothing has crossed."""
        return act.sign(self, name, handle, signer)

    def enter(self, name: str) -> act.Entered:
        """An act that enough persons signed stands in our register, and what follows from it here is done."""
        row = act.act_of(self, name)
        done = order.enter_order(self, row.id) if row.kind == "order" else act.enter(self, row.id)
        shelves.settle(self)
        return done

    def drop(self, name: str) -> act.Act:
        """An act that will never be entered."""
        return act.drop(self, name)

    def adopt(self, data: bytes, envelope: bytes, authorities: Sequence[Signer]) -> adopt.Adoption:
        """A later version of the agreement stands in our register as adopted."""
        return adopt.adopt(self, data, envelope, authorities)

    # The end of what was received

    def received(self, which: str) -> ReleaseFact:
        """A release of the partner's, by its number in the partner's register or the beginning of its id."""
        return order.release_of(self.other_side, which)

    def make_copy(self, which: str, holder: str, place: str) -> copies.Copy:
        """A numbered copy of a release held here is out."""
        return copies.make_copy(self, self.received(which), holder, place)

    def close_copy(self, which: str, number: int) -> copies.Copy:
        """That copy is out no more."""
        return copies.close_copy(self, self.received(which), number)

    def ending(self, which: str, outcome: str) -> destroy.Ending:
        """How a release of the partner's would end here, `destroyed` or `returned`."""
        return destroy.ending(self, self.received(which), outcome)

    def destroy(self, which: str, witnesses: Sequence[tuple[str, Signer]] = ()) -> int:
        """Nothing of a release of the partner's is here, and our register says so; returns the answer's index."""
        return destroy.end(self, self.ending(which, "destroyed"), witnesses)

    def give_back(self, which: str, witnesses: Sequence[tuple[str, Signer]] = ()) -> int:
        """The same, once its originator has received it back."""
        return destroy.end(self, self.ending(which, "returned"), witnesses)

    # Questions

    def why(self, key: str) -> why.Why:
        """Every object and rule of a release (by number or id) or draft."""
        return why.why(self, self.areas, key)

    def show(self, which: str) -> show.Shown:
        """One release with all that both registers say of it, and what this node holds of it."""
        return show.show(self, which)

    def search(self, words: str, most: int) -> list[tuple[str, Thing]]:
        """(import or release, object) of whatever is held here and holds these words."""
        if not words.strip():
            raise UsageError("nothing to search for")
        return self.view.search(words, most)

    def state_of(self, fact: ReleaseFact) -> str:
        """A release's state as this node sees it."""
        return why.state_of(self, fact)

    def reconcile(self, cut: str = "", at: str = "") -> account.Account:
        """The account at a cut `A:B`, the same bytes on both nodes; UsageError if it is not one this node can draw."""
        return account.draw(self, cut, at)

    def reconcile_year(self, year: int) -> account.Account:
        """The account of one year, the same bytes on both nodes."""
        return account.draw_year(self, year)

    def duties(self, at: str = "") -> tuple[Duty, ...]:
        """Every open duty of both parties at a time, by default now."""
        return duties(self.pair, self.laws, at or self.now())

    def incidents(self) -> list[tuple[Case, tuple[Reached, ...]]]:
        """Every incident of either party with all that it reaches: the releases named and what derives from them."""
        return [(case, blast_radius(self.pair, self.laws, case.releases)) for case in cases(self.pair)]
