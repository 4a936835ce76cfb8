"""Each kind of entry: what is valid joins the facts; what is not is listed, changes nothing, and the fold goes on."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from account.histories import (
    LATER,
    SAMPLES,
    World,
    agreement,
    decisions,
    later,
    signer,
    state_bytes,
)
from entente.account.acts import act_message
from entente.account.state import Pair
from entente.account.view import in_force
from entente.errors import FormatError
from entente.keys import SoftSigner, key_id, pae
from entente.register.entry import MAX_ENTRY_BYTES, Seen, Sig, act_id, parse_entry
from entente.strict import canonical, parse
from entente.treaty.agreement import parse_agreement

By = list[tuple[str, SoftSigner]]
Made = tuple[dict[str, Any], By]
Maker = Callable[[World, str], Made]
BY_AUTHORITY = ("adopt", "person", "kem", "log", "mirror", "tls", "assurance")
BY_PERSONS = ("standing", "revoke", "suspend", "notice_of_end", "order", "reclass", "incident", "undertaking", "claim")
UNSIGNED = ("release", "answer")
KIND = {
    "person": "key",
    "kem": "key",
    "log": "key",
    "mirror": "key",
    "tls": "key",
    "revoke": "standing",
    "suspend": "term",
    "notice_of_end": "term",
    "reclass": "order",
}


def rotated(world: World, party: str, subject: str) -> Made:
    old, new = signer(world.sample, party, subject), signer(world.sample, party, subject, "new")
    body = {
        "areas": [],
        "key": new.public,
        "nonce": world.nonce(),
        "replaces": key_id(old.public),
        "roles": [],
        "subject": subject,
        "until": LATER,
    }
    return body, [*world.by_authority(party), (key_id(old.public), old)]


def standing_act(world: World, party: str) -> str:
    return next(iter(world.folded().sides[party].standings))


def own_rid(world: World, party: str) -> str:
    return world.folded().sides[party].releases[0].rid


def tls(world: World, party: str) -> Made:
    key = signer(world.sample, party, "tls").public
    body = {"areas": [], "key": key, "nonce": world.nonce(), "roles": [], "subject": "tls", "until": LATER}
    return body, world.by_authority(party)


MAKERS: Mapping[str, Maker] = {
    "adopt": lambda w, p: (w.adopt(p, second_of(w), w.hash), w.by_authority(p)),
    "person": lambda w, p: (w.person_key(f"{p}/new"), w.by_authority(p)),
    "kem": lambda w, p: (w.kem_key(p, 7), w.by_authority(p)),
    "log": lambda w, p: rotated(w, p, "log"),
    "mirror": lambda w, p: rotated(w, p, "mirror"),
    "tls": tls,
    "assurance": lambda w, p: (w.assurance(p), w.by_authority(p)),
    "standing": lambda w, p: (w.standing(p), w.people(p)),
    "revoke": lambda w, p: ({"nonce": w.nonce(), "revokes": standing_act(w, p)}, w.people(p)),
    "suspend": lambda w, p: (w.term("suspend"), w.people(p)),
    "notice_of_end": lambda w, p: (w.term("notice_of_end"), w.people(p)),
    "order": lambda w, p: (w.order(own_rid(w, p)), w.people(p)),
    "reclass": lambda w, p: (w.order(own_rid(w, p), "reclass", marking=w.marking(p)), w.people(p)),
    "incident": lambda w, p: (w.incident(p, [[0, 3]]), w.people(p)),
    "undertaking": lambda w, p: (w.undertaking(p), w.people(p)),
    "claim": lambda w, p: (w.claim(), w.people(p, "a")),
    "release": lambda w, p: (w.release(p, w.core(p), w.people(p)), []),
    "answer": lambda w, p: (w.answer(p, [[0, 9]]), []),
}
NEEDED = {"standing": "approvals", "revoke": "revoke", "reclass": "order"}


def second_of(world: World) -> Any:
    return next(signed for signed in world.laws.values() if signed.law.version == 2)


def needed(world: World, name: str) -> int:
    """How many persons must sign."""
    if name == "claim":
        return 1
    if name == "standing":
        return world.law.areas[world.area].approvals or 0
    return int(getattr(world.law.acts.signers, NEEDED.get(name, name)))


@pytest.fixture(params=SAMPLES)
def world(request: pytest.FixtureRequest) -> World:
    """Both parties set up; each has a standing approval and a release that the other has seen."""
    made = World(
        request.param, agreement(request.param, 2), agreement(request.param, 2, note="# one byte more\n")
    ).begin()
    for party in made.parties:
        made.put(party, made.draft(party, "standing", made.standing(party), made.people(party)))
        made.put(party, made.draft(party, "release", made.release(party, made.core(party), made.people(party))))
    assert not [side.invalid for side in made.folded().sides.values() if side.invalid]
    return made


def make(world: World, name: str, party: str = "", by: By | None = None, **other: Any) -> bytes:
    """The bytes of an entry, signed as it must be unless `by` or `other` say otherwise."""
    who = party or world.parties[0]
    body, signed = MAKERS[name](world, who)
    return world.draft(who, KIND.get(name, name), body, signed if by is None else by, **other)


def fate(world: World, data: bytes, party: str = "") -> str:
    """What becomes of the bytes as a party's next entry: "" if valid, else the reason; then nothing has changed."""
    who = party or world.parties[0]
    before = world.folded()
    idx = world.put(who, data)
    after = world.folded()
    faults = after.sides[who].invalid[len(before.sides[who].invalid) :]
    if not faults:
        return ""
    assert [fault.idx for fault in faults] == [idx]
    assert after.sides[who].size == idx + 1
    assert facts(after) == facts(before)
    return faults[0].reason


