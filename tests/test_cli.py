"""Two officials can do by the command line alone what the demo does, and every verb answers scripts and people alike.

Exit codes: 0 ok, 1 refused, 2 usage, 3 verification failed, 4 partner unreachable.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from entente.cli import main
from promises.demo_run import (
    SAMPLE_BUNDLE,
    SAMPLES,
    bundle_of,
    cli,
    copy_of,
    entente,
    fresh,
    indicator,
    passwords,
    said,
    sample_run,
    start,
    verify_py,
    written,
)

UNTIL = "2030-01-01T00:00Z"

# --- help --------------------------------------------------------------------------------------------------------


def commands(group: click.Group = main, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        words = (*above, name)
        yield words, command
        if isinstance(command, click.Group):
            yield from commands(command, words)


EVERY = dict(commands())


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_explains_itself_and_every_option_of_it(words: tuple[str, ...]) -> None:
    shown = cli(*words, "--help").check().out
    assert f"{' '.join(words)} " in shown
    assert re.search(r"^  [A-Z].{20}", shown, re.MULTILINE), "it says in a sentence what it does"
    silent = [
        option.opts[0]
        for option in EVERY[words].params
        if isinstance(option, click.Option) and not (option.help or "").strip()
    ]
    assert not silent, f"options without a word: {silent}"


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_verb_takes_node_and_json(words: tuple[str, ...]) -> None:
    command = EVERY[words]
    if isinstance(command, click.Group):
        return
    options = {name for option in command.params for name in option.opts}
    assert "--json" in options
    if words[0] not in {"create", "agreement", "doctor"} and words not in {("key", "new"), ("paper", "check")}:
        assert "--node" in options


def test_help_and_version_of_the_whole() -> None:
    shown = cli("--help").check().out
    assert all(f"\n  {words[0]}" in shown for words in EVERY)
    assert re.search(r"\d+\.\d+\.\d+", cli("--version").check().out)


def test_a_word_that_is_no_verb_is_a_usage_error() -> None:
    assert "nonsense" in cli("nonsense").check(2).err


# --- the whole journey -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One party: its node, its authority's key file and passphrase, and its persons' password files."""

    code: str
    node: Path
    authority: Path
    phrase: Path
    held: dict[str, Path]


@dataclass(frozen=True)
class Pair:
    """Two paired nodes under a signed agreement, and what the sender's terms are."""

    sender: Side
    receiver: Side
    agreement: Path
    level: str
    purpose: str
    approvers: dict[str, str]
    mapper: str


MAKES: dict[str, dict[str, Any]] = {
    "india-korea": {
        "parties": {"IND": ("UNCLASSIFIED", "SECRET"), "KOR": ("일반", "군사II급비밀")},
        "people": {"ann": "release", "bob": "release", "cyd": "security"},
        "approvers": {"bob": "release", "cyd": "security"},
        "mapper": "cyd",
    },
    "two-certs": {
        "parties": {"AAA": ("CLEAR", "AMBER"), "BBB": ("CLEAR", "AMBER")},
        "people": {"ann": "release", "bob": "release"},
        "approvers": {"bob": "release"},
        "mapper": "bob",
    },
}


