"""What the agreement allows crosses, and nothing else: every count and digest is computed here again from the input.

The second computation shares nothing with the program: objects are cut out of the file by the standard library's own
positions, and the closure over references is the slow one, round after round until nothing changes.
"""

import hashlib
import json
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from promises.demo_run import (
    ENTERPRISE,
    ICS,
    SAMPLE_BUNDLE,
    SAMPLES,
    Run,
    Word,
    bundle_of,
    cli,
    copy_of,
    demo,
    demos,
    fresh,
    indicator,
    passwords,
    said,
    sample_run,
    shared,
    written,
)

INDIA_KOREA = (SAMPLES / "india-korea.toml").read_text()
TWO_CERTS = (SAMPLES / "two-certs.toml").read_text()
LOWEST_ROW = '  { IND = "UNCLASSIFIED", KOR = "일반", article = "3(2)", channels = ["network", "stick"] },\n'
INTRUSION_SETS = '[{ type = "intrusion-set", article = "4(3)" }]'
KEYS = {
    "bytes", "digest_received", "digest_sent", "objects", "refused", "registers", "releases", "same_answer", "seconds",
    "verified",
}  # fmt: skip

# --- the second computation --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One object of the input: its exact bytes, id and type, and every string in it, keys among them."""

    raw: bytes
    id: str
    type: str
    strings: frozenset[str]


def strings_in(value: Any) -> set[str]:
    found: set[str] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            found.add(item)
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
    return found


@cache
def items_of(path: Path) -> tuple[Item, ...]:
    """Every object of a bundle, its bytes exactly as they stand in the file."""
    text = path.read_bytes().decode()
    decoder = json.JSONDecoder()
    opening = re.search(r'"objects"\s*:\s*\[', text)
    assert opening
    at, found = opening.end(), []
    while True:
        gap = re.compile(r"[\s,]*").match(text, at)
        assert gap
        at = gap.end()
        if text[at] == "]":
            break
        value, end = decoder.raw_decode(text, at)
        found.append(Item(text[at:end].encode(), value["id"], value["type"], frozenset(strings_in(value))))
        at = end
    assert len(found) == len(json.loads(text)["objects"])
    return tuple(found)


@dataclass(frozen=True)
class Expected:
    """What should cross and what should not, and by which rule."""

    crossing: tuple[Item, ...]
    refused: dict[str, str]

    @property
    def digest(self) -> str:
        hashes = sorted(hashlib.sha256(item.raw).hexdigest() for item in self.crossing)
        return hashlib.sha256("".join(hashes).encode()).hexdigest()


def expected(items: tuple[Item, ...], *withheld: str) -> Expected:
    """The closure: an object stays if its type is withheld, or if it names, anywhere, what stays or is withheld."""
    assert len({item.id for item in items}) == len(items), "one version of each, so that an id is an object"
    an_id = re.compile(rf"({'|'.join(map(re.escape, withheld))})--[0-9a-f-]{{36}}")
    refused = {item.id: "withhold" for item in items if item.type in withheld}
    refused |= {
        item.id: "reference"
        for item in items
        if item.id not in refused and any(an_id.fullmatch(text) for text in item.strings)
    }
    while more := [item.id for item in items if item.id not in refused and item.strings & refused.keys()]:
        refused |= dict.fromkeys(more, "reference")
    return Expected(tuple(item for item in items if item.id not in refused), refused)


def holds(run: Run, items: tuple[Item, ...], *withheld: str, article: str = "4(3)") -> Expected:
    """The demo's figures are those of the second computation, to the object and to the byte."""
    run.check()
    result, wanted = run.result, expected(items, *withheld)
    crossed, refused = len(wanted.crossing), len(wanted.refused)
    assert result["objects"] == {"crossed": crossed, "imported": len(items), "quarantined": 0, "refused": refused}
    assert {row["id"]: row["rule"] for row in result["refused"]} == wanted.refused
    assert len(result["refused"]) == refused
    assert {row["article"] for row in result["refused"]} <= {article}
    assert result["digest_sent"] == result["digest_received"] == wanted.digest
    assert result["bytes"] >= sum(len(item.raw) for item in wanted.crossing)
    sound(run)
    return wanted


