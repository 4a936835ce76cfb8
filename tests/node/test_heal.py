"""A node restored from an old backup signs nothing until it has healed from the partner's mirror.

So does one that lost heads.db. What was dispatched and received before stays so, and neither register forks.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from entente.app import AREAS, validate
from entente.cast import SAMPLES
from entente.errors import FrozenError
from entente.node.node import Node
from entente.node.propose import Wish
from entente.node.verify import verify_folders


def send(folder: Path, sender: Node, receiver: Node, bundle: bytes) -> str:
    """A second release crosses and is answered; returns its id."""
    people = json.loads((folder / "demo.json").read_bytes())[sender.party]["users"]
    map_id = sender.db.sources()[0].map
    done = sender.import_file("intelligence", bundle, place="second", map_id=map_id)
    draft = sender.propose(done.source, Wish(f"{sender.party}/{people[0]['user']}"))
    for person in people[1:]:
        handle = f"{sender.party}/{person['user']}"
        role = next(role for role in person["roles"] if role in ("release", "security"))
        sender.approve(draft.rid, handle, role, sender.person_signer(handle, person["password"].encode()))
    sender.dispatch([draft.rid])
    for node in (receiver, sender, receiver):
        node.pull()
    receiver.answer()
    for node in (sender, receiver):
        node.pull()
    return draft.rid


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "entente.demo", "--once", "--dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "XDG_STATE_HOME": str(folder.parent)})
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "demo"
    shutil.copytree(template, place)
    yield place
    report = verify_folders({code: place / code for code in ("IND", "KOR")})
    assert not report.faults


def opened(folder: Path, code: str) -> Node:
    return Node(folder / code, AREAS, validate)


def second_bundle() -> bytes:
    bundle = json.loads((SAMPLES / "sample.stix.json").read_bytes())
    bundle["objects"] = bundle["objects"][:1]
    return json.dumps(bundle).encode()


@pytest.mark.parametrize("code", ["IND", "KOR"])
def test_restored_node_signs_nothing_and_heals(folder: Path, code: str) -> None:
    backup = (folder / code / "node.db").read_bytes()
    first, second = opened(folder, "IND"), opened(folder, "KOR")
    rid = send(folder, first, second, second_bundle())
    roots = {party: tree.root() for party, tree in first.trees.items()}
    first.close()
    second.close()
    for suffix in ("", "-wal", "-shm"):
        (folder / code / f"node.db{suffix}").unlink(missing_ok=True)
    (folder / code / "node.db").write_bytes(backup)

    node = opened(folder, code)
    assert "older" in node.frozen
    with pytest.raises(FrozenError):
        node.check_may_sign()
    node.pull()
    assert not node.frozen
    assert {party: tree.root() for party, tree in node.trees.items()} == roots
    found = node.pair.sides["IND"].release(rid)
    assert found is not None
    assert node.state_of(found) == "received"
    assert node.answer() == 0, "what was answered is not answered again"
    node.close()


def test_node_that_lost_its_heads_waits_for_the_partner(folder: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (folder / "IND" / f"heads.db{suffix}").unlink(missing_ok=True)
    node = opened(folder, "IND")
    with pytest.raises(FrozenError):
        node.check_may_sign()
    node.pull()
    node.check_may_sign()
    size = node.trees["IND"].size
    head = node.heads.get(node.side.origin)
    assert head is not None
    assert head.size == size
    node.close()


def test_nobody_has_the_rest_means_read_only_until_our_own_served_tree_is_found_again(folder: Path) -> None:
    backup = (folder / "IND" / "node.db").read_bytes()
    first, second = opened(folder, "IND"), opened(folder, "KOR")
    people = json.loads((folder / "demo.json").read_bytes())["IND"]["users"]
    done = first.import_file("intelligence", second_bundle(), place="second", map_id=first.db.sources()[0].map)
    draft = first.propose(done.source, Wish("IND/rao"))
    for person, role in zip(people[1:], ("release", "security"), strict=False):
        handle = f"IND/{person['user']}"
        first.approve(draft.rid, handle, role, first.person_signer(handle, person["password"].encode()))
    served = folder / "IND" / "served"
    shutil.copytree(served, folder / "served-before")
    first.dispatch([draft.rid])  # signed, but the partner never pulled it
    first.close()
    for suffix in ("", "-wal", "-shm"):
        (folder / "IND" / f"node.db{suffix}").unlink(missing_ok=True)
    (folder / "IND" / "node.db").write_bytes(backup)
    held = folder / "served-whole"
    served.rename(held)
    shutil.copytree(folder / "served-before", served)  # restored from the same backup
    node = opened(folder, "IND")
    with pytest.raises(Exception, match="epoch"):
        node.pull()
    with pytest.raises(FrozenError):
        node.check_may_sign()
    node.close()
    shutil.rmtree(served)
    held.rename(served)  # what was served is found again: it is proven by our own signature
    node = opened(folder, "IND")
    node.pull()
    node.check_may_sign()
    fact = node.side.release(draft.rid)
    assert fact is not None
    second.pull()
    node.pull()
    second.pull()
    second.answer()
    node.pull()
    assert node.state_of(fact) == "received"
    node.close()
    second.close()
