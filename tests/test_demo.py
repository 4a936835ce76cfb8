"""The first ten minutes read as promised: steps in order, each refusal with its article, a folder to go on with."""

import json
import re
import stat
import unicodedata
from pathlib import Path

import pytest

from promises.demo_run import (
    SAMPLES,
    Run,
    cli,
    copy_of,
    demo,
    fresh,
    index_of,
    sample_run,
    start,
    written,
)

STEPS = ["agree", "import", "decide", "approve", "dispatch", "pull", "answer", "return", "attack"]
KEYS = {
    "bytes", "digest_received", "digest_sent", "objects", "owed", "refused", "registers", "releases", "returned",
    "same_answer", "seconds", "verified",
}  # fmt: skip


def text_of(run: Run) -> list[str]:
    """What a person reads: every line but the JSON."""
    return run.out.rstrip("\n").split("\n")[:-1]


def test_the_steps_are_numbered_in_order() -> None:
    found = [match.groups() for line in text_of(sample_run()) if (match := re.match(r" ?(\d+) +(\w+) ", line))]
    assert [int(number) for number, _ in found] == list(range(1, len(STEPS) + 1))
    assert [name for _, name in found] == STEPS


@pytest.mark.parametrize(
    "line",
    [
        r"^SAMPLE agreement, invented persons\. Two nodes, two keys, two databases, one wire between them\.",
        r"^ 1 agree +IND KOR +india-korea\.toml, signed by both · 14 statements +sha256 [0-9a-f]{4}…[0-9a-f]{2}$",
        r"^ +hole: RESTRICTED \(IND\) has no .*cannot cross +Art\. 3\(2\)$",
        r"^ 2 import +IND +sample\.stix\.json: 12 objects, 12 valid, 0 quarantined$",
        r"^ 3 decide +IND +9 may cross under Art\. 4\(1\)\. 3 may not:$",
        r'^ +REFUSED +.*"Copper Heron" +Art\. 4\(3\) ',
        r"^ +REFUSED +relationship that points at it +Art\. 4\(3\) +would name what is withheld$",
        r"^ +REFUSED +indicator .* Art\. 6\(1\) .*consented$",
        r"^ 4 approve +IND +\w+ and \w+ signed exactly these [\d,]+ bytes +sha256 [0-9a-f]{4}…[0-9a-f]{2}$",
        r"^ +REFUSED +Rao \(the author\) tried to approve +Art\. 5\(2\) +the author may not approve$",
        r"^ 5 dispatch +IND +release 1: sealed for KOR, entered as no\. \d+ of .*register$",
        r"^ 6 pull +KOR +wire cut at 3,000 bytes … resumed … stored, cosigned, key served, 9 of 9 objects verified$",
        r'^ 7 answer +KOR→IND +.*signed "received"\. .* now shows received$',
        r"^ 9 attack +KOR +one bit flipped on the wire +caught: corrupt; dropped, fetched again$",
        r"^ 8 return +KOR→IND +a request and its reply .72 h clock., 1 sighting under .*S-1 .49 left today.$",
        r"^ +IND +restored from an old backup +caught: behind what KOR cosigned; healed first$",
        r"^ +IND gave +KOR gave$",
        r"^ +objects received +9 of 9 +1 of 1, and 1 reply to 1 request$",
        r"^ +asked to answered +0(\.\d+)? h, by both registers$",
        r"^ +still owed +IND: return or destroy 2 objects by \d+ \w+ \d{4}, Art\. 8\(1\)$",
        r"^ +KOR: return or destroy 10 objects by \d+ \w+ \d{4}, Art\. 8\(1\)$",
        r"^ +same answer at both nodes, byte for byte +sha256 [0-9a-f]{4}…[0-9a-f]{2}$",
        r"^ +verified: .*entries.*heads.*signatures, by entente and by the separate verify\.py$",
        r"^ +not verified: who the persons are; these keys were made a minute ago$",
        r"^Done in \d+ s\. ",
        r"^ +\./run entente why 1 +every object, every article, passed or failed$",
        r"^ +\./run demo --bundle FILE +your own STIX 2\.1 bundle",
    ],
)
def test_it_reads_like_the_design(line: str) -> None:
    assert [shown for shown in text_of(sample_run()) if re.search(line, shown)], "\n".join(text_of(sample_run()))