def sound(run: Run) -> None:
    """A demo that carried something over: answered, the same account on both sides, verified."""
    result = run.result
    assert [row["state"] for row in result["releases"]] == ["received"]
    assert re.fullmatch("[0-9a-f]{64}", result["releases"][0]["rid"])
    assert result["same_answer"] is True
    assert result["verified"]["failed"] == 0
    assert min(result["verified"][name] for name in ("entries", "heads", "signatures")) > 0
    assert result["verified"]["not_checked"]
    assert all(set(row) == {"article", "id", "reason", "rule"} for row in result["refused"])
    assert all(all(isinstance(text, str) and text for text in row.values()) for row in result["refused"])


# --- ATT&CK and the samples --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_attack_for_ics_crosses_but_for_its_groups_and_what_names_them() -> None:
    bundle = shared(ICS)
    run = demo("--bundle", bundle)
    wanted = holds(run, items_of(bundle), "intrusion-set")
    assert len(wanted.crossing) == 1_766
    types = Counter((item.type, wanted.refused[item.id]) for item in items_of(bundle) if item.id in wanted.refused)
    assert types == {
        ("intrusion-set", "withhold"): 16,
        ("relationship", "reference"): 43,
        ("x-mitre-collection", "reference"): 1,
    }


@pytest.mark.slow
def test_attack_for_enterprise_crosses_but_for_its_groups_and_what_names_them() -> None:
    bundle = shared(ENTERPRISE)
    wanted = holds(demo("--bundle", bundle), items_of(bundle), "intrusion-set")
    assert (len(wanted.crossing), len(items_of(bundle))) == (19_087, 24_771)
    assert Counter(wanted.refused.values()) == {"withhold": 187, "reference": 5_497}


def kept_back(*types: str) -> int:
    """How many of ATT&CK for ICS stay at home under an agreement that withholds these types, as computed twice."""
    bundle = shared(ICS)
    rows = ", ".join(f'{{ type = "{name}", article = "4(3)" }}' for name in types)
    run = demo("--bundle", bundle, "--agreement", changed((INTRUSION_SETS, f"[{rows}]")))
    wanted = holds(run, items_of(bundle), *types)
    assert set(wanted.refused.values()) == {"withhold", "reference"}
    return len(wanted.refused)


@pytest.mark.slow
def test_other_withheld_types_keep_back_what_the_second_computation_keeps_back() -> None:
    assert kept_back("campaign", "x-mitre-asset") > 60


@pytest.mark.slow
def test_another_withheld_type_keeps_back_what_the_second_computation_keeps_back() -> None:
    assert kept_back("malware") > 60


@pytest.mark.slow
def test_two_response_teams_carry_the_same_objects_under_their_own_articles() -> None:
    teams, states = demo("--agreement", SAMPLES / "two-certs.toml"), sample_run()
    for run, party, article in ((teams.check(), "AAA", "2"), (states.check(), "IND", "4(3)")):
        sound(run)
        assert run.result["objects"] == {"crossed": 9, "imported": 12, "quarantined": 0, "refused": 3}
        assert {row["article"] for row in run.result["refused"] if row["rule"] == "withhold"} == {article}
        assert next(iter(run.result["registers"])) == party
    assert teams.result["digest_sent"] == states.result["digest_sent"]


def test_the_sample_keeps_back_the_group_what_names_it_and_the_thirds_indicator() -> None:
    run = sample_run()
    sound(run)
    items = {item.id: item for item in items_of(SAMPLE_BUNDLE)}
    found = Counter((row["rule"], row["article"], items[row["id"]].type) for row in run.result["refused"])
    assert found == {
        ("withhold", "4(3)", "intrusion-set"): 1,
        ("reference", "4(3)", "relationship"): 1,
        ("originator", "6(1)", "indicator"): 1,
    }
    refused = {row["id"] for row in run.result["refused"]}
    crossing = Expected(tuple(item for name, item in items.items() if name not in refused), {})
    assert run.result["digest_sent"] == run.result["digest_received"] == crossing.digest
    assert all(not item.strings & refused for item in crossing.crossing)


