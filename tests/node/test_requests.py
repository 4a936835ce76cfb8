"""A request, its replies and the hours between them are the same on both nodes, whatever order things happen in."""

import filecmp
import json
import resource
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from entente.app import AREAS, validate
from entente.cli import main
from entente.errors import FormatError, StateError, UsageError
from entente.node.documents import write_file
from entente.node.import_ import file_data
from entente.node.node import Node
from entente.node.propose import Wish
from entente.node.requests import Asked, pace, strays
from entente.treaty.cover import REPLY, ReplySheet, RequestSheet, Stated, package
from entente.treaty.marking import MapRow, Marking, MarkingMap
from entente.treaty.record import Long, whole
from lab.acts import ordered
from lab.pair import Pair

Make = Callable[..., Pair]


def map_of(pair: Pair, node: Node, label: str = "", level: str = "") -> str:
    """A marking map of this party's for documents: everything at one level, or what bears a label."""
    law = node.law.law
    purposes = law.areas["documents"].purposes or ("",)
    level = level or law.party[node.party].levels[0]
    mark = Marking((), level, node.party, purposes[0], tuple(sorted(law.parties)))
    rows = (MapRow(label, mark),) if label else ()
    return node.sign_map(MarkingMap(node.law.hash, "documents", rows, mark), [pair.of(node, "iyer")])


def send(pair: Pair, node: Node, rid: str) -> str:
    """The draft is approved and stands in this node's register."""
    pair.approve(node, rid, "nair")
    if (node.law.law.areas["documents"].approvals or 0) > 1:
        pair.approve(node, rid, "iyer", "security")
    node.dispatch([rid])
    return rid


def ask(pair: Pair, node: Node, words: str = "Who holds the harbour?\nSince when?") -> str:
    sheet = RequestSheet({"en": words}, "documents", "priority", "2026-06-05T00:00Z")
    done = node.ask(sheet, author=f"{node.party}/rao", map_id=map_of(pair, node))
    return send(pair, node, done.proposal.rid)


def reply(pair: Pair, node: Node, request: str, state: str, *, rids: tuple[str, ...] = (), reason: str = "") -> str:
    sheet = ReplySheet(request, state, rids, reason or msgspec.UNSET)  # type: ignore[arg-type]
    done = node.reply(sheet, author=f"{node.party}/rao", map_id=map_of(pair, node))
    return send(pair, node, done.proposal.rid)


def release(pair: Pair, node: Node, data: bytes = b"They do, since May.", title: str = "Harbour") -> str:
    """A document stands in this node's register."""
    stated = Stated(title={"en": title}, language="en", kind="report")
    done = node.document(data, stated, label="", parents=(), place="harbour.txt", map_id=map_of(pair, node))
    assert not done.quarantined
    return send(pair, node, node.propose(done.source, Wish(f"{node.party}/rao")).rid)


def forced(pair: Pair, node: Node, sheet: ReplySheet) -> str:
    """A reply that our own node would not draft."""
    done = node.import_file("documents", package(sheet), place="reply", map_id=map_of(pair, node), form=REPLY)
    return send(pair, node, node.propose(done.source, Wish(f"{node.party}/rao")).rid)


def only(node: Node) -> Asked:
    (row,) = node.asked()
    return row


def same(pair: Pair) -> tuple[Asked, ...]:
    """What both nodes say, which must be the same."""
    rows = pair.a.asked()
    assert rows == pair.b.asked()
    return rows


def test_hours_run_from_the_request_to_the_receipt_of_the_answer(either: Pair) -> None:
    pair = either
    request = ask(pair, pair.a)
    assert only(pair.a).state == "open"
    assert not only(pair.a).received
    assert pair.b.asked() == ()
    pair.exchange()
    (row,) = same(pair)
    assert (row.rid, row.state, row.received, row.hours) == (request, "open", True, None)
    assert row.text == {"en": "Who holds the harbour?\nSince when?"}

    pair.clock.forward(hours=2)
    reply(pair, pair.b, request, "acknowledged")
    pair.exchange()
    assert same(pair)[0].state == "acknowledged"
    assert same(pair)[0].hours is None

    pair.clock.forward(hours=5, minutes=30)
    document = release(pair, pair.b)
    reply(pair, pair.b, request, "answered", rids=(document,))
    assert only(pair.b).state == "acknowledged", "a reply counts once it is received"
    pair.clock.forward(minutes=30)
    pair.exchange()
    (row,) = same(pair)
    assert (row.state, row.hours, row.answers) == ("answered", 8.0, (document,))
    assert [(told.state, told.counts) for told in row.replies] == [("acknowledged", True), ("answered", True)]

    pair.clock.forward(days=1)
    reply(pair, pair.b, request, "answered", rids=(document,))
    pair.exchange()
    assert same(pair)[0].hours == 8.0, "the first answer is the one that counts"
    assert pace(same(pair)).hours_median == 8.0