def facts(pair: Pair) -> bytes:
    return state_bytes(pair, without=("size", "last_at", "invalid", "seen", "seen_root"))


def goes_on(world: World) -> None:
    """After whatever stands there, a valid entry of the same party joins."""
    assert fate(world, make(world, "incident")) == ""


# Valid, and the same with one thing wrong


@pytest.mark.parametrize("name", MAKERS)
def test_a_valid_act_of_each_kind_joins_the_facts(world: World, name: str) -> None:
    before = facts(world.folded())
    assert fate(world, make(world, name)) == ""
    assert facts(world.folded()) != before


@pytest.mark.parametrize("name", [*BY_AUTHORITY, *BY_PERSONS])
def test_an_unsigned_act_is_invalid(world: World, name: str) -> None:
    assert fate(world, make(world, name, by=[])) != ""
    goes_on(world)


@pytest.mark.parametrize("name", UNSIGNED)
def test_a_release_or_answer_with_a_signature_is_invalid(world: World, name: str) -> None:
    one = world.parties[0]
    assert fate(world, make(world, name, by=world.people(one, "a"))) != ""


@pytest.mark.parametrize("name", BY_AUTHORITY)
def test_an_authoritys_act_signed_by_another_is_invalid(world: World, name: str) -> None:
    one, two = world.parties
    stranger = signer("stranger")
    own = world.by_authority(one)
    wrong: list[By] = [
        world.by_authority(two),
        world.people(one),
        [(own[0][0], stranger)],
        [(key_id(stranger.public), stranger)],
        [*own, (key_id(stranger.public), stranger)],
        [*own, *world.by_authority(two)],
    ]
    for by in wrong:
        assert fate(world, make(world, name, by=by)) != ""


@pytest.mark.parametrize("name", ["log", "mirror"])
def test_a_rotated_register_key_is_signed_by_the_old_one_too(world: World, name: str) -> None:
    one = world.parties[0]
    assert fate(world, make(world, name, by=world.by_authority(one))) == "signature missing"
    old = signer(world.sample, one, name)
    assert fate(world, make(world, name, by=[(key_id(old.public), old)])) != ""
    body, by = rotated(world, one, name)
    body["replaces"] = key_id(signer("stranger").public)
    assert fate(world, world.draft(one, "key", body, by)) != ""


@pytest.mark.parametrize("name", BY_PERSONS)
def test_an_act_of_persons_signed_by_others_is_invalid(world: World, name: str) -> None:
    one, two = world.parties
    people = world.people(one)
    stranger = signer("stranger")
    for by in (
        world.by_authority(one),
        world.people(two),
        [*world.people(one, "a"), *world.people(two, "b")],
        [*people, (f"{one}/nobody", stranger)],
        [people[0], (people[1][0], stranger)],
        [(people[0][0], people[1][1]), (people[1][0], people[0][1])],
    ):
        assert fate(world, make(world, name, by=by)) != ""
    goes_on(world)


@pytest.mark.parametrize("name", BY_PERSONS)
def test_as_many_persons_as_the_agreement_says_must_sign(world: World, name: str) -> None:
    one = world.parties[0]
    count = needed(world, name)
    assert fate(world, make(world, name, by=world.people(one, "abc"[: count - 1]))) != ""
    assert fate(world, make(world, name, by=world.people(one, "abc"[:count]))) == ""


@pytest.mark.parametrize("name", BY_PERSONS)
def test_one_person_under_two_handles_counts_once(world: World, name: str) -> None:
    one = world.parties[0]
    twin = world.person_key(f"{one}/twin", who=f"{one}/a")
    assert fate(world, world.draft(one, "key", twin, world.by_authority(one))) == ""
    by = [*world.people(one, "a"), (f"{one}/twin", world.person(f"{one}/twin"))]
    assert (fate(world, make(world, name, by=by)) == "") == (needed(world, name) == 1)


@pytest.mark.parametrize("name", BY_PERSONS)
def test_a_revoked_person_signs_nothing_from_the_stated_index_on(world: World, name: str) -> None:
    one = world.parties[0]
    size = len(world.entries[one])
    body = world.person_key(f"{one}/b", revoked={"from_index": size + 2, "reason": "left"})
    assert fate(world, world.draft(one, "key", body, world.by_authority(one))) == ""
    assert fate(world, make(world, "incident", by=world.people(one, "b"))) == ""
    by = world.people(one, "b" if needed(world, name) == 1 else "ab")
    assert fate(world, make(world, name, by=by)) == f"{one}/b is not certified"
    by = world.people(one, "c" if needed(world, name) == 1 else "ac")
    assert fate(world, make(world, name, by=by)) == ""