@pytest.mark.slow
def test_a_bundle_under_an_agreement_that_withholds_nothing_crosses_whole() -> None:
    bundle = shared(ICS)
    run = demo("--bundle", bundle, "--agreement", changed((INTRUSION_SETS, "[]")))
    assert not holds(run, items_of(bundle), "no-such-type").refused


@pytest.mark.slow
def test_a_bundle_without_foreign_markings_crosses_whole() -> None:
    bundle = shared("indicators/amnesty-novispy.stix2.json")
    assert not holds(demo("--bundle", bundle), items_of(bundle), "intrusion-set").refused


@pytest.mark.slow
def test_nothing_crosses_that_names_what_stays_wherever_it_names_it() -> None:
    """Under any key, as a key, at any depth, by a chain or a ring; also where the group itself is not in the bundle."""
    here, absent = (f"intrusion-set--44444444-2222-4333-8444-{number:012x}" for number in (1, 2))
    other = [f"indicator--33333333-2222-4333-8444-{number:012x}" for number in range(20)]
    group = {"type": "intrusion-set", "id": here, "name": "Heron", "pattern": "x"}
    members = [
        indicator(1, **group),
        indicator(2, x_deep=[{"a": [{"b": here}]}]),
        indicator(3, x_keys={here: 1}),
        indicator(4, x_chain=other[2]),
        indicator(5, x_chain=other[4]),
        indicator(6, x_ring=other[7]),
        indicator(7, x_ring=other[6], x_also=other[5]),
        indicator(8, x_absent=absent),
        indicator(9, description=f"seen with {here}, it is said"),
        indicator(10, x_ring=other[11]),
        indicator(11, x_ring=other[10]),
        indicator(12, x_escaped="?").replace(
            b'"?"', b'"' + b"".join(b"\\u%04x" % byte for byte in here.encode()) + b'"'
        ),
        indicator(13, x_near=[here + " ", here.upper()]),
        indicator(14, x_self=other[14]),
    ]
    bundle = fresh("corners.json")
    bundle.write_bytes(bundle_of(*members))
    wanted = holds(demo("--bundle", bundle), items_of(bundle), "intrusion-set")
    numbers = [int(item.id[-12:], 16) for item in wanted.crossing]
    assert numbers == [9, 10, 11, 13, 14]


# --- agreements as people write them -----------------------------------------------------------------------------


PLACED = {
    "inline": re.sub(r'authority = \["ed25519:@\w+@"\], ', "", INDIA_KOREA),
    "tables": re.sub(r'authority = \["ed25519:@\w+@"\]\n', "", TWO_CERTS),
}
SPELLED = {
    "windows": PLACED["tables"].replace("\n", "\r\n"),
    "spaces": PLACED["tables"].replace("[party.AAA]", "[ party . AAA ] # Team A"),
    "quoted": PLACED["inline"].replace("\nIND = {", '\n"IND" = {'),
    "empty list": re.sub(r'authority = \["ed25519:@\w+@"\]\n', "authority = []\n", TWO_CERTS),
    "last": PLACED["inline"].replace(
        'witnesses_from = "SECRET" }', 'witnesses_from = "SECRET", authority = ["ed25519:@IND@"] }'
    ),
}


def under(*agreements: Path) -> list[Run]:
    """The demo of the sample bundle under each of these agreements."""
    cases: list[list[Word]] = [["--agreement", path] for path in agreements]
    return demos(*cases)