def test_a_request_may_go_either_way_and_each_has_its_own_replies(either: Pair) -> None:
    pair = either
    ours, theirs = ask(pair, pair.a, "Which berths?"), ask(pair, pair.b, "Which roads?")
    pair.exchange()
    reply(pair, pair.b, ours, "refused", reason="not_releasable")
    reply(pair, pair.a, theirs, "answered")
    pair.exchange()
    rows = {row.rid: row for row in same(pair)}
    assert (rows[ours].state, rows[ours].reason) == ("refused", "not_releasable")
    assert (rows[theirs].state, rows[theirs].hours) == ("answered", 0.0)
    assert pace(same(pair)) == pace(tuple(rows.values()))
    assert (pace(same(pair)).requests, pace(same(pair)).answered) == (2, 1)


def test_what_comes_after_closed_is_listed_and_counts_for_nothing(pair: Pair) -> None:
    request = ask(pair, pair.a)
    pair.exchange()
    reply(pair, pair.b, request, "closed", reason="duplicate")
    late = forced(pair, pair.b, ReplySheet(request, "answered", ()))
    pair.exchange()
    (row,) = same(pair)
    assert (row.state, row.reason, row.hours) == ("closed", "duplicate", None)
    assert [(told.rid, told.counts) for told in row.replies][1:] == [(late, False)]
    with pytest.raises(UsageError, match="is closed"):
        reply(pair, pair.b, request, "answered")


def test_a_reply_by_the_asker_counts_for_nothing(pair: Pair) -> None:
    request = ask(pair, pair.a)
    pair.exchange()
    own = forced(pair, pair.a, ReplySheet(request, "answered", ()))
    pair.exchange()
    (row,) = same(pair)
    assert (row.state, row.hours) == ("open", None)
    assert [(told.rid, told.by, told.counts) for told in row.replies] == [(own, pair.a.party, False)]
    with pytest.raises(UsageError, match="no request"):
        reply(pair, pair.a, request, "answered")


def test_a_reply_to_no_known_request_is_listed_as_a_stray(pair: Pair) -> None:
    stray = forced(pair, pair.b, ReplySheet("ab" * 32, "answered", ()))
    pair.exchange()
    assert same(pair) == ()
    assert strays(pair.a) == strays(pair.b)
    ((named, told),) = strays(pair.a)
    assert (named, told.rid, told.counts) == ("ab" * 32, stray, False)


def test_answers_name_only_releases_that_stand_in_the_register_of_who_replies(pair: Pair) -> None:
    request = ask(pair, pair.a)
    pair.exchange()
    forced(pair, pair.b, ReplySheet(request, "answered", ("cd" * 32,)))
    pair.exchange()
    assert same(pair)[0].answers == ()
    with pytest.raises(UsageError, match="no release"):
        reply(pair, pair.b, request, "answered", rids=("cd" * 32,))


def test_what_is_taken_back_or_destroyed_is_not_listed_and_does_not_count(either: Pair) -> None:
    pair = either
    first, second = ask(pair, pair.a, "Which berths?"), ask(pair, pair.a, "Which roads?")
    pair.exchange()
    answers = {request: reply(pair, pair.b, request, "answered") for request in (first, second)}
    pair.exchange()
    ordered(pair, pair.b, answers[first], "withdraw")
    pair.exchange()
    assert [(row.rid, row.state) for row in same(pair)] == [(first, "open"), (second, "answered")]
    ordered(pair, pair.a, first, "withdraw")
    pair.a.destroy(answers[second])
    pair.exchange()
    assert [(row.rid, row.state, row.replies) for row in same(pair)] == [(second, "open", ())]
    assert strays(pair.a) == strays(pair.b) == ()


def test_rows_are_the_same_after_the_view_was_built_anew(either: Pair) -> None:
    pair = either
    request = ask(pair, pair.a)
    pair.exchange()
    reply(pair, pair.b, request, "answered")
    pair.exchange()
    before = same(pair)
    for node in (pair.a, pair.b):
        node.rebuild()
        assert node.asked() == before


def test_an_unknown_area_or_an_ill_formed_question_is_told_at_once(pair: Pair) -> None:
    known = {"author": f"{pair.a.party}/rao", "map_id": map_of(pair, pair.a)}
    with pytest.raises(UsageError, match="no area weather"):
        pair.a.ask(RequestSheet({"en": "Rain?"}, "weather", "routine"), **known)
    with pytest.raises(FormatError):
        pair.a.ask(RequestSheet({"en": "Rain?"}, "documents", "at once"), **known)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="is not a time"):
        pair.a.ask(RequestSheet({"en": "Rain?"}, "documents", "routine", "tomorrow"), **known)
    with pytest.raises(FormatError, match="U\\+202E"):
        pair.a.ask(RequestSheet({"en": "Rain\u202e?"}, "documents", "routine"), **known)
    assert pair.a.db.drafts() == []