def test_the_lines_come_in_the_order_of_the_design() -> None:
    shown = "\n".join(text_of(sample_run()))
    marks = [
        "SAMPLE",
        " 1 agree",
        "hole:",
        " 3 decide",
        "Copper Heron",
        " 4 approve",
        "(the author)",
        " 7 answer",
        "same answer",
        "\nDone",
    ]
    places = [shown.index(mark) for mark in marks]
    assert places == sorted(places)


def test_every_refusal_shown_names_an_article() -> None:
    shown = [line for line in text_of(sample_run()) if "REFUSED" in line]
    assert len(shown) >= 4
    assert all(re.search(r"Art\. \d+\(\d+\)", line) for line in shown), shown


def test_the_hashes_shown_are_the_ones_in_the_json() -> None:
    run = sample_run()
    shown = re.search(r"signed exactly these ([\d,]+) bytes", run.out)
    assert shown
    assert int(shown[1].replace(",", "")) == run.result["bytes"]
    assert run.result["digest_sent"] == run.result["digest_received"]


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


def test_no_line_is_wider_than_the_design_and_none_ends_in_spaces() -> None:
    lines = [line for line in text_of(sample_run()) if "Files:" not in line]
    assert not [line for line in lines if columns(line) > 120]
    assert not [line for line in lines if line != line.rstrip()]


def test_no_colour_when_it_is_no_terminal() -> None:
    assert "\x1b" not in sample_run().all
    assert "\r" not in sample_run().all


def test_standard_error_is_quiet_when_it_is_no_terminal() -> None:
    assert sample_run().err == ""


def test_the_json_is_one_object_with_the_promised_keys() -> None:
    result = sample_run().result
    assert set(result) >= KEYS
    assert set(result["objects"]) == {"imported", "quarantined", "crossed", "refused"}
    assert list(result["registers"]) == ["IND", "KOR"]
    assert all(set(found) >= {"size", "root"} for found in result["registers"].values())
    assert all(re.fullmatch("[0-9a-f]{64}", found["root"]) for found in result["registers"].values())
    assert set(result["verified"]) >= {"entries", "heads", "signatures", "failed", "not_checked"}
    assert all(set(row) == {"id", "rule", "article", "reason"} for row in result["refused"])
    assert all(isinstance(taken, int | float) and taken >= 0 for taken in result["seconds"].values())
    assert set(STEPS) <= set(result["seconds"])
    assert isinstance(result["bytes"], int)
    assert result["same_answer"] is True


@pytest.mark.slow
def test_without_json_nothing_of_it_is_printed() -> None:
    place = fresh()
    run = start("-m", "entente.demo", "--dir", place, "--once", state=fresh("state")).done().check()
    assert not [line for line in run.out.split("\n") if line.startswith("{")]
    assert f"Files: {place}" in run.out


def test_demo_json_names_nodes_and_persons() -> None:
    folder = sample_run().folder
    index = index_of(folder)
    assert list(index) == ["IND", "KOR"]
    people = [user for entry in index.values() for user in entry["users"]]
    for party, entry in index.items():
        assert Path(entry["dir"]) == folder / party
        assert (folder / party / "served" / "own" / "checkpoint").is_file()
        assert {"user": entry["user"], "password": entry["password"]}.items() <= entry["users"][0].items()
        assert all(set(user) == {"user", "password", "roles"} for user in entry["users"])
        assert {role for user in entry["users"] for role in user["roles"]} == {"release", "security"}
    assert [user["user"] for user in people] == ["rao", "nair", "iyer", "kim", "lee", "park"]
    assert len({user["password"] for user in people}) == len(people)
    assert all(len(user["password"]) >= 10 for user in people)