def authorities_added(forms: dict[str, str]) -> None:
    paths = {name: written("", fresh(f"{name}.toml")) for name in forms}
    for name, text in forms.items():
        paths[name].write_bytes(text.encode())
    wrong = {}
    for name, run in zip(forms, under(*paths.values()), strict=True):
        if run.code:
            wrong[name] = run.err
            continue
        sound(run)
        law = tomllib.loads((run.folder / "agreement.toml").read_bytes().decode())
        keys = [key for party in law["party"].values() for key in party["authority"]]
        assert len(set(keys)) == 2, name
        assert all(re.fullmatch("ed25519:[0-9a-f]{64}", key) for key in keys), name
    assert not wrong


@pytest.mark.slow
def test_authorities_that_are_left_out_are_added() -> None:
    assert not [name for name, text in PLACED.items() if "authority" in text]
    authorities_added(PLACED)


@pytest.mark.slow
def test_authorities_are_added_however_the_file_is_spelled() -> None:
    authorities_added(SPELLED)


def changed(*pairs: tuple[str, str], text: str = INDIA_KOREA) -> Path:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return written(text, fresh("agreement.toml"))


BOTH_WAYS = 'directions = ["IND>KOR", "KOR>IND"]'
ENDED = ('end = "2031-01-01T00:00Z"\nrenew_years = 1', 'end = "2026-02-01T00:00Z"\nrenew_years = 0')
REFUSING = {
    "no direction": ("area", "2(1)", (BOTH_WAYS, "directions = []")),
    "not started": ("in_force", "18(1)", ('start = "2026-01-01T00:00Z"', 'start = "2030-01-01T00:00Z"')),
    "ended": ("in_force", "18(1)", ENDED),
    "no row": ("equivalence", "3(2)", (LOWEST_ROW, "")),
}


@cache
def refusing(*names: str) -> dict[str, Run]:
    """What the demo does under agreements that let nothing through."""
    return dict(zip(names, under(*(changed(REFUSING[name][2]) for name in names)), strict=True))


def refused_whole(name: str, run: Run) -> None:
    """Nothing crossed, the figures are there, and the person was told by which article."""
    result = run.check(1).result
    assert result["objects"]["crossed"] == 0
    assert result["objects"]["imported"] == 12
    assert result["releases"] == []
    assert result["digest_sent"] == result["digest_received"] == ""
    assert result["verified"]["failed"] == 0
    assert result["same_answer"] is True
    assert set(result) >= KEYS
    decided = run.out.partition(" 3 decide")[2].partition("\n{")[0]
    assert f"Art. {REFUSING[name][1]}" in decided, decided
    assert "REFUSED" in decided


def listed_whole(name: str, run: Run) -> None:
    """Each of the twelve objects is in `refused`, some by the rule that refuses all of them."""
    rule, article, _ = REFUSING[name]
    result = run.check(1).result
    assert result["objects"]["refused"] == len(result["refused"]) == 12
    assert all(row["article"] and row["reason"] and row["id"] for row in result["refused"])
    assert (rule, article) in {(row["rule"], row["article"]) for row in result["refused"]}


OPENS_NOTHING, OUT_OF_TIME = ("no direction", "no row"), ("not started", "ended")


