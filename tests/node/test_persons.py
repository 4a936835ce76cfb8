"""Persons are certified, certified anew and revoked by the authority; who reads and signs follows at once."""

import pytest

from entente.errors import RefusedError, UsageError
from entente.node import setup
from entente.node.node import PERSON, Node
from lab.pair import AREA, Pair, revoke, sighted


def again(pair: Pair, node: Node) -> Node:
    """The same node, closed and opened."""
    code = node.party
    pair.shut(code)
    return pair.open(code)


def anew(pair: Pair, node: Node, name: str, *, ceiling: str, who: str = "") -> None:
    handle, signer = pair.of(node, name)
    person = node.side.persons[handle].person
    draft = setup.certify(
        node, pair.template.authorities[node.party], handle=handle, national_id=who or f"{node.party}-2",
        key=signer.public, roles=person.roles, areas=person.areas, ceiling=ceiling, until=person.until,
    )  # fmt: skip
    node.append([draft])


def test_a_person_is_certified_anew_under_the_same_key(pair: Pair) -> None:
    node = pair.a
    handle, _ = pair.of(node, "nair")
    before = node.side.persons[handle]
    lowest = node.law.law.party[node.party].levels[0]
    assert before.person.ceiling != lowest
    anew(pair, node, "nair", ceiling=lowest)
    after = node.side.persons[handle]
    assert (after.person.ceiling, after.key_id, after.revoked_from) == (lowest, before.key_id, None)
    assert not node.side.invalid
    node = again(pair, node)
    reader = node.view.reader(handle)
    assert reader is not None
    assert reader.rank == 0


def test_a_handle_is_one_natural_persons(pair: Pair) -> None:
    node = pair.a
    size = node.side.size
    with pytest.raises(UsageError, match="another natural person"):
        anew(pair, node, "nair", ceiling=node.law.law.party[node.party].levels[0], who="somebody else")
    assert node.side.size == size


def test_who_is_revoked_approves_nothing_reads_nothing_and_can_be_certified_again(pair: Pair) -> None:
    node = pair.a
    handle, _ = pair.of(node, "nair")
    ceiling = node.side.persons[handle].person.ceiling
    rid = pair.propose(node, sighted()).rid
    revoke(pair, node, "nair")
    with pytest.raises(RefusedError):
        pair.approve(node, rid, "nair")
    with pytest.raises(UsageError, match="no live key"):
        revoke(pair, node, "nair")
    node = again(pair, node)
    reader = node.view.reader(handle)
    assert reader is not None
    assert AREA not in reader.areas
    anew(pair, node, "nair", ceiling=ceiling)
    pair.approve(node, rid, "nair")


def test_the_key_held_here_is_found_by_its_handle(pair: Pair) -> None:
    node = pair.a
    assert node.person_key(f"{node.party}/nobody") == ""
    public = node.add_person_key(f"{node.party}/new", b"a password")
    assert node.person_key(f"{node.party}/new") == public
    assert node.keys.public(f"{PERSON}{node.party}/new") == public
