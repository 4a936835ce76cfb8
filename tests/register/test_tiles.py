"""Tile paths have one spelling, bundles hold exactly their entries, and no segment crosses a bundle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import FormatError
from entente.register.tiles import (
    ENTRIES,
    Tile,
    changed_bundles,
    changed_tiles,
    pack,
    parse_path,
    partial_tiles,
    segments,
    split,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(2, 1_234_067), "tile/2/x001/x234/067"),
        (Tile(0, 1000, 255), "tile/0/x001/000.p/255"),
        (Tile(63, 999, 1), "tile/63/999.p/1"),
        (Tile(ENTRIES, 1_000_000, 8), "tile/entries/x001/x000/000.p/8"),
    ],
)
def test_paths_are_those_of_c2sp(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_path(path) == tile
    assert parse_path(tile.full.path).width == 256


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/-1/000", "tile/data/000",
        "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/x000/001", "tile/0/001/002",
        "tile/0/x001", "/tile/0/000", "tile/0/000/", "tile/0/000\n", "tile/0/\u0660\u0660\u0660", "tile/0/../000", "",
    ],
)  # fmt: skip
def test_another_spelling_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_path(path)


@given(st.builds(Tile, st.integers(-1, 63), st.integers(0, 2**60), st.integers(1, 256)))
def test_every_tile_path_reads_back(tile: Tile) -> None:
    assert parse_path(tile.path) == tile


@given(st.lists(st.binary(max_size=300), max_size=20), st.data())
def test_bundles_read_back_and_nothing_else_does(entries: list[bytes], data: st.DataObject) -> None:
    bundle = pack(entries)
    assert split(bundle, len(entries)) == entries
    for wrong in (bundle + b"\0", bundle[:-1], bundle + b"\0\0"):
        if wrong != bundle:
            with pytest.raises(FormatError):
                split(wrong, len(entries))
    with pytest.raises(FormatError):
        split(bundle, len(entries) + data.draw(st.sampled_from([-1, 1])))
    assert pack(split(bundle, len(entries))) == bundle


def test_an_entry_of_65536_bytes_is_refused() -> None:
    assert split(pack([bytes(65_535)]), 1) == [bytes(65_535)]
    with pytest.raises(FormatError):
        pack([bytes(65_536)])


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_segments_cover_the_range_and_cross_no_bundle(start: int, count: int) -> None:
    parts = list(segments(start, count))
    assert [i for first, n in parts for i in range(first, first + n)] == list(range(start, start + count))
    assert all(n and first // 256 == (first + n - 1) // 256 for first, n in parts)
    assert len(parts) == len(changed_bundles(start, start + count))


@given(st.integers(0, 2**40))
def test_partial_tiles_are_the_partial_ones_of_a_checkpoint(size: int) -> None:
    step = max(0, size - 1)
    newest = [*changed_tiles(step, size), *changed_bundles(step, size)]
    partial = partial_tiles(size)
    assert {t for t in newest if t.width < 256} <= set(partial)
    assert all(t.width == (size >> 8 * max(0, t.level)) % 256 > 0 for t in partial)
    assert all(t.index == (size >> 8 * max(0, t.level)) // 256 for t in partial)


@given(st.integers(0, 70_000))
def test_partial_tiles_miss_none(size: int) -> None:
    everything = [*changed_tiles(0, size), *changed_bundles(0, size)]
    assert sorted(t for t in everything if t.width < 256) == sorted(partial_tiles(size))