def test_secrets_are_readable_by_their_owner_alone() -> None:
    folder = sample_run().folder
    secret = [
        "demo.json",
        "authority-IND.key",
        "authority-KOR.key",
        "IND/passphrase",
        "KOR/passphrase",
        "IND/keys.db",
        "KOR/keys.db",
    ]
    open_to_others = []
    for name in secret:
        path = folder / name
        guarded = [path, *path.parents[: len(path.relative_to(folder).parts) - 1]]
        if all(stat.S_IMODE(one.stat().st_mode) & 0o077 for one in guarded):
            open_to_others.append(name)
    assert not open_to_others


def test_passwords_stand_nowhere_but_in_demo_json() -> None:
    run = sample_run()
    words = [user["password"].encode() for entry in index_of(run.folder).values() for user in entry["users"]]
    for path in run.folder.rglob("*"):
        if path.is_file() and path.name != "demo.json":
            data = path.read_bytes()
            assert not [word for word in words if word in data], path


def test_a_folder_that_is_not_empty_is_refused_and_left_alone() -> None:
    place = fresh("mine")
    written("precious", place / "file")
    run = demo(folder=place).check(2)
    assert str(place) in run.err
    assert "not empty" in run.err
    assert sorted(path.name for path in place.iterdir()) == ["file"]


@pytest.mark.slow
def test_an_empty_folder_is_taken() -> None:
    place = fresh("empty")
    place.mkdir()
    demo("--bundle", written("no bundle", fresh("bad.json")), folder=place).check(2)


@pytest.mark.parametrize("make", ["file", "under a file"])
def test_a_folder_that_cannot_be_made_is_refused_in_words(make: str) -> None:
    file = written("", fresh("file"))
    run = demo(folder=file if make == "file" else file / "below").check(2)
    assert file.name in run.err


@pytest.mark.slow
def test_a_demo_that_failed_is_not_the_last_demo() -> None:
    state = fresh("state")
    demo("--bundle", written("no bundle", fresh("bad.json")), state=state).check(2)
    assert "no demo" in cli("status", state=state).check(2).err


@pytest.mark.slow
def test_the_verbs_without_node_take_the_last_demos_first_party() -> None:
    place = fresh()
    state = fresh("state")
    assert "./run demo" in cli("verify", state=state).check(2).err
    demo(folder=place, state=state).check()
    verified = cli("verify", "--json", state=state).check().result
    assert list(verified["registers"]) == ["IND", "KOR"]
    assert cli("status", "--json", state=state).check().result["party"] == "IND"
    assert "Copper Heron" in cli("why", "1", state=state).check().out
    copy = copy_of(place, fresh("copy"))
    assert json.loads(cli("status", "--node", copy / "KOR", "--json", state=state).check().out)["party"] == "KOR"
    place.rename(place.with_name("gone"))
    assert "./run demo" in cli("verify", state=state).check(2).err


@pytest.mark.slow
def test_without_dir_the_folder_is_a_new_one_here() -> None:
    here = fresh("here")
    here.mkdir()
    (here / "demo-1").mkdir()
    run = start("-m", "entente.demo", "--once", state=fresh("state"), cwd=here).done().check()
    assert (here / "demo-2" / "demo.json").is_file()
    assert f"Files: {here / 'demo-2'}" in run.out
    assert not any((here / "demo-1").iterdir())


def test_the_help_names_every_option() -> None:
    run = start("-m", "entente.demo", "--help").done().check()
    for option in ("--dir", "--once", "--json", "--bundle", "--agreement"):
        assert re.search(rf"^ +{option} .*\w{{3}}", run.out, re.MULTILINE), option


def test_an_unknown_option_is_a_usage_error() -> None:
    assert "--nonsense" in start("-m", "entente.demo", "--nonsense").done().check(2).err


def test_the_samples_are_whole() -> None:
    assert sorted(path.name for path in SAMPLES.iterdir()) == ["india-korea.toml", "sample.stix.json", "two-certs.toml"]
