"""Administration shows how the node stands, its keys, persons and agreement; sessions and tokens end by who may."""

import pytest

from entente.node import setup, shelves
from entente.node.tokens import make_token
from entente.treaty.agreement import holes
from lab.desk import Seat, banner_of, text_of
from lab.pair import AREA, UNTIL, revoke, sighted
from lab.site import Site


@pytest.fixture(scope="module")
def ruled(site: Site) -> Site:
    """A site with an administrator, who may read nothing above the lowest level, and a draft with a word in it."""
    pair, node = site.pair, site.node
    handle = f"{site.code}/root"
    signer = pair.template.people[f"{site.code}/sen"]
    pair.template.people[handle] = signer
    draft = setup.certify(
        node, pair.template.authorities[site.code], handle=handle, national_id=f"{site.code}-4", key=signer.public,
        roles=["administrator"], areas=["documents"], ceiling=node.law.law.party[site.code].levels[0], until=UNTIL,
    )  # fmt: skip
    node.append([draft])
    shelves.project(node)
    pair.release(node, sighted(1, word="CANARY"))
    pair.exchange()
    return site


def test_the_page_says_link_keys_and_what_to_back_up(ruled: Site) -> None:
    text = Seat(ruled, "rung0").see("/admin")
    for words in ("the partner was not reached yet", "days to the nearest expiry", "sealing key", "node.db", "never"):
        assert words in text


def test_the_administrator_reads_no_content(ruled: Site) -> None:
    seat = Seat(ruled, "root")
    for path in ("/admin", "/persons", "/agreement", "/inbox", "/search?q=CANARY", "/quarantine", "/requests"):
        answer = seat.ask(path)
        assert answer.status_code == 200
        assert "CANARY" not in text_of(answer.text).replace("for CANARY", "")
        assert banner_of(answer.text) == "NOTHING MARKED IS SHOWN"
    assert AREA not in seat.see("/inbox")


def test_persons_are_listed_as_certified_and_how_to_certify_is_said(ruled: Site) -> None:
    revoke(ruled.pair, ruled.node, "twin")
    rows = {row["handle"]: row for row in Seat(ruled, "rung0").rows("/persons.json")}
    assert rows[f"{ruled.code}/root"]["roles"] == "administrator"
    assert rows[f"{ruled.code}/twin"]["state"] == "revoked"
    assert "entente person HANDLE" in Seat(ruled, "rung0").see("/person/root")
    assert Seat(ruled, "rung0").ask("/person/nobody").status_code == 404


def test_the_agreement_tells_its_holes_and_missing_cells(ruled: Site) -> None:
    text = Seat(ruled, "rung0").see("/agreement")
    for words, _ in holes(ruled.node.law.law):
        assert words in text
    assert "missing: it cannot cross" in text


def test_tokens_of_others_are_for_the_administrator(ruled: Site) -> None:
    access = ruled.door.sign_in.access
    token, _ = make_token(access, f"{ruled.code}/rung2", label="their tool", days=9, read_only=True)
    assert "their tool" not in Seat(ruled, "rung0").see("/admin")
    assert Seat(ruled, "rung0").hand_in("/admin", "revoke", token=token.id).status_code == 400
    assert "their tool" in Seat(ruled, "root").see("/admin")
    Seat(ruled, "root").do("/admin", "revoke", token=token.id)
    again = access.token(token.id)
    assert again is not None
    assert again.revoked


def test_sessions_of_others_are_for_the_administrator(ruled: Site) -> None:
    sessions = ruled.door.sign_in.sessions
    sessions.open(f"{ruled.code}/rung2", "Browser X")
    (row,) = sessions.of(f"{ruled.code}/rung2")
    name = row.digest.hex()[:16]
    assert "Browser X" not in Seat(ruled, "rung0").see("/admin")
    assert Seat(ruled, "rung0").hand_in("/admin", "end", session=name).status_code == 400
    assert sessions.of(f"{ruled.code}/rung2")
    Seat(ruled, "root").do("/admin", "end", session=name)
    assert sessions.of(f"{ruled.code}/rung2") == []
