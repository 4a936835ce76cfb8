"""Change any byte of what a node serves and both verifiers say so and name the place; they never disagree.

Each case is done to a copy of a demo's folder, put to both verifiers, and undone. `fast` cases are a sample drawn anew
in the same way every time; `slow` ones are every byte of every small file and hundreds of the others.
"""

import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest

from entente.node.verify import verify_folders
from promises.demo_run import (
    ROOT,
    Run,
    copy_of,
    demo,
    entente,
    fresh,
    sample_run,
    send_another,
    start,
    verify_py,
)

NODES = ("IND", "KOR")
Fault = tuple[str, str]

# --- both verifiers on one folder --------------------------------------------------------------------------------


@cache
def second() -> ModuleType:
    """verify.py as a module."""
    spec = importlib.util.spec_from_file_location("verify_py_of_tamper", ROOT / "verify.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def judged(folder: Path, *nodes: str) -> tuple[list[Fault], list[Fault]]:
    """The faults that entente and verify.py find in these nodes of a demo: one by itself, both against each other."""
    ours = verify_folders({node: folder / node for node in nodes}).faults
    report = second().verify(folder / nodes[0] if len(nodes) == 1 else folder)
    assert report is not None
    theirs = [(fault["place"], fault["detail"]) for fault in report.faults]
    assert len(theirs) == report.failed
    return ours, theirs


def names(faults: list[Fault], path: str) -> bool:
    """Whether a fault names the file; a bundle may be named by the number of an entry in it."""
    side = path.partition("/")[0]
    entry = rf"{side}.* entry \d" if "/tile/entries/" in path else "$^"
    return any(path in f"{place} {detail}" or re.search(entry, place) for place, detail in faults)


def found(folder: Path, path: str, *nodes: str) -> list[str]:
    """What is wrong with how the verifiers met a change to `path`: nothing, if both found it and named it."""
    wrong = []
    for who, faults in zip(("entente", "verify.py"), judged(folder, *nodes), strict=True):
        if not faults:
            wrong.append(f"{who} passes it")
        elif not names(faults, path):
            wrong.append(f"{who} names {faults[:2]}")
    return wrong


@cache
def whole() -> Path:
    """A copied demo which carried two releases; every case undoes what it did to it."""
    folder = copy_of(sample_run().folder, fresh("tampered"))
    send_another(folder)
    assert judged(folder, *NODES) == ([], [])
    return folder


def files(node: str) -> list[str]:
    """Every file of a node's served tree."""
    root = whole() / node / "served"
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


EVERY = [
    (node, path)
    for node in NODES
    for path in (
        "own/checkpoint",
        "own/tile/0",
        "own/tile/entries",
        "mirror/checkpoint",
        "mirror/tile/0",
        "mirror/tile/entries",
        "agreement",
        "key",
        "leaves",
        "blob",
    )
    if node == "IND" or path not in {"key", "leaves", "blob"}
]
each_kind = pytest.mark.parametrize(("node", "kind"), EVERY, ids=["-".join(one).replace("/", "-") for one in EVERY])


def paths_of(node: str, kind: str) -> list[str]:
    """The files of that kind in a node's served tree."""
    there = [path for path in files(node) if path == kind or path.startswith(f"{kind}/")]
    assert there
    return there


@contextmanager
def replaced(path: Path, data: bytes) -> Iterator[None]:
    """The file holds these bytes for a while; other names of the same file keep theirs."""
    old = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(old)


@contextmanager
def without(path: Path) -> Iterator[None]:
    """Nothing stands at the path for a while."""
    aside = fresh("aside")
    path.rename(aside)
    try:
        yield
    finally:
        removed(path)
        aside.rename(path)


def removed(path: Path) -> None:
    """Nothing stands at the path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# --- bytes -------------------------------------------------------------------------------------------------------


def flips(node: str, kind: str, count: int | None) -> list[str]:
    """One bit flipped at each of `count` positions (None: all) of each file of the kind; what went wrong."""
    wrong = []
    chance = random.Random(f"{node} {kind}")
    for path in paths_of(node, kind):
        file = whole() / node / "served" / path
        data = file.read_bytes()
        positions = range(len(data)) if count is None or count >= len(data) else chance.sample(range(len(data)), count)
        for at in positions:
            made = bytearray(data)
            made[at] ^= 1 << chance.randrange(8)
            with replaced(file, bytes(made)):
                wrong += [f"{path} byte {at} ({data[at : at + 1]!r}): {what}" for what in found(whole(), path, node)]
    return wrong


@each_kind
def test_a_flipped_bit_is_found_and_its_file_named(node: str, kind: str) -> None:
    assert not flips(node, kind, 5)


SWEEP = {"tile/entries": 300, "agreement": 200, "blob": 50}


@pytest.mark.slow
@each_kind
def test_a_flipped_bit_is_found_at_every_byte(node: str, kind: str) -> None:
    count = next((many for part, many in SWEEP.items() if part in kind), None)
    assert not flips(node, kind, count)


def misled(node: str, side: str, positions: list[int]) -> list[str]:
    """Where a byte that steers what is read next leads a verifier away from the checkpoint that is to blame."""
    path = f"{side}/checkpoint"
    file = whole() / node / "served" / path
    data = file.read_bytes()
    wrong = []
    for at in positions:
        for value in {*b"19\n\r \x00", data[at] ^ 1} - {data[at]}:
            with replaced(file, data[:at] + bytes([value]) + data[at + 1 :]):
                wrong += [f"byte {at} to {value}: {what}" for what in found(whole(), path, node)]
    return wrong


def lines_and_digits(node: str, side: str) -> tuple[list[int], list[int]]:
    """The positions of a checkpoint's size, and of all its digits and line ends."""
    data = (whole() / node / "served" / side / "checkpoint").read_bytes()
    start = data.index(b"\n") + 1
    size = list(range(start, data.index(b"\n", start)))
    return size, [at for at, byte in enumerate(data) if byte in b"\n0123456789"]


@pytest.mark.parametrize("side", ["own", "mirror"])
@pytest.mark.parametrize("node", NODES)
def test_another_size_in_a_checkpoint_is_blamed_on_the_checkpoint(node: str, side: str) -> None:
    assert not misled(node, side, lines_and_digits(node, side)[0])


@pytest.mark.slow
@pytest.mark.parametrize("side", ["own", "mirror"])
@pytest.mark.parametrize("node", NODES)
def test_every_digit_and_line_end_of_a_checkpoint_counts(node: str, side: str) -> None:
    assert not misled(node, side, lines_and_digits(node, side)[1])


@each_kind
def test_a_file_cut_short_or_made_longer_is_found_and_named(node: str, kind: str) -> None:
    wrong = []
    for path in paths_of(node, kind):
        file = whole() / node / "served" / path
        data = file.read_bytes()
        cases = {
            "last byte gone": data[:-1],
            "first byte gone": data[1:],
            "half": data[: len(data) // 2],
            "empty": b"",
            "byte added": data + b"\x00",
            "line end added": data + b"\n",
            "twice": data + data,
            "byte before": b"\x00" + data,
        }
        for name, made in cases.items():
            with replaced(file, made):
                wrong += [f"{path} {name}: {what}" for what in found(whole(), path, node)]
    assert not wrong


@each_kind
def test_a_file_that_is_gone_is_found_and_named(node: str, kind: str) -> None:
    wrong = []
    for path in paths_of(node, kind):
        with without(whole() / node / "served" / path):
            if kind == "key":  # it may not be served yet, or be gone: a receiver waits for it
                assert judged(whole(), node) == ([], [])
                continue
            wrong += [f"{path}: {what}" for what in found(whole(), path, node)]
    assert not wrong


@pytest.mark.slow
def test_two_files_swapped_are_found_and_one_is_named() -> None:
    wrong = []
    for node in NODES:
        root = whole() / node / "served"
        for one, other in combinations(files(node), 2):
            first, last = (root / one).read_bytes(), (root / other).read_bytes()
            with replaced(root / one, last), replaced(root / other, first):
                for who, faults in zip(("entente", "verify.py"), judged(whole(), node), strict=True):
                    if not names(faults, one) and not names(faults, other):
                        wrong.append(f"{node}: {one} for {other}: {who} says {faults[:2]}")
    assert not wrong


# --- files that are no part of it --------------------------------------------------------------------------------

ADDED = (
    "extra",
    ".hidden",
    "own/extra",
    "own/checkpoint.bak",
    "own/tile/0/000",
    "own/tile/0/001.p/1",
    "own/tile/1/000.p/1",
    "own/tile/entries/000",
    "own/tile/entries/000.p/1",
    "mirror/tile/entries/x000/000",
    "agreement/extra",
    "agreement/" + "0" * 64,
    "key/" + "0" * 64,
    "blob/" + "0" * 64,
    "leaves/" + "0" * 64,
    "blob/a/b",
    "new/file",
)


def made_file(path: Path) -> None:
    path.write_bytes(b"{}")


def made_folder(path: Path) -> None:
    path.mkdir()


def made_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def made_link_home(path: Path) -> None:
    path.symlink_to(whole() / "IND" / "served" / "own")


def made_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


MAKERS = (made_file, made_folder, made_link, made_link_home, made_dangling_link)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_what_is_no_part_of_a_served_tree_is_found_and_named(make: Callable[[Path], None]) -> None:
    wrong = []
    for node in NODES:
        for path in ADDED:
            target = whole() / node / "served" / path
            top = target
            while not top.parent.exists():
                top = top.parent
            target.parent.mkdir(parents=True, exist_ok=True)
            make(target)
            wrong += [f"{node} {path}: {what}" for what in found(whole(), path, node)]
            removed(top)
    assert not wrong
    assert judged(whole(), *NODES) == ([], [])


@each_kind
def test_a_link_or_folder_in_place_of_a_file_is_found_and_named(node: str, kind: str) -> None:
    """Also a link to the same bytes: what is served must not depend on what stands elsewhere."""
    wrong = []
    for path in paths_of(node, kind):
        file = whole() / node / "served" / path
        same = fresh("same")
        same.write_bytes(file.read_bytes())
        for make in (lambda at, same=same: at.symlink_to(same), made_folder, made_dangling_link):
            with without(file):
                make(file)
                wrong += [f"{path}: {what}" for what in found(whole(), path, node)]
    assert not wrong


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("folder", ["own", "mirror", "own/tile", "agreement", "blob"])
def test_a_folder_that_is_gone_or_a_link_is_judged_the_same_by_both(node: str, folder: str) -> None:
    """A node that has not pulled serves no mirror; one that has cannot hide it, for its own entries saw it."""
    place = whole() / node / "served" / folder
    if not place.exists():
        return
    with without(place):
        for nodes in ((node,), NODES):
            ours, theirs = judged(whole(), *nodes)
            assert bool(ours) == bool(theirs), f"entente {ours}, verify.py {theirs}"
    aside = fresh("moved")
    shutil.copytree(place, aside)
    with without(place):
        place.symlink_to(aside)
        ours, theirs = judged(whole(), node)
        assert ours
        assert theirs


# --- whole trees -------------------------------------------------------------------------------------------------


@cache
def older() -> Path:
    """The demo as it was one release earlier."""
    return sample_run().folder


def with_served(changes: dict[str, Path]) -> Path:
    """A copy of the demo in which these nodes serve another tree."""
    folder = copy_of(whole(), fresh("restored"))
    for node, served in changes.items():
        shutil.rmtree(folder / node / "served")
        shutil.copytree(served, folder / node / "served", symlinks=True)
    return folder


@pytest.mark.parametrize("node", NODES)
def test_an_older_tree_of_one_node_is_behind_what_the_other_holds(node: str) -> None:
    folder = with_served({node: older() / node / "served"})
    assert judged(folder, node) == ([], []), "by itself it is a sound tree: only the partner can tell"
    for faults in judged(folder, *NODES):
        assert any(place.startswith(f"{node}/served/own") and "behind" in detail for place, detail in faults), faults


def test_both_trees_older_are_sound_and_say_how_far() -> None:
    """Nobody can tell from the trees alone; the figures show how far they reach."""
    folder = with_served({node: older() / node / "served" for node in NODES})
    assert judged(folder, *NODES) == ([], [])


@pytest.mark.slow
def test_the_register_of_another_demo_is_no_part_of_this_one() -> None:
    """Sound by itself and of the same parties, but under keys and an agreement of its own."""
    stranger = demo().check().folder
    folder = with_served({"IND": stranger / "IND" / "served"})
    assert judged(folder, "IND") == ([], [])
    ours, theirs = judged(folder, *NODES)
    assert ours
    assert theirs


def test_the_two_nodes_trees_exchanged_are_found() -> None:
    folder = with_served({"IND": whole() / "KOR" / "served", "KOR": whole() / "IND" / "served"})
    ours, theirs = judged(folder, *NODES)
    assert bool(ours) == bool(theirs), f"entente {ours}, verify.py {theirs}"
    assert ours


def test_one_nodes_tree_twice_is_found() -> None:
    folder = with_served({"KOR": whole() / "IND" / "served"})
    ours, theirs = judged(folder, *NODES)
    assert bool(ours) == bool(theirs), f"entente {ours}, verify.py {theirs}"
    assert ours


def test_an_empty_or_absent_tree_is_a_fault() -> None:
    for node in NODES:
        folder = with_served({})
        shutil.rmtree(folder / node / "served")
        assert all(judged(folder, *NODES)), judged(folder, *NODES)
        (folder / node / "served").mkdir()
        assert all(judged(folder, *NODES)), judged(folder, *NODES)
        assert all(judged(folder, node))


# --- the commands ------------------------------------------------------------------------------------------------


def both_commands(folder: Path) -> dict[str, Run]:
    """What `entente verify DIR` and `verify.py DIR` do as commands."""
    state = fresh("state")
    running = {
        "entente": start("-m", "entente", "verify", folder, state=state),
        "verify.py": start(ROOT / "verify.py", folder, state=state),
    }
    return {name: one.done() for name, one in running.items()}


def flipped(at: Path) -> None:
    data = bytearray(at.read_bytes())
    data[len(data) // 2] ^= 1
    at.unlink()
    at.write_bytes(data)


@pytest.mark.parametrize(
    "kind",
    [
        "own/checkpoint",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mirror/tile/entries", "agreement", "blob", "own/tile/0")
        ),
    ],
)
def test_the_commands_end_with_three_and_name_the_file(kind: str) -> None:
    folder = copy_of(whole(), fresh("commands"))
    (path, *_) = paths_of("IND", kind)
    flipped(folder / "IND" / "served" / path)
    for name, run in both_commands(folder).items():
        run.check(3)
        lines = [line for line in run.out.split("\n") if line.startswith("FAIL")]
        assert any(path in line or re.search(r"entry \d", line) for line in lines), f"{name}: {lines}"
    for place in (folder / "IND", folder / "KOR"):
        codes = {name: run.code for name, run in both_commands(place).items()}
        assert set(codes.values()) == {3 if place.name == "IND" else 0}, codes


def test_a_copied_demo_is_verified_itself_and_not_what_it_was_copied_from() -> None:
    """Whoever copies a demo's folder, or is handed one, must not be told that another is sound."""
    copy = fresh("copied")
    shutil.copytree(sample_run().folder, copy, symlinks=True)
    for run in both_commands(copy).values():
        run.check(0)
    flipped(copy / "IND" / "served" / "own" / "checkpoint")
    codes = {name: run.code for name, run in both_commands(copy).items()}
    assert set(codes.values()) == {3}, codes


def test_a_moved_demo_is_still_verified() -> None:
    first = fresh("first")
    shutil.copytree(sample_run().folder, first, symlinks=True)
    listing = first / "demo.json"
    listing.write_text(listing.read_text().replace(str(sample_run().folder), str(first)))
    moved = fresh("moved")
    first.rename(moved)
    codes = {name: run.code for name, run in both_commands(moved).items()}
    assert set(codes.values()) == {0}, codes


LISTINGS = ("", "{}", "[]", "null", "{", '{"IND": 1}', '{"IND": {}}', '{"IND": {"dir": 7}}', '{"IND": {"dir": "IND"}}')


@pytest.mark.parametrize(
    "text", [*(pytest.param(text, marks=pytest.mark.slow) for text in LISTINGS[:-1]), LISTINGS[-1]]
)
def test_a_demo_json_that_names_no_two_nodes_does_not_pass(text: str) -> None:
    folder = copy_of(whole(), fresh("listing"))
    (folder / "demo.json").write_text(text)
    for name, run in both_commands(folder).items():
        assert run.code in {2, 3}, f"{name}: {run.all}"
        assert "Traceback" not in run.all, f"{name}: {run.all}"


@pytest.mark.parametrize("kind", ["nothing", "empty", "file"])
def test_what_is_no_node_is_a_usage_error(kind: str) -> None:
    place = fresh(kind)
    if kind == "empty":
        place.mkdir()
    if kind == "file":
        place.write_text("")
    for run in both_commands(place).values():
        run.check(2)
        assert place.name in run.err


def limited(*words: str | Path) -> Run:
    """A command that may take 20 s and 2 GB."""
    code = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)); "
        "resource.setrlimit(resource.RLIMIT_CPU, (20, 20)); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    return start("-c", code, *words).done(within_s=30)