@pytest.mark.parametrize("name", BY_PERSONS)
def test_a_person_signs_nothing_from_their_expiry_on(world: World, name: str) -> None:
    one = world.parties[0]
    until = later(world.at, 10)
    body = world.person_key(f"{one}/d", until=until)
    assert fate(world, world.draft(one, "key", body, world.by_authority(one))) == ""
    by = world.people(one, "d" if needed(world, name) == 1 else "ad")
    assert fate(world, make(world, name, by=by, at=until)) == f"{one}/d is expired"
    assert fate(world, make(world, name, by=by, at=later(until, -1))) == ""


@pytest.mark.parametrize("name", ["standing", "revoke", "order", "reclass", "claim"])
def test_a_person_without_the_role_does_not_sign(world: World, name: str) -> None:
    one = world.parties[0]
    body = world.person_key(f"{one}/d", roles=["driver"])
    assert fate(world, world.draft(one, "key", body, world.by_authority(one))) == ""
    by = world.people(one, "d" if needed(world, name) == 1 else "ad")
    assert fate(world, make(world, name, by=by)) == f"{one}/d lacks the role"


@pytest.mark.parametrize("name", ["suspend", "notice_of_end", "incident", "undertaking"])
def test_acts_about_no_area_take_any_role(world: World, name: str) -> None:
    one = world.parties[0]
    body = world.person_key(f"{one}/d", roles=["driver"])
    assert fate(world, world.draft(one, "key", body, world.by_authority(one))) == ""
    by = world.people(one, "d" if needed(world, name) == 1 else "ad")
    assert fate(world, make(world, name, by=by)) == ""


@pytest.mark.parametrize("name", [*BY_AUTHORITY, *BY_PERSONS])
def test_the_same_act_does_not_count_twice(world: World, name: str) -> None:
    one, two = world.parties
    data = make(world, name)
    assert fate(world, data) == ""
    assert fate(world, data) in {"repeated act", "replaces another key than the live one"}
    raw = parse(data, newlines=True)
    world.at = later(world.at, 60 * 24)
    world.put(two, make(world, "incident", two))
    seen = world.seen(one)
    raw |= {"at": world.at, "seen": {"epoch": 1, "root": seen.root, "size": seen.size}}
    assert fate(world, canonical(raw)) != ""
    goes_on(world)


@pytest.mark.parametrize("name", [*BY_AUTHORITY, *BY_PERSONS])
def test_an_act_signed_for_the_other_register_or_kind_is_invalid(world: World, name: str) -> None:
    one, two = world.parties
    assert fate(world, make(world, name, origin=world.origins[two])) != ""
    body, by = MAKERS[name](world, one)
    kind = KIND.get(name, name)
    message = act_message("claim" if kind != "claim" else "term", world.origins[one], world.hash, body)
    raw = parse(world.draft(one, kind, body), newlines=True)
    raw["sigs"] = [{"by": name, "sig": who.sign(message).hex()} for name, who in sorted(by, key=lambda pair: pair[0])]
    assert fate(world, canonical(raw)) != ""


@pytest.mark.parametrize("name", [*BY_AUTHORITY, *BY_PERSONS])
def test_an_act_signed_under_another_agreement_is_invalid(world: World, name: str) -> None:
    one = world.parties[0]
    body, by = MAKERS[name](world, one)
    message = act_message(KIND.get(name, name), world.origins[one], second_of(world).hash, body)
    raw = parse(world.draft(one, KIND.get(name, name), body), newlines=True)
    raw["sigs"] = [{"by": name, "sig": who.sign(message).hex()} for name, who in sorted(by, key=lambda pair: pair[0])]
    assert fate(world, canonical(raw)) != ""


@pytest.mark.parametrize("name", MAKERS)
def test_an_unknown_missing_or_ill_typed_field_is_invalid(world: World, name: str) -> None:
    one = world.parties[0]
    body, by = MAKERS[name](world, one)
    kind = KIND.get(name, name)
    assert fate(world, world.draft(one, kind, {**body, "more": 1}, by)) != ""
    for field in body:
        rest = {key: value for key, value in body.items() if key != field}
        if field not in {"replaces", "copies", "supersedes"}:
            assert fate(world, world.draft(one, kind, rest, by)) != "", field
        assert fate(world, world.draft(one, kind, {**body, field: True}, by)) != "", field
    for field, nested in body.items():
        if isinstance(nested, dict) and field != "text":
            assert fate(world, world.draft(one, kind, {**body, field: {**nested, "more": 1}}, by)) != "", field
    goes_on(world)


@pytest.mark.parametrize("name", [*BY_AUTHORITY, *BY_PERSONS])
def test_a_nonce_is_sixteen_bytes_of_lowercase_hex(world: World, name: str) -> None:
    one = world.parties[0]
    body, by = MAKERS[name](world, one)
    for nonce in ("", "ab" * 15, "ab" * 17, "AB" * 16, "ab" * 15 + "a\n", "zz" * 16):
        raw = parse(world.draft(one, KIND.get(name, name), body, by), newlines=True)
        raw["body"]["nonce"] = nonce
        message = act_message(KIND.get(name, name), world.origins[one], world.hash, raw["body"])
        raw["sigs"] = [{"by": who, "sig": s.sign(message).hex()} for who, s in sorted(by, key=lambda pair: pair[0])]
        assert fate(world, canonical(raw)) != ""


