"""An agreement is read whole or not at all: every missing, misspelt or contradictory key is refused with its place.

Row B-12. Both samples; what an agreement leaves open is said in words, and a key left out never permits.
"""

import copy
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import AgreementError, FormatError
from entente.keys import SoftSigner, digest
from entente.node.setup import check_signed, sign_agreement, with_authorities
from entente.treaty.agreement import DECIDE_RULES, GATE_RULES, RECORD_RULES, Terms, holes, parse_agreement

SAMPLES = ("india-korea", "two-certs")
FOLDER = Path(__file__).resolve().parents[2] / "src" / "entente" / "samples"
Tree = dict[str, Any]
OPTIONAL_TOP = {"exercise", "key_before_ack", "caveats", "thirds", "statements"}
LIMITS = ("approvals", "answer_hours", "retain_days", "copies", "max_bytes")


def raw(sample: str) -> bytes:
    return (FOLDER / f"{sample}.toml").read_bytes()


def tree(sample: str) -> Tree:
    return tomllib.loads(raw(sample).decode())


def toml(value: Any) -> str:
    """A TOML value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{msgspec.json.encode(key).decode()} = {toml(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def written(top: Tree) -> bytes:
    return "\n".join(f"{msgspec.json.encode(key).decode()} = {toml(value)}" for key, value in top.items()).encode()


def refused(top: Tree) -> AgreementError:
    with pytest.raises(AgreementError) as fault:
        parse_agreement(written(top), place="treaty.toml")
    assert fault.value.place == "treaty.toml"
    return fault.value


def tables(top: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all tables, the top among them."""
    if isinstance(top, dict):
        yield path
        for key, value in top.items():
            yield from tables(value, (*path, key))
    elif isinstance(top, list):
        for place, value in enumerate(top):
            yield from tables(value, (*path, place))