@pytest.mark.parametrize("size", [pytest.param(10_000, marks=pytest.mark.slow), 2**53 - 1])
def test_a_checkpoint_that_claims_a_vast_tree_ends_quickly(size: int) -> None:
    folder = copy_of(whole(), fresh("vast"))
    checkpoint = folder / "IND" / "served" / "own" / "checkpoint"
    origin, _, rest = checkpoint.read_bytes().split(b"\n", 2)
    checkpoint.unlink()
    checkpoint.write_bytes(b"\n".join((origin, str(size).encode(), rest)))
    for words in (["-m", "entente", "verify", folder], [ROOT / "verify.py", folder]):
        run = limited(*words).check(3)
        assert "own/checkpoint" in run.out


def pipe_among_agreements(served: Path) -> None:
    os.mkfifo(served / "agreement" / "extra")


def pipe_for_checkpoint(served: Path) -> None:
    (served / "own" / "checkpoint").unlink()
    os.mkfifo(served / "own" / "checkpoint")


def name_of_no_characters(served: Path) -> None:
    (Path(os.fsdecode(os.fsencode(served) + b"/own/\xff\xfe"))).write_bytes(b"")


def name_that_speaks_to_the_terminal(served: Path) -> None:
    (served / "own" / "\x1b[2J\x1b[1;1Hok          all is well").write_bytes(b"")