@pytest.mark.slow
@pytest.mark.parametrize("name", OPENS_NOTHING)
def test_an_agreement_that_opens_nothing_refuses_the_whole_release_with_its_article(name: str) -> None:
    refused_whole(name, refusing(*OPENS_NOTHING)[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPENS_NOTHING)
def test_every_object_that_does_not_cross_is_listed_with_its_article(name: str) -> None:
    listed_whole(name, refusing(*OPENS_NOTHING)[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OUT_OF_TIME)
def test_an_agreement_out_of_its_time_refuses_the_whole_release_with_its_article(name: str) -> None:
    refused_whole(name, refusing(*OUT_OF_TIME)[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OUT_OF_TIME)
def test_every_object_is_listed_when_the_agreement_is_out_of_its_time(name: str) -> None:
    listed_whole(name, refusing(*OUT_OF_TIME)[name])


@pytest.mark.slow
def test_a_rule_without_an_article_refuses_and_is_named() -> None:
    """Of decide() and of gate() alike: the person must be told which line of the agreement to write."""
    cases = {
        "once": changed((', once = "12(1)" }', " }")),
        "author": changed(('gate = { author = "5(2)", ', "gate = { ")),
    }
    for rule, run in zip(cases, under(*cases.values()), strict=True):
        assert run.check(1).result["objects"]["crossed"] == 0
        assert re.search(rf"REFUSED.*\b{rule}\b.*no article", run.out), (
            f"{rule}:\n{run.out.partition(' 3 decide')[2][:600]}"
        )


ROLES = 'roles = ["release", "security"]'
OTHERS = {
    "four approvals": changed(("approvals = 2", "approvals = 4")),
    "three roles": changed((ROLES, 'roles = ["legal", "release", "security"]')),
    "three sign the map": changed(("map = 1", "map = 3")),
    "a role that maps alone": changed(('map = "security"', 'map = "mapper"')),
    "no role asked for": changed(('roles = ["release"]', "roles = []"), text=TWO_CERTS),
    "hybrid suite alone": changed(('"x25519-hkdfsha256-aes256gcm", ', "")),
    "without prose": changed(('views = ["full", "no-prose", "granular"]', 'views = ["no-prose"]')),
    "key before acknowledgement": changed(("key_before_ack = false", "key_before_ack = true")),
    "no exercise": changed(("exercise = true\n", "")),
    "other parties": changed(("IND", "FRA"), ("KOR", "DEU")),
}


@cache
def others() -> dict[str, Run]:
    """What the demo does under agreements of another make."""
    found: dict[str, Run] = {}
    names = list(OTHERS)
    for start in range(0, len(names), 4):
        group = names[start : start + 4]
        found |= zip(group, under(*(OTHERS[name] for name in group)), strict=True)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_an_agreement_of_another_make_is_carried_out_too(name: str) -> None:
    run = others()[name].check()
    sound(run)
    assert run.result["objects"] == {"crossed": 9, "imported": 12, "quarantined": 0, "refused": 3}
    assert run.result["digest_sent"] == run.result["digest_received"]


@pytest.mark.slow
def test_only_the_other_direction_open_makes_the_other_party_the_sender() -> None:
    path = changed((BOTH_WAYS, 'directions = ["KOR>IND"]'))
    run = demo("--agreement", path).check()
    sound(run)
    assert re.search(r"import +KOR", run.out)
    assert run.result["objects"]["crossed"] == 9


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "agreement"),
        ("id = [", "TOML"),
        (INDIA_KOREA.replace("exercise = true", "exercize = true"), "exercize"),
        (INDIA_KOREA.replace('ceiling = { IND = "SECRET"', 'ceiling = { IND = "TOP"'), "TOP"),
        (INDIA_KOREA.replace("[acts]", "[acts"), "TOML"),
    ],
    ids=["empty", "no TOML", "unknown key", "unknown level", "broken table"],
)
def test_an_agreement_that_cannot_be_read_is_an_error_in_words(text: str, named: str) -> None:
    run = cli("agreement", "check", written(text, fresh("mine.toml"))).check(2)
    assert named in run.err
    assert "mine.toml" in run.err


def test_the_demo_ends_on_a_bad_agreement_with_words_and_two() -> None:
    run = demo("--agreement", written("id = [", fresh("mine.toml"))).check(2)
    assert "mine.toml" in run.err
    assert run.err.count("\n") <= 3


# --- what a bundle may hold --------------------------------------------------------------------------------------

DEEP = b"[" * 50_000 + b"]" * 50_000


def odd(raw: bytes, number: int = 50) -> bytes:
    """An otherwise good indicator with these bytes as a value."""
    return indicator(number)[:-1] + b', "x_odd": ' + raw + b"}"