# The envelope


def test_a_seen_that_falls_lies_or_reaches_too_far_is_invalid_and_the_next_entry_is_not(world: World) -> None:
    one, two = world.parties
    size = len(world.entries[two])
    good = world.root(two, size) or ""
    for seen in (
        Seen(1, size - 1, world.root(two, size - 1) or ""),  # the release before it saw more
        Seen(1, 0, world.root(two, 0) or ""),
        Seen(1, size, "00" * 32),
        Seen(1, size, world.root(two, size - 1) or ""),
        Seen(1, size + 1, good),
        Seen(1, 2**53 - 1, good),
        Seen(2, size, good),
    ):
        world.put(one, make(world, "incident"))
        assert fate(world, make(world, "incident", seen=seen)) == "bad_seen"
        assert world.folded().sides[one].seen == size
        goes_on(world)


_WRONG: tuple[Any, ...] = (True, 2, "", "x" * 64, [], {}, "2026-13-01T00:00Z")


@pytest.mark.parametrize("field", ["v", "kind", "at", "seen", "agreement", "body", "sigs"])
def test_an_envelope_with_a_wrong_field_is_listed(world: World, field: str) -> None:
    good = parse(make(world, "incident"))
    for value in _WRONG:
        assert fate(world, canonical({**good, field: value})) != ""
    assert fate(world, canonical({key: value for key, value in good.items() if key != field})) != ""
    assert fate(world, canonical({**good, "more": 1})) != ""
    goes_on(world)


def test_bytes_that_are_no_entry_are_listed(world: World) -> None:
    good = make(world, "incident")
    for data in (
        b"",
        b"null",
        b"[]",
        b"{}",
        good[:-1],
        good + b" ",
        b" " + good,
        good.replace(b",", b", ", 1),
        b"\xff" * 9,
    ):
        assert fate(world, data).startswith("format: ")
    goes_on(world)


def test_an_entry_over_32768_bytes_is_never_made_and_listed_where_it_stands(world: World) -> None:
    one = world.parties[0]
    size = len(make(world, "undertaking"))
    room = MAX_ENTRY_BYTES - size + len("first line\\nsecond line")
    full = world.undertaking(one, text={"en": "x" * room})
    data = world.draft(one, "undertaking", full, world.people(one))
    assert len(data) == MAX_ENTRY_BYTES
    assert fate(world, data) == ""
    with pytest.raises(FormatError):
        world.draft(one, "undertaking", world.undertaking(one, text={"en": "x" * (room + 1)}), world.people(one))
    raw = parse(data)
    raw["body"]["text"]["en"] += "x"
    assert fate(world, canonical(raw)).startswith("format: 32769 bytes")
    goes_on(world)


def test_only_an_undertaking_holds_line_feeds(world: World) -> None:
    one = world.parties[0]
    raw = parse(make(world, "claim"))
    raw["body"]["value"] = "two\nlines"
    assert fate(world, canonical(raw)).startswith("format: ")
    for text in ("tab\there", "bell\u0007", "\u202eback", "cafe\u0301"):
        raw = parse(make(world, "undertaking"), newlines=True)
        raw["body"]["text"] = {"en": text}
        assert fate(world, canonical(raw)).startswith("format: ")
    assert (
        fate(world, world.draft(one, "undertaking", world.undertaking(one, text={"en": "a\nb"}), world.people(one)))
        == ""
    )


def test_a_time_written_in_other_digits_is_no_time(world: World) -> None:
    raw = parse(make(world, "claim"))
    for at in ("2026-03-0\u0661T00:00Z", "\uff12\uff10\uff12\uff16-03-01T00:00Z", "2026-03-01T00:0\u096aZ"):
        assert fate(world, canonical({**raw, "at": at})).startswith("format: ")


def test_signatures_are_sorted_and_name_each_signatory_once(world: World) -> None:
    raw = parse(make(world, "undertaking"), newlines=True)
    assert fate(world, canonical({**raw, "sigs": raw["sigs"][::-1]})).startswith("format: ")
    assert fate(world, canonical({**raw, "sigs": [raw["sigs"][0], raw["sigs"][0]]})).startswith("format: ")
    for sig in ("", raw["sigs"][0]["sig"].upper(), raw["sigs"][0]["sig"][:-2], raw["sigs"][0]["sig"] + "00"):
        assert fate(world, canonical({**raw, "sigs": [{"by": raw["sigs"][0]["by"], "sig": sig}]})).startswith(
            "format: "
        )


# Genesis and adopt


