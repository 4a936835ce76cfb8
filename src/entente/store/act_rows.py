"""The part of node.db about acts of persons: what waits for signatures, what is being destroyed, which copies exist."""

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from entente.store import tables as t
from entente.store.sqlite import Database

PREPARED, ENTERED, DROPPED = "prepared", "entered", "dropped"
BEGUN, DONE = "begun", "done"

_put_act = insert(t.act)
_acts = select(t.act).order_by(t.act.c.at, t.act.c.id)
_acts_named = (
    select(t.act)
    .where(t.act.c.id >= bindparam("b_first"), t.act.c.id < bindparam("b_end"))
    .order_by(t.act.c.id)
    .limit(2)
)
_close_act = (
    update(t.act).where(t.act.c.id == bindparam("b_id"), t.act.c.state == PREPARED).values(state=bindparam("b_state"))
)
_sig_upsert = upsert(t.act_sig)
_put_sig = _sig_upsert.on_conflict_do_update(index_elements=["act", "by"], set_={"sig": _sig_upsert.excluded.sig})
_drop_sig = delete(t.act_sig).where(t.act_sig.c.act == bindparam("b_act"), t.act_sig.c.by == bindparam("b_by"))
_sigs = select(t.act_sig.c.by, t.act_sig.c.sig).where(t.act_sig.c.act == bindparam("b_act")).order_by(t.act_sig.c.by)
_erasure_upsert = upsert(t.erasure)
_put_erasure = _erasure_upsert.on_conflict_do_update(
    index_elements=["rid"],
    set_={name: _erasure_upsert.excluded[name] for name in ("at", "state", "what", "answer")},
)
_erasures = select(t.erasure).order_by(t.erasure.c.at, t.erasure.c.rid)
_begun = select(t.erasure).where(t.erasure.c.state == BEGUN).order_by(t.erasure.c.at, t.erasure.c.rid)
_erasure = select(t.erasure).where(t.erasure.c.rid == bindparam("b_rid"))
_erased = update(t.erasure).where(t.erasure.c.rid == bindparam("b_rid")).values(state=DONE)
_drop_source = delete(t.source).where(t.source.c.id == bindparam("b_id"))
_journal_lines = select(t.journal.c.key, t.journal.c.data).where(t.journal.c.kind == bindparam("b_kind")).order_by(
    t.journal.c.seq
)  # fmt: skip


class ActRow(msgspec.Struct, frozen=True):
    """What persons are to sign: its kind and exact body under an agreement, by whom, and what only we know of it."""

    id: str
    kind: str
    agreement: str
    body: bytes
    state: str
    at: str
    by: str
    home: bytes


class ErasureRow(msgspec.Struct, frozen=True):
    """What is to be gone of a release, how far that is, and the body of the answer that will say so (empty: none)."""

    rid: str
    at: str
    state: str
    what: bytes
    answer: bytes


class ActRows(Database):
    """The tables `act`, `act_sig` and `erasure`."""

    def put_act(self, row: ActRow) -> None:
        """An act is prepared."""
        self.run(_put_act, **msgspec.structs.asdict(row))

    def acts(self) -> list[ActRow]:
        """Every act, oldest first."""
        return [ActRow(*row) for row in self.all(_acts)]

    def acts_named(self, start: str) -> list[ActRow]:
        """The first two acts whose id begins like this."""
        return [ActRow(*row) for row in self.all(_acts_named, b_first=start, b_end=f"{start}g")]

    def close_act(self, name: str, state: str) -> bool:
        """The act is no longer `prepared` but in this state; False, and nothing changed, if it was not prepared."""
        return self.run(_close_act, b_id=name, b_state=state) == 1

    def put_act_sig(self, act: str, by: str, sig: str) -> None:
        """The person's signature of the act stands."""
        self.run(_put_sig, act=act, by=by, sig=sig)

    def drop_act_sig(self, act: str, by: str) -> None:
        """The person's signature of the act is gone."""
        self.run(_drop_sig, b_act=act, b_by=by)

    def act_sigs(self, act: str) -> list[tuple[str, str]]:
        """(handle, signature) of an act, by handle."""
        return [(str(by), str(sig)) for by, sig in self.all(_sigs, b_act=act)]

    def put_erasure(self, row: ErasureRow) -> None:
        """The erasure is intended; a later intent about the same release takes the place of an earlier one."""
        self.run(_put_erasure, **msgspec.structs.asdict(row))

    def erasures(self) -> list[ErasureRow]:
        """Every erasure, oldest first."""
        return [ErasureRow(*row) for row in self.all(_erasures)]

    def begun_erasures(self) -> list[ErasureRow]:
        """Every erasure that is not done, oldest first."""
        return [ErasureRow(*row) for row in self.all(_begun)]

    def erasure(self, rid: str) -> ErasureRow | None:
        """The erasure of one release."""
        row = self.one(_erasure, b_rid=rid)
        return None if row is None else ErasureRow(*row)

    def set_erased(self, rid: str) -> None:
        """The erasure is done."""
        self.run(_erased, b_rid=rid)

    def drop_source(self, name: str) -> None:
        """The import is not known any more; the same file can be imported anew."""
        self.run(_drop_source, b_id=name)

    def journal_lines(self, kind: str) -> list[tuple[str, bytes]]:
        """(key, line) of every line of this kind in the home journal, oldest first."""
        return [(str(key), bytes(data)) for key, data in self.all(_journal_lines, b_kind=kind)]
