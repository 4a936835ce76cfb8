"""What is released at any level is told by no log, error, file name, worker's state or listing of either node.

A word and an odd size stand for each level of the sender's scale, those that cross and those that may not. All that the
nodes say about themselves while such content is imported, refused, released, received and ended is searched for them.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stix_objects import as_bytes, indicator

from entente.errors import EntenteError
from entente.keys import SoftSigner
from entente.node.node import Node
from entente.node.order import Remark
from entente.node.served import FolderTree
from entente.node.worker import STATE, Worker
from lab.acts import found_in, ordered, reopened
from lab.pair import Pair, files
from promises.demo_run import cli

LISTS = ("releases", "drafts", "imports", "inbox", "requests")


def word(rank: int) -> str:
    return f"canary-of-level-{rank}-"


def telling(rank: int) -> tuple[bytes, int]:
    """An object of this level: its word wherever content stands, and a size like no other."""
    size = 61_007 + 1_009 * rank
    made = indicator(rank + 1, name=word(rank), pattern=f"[domain-name:value = '{word(rank)}.example']")
    made["description"] = f"{word(rank)} " * 9
    made["description"] += "x" * (size - len(as_bytes(made)))
    data = as_bytes(made)
    assert len(data) == size
    return data, size


class Told:
    """Everything that was said, by where."""

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks
        self.texts: dict[str, str] = {}

    def refused(self, act: Callable[[], object]) -> None:
        """The act is refused, in words that are kept."""
        with pytest.raises(EntenteError) as told:
            act()
        self.texts[f"error {len(self.texts)}"] = told.value.explain() + repr(told.value)

    def check(self) -> None:
        for place, text in self.texts.items():
            for rank in range(self.ranks):
                assert word(rank) not in text, place
                number = re.compile(rf"(?<![0-9a-f]){telling(rank)[1]}(?![0-9a-f])")  # not by chance within a digest
                assert not number.search(text), place


def shown(folder: Path) -> Iterator[tuple[str, str]]:
    """What the command line shows of a node."""
    for words in (["status"], ["status", "--json"], *([["list", what, "--json"] for what in LISTS])):
        run = cli(*words, "--node", folder)
        yield " ".join(words), run.out + run.err


def lived(pair: Pair, told: Told) -> list[str]:
    """Content of each level is imported, refused or released, received, wanted back, refused again, and ended."""
    node, crossed = pair.a, []
    law = node.law.law
    for rank, level in enumerate(law.party[node.party].levels):
        data, _ = telling(rank)
        row = law.rows[node.party].get(level)
        if row is None or rank > law.ranks[node.party][(law.areas["intelligence"].ceiling or {})[node.party]]:
            told.refused(lambda data=data, level=level: pair.propose(node, [data], level=level))  # type: ignore[misc]
            continue
        draft = pair.propose(node, [data], level=level)
        told.refused(lambda draft=draft: pair.approve(node, draft.rid, "rao"))  # type: ignore[misc]
        told.refused(lambda draft=draft: pair.approve(node, draft.rid, "elsewhere"))  # type: ignore[misc]
        told.refused(lambda draft=draft: node.dispatch([draft.rid]))  # type: ignore[misc]
        rid = pair.approved(node, [data], level=level)
        node.dispatch([rid])
        crossed.append(rid)
    pair.exchange()
    for rid in crossed:
        told.refused(lambda rid=rid: pair.b.give_back(rid))  # type: ignore[misc]
        told.refused(lambda rid=rid: ordered(pair, pair.a, rid, "reclass", Remark()))  # type: ignore[misc]
        told.refused(lambda rid=rid: pair.a.destroy(rid))  # type: ignore[misc]
        copy = pair.b.make_copy(rid, "desk 1", "room 5")
        told.refused(lambda rid=rid: pair.b.destroy(rid, people(pair)))  # type: ignore[misc]
        pair.b.close_copy(rid, copy.n)
    return crossed


def people(pair: Pair) -> list[tuple[str, SoftSigner]]:
    return [pair.of(pair.b, name) for name in ("sen", "rao")]


def journal(node: Node) -> str:
    """Every line of node.db that is no ciphertext or hash: the home journal."""
    return repr(node.db.raw.execute("SELECT * FROM journal").fetchall())


def worked(pair: Pair, code: str) -> str:
    """What a worker leaves in its file after two rounds, the second of which finds no partner."""
    folder = pair.folder / code
    one = Worker(lambda: reopened(pair, pair.folder, code), folder, every_s=0, stop=threading.Event())
    one._round()
    one._tree = FolderTree(folder / "nowhere")
    one._round()
    one._show("waiting")
    one.close()
    assert one.state.fault, "a round without a partner has a fault to show"
    return (folder / STATE).read_text()


def search(pair: Pair, told: Told) -> None:
    """What both nodes have said about themselves by now is added."""
    for code, node in pair.nodes.items():
        told.texts[f"{code} journal"] = journal(node)
        told.texts[f"{code} names"] = "\n".join(files(node.folder))
    for code in pair.codes:
        folder = pair.shut(code)
        told.texts[f"{code} worker"] = worked(pair, code)
        told.texts |= {f"{code} {name}": text for name, text in shown(folder)}
        found = [path for path in found_in(folder, b"canary-of-level-") if not path.startswith("view.db")]
        assert found == [], "content in clear outside view.db"
        pair.open(code)


def test_no_level_is_told_by_what_the_nodes_say_about_themselves(
    either: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = Told(len(either.a.law.law.party[either.a.party].levels))
    crossed = lived(either, told)
    assert len(crossed) == 3
    for rank in range(told.ranks):
        assert found_in(either.a.folder, word(rank).encode()), "what is searched for must be there"
    search(either, told)
    told.check()
    for node in either.nodes.values():
        node.confirm([either.of(node, name) for name in ("nair", "iyer")])
    for rid in crossed:
        ordered(either, either.a, rid, "destroy")
    either.exchange()
    for rid in crossed:
        either.b.destroy(rid, people(either))
    either.exchange()
    search(either, told)
    told.texts["log"] = caplog.text
    told.check()
    assert len(told.texts) > 30


def test_the_search_finds_what_is_told() -> None:
    """An error that names a title, a file named for it and a size in a list are each found."""
    for text in (f"the object {word(3)} is bad", f"{word(0)}.json", f'{{"bytes": {telling(2)[1]}}}'):
        told = Told(5)
        told.texts["x"] = text
        with pytest.raises(AssertionError):
            told.check()
