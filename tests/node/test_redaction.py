"""Under the view `granular` an object crosses without what its granular markings keep back, and those words nowhere."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.node.node import Node
from entente.node.propose import NothingCrossesError, Proposal, Wish
from entente.treaty.marking import MapRow, MarkingMap
from entente.treaty.record import whole
from lab.pair import AREA, Pair

OPEN, HOME = identifier("marking-definition", 1), identifier("marking-definition", 2)
WORDS = ("tungsten", "halibut")


def marked(*selectors: str, ref: str = HOME) -> dict[str, Any]:
    """A granular marking of these selectors."""
    return {"marking_ref": ref, "selectors": list(selectors)}


def secretive(number: int = 1, **changes: Any) -> bytes:
    """An indicator of which a description and a label stay at home."""
    return as_bytes(
        indicator(
            number,
            name="in the open",
            description=f"the {WORDS[0]} of it",
            labels=["first", WORDS[1], "third"],
            granular_markings=[marked("description", "labels.[1]"), marked("labels.[2]", ref=OPEN)],
        )
        | changes
    )


def proposed(pair: Pair, node: Node, *bodies: bytes, view: str = "granular", default: bool = True) -> Proposal:
    """A draft of these objects, with a map by which OPEN may cross and HOME may not."""
    low = pair.marking(node)
    home = msgspec.structs.replace(low, releasable_to=(node.party,))
    rows = (MapRow(OPEN, low), MapRow(HOME, home))
    found = MarkingMap(node.law.hash, AREA, rows, low if default else msgspec.UNSET)
    map_id = node.sign_map(found, [pair.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(*bodies), place="own.json", map_id=map_id).source
    return node.propose(source, Wish(f"{node.party}/rao", view=view))


def crossed(pair: Pair, node: Node, rid: str) -> list[bytes]:
    """What the partner holds of the draft once it is approved, dispatched and received."""
    pair.approve(node, rid, "nair")
    if (node.law.law.areas[AREA].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    pair.exchange()
    return [whole(body) for body in pair.b.view.bodies(rid)]


def test_what_is_kept_back_is_in_no_byte_at_the_receiver(either: Pair) -> None:
    pair = either
    made = proposed(pair, pair.a, secretive(), as_bytes(indicator(2)))
    assert (made.kept, made.refused) == (2, ())
    assert made.redacted == ((identifier("indicator", 1), 2),)
    found = crossed(pair, pair.a, made.rid)
    left = json.loads(found[0])
    assert left == indicator(
        name="in the open", labels=["first", "third"], granular_markings=[marked("labels.[1]", ref=OPEN)]
    )
    assert found[1] == as_bytes(indicator(2))
    assert made.crossing == tuple(thing.sha256 for thing in pair.b.view.things(made.rid))
    pair.shut(pair.b.party)
    files = [path.read_bytes() for path in Path(pair.folder / pair.codes[1]).rglob("*") if path.is_file()]
    served = [path.read_bytes() for path in (pair.a.folder / "served").rglob("*") if path.is_file()]
    assert any(b"in the open" in data for data in files)  # so that what does not cross would be seen
    assert not any(word.encode() in data for data in (*files, *served, *found) for word in WORDS)


def test_why_tells_which_object_lost_how_many_properties(pair: Pair) -> None:
    made = proposed(pair, pair.a, secretive(), as_bytes(indicator(2)))
    assert [(item.id, item.redacted) for item in pair.a.why(made.rid).objects] == [
        (identifier("indicator", 1), 2),
        (identifier("indicator", 2), 0),
    ]


def test_under_another_view_such_an_object_stays_whole_at_home(either: Pair) -> None:
    made = proposed(either, either.a, secretive(), as_bytes(indicator(2)), view="full")
    assert made.kept == 1
    assert [(why.id, why.rule) for _, why in made.refused] == [(identifier("indicator", 1), "releasable")]


@pytest.mark.parametrize(
    "changes",
    [
        {"granular_markings": [marked("pattern")]},
        {"granular_markings": [marked("modified")]},
        {"granular_markings": [marked("revoked")], "revoked": True},
        {"granular_markings": [marked("created_by_ref")], "created_by_ref": identifier("identity")},
        {"granular_markings": [marked("object_marking_refs.[0]")], "object_marking_refs": [OPEN]},
        {"granular_markings": [marked("granular_markings.[0].selectors")]},
        {"object_marking_refs": [HOME]},
        {"granular_markings": [marked("name")], "object_marking_refs": [identifier("marking-definition", 7)]},
    ],
)
def test_an_object_that_cannot_do_without_it_stays(pair: Pair, changes: dict[str, Any]) -> None:
    made = proposed(pair, pair.a, secretive(**changes), as_bytes(indicator(2)))
    assert (made.kept, made.redacted) == (1, ())
    assert [why.id for _, why in made.refused] == [identifier("indicator", 1)]


def test_a_marking_that_the_map_does_not_know_keeps_back_too(pair: Pair) -> None:
    unknown = marked("description", ref=identifier("marking-definition", 7))
    made = proposed(pair, pair.a, secretive(granular_markings=[unknown]))
    assert made.redacted == ((identifier("indicator", 1), 1),)
    assert b"description" not in crossed(pair, pair.a, made.rid)[0]


def test_parts_that_bear_no_marking_are_marked_by_the_default(pair: Pair) -> None:
    """That one property may cross says nothing of the others: without a default the object has no marking."""
    only = secretive(granular_markings=[marked("name", ref=OPEN)])
    assert proposed(pair, pair.a, only).kept == 1
    with pytest.raises(NothingCrossesError):
        proposed(pair, pair.a, only, default=False)


def test_a_reference_that_goes_with_a_property_holds_nothing_back(pair: Pair) -> None:
    """Reference closure looks at what is left: the group stays at home, the note that named it in a part crosses."""
    group = indicator(5) | {"type": "intrusion-set", "id": identifier("intrusion-set", 5), "name": "G"}
    group = {key: item for key, item in group.items() if key not in ("pattern", "pattern_type", "valid_from")}
    note = indicator(6, x_about_refs=[group["id"]], granular_markings=[marked("x_about_refs")])
    made = proposed(pair, pair.a, as_bytes(group), as_bytes(note))
    assert [why.id for _, why in made.refused] == [group["id"]]
    assert made.redacted == ((note["id"], 1),)
    assert json.loads(crossed(pair, pair.a, made.rid)[0]) == indicator(6)


def test_what_goes_back_to_its_originator_goes_as_it_came(pair: Pair) -> None:
    """A return is marked as it came, part for part; there is nothing that the originator may not have."""
    made = proposed(pair, pair.a, secretive(granular_markings=[marked("name", ref=OPEN)]))
    came = crossed(pair, pair.a, made.rid)
    back = pair.b.propose(made.rid[:12], Wish(f"{pair.b.party}/rao", view="granular"))
    assert back.redacted == ()
    pair.approve(pair.b, back.rid, "nair")
    pair.approve(pair.b, back.rid, "iyer", "security")
    pair.b.dispatch([back.rid])
    pair.exchange()
    assert [whole(body) for body in pair.a.view.bodies(back.rid)] == came