def at(top: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        top = top[step]
    return top


def free(path: tuple[Any, ...]) -> bool:
    """Tables whose keys are names of the writer's own."""
    return path[-1:] in {("area",), ("statements",), ("party",), ("names",)} or path == ("rules", "decide")


# Whole


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_is_read_and_its_hash_is_over_its_exact_bytes(sample: str) -> None:
    signed = parse_agreement(raw(sample))
    assert signed.data == raw(sample)
    assert signed.hash == digest("agreement", raw(sample), suffix="toml")
    assert signed.law.id == sample
    assert signed.law.exercise
    assert parse_agreement(raw(sample) + b"\n").hash != signed.hash
    assert parse_agreement(written(tree(sample))).law == signed.law
    assert set(signed.law.rules.decide) == set(DECIDE_RULES)
    assert set(signed.law.rules.record) == set(RECORD_RULES)
    assert set(signed.law.rules.gate) == set(GATE_RULES)
    assert [signed.law.other(code) for code in signed.law.parties] == list(signed.law.parties[::-1])
    with pytest.raises(AgreementError):
        signed.law.other("ZZZ")


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_area_takes_from_terms_what_it_does_not_say_itself(sample: str) -> None:
    law = parse_agreement(raw(sample)).law
    for name, own in law.area.items():
        for field in Terms.__struct_fields__:
            mine, base = getattr(own, field), getattr(law.terms, field)
            assert getattr(law.areas[name], field) == (mine if mine is not None else base)


def test_the_two_samples_say_what_they_say() -> None:
    first, second = (parse_agreement(raw(sample)).law for sample in SAMPLES)
    assert (first.areas["intelligence"].answer_hours, first.areas["space"].answer_hours) == (24, 2)
    assert first.areas["documents"].approvals == 2
    assert set(first.rows["IND"]) == {"UNCLASSIFIED", "CONFIDENTIAL", "SECRET"}
    assert {row.equivalent: row.level for row in first.rows["IND"].values()} == {
        row.level: row.equivalent for row in first.rows["KOR"].values()
    }
    assert second.areas["intelligence"].approvals == 1
    assert (second.end_after(second.end), second.notice_limit(second.end)) == ("2032-01-01T00:00Z", "2030-12-02T00:00Z")


# One thing wrong


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_misspelt_key_is_refused_with_its_name(sample: str) -> None:
    count = 0
    for path in tables(tree(sample)):
        if free(path) and path != ("party",):
            continue
        for key in at(tree(sample), path):
            top = tree(sample)
            table = at(top, path)
            wrong = f"{key}x" if path != ("party",) else key.lower()
            table[wrong] = table.pop(key)
            detail = refused(top).detail
            assert any(str(word) in detail for word in (wrong, key, *path)), (path, key, detail)
            count += 1
    assert count > 60


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_unknown_key_is_refused(sample: str) -> None:
    for path in tables(tree(sample)):
        if free(path) and path != ("rules", "decide"):
            continue
        top = tree(sample)
        at(top, path)["surprise"] = "1"
        detail = refused(top).detail
        assert "surprise" in detail or str(path[-1]) in detail


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_missing_key_is_refused_or_refuses(sample: str) -> None:
    """What has a safe default is listed; all else must be there. What an area leaves open is a hole, and refuses."""
    for path in tables(tree(sample)):
        for key in at(tree(sample), path):
            top = tree(sample)
            del at(top, path)[key]
            optional = (
                (path == () and key in OPTIONAL_TOP)
                or path[-1:] in {("names",), ("statements",), ("area",), ("clear_level",), ("ceiling",), ("custody",)}
                or (path[:1] == ("rules",) and len(path) == 2)
                or path[:1] == ("terms",)
                or (path[:1] == ("area",) and key not in {"articles", "formats"} and len(path) == 2)
                or (path[:1] == ("party",) and key in {"authority", "witnesses_from"})
            )
            if path == () and key == "caveats":
                continue  # the areas of one sample let some cross
            if optional:
                parse_agreement(written(top))
            else:
                assert refused(top).detail, (path, key)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("value", [3.5, "", [], {}, True, -1, "no such word", 2**60])
def test_a_value_of_the_wrong_kind_never_breaks_the_reader(sample: str, value: Any) -> None:
    for path in tables(tree(sample)):
        for key in at(tree(sample), path):
            top = tree(sample)
            at(top, path)[key] = copy.deepcopy(value)
            try:
                law = parse_agreement(written(top)).law
            except AgreementError:
                continue
            assert list(holes(law)) is not None
            law.notice_limit(law.end)
            law.end_after(law.end)


@given(st.binary(max_size=60))
def test_random_bytes_are_an_agreement_error(data: bytes) -> None:
    with pytest.raises(AgreementError):
        parse_agreement(data)


@pytest.mark.parametrize(
    "data", [b"\xff", b"a = 1\na = 2", b"[party]\n[party]", b"a = 2026-01-01", b"[" * 5000, b"a = " + b"[" * 5000]
)
def test_what_is_no_toml_is_an_agreement_error(data: bytes) -> None:
    with pytest.raises(AgreementError):
        parse_agreement(data)


def test_an_accented_word_that_is_not_nfc_is_refused() -> None:
    top = tree("india-korea")
    top["party"]["IND"]["names"]["fr"] = "Re\u0301publique"
    assert "normalization" in refused(top).detail


# Contradictions


def change(top: Any, path: str, value: Any) -> None:
    *way, last = path.split("/")
    for step in way:
        top = top[int(step)] if isinstance(top, list) else top[step]
    top[int(last) if isinstance(top, list) else last] = value


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("start", "2031-01-01T00:00Z", "not before end"),
        ("start", "2032-01-01T00:00Z", "not before end"),
        ("end", "2031", "time"),
        ("suites", [], "suite"),
        ("party/IND/levels", [], "levels"),
        ("party/IND/levels", ["SECRET", "SECRET"], "levels"),
        ("party/IND/witnesses_from", "COSMIC", "witnesses_from"),
        ("party/IND/authority", ["rsa:00"], "authority"),
        ("party/IND/authority", ["ed25519:00"], "key"),
        ("acts/clear_level", {"ZZZ": "SECRET"}, "clear_level"),
        ("acts/clear_level", {"IND": "COSMIC"}, "clear_level"),
        ("acts/signers/order", 0, "order"),
        ("version", 0, "version"),
        ("id", "India Korea", "id"),
        ("rules/decide/in_fore", "1", "in_fore"),
        ("rules/gate/mood", "1", "mood"),
        ("equivalence/rows/0/IND", "COSMIC", "row 1"),
        ("equivalence/rows/0/one_way", "yes", "row 1"),
        ("equivalence/rows/0/channels", "network", "row 1"),
        ("equivalence/rows/0/channels", [1], "row"),
        ("equivalence/rows/1/IND", "UNCLASSIFIED", "two rows"),
        ("equivalence/rows/1/KOR", "일반", "two rows"),
        ("equivalence/rows/0/IND", "TOP SECRET", "higher level"),
        ("terms/directions", ["IND>ZZZ"], "direction"),
        ("terms/ceiling", {"IND": "COSMIC"}, "ceiling"),
        ("terms/ceiling", {"ZZZ": "SECRET"}, "ceiling"),
        ("terms/caveats", ["NOFORN"], "NOFORN"),
        ("terms/custody", {"COSMIC": "held"}, "COSMIC"),
        ("terms/custody", {"default": "lost"}, "custody"),
        ("terms/block_after_hours", "sometimes", "block_after_hours"),
        *((f"terms/{field}", 0, field) for field in LIMITS),
        *((f"area/space/{field}", 0, field) for field in LIMITS),
        ("area/space/articles", [], "articles"),
        ("area/space/formats", [], "formats"),
        ("area/space/caveats", ["NOFORN"], "NOFORN"),
        ("area/Space", {"articles": ["1"], "formats": ["x"]}, "area"),
        ("area/space/withhold", [{"type": "x"}], "article"),
        ("protection_after_end", "sometimes", "protection"),
        ("protection_after_end", 0, "protection"),
        ("renew_years", -1, "renew_years"),
        ("party/ZZZ", {"names": {}, "time_zone": "UTC", "levels": ["A"]}, "two parties"),
        ("party/I", {}, "party"),
    ],
)
def test_a_contradiction_is_refused_in_words_that_name_it(path: str, value: Any, word: str) -> None:
    top = tree("india-korea")
    change(top, path, value)
    fault = refused(top)
    assert word in fault.detail or word in path


