"""The tree hashes as RFC 6962 says, at every size it ever had, and a batch can be undone."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.errors import CorruptionError, FormatError, StateError, UsageError
from entente.register.tiles import ENTRIES, Tile, changed_tiles
from entente.register.tree import EMPTY_ROOT, Edge, Tree, leaf_hash, leaf_hashes, root_of, root_of_entries

# Certificate Transparency's reference tree (RFC 6962): its eight entries and the root after each.
ENTRY_HEX = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 66_049]


def recursive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962 2.1 writes it, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01" + recursive_root(leaves[:half]) + recursive_root(leaves[half:])).digest()


def some_leaves(count: int) -> list[bytes]:
    """As many different leaf hashes."""
    return [sha256(b"%d" % i).digest() for i in range(count)]


LEAVES = some_leaves(SIZES[-1])


def test_reference_roots_of_rfc_6962() -> None:
    entries = [bytes.fromhex(text) for text in ENTRY_HEX]
    tree = Tree()
    assert tree.root().hex() == EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, (entry, root) in enumerate(zip(entries, ROOTS, strict=True), 1):
        assert tree.append(leaf_hashes([entry])).hex() == root
        assert root_of_entries(entries[:size]).hex() == root
        assert root_of(map(leaf_hash, entries[:size])).hex() == root
        assert recursive_root([leaf_hash(e) for e in entries[:size]]).hex() == root


@pytest.mark.parametrize("size", SIZES)
def test_root_around_tile_borders_is_the_recursive_one(size: int) -> None:
    tree = Tree.from_leaves(b"".join(LEAVES[:size]))
    assert tree.root() == recursive_root(LEAVES[:size]) == root_of(LEAVES[:size])
    tree.check()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6), st.data())
def test_any_split_into_batches_gives_every_earlier_root(batches: list[int], data: st.DataObject) -> None:
    tree, size = Tree(), 0
    for count in batches:
        growth = tree.grown(b"".join(LEAVES[size : size + count]))
        assert tree.size == size, "growing must not change the tree"
        tree.take(growth)
        size += count
        assert tree.root() == growth.root == recursive_root(LEAVES[:size])
    earlier = data.draw(st.integers(0, size))
    assert tree.root(earlier) == recursive_root(LEAVES[:earlier])
    assert Edge.parse(earlier, tree.edge_at(earlier).encode()).root == tree.root(earlier)
    tree.truncate(earlier)
    assert (tree.size, tree.levels) == (earlier, Tree.from_leaves(b"".join(LEAVES[:earlier])).levels)
    more = b"".join(LEAVES[earlier : earlier + 300])
    assert (
        tree.append(more)
        == recursive_root(LEAVES[: earlier + 300])
        == Tree.from_leaves(b"".join(LEAVES[: earlier + 300])).root()
    )
    tree.check()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SIZES) | st.integers(0, 66_000), st.integers(0, 600))
def test_changed_tiles_carry_a_copy_forward(old: int, more: int) -> None:
    """Whoever holds the tiles of `old` and takes the changed ones holds exactly the tiles of `new`."""
    new = min(old + more, len(LEAVES))
    tree = Tree.from_leaves(b"".join(LEAVES[:new]))
    held = {(t.level, t.index): tree.tile(t) for t in changed_tiles(0, old)}
    held |= {(t.level, t.index): tree.tile(t) for t in changed_tiles(old, new)}
    assert held == {(t.level, t.index): tree.tile(t) for t in changed_tiles(0, new)}
    levels = [b"".join(held[k] for k in sorted(held) if k[0] == level) for level in range(tree.levels)]
    copy = Tree.from_levels(levels)
    assert (copy.size, copy.root()) == (new, tree.root())
    copy.check()
    right = [held.get((level, (new >> 8 * level) // 256), b"") for level in range(tree.levels)]
    assert Edge.from_tiles(new, right) == tree.edge


def test_seventy_thousand_leaves_make_the_tiles_that_c2sp_names() -> None:
    tiles = changed_tiles(0, 70_000)
    assert [t.width for t in tiles if t.level == 0] == [256] * 273 + [112]
    assert [(t.level, t.index, t.width) for t in tiles if t.level] == [(1, 0, 256), (1, 1, 17), (2, 0, 1)]


def test_growth_from_another_state_is_refused() -> None:
    tree = Tree.from_leaves(b"".join(LEAVES[:5]))
    growth = tree.grown(LEAVES[5])
    tree.append(LEAVES[6])
    with pytest.raises(StateError):
        tree.take(growth)
    assert tree.root() == recursive_root([*LEAVES[:5], LEAVES[6]])


def test_what_a_tree_never_held_is_refused() -> None:
    tree = Tree.from_leaves(b"".join(LEAVES[:300]))
    for wrong in (
        lambda: tree.root(301),
        lambda: tree.root(-1),
        lambda: tree.leaf(300),
        lambda: tree.tile(Tile(0, 1)),
        lambda: tree.tile(Tile(1, 0, 2)),
        lambda: tree.tile(Tile(2, 0, 1)),
        lambda: tree.tile(Tile(ENTRIES, 0)),
        lambda: tree.truncate(301),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert tree.leaf(299) == LEAVES[299]
    assert tree.tile(Tile(0, 1, 44)) == b"".join(LEAVES[256:300])


def test_bytes_that_are_no_tree_are_refused() -> None:
    leaves = b"".join(LEAVES[:300])
    top = Tree.from_leaves(leaves).tile(Tile(1, 0, 1))
    for wrong in (
        lambda: Tree.from_leaves(leaves[:-1]),
        lambda: Tree.from_levels([leaves]),
        lambda: Tree.from_levels([leaves, top + top]),
        lambda: Tree.from_levels([leaves, top, top]),
        lambda: Tree.from_levels([leaves[:-1], top]),
        lambda: Edge.parse(3, LEAVES[0]),
        lambda: Edge.parse(-1, b""),
        lambda: Edge.from_tiles(300, [b"".join(LEAVES[256:300])]),
        lambda: Edge.from_tiles(300, [b"".join(LEAVES[256:299]), top]),
        lambda: root_of([LEAVES[0], LEAVES[1][:31]]),
    ):
        with pytest.raises(FormatError):
            wrong()


def test_a_rotten_full_tile_is_found_and_named() -> None:
    tree = Tree.from_leaves(b"".join(LEAVES[:1000]))
    levels = [tree.tile(Tile(0, i, min(256, 1000 - 256 * i))) for i in range(4)]
    rotten = bytearray(b"".join(levels))
    rotten[32 * 600] ^= 1
    copy = Tree.from_levels([bytes(rotten), tree.tile(Tile(1, 0, 3))])
    assert copy.root() == tree.root(), "the right edge alone does not show it"
    with pytest.raises(CorruptionError) as fault:
        copy.check()
    assert fault.value.place == "tile/0/002"