def test_genesis_stands_once_first_and_only_there(world: World) -> None:
    one = world.parties[0]
    assert fate(world, world.entries[one][0]) == "bad_seen"
    again = world.draft(one, "genesis", world.genesis(one), world.by_authority(one))
    assert fate(world, again) == "genesis stands first and only there"
    goes_on(world)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_register_that_does_not_start_with_its_own_genesis_has_no_valid_entry(sample: str) -> None:
    good = World(sample).begin()
    one, two = good.parties
    empty = Seen(1, 0, good.root(two, 0) or "")
    lead = good.by_authority(one)
    other = World(sample)
    for first in (
        good.entries[one][1],
        good.entries[two][0],
        good.draft(one, "genesis", good.genesis(two), lead, seen=empty),
        good.draft(one, "genesis", good.genesis(one), good.by_authority(two), seen=empty),
        good.draft(one, "genesis", {**good.genesis(one), "agreement": "ab" * 32}, lead, seen=empty),
        good.draft(one, "genesis", good.genesis(one), lead, seen=empty, agreement="ab" * 32),
        good.draft(one, "genesis", {**good.genesis(one), "origin": good.origins[one][:-1] + "2"}, lead, seen=empty),
    ):
        other = World(sample)
        other.put(one, first)
        for data in good.entries[one][2:]:
            other.put(one, data)
        side = other.folded().sides[one]
        assert [fault.idx for fault in side.invalid] == list(range(len(good.entries[one]) - 1))
    assert other.parties == good.parties


@pytest.mark.parametrize("sample", SAMPLES)
def test_adopt_stands_second(sample: str) -> None:
    good = World(sample).begin()
    one = good.parties[0]
    skipped = World(sample)
    for data in (good.entries[one][0], *good.entries[one][2:]):
        skipped.put(one, data)
    assert skipped.folded().sides[one].invalid[0].reason == "adopt stands second"


def adopted(world: World, party: str, signed: Any, supersedes: str, **other: Any) -> str:
    return fate(
        world,
        world.draft(party, "adopt", world.adopt(party, signed, supersedes), world.by_authority(party), **other),
        party,
    )


@pytest.mark.parametrize("sample", SAMPLES)
def test_only_a_later_version_than_the_latest_adopted_is_adopted(sample: str) -> None:
    versions = {number: agreement(sample, number) for number in (1, 2, 3)}
    world = World(sample, versions[2], versions[3]).begin()
    one = world.parties[0]
    assert adopted(world, one, versions[1], versions[1].hash) != ""
    assert adopted(world, one, versions[2], "") != ""
    assert adopted(world, one, versions[2], versions[3].hash) != ""
    assert adopted(world, one, versions[2], "ab" * 32) != ""
    assert adopted(world, one, versions[3], versions[1].hash) == ""
    assert adopted(world, one, versions[3], versions[1].hash) != "", "the same version again"
    assert adopted(world, one, versions[2], versions[1].hash) != "", "an older version than the one adopted"
    assert adopted(world, one, versions[1], versions[3].hash) != ""


def test_an_agreement_changed_by_one_byte_is_another_agreement(world: World) -> None:
    one = world.parties[0]
    good, changed = (signed for signed in world.laws.values() if signed.law.version == 2)
    body = world.adopt(one, good, world.hash)
    for swapped in (
        {**body, "agreement": changed.hash},
        {**body, "sig": world.adopt(one, changed, world.hash)["sig"]},
        {**body, "agreement": "ab" * 32},
        {**body, "sig": {**body["sig"], "by": "ab" * 32}},
    ):
        assert fate(world, world.draft(one, "adopt", swapped, world.by_authority(one))) != ""
    assert fate(world, world.draft(one, "adopt", body, world.by_authority(one))) == ""


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_adopt_with_a_new_authority_is_signed_by_the_old_and_the_new(sample: str) -> None:
    base = agreement(sample, 2)
    one = base.law.parties[0]
    old, new = signer(sample, one, "authority"), signer(sample, one, "another authority")
    changed = parse_agreement(base.data.replace(old.public.encode(), new.public.encode()))
    world = World(sample, changed).begin()
    sig = {"by": key_id(new.public), "sig": new.sign(pae("agreement", changed.data, suffix="toml")).hex()}
    body = {"agreement": changed.hash, "nonce": world.nonce(), "sig": sig, "supersedes": world.hash}
    both = [(key_id(old.public), old), (key_id(new.public), new)]
    assert fate(world, world.draft(one, "adopt", body, both[:1])) == "signature missing"
    assert fate(world, world.draft(one, "adopt", body, both[1:])) == "signature missing"
    wrong = {
        **body,
        "sig": {"by": key_id(old.public), "sig": old.sign(pae("agreement", changed.data, suffix="toml")).hex()},
    }
    assert fate(world, world.draft(one, "adopt", wrong, both)) == "signature over the agreement"
    assert fate(world, world.draft(one, "adopt", body, both)) == ""


def test_another_agreement_of_the_same_parties_is_not_adopted(world: World) -> None:
    one = world.parties[0]
    data = second_of(world).data.replace(f'id = "{world.sample}"'.encode(), b'id = "another"')
    other = parse_agreement(data)
    world.laws[other.hash] = other
    assert adopted(world, one, other, world.hash) == "another agreement"


# Keys