# Documents across


def test_a_document_arrives_with_its_cover_its_file_and_both_markings(either: Pair, tmp_path: Path) -> None:
    pair = either
    rid = release(pair, pair.a)
    pair.exchange()
    (held,) = pair.b.documents(rid)
    assert whole(held.file) == b"They do, since May."
    assert (held.sheet.media, held.sheet.title) == ("text/plain", {"en": "Harbour"})
    assert [line.split(":")[0] for line in held.banner] == [pair.a.party, pair.b.party]
    write_file(held, tmp_path / "harbour.txt")
    assert (tmp_path / "harbour.txt").read_bytes() == b"They do, since May."
    with pytest.raises(UsageError, match="something is there"):
        write_file(held, tmp_path / "harbour.txt")
    assert pair.a.documents(rid)[0].sheet == held.sheet, "the sender sees the same"


def test_a_long_document_arrives_as_it_was_without_being_held_in_memory(pair: Pair, tmp_path: Path) -> None:
    line = b"harbour %8d"
    data = b"".join((line % number) * 65536 for number in range(5))
    source = Long(len(data), lambda start, end: iter([data[start:end]]))
    stated = Stated(title={"en": "Long"}, language="en", kind="data")
    done = pair.a.document(source, stated, label="", parents=(), place="x", map_id=map_of(pair, pair.a))
    rid = send(pair, pair.a, pair.a.propose(done.source, Wish(f"{pair.a.party}/rao")).rid)
    pair.exchange()
    (held,) = pair.b.documents(rid)
    assert isinstance(held.file, Long)
    write_file(held, tmp_path / "long.txt")
    assert (tmp_path / "long.txt").read_bytes() == data


def test_what_acts_is_refused_at_import_and_nothing_of_it_can_be_proposed(pair: Pair) -> None:
    stated = Stated(title={"en": "Harbour"}, language="en", kind="report")
    for data, reason in (
        (b"MZ\x90\x00program", "it is a program"),
        (b"%PDF-1.7\n1 0 obj\n<< /S /JavaScript /JS (x) >>\nendobj\n", "scripts"),
    ):
        done = pair.a.document(data, stated, label="", parents=(), place="x", map_id=map_of(pair, pair.a))
        assert done.records == 0
        assert reason in done.quarantined[0].reason


def test_a_foreign_label_without_a_row_in_the_map_stays_at_home(pair: Pair) -> None:
    stated = Stated(title={"en": "Harbour"}, language="en", kind="report")
    plain, mapped = map_of(pair, pair.a), map_of(pair, pair.a, "NATO RESTRICTED")
    wish = Wish(f"{pair.a.party}/rao")
    done = pair.a.document(b"words", stated, label="NATO RESTRICTED", parents=(), place="x", map_id=plain)
    with pytest.raises(Exception, match="all 1 objects"):
        pair.a.propose(done.source, wish)
    done = pair.a.document(b"words", stated, label="NATO RESTRICTED", parents=(), place="x", map_id=mapped)
    assert pair.a.propose(done.source, wish).kept == 1


def test_a_translation_of_what_the_partner_released_names_it_as_its_ancestor(either: Pair) -> None:
    pair = either
    original = release(pair, pair.a)
    pair.exchange()
    stated = Stated(title={"en": "Harbour, translated"}, language="ko", kind="translation")
    more = {"label": "", "place": "x", "map_id": map_of(pair, pair.b)}
    with pytest.raises(UsageError, match="released nothing"):
        pair.b.document("항구".encode(), stated, parents=("ab" * 32,), **more)
    done = pair.b.document("항구".encode(), stated, parents=(original,), **more)
    made = pair.b.propose(done.source, Wish(f"{pair.b.party}/rao"))
    assert made.core.ancestors == (original,)


def test_what_is_no_document_or_is_not_here_is_told_so(pair: Pair) -> None:
    request = ask(pair, pair.a)
    with pytest.raises(UsageError, match="no document"):
        pair.a.documents(request)
    with pytest.raises(UsageError, match="no release or draft"):
        pair.a.documents("ab" * 32)
    rid = release(pair, pair.a)
    pair.b.pull()
    with pytest.raises(StateError, match="not held here"):
        pair.b.documents(rid)


# The command line


