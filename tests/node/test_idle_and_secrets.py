"""A pair that has nothing to say falls silent, and what it carried is in clear in one database only."""

import base64
from pathlib import Path

import pytest
from stix_objects import as_bytes, indicator

from entente.app import validate
from entente.node.node import Node
from lab.pair import Pair, answers, files, sighted, state

CANARY = "zebra-quagga-4711"


def test_a_release_crosses_and_is_answered_received_once(either: Pair) -> None:
    """Both know: one release, received; the objects' bytes are the same at both, and neither lists an invalid entry."""
    bodies = sighted(3)
    done = either.release(either.a, bodies)
    either.exchange()
    assert either.b.view.bodies(done.rid) == bodies
    assert answers(either.b) == [("received", [[done.idx, done.idx]])]
    assert [given.outcome for given in either.a.side.releases[0].answers] == ["received"]
    assert not either.a.side.invalid
    assert not either.b.side.invalid


def test_the_child_process_validates_what_came(pair: Pair) -> None:
    """Both know: received. The receiver's child process saw exactly these objects."""
    pair.b.validate = validate
    done = pair.release(pair.a)
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]


def test_two_hundred_polls_without_news_change_nothing(pair: Pair) -> None:
    """Both know what they knew: no entry, no row, no head and no served byte is new after 200 polls both ways."""
    pair.release(pair.a)
    pair.exchange()
    before = [state(node) for node in pair.nodes.values()]
    for _ in range(200):
        pair.round()
        pair.clock.forward(minutes=15)
    assert [state(node) for node in pair.nodes.values()] == before


def telling(bodies: int = 2) -> list[bytes]:
    """Objects that hold the canary where content stands: name, description, pattern."""
    return [
        as_bytes(
            indicator(
                n,
                name=f"name {CANARY} {n}",
                description=f"description {CANARY} {n}",
                pattern=f"[domain-name:value = '{CANARY}.example']",
            )
        )
        for n in range(1, bodies + 1)
    ]


def spellings(secret: bytes) -> list[bytes]:
    """The bytes themselves, in hex, and in base64."""
    return [secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")]


def holding(folder: Path, needles: list[bytes]) -> list[str]:
    """The files below a folder in which one of these stands."""
    return [name for name in files(folder) if any(needle in (folder / name).read_bytes() for needle in needles)]


def clear_text_files(node: Node, *needles: bytes) -> list[str]:
    """Files of a node, other than view.db, that hold one of these in clear."""
    return [name for name in holding(node.folder, list(needles)) if not name.startswith("view.db")]


def test_content_is_in_clear_in_view_db_and_nowhere_else(pair: Pair) -> None:
    """Both hold the released objects; no file of either but view.db has a word of them, open or closed."""
    pair.release(pair.a, telling())
    pair.exchange()
    for node in (pair.a, pair.b):
        assert holding(node.folder, [CANARY.encode()]), "the canary must be in view.db, or this proves nothing"
        assert clear_text_files(node, CANARY.encode()) == []
    for code in pair.codes:
        folder = pair.shut(code)
        assert [name for name in holding(folder, [CANARY.encode()]) if not name.startswith("view.db")] == []


def test_content_that_was_refused_or_quarantined_is_not_in_node_db(pair: Pair) -> None:
    """The sender knows the reasons by rule and digest; no word of the bad object stands outside view.db.

    The partner: nothing.
    """
    bad = as_bytes(indicator(7, pattern_type=f"{CANARY}", valid_from=f"{CANARY} is no time", confidence=f"{CANARY}"))
    worse = as_bytes({"type": f"x {CANARY}", "id": CANARY})
    made = pair.propose(pair.a, [*sighted(), bad, worse])
    assert made.kept == 2
    assert clear_text_files(pair.a, CANARY.encode()) == []


def test_content_of_a_malformed_object_that_came_is_not_in_the_receivers_node_db(pair: Pair) -> None:
    """Both know: bad_format. The receiver's inbox gives a reason without a word of the object."""
    from lab.cheat import Cheat  # noqa: PLC0415 - a cheat, in this test alone

    cheat = Cheat(pair, pair.a)
    cheat.release([as_bytes(indicator(1, confidence=CANARY, valid_from=f"{CANARY} no time"))])
    pair.b.pull(cheat.publish())
    pulled = pair.b.pull(cheat.tree)
    assert not pulled.opened
    pair.b.validate = validate
    assert [outcome for _, outcome in pair.b.db.intents(pair.b.logs[pair.b.partner])] == ["bad_format"]
    assert clear_text_files(pair.b, CANARY.encode()) == []


def test_no_private_key_is_in_clear_in_any_file(pair: Pair) -> None:
    """Both nodes have keys for log, mirror, sealing, persons and this release; no file has one of them in clear."""
    done = pair.release(pair.a, telling())
    pair.exchange()
    for node in (pair.a, pair.b):
        names = [row[0] for row in node.keys.raw.execute("SELECT name FROM record_key").fetchall()]
        assert {"machine/log", "machine/mirror", "party-secret", "gate-secret", done.rid} <= set(names)
        secrets = [secret for name in names if (secret := node.keys.key(name)) is not None]
        secrets += [secret[at : at + 32] for secret in secrets if len(secret) == 64 for at in (0, 32)]
        secrets += [signer.seed for signer in pair.template.people.values()]
        secrets += [signer.seed for signer in pair.template.authorities.values()]
        needles = [needle for secret in secrets for needle in spellings(secret)]
        assert holding(node.folder, needles) == []
        assert holding(node.folder, [b"a passphrase of the lab"]) == ["passphrase"]


@pytest.mark.parametrize("name", ["node.db", "keys.db", "heads.db", "passphrase", "node.json"])
def test_only_the_owner_may_read_the_nodes_folder(pair: Pair, name: str) -> None:
    """Each node's folder is closed to other users of the machine, whatever the mode of a file inside."""
    for node in (pair.a, pair.b):
        assert (node.folder / name).exists()
        assert node.folder.stat().st_mode & 0o077 == 0