BAD_OBJECTS = {
    "duplicate key": odd(b'{"a": 1, "a": 2}'),
    "duplicate key by escape": odd(b'{"a": 1, "\\u0061": 2}'),
    "NaN": odd(b"NaN"),
    "infinity": odd(b"-Infinity"),
    "beyond a double": odd(b"1e400"),
    "many digits": odd(b"1" * 4_000),
    "lone surrogate": odd(b'"\\ud800"'),
    "bytes of a surrogate": odd(b'"\xed\xa0\x80"'),
    "not UTF-8": odd(b'"\xff"'),
    "NUL": odd(b'"\\u0000"'),
    "raw NUL": odd(b'"\x00"'),
    "control character": odd(b'"\x07"'),
    "byte-order mark": b"\xef\xbb\xbf" + indicator(51),
    "brackets": odd(b"[" * 200 + b"]" * 200),
    "null": b"null",
    "number": b"7",
    "no id": indicator(52).replace(b'"id"', b'"di"'),
    "id of another type": indicator(53).replace(b"indicator--", b"malware--"),
    "null list": odd(b"1").replace(b'"x_odd": 1', b'"labels": null'),
    "no pattern": indicator(54).replace(b'"pattern":', b'"nattern":'),
}


@pytest.mark.slow
def test_bad_objects_are_quarantined_alone_and_the_rest_crosses() -> None:
    good = [indicator(number) for number in range(1, 4)]
    bad = {name: raw for name, raw in BAD_OBJECTS.items() if name != "byte-order mark"}
    bundle = fresh("bad.json")
    bundle.write_bytes(bundle_of(good[0], *bad.values(), good[1], good[2]))
    run = demo("--bundle", bundle).check()
    sound(run)
    assert run.result["objects"] == {"crossed": 3, "imported": 3, "quarantined": len(bad), "refused": 0}
    hashes = sorted(hashlib.sha256(raw).hexdigest() for raw in good)
    assert run.result["digest_received"] == hashlib.sha256("".join(hashes).encode()).hexdigest()
    assert "QUARANTINED" in run.out
    assert "objects[1]" in run.out


@cache
def importing() -> tuple[Path, str]:
    """A copy of the demo and the id of a map by which its first node imports."""
    folder = copy_of(sample_run().folder, fresh("importing"))
    node = folder / "IND"
    agreement = said("status", "--node", node)["agreement"]
    drawn = written(json.dumps({"agreement": agreement, "area": "intelligence", "rows": []}), fresh("map.json"))
    held = passwords(folder)
    name = said("map", drawn, "--as", "IND/iyer", "--password-file", held["IND/iyer"], "--node", node)["map"]
    return node, name


@pytest.mark.slow
@pytest.mark.parametrize("raw", BAD_OBJECTS.values(), ids=BAD_OBJECTS.keys())
def test_a_bad_object_is_quarantined_or_its_file_refused_in_words(raw: bytes) -> None:
    node, name = importing()
    bundle = fresh("bad.json")
    bundle.write_bytes(bundle_of(indicator(1), raw, indicator(2)))
    run = cli("import", bundle, "--map", name, "--node", node, "--json")
    if run.code == 2:  # only where the file itself has no one reading
        assert raw is BAD_OBJECTS["byte-order mark"]
        assert "bad.json" in run.err
        return
    found = json.loads(run.check().out)
    assert found["records"] == 2
    (one,) = found["quarantined"]
    assert one["place"].startswith("objects[1]")
    assert one["reason"]
    assert one["reason"].isprintable()


