"""Verify on the desk: what `entente verify` finds, said with how far and when, and kept until the next time."""

from entente.node.verify import verify_folders
from entente.web.desk.verify import verifier
from web.desk.hands import Hands, words


def test_nothing_is_claimed_before_and_everything_is_told_after(hands: Hands) -> None:
    node = hands.site.node
    hands.pair.release(node)
    hands.pair.exchange()
    verifier(hands.site.door).last = None
    assert "Not verified since this desk was opened." in hands.read("low", "/register")
    answer = hands.hand_in("low", "/verify", "verify")
    assert answer.status_code == 303
    assert f"Verified to entry {node.side.size}" in hands.read("elsewhere", "/register")
    page = hands.read("iyer", "/verify")
    report = verify_folders({node.party: node.folder})
    assert f"Entries {report.entries}" in page
    assert f"Signatures {report.signatures}" in page
    assert f"Decisions computed again {report.decisions}" in page
    for line in report.lines:
        assert "/blob/" in line.text or " ".join(line.text.split()) in page
    blobs = sum("/blob/" in line.text for line in report.lines)
    assert f"{blobs} blobs, every chunk matching" in page


def test_a_file_that_was_altered_is_found_and_named_until_it_is_as_it_was(hands: Hands) -> None:
    node = hands.site.node
    path = next((node.folder / "served" / "own" / "tile" / "entries").rglob("*/*"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        hands.hand_in("iyer", "/verify", "verify")
        page = hands.read("iyer", "/verify")
        assert "FAILED" in page
        assert path.relative_to(node.folder / "served").as_posix() in page
        assert "Verification failed" in hands.read("low", "/register")
    finally:
        path.write_bytes(data)
    hands.hand_in("iyer", "/verify", "verify")
    assert "Verified to entry" in hands.read("low", "/register")


def test_an_unknown_file_named_like_a_hidden_release_tells_nobody_its_id(hands: Hands) -> None:
    pair, node = hands.pair, hands.site.node
    (done,) = node.dispatch([pair.approved(node, level=node.law.law.party[node.party].levels[3])])
    pair.exchange()
    odd = node.folder / "served" / "leaves" / done.rid
    odd.write_bytes(b"")
    try:
        hands.hand_in("iyer", "/verify", "verify")
        assert done.rid in hands.get("iyer", "/verify").text
        assert done.rid not in hands.get("low", "/verify").text
        assert "unknown file" in hands.read("low", "/verify")
    finally:
        odd.unlink()


def test_two_verifications_at_once_are_one(hands: Hands) -> None:
    with verifier(hands.site.door)._one:
        answer = hands.hand_in("iyer", "/verify", "verify")
    assert answer.status_code == 409
    assert "a verification is running" in words(answer)
