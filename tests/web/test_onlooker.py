"""Pages show one state of the node, whoever writes it meanwhile; and however many are asked for, memory stays."""

import gc
import json
import threading
import tracemalloc
from pathlib import Path

import pytest

from entente.node.node import Node
from entente.web.door import Door
from lab.acts import entered
from lab.pair import Pair, copy_of, put_back, sighted
from lab.site import Site


@pytest.fixture
def own(pair: Pair) -> Site:
    """A door that a test may spoil."""
    return Site(pair, pair.codes[0])


@pytest.fixture
def pair(make_pair: object) -> Pair:
    """A pair of this test's own."""
    made: Pair = make_pair()  # type: ignore[operator]
    return made


def sizes(node: Node) -> tuple[int, int]:
    """Entries by memory, and by the file."""
    log = node.logs[node.party]
    return node.trees[node.party].size, node.db.head(log)[0]


def test_a_page_sees_one_state_while_the_node_writes(own: Site) -> None:
    """Within one reading the file, the tree and the fold say the same, though entries are added all the time."""
    torn: list[object] = []
    stop = threading.Event()
    seen = set()

    def look() -> None:
        while not stop.is_set():
            with own.door.reading() as node:
                first = sizes(node)
                log = node.logs[node.party]
                entries = sum(1 for _ in node.db.entries(log))
                last = sizes(node)
                if not first == last == (entries, entries):
                    torn.append((first, entries, last))
                seen.add(entries)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(12):
        own.pair.release(own.node, sighted(first=100 + 2 * number))
    stop.set()
    for thread in threads:
        thread.join()
    assert not torn
    assert len(seen) > 2
    own.close()


def test_a_write_is_seen_by_the_next_page(own: Site) -> None:
    token = {"Authorization": f"Bearer {own.token('rung4')}"}

    def count() -> int:
        return len(json.loads(own.client.get("/register.json", headers=token).content)["rows"])

    before = count()
    own.pair.release(own.node, sighted(first=500))
    assert count() > before
    again = count()
    promise = {
        "band": "", "basis": "", "from": own.node.party, "key": "radar/2", "measure": "units", "source": "talks",
        "strength": "will", "text": {"en": "Line."}, "to": own.node.partner,
    }  # fmt: skip
    entered(own.pair, own.node, "undertaking", promise)
    assert count() == again + 1
    own.close()


def test_the_node_can_be_closed_and_opened_by_somebody_else_while_pages_are_read(own: Site) -> None:
    token = {"Authorization": f"Bearer {own.token('rung4')}"}
    for number in range(3):
        own.pair.open(own.code)  # another opening, as another process does
        own.pair.release(own.node, sighted(first=700 + 2 * number))
        assert own.client.get("/register", headers=token).status_code == 200
    own.close()


def test_a_restored_database_is_what_pages_show(own: Site, tmp_path: Path) -> None:
    """The door stands on the folder's files: after a restore a new door shows the older state."""
    saved = tmp_path / "saved"
    for name in ("node.db", "view.db"):
        copy_of(own.node.folder, name, saved)
    size = own.node.trees[own.code].size
    own.pair.release(own.node, sighted(first=800))
    own.close()
    put_back(own.pair, own.code, "node.db", "view.db", saved=saved)
    door = Door(own.node.folder, own.node, own.using)
    with door.reading() as node:
        assert node.trees[own.code].size == size
        assert node.frozen  # it signed more than it knows: pages say so
    door.close()


def test_memory_does_not_grow_with_requests(own: Site) -> None:
    headers = {"Authorization": f"Bearer {own.token('rung4')}"}
    paths = ["/", "/register", "/register.csv", "/none", "/me", "/register?from=1", "/signin"]
    for path in paths * 3:
        own.client.get(path, headers=headers)
    gc.collect()
    tracemalloc.start()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(25):
        for path in paths:
            own.client.get(path, headers=headers)
    own.door.diary.flush()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 1_500_000, grown
    own.close()
