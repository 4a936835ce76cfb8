"""Orders about a release of ours: what each will do, under which articles, and the act that is prepared for it."""

from collections.abc import Callable

from entente.account.state import ReleaseFact
from entente.node.order import KEEP_IMPORT, Remark, order_body
from entente.web.desk.act import prepared
from entente.web.desk.acts_seen import ORDERS
from entente.web.page import Block, Cell, Done, Facts, Field, Form, Page, Said, Text, said
from entente.web.screen import FieldError, Given, page
from entente.web.visit import Visit, release_cell


def release_seen(visit: Visit) -> ReleaseFact:
    """The release of ours that the address names; the same error for none and for one this visitor may not know of."""
    node = visit.node
    fact = node.side.release(visit.params["rid"])
    if fact is None or not visit.sees(node.side, fact):
        raise visit.missing()
    return fact


@page("/release/{rid}/order", said("Order about a release"))
def order(visit: Visit) -> Page:
    """What can be ordered of a release of ours: each with what follows from it, and its form."""
    fact, node = release_seen(visit), visit.node
    law = node.laws[fact.acts_under].law
    marking = visit.release_marking(node.side, fact)
    signers = law.acts.signers.order
    ended = {"destroyed", "returned"} & {given.outcome for given in fact.answers}
    given = {one.act for one in fact.orders}
    facts = Facts(
        said("The release"),
        [
            (said("Release"), release_cell(fact.rid, f"{node.party} {fact.number}")),
            (said("Marking now"), [Cell(line) for line in visit.marking_lines(marking, node.party)]),
            (said("State"), Cell(node.state_of(fact))),
            (said("Ordered so far"), Cell(", ".join(sorted(given))) if given else said("nothing")),
            (said("Persons who must sign an order"), signers),
        ],
    )
    made: list[Block] = [facts]
    if ended:
        made.append(Text(said("Orders"), [said("The partner has ended this release: there is nothing to order.")]))
    elif not visit.visitor.read_only:
        made += [_form(visit, fact, name) for name in ("withdraw", "return", "destroy") if name not in given]
        made.append(_reclass(visit, fact))
    return Page(said("Order about a release"), made, crumbs=[release_cell(fact.rid, f"{node.party} {fact.number}")])


def _note(visit: Visit, fact: ReleaseFact, name: str) -> Said:
    """What an order does, with the articles it rests on."""
    law = visit.node.laws[fact.acts_under].law
    rules = law.rules.decide
    hours = law.areas[fact.area].answer_hours
    if name == "withdraw" and fact.idx >= visit.node.acknowledged() and not law.key_before_ack:
        return said(
            "The partner has not stored it yet: its key and bytes are gone at once, and it is never served (Art. {a}).",
            a=rules.get("ancestors", ""),
        )
    notes = {
        "withdraw": said(
            "It is served no more and nothing may derive from it (Art. {a}); the partner answers within {h} hours "
            "(Art. {b}) and owes its return or destruction (Art. {c}).",
            a=rules.get("ancestors", ""), b=rules.get("answers", ""), c=rules.get("retention", ""), h=hours or 0,
        ),
        "return": said(
            "The partner releases it back to us and then holds it no more (Art. {c}); it answers within {h} hours "
            "(Art. {b}).",
            b=rules.get("answers", ""), c=rules.get("retention", ""), h=hours or 0,
        ),
        "destroy": said(
            "The partner erases it before witnesses and says so (Art. {c}), within {h} hours (Art. {b}). Our sealed "
            "copy goes at once, and the import that it was drawn from, if nothing else draws on it.",
            b=rules.get("answers", ""), c=rules.get("retention", ""), h=hours or 0,
        ),
        "reclass": said(
            "Both sides mark it so from then on, and what derives from it no lower (Art. {a}). The level needs an "
            "equal at the partner (Art. {b}); originator and purpose stay.",
            a=rules.get("join", ""), b=rules.get("equivalence", ""),
        ),
    }  # fmt: skip
    return notes[name]


def _form(visit: Visit, fact: ReleaseFact, name: str) -> Form:
    buttons = {
        "withdraw": said("Order it withdrawn"), "return": said("Order it back"), "destroy": said("Order it destroyed"),
    }  # fmt: skip
    fields = [Field("keep", said("Keep our import"), "check", required=False)] if name == "destroy" else []
    return Form(
        name, ORDERS[name], buttons[name], fields, _note(visit, fact, name), proof=True, danger=name != "return"
    )


def _reclass(visit: Visit, fact: ReleaseFact) -> Form:
    node = visit.node
    law = node.laws[fact.acts_under].law
    now = visit.release_marking(node.side, fact)
    scale = now.originator if now.originator in law.parties else node.party
    levels = [(word, word) for word in law.ranks[scale] if scale != node.party or word in law.rows[node.party]]
    choices = [(word, word) for word in sorted({*law.caveats, *now.caveats})]
    fields = [Field("level", said("Level"), "choice", now.level, levels)]
    if choices:
        fields.append(Field("caveats", said("Caveats"), "checks", " ".join(now.caveats), choices, required=False))
    note = _note(visit, fact, "reclass")
    return Form("reclass", ORDERS["reclass"], said("Order the new marking"), fields, note, proof=True)


def _act(name: str) -> Callable[[Visit, Given], Done]:
    def do(visit: Visit, given: Given) -> Done:
        fact = release_seen(visit)
        home = {KEEP_IMPORT: given.get("keep") == "yes"} if name == "destroy" else {}
        return prepared(visit, given, "order", order_body(visit.node, fact.rid, name), **home)

    return do


for _name in ("withdraw", "return", "destroy"):
    order.act(_name)(_act(_name))


@order.act("reclass")
def _remark(visit: Visit, given: Given) -> Done:
    fact, node = release_seen(visit), visit.node
    law = node.laws[fact.acts_under].law
    caveats = given.several.get("caveats", ())
    if not {*caveats} <= {*law.caveats, *fact.marking.caveats}:
        raise FieldError("caveats", "this is none of the agreement's")
    body = order_body(node, fact.rid, "reclass", Remark(given.need("level"), tuple(caveats)))
    return prepared(visit, given, "order", body)