def founded(make: str) -> Pair:
    """Both nodes from nothing: keys, agreement, signatures, registers, persons, assurances, pairing, first pulls."""
    what, base = MAKES[make], fresh(make)
    text = (SAMPLES / f"{make}.toml").read_text()
    sides = []
    for code in what["parties"]:
        phrase = written(f"authority of {code}\n", base / f"{code}.phrase")
        key = base / f"{code}.key"
        public = cli("key", "new", key, "--passphrase-file", phrase).check().out.strip()
        assert re.fullmatch("ed25519:[0-9a-f]{64}", public)
        text = text.replace(f"ed25519:@{code}@", public)
        held = {
            f"{code}/{name}": written(f"{name} of {code}\n", base / f"{code}-{name}.password")
            for name in what["people"]
        }
        sides.append(Side(code, base / code, key, phrase, held))
    paper, signatures = written(text, base / "agreement.toml"), base / "agreement.dsse.json"
    assert not [row for row in said("agreement", "check", paper)["holes"] if "authority" in row["hole"]]
    for side in sides:
        locked = ("--authority", side.authority, "--authority-passphrase-file", side.phrase)
        cli("agreement", "sign", paper, *locked, "--signatures", signatures).check()
    for side in sides:
        node_phrase = written(f"node of {side.code}\n", base / f"{side.code}-node.phrase")
        locked = ("--authority", side.authority, "--authority-passphrase-file", side.phrase)
        cli(
            "create", side.node, "--party", side.code, "--passphrase-file", node_phrase, "--dispatch-slot-minutes", "0"
        ).check()
        said("init", paper, signatures, *locked, "--node", side.node)
        ceiling = what["parties"][side.code][1]
        terms = ("--areas", "intelligence", "--until", UNTIL)
        for name, role in what["people"].items():
            number = written(f"{side.code} {name}\n", base / f"{side.code}-{name}.id")
            handle = f"{side.code}/{name}"
            secret = ("--national-id-file", number, "--password-file", side.held[handle])
            said("person", handle, "--roles", role, "--ceiling", ceiling, *terms, *secret, *locked, "--node", side.node)
        said("assure", "--level", ceiling, *terms, *locked, "--node", side.node)
        assert [row["handle"] for row in said("key", "list", "--node", side.node)] == sorted(side.held)
    first, second = sides
    for side, other in ((first, second), (second, first)):
        passed = other.node.parent / f"{other.code}.pairing.json"
        shown = said("pair", "show", "--out", passed, "--node", other.node)
        done = cli("pair", "accept", passed, "--tree", other.node / "served", "--node", side.node).check()
        assert shown["fingerprint"] in done.out
    for side in (first, second, first):
        said("pull", "--node", side.node)
    approvers = {f"{first.code}/{name}": role for name, role in what["approvers"].items()}
    level = what["parties"][first.code][0]
    return Pair(first, second, paper, level, "cyber defence", approvers, f"{first.code}/{what['mapper']}")


def mapped(pair: Pair) -> str:
    """The id of a signed map by which what bears no marking, or the sample's own, is at the sender's lowest level."""
    plain = {
        "caveats": [],
        "level": pair.level,
        "originator": pair.sender.code,
        "purpose": pair.purpose,
        "releasable_to": [pair.sender.code, pair.receiver.code],
    }
    sample = json.loads(SAMPLE_BUNDLE.read_bytes())["objects"]
    own = {item["id"] for item in sample if item["type"] == "marking-definition"}
    third = next(item for item in sample if item["type"] == "identity" and "third" in item["name"])
    rows = dict.fromkeys(own, plain) | {third["id"]: plain | {"originator": third["name"]}}
    drawn = {
        "agreement": said("agreement", "check", pair.agreement)["hash"],
        "area": "intelligence",
        "default": plain,
        "rows": [{"foreign": name, "marking": rows[name]} for name in sorted(rows)],
    }
    paper = written(json.dumps(drawn), fresh("map.json"))
    secret = ("--as", pair.mapper, "--password-file", pair.sender.held[pair.mapper])
    return str(said("map", paper, *secret, "--node", pair.sender.node)["map"])


def proposed(pair: Pair, bundle: Path) -> dict[str, Any]:
    """A draft of this bundle."""
    at = ("--node", pair.sender.node)
    source = said("import", bundle, "--map", mapped(pair), *at)["source"]
    assert source in {row["source"] for row in said("list", "imports", *at)}
    made = said("propose", source, "--author", f"{pair.sender.code}/ann", *at)
    assert isinstance(made, dict)
    return made


def approved(pair: Pair, rid: str) -> None:
    done: dict[str, Any] = {}
    for handle, role in pair.approvers.items():
        secret = ("--as", handle, "--role", role, "--password-file", pair.sender.held[handle])
        done = said("approve", rid, *secret, "--node", pair.sender.node)
    assert done["state"] == "approved"


