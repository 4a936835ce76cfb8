"""What is listed is counted, selected and written out as it is; what came back about it is the same at both nodes.

The commands are run as a person runs them, on the folders of real nodes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stix_objects import as_bytes, bundle_of, identifier, indicator

from entente.areas.intelligence.inventory import Echo, Kind, echoes, exported, items, stats, to_release
from entente.errors import UsageError
from entente.node.node import Node
from entente.node.order import Remark, order_body
from entente.node.propose import Wish
from entente.store.node_db import NodeDb
from entente.treaty.marking import MarkingMap, marking_line
from lab.acts import entered
from lab.pair import AREA, Pair, sighted
from lab.taxii import HOST, Shelf, Wicked
from promises.demo_run import cli

SECRET = "saffron-kettle-9"  # noqa: S105 - invented


def about(kind: str, number: int, named: str, **more: Any) -> bytes:
    """A sighting, opinion or note about an object."""
    when = {"created": "2026-02-01T00:00:00.000Z", "modified": "2026-02-01T00:00:00.000Z"}
    whole: dict[str, Any] = {"type": kind, "spec_version": "2.1", "id": identifier(kind, number), **when}
    if kind == "sighting":
        whole |= {"sighting_of_ref": named}
    else:
        whole |= {"object_refs": [named], **({"opinion": "agree"} if kind == "opinion" else {"content": "seen"})}
    return as_bytes(whole | more)


def names(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["id"] for body in bodies]


def a_map(pair: Pair, level: str = "") -> str:
    found = MarkingMap(pair.a.law.hash, AREA, (), pair.marking(pair.a, level))
    return pair.a.sign_map(found, [pair.of(pair.a, "iyer")])


def brought_in(node: Node, bodies: list[bytes], map_id: str) -> str:
    return node.import_file(AREA, bundle_of(*bodies), place="by hand", map_id=map_id).source


# What came back


def test_what_came_back_is_counted_the_same_at_both_nodes(either: Pair) -> None:
    pair = either
    first, second, third = sighted(3)
    one, two, _ = names([first, second, third])
    pair.release(pair.a, [first, second, third])
    pair.exchange()
    pair.release(
        pair.b,
        [
            about("sighting", 1, one, count=41),
            about("sighting", 1, one, count=7, modified="2026-02-01T00:00:01.000Z"),
            about("sighting", 2, one),
            about("opinion", 3, one),
            about("note", 4, two),
            about("sighting", 5, two, revoked=True),
            about("sighting", 6, identifier("indicator", 77)),
        ],
    )
    pair.release(pair.a, [about("note", 9, identifier("sighting", 2))])
    pair.exchange()
    expected = [
        Echo(pair.a.party, one, "indicator", "harmless 1", sightings=2, seen=8, opinions=1, notes=0),
        Echo(pair.a.party, two, "indicator", "harmless 2", sightings=0, seen=0, opinions=0, notes=1),
        Echo(pair.b.party, identifier("sighting", 2), "sighting", f"sighting: {one}", 0, 0, 0, notes=1),
    ]
    assert echoes(pair.a) == sorted(expected, key=lambda echo: (echo.released_by, echo.id))
    assert echoes(pair.b) == echoes(pair.a)


# What is selected


def test_a_release_by_filter_is_one_import_of_what_is_ours_and_has_not_crossed(either: Pair) -> None:
    pair = either
    name = a_map(pair)
    gone = sighted(2)
    pair.release(pair.a, gone)
    pair.exchange()
    pair.clock.forward(days=1)
    since = pair.a.now()
    fresh = [*sighted(3, first=20), about("note", 1, names(gone)[0])]
    brought_in(pair.a, fresh, name)
    assert to_release(pair.a, [], "", map_id=name) == (name, fresh)
    assert to_release(pair.a, ["indicator"], since) == (name, fresh[:3])
    assert set(to_release(pair.a, ["indicator"], "", again=True)[1]) == {*gone, *fresh[:3]}
    with pytest.raises(UsageError, match="nothing of ours"):
        to_release(pair.a, ["malware"], "")
    made = pair.a.propose(brought_in(pair.a, fresh[:3], name), Wish(f"{pair.a.party}/rao"))
    assert (made.kept, made.state) == (3, "checked")


def test_what_was_imported_by_several_maps_is_released_by_one_that_is_named(pair: Pair) -> None:
    low, high = a_map(pair), a_map(pair, pair.a.law.law.party[pair.a.party].levels[1])
    first, second = sighted(2)
    brought_in(pair.a, [first], low)
    brought_in(pair.a, [second], high)
    with pytest.raises(UsageError, match="several marking maps"):
        to_release(pair.a, [], "")
    assert to_release(pair.a, [], "", map_id=high[:16]) == (high, [second])


def test_what_was_taken_in_without_a_map_and_then_by_one_is_released_by_that(pair: Pair) -> None:
    bodies = sighted(2)
    brought_in(pair.a, bodies, "")
    assert to_release(pair.a, [], "")[0] == ""
    name = a_map(pair)
    brought_in(pair.a, bodies, name)
    assert to_release(pair.a, [], "") == (name, bodies)


def test_a_marking_line_is_of_the_marking_as_it_is_now(pair: Pair) -> None:
    done = pair.release(pair.a, sighted(1))
    brought_in(pair.a, sighted(1, first=40), "")
    pair.exchange()
    own, law = pair.marking(pair.a), pair.a.law.law
    level = law.party[pair.a.party].levels[2]
    entered(pair, pair.a, "order", order_body(pair.a, done.rid[:16], "reclass", Remark(level)))
    pair.exchange()
    line = marking_line(own).replace(own.level, level)
    cases: list[tuple[Node, Kind, list[str]]] = [
        (pair.a, "to", [line]),
        (pair.b, "from", [line]),
        (pair.a, "own", [marking_line(own), "not marked"]),
    ]
    for node, kind, lines in cases:
        found, whole = exported(node, list(items(node, kind)))
        assert [one.marking_line for one in found] == lines
        assert whole == " / ".join(lines)


def test_an_export_bears_the_marking_that_is_above_all_in_it(pair: Pair) -> None:
    level = pair.a.law.law.party[pair.a.party].levels[1] or ""
    brought_in(pair.a, sighted(1), a_map(pair))
    brought_in(pair.a, sighted(1, first=30), a_map(pair, level))
    assert exported(pair.a, list(items(pair.a, "own")))[1] == marking_line(pair.marking(pair.a, level))
    assert exported(pair.a, []) == ([], "not marked")


def test_stats_count_what_is_listed_and_what_happened_on_each_day(pair: Pair) -> None:
    pair.release(pair.a, sighted(2))
    pair.exchange()
    pair.clock.forward(days=1)
    brought_in(
        pair.a, [*sighted(1), as_bytes(indicator(5, pattern_type=None)), about("note", 1, names(sighted())[0])], ""
    )
    found = stats(pair.a)
    assert found.collections == {"own": {"indicator": 2, "note": 1}, "from": {}, "to": {"indicator": 2}}
    assert (found.imports, found.quarantined, found.released, found.received) == (2, 1, 2, 0)
    assert found.days == {"2026-06-01": {"imported": 2, "released": 2}, "2026-06-02": {"imported": 2, "quarantined": 1}}
    assert stats(pair.b).collections["from"] == {"indicator": 2}


# As a person types it


@pytest.fixture
def folders(pair: Pair) -> Iterator[tuple[Path, Path]]:
    """The folders of two nodes between which two objects crossed, and a sighting came back."""
    bodies = sighted(2)
    pair.release(pair.a, bodies)
    pair.exchange()
    pair.release(pair.b, [about("sighting", 1, names(bodies)[0], count=3)])
    pair.exchange()
    first, second = pair.codes
    yield pair.shut(first), pair.shut(second)
    pair.nodes.clear()


def test_a_collection_is_exported_byte_for_byte_and_a_file_is_not_written_over(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "own.json"
    words = ("intelligence", "export", "--node", folders[0])
    said = json.loads(cli(*words, "--out", out, "--json").check().out)
    assert (said["objects"], said["copies"]) == (2, [])
    assert all(body in out.read_bytes() for body in sighted(2))
    assert cli(*words).check().out.encode() == out.read_bytes()
    assert "something is there" in cli(*words, "--out", out).check(2).err
    assert json.loads(cli(*words, "--type", "malware").check().out).get("objects", []) == []


@pytest.mark.parametrize(("form", "holds"), [("csv", "#END rows=2"), ("misp", '"Event"')])
def test_indicators_are_exported_for_tools_that_read_no_stix(
    folders: tuple[Path, Path], tmp_path: Path, form: str, holds: str
) -> None:
    out = tmp_path / "out"
    cli("intelligence", "export", "--format", form, "--out", out, "--node", folders[0]).check()
    text = out.read_text()
    assert holds in text
    assert "example.org" in text
    assert "IND UNCLASSIFIED // REL IND, KOR" in text


def test_an_export_of_what_is_the_partners_is_a_numbered_copy_as_often_as_it_allows(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    words = ("intelligence", "export", "--collection", "from", "--node", folders[1], "--out")
    assert "the holder of a copy" in cli(*words, tmp_path / "a").check(2).err
    assert not (tmp_path / "a").exists()
    held = ("--holder", "Col. Choi", "--place", "room 204")
    assert "copy 1 of release" in cli(*words, tmp_path / "b", *held).check().out
    assert "1 of 1 copies were made" in cli(*words, tmp_path / "c", *held).check(1).err
    assert not (tmp_path / "c").exists()
    assert "Col. Choi" in cli("copy", "list", "--node", folders[1]).check().out


def test_sightings_and_stats_are_told_to_people_and_to_scripts(folders: tuple[Path, Path]) -> None:
    told = [cli("intelligence", "sightings", "--node", folder).check().out for folder in folders]
    assert told[0] == told[1]
    assert "1 sighting, seen 3 times" in told[0]
    value = json.loads(cli("intelligence", "sightings", "--node", folders[0], "--json").check().out)
    assert [row["seen"] for row in value] == [3]
    assert "to: 2 objects" in cli("intelligence", "stats", "--node", folders[0]).check().out
    assert json.loads(cli("intelligence", "stats", "--node", folders[1], "--json").check().out)["received"] == 2


@pytest.mark.allow_hosts([HOST])
def test_a_feed_from_its_adding_to_its_removal_by_commands_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """And the secret is in nothing that is shown."""
    node = ("--node", folders[0])
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    bad = as_bytes(indicator(77, pattern_type=None))
    with Wicked(Shelf([(n, body) for n, body in enumerate([*sighted(3, first=50), bad])], cap=2)) as foreign:
        feed = ("intelligence", "feed")
        password = ("--user", "ana", "--password-file", tmp_path / "secret")
        runs = [
            cli(*feed, "add", "siem", "--url", foreign.base, "--collection", "all", *password, *node).check(),
            cli(*feed, "poll", "siem", *node).check(),
            cli(*feed, "list", *node).check(),
            cli(*feed, "list", *node, "--json").check(),
            cli(*feed, "push", "siem", "--yes", *node).check(2),
            cli(*feed, "add", "siem", "--url", foreign.url, *password, "--push", *node).check(),
            cli(*feed, "push", "siem", *node).check(),
            cli(*feed, "push", "siem", "--yes", *node).check(),
            cli(*feed, "poll", "siem", "--all", *node).check(),
            cli(*feed, "remove", "siem", *node).check(),
            cli(*feed, "list", *node).check(),
        ]
        assert len(foreign.took) == 2, "what is ours but for what came by it"
    said = [run.out for run in runs]
    assert "nothing of it can cross" in said[0]
    assert "2 pages: 3 new objects, 0 known, 1 quarantined" in said[1]
    assert "pattern_type" in said[1]
    assert "page 1: 2 new" in runs[1].err
    assert "3 objects  1 quarantined" in said[2]
    assert "only read" in runs[4].err
    assert "2 objects of 1 import would leave" in said[6]
    assert "nothing was done; add --yes" in said[6]
    assert "2 objects sent: 2 taken" in said[7]
    assert "0 new objects, 4 known" in said[8]
    assert said[10] == "no feed\n"
    assert not [run for run in runs if SECRET in run.out + run.err]


def test_a_release_by_filter_is_proposed_by_one_command(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "more.json").write_bytes(bundle_of(*sighted(2, first=60)))
    node = ("--node", folders[0])
    db = NodeDb(folders[0] / "node.db")
    name = db.sources()[0].map
    db.close()
    cli("intelligence", "import", tmp_path / "more.json", "--map", name, *node).check()
    words = ("intelligence", "release", "--type", "indicator", "--author", "IND/rao", *node)
    assert "checked: 2 objects" in cli(*words).check().out
    assert json.loads(cli(*words, "--again", "--json").check().out)["kept"] == 4
    told = cli("intelligence", "import", tmp_path / "more.json", *node).check().out
    assert "no marking map: nothing of it can cross" in told
