"""The Merkle tree of a register: RFC 6962 hashing, kept as C2SP tiles of height 8.

A hash of level L covers 256**L leaves; level 0 holds the leaf hashes themselves. Everything that grows is a run of
32-byte hashes laid end to end, which is also what a tile file holds, so a tile at any earlier size is a slice. Growing
works one height at a time over a whole batch: every node is hashed once, and the nodes at every eighth height are the
new tile hashes.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import islice
from struct import Struct as Layout

import msgspec

from entente.errors import CorruptionError, FormatError, StateError, UsageError
from entente.register.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
_PAIRS = Layout("64s").iter_unpack
_STREAM_LEAVES = 4096
_FOLD_BYTES = 1024 * HASH_BYTES


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00, entry). Source: RFC 6962 2.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01, left, right). Source: RFC 6962 2.1."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """The leaf hashes of entries, end to end, as `Tree.append` and tiles of level 0 want them."""
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


def _fold(nodes: bytes) -> bytes:
    """The parents of an even number of nodes; nearly all time of this module is spent here.

    Long runs are cut so that the hashes in flight stay few: less memory, and a third less time at a million leaves.
    """
    if len(nodes) > _FOLD_BYTES:
        return b"".join([_fold(nodes[i : i + _FOLD_BYTES]) for i in range(0, len(nodes), _FOLD_BYTES)])
    return b"".join([sha256(b"\x01" + pair).digest() for (pair,) in _PAIRS(nodes)])


class Edge(msgspec.Struct, frozen=True, dict=True):
    """All that is needed to know a tree's root and to go on growing it: about log2(size) hashes.

    `peaks` are the roots of the perfect subtrees that make up the tree, largest first: one for each set bit of `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, size: int, data: bytes) -> "Edge":
        """The edge whose `encode` gave these bytes; FormatError if their length does not fit the size."""
        if size < 0 or len(data) != HASH_BYTES * size.bit_count():
            raise FormatError(f"{len(data)} bytes are not the edge of a tree of size {size}")
        return cls(size, tuple(_hashes(data)))

    @classmethod
    def from_tiles(cls, size: int, partial_tiles: Sequence[bytes]) -> "Edge":
        """The edge of a tree of `size` from its rightmost partial tile of each level, level 0 first (empty if full)."""
        peaks: list[bytes] = []
        for level, data in enumerate(partial_tiles):
            width = (size >> TILE_HEIGHT * level) % TILE_WIDTH
            if len(data) != HASH_BYTES * width:
                raise FormatError(f"partial tile of level {level} holds {len(data)} bytes, not {width} hashes")
            peaks = [*_grow(cls(), data).edge.peaks, *peaks]
        if len(peaks) != size.bit_count():
            raise FormatError(f"the partial tiles given are not those of a tree of size {size}")
        return cls(size, tuple(peaks))

    @cached_property
    def root(self) -> bytes:
        """The RFC 6962 root of the tree."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = node_hash(peak, root)
        return root

    def encode(self) -> bytes:
        """The peaks end to end, for a column or a file."""
        return b"".join(self.peaks)

    def grown(self, leaves: bytes) -> "Growth":
        """What the tree becomes when leaf hashes (end to end) are added; nothing is changed."""
        return _grow(self, leaves)


class Growth(msgspec.Struct, frozen=True):
    """A tree's next state, not yet taken: the new edge and, for each level touched, the hashes that join its tiles."""

    before: Edge
    edge: Edge
    added: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """The root once the growth is taken."""
        return self.edge.root


def _grow(edge: Edge, leaves: bytes) -> Growth:
    """Hash a batch of leaves upward, one height at a time, joining what stood open at the right edge."""
    if len(leaves) % HASH_BYTES:
        raise FormatError(f"{len(leaves)} bytes are not a run of {HASH_BYTES}-byte hashes")
    size, old = edge.size, list(edge.peaks)
    added: list[bytes] = []
    peaks: list[bytes] = []
    nodes, height = leaves, 0
    while nodes:
        if height % TILE_HEIGHT == 0:
            added.append(nodes)
        if size >> height & 1:
            nodes = old.pop() + nodes
        if len(nodes) % (2 * HASH_BYTES):
            peaks.append(nodes[-HASH_BYTES:])
            nodes = nodes[:-HASH_BYTES]
        nodes = _fold(nodes)
        height += 1
    return Growth(edge, Edge(size + len(leaves) // HASH_BYTES, (*old, *reversed(peaks))), tuple(added))


class Tree:
    """An append-only Merkle tree held in memory: 32.13 bytes a leaf.

    A batch whose transaction may fail is first computed with `grown` and taken with `take` once it is durable; a batch
    already taken is undone by `truncate`. Not safe for use by several threads while it grows.
    """

    def __init__(self) -> None:
        self._edge = Edge()
        self._levels: list[bytearray] = []

    @classmethod
    def from_leaves(cls, leaves: bytes) -> "Tree":
        """A tree over leaf hashes laid end to end (tiles of level 0 in order); every node is hashed anew."""
        tree = cls()
        tree.append(leaves)
        return tree

    @classmethod
    def from_levels(cls, levels: Sequence[bytes]) -> "Tree":
        """A tree from the tiles of each level in order, level 0 first; only the right edge is hashed.

        Stored full tiles are trusted until `check` is called; the caller compares `root()` with what was signed.
        Raises: FormatError when the lengths do not belong to one tree.
        """
        tree = cls()
        size = len(levels[0]) // HASH_BYTES if levels else 0
        for level, data in enumerate(levels):
            if len(data) != HASH_BYTES * (size >> TILE_HEIGHT * level):
                raise FormatError(f"level {level} holds {len(data)} bytes; a tree of {size} leaves does not")
        if size >> TILE_HEIGHT * len(levels):
            raise FormatError(f"level {len(levels)} is missing for a tree of {size} leaves")
        tree._levels = [bytearray(data) for data in levels if data]
        tree._edge = Edge(size, tuple(tree._perfect(0, size)))
        return tree

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._edge.size

    @property
    def edge(self) -> Edge:
        """The right edge at the current size."""
        return self._edge

    @property
    def levels(self) -> int:
        """How many levels of tiles there are."""
        return len(self._levels)

    def grown(self, leaves: bytes) -> Growth:
        """What the tree becomes with these leaf hashes (end to end); the tree itself is unchanged."""
        return self._edge.grown(leaves)

    def take(self, growth: Growth) -> None:
        """The tree is what `grown` computed; StateError if it has changed since."""
        if growth.before is not self._edge and growth.before != self._edge:
            raise StateError(f"the tree has {self.size} leaves and is not the one this growth started from")
        self._levels += [bytearray() for _ in range(len(growth.added) - len(self._levels))]
        for data, hashes in zip(self._levels, growth.added, strict=False):
            data.extend(hashes)
        self._edge = growth.edge

    def append(self, leaves: bytes) -> bytes:
        """The new root, after the leaf hashes (end to end) have joined the tree."""
        growth = self.grown(leaves)
        self.take(growth)
        return growth.root

    def truncate(self, size: int) -> None:
        """The tree has its first `size` leaves only, as if the rest had never been taken."""
        edge = self.edge_at(size)
        for level, data in enumerate(self._levels):
            del data[HASH_BYTES * (size >> TILE_HEIGHT * level) :]
        self._levels = [data for data in self._levels if data]
        self._edge = edge

    def edge_at(self, size: int) -> Edge:
        """The right edge that the tree had at `size`; UsageError if it is larger than the tree."""
        self._within(size)
        return self._edge if size == self.size else Edge(size, tuple(self._perfect(0, size)))

    def root(self, size: int | None = None) -> bytes:
        """The root at `size`, now if None; UsageError if the tree has never been so large."""
        return (self._edge if size is None else self.edge_at(size)).root

    def subtree_root(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]) where `start` is a multiple of the power of two not below `end - start`."""
        self._within(end)
        return Edge(end - start, tuple(self._perfect(start, end))).root

    def leaf(self, index: int) -> bytes:
        """The leaf hash at `index`; UsageError if there is none."""
        self._within(index + 1)
        return bytes(self._levels[0][HASH_BYTES * index : HASH_BYTES * (index + 1)])

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a hash tile (level 0 or above) at its width; UsageError if the tree has no such tile."""
        start = HASH_BYTES * TILE_WIDTH * tile.index
        end = start + HASH_BYTES * tile.width
        if not 0 <= tile.level < len(self._levels) or end > len(self._levels[tile.level]):
            raise UsageError(f"a tree of {self.size} leaves has no tile {tile.path}")
        return bytes(self._levels[tile.level][start:end])

    def check(self) -> None:
        """Every tile above level 0 is what the level below hashes to; CorruptionError names the first that is not."""
        for level, data in enumerate(self._levels[1:], 1):
            below = self._levels[level - 1]
            for index in range(len(data) // HASH_BYTES):
                start = HASH_BYTES * TILE_WIDTH * index
                (peak,) = _grow(Edge(), bytes(below[start : start + HASH_BYTES * TILE_WIDTH])).edge.peaks
                if peak != data[HASH_BYTES * index : HASH_BYTES * (index + 1)]:
                    tile = Tile(level - 1, index)
                    raise CorruptionError("does not hash to the tile above it", place=tile.path)

    def _within(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise UsageError(f"a tree of {self.size} leaves has no state of size {size}")

    def _perfect(self, start: int, end: int) -> Iterator[bytes]:
        """The roots of the perfect subtrees that make up [start, end), largest first."""
        while start < end:
            height = (end - start).bit_length() - 1
            level, above = divmod(height, TILE_HEIGHT)
            first = HASH_BYTES * (start >> TILE_HEIGHT * level)
            nodes = bytes(self._levels[level][first : first + (HASH_BYTES << above)])
            for _ in range(above):
                nodes = _fold(nodes)
            yield nodes
            start += 1 << height


def _hashes(data: bytes) -> list[bytes]:
    """A run of hashes, cut apart."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The RFC 6962 root over 32-byte leaf hashes, read as a stream: memory does not grow with their number.

    Raises: FormatError when one is not 32 bytes.
    """
    edge, stream = Edge(), iter(leaves)
    while batch := list(islice(stream, _STREAM_LEAVES)):
        if any(len(leaf) != HASH_BYTES for leaf in batch):
            raise FormatError(f"a leaf hash is not {HASH_BYTES} bytes")
        edge = edge.grown(b"".join(batch)).edge
    return edge.root


def root_of_entries(entries: Iterable[bytes]) -> bytes:
    """The RFC 6962 root over entries given as their bytes, read as a stream."""
    return root_of(map(leaf_hash, entries))
