"""Words for what registers state: states of a release, outcomes, kinds of entries, steps of a life."""

from collections.abc import Iterable, Mapping

from entente.node.history import Step
from entente.strict import read_own
from entente.treaty.approval import Core
from entente.web.desk.books import release_named
from entente.web.page import Cell, Content, Said, Table, said
from entente.web.visit import Visit

STATES: Mapping[str, Said] = {
    "drafted": said("Drafted"),
    "checked": said("Checked"),
    "approved": said("Approved"),
    "queued": said("Approved, leaves with its slot"),
    "refused": said("Refused here", tone="bad"),
    "dispatched": said("Dispatched", tone="wait"),
    "stored": said("Dispatched and stored by the partner", tone="wait"),
    "received": said("Received", tone="good"),
    "disputed": said("Disputed", tone="bad"),
    "withdrawn": said("Withdrawn"),
    "ended": said("Ended: returned or destroyed"),
    "held": said("Held"),
    "destroyed": said("Destroyed"),
}
REFUSED: Mapping[str, Said] = {
    "not_permitted": said("not permitted", tone="bad"),
    "bad_digest": said("does not match its digest", tone="bad"),
    "unopenable": said("cannot be opened", tone="bad"),
    "bad_format": said("not of its format", tone="bad"),
    "too_large": said("too large", tone="bad"),
    "no_blob": said("its bytes never came", tone="bad"),
}
OUTCOMES: Mapping[str, Said] = {
    "received": said("received", tone="good"),
    "applied": said("applied", tone="good"),
    "returned": said("returned", tone="good"),
    "destroyed": said("destroyed", tone="good"),
    **REFUSED,
}
ACTS: Mapping[str, Said] = {
    **OUTCOMES,
    "withdraw": said("withdrawn"),
    "reclass": said("marked anew"),
    "return": said("wanted back"),
    "destroy": said("to be destroyed"),
    "notice": said("notice of an incident", tone="bad"),
    "findings": said("findings of an incident"),
    "measures": said("measures after an incident"),
    "suspend": said("suspended", tone="bad"),
    "resume": said("resumed"),
    "notice_of_end": said("notice of end", tone="bad"),
}
KINDS: Mapping[str, Said] = {
    "genesis": said("the register begins"),
    "epoch": said("the register goes on after a break"),
    "adopt": said("an agreement is adopted"),
    "key": said("a key is certified or revoked"),
    "term": said("suspend, resume, or notice of end"),
    "assurance": said("an assurance"),
    "standing": said("a standing approval"),
    "release": said("a release"),
    "order": said("an order about a release"),
    "incident": said("an incident"),
    "answer": said("an answer"),
    "undertaking": said("an undertaking"),
    "claim": said("a claim"),
    "": said("cannot be read", tone="bad"),
}


def word(words: Mapping[str, Said], key: str) -> Content:
    """The words for a key; the key itself, as data, where there are none."""
    return words.get(key, Cell(key))


def entry_cell(party: str, idx: int) -> Cell:
    """An entry's place, as a link to it."""
    return Cell(f"{party} {idx:,}", "code", f"/entry/{party}/{idx}")


def steps_table(visit: Visit, title: Said, steps: Iterable[Step]) -> Table:
    """What happened, step by step, each with where it stands; steps to releases not for this visitor are left out."""
    rows: list[tuple[Content, ...]] = []
    for step in steps:
        if step.rid and not may_know(visit, step.rid):
            continue
        where: Content = said("table of node.db")
        if step.party:
            where = entry_cell(step.party, step.idx)
        elif step.seq:
            where = said("home journal, line {n}", n=step.seq)
        detail = Cell(step.detail, href=_way(visit, step.rid)) if step.rid else Cell(step.detail)
        rows.append((visit.time(step.at), said(step.what), detail, Cell(", ".join(step.by) or "-"), where))
    columns = [said("When"), said("What"), said("How"), said("By whom"), said("Where it stands")]
    return Table(title, columns, rows)


def may_know(visit: Visit, rid: str) -> bool:
    """Whether the visitor may know of a release or draft with this id, if there is one."""
    if release_named(visit, rid) is not None:
        return True
    if any(side.release(rid) is not None for side in visit.node.pair.sides.values()):
        return False
    draft = visit.node.db.draft(rid)
    if draft is None:
        return False
    core = read_own(draft.core, Core)
    return visit.sees_marking(core.area, core.marking, visit.node.party)


def _way(visit: Visit, rid: str) -> str:
    return f"/release/{rid}" if release_named(visit, rid) is not None else f"/draft/{rid}"
