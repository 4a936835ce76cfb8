"""One entry: what it says, its exact bytes, and the proof that it stands where it stands."""

from collections.abc import Iterator, Sequence
from typing import Any

from entente.errors import StateError
from entente.node.proven import Head, entry_proof
from entente.register.entry import Entry
from entente.web.desk.books import clear_rank, entry_of
from entente.web.desk.register import concerned, may_read
from entente.web.desk.telling import KINDS, word
from entente.web.page import Block, Cell, Content, Facts, Line, Links, Page, Said, Table, Text, said
from entente.web.screen import page
from entente.web.visit import Visit

MOST_LINES = 200  # of an entry in words; its exact bytes have all
LAST = said("Or let verify.py do all of it: `python3 verify.py` and the folder of this node.")


@page("/entry/{party}/{idx}", said("Entry"))
def entry(visit: Visit) -> Page:
    """One entry of either register."""
    party, idx = _named(visit)
    data, found = entry_of(visit.node, party, idx)
    side = visit.node.pair.sides[party]
    reason = next((bad.reason for bad in side.invalid if bad.idx == idx), None)
    whole = may_read(visit, party, idx, found)
    rows: list[tuple[Said | str, Content]] = [
        (said("Register of"), Cell(party)),
        (said("Entry"), idx),
        (said("Kind"), word(KINDS, found.kind if found is not None else "")),
        (said("When"), visit.time(found.at if found is not None else "")),
    ]
    if reason is None:
        rows.append((said("State"), said("counts", tone="good")))
    elif whole:
        rows.append((said("State"), said("changes nothing: {reason}", tone="bad", reason=reason)))
    else:
        rows.append((said("State"), said("changes nothing", tone="bad")))
    blocks: list[Block] = [Facts(said("The entry"), rows)]
    if whole:
        blocks += _content(visit, party, idx, data, found)
    blocks += _proof(visit, party, idx)
    crumbs = [Cell(said("Register"), href="/register")]
    return Page(said("Entry {idx} of {party}", idx=idx, party=party), blocks, crumbs=crumbs)


def _named(visit: Visit) -> tuple[str, int]:
    party, text = visit.params["party"], visit.params["idx"]
    tree = visit.node.trees.get(party)
    if tree is None or not (text.isascii() and text.isdecimal() and len(text) < 12) or int(text) >= tree.size:
        raise visit.missing()
    return party, int(text)


def _content(visit: Visit, party: str, idx: int, data: bytes, found: Entry | None) -> list[Block]:
    """What it says, in words and as its exact bytes, for who may read it whole."""
    if found is None:
        text = data.decode("utf-8", "backslashreplace")
        return [Text(said("Its exact bytes"), [Cell(text, "pre")], pre=True)]
    mark, about = _marks(visit, party, idx, found)
    rows: list[tuple[Content, Content]] = [(Cell(name, "code"), Cell(value)) for name, value in _flat(found.body, "")]
    more = said("The rest stands in the exact bytes.") if len(rows) > MOST_LINES else ""
    rows = rows[:MOST_LINES]
    rows += [(said("signed by"), Cell(sig.by)) for sig in found.sigs]
    words = Table(said("What it says"), [said("Field"), said("Value")], rows, note=more)
    seen = said("{n} entries, root {root}", n=found.seen.size, root=found.seen.root)
    facts = Facts(
        said("Under which it was made"),
        [(said("Agreement"), Cell(found.agreement, "digest")), (said("It had seen of the other register"), seen)],
    )
    made: list[Block] = [words, facts]
    if about:
        made.append(Links(said("What it concerns"), about))
    return [*made, Text(said("Its exact bytes"), [Cell(data.decode(), "pre")], mark=mark, pre=True)]


def _marks(visit: Visit, party: str, idx: int, found: Entry) -> tuple[str, list[Cell]]:
    """The portion mark of an entry, and the releases that it is about as links; all may be known by the visitor."""
    if found.kind in ("undertaking", "claim"):
        return visit.portion(clear_rank(visit)), []
    highest, mark = -1, ""
    links: list[Cell] = []
    for side, fact in concerned(visit, party, idx, found):
        if fact is None:
            continue
        marking = visit.release_marking(side, fact)
        own, rank = visit.mark(marking, side.party), visit.rank(marking, side.party)
        if rank > highest:
            highest, mark = rank, own
        if len(links) < MOST_LINES:
            links.append(Cell(f"{side.party} {fact.number}", href=f"/release/{fact.rid}", mark=own))
    return mark, links


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - whatever a body holds
    """The leaves of a body: where each stands, and what it is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for at, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{at}]")
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or "-"
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


# The proof


def _proof(visit: Visit, party: str, idx: int) -> list[Block]:
    """The way from the entry to the head that its party signed, and from there to the one that the other cosigned."""
    try:
        found = entry_proof(visit.node, party, idx)
    except StateError:
        none = said("No signed head that covers it is held here yet.", tone="wait")
        return [Facts(said("Proof"), [(said("State"), none)])]
    signed, cosigned = found.signed, found.cosigned
    rows: list[tuple[Said | str, Line]] = [
        (said("Leaf hash"), Cell(found.leaf, "digest")),
        (said("Signed head"), [said("{n} entries, root", n=signed.size), Cell(signed.root, "digest")]),
    ]
    if cosigned is not None:
        rows.append(
            (said("Cosigned head"), [said("{n} entries, root", n=cosigned.size), Cell(cosigned.root, "digest")])
        )
    covers = said("covers it", tone="good") if found.covered else said("does not cover it yet", tone="wait")
    rows.append((said("The other party's cosignature"), covers))
    made: list[Block] = [
        Facts(said("Proof"), rows),
        Text(said("Inclusion hashes, in order"), _hashes(found.inclusion), pre=True),
        _note(said("The signed note"), signed),
    ]
    if cosigned is not None:
        made.append(Text(said("Consistency hashes, cosigned to signed"), _hashes(found.consistency), pre=True))
        made.append(_note(said("The cosigned note"), cosigned))
    return [*made, Text(said("How to check it by hand"), [*map(said, found.steps), LAST])]


def _hashes(hashes: Sequence[str]) -> list[Content]:
    return [Cell("\n".join(hashes), "pre")] if hashes else [said("none is needed")]


def _note(title: Said, head: Head) -> Text:
    """A note's exact text, and the keys that its lines are checked with."""
    return Text(title, [Cell(head.note, "pre"), *(Cell(key, "code") for key in head.keys)], pre=True)
