"""A paper shows, by the agreement alone, why a release crossed and how it ended; an altered byte anywhere is found."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix_objects import bundle_of

from entente.errors import FormatError, FrozenError, StateError, UsageError
from entente.keys import SoftSigner
from entente.node import papers, setup
from entente.node.node import Node
from entente.node.order import Remark
from entente.node.paper import signed_message
from entente.node.propose import Wish
from entente.node.show import find
from entente.strict import canonical, parse
from entente.treaty.agreement import DECIDE_RULES, parse_agreement
from entente.treaty.marking import Marking, MarkingMap
from lab.acts import SIGNERS, derived, entered, give_back, ordered, prepared
from lab.cheat import Cheat
from lab.pair import AREA, SAMPLES, UNTIL, Pair, sighted, unchanged
from lab.pair import revoke as revoked


def released(pair: Pair, *, level: str = "") -> str:
    rid = pair.approved(pair.a, sighted(), level=level)
    pair.a.dispatch([rid])
    pair.exchange()
    return rid


def destroyed(pair: Pair, *, order: bool = True) -> str:
    """A release at the level from which destruction has witnesses, destroyed by the partner."""
    law = pair.a.law.law
    high = list(law.rows[pair.a.party])[-1]
    rid = released(pair, level=high)
    if order:
        ordered(pair, pair.a, rid, "destroy")
        pair.exchange()
    witnesses = [pair.of(pair.b, name) for name in ("nair", "sen")]
    pair.b.destroy(rid, witnesses)
    pair.exchange()
    return rid


def faults(pair: Pair, data: bytes) -> list[str]:
    return papers.check(data, [pair.template.toml])


def again(node: Node, data: bytes, **changed: Any) -> bytes:
    """The paper with other contents, signed anew by the node that made it: what a lying party can hand out."""
    value = {**json.loads(data), **changed}
    value.pop("sig")
    sig = node.machine_signer("log").sign(signed_message(canonical(value))).hex()
    return canonical({**value, "sig": sig})


def kinds(data: bytes) -> list[tuple[str, str]]:
    return [(item.party, json.loads(item.entry)["kind"]) for item in papers.read(data).entries]


def test_both_nodes_make_a_decision_that_holds_with_the_agreement_alone(either: Pair) -> None:
    rid = released(either)
    for node in (either.a, either.b):
        data = papers.decision(node, rid)
        assert faults(either, data) == []
        paper = papers.read(data)
        assert (paper.rid, paper.state, paper.number, paper.issuer) == (rid, "received", 1, node.party)
        assert tuple(finding.rule for finding in paper.findings) == DECIDE_RULES
        assert all(finding.ok and finding.article for finding in paper.findings)
        assert set(paper.words) == set(either.codes)
        assert (either.b.party, "answer") in kinds(data)
        assert (either.a.party, "release") in kinds(data)


def test_both_nodes_say_the_same_but_for_who_signs(either: Pair) -> None:
    rid = released(either)
    one, two = (papers.read(papers.decision(node, rid)) for node in (either.a, either.b))
    for field in ("agreement", "findings", "marking", "number", "rid", "state", "words"):
        assert getattr(one, field) == getattr(two, field), field
    assert [(item.party, item.idx, item.entry) for item in one.entries] == [
        (item.party, item.idx, item.entry) for item in two.entries
    ]


def test_the_partners_cosignature_stands_on_the_senders_checkpoint(either: Pair) -> None:
    notes = papers.read(papers.decision(either.a, released(either))).registers
    assert notes[either.a.party].count("\n\u2014 ") == 2
    assert f"{either.b.party}/mirror" in notes[either.a.party]
    assert notes[either.b.party].count("\n\u2014 ") == 1


def test_before_the_partner_knows_of_it_there_is_a_decision_without_receipt(either: Pair) -> None:
    rid = either.release(either.a).rid
    data = papers.decision(either.a, rid)
    assert faults(either, data) == []
    assert papers.read(data).state == "dispatched"
    assert "answer" not in {kind for _, kind in kinds(data)}


def test_the_same_heads_give_the_same_bytes_and_nothing_is_written(either: Pair) -> None:
    rid = released(either)
    first = papers.decision(either.a, rid)
    with unchanged(either.a):
        either.clock.forward(hours=5)
        assert papers.decision(either.a, rid) == first
        assert papers.decision(either.a, "1") == first
    either.a.cosign_anew()
    assert papers.decision(either.a, rid) == first, "a fresh cosignature of ours changes a paper"
    either.open(either.a.party)
    assert papers.decision(either.a, rid) == first


def test_an_altered_byte_anywhere_is_found(either: Pair) -> None:
    """Every byte in turn where they are few, and each field and line; hypothesis picks the bit."""
    data = papers.decision(either.a, released(either))
    places = range(0, len(data), max(1, len(data) // 400))
    for place in places:
        altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert faults(either, altered), data[max(0, place - 40) : place + 10]
    assert faults(either, data[:-1])
    assert faults(either, data + b"\n")


def test_any_bit_of_a_certificate_matters(pair: Pair) -> None:
    data = papers.destruction(pair.b, destroyed(pair))
    assert faults(pair, data) == []

    @given(st.integers(0, len(data) - 1), st.integers(0, 7))
    @settings(max_examples=150, deadline=None)
    def altered(place: int, bit: int) -> None:
        assert faults(pair, data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])

    altered()


def test_what_was_recorded_is_what_is_computed_again(either: Pair) -> None:
    released(either)
    rid = released(either)
    for node in (either.a, either.b):
        side, fact = find(node, rid)
        assert papers.decided_again(node, side, fact) == papers.read(papers.decision(node, rid)).findings
    before = papers.decision(either.a, rid)
    either.a.db.raw.execute("DELETE FROM journal WHERE kind = 'decision'")
    assert papers.decision(either.a, rid) == before


def test_a_certificate_names_order_answer_and_witnesses(either: Pair) -> None:
    rid = destroyed(either)
    for node in (either.a, either.b):
        data = papers.destruction(node, rid)
        assert faults(either, data) == []
        paper = papers.read(data)
        assert (paper.state, paper.findings) == ("ended", ())
        held = [json.loads(item.entry) for item in paper.entries]
        assert [entry["body"]["act"] for entry in held if entry["kind"] == "order"] == ["destroy"]
        (end,) = [entry for entry in held if entry["kind"] == "answer" and entry["body"]["outcome"] == "destroyed"]
        needed = either.a.law.law.party[either.b.party].witnesses_from is not None
        assert len(end["body"]["witnesses"]) == 2
        assert needed == (either.a.law.law.id == "india-korea")


def test_what_was_given_back_has_a_certificate_too(either: Pair) -> None:
    rid = released(either)
    back = give_back(either, either.b, rid)
    either.exchange()
    either.b.give_back(rid)
    either.exchange()
    for node in (either.a, either.b):
        assert faults(either, papers.destruction(node, rid)) == []
        assert faults(either, papers.decision(node, back)) == []


def test_there_is_no_certificate_of_what_has_not_ended(either: Pair) -> None:
    rid = released(either)
    ordered(either, either.a, rid, "destroy")
    for node in (either.a, either.b):
        with pytest.raises(StateError, match="has not answered"):
            papers.destruction(node, rid)
    with pytest.raises(UsageError):
        papers.decision(either.a, "ffff")


def test_a_derivative_is_proven_with_what_it_derives_from(either: Pair) -> None:
    rid = released(either)
    own = derived(either, either.b, rid)
    either.exchange()
    for node in (either.a, either.b):
        data = papers.decision(node, own)
        assert faults(either, data) == []
        assert [kind for _, kind in kinds(data)].count("release") == 2


def test_a_raised_marking_is_the_one_of_the_paper(pair: Pair) -> None:
    rid = released(pair)
    own = derived(pair, pair.b, rid)
    pair.exchange()
    ordered(pair, pair.a, rid, "reclass", Remark(level=list(pair.a.law.law.rows[pair.a.party])[-1]))
    pair.exchange()
    for node in (pair.a, pair.b):
        for which in (rid, own):
            data = papers.decision(node, which)
            assert faults(pair, data) == []
            assert papers.read(data).words == {code: list(pair.a.law.law.rows[code])[-1] for code in pair.codes}


def test_a_person_revoked_later_does_not_unmake_a_decision(either: Pair) -> None:
    rid = released(either)
    revoked(either, either.a, "nair")
    either.exchange()
    assert faults(either, papers.decision(either.b, rid)) == []


def test_a_release_under_a_standing_approval_names_who_gave_it(either: Pair) -> None:
    """The grant, and the keys of those who signed it, stand in the paper; one taken away is missed."""
    node = either.a
    mark = either.marking(node)
    covers = {"area": AREA, "ceiling": mark.level, "format": "stix-2.1", "purpose": mark.purpose, "view": "full"}
    granted = {"class": covers, "per_day": {"bytes": 10**6, "count": 3}, "until": UNTIL}
    act = prepared(either, node, "standing", granted, *SIGNERS)
    node.enter(act.id)
    found = MarkingMap(node.law.hash, AREA, (), mark)
    map_id = node.sign_map(found, [either.of(node, "iyer")])
    source = node.import_file(AREA, bundle_of(*sighted()), place="lab.json", map_id=map_id).source
    rid = node.propose(source, Wish(f"{node.party}/rao", standing=act.id)).rid
    node.dispatch([rid])
    either.exchange()
    for maker in (either.a, either.b):
        data = papers.decision(maker, rid)
        assert faults(either, data) == []
        value = parse(data, newlines=True)
        for word in ('"kind":"standing"', f'"subject":"{node.party}/nair"'):
            less = [item for item in value["entries"] if word not in item["entry"]]
            assert len(less) < len(value["entries"])
        without = [item for item in value["entries"] if f'"subject":"{node.party}/nair"' not in item["entry"]]
        assert faults(either, again(maker, data, entries=without))


def test_suspended_resumed_and_given_notice_of_a_paper_still_holds(either: Pair) -> None:
    for what in ("suspend", "resume", "notice_of_end"):
        entered(either, either.a, "term", {"act": what})
        either.exchange()
    rid = released(either)
    entered(either, either.b, "term", {"act": "suspend"})
    either.exchange()
    for node in (either.a, either.b):
        data = papers.decision(node, rid)
        assert faults(either, data) == []
        value = parse(data, newlines=True)
        resumed = [item for item in value["entries"] if '"act":"resume"' not in item["entry"]]
        assert any("rule status" in fault for fault in faults(either, again(node, data, entries=resumed)))


def test_a_paper_is_checked_by_the_versions_that_its_entries_name(either: Pair) -> None:
    first = released(either)
    text = either.template.toml.decode().replace("\nversion = 1\n", "\nversion = 2\n").encode()
    envelope = setup.sign_agreement(text, list(either.template.authorities.values()))
    for code in either.codes:
        either.nodes[code].adopt(text, envelope, [either.template.authorities[code]])
    either.exchange()
    last = released(either)
    for node in (either.a, either.b):
        for rid in (first, last):
            data = papers.decision(node, rid)
            assert papers.check(data, [text, either.template.toml]) == []
            assert papers.check(data, [text])
            assert papers.check(data, [either.template.toml])
        assert papers.read(papers.decision(node, last)).agreement == parse_agreement(text).hash


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("area", {"core": {"article": "no such article"}}),
        ("parties", {"core": {"exercise": msgspec.UNSET}}),
        ("level", {"core": {"marking": Marking((), "COSMIC", "IND", "cyber defence", ("IND", "KOR"))}}),
        ("ancestors", {"core": {"ancestors": ("ab" * 32,)}}),
        ("standing", {"core": {"standing": "ab" * 32}, "approvers": []}),
        ("kem", {"sealed": {"kem_key": "ab" * 32}}),
        ("approval_count", {"approvers": [("nair", "release"), ("nair.two", "security")]}),
        ("in_force", {"core": {"agreement": "ab" * 32}}),
    ],
)
def test_what_was_not_permitted_has_a_paper_that_says_by_which_rule(
    pair: Pair, rule: str, wrong: dict[str, Any]
) -> None:
    """A partner may enter what decide() refuses; the refusal is proven as well as a permission."""
    cheat = Cheat(pair, pair.a)
    if "marking" in wrong.get("core", {}):
        wrong = {**wrong, "markings": [wrong["core"]["marking"]]}
    forged = cheat.release(**wrong)
    for _ in range(2):
        pair.b.pull(cheat.publish())
        pair.b.answer()
    data = papers.decision(pair.b, forged.rid)
    assert faults(pair, data) == []
    paper = papers.read(data)
    assert rule in {finding.rule for finding in paper.findings if not finding.ok}
    assert (paper.state, '"outcome":"not_permitted"' in data.decode().replace("\\", "")) == ("disputed", True)


# What a lying party can sign


def test_a_party_that_signs_another_story_is_contradicted_by_the_entries(either: Pair) -> None:
    rid = released(either)
    data = papers.decision(either.a, rid)
    assert faults(either, again(either.a, data)) == []
    value = parse(data, newlines=True)
    findings = [dict(finding) for finding in value["findings"]]
    findings[2]["observed"] = "somebody else"
    other = either.b.party
    stories: dict[str, dict[str, Any]] = {
        "finding": {"findings": findings},
        "rule left out": {"findings": value["findings"][:-1]},
        "article": {"findings": [{**value["findings"][0], "article": "99"}, *value["findings"][1:]]},
        "state": {"state": "dispatched"},
        "words": {"words": {**value["words"], other: "another"}},
        "marking": {"marking": {**value["marking"], "purpose": "another"}},
        "kind": {"kind": "destruction"},
        "agreement": {"agreement": "0" * 64},
        "issuer": {"issuer": other},
        "rid": {"rid": "0" * 64},
        "receipt left out": {"entries": [item for item in value["entries"] if '"kind":"answer"' not in item["entry"]]},
        "proof": {"entries": [{**item, "proof": item["proof"][::-1]} for item in value["entries"]]},
        "certificate left out": {
            "entries": [item for item in value["entries"] if f'"subject":"{either.a.party}/nair"' not in item["entry"]]
        },
        "checkpoint": {"registers": {**value["registers"], other: value["registers"][either.a.party]}},
    }
    for story, changed in stories.items():
        assert faults(either, again(either.a, data, **changed)), story


def test_an_entry_that_never_stood_in_the_register_is_found(pair: Pair) -> None:
    data = papers.decision(pair.a, released(pair))
    value = parse(data, newlines=True)
    for item in value["entries"]:
        if '"kind":"answer"' in item["entry"]:
            item["entry"] = item["entry"].replace("received", "no_blob")
    assert any(
        "does not lead" in fault for fault in faults(pair, again(pair.a, data, **{**value, "state": "disputed"}))
    )


def test_no_letter_of_an_entry_can_be_changed_even_by_who_signs_the_paper(pair: Pair) -> None:
    value = parse(papers.destruction(pair.b, destroyed(pair)), newlines=True)

    @given(st.data(), st.text(max_size=3))
    @settings(max_examples=200, deadline=None)
    def altered(data: st.DataObject, text: str) -> None:
        entries = [dict(item) for item in value["entries"]]
        item = data.draw(st.sampled_from(entries))
        first = data.draw(st.integers(0, len(item["entry"])))
        last = data.draw(st.integers(first, min(first + 3, len(item["entry"]))))
        changed = item["entry"][:first] + text + item["entry"][last:]
        if changed != item["entry"]:
            item["entry"] = changed
            try:
                lie = again(pair.b, canonical({**value, "entries": entries}))
            except FormatError:  # a lone surrogate, which no JSON can hold
                return
            assert faults(pair, lie)

    altered()


def test_another_agreement_or_none_makes_nothing_of_it(either: Pair) -> None:
    data = papers.decision(either.a, released(either))
    assert papers.check(data, [])
    raw = (SAMPLES / f"{either.a.law.law.id}.toml").read_bytes()
    strangers = setup.with_authorities(raw, {code: SoftSigner.generate().public for code in either.codes})
    assert papers.check(data, [strangers])
    value = parse(data, newlines=True)
    new = parse_agreement(strangers).hash
    text = data.decode().replace(value["agreement"], new)
    assert papers.check(text.encode(), [strangers])


def test_a_frozen_node_signs_no_paper(pair: Pair) -> None:
    rid = released(pair)
    pair.clock.forward(days=-2)
    with pytest.raises(FrozenError):
        papers.decision(pair.a, rid)


def test_what_is_no_paper_is_a_fault_and_no_crash(pair: Pair) -> None:
    for data in (b"", b"{}", b"[]", b'{"v":1}', b"\xff", b"null"):
        assert papers.check(data, [pair.template.toml])
    assert papers.check(b"{}", [b"not toml ["])
