"""One entry: what it says, its exact bytes, and the proof that it stands where it stands."""

from collections.abc import Iterator
from typing import Any

from entente.node.ledger import PARTNER
from entente.register.entry import Entry
from entente.register.proof import consistency_proof, inclusion_proof
from entente.web.desk.books import clear_rank, entry_of
from entente.web.desk.register import concerned, may_read
from entente.web.desk.telling import KINDS, word
from entente.web.page import Block, Cell, Content, Facts, Links, Page, Said, Table, Text, said
from entente.web.screen import page
from entente.web.visit import Visit

MOST_LINES = 200  # of an entry in words; its exact bytes have all
BY_HAND = (
    said("1. Take the exact bytes below. SHA-256 over one byte 00 and these bytes is the leaf hash."),
    said(
        "2. Go through the inclusion hashes in order, as RFC 9162, 2.1.3.2 says. Where the entry's number is odd, or "
        "the last of its level, the hash stands left of yours, else right; SHA-256 over one byte 01, left and right is "
        "the next. Halve the number each time; where it is the last and even, halve it until it is odd."
    ),
    said("3. What comes out must be the root in the third line of the signed note, in base64 there."),
    said("4. Check the note's signature with the log key that entry 0 of this register states."),
    said(
        "5. The consistency hashes lead from the cosigned head to the signed one in the same way (RFC 9162, 2.1.4.2)."
    ),
    said("Or let verify.py do all of it: python verify.py and the folder of this node."),
)


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
        yield name, str(value)


# The proof


def _proof(visit: Visit, party: str, idx: int) -> list[Block]:
    """The way from the entry to the head that its party signed, and from there to the one that the other cosigned."""
    node, tree = visit.node, visit.node.trees[party]
    ours = party == node.party
    signed = node.head_of(party) if ours else node.db.get_note(node.logs[party], PARTNER)
    cosigned = node.db.get_note(node.logs[party], "acknowledged") if ours else node.head_of(party)
    if signed is None or not idx < signed.size <= tree.size:
        none = said("No signed head that covers it is held here yet.", tone="wait")
        return [Facts(said("Proof"), [(said("State"), none)])]
    note = signed.line if hasattr(signed, "line") else signed.data
    path = inclusion_proof(tree, idx, signed.size)
    rows: list[tuple[Said | str, Content]] = [
        (said("Leaf hash"), Cell(tree.leaf(idx).hex(), "digest")),
        (said("Signed head"), said("{n} entries, root {root}", n=signed.size, root=tree.root(signed.size).hex())),
    ]
    blocks: list[Block] = []
    hashes = [Text(said("Inclusion hashes, in order"), _lines(path), pre=True)]
    if cosigned is not None and 0 < cosigned.size <= signed.size:
        covers = said("covers it", tone="good") if idx < cosigned.size else said("does not cover it yet", tone="wait")
        rows.append((said("Cosigned head"), said("{n} entries", n=cosigned.size)))
        rows.append((said("The other party's cosignature"), covers))
        hashes.append(
            Text(said("Consistency hashes, from the cosigned to the signed head"),
                 _lines(consistency_proof(tree, cosigned.size, signed.size)), pre=True)
        )  # fmt: skip
    blocks += [Facts(said("Proof"), rows), *hashes, _note(said("The signed note"), note)]
    if cosigned is not None:
        data = cosigned.line if hasattr(cosigned, "line") else cosigned.data
        if data != note:
            blocks.append(_note(said("The cosigned note"), data))
    return [*blocks, Text(said("How to check it by hand"), BY_HAND)]


def _lines(hashes: list[bytes]) -> list[Content]:
    return [Cell("\n".join(one.hex() for one in hashes), "pre")] if hashes else [said("none is needed")]


def _note(title: Said, data: bytes) -> Text:
    return Text(title, [Cell(data.decode("utf-8", "backslashreplace"), "pre")], pre=True)
