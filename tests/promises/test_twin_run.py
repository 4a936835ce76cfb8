"""What a partner can read is the same whether or not we hold, draft, refuse, or approve late within a dispatch slot.

Two worlds start from the same two nodes. In the busy one the sender imports more, proposes what is refused, drafts what
is never sent, changes its mind and approves at the last minute, or its officials prepare and sign what is never
entered, make and close copies of what came, map, and note a third's consent; in the quiet one it does nothing but what
it must. At every poll of the partner, all that the sender serves is written down: paths, sizes and content, with random
values (nonces, digests, signatures, ciphertext) masked by their length, since they differ between any two runs.
"""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from entente.errors import RefusedError, StateError
from entente.node.consent import end_consent, note_consent
from entente.node.node import Node
from entente.node.order import order_body
from entente.node.propose import Wish
from entente.register.entry import parse_entry
from entente.treaty.marking import MapRow, MarkingMap
from lab.acts import SIGNERS, prepared
from lab.pair import AREA, SAMPLES, Pair, Template, build, rows, sighted

SLOT = 15
Poll = list[tuple[str, str]]
Life = Callable[[Pair, Node, int], None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return build(tmp_path_factory.mktemp("twins"), "india-korea")


def masked(data: bytes) -> str:
    """The text with every random value replaced by its length; the length alone where it is no text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"{len(data)} bytes"
    text = re.sub("[0-9a-f]{32,}", lambda found: f"<{len(found[0])} hex>", text)
    return re.sub("[A-Za-z0-9+/]{40,}=*", lambda found: f"<{len(found[0])} base64>", text)


def transcript(node: Node) -> Poll:
    """All that this node serves: masked path, masked content; entries of bundles one by one."""
    served = node.folder / "served"
    found: Poll = []
    for path in sorted(served.rglob("*")):
        if path.is_file():
            name = path.relative_to(served).as_posix()
            data = path.read_bytes()
            content = f"{len(data)} bytes" if name.startswith(("blob", "leaves", "key")) or "/tile/" in name else ""
            found.append((masked(name.encode()), content or masked(data)))
    entries = node.db.entries(node.logs[node.party])
    found += [(f"entry {number}", masked(data)) for number, data in enumerate(entries)]
    return sorted(found)


def quiet(pair: Pair, node: Node, minute: int) -> None:
    """One release, approved and queued in the first minute."""
    if minute == 0:
        node.queue([pair.approved(node, sighted(3))])


def busy(pair: Pair, node: Node, minute: int) -> None:
    """The same release, queued in the last minute, among much that never leaves."""
    if minute == 0:
        pair.propose(node, sighted(40, first=500))  # a draft that nobody approves
    if minute == 3:
        other = pair.propose(node, sighted(5, first=900))
        with pytest.raises(RefusedError):
            pair.approve(node, other.rid, "rao")  # its author
        pair.approve(node, other.rid, "nair")
    if minute == 5:
        held = pair.approved(node, sighted(2, first=700))  # approved, and held back
        node.queue([held])
        handle, signer = pair.of(node, "nair")
        node.revoke_approval(held, handle, signer)
    if minute == SLOT - 1:
        node.queue([pair.approved(node, sighted(3))])


def with_consent(folder: Path) -> Template:
    """Two nodes under the sample, whose agreement names a third state."""
    text = (SAMPLES / "india-korea.toml").read_text().replace("thirds = []", 'thirds = ["JPN"]')
    (folder / "samples").mkdir()
    (folder / "samples" / "india-korea.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.pair.SAMPLES", folder / "samples")
        return build(folder / "nodes", "india-korea")


def received(node: Node) -> str:
    """What the partner released, once it is here."""
    return next((fact.rid for fact in node.other_side.releases if node.keys.key(fact.rid)), "")


def answering(pair: Pair, node: Node, minute: int) -> None:
    """The partner's one release comes; ours leaves at the end of the slot."""
    if minute == 0:
        pair.release(pair.b, sighted(first=30))
        node.queue([pair.approved(node, sighted(3))])


def official(pair: Pair, node: Node, minute: int) -> None:
    """The same, while officials do all that stays at home."""
    answering(pair, node, minute)
    rid = received(node)
    if minute == 3:
        prepared(pair, node, "term", {"act": "suspend"}, *SIGNERS)
        prepared(pair, node, "claim", {"basis": "report", "evidence": [], "key": "k", "value": "done"}, "nair")
        node.drop(prepared(pair, node, "term", {"act": "notice_of_end"}, *SIGNERS).id)
    if minute == 5:
        node.make_copy(rid, "desk 1", "room 5")
    if minute == 6:
        node.propose(rid, Wish(f"{node.party}/rao"))  # a return that never leaves
        with pytest.raises(StateError):
            node.destroy(rid)
        with pytest.raises(StateError):
            node.give_back(rid)
    if minute == 7:
        node.close_copy(rid, 1)
        with pytest.raises(RefusedError):
            node.make_copy(rid, "desk 2", "room 5")
    if minute == 8:
        row = MapRow("TLP:RED", pair.marking(node))
        node.sign_map(MarkingMap(node.law.hash, AREA, (row,), pair.marking(node)), [pair.of(node, "iyer")])
        note_consent(node, "JPN", b"a letter", f"{node.party}/rao")
    if minute == 9:
        end_consent(node, "JPN", f"{node.party}/rao")
    if minute == SLOT + 4 and node.side.releases:
        own = node.side.releases[0].rid
        prepared(pair, node, "order", order_body(node, own, "withdraw"), "nair")


def lived(template: Template, folder: Path, life: Life) -> tuple[list[Poll], dict[str, str], int]:
    """The transcript of two slots, the sender's tables at the end, and how many releases it has entered."""
    pair = Pair(template, folder)
    try:
        node = pair.a
        node.settings = msgspec.structs.replace(node.settings, dispatch_slot_minutes=SLOT)
        polls = []
        for minute in range(2 * SLOT):
            life(pair, node, minute)
            node.sync()
            pair.b.sync()
            polls.append(transcript(node))
            pair.clock.forward(minutes=1)
        releases = sum(parse_entry(data).kind == "release" for data in node.db.entries(node.logs[node.party]))
        return polls, rows(node), releases
    finally:
        pair.close()


def test_the_partner_reads_the_same_whatever_happens_inside_a_slot(template: Template, tmp_path: Path) -> None:
    """Both nodes know afterwards: one release, received; the partner knows nothing else of either world."""
    still, quiet_rows, one = lived(template, tmp_path / "quiet", quiet)
    moved, busy_rows, also_one = lived(template, tmp_path / "busy", busy)
    assert one == also_one == 1
    for minute, (here, there) in enumerate(zip(still, moved, strict=True)):
        assert here == there, f"minute {minute}"
    assert still[SLOT - 1] != still[SLOT], "nothing left at the end of the slot"
    different = {name for name in quiet_rows if quiet_rows[name] != busy_rows[name]}
    assert {"draft", "approval", "journal", "source"} <= different, "the two worlds do not differ"


def test_nor_can_it_read_what_officials_prepare_sign_copy_map_and_hold_at_home(tmp_path: Path) -> None:
    """Both nodes know afterwards: one release each way, received; of all the rest the partner knows nothing."""
    template = with_consent(tmp_path)
    still, quiet_rows, one = lived(template, tmp_path / "quiet", answering)
    moved, busy_rows, also_one = lived(template, tmp_path / "busy", official)
    assert one == also_one == 1
    for minute, (here, there) in enumerate(zip(still, moved, strict=True)):
        assert here == there, f"minute {minute}"
    different = {name for name in quiet_rows if quiet_rows[name] != busy_rows[name]}
    assert {"act", "act_sig", "draft", "journal"} <= different, "the two worlds do not differ"


def test_a_release_dispatched_at_once_does_show_when_it_was_approved(template: Template, tmp_path: Path) -> None:
    """The comparison can fail: without slots the two worlds look different to the partner."""

    def early(pair: Pair, node: Node, minute: int) -> None:
        if minute == 2:
            node.dispatch([pair.approved(node, sighted(3))])

    def late(pair: Pair, node: Node, minute: int) -> None:
        if minute == 9:
            node.dispatch([pair.approved(node, sighted(3))])

    assert lived(template, tmp_path / "early", early)[0] != lived(template, tmp_path / "late", late)[0]
