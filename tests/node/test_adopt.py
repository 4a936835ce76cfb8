"""A second version of the agreement counts once both authorities signed it, both have adopted it and it has started.

What was released before stays bound to the version it was made under and verifiable; a draft made under the old one
and not dispatched is refused by rule in_force.
"""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from entente.account.view import in_force
from entente.errors import AgreementError, EntenteError, FrozenError, RefusedError, StateError
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.verify import verify_folders
from entente.strict import time_text
from lab.acts import SIGNERS, entered, ordered, prepared, reopened, sweep
from lab.killing import load_script
from lab.pair import START, Pair, copy_of, files, put_back, unchanged


def second(pair: Pair, *, version: int = 2, start: str = "", keys: dict[str, SoftSigner] | None = None) -> bytes:
    """The next version's text; `keys` take the place of authorities."""
    text = pair.template.toml.decode()
    text = re.sub(r"(?m)^version = \d+", f"version = {version}", text)
    text = re.sub(r"(?m)^(answer_hours) = \d+", r"\1 = 48", text)
    if start:
        text = re.sub(r'(?m)^start = "[^"]*"', f'start = "{start}"', text, count=1)
    for code, signer in (keys or {}).items():
        text = text.replace(pair.template.authorities[code].public, signer.public)
    return text.encode()


def envelope(pair: Pair, toml: bytes, **keys: SoftSigner) -> bytes:
    return setup.sign_agreement(toml, [keys.get(code, signer) for code, signer in pair.template.authorities.items()])


def adopt(pair: Pair, *codes: str, toml: bytes = b"") -> str:
    """These parties adopt the second version; returns its hash."""
    data = toml or second(pair)
    found = [
        pair.nodes[code].adopt(data, envelope(pair, data), [pair.template.authorities[code]])
        for code in codes or pair.codes
    ]
    return found[0].agreement


def verified(pair: Pair) -> None:
    folders = {code: pair.folder / code for code in pair.codes}
    assert verify_folders(folders).faults == []
    script = load_script()
    for folder in folders.values():
        found = script.verify(folder)
        assert (found.failed, found.invalid_count) == (0, 0)


def test_the_new_version_counts_once_both_have_adopted_it(either: Pair) -> None:
    old = either.a.law.hash
    first = either.release(either.a).rid
    either.exchange()
    new = adopt(either, either.codes[0])
    assert either.a.law.hash == old, "the partner has not adopted it"
    between = either.release(either.a).rid
    either.exchange()
    assert new in either.b.laws
    assert either.b.law.hash == old
    adopt(either, either.codes[1])
    assert either.b.law.hash == new
    assert either.a.law.hash == old, "it does not know yet"
    either.exchange()
    assert either.a.law.hash == new
    last = either.release(either.a).rid
    back = either.release(either.b).rid
    either.exchange()
    for node in either.nodes.values():
        assert not node.side.invalid
        assert not node.other_side.invalid
        facts = node.pair.sides[either.codes[0]].releases
        assert [fact.agreement for fact in facts] == [old, old, new]
        assert {fact.rid: node.state_of(fact) for fact in facts} == dict.fromkeys((first, between, last), "received")
        assert node.pair.sides[either.codes[1]].release(back)
        assert f"agreement/{new}" in files(node.folder / "served")
    mine = either.a.reconcile()
    assert mine.text == either.b.reconcile(mine.cut, mine.at).text
    verified(either)
    for code in either.codes:
        either.open(code)
    assert either.a.law.hash == either.b.law.hash == new
    verified(either)


def test_a_draft_made_under_the_old_version_is_refused_by_rule_in_force(either: Pair) -> None:
    rid = either.approved(either.a)
    adopt(either)
    either.exchange()
    with pytest.raises(RefusedError, match="in_force"):
        either.a.dispatch([rid])
    assert not either.a.side.releases
    draft = either.a.db.draft(rid)
    assert draft is not None
    assert draft.state == "drafted"


def test_orders_about_what_was_released_before_go_on(either: Pair) -> None:
    rid = either.release(either.a).rid
    either.exchange()
    adopt(either)
    either.exchange()
    ordered(either, either.a, rid, "destroy")
    either.exchange()
    either.b.destroy(rid)
    either.exchange()
    assert either.a.state_of(either.a.side.releases[0]) == "ended"
    verified(either)


def test_an_act_prepared_under_the_old_version_is_prepared_anew(pair: Pair) -> None:
    act = prepared(pair, pair.a, "term", {"act": "suspend"}, *SIGNERS)
    adopt(pair)
    pair.exchange()
    with unchanged(pair.a), pytest.raises(StateError, match="another version"):
        pair.a.enter(act.id)
    assert "another version" in pair.a.act_named(act.id).fault
    pair.a.drop(act.id)
    entered(pair, pair.a, "term", {"act": "suspend"})