def test_keys_of_persons_are_certified_replaced_and_revoked_by_the_book(world: World) -> None:
    one, two = world.parties
    size = len(world.entries[one])
    live = key_id(world.person(f"{one}/a").public)

    def key(**other: Any) -> str:
        handle = other.pop("handle", f"{one}/a")
        body = world.person_key(handle, other.pop("generation", 1), **other)
        return fate(world, world.draft(one, "key", body, world.by_authority(one)))

    assert key() != "", "a live handle is replaced by name only"
    assert key(replaces="ab" * 32) != ""
    assert key(replaces=live, who="somebody else") == "the handle belongs to another person"
    assert key(handle=f"{two}/z") != ""
    for handle in ("kim", f"{one}/", f"{one}/a b", f"{one}/a/b", "x/a", f"{one}/\u00e9", f"{one}/{'a' * 65}"):
        assert key(handle=handle) != "", handle
    with pytest.raises(FormatError):
        key(handle=f"{one}/a\n")
    assert key(handle=f"{one}/z", replaces=live) != ""
    assert key(handle=f"{one}/z", ceiling="no such level") != ""
    assert key(handle=f"{one}/z", until="tomorrow") != ""
    assert key(handle=f"{one}/z", roles=["security", "release"]) != "", "unsorted"
    assert key(handle=f"{one}/z", key="x25519:" + "ab" * 32) != ""
    assert key(revoked={"from_index": size + 900, "reason": ""}) != "", "not the live key"
    assert key(generation=0, revoked={"from_index": size, "reason": ""}) == "revoked from an earlier index"
    assert key(replaces=live) == ""
    assert fate(world, make(world, "incident", by=world.people(one, "a"))) != "", "the old key is gone"
    assert fate(world, make(world, "incident", by=world.people(one, "a", 1))) == ""
    assert key(revoked={"from_index": len(world.entries[one]), "reason": ""}) == ""
    assert fate(world, make(world, "incident", by=world.people(one, "a", 1))) == f"{one}/a is not certified"


def test_a_later_revocation_never_prolongs_an_earlier_one(world: World) -> None:
    one = world.parties[0]
    for ahead in (1, 50):
        index = len(world.entries[one]) + ahead
        body = world.person_key(f"{one}/a", revoked={"from_index": index, "reason": ""})
        assert fate(world, world.draft(one, "key", body, world.by_authority(one))) == ""
    assert fate(world, make(world, "incident", by=world.people(one, "a"))) != ""


def test_sealing_keys_are_certified_once_and_revoked(world: World) -> None:
    one = world.parties[0]

    def kem(number: int, **other: Any) -> str:
        return fate(world, world.draft(one, "key", world.kem_key(one, number, **other), world.by_authority(one)))

    size = len(world.entries[one])
    assert kem(0) == "key stands already"
    assert kem(5, revoked={"from_index": size + 9, "reason": ""}) == "revokes a key that is not there"
    assert kem(5, commitment="ab" * 32) != ""
    assert kem(5, key=world.person(f"{one}/a").public) != ""
    assert kem(5) == ""
    assert kem(5, revoked={"from_index": len(world.entries[one]) + 1, "reason": ""}) == ""


# Orders, answers


def test_an_order_is_about_a_release_of_the_authors_own(world: World) -> None:
    one, two = world.parties
    rid = world.folded().sides[two].releases[0].rid
    for other in (rid, "ab" * 32):
        assert fate(world, world.draft(one, "order", world.order(other), world.people(one))) != ""
    mine = own_rid(world, one)
    assert (
        fate(world, world.draft(one, "order", world.order(mine, marking=world.marking(one)), world.people(one))) != ""
    )
    assert fate(world, world.draft(one, "order", world.order(mine, "reclass"), world.people(one))) != ""
    assert fate(world, world.draft(one, "order", world.order(mine, "burn"), world.people(one))) != ""
    unsorted = world.marking(one, releasable_to=sorted(world.parties)[::-1])
    assert (
        fate(world, world.draft(one, "order", world.order(mine, "reclass", marking=unsorted), world.people(one))) != ""
    )


def test_spans_are_sorted_disjoint_pairs(world: World) -> None:
    one = world.parties[0]
    wrong: list[Any] = [
        [],
        [[3, 2]],
        [[4, 5], [1, 2]],
        [[1, 4], [4, 5]],
        [[1, 1], [1, 1]],
        [[1]],
        [[1, 2, 3]],
        [[-1, 2]],
        [["1", 2]],
    ]
    for spans in wrong:
        assert fate(world, world.draft(one, "answer", world.answer(one, spans))) != "", spans
        assert fate(world, world.draft(one, "incident", world.incident(one, spans), world.people(one))) != "", spans
    assert fate(world, world.draft(one, "answer", world.answer(one, [[0, 0], [1, 2], [4, 2**53 - 1]]))) == ""


def test_an_answer_covers_the_rank_2_entries_below_its_own_seen(world: World) -> None:
    one, two = world.parties
    size = len(world.entries[two])
    world.put(two, make(world, "release", two))
    assert fate(world, world.draft(one, "answer", world.answer(one, [[0, 10_000]], "applied"), seen=size)) == ""
    outcomes = [[given.outcome for given in fact.answers] for fact in world.folded().sides[two].releases]
    assert outcomes == [["applied"], []]
    assert fate(world, world.draft(one, "answer", world.answer(one, [[size, size]], "applied"))) == ""
    assert [len(fact.answers) for fact in world.folded().sides[two].releases] == [1, 1]