@pytest.mark.parametrize("make", ["india-korea", pytest.param("two-certs", marks=pytest.mark.slow)])
def test_two_nodes_carry_a_bundle_across_by_the_command_line_alone(make: str) -> None:  # noqa: PLR0915 - a journey
    pair = founded(make)
    ours, theirs = ("--node", pair.sender.node), ("--node", pair.receiver.node)
    made = proposed(pair, SAMPLE_BUNDLE)
    rid = made["rid"]
    assert (made["kept"], made["state"], len(made["refused"])) == (9, "checked", 3)
    assert {row["rule"] for row in made["refused"]} == {"withhold", "reference", "originator"}
    assert all(row["article"] for row in made["refused"])

    author = f"{pair.sender.code}/ann"
    secret = ("--as", author, "--role", "release", "--password-file", pair.sender.held[author])
    refused = cli("approve", rid, *secret, *ours).check(1)
    assert "author" in refused.err
    assert "Art. " in refused.err
    cli("dispatch", rid, "--yes", *ours).check(1)
    approved(pair, rid)

    before = said("status", *ours)["registers"]
    assert "9 objects would cross" in cli("dispatch", rid, *ours).check().out
    assert "--yes" in cli("dispatch", rid, *ours).check().out
    assert said("dispatch", rid, *ours)[0]["objects"] == 9
    assert said("status", *ours)["registers"] == before, "a dry run enters nothing"
    (sent,) = said("dispatch", rid, "--yes", *ours)
    assert (sent["rid"], sent["number"]) == (rid, 1)
    cli("dispatch", rid, "--yes", *ours).check(1)

    for where in (theirs, ours):
        said("pull", *where)
    opened = said("pull", *theirs)["opened"]
    assert [row["records"] for row in opened] == [9]
    assert said("answer", *theirs)["entries"] == 1
    assert said("answer", *theirs)["entries"] == 0, "nothing is answered twice"
    said("pull", *ours)
    said("pull", *theirs)

    for where, kind in ((ours, "sent"), (theirs, "received")):
        (row,) = said("list", "releases", *where)
        assert (row["rid"], row["state"], row["records"]) == (rid, "received", 9)
        why = said("why", rid[:12], *where)
        assert why["kind"] == kind
        assert len(why["findings"]) == 26
        assert all(finding["ok"] and finding["article"] for finding in why["findings"])
        assert sum(item["crosses"] for item in why["objects"]) == 9
    assert said("why", "1", *ours)["rid"] == rid
    assert len([item for item in said("why", "1", *ours)["objects"] if not item["crosses"]]) == 3
    assert not [item for item in said("why", rid, *theirs)["objects"] if not item["crosses"]], (
        "the partner learns of none"
    )
    assert "Copper Heron" in cli("why", "1", "--all", *ours).check().out
    assert "Copper Heron" not in cli("why", rid, "--all", *theirs).check().out

    mine = cli("reconcile", *ours).check()
    found = re.search(r"--cut (\S+) --at (\S+)", mine.err)
    assert found
    same = ("--cut", found[1], "--at", found[2])
    assert cli("reconcile", *same, *theirs).check().out == mine.out
    assert said("reconcile", *same, *ours) == said("reconcile", *same, *theirs)

    for side in (pair.sender, pair.receiver):
        assert said("verify", side.node)["verified"]["failed"] == 0
        verify_py(side.node).check()
    acknowledged = said("status", *ours)
    assert acknowledged["acknowledged"] == acknowledged["registers"][pair.sender.code]["entries"]
    assert acknowledged["frozen"] == ""


# --- codes, JSON, words ------------------------------------------------------------------------------------------


@cache
def demo_copy() -> Path:
    """A copy of the sample demo which the tests below may use, as long as they change nothing that others need."""
    return copy_of(sample_run().folder, fresh("copy"))


def ind() -> tuple[str, Path]:
    return "--node", demo_copy() / "IND"


def test_a_person_is_revoked_and_certified_anew_and_tokens_follow() -> None:
    """By the command line alone: a token works for as long as it stands, whatever its person is certified for."""
    pair = founded("two-certs")
    side = pair.sender
    handle, secret = next(iter(side.held.items()))
    locked = ("--authority", side.authority, "--authority-passphrase-file", side.phrase, "--node", side.node)
    made = said("token", "make", handle, "--label", "tool", "--password-file", secret, "--node", side.node)
    assert made["token"].startswith(f"ent_{made['id']}_")
    (row,) = said("token", "list", "--node", side.node)
    assert (row["handle"], row["revoked"], "token" in row) == (handle, "", False)
    before = {row["handle"]: row for row in said("key", "list", "--node", side.node)}
    said("key", "revoke", handle, "--reason", "left", *locked)
    assert [row["handle"] for row in said("key", "list", "--node", side.node) if row["revoked"]] == [handle]
    refused = cli("token", "make", handle, "--label", "x", "--password-file", secret, "--node", side.node)
    assert "not certified" in refused.check(1).err
    number = side.node.parent / f"{handle.replace('/', '-')}.id"
    terms = ("--roles", ",".join(before[handle]["roles"]), "--areas", "intelligence", "--until", UNTIL)
    said("person", handle, *terms, "--ceiling", before[handle]["ceiling"], "--national-id-file", number, *locked)
    assert {row["handle"]: row for row in said("key", "list", "--node", side.node)} == before
    said("token", "revoke", made["id"], "--node", side.node)
    cli("token", "revoke", made["id"], "--node", side.node).check(2)