def test_it_counts_from_its_start_on(pair: Pair) -> None:
    old, later = pair.a.law.hash, START + timedelta(hours=3)
    new = adopt(pair, toml=second(pair, start=time_text(later)))
    pair.exchange()
    pair.clock.now = later - timedelta(minutes=1)
    assert (pair.a.law.hash, pair.b.law.hash) == (old, old)
    pair.release(pair.a)
    pair.clock.now = later
    assert (pair.a.law.hash, pair.b.law.hash) == (new, new)
    pair.release(pair.a)
    pair.exchange()
    assert [fact.agreement for fact in pair.b.other_side.releases] == [old, new]
    assert not pair.b.other_side.invalid
    verified(pair)


def test_a_new_authority_takes_over_with_the_old_ones_signature(pair: Pair) -> None:
    code = pair.codes[0]
    fresh = SoftSigner.generate()
    data = second(pair, keys={code: fresh})
    dsse = envelope(pair, data, **{code: fresh})
    old = pair.template.authorities[code]
    for given in ([old], [fresh], [SoftSigner.generate()], []):
        with unchanged(pair.a), pytest.raises(RefusedError):
            pair.a.adopt(data, dsse, given)
    pair.a.adopt(data, dsse, [old, fresh])
    pair.b.adopt(data, dsse, [pair.template.authorities[pair.codes[1]]])
    pair.exchange()
    assert not pair.b.other_side.invalid
    assert pair.b.law.law.party[code].authority == (fresh.public,)
    verified(pair)


def test_what_is_not_the_next_version_signed_by_both_is_not_adopted(pair: Pair) -> None:
    ours = [pair.template.authorities[pair.codes[0]]]
    good = second(pair)
    other_id = good.replace(b'id = "india-korea"', b'id = "other"')
    cases: list[tuple[bytes, bytes, type[EntenteError]]] = [
        (good, setup.sign_agreement(good, ours), AgreementError),
        (good, envelope(pair, pair.template.toml), AgreementError),
        (good, b"{}", AgreementError),
        (pair.template.toml, pair.template.envelope, StateError),
        (second(pair, version=3), envelope(pair, second(pair, version=3)), AgreementError),
        (other_id, envelope(pair, other_id), AgreementError),
        (b"id = 5", b"{}", AgreementError),
    ]
    for data, dsse, error in cases:
        with unchanged(pair.a), pytest.raises(error):
            pair.a.adopt(data, dsse, ours)
    assert list(pair.a.laws) == [pair.a.law.hash]
    verified(pair)


def test_it_is_adopted_once_and_then_the_next_follows(pair: Pair) -> None:
    adopt(pair)
    pair.exchange()
    with unchanged(pair.a), pytest.raises(StateError, match="already"):
        adopt(pair, pair.codes[0])
    third = adopt(pair, toml=second(pair, version=3))
    pair.exchange()
    assert (pair.a.law.hash, pair.b.law.hash) == (third, third)
    verified(pair)


def test_a_frozen_node_adopts_nothing(pair: Pair) -> None:
    saved = pair.folder / "saved"
    copy_of(pair.a.folder, "node.db", saved)
    entered(pair, pair.a, "term", {"act": "suspend"})
    put_back(pair, pair.codes[0], "node.db", saved=saved)
    with unchanged(pair.a), pytest.raises(FrozenError):
        adopt(pair, pair.codes[0])
    assert len(pair.a.laws) == 1


def test_a_file_of_an_adoption_that_was_never_entered_is_gone_at_the_next_opening(pair: Pair) -> None:
    data = second(pair)
    stray = pair.a.folder / "served" / "agreement" / ("ab" * 32)
    stray.write_bytes(data)
    node = pair.open(pair.codes[0])
    assert not stray.exists()
    assert f"agreement/{node.law.hash}" in files(node.folder / "served")


def test_a_new_version_takes_over_after_the_term_of_the_old_one_has_ended(either: Pair) -> None:
    old = either.a.law.hash
    entered(either, either.a, "term", {"act": "notice_of_end"})
    either.exchange()
    either.clock.forward(days=1700)
    data = second(either).replace(b'end = "2031-01-01T00:00Z"', b'end = "2041-01-01T00:00Z"')
    for node in either.nodes.values():
        sides = (node.side, node.other_side, node.other_side.size)
        assert in_force(*sides, node.now(), node.laws) is None
        assert node.law.hash == old
    new = adopt(either, toml=data)
    either.exchange()
    for node in either.nodes.values():
        assert in_force(node.side, node.other_side, node.other_side.size, node.now(), node.laws) == new
        assert node.law.hash == new
        assert not node.side.invalid


def test_a_crash_before_any_act_on_disk_of_an_adoption_leaves_both_verifiers_content(pair: Pair) -> None:
    """Adopted or not, what is served fits the register, and adopting again does the rest."""
    data = second(pair)
    dsse, code = envelope(pair, data), pair.codes[0]
    for each in pair.codes:
        pair.shut(each)

    def check(folder: Path) -> None:
        node = reopened(pair, folder, code)
        if len(node.side.adopted) == 1:
            node.adopt(data, dsse, [pair.template.authorities[code]])
        assert len(node.side.adopted) == 2
        assert not node.side.invalid
        node.close()
        assert verify_folders({code: folder / code}).faults == []

    assert sweep(pair, lambda node: node.adopt(data, dsse, [pair.template.authorities[code]]), check, code) > 5