GOOD_FILE = bundle_of(indicator(1))
BAD_FILES = {
    "empty": b"",
    "blank": b" \n",
    "no JSON": b"hello",
    "cut short": GOOD_FILE[:-20],
    "something follows": GOOD_FILE + b"{}",
    "a list": b"[" + GOOD_FILE + b"]",
    "a string": b'"bundle"',
    "not a bundle": GOOD_FILE.replace(b'"type": "bundle"', b'"type": "bungle"'),
    "objects is no list": b'{"type": "bundle", "id": "bundle--33333333-2222-4333-8444-000000000000", "objects": {}}',
    "objects is null": b'{"type": "bundle", "id": "bundle--33333333-2222-4333-8444-000000000000", "objects": null}',
    "duplicate key": GOOD_FILE[:-1] + b', "objects": []}',
    "duplicate key by escape": GOOD_FILE[:-1] + b', "\\u006fbjects": []}',
    "duplicate type": b'{"type": "bundle", ' + GOOD_FILE[1:],
    "NaN": GOOD_FILE[:-1] + b', "x": NaN}',
    "beyond a double": GOOD_FILE[:-1] + b', "x": 1e400}',
    "many digits": GOOD_FILE[:-1] + b', "x": ' + b"1" * 5_000 + b"}",
    "brackets alone": DEEP,
    "open brackets": b"[" * 100_000,
    "open braces": b'{"a":' * 100_000,
    "brackets at the top": GOOD_FILE[:-1] + b', "x": ' + DEEP + b"}",
    "lone surrogate": GOOD_FILE[:-1] + b', "x": "\\udfff"}',
    "NUL": GOOD_FILE[:-1] + b', "x": "\\u0000"}',
    "NULs": b"\x00" * 100,
    "not UTF-8": GOOD_FILE[:-1] + b', "x": "\xff"}',
    "UTF-16": GOOD_FILE.decode().encode("utf-16"),
    "UTF-16 without mark": GOOD_FILE.decode().encode("utf-16-le"),
    "UTF-32": GOOD_FILE.decode().encode("utf-32"),
    "byte-order mark": b"\xef\xbb\xbf" + GOOD_FILE,
}


FAST = {"cut short", "duplicate key", "NaN", "open braces", "lone surrogate", "UTF-16", "byte-order mark"}
EACH_FILE = [
    pytest.param(data, id=name, marks=() if name in FAST else pytest.mark.slow) for name, data in BAD_FILES.items()
]


@pytest.mark.parametrize("data", EACH_FILE)
def test_a_file_with_no_one_reading_is_refused_in_words(data: bytes) -> None:
    node, name = importing()
    bundle = fresh("hostile.json")
    bundle.write_bytes(data)
    run = cli("import", bundle, "--map", name, "--node", node).check(2)
    assert "hostile.json" in run.err
    assert run.err.count("\n") <= 3
    assert len(run.err) < 600
    assert run.err.replace("\n", "").isprintable()


def test_brackets_within_one_object_never_end_in_a_traceback() -> None:
    """So deep that some readers fall over: either the one object or the file is refused."""
    node, name = importing()
    bundle = fresh("deep.json")
    bundle.write_bytes(bundle_of(indicator(1), odd(DEEP), indicator(2)))
    run = cli("import", bundle, "--map", name, "--node", node, "--json")
    assert run.code in {0, 2}, run.all
    if run.code == 0:
        assert len(json.loads(run.out)["quarantined"]) == 1
    else:
        assert "deep.json" in run.err


def test_the_demo_ends_on_a_bad_file_with_words_and_two() -> None:
    path = fresh("hostile.json")
    path.write_bytes(BAD_FILES["open brackets"])
    run = demo("--bundle", path).check(2)
    assert "hostile.json" in run.err
    assert run.err.count("\n") <= 3


@pytest.mark.slow
def test_a_bundle_of_nothing_refuses_in_words() -> None:
    empty, all_bad = fresh("empty.json"), fresh("bad.json")
    empty.write_bytes(bundle_of())
    all_bad.write_bytes(bundle_of(BAD_OBJECTS["NaN"]))
    for run in demos(["--bundle", empty], ["--bundle", all_bad]):
        run.check(1)
        assert run.result["objects"]["crossed"] == 0
        assert run.result["objects"]["imported"] == 0
        assert run.result["releases"] == []
    assert run.result["objects"]["quarantined"] == 1


def test_a_bundle_that_is_not_there_is_a_usage_error() -> None:
    run = demo("--bundle", fresh("nothing.json")).check(2)
    assert "nothing.json" in run.err