READING = {
    "status": ["status"],
    "list": ["list"],
    "list releases": ["list", "releases"],
    "list drafts": ["list", "drafts"],
    "list imports": ["list", "imports"],
    "list inbox": ["list", "inbox"],
    "why": ["why", "1"],
    "why all": ["why", "1", "--all"],
    "key list": ["key", "list"],
    "verify": ["verify"],
    "reconcile": ["reconcile"],
    "pull": ["pull"],
    "answer": ["answer"],
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in {"status", "why", "list", "verify", "reconcile"} else pytest.mark.slow)
        for name in READING
    ],
)
def test_a_verb_with_json_prints_one_value_and_without_it_words(name: str) -> None:
    run = cli(*READING[name], *ind(), "--json").check()
    assert run.out.endswith("\n")
    assert run.out.count("\n") == 1
    json.loads(run.out, parse_constant=pytest.fail)
    text = cli(*READING[name], *ind()).check().out
    assert text.strip()
    if name != "reconcile":
        assert not text.startswith(("{", "["))


def test_doctor_says_what_this_machine_can_do() -> None:
    rows = said("doctor")
    assert {"python", "sqlite", "disk"} <= {row["what"] for row in rows}
    assert "ok" in cli("doctor").check().out


def test_agreement_check_names_holes_and_statements() -> None:
    path = SAMPLES / "india-korea.toml"
    shown = cli("agreement", "check", path).check().out
    assert "hole: RESTRICTED (IND)" in shown
    assert "intrusion-set (Art. 4(3))" in shown
    found = said("agreement", "check", path)
    assert found["id"] == "india-korea"
    assert re.fullmatch("[0-9a-f]{64}", found["hash"])


