"""Tiles as the served tree names them, and the bundles that hold entries.

A bundle is a big-endian u16 length and the entry's bytes, entry after entry, at most 256 of them. A segment is a part
of a bundle as it is stored: it never crosses a multiple of 256, so a bundle is the concatenation of its segments.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from entente.errors import FormatError

TILE_HEIGHT = 8
TILE_WIDTH = 256
ENTRIES = -1
MAX_LEVEL = 63
_LENGTH_BYTES = 2
_MAX_ENTRY_BYTES = 65_535
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
).fullmatch


class Tile(msgspec.Struct, frozen=True, order=True):
    """One tile file: hashes of `level` 0 and above, or an entry bundle (`level` is ENTRIES). A full one is 256 wide."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The tile's path under the served tree's prefix. Source: C2SP tlog-tiles, Merkle Tree."""
        groups, rest = [f"{self.index % 1000:03}"], self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(reversed(groups))}{suffix}"

    @property
    def full(self) -> "Tile":
        """The full tile that a partial one grows into: what to ask for when the partial one is gone."""
        return Tile(self.level, self.index)


def parse_path(path: str) -> Tile:
    """The tile a path names; FormatError unless the path is the only spelling of it."""
    match = _PATH(path)
    if match:
        level, groups, last, width = match.groups()
        index = int(groups.replace("x", "").replace("/", "") + last)
        tile = Tile(ENTRIES if level == "entries" else int(level), index, int(width) if width else TILE_WIDTH)
        if tile.level <= MAX_LEVEL and tile.path == path:
            return tile
    raise FormatError(f"{path[:80]!r} is not the path of a tile")


def _grown(level: int, old: int, new: int) -> Iterator[Tile]:
    """The tiles of one level that differ between `old` and `new` hashes in it."""
    if new > old:
        for index in range(old // TILE_WIDTH, -(-new // TILE_WIDTH)):
            yield Tile(level, index, min(TILE_WIDTH, new - TILE_WIDTH * index))


def changed_tiles(old: int, new: int) -> list[Tile]:
    """The hash tiles to write when a tree grows from `old` to `new` leaves, at their widths for `new`; lowest first.

    From 0 these are all hash tiles of a checkpoint of size `new`. Source: C2SP tlog-tiles, Partial Tiles.
    """
    found: list[Tile] = []
    level = 0
    while new >> TILE_HEIGHT * level:
        found += _grown(level, old >> TILE_HEIGHT * level, new >> TILE_HEIGHT * level)
        level += 1
    return found


def changed_bundles(old: int, new: int) -> list[Tile]:
    """The entry bundles to write when a register grows from `old` to `new` entries."""
    return list(_grown(ENTRIES, old, new))


def partial_tiles(size: int) -> list[Tile]:
    """The partial tiles and bundle of a checkpoint of `size`: the files that a later checkpoint replaces."""
    tiles: list[Tile] = []
    level = 0
    while count := size >> TILE_HEIGHT * level:
        if width := count % TILE_WIDTH:
            tiles.append(Tile(level, count // TILE_WIDTH, width))
        level += 1
    if width := size % TILE_WIDTH:
        tiles.append(Tile(ENTRIES, size // TILE_WIDTH, width))
    return tiles


def segments(start: int, count: int) -> Iterator[tuple[int, int]]:
    """(start, count) of the runs into which `count` entries from index `start` fall; none crosses a bundle's end."""
    end = start + count
    while start < end:
        stop = min(end, start - start % TILE_WIDTH + TILE_WIDTH)
        yield start, stop - start
        start = stop


def pack(entries: Iterable[bytes]) -> bytes:
    """The entries framed as a bundle or a segment of one; FormatError if one is longer than 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > _MAX_ENTRY_BYTES:
            raise FormatError(f"an entry of {len(entry)} bytes does not fit a bundle")
        parts += (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry)
    return b"".join(parts)


def split(data: bytes, count: int) -> list[bytes]:
    """The entries of a bundle or segment; FormatError unless it holds exactly `count` and not a byte more.

    Source: C2SP tlog-tiles, Log entries.
    """
    entries: list[bytes] = []
    position, total = 0, len(data)
    while position < total:
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(data[position:start], "big")
        entries.append(data[start:position])
    if position != total or len(entries) != count:
        raise FormatError(f"entry bundle of {total} bytes does not hold exactly {count} entries")
    return entries