def run(node: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [*words, "--node", str(node)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_a_question_is_asked_answered_and_listed_on_the_command_line(pair: Pair, tmp_path: Path) -> None:
    maps = {node.party: map_of(pair, node) for node in (pair.a, pair.b)}
    first, second = pair.codes
    a, b = pair.shut(first), pair.shut(second)
    made = json.loads(
        run(a, "request", "en=Who?", "ko=누구", "--area", "documents", "--author", f"{first}/rao",
            "--map", maps[first], "--json")
    )  # fmt: skip
    pair.open(first), pair.open(second)
    send(pair, pair.a, made["rid"])
    pair.exchange()
    pair.shut(first), pair.shut(second)
    (tmp_path / "answer.txt").write_text("They.")
    took = json.loads(
        run(b, "document", "import", str(tmp_path / "answer.txt"), "--title", "en=They", "--language", "en",
            "--kind", "report", "--map", maps[second], "--json")
    )  # fmt: skip
    draft = json.loads(run(b, "propose", took["source"], "--author", f"{second}/rao", "--json"))
    pair.open(second)
    send(pair, pair.b, draft["rid"])
    pair.shut(second)
    said = run(b, "reply", made["rid"][:12], "--state", "answered", "--rid", draft["rid"][:12],
               "--author", f"{second}/rao", "--map", maps[second])  # fmt: skip
    told = said.split()[1]
    assert f"entente approve {told[:16]}" in said
    pair.open(first), pair.open(second)
    send(pair, pair.b, told)
    pair.exchange()
    pair.shut(first), pair.shut(second)
    rows = [json.loads(run(folder, "list", "requests", "--json")) for folder in (a, b)]
    assert rows[0] == rows[1]
    assert rows[0]["pace"] == {"answered": 1, "hours_median": 0.0, "requests": 1}
    assert "answered" in run(a, "list", "requests")
    shown = run(a, "document", "show", draft["rid"])
    assert shown.startswith(f"{second}: ")
    out = tmp_path / "out.txt"
    words = ["document", "export", draft["rid"], "--out", str(out)]
    assert run(a, *words, code=2).startswith("Cannot do that as asked: the holder")
    assert not out.exists()
    said = run(a, *words, "--holder", "Maj. Bose", "--place", "room 3")
    assert said.count(f"{second}: ") == 2
    assert "copy 1 of 1: Maj. Bose, room 3" in said
    assert out.read_text() == "They."
    with_more = [*words[:-1], str(tmp_path / "more.txt"), "--holder", "x", "--place", "y"]
    assert "1 of 1 copies were made" in run(a, *with_more, code=1)
    assert not (tmp_path / "more.txt").exists()


def test_the_command_line_refuses_what_acts_and_says_why(pair: Pair, tmp_path: Path) -> None:
    map_id = map_of(pair, pair.a)
    a = pair.shut(pair.codes[0])
    (tmp_path / "tool.exe").write_bytes(b"MZ\x90\x00")
    said = run(a, "document", "import", str(tmp_path / "tool.exe"), "--title", "en=Tool", "--language", "zxx",
               "--kind", "other", "--map", map_id, code=1)  # fmt: skip
    assert "refused: it is a program (Windows)" in said


def test_the_child_process_reads_documents_as_the_node_itself_would() -> None:
    (area,) = [area for area in AREAS.values() if area.name == "documents"]
    records, _ = area.split("document-1", package(Stated({"en": "A"}, "en", "report"), b"%PDF-1.4 harbour"), place="x")
    (found,) = validate("document-1", [[records[0].data]])
    assert not isinstance(found, str)
    assert (found[0].id, found[0].type) == (records[0].id, "report")
    (bad,) = validate("document-1", [[whole(records[0].data)[:-1] + b"R"]])
    assert isinstance(bad, str)
    assert "SHA-256" in bad


@pytest.mark.slow
def test_a_document_of_300_mb_crosses_in_flat_memory(pair: Pair, tmp_path: Path) -> None:
    """A sparse file, read in the real child process on both sides."""
    pair.a.validate = pair.b.validate = validate
    source = tmp_path / "chart.bin"
    with source.open("wb") as file:
        file.write(b"\x00\x01chart")
        file.truncate(300 << 20)
    stated = Stated(title={"en": "Chart"}, language="zxx", kind="data")
    map_id = map_of(pair, pair.a)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = pair.a.document(file_data(source), stated, label="", parents=(), place="chart.bin", map_id=map_id)
    assert not done.quarantined
    rid = send(pair, pair.a, pair.a.propose(done.source, Wish(f"{pair.a.party}/rao")).rid)
    pair.exchange()
    (held,) = pair.b.documents(rid)
    assert held.sheet.media == "application/octet-stream"
    write_file(held, tmp_path / "out.bin")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert filecmp.cmp(source, tmp_path / "out.bin", shallow=False)
    assert grown < 100 << 10, "KiB"