def test_an_answer_names_the_partners_register_and_a_known_outcome(world: World) -> None:
    one = world.parties[0]
    body = world.answer(one, [[0, 9]])
    assert fate(world, world.draft(one, "answer", {**body, "re": {**body["re"], "origin": world.origins[one]}})) != ""
    for outcome in ("", "ok", "RECEIVED", "refused"):
        assert fate(world, world.draft(one, "answer", {**body, "outcome": outcome})) != ""
    for copies in (-1, "1", True):
        assert fate(world, world.draft(one, "answer", {**body, "copies": copies})) != ""


def test_a_destruction_from_the_named_level_on_has_witnesses(world: World) -> None:
    one, two = world.parties
    party = world.law.party[one]
    count = world.law.acts.signers.witnesses
    for level in world.law.party[two].levels:
        row = world.law.rows[two].get(level)
        if row is None:
            continue
        body = world.release(two, world.core(two, marking=world.marking(two, level)), world.people(two))
        idx = world.put(two, world.draft(two, "release", body))
        ranks = world.law.ranks[one]
        above = party.witnesses_from is not None and ranks[row.equivalent] >= ranks[party.witnesses_from]
        bare = world.answer(one, [[idx, idx]], "destroyed")
        assert (fate(world, world.draft(one, "answer", bare)) == "") == (not above or not count)
        if not above:
            continue
        message = act_message("answer", world.origins[one], world.hash, bare)

        def witnessed(names: str, body: dict[str, Any] = bare, message: bytes = message) -> str:
            given = [{"by": by, "sig": who.sign(message).hex()} for by, who in sorted(world.people(one, names))]
            return fate(world, world.draft(one, "answer", {**body, "witnesses": given}))

        assert witnessed("a") != ""
        other = world.answer(one, [[idx, idx + 1]], "destroyed")
        assert witnessed("ab", other) != "", "witnessed another answer"
        assert witnessed("ab") == ""


# Term


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_notice_ends_the_agreement_if_it_is_early_enough_to_the_minute(sample: str) -> None:
    for late in (0, 1):
        world = World(sample).begin()
        one, two = world.parties
        limit = world.law.notice_limit(world.law.end)
        assert limit == later(world.law.end, -world.law.notice_days * 24 * 60)
        notice = world.draft(one, "term", world.term("notice_of_end"), world.people_until(one), at=later(limit, late))
        assert fate(world, notice) == ""
        pair = world.folded()
        seen = {one: len(world.entries[two]), two: len(world.entries[one])}
        for party in world.parties:
            held = [
                in_force(pair.sides[party], pair.other(party), seen[party], at, world.laws)
                for at in _around(world.law.end)
            ]
            assert held == [world.hash, world.hash if late else None]
        unread = in_force(pair.sides[two], pair.sides[one], seen[two] - 1, world.law.end, world.laws)
        assert unread == world.hash, "what the author had not seen does not bind it"


def _around(at: str) -> tuple[str, str]:
    return later(at, -1), at


@pytest.mark.parametrize("sample", SAMPLES)
def test_without_notice_the_agreement_renews_and_before_its_start_it_is_not_in_force(sample: str) -> None:
    world = World(sample).begin()
    one, two = world.parties
    pair = world.folded()

    def held(at: str) -> str | None:
        return in_force(pair.sides[one], pair.sides[two], len(world.entries[two]), at, world.laws)

    assert [held(at) for at in _around(world.law.start)] == [None, world.hash]
    end = world.law.end
    for _ in range(5):
        assert [held(at) for at in _around(end)] == [world.hash, world.hash]
        end = world.law.end_after(end)
        assert end == later(end, 0)
    limit = world.law.notice_limit(end)
    world.put(one, world.draft(one, "term", world.term("notice_of_end"), world.people_until(one), at=limit))
    pair = world.folded()
    assert not pair.sides[one].invalid
    assert [held(at) for at in _around(end)] == [world.hash, None]


def test_a_suspension_binds_its_author_at_once_and_the_partner_from_the_first_entry_that_saw_it(world: World) -> None:
    one, two = world.parties
    before = len(world.entries[one])
    assert fate(world, make(world, "suspend")) == ""
    mine = world.put(one, make(world, "release"))
    unaware = world.put(two, make(world, "release", two, seen=before))
    aware = world.put(two, make(world, "release", two, seen=before + 1))
    world.put(one, world.draft(one, "term", world.term("resume"), world.people(one)))
    still = world.put(two, make(world, "release", two, seen=before + 1))
    again = world.put(two, make(world, "release", two))
    free = world.put(one, make(world, "release"))
    found = decisions(world)

    def status(party: str, idx: int) -> bool:
        return next(finding.ok for finding in found[party, idx].findings if finding.rule == "status")

    assert not status(one, mine)
    assert [status(two, idx) for idx in (unaware, aware, still, again)] == [True, False, False, True]
    assert status(one, free)


# Standing approvals


def permitted(world: World, party: str, idx: int) -> dict[str, bool]:
    return {finding.rule: finding.ok for finding in decisions(world)[party, idx].findings}


