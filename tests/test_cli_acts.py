"""Officials order, destroy, suspend, state and adopt by the command line; nothing crosses without --yes.

Exit codes: 0 ok, 1 refused, 2 usage. What too few have signed waits, and others sign it later.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entente.keys import lock
from entente.node import setup
from entente.node.node import PERSON
from lab.acts import found_in
from lab.pair import AREA, Pair, files, sighted
from promises.demo_run import Run, cli, said, written

CANARY = "canary-in-the-mine"
UNTIL = "2030-01-01T00:00Z"


class Desk:
    """One party at the command line."""

    def __init__(self, folder: Path, code: str, phrase: Path) -> None:
        self.folder, self.code, self.phrase = folder, code, phrase

    def by(self, *names: str, flag: str = "--as") -> list[str]:
        """These persons sign, each with a password file."""
        return [word for name in names for word in (flag, f"{self.code}/{name}", "--password-file", str(self.phrase))]

    def __call__(self, *words: str) -> Run:
        return cli(*words, "--node", self.folder)

    def said(self, *words: str) -> Any:
        return said(*words, "--node", self.folder)

    @property
    def size(self) -> int:
        """How many entries our register has."""
        return int(self.said("status")["registers"][self.code]["entries"])


@pytest.fixture
def desks(make_pair: Callable[..., Pair], tmp_path: Path) -> Iterator[tuple[Desk, Desk, str]]:
    """Two parties after one release was received, and its id."""
    pair = make_pair()
    rid = pair.release(pair.a, sighted(word=CANARY)).rid
    pair.exchange()
    phrase = written("a password\n", tmp_path / "password")
    for node in pair.nodes.values():
        for name in ("nair", "nair.two", "iyer", "sen"):
            handle, signer = pair.of(node, name)
            node.keys.put_secret(PERSON + handle, signer.public, signer.seed, b"a password")
    found = []
    for code in pair.codes:
        authority = pair.template.authorities[code]
        (tmp_path / f"{code}.key").write_bytes(lock(authority.seed, b"a password", label=setup.AUTHORITY))
        found.append(Desk(pair.shut(code), code, phrase))
    for desk in found:
        desk("confirm", *desk.by("nair", "iyer")).check()
    yield found[0], found[1], rid
    for code in pair.codes:
        pair.open(code)


def test_without_yes_only_what_would_be_entered_is_shown(desks: tuple[Desk, Desk, str]) -> None:
    ours, theirs, rid = desks
    verbs = [
        ["order", "withdraw", "1"],
        ["order", "return", rid],
        ["order", "destroy", rid[:12], "--keep-import"],
        ["order", "reclass", "1", "--level", "CONFIDENTIAL"],
        ["suspend"],
        ["resume"],
        ["end"],
        ["standing", "grant", *GRANT],
        ["incident", "notice", "1", "--class", "possible", "--discovered-at", "2026-06-01T10:00Z"],
        ["undertaking", "state", "radar/1", "--text", "en=Ten sets", "--strength", "will"],
        ["claim", "state", "radar/1", "done"],
    ]
    before, size = files(ours.folder / "served"), ours.size
    for words in verbs:
        shown = ours(*words).check().out
        assert "nothing was done; add --yes" in shown, words
        told = ours.said(*words)
        assert told["entered"] is None
        assert told["needed"] >= 1
    assert "nothing was done" in theirs("destroy", rid).check().out
    assert theirs.said("destroy", "1")["entry"] is None
    assert (files(ours.folder / "served"), ours.size) == (before, size)
    assert ours.said("act", "list", "--all") == []


GRANT = [
    "--area", AREA, "--format", "stix-2.1", "--ceiling", "UNCLASSIFIED", "--purpose", "cyber defence",
    "--per-day", "3", "--bytes-per-day", "1000000", "--until", UNTIL,
]  # fmt: skip


def test_an_order_waits_until_enough_have_signed_and_then_goes_its_way(desks: tuple[Desk, Desk, str]) -> None:
    ours, theirs, rid = desks
    waits = ours("order", "destroy", "1", "--yes", *ours.by("nair")).check()
    assert "1 of 2 have signed" in waits.out
    assert ours.said("status")["acts_waiting"] == 1
    (row,) = ours.said("act", "list")
    name = row["id"][:16]
    assert ours("act", "enter", name, "--yes").check(1).err
    assert "1 of 2" in ours("act", "enter", name).check().out
    assert ours("act", "sign", name, *ours.by("nair.two")).check(1).err
    assert json.loads(ours("act", "show", name, "--json").check().out)["signed"] == ["IND/nair"]
    assert "enough" in ours("act", "sign", name, *ours.by("iyer")).check().out
    assert "ready" in ours("act", "enter", name).check().out
    assert re.search(r"entered, entry \d+", ours("act", "enter", name, "--yes").check().out)
    assert ours.said("act", "list") == []
    assert not found_in(ours.folder, CANARY.encode())
    theirs("pull").check()
    assert found_in(theirs.folder, CANARY.encode())
    theirs("destroy", rid, "--yes").check()
    assert not found_in(theirs.folder, CANARY.encode())
    ours("pull").check()
    (release,) = [row for row in ours.said("list", "releases") if row["rid"] == rid]
    assert release["state"] == "ended"
    for desk in (ours, theirs):
        assert desk("verify").check().out


def test_enough_who_sign_at_once_enter_it_at_once_and_one_who_may_not_leaves_nothing(
    desks: tuple[Desk, Desk, str],
) -> None:
    ours, _, _ = desks
    assert ours("order", "withdraw", "1", "--yes", *ours.by("nair", "nobody")).check(2).err
    assert ours("claim", "state", "k", "v", "--yes", *ours.by("iyer")).check(1).err
    assert ours.said("act", "list") == []
    assert ours.said("order", "withdraw", "1", "--yes", *ours.by("nair", "iyer"))["entered"]
    assert ours("order", "withdraw", "1").check(1).err
    assert ours("order", "withdraw", "2").check(2).err


def test_a_dropped_act_is_listed_only_if_asked(desks: tuple[Desk, Desk, str]) -> None:
    ours, _, _ = desks
    ours("end", "--yes").check()
    (row,) = ours.said("act", "list")
    ours("act", "drop", row["id"]).check()
    assert ours.said("act", "list") == []
    assert [found["state"] for found in ours.said("act", "list", "--all")] == ["dropped"]
    assert ours("act", "drop", row["id"]).check(1).err


def test_the_term_is_suspended_resumed_and_ended(desks: tuple[Desk, Desk, str]) -> None:
    ours, theirs, _ = desks
    for verb in ("suspend", "resume", "end"):
        assert ours.said(verb, "--yes", *ours.by("nair", "iyer"))["entered"]
    theirs("pull").check()
    theirs("verify").check()


def test_standing_approvals_are_granted_listed_and_revoked(desks: tuple[Desk, Desk, str]) -> None:
    ours, theirs, _ = desks
    granted = ours.said("standing", "grant", *GRANT, "--yes", *ours.by("nair", "iyer"))
    (row,) = ours.said("standing", "list")
    assert (row["act"], row["state"], row["count"], row["used_count"]) == (granted["id"], "live", 3, 0)
    theirs("pull").check()
    assert theirs.said("standing", "list") == [row]
    wrong = [
        (["--area", "export"], 1), (["--area", "nothing"], 2), (["--format", "x"], 2), (["--purpose", "x"], 2),
        (["--ceiling", "COSMIC"], 2), (["--ceiling", "TOP SECRET"], 1), (["--until", "2020-01-01T00:00Z"], 2),
        (["--until", "soon"], 2), (["--per-day", "0"], 2), (["--view", "x"], 2),
    ]  # fmt: skip
    for words, code in wrong:
        assert ours("standing", "grant", *GRANT, *words).check(code).err, words
    ours("standing", "revoke", granted["id"][:10], "--yes", *ours.by("nair")).check()
    assert [found["state"] for found in ours.said("standing", "list")] == ["revoked"]
    assert ours("standing", "revoke", granted["id"][:10]).check(2).err


def test_an_incident_goes_from_notice_to_measures(desks: tuple[Desk, Desk, str]) -> None:
    ours, theirs, rid = desks
    common = ["--class", "possible", "--discovered-at", "2026-06-01T10:00Z"]
    for stage, which in (("notice", rid), ("findings", "IND/1"), ("measures", rid[:9])):
        words = [stage, which, *common, "--yes", *theirs.by("nair")]
        (pointed,) = theirs.said("incident", *words)["body"]["releases"]
        assert (pointed["origin"], len(pointed["spans"])) == ("entente/india-korea/IND-to-KOR/1", 1)
    ours("pull").check()
    ours("answer").check()
    assert theirs("incident", "notice", "ABC/1", *common).check(2).err
    assert theirs("incident", "notice", "1", *common).check(2).err
    assert theirs("incident", "notice", rid, "--class", "loss", "--discovered-at", "today").check(2).err


def test_undertakings_and_claims_are_stated_amended_and_held_together(desks: tuple[Desk, Desk, str]) -> None:
    ours, theirs, _ = desks
    state = ["undertaking", "state", "radar/1", "--text", "en=Ten sets.\nBy spring.", "--strength", "will", "--yes"]
    shown = ours(*state, "--source", "talks", *ours.by("nair")).check().out
    assert "stand in clear" in shown
    assert ours(*state, *ours.by("nair")).check(1).err
    theirs("pull").check()
    theirs(*state, "--from", "IND", *theirs.by("nair")).check()
    assert theirs.said("undertaking", "list")[0]["state"] == "agree"
    theirs("undertaking", "amend", "radar/1", "--strength", "agreed", "--yes", *theirs.by("nair")).check()
    ours("pull").check()
    (row,) = ours.said("undertaking", "list")
    assert (row["state"], row["fields"]) == ("differ", ["strength"])
    assert row["stated"]["KOR"]["body"]["text"] == {"en": "Ten sets.\nBy spring."}
    assert ours("undertaking", "amend", "no/such").check(2).err
    assert ours("undertaking", "state", "k", "--text", "words", "--strength", "will").check(2).err
    assert ours("undertaking", "state", "k").check(2).err
    ours("claim", "state", "radar/1", "3 of 10", "--evidence", "ab" * 32, "--yes", *ours.by("nair")).check()
    theirs("pull").check()
    assert theirs.said("claim", "list")[0]["state"] == "only IND"
    assert "3 of 10" in theirs("claim", "list").check().out
    assert ours("claim", "state", "k", "v", "--evidence", "xy").check(2).err


def test_copies_are_made_closed_and_listed(desks: tuple[Desk, Desk, str]) -> None:
    _, theirs, rid = desks
    theirs("copy", "make", rid, "--holder", "Cdr. Example", "--place", "room 5").check()
    assert theirs("destroy", rid, "--yes").check(1).err
    assert theirs("copy", "make", "1", "--holder", "x", "--place", "y").check(1).err
    (row,) = theirs.said("copy", "list")
    assert (row["rid"], row["copy"]["n"], row["copy"]["closed"]) == (rid, 1, "")
    theirs("copy", "close", rid, "1").check()
    assert theirs("copy", "close", rid, "1").check(1).err
    assert theirs("give-back", rid).check(1).err
    assert theirs.said("destroy", rid, "--yes")["entry"]
    assert "closed" in theirs("copy", "list").check().out


def test_a_consent_is_noted_only_of_a_third_state_that_the_agreement_names(
    desks: tuple[Desk, Desk, str], tmp_path: Path
) -> None:
    ours, _, _ = desks
    letter = str(written("We agree.\n", tmp_path / "letter"))
    assert "names no third" in ours("consent", "note", "AUS", letter, "--by", "IND/iyer").check(2).err
    assert "no consent of AUS" in ours("consent", "end", "AUS", "--by", "IND/iyer").check(2).err
    assert ours.said("consent", "list") == []
    assert "names no third" in ours("consent", "list").check().out


def test_the_next_version_is_signed_and_adopted_by_both(desks: tuple[Desk, Desk, str], tmp_path: Path) -> None:
    ours, theirs, _ = desks
    old = ours.said("status")["agreement"]
    (served,) = (ours.folder / "served" / "agreement").iterdir()
    new = written(served.read_text().replace("version = 1", "version = 2", 1), tmp_path / "second.toml")
    dsse = tmp_path / "second.dsse"
    for desk in (ours, theirs):
        key = ["--authority", str(tmp_path / f"{desk.code}.key"), "--authority-passphrase-file", str(desk.phrase)]
        cli("agreement", "sign", new, "--signatures", dsse, *key).check()
    adopt = ["agreement", "adopt", str(new), "--signatures", str(dsse)]
    for desk, other in ((ours, theirs), (theirs, ours)):
        key = ["--authority", str(tmp_path / f"{desk.code}.key"), "--authority-passphrase-file", str(desk.phrase)]
        assert desk.said(*adopt, *key)["entry"] is None
        assert desk.said("status")["agreement"] == old
        assert desk.said(*adopt, *key, "--yes")["entry"]
        assert desk(*adopt, *key, "--yes").check(1).err
        other("pull").check()
    ours("pull").check()
    for desk in (ours, theirs):
        found = desk.said("status")["agreement"]
        assert found != old
        desk("verify").check()
