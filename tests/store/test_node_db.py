"""A release id is found by its register without reading entries, however the batches lay."""

import os
from pathlib import Path

from entente.store.node_db import NodeDb


def test_a_release_id_is_found_in_its_batch_and_the_first_of_two_counts(tmp_path: Path) -> None:
    db = NodeDb(tmp_path / "node.db")
    log = db.add_log("entente/x/AAA-to-BBB/1", "AAA", "00" * 32)
    rids = [os.urandom(32).hex() for _ in range(9)]
    for start in (0, 3, 6):
        batch = [(rid, start + place) for place, rid in enumerate(rids[start : start + 3])]
        with db.transaction():
            db.append(log, start, [b"x"] * 3, "11" * 32, batch)
    with db.transaction():
        db.append(log, 9, [b"x"], "22" * 32, [(rids[4], 9)])
    assert [db.find_rid(log, rid) for rid in rids] == list(range(9))
    assert db.find_rid(log, "ff" * 32) is None
    db.close()