@pytest.mark.parametrize("sample", SAMPLES)
def test_numbers_beyond_any_calendar_are_refused_or_harmless(sample: str) -> None:
    for path, value in (
        ("notice_days", 2**53 - 1),
        ("notice_days", 10**7),
        ("renew_years", 2**53 - 1),
        ("renew_years", 9000),
        ("terms/answer_hours", 2**53 - 1),
        ("end", "9999-12-31T23:59Z"),
    ):
        top = tree(sample)
        change(top, path, value)
        try:
            law = parse_agreement(written(top)).law
        except AgreementError:
            continue
        law.notice_limit(law.end)
        law.end_after(law.end)
        for area in law.areas.values():
            timedelta(hours=area.answer_hours or 0)


def test_a_one_way_row_crosses_from_the_column_written_first() -> None:
    top = tree("two-certs")
    top["equivalence"]["rows"][2] |= {"one_way": True}
    law = parse_agreement(written(top)).law
    assert set(law.rows["AAA"]) == {"CLEAR", "GREEN", "AMBER"}
    assert set(law.rows["BBB"]) == {"CLEAR", "GREEN"}


def test_a_leap_day_ends_on_the_28th_afterwards() -> None:
    top = tree("two-certs") | {"end": "2028-02-29T12:30Z"}
    law = parse_agreement(written(top)).law
    assert law.end_after(law.end) == "2029-02-28T12:30Z"


# Holes


def words(top: Tree) -> list[tuple[str, str]]:
    return list(holes(parse_agreement(written(top)).law))