NOWHERE = "/nowhere/at/all"
WRONG: dict[str, tuple[int, str, list[str]]] = {
    "no such node": (2, NOWHERE, ["status", "--node", NOWHERE]),
    "pair with no node": (2, NOWHERE, ["pair", "accept", "PW", "--node", NOWHERE]),
    "verify nothing": (2, NOWHERE, ["verify", NOWHERE]),
    "no such release": (2, "99", ["why", "99", "--node", "IND"]),
    "no such rid": (2, "abcdef", ["why", "abcdef0123", "--node", "IND"]),
    "empty rid": (2, "", ["why", "", "--node", "IND"]),
    "no such import": (2, "nothing", ["propose", "nothing", "--author", "IND/rao", "--node", "IND"]),
    "no such draft to approve": (
        2,
        "abcdef",
        ["approve", "abcdef", "--as", "IND/nair", "--role", "release", "--password-file", "PW", "--node", "IND"],
    ),
    "no such draft to dispatch": (2, "abcdef", ["dispatch", "abcdef", "--yes", "--node", "IND"]),
    "no such draft to look at": (2, "abcdef", ["dispatch", "abcdef", "--node", "IND"]),
    "unknown person": (2, "IND/nobody", ["map", "MAP", "--as", "IND/nobody", "--password-file", "PW", "--node", "IND"]),
    "wrong password": (2, "IND/iyer", ["map", "MAP", "--as", "IND/iyer", "--password-file", "BAD", "--node", "IND"]),
    "map is no JSON": (
        2,
        "sample.stix.json",
        ["map", str(SAMPLE_BUNDLE), "--as", "IND/iyer", "--password-file", "PW", "--node", "IND"],
    ),
    "import without a map": (2, "--map", ["import", str(SAMPLE_BUNDLE), "--node", "IND"]),
    "import by an unknown map": (2, "0000", ["import", str(SAMPLE_BUNDLE), "--map", "0" * 64, "--node", "IND"]),
    "import into no area": (
        2,
        "cookery",
        ["import", str(SAMPLE_BUNDLE), "--area", "cookery", "--map", "0" * 64, "--node", "IND"],
    ),
    "partner away": (4, NOWHERE, ["pull", "--from", NOWHERE, "--node", "IND"]),
    "cut of words": (2, "cut", ["reconcile", "--cut", "a:b", "--node", "IND"]),
    "cut too far": (2, "900", ["reconcile", "--cut", "900:900", "--node", "IND"]),
    "cut below zero": (2, "cut", ["reconcile", "--cut", "-1:-1", "--node", "IND"]),
    "cut with no time": (2, "time", ["reconcile", "--cut", "2:2", "--at", "yesterday", "--node", "IND"]),
    "list of what": (2, "dreams", ["list", "dreams", "--node", "IND"]),
    "key file there already": (2, "there", ["key", "new", "MAP", "--passphrase-file", "PW"]),
    "node there already": (2, "empty", ["create", "FULL", "--party", "IND", "--passphrase-file", "PW"]),
    "pair by another file": (2, "pairing file", ["pair", "accept", str(SAMPLE_BUNDLE), "--node", "IND"]),
    "serve at no port": (2, "nowhere", ["serve", "--listen", "nowhere", "--node", "IND"]),
    "agreement is no file": (2, NOWHERE, ["agreement", "check", NOWHERE]),
    "agreement is no TOML": (2, "sample.stix.json", ["agreement", "check", str(SAMPLE_BUNDLE)]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_done_ends_with_its_code_and_names_the_place(name: str) -> None:
    code, named, words = WRONG[name]
    folder = copy_of(demo_copy(), fresh("wrong")) if "pair" in name else demo_copy()
    stand_ins = {
        "IND": str(folder / "IND"),
        "FULL": str(folder / "IND"),
        "PW": str(passwords(demo_copy())["IND/nair"]),
        "BAD": str(written("not the password", fresh("bad"))),
        "MAP": str(written(json.dumps({"agreement": "0" * 64, "area": "intelligence", "rows": []}), fresh("there"))),
    }
    run = cli(*(stand_ins.get(word, word) for word in words))
    assert run.code == code, f"exit {run.code}, not {code}: {run.all}"
    assert run.out == ""
    assert named in run.err, run.err
    assert run.err.strip().count("\n") <= 4, run.err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no such node", ["status", "--node", NOWHERE]),
        ("no such import", ["propose", "nothing", "--author", "IND/rao"]),
        ("wrong password", ["approve", "RID", "--as", "IND/nair", "--role", "release"]),
        ("partner away", ["pull", "--from", NOWHERE]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_says_what_to_do_about_it(name: str, words: list[str]) -> None:
    assert name
    where: list[str | Path] = [] if "--node" in words else list(ind())
    if "RID" in words:
        rid = said("list", "releases", *ind())[0]["rid"]
        words = [rid if word == "RID" else word for word in words]
        where += ["--password-file", str(written("wrong", fresh("bad")))]
    run = cli(*words, *where)
    assert run.code != 0
    assert re.search(r"\n  [A-Z].*\.\s*$", run.err), f"no remedy: {run.err!r}"


def test_a_command_named_in_a_remedy_exists() -> None:
    sources = "\n".join(path.read_text() for path in SAMPLES.parent.rglob("*.py"))
    named = set(re.findall(r"`(?:\./run )?entente ([a-z]+(?: [a-z]+){0,2})", sources))
    known = {words for words, command in EVERY.items() if not isinstance(command, click.Group)}
    arguments = {"list": {"releases", "drafts", "imports", "inbox", "requests", "duties"}}
    unknown = []
    for text in sorted(named):
        words = tuple(text.split())
        if words in known or (len(words) > 2 and words[:2] in known):
            continue
        if len(words) > 1 and words[1] in arguments.get(words[0], set()):
            continue
        unknown.append(text)
    assert not unknown


def test_codes_of_a_process_are_those_of_the_errors() -> None:
    node = ind()[1]
    cases: dict[str, list[str | Path]] = {
        "ok": ["status", "--node", node],
        "usage": ["status", "--node", NOWHERE],
        "partner": ["pull", "--from", NOWHERE, "--node", demo_copy() / "KOR"],
        "option": ["status", "--nonsense"],
    }
    running = {name: start("-m", "entente", *words) for name, words in cases.items()}
    assert {name: one.done().code for name, one in running.items()} == {"ok": 0, "usage": 2, "partner": 4, "option": 2}


def test_a_locked_node_is_told_in_words() -> None:
    """One process at a time writes to a node; a second is turned away, not confused."""
    folder = copy_of(demo_copy(), fresh("locked"))
    from entente.app import AREAS, validate  # noqa: PLC0415 - only this test holds a node open
    from entente.node.node import Node  # noqa: PLC0415

    node = Node(folder / "IND", AREAS, validate)
    try:
        run = entente("status", "--node", folder / "IND")
        assert run.code in {1, 2}
        assert "Traceback" not in run.all
        assert str(folder / "IND") in run.err
    finally:
        node.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["node.json", "node.db", "keys.db", "heads.db", "passphrase", "view.db"])
@pytest.mark.parametrize("how", ["gone", "empty", "garbage"])
def test_a_damaged_node_ends_in_words(name: str, how: str) -> None:
    """Never a traceback; view.db is made again."""
    folder = copy_of(demo_copy(), fresh("damaged"))
    path = folder / "IND" / name
    for beside in path.parent.glob(f"{name}-*"):
        beside.unlink()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if how == "empty" else b"garbage " * 2_000)
    run = cli("status", "--node", folder / "IND")
    assert run.code in {0, 1, 2, 3}, run.all
    if run.code:
        assert run.err.strip()
        assert run.out == ""
    if name == "view.db" and how == "gone":
        assert run.code == 0


def test_secrets_are_never_arguments() -> None:
    for words, command in EVERY.items():
        for option in command.params:
            if re.search("pass(word|phrase)|secret|national", option.name or ""):
                assert isinstance(option, click.Option), words
                assert any(name.endswith("-file") for name in option.opts), (words, option.opts)


def test_a_person_without_the_role_is_refused_with_one() -> None:
    folder = copy_of(demo_copy(), fresh("role"))
    held = passwords(folder)
    agreement = said("status", "--node", folder / "IND")["agreement"]
    drawn = written(json.dumps({"agreement": agreement, "area": "intelligence", "rows": []}), fresh("map.json"))
    run = cli("map", drawn, "--as", "IND/rao", "--password-file", held["IND/rao"], "--node", folder / "IND").check(1)
    assert "IND/rao" in run.err


def test_importing_the_same_file_twice_changes_nothing() -> None:
    folder = copy_of(demo_copy(), fresh("twice"))
    at = ("--node", folder / "IND")
    held = passwords(folder)
    agreement = said("status", *at)["agreement"]
    drawn = written(json.dumps({"agreement": agreement, "area": "intelligence", "rows": []}), fresh("map.json"))
    name = said("map", drawn, "--as", "IND/iyer", "--password-file", held["IND/iyer"], *at)["map"]
    bundle = fresh("one.json")
    bundle.write_bytes(bundle_of(indicator(1)))
    first = said("import", bundle, "--map", name, *at)
    count = len(said("list", "imports", *at))
    assert said("import", bundle, "--map", name, *at) == first
    assert len(said("list", "imports", *at)) == count
    run = cli("propose", first["source"], "--author", "IND/rao", *at).check(1)
    assert "1 object" in run.err
    assert "entente why" not in run.err, "there is no draft that `why` could explain"


def test_verify_leaves_the_folder_as_it_was() -> None:
    folder = copy_of(demo_copy(), fresh("untouched"))

    def snapshot() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}

    before = snapshot()
    entente("verify", folder).check()
    verify_py(folder).check()
    assert snapshot() == before


def test_a_node_on_a_stick_is_pulled_from_there() -> None:
    """A copied served tree is as good as the wire."""
    folder = copy_of(demo_copy(), fresh("stick"))
    stick = fresh("stick")
    shutil.copytree(folder / "KOR" / "served", stick)
    node = ("--node", folder / "IND")
    held = said("status", *node)["registers"]["KOR"]["entries"]
    assert said("pull", "--from", stick, *node)["size"] == held