def test_a_standing_quota_is_counted_by_utc_date(world: World) -> None:
    one = world.parties[0]
    data = world.draft(one, "standing", world.standing(one, per_day={"bytes": 1000, "count": 1}), world.people(one))
    assert fate(world, data) == ""
    act = act_id(world.origins[one], parse_entry(data))

    def release(at: str, **other: Any) -> bool:
        core = world.core(one, standing=act, **other)
        idx = world.put(one, world.draft(one, "release", world.release(one, core), at=at))
        found = permitted(world, one, idx)
        assert {rule for rule, ok in found.items() if not ok} <= {"standing"}
        return found["standing"]

    assert release("2026-03-05T23:58Z")
    assert not release("2026-03-05T23:59Z")
    assert release("2026-03-06T00:00Z")
    assert not release("2026-03-05T12:00Z"), "a time below the predecessor's"
    assert not release("2026-03-06T23:59Z")
    assert not release("2026-03-07T00:00Z", bytes_padded=1001)
    assert not release("2026-03-07T00:01Z"), "what was refused counts too: it names the act"
    assert release("2026-03-08T00:01Z", bytes_padded=1000)


def test_a_standing_approval_is_named_revoked_and_expires(world: World) -> None:
    one, two = world.parties
    act = standing_act(world, one)

    def release(**other: Any) -> bool:
        body = world.release(one, world.core(one, **{"standing": act, **other}))
        return permitted(world, one, world.put(one, world.draft(one, "release", body)))["standing"]

    assert release()
    assert not release(standing="ab" * 32)
    assert not release(standing=standing_act(world, two)), "the partner's"
    assert not release(view="no-prose")
    assert fate(world, make(world, "revoke", by=world.people(two))) != ""
    assert release()
    assert fate(world, make(world, "revoke")) == ""
    assert not release()
    assert fate(world, make(world, "revoke")) == "revokes what is not live"


def test_a_standing_act_is_either_an_approval_or_a_revocation(world: World) -> None:
    one = world.parties[0]
    body = world.standing(one)
    act = standing_act(world, one)
    for wrong in (
        {**body, "revokes": act},
        {"nonce": body["nonce"]},
        {**body, "until": "soon"},
        {**body, "revokes": "ab" * 32},
        {key: value for key, value in body.items() if key != "per_day"},
        {"nonce": body["nonce"], "revokes": "ab" * 32},
        {"nonce": body["nonce"], "revokes": act, "until": LATER},
        {**body, "class": {**body["class"], "area": "nowhere"}},
        {**body, "per_day": {"bytes": -1, "count": 1}},
        {**body, "per_day": {"bytes": 1, "count": True}},
    ):
        assert fate(world, world.draft(one, "standing", wrong, world.people(one))) != "", wrong


# Releases


def test_a_release_whose_body_is_malformed_is_listed(world: World) -> None:
    one = world.parties[0]
    good, _ = MAKERS["release"](world, one)
    core, approvals = good["core"], good["approvals"]
    for wrong in (
        {**good, "core": {**core, "exercise": False}},
        {**good, "core": {**core, "ancestors": ["bb" * 32, "aa" * 32]}},
        {**good, "core": {**core, "ancestors": ["aa" * 32, "aa" * 32]}},
        {**good, "core": {**core, "ancestors": [f"{i:064x}" for i in range(257)]}},
        {**good, "core": {**core, "units": ["b", "a"]}},
        {**good, "core": {**core, "units": [f"{i:03}" for i in range(65)]}},
        {**good, "core": {**core, "third_party": "somebody"}},
        {**good, "core": {**core, "nonce": "ab"}},
        {
            **good,
            "core": {
                **core,
                "marking": {
                    **core["marking"],
                    "releasable_to": [world.parties[1], world.parties[0]][::1]
                    if world.parties[1] > world.parties[0]
                    else list(world.parties),
                },
            },
        },
        {**good, "core": {**core, "standing": "ab" * 32}},
        {**good, "approvals": approvals[::-1]},
        {**good, "approvals": [approvals[0], approvals[0]]},
        {**good, "approvals": [{**approvals[0], "until": "later"}]},
        {**good, "approvals": [{**approvals[0], "by": f"{one}/{i:03}"} for i in range(17)]},
        {**good, "private": "ab"},
    ):
        assert fate(world, world.draft(one, "release", wrong)) != "", wrong
    goes_on(world)


def test_a_release_that_is_made_well_is_permitted(world: World) -> None:
    one = world.parties[0]
    idx = world.put(one, make(world, "release"))
    assert decisions(world)[one, idx].permit, decisions(world)[one, idx].refusals


def test_a_second_release_of_the_same_id_stands_but_is_refused_by_rule_once(world: World) -> None:
    one = world.parties[0]
    data = make(world, "release")
    first = world.put(one, data)
    assert fate(world, data) == ""
    assert permitted(world, one, first)["once"]
    assert not permitted(world, one, first + 1)["once"]
    assert world.folded().sides[one].release(world.folded().sides[one].releases[-1].rid).idx == first  # type: ignore[union-attr]


def test_a_sig_is_a_plain_pair() -> None:
    assert msgspec.to_builtins(Sig("a", "b")) == {"by": "a", "sig": "b"}