def name_of_two_lines(served: Path) -> None:
    (served / "own" / "x\nok          all is well").write_bytes(b"")


def many_folders_deep(served: Path) -> None:
    place = os.open(served, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)


def link_to_itself(served: Path) -> None:
    (served / "own" / "loop").symlink_to(".")


def large_file(served: Path) -> None:
    path = served / "own" / "checkpoint"
    path.unlink()
    with path.open("wb") as file:
        file.truncate(2**40)


HOSTILE = (
    pipe_for_checkpoint,
    name_of_two_lines,
    *(
        pytest.param(make, marks=pytest.mark.slow)
        for make in (
            pipe_among_agreements,
            name_of_no_characters,
            name_that_speaks_to_the_terminal,
            many_folders_deep,
            link_to_itself,
            large_file,
        )
    ),
)


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_tree_ends_with_three_quickly_and_says_nothing_false(make: Callable[[Path], None]) -> None:
    folder = copy_of(whole(), fresh("hostile"))
    make(folder / "IND" / "served")
    try:
        for words in (["-m", "entente", "verify", folder], [ROOT / "verify.py", folder]):
            run = limited(*words).check(3)
            assert "\x1b" not in run.all
            assert "\ufffd" not in run.all, "bytes that are no characters were printed"
            assert not re.search("^ok +all is well", run.out, re.MULTILINE)
    finally:
        subprocess.run(["/bin/rm", "-rf", folder], check=True)  # deeper than shutil.rmtree can go


def test_verify_with_json_prints_one_object() -> None:
    folder = copy_of(whole(), fresh("json"))
    flipped(folder / "KOR" / "served" / "own" / "checkpoint")
    run = entente("verify", folder, "--json").check(3)
    assert run.out.count("\n") == 1
    assert run.result["verified"]["failed"] == len(run.result["faults"]) > 0
    assert all("KOR/served" in fault["place"] for fault in run.result["faults"])
    other = verify_py(folder, "--json").check(3)
    assert other.result["verified"]["failed"] > 0
    assert set(run.result["verified"]) == {"entries", "failed", "heads", "not_checked", "signatures"}
    assert set(other.result["verified"]) == set(run.result["verified"])


def test_both_count_the_same() -> None:
    """Entries, heads and signatures are the same number to two programs that share no line."""
    ours = entente("verify", whole(), "--json").check().result
    theirs = verify_py(whole(), "--json").check().result
    for name in ("entries", "heads", "signatures", "failed"):
        assert ours["verified"][name] == theirs["verified"][name], name
    assert ours["registers"] == theirs["registers"]