def test_the_samples_holes_are_these() -> None:
    found = words(tree("india-korea"))
    assert [text for text, _ in found] == [
        "RESTRICTED (IND) has no row to KOR, cannot cross",
        "TOP SECRET (IND) has no row to KOR, cannot cross",
        "대외비 (KOR) has no row to IND, cannot cross",
        "군사I급비밀 (KOR) has no row to IND, cannot cross",
        "IND has no authority key yet, so nobody can sign for it",
        "KOR has no authority key yet, so nobody can sign for it",
    ]
    assert found[0][1] == "3(2)"
    assert {text for text, _ in words(tree("two-certs"))} >= {
        "RED (AAA) has no row to BBB, cannot cross",
        "area intelligence: one person's approval is enough",
    }


def test_a_rule_without_an_article_is_a_hole() -> None:
    for rule in DECIDE_RULES:
        top = tree("india-korea")
        del top["rules"]["decide"][rule]
        assert any(f"rule {rule}" in text for text, _ in words(top))


def test_a_rule_with_an_empty_article_is_a_hole_too() -> None:
    for rule in DECIDE_RULES:
        top = tree("india-korea")
        top["rules"]["decide"][rule] = ""
        assert any(f"rule {rule}" in text for text, _ in words(top))


REFUSING = (
    "directions",
    "ceiling",
    "custody",
    "retain_days",
    "copies",
    "answer_hours",
    "max_bytes",
    pytest.param("views"),
    pytest.param("purposes"),
    pytest.param("approvals"),
    pytest.param("block_after_hours"),
)


@pytest.mark.parametrize("field", REFUSING)
def test_a_term_that_is_stated_nowhere_and_so_refuses_is_a_hole(field: str) -> None:
    top = tree("india-korea")
    del top["terms"][field]
    assert any(text.startswith("area documents: ") and field in text for text, _ in words(top))


def test_a_placeholder_is_told_from_a_key() -> None:
    top = tree("two-certs")
    top["party"]["AAA"]["authority"] = [SoftSigner(bytes(32)).public]
    found = [text for text, _ in words(top) if "authority" in text]
    assert found == ["BBB has no authority key yet, so nobody can sign for it"]
    top["party"]["AAA"]["authority"] = []
    assert len([text for text, _ in words(top) if "authority" in text]) == 2


# Signed by both


@pytest.mark.parametrize("sample", SAMPLES)
def test_only_bytes_that_both_authorities_signed_are_an_agreement(sample: str) -> None:
    codes = list(tree(sample)["party"])
    signers = {code: SoftSigner(bytes([place + 1]) * 32) for place, code in enumerate(codes)}
    data = with_authorities(raw(sample), {code: who.public for code, who in signers.items()})
    both = sign_agreement(data, list(signers.values()))
    signed, sigs = check_signed(data, both)
    assert set(sigs) == set(codes)
    assert signed.data == data
    first, second = signers.values()
    stranger = SoftSigner(b"\x09" * 32)
    for envelope in (
        sign_agreement(data, []),
        sign_agreement(data, [first]),
        sign_agreement(data, [second]),
        sign_agreement(data, [first, first]),
        sign_agreement(data, [first, stranger]),
        sign_agreement(data + b"\n", [first, second]),
        b"",
        b"{}",
        b"[]",
        both[:-1],
        both.replace(b"toml", b"json"),
    ):
        with pytest.raises((AgreementError, FormatError)):
            check_signed(data, envelope)
    with pytest.raises(AgreementError):
        check_signed(data.replace(b"notice_days = ", b"notice_days = 1"), both)
    with pytest.raises(AgreementError):
        with_authorities(data, {codes[0]: stranger.public})


def test_one_key_for_both_parties_is_refused() -> None:
    """Else one authority alone founds both registers and signs both sides of an agreement."""
    top = tree("two-certs")
    for party in top["party"].values():
        party["authority"] = [SoftSigner(bytes(32)).public]
    refused(top)
