"""A payload gives back exactly its records, and anything but the very bytes that were approved is refused."""

import hashlib
import hmac
import struct
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.crossing import payload
from entente.crossing.payload import Item, Listing, Payload, build, commit, content, padme
from entente.errors import EntenteError, FormatError
from entente.register.proof import check_inclusion, inclusion_proof
from entente.register.tree import EMPTY_ROOT, Tree, leaf_hash, leaf_hashes, root_of_entries
from entente.strict import canonical, encode
from entente.treaty.marking import Marking
from entente.treaty.record import Record, whole

MARKS = (Marking((), "SECRET", "AAA", "defence", ("AAA", "BBB")), Marking(("IP",), "CLEAR", "AAA", "defence", ("AAA",)))
SALT = bytes(range(32))
RECORDS = [
    (b'{"a":1}', "application/json", 0, None),
    (b"", "text/plain", 1, "ab" * 32),
    (b"\x80\x00\x00", "image/png", 0, None),
]


Row = tuple[bytes, str, int, str | None]


def made_of(rows: Iterable[Row], markings: Sequence[Marking] = MARKS) -> Payload:
    """A payload of (bytes, media type, marking index, previous digest)."""
    return build(((Record(data, media, "", ""), mark, prev) for data, media, mark, prev in rows), markings)


def open_payload(data: bytes, step: int = 1 << 20, held: int = payload.HELD) -> tuple[Listing, list[bytes]]:
    """What a reader finds that gets the plaintext in pieces of `step` bytes."""
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    listing, bodies = payload.open_payload(pieces, lambda start, end: iter([data[start:end]]), held=held)
    return listing, [whole(body) for body in bodies]


def plain(made: Payload) -> bytes:
    return b"".join(made.pieces())


def sealed(listing: object, bodies: bytes) -> bytes:
    """A payload made by hand from any list."""
    text = canonical(listing)
    data = len(text).to_bytes(8, "big") + text + bodies + b"\x80"
    return data.ljust(padme(len(data)), b"\x00")


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=300),
            st.sampled_from(["a/b", "text/plain"]),
            st.integers(0, 1),
            st.none() | st.just("cd" * 32),
        )
    )
)
def test_records_come_back_in_order_and_exact(records: list[tuple[bytes, str, int, str | None]]) -> None:
    made = made_of(records, MARKS)
    data = plain(made)
    assert len(data) == made.padded == padme(made.size + 1)
    listing, bodies = open_payload(data)
    assert bodies == [record[0] for record in records]
    assert listing == made.listing
    assert [(item.media, item.marking, item.prev) for item in listing.records] == [
        (media, mark, prev if prev is not None else msgspec.UNSET) for _, media, mark, prev in records
    ]
    assert open_payload(data, step=7, held=0)[1] == bodies


def test_the_bytes_are_those_of_the_format() -> None:
    made = made_of([(b"hi", "text/plain", 0, None)], MARKS[:1])
    mark = '{"caveats":[],"level":"SECRET","originator":"AAA","purpose":"defence","releasable_to":["AAA","BBB"]}'
    digest = hashlib.sha256(b"hi").hexdigest()
    item = f'{{"marking":0,"media":"text/plain","sha256":"{digest}","size":2}}'
    text = f'{{"markings":[{mark}],"records":[{item}],"v":1}}'.encode()
    data = struct.pack(">Q", len(text)) + text + b"hi" + b"\x80"
    assert plain(made) == data.ljust(padme(len(data)), b"\x00")


def test_a_long_padding_comes_in_pieces_and_whole() -> None:
    made = made_of([(bytes(40_000_000), "x/y", 0, None)], MARKS)
    sizes = [len(piece) for piece in made.pieces()]
    assert sum(sizes) == made.padded
    assert max(sizes[3:]) <= 1 << 20


def test_every_flipped_bit_changes_the_content_and_never_gives_the_same_release() -> None:
    made = made_of(RECORDS, MARKS)
    data = plain(made)
    approved, records = content(SALT, [data]), commit(SALT, made.listing)
    opened = 0
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            assert content(SALT, [bytes(changed)]) != approved
            try:
                listing, bodies = open_payload(bytes(changed))
            except EntenteError:
                continue
            opened += 1  # another media type, marking or previous digest: a well-formed list, but not the one approved
            assert commit(SALT, listing) != records or listing.markings != made.listing.markings
            assert bodies == [record[0] for record in RECORDS]
    assert opened > 0


def test_every_truncation_and_extension_is_refused() -> None:
    data = plain(made_of(RECORDS, MARKS))
    for size in range(len(data)):
        with pytest.raises(EntenteError):
            open_payload(data[:size])
    for tail in (b"\x00", b"\x80", bytes(9)):
        with pytest.raises(EntenteError):
            open_payload(data + tail)


def test_every_flipped_byte_outside_the_list_is_refused_by_the_payload_itself() -> None:
    made = made_of(RECORDS, MARKS)
    data = plain(made)
    for place in [*range(8), *range(len(made.head), len(data))]:
        changed = bytearray(data)
        changed[place] ^= 0x41
        with pytest.raises(EntenteError):
            open_payload(bytes(changed))


GOOD = {
    "markings": msgspec.to_builtins(MARKS),
    "records": [{"marking": 0, "media": "a/b", "sha256": hashlib.sha256(b"xy").hexdigest(), "size": 2}],
}


def test_a_list_made_by_hand_opens_if_it_is_right() -> None:
    assert open_payload(sealed({**GOOD, "v": 1}, b"xy"))[1] == [b"xy"]


@pytest.mark.parametrize(
    ("change", "bodies"),
    [
        ({"v": 2}, b"xy"),
        ({"v": True}, b"xy"),
        ({"more": 1}, b"xy"),
        ({"records": {}}, b"xy"),
        ({"markings": []}, b"xy"),
        ({"markings": [{**GOOD["markings"][0], "releasable_to": ["BBB", "AAA"]}]}, b"xy"),
        ({"markings": [{**GOOD["markings"][0], "extra": 1}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "marking": 2}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "marking": -1}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "size": 3}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "size": 1}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "size": 2**53 - 1}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "size": -2}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "sha256": "AB" * 32}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "prev": "ab"}]}, b"xy"),
        ({"records": [{**GOOD["records"][0], "title": "secret"}]}, b"xy"),
        ({"records": [GOOD["records"][0], GOOD["records"][0]]}, b"xy"),
        ({"records": []}, b"xy"),
        ({}, b"xz"),
        ({}, b"xyz"),
        ({}, b"xy\x00"),
        ({}, b"x"),
        ({}, b""),
    ],
)
def test_a_list_that_does_not_fit_is_refused(change: dict[str, object], bodies: bytes) -> None:
    with pytest.raises(EntenteError):
        open_payload(sealed({**GOOD, "v": 1, **change}, bodies))


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**6, 0, 1])
def test_a_length_that_lies_is_refused(length: int) -> None:
    data = plain(made_of(RECORDS, MARKS))
    with pytest.raises(FormatError):
        open_payload(length.to_bytes(8, "big") + data[8:])


def test_padding_to_another_length_than_padme_is_refused() -> None:
    made = made_of([(b"x" * 1000, "a/b", 0, None)], MARKS)
    data = plain(made)
    bare = data.rstrip(b"\x00")
    for other in (bare, data + bytes(padme(len(data) + 1) - len(data)), bare.ljust(2048, b"\x00")):
        if other != data:
            with pytest.raises(FormatError):
                open_payload(other)


@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    with pytest.raises(EntenteError):
        open_payload(data)


# Padmé


@pytest.mark.parametrize(
    ("length", "padded"),
    [
        (0, 0),
        (1, 1),
        (2, 2),
        (8, 8),
        (9, 10),
        (10, 10),
        (11, 12),
        (16, 16),
        (17, 18),
        (33, 36),
        (100, 104),
        (129, 144),
        (1000, 1024),
        (1025, 1088),
        (1_000_000, 1_015_808),
        (2**20 + 1, 2**20 + 2**15),
        (10**9, 1_006_632_960),
    ],
)
def test_padme_vectors(length: int, padded: int) -> None:
    assert padme(length) == padded


def paper(length: int) -> int:
    """Algorithm 1 of the PURBs paper, as printed."""
    exponent = length.bit_length() - 1
    steps = exponent.bit_length()
    last = exponent - steps
    mask = (1 << last) - 1
    return (length + mask) & ~mask


@given(st.integers(2, 2**48))
def test_padme_is_that_of_the_paper_at_most_12_percent_and_settled(length: int) -> None:
    padded = padme(length)
    assert padded == paper(length)
    assert length <= padded <= length * 1.12
    assert padme(padded) == padded


@given(st.integers(0, 2**40), st.integers(0, 2**20))
def test_padme_never_falls(length: int, more: int) -> None:
    assert padme(length) <= padme(length + more)


def test_padme_is_monotone_and_reveals_few_lengths() -> None:
    sizes = [padme(length) for length in range(1, 70_000)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) < 200


# Commitments


def test_one_commitment_is_opened_alone() -> None:
    """With the release's salt, one list item, its place and a path, and nothing of the other records."""
    records = [(bytes([i]) * i, "a/b", 0, None) for i in range(11)]
    made = made_of(records, MARKS)
    root = commit(SALT, made.listing)
    key = hmac.digest(SALT, b"entente/record/v1", "sha256")
    leaves = [
        hmac.digest(key, i.to_bytes(8, "big") + encode(item), "sha256") for i, item in enumerate(made.listing.records)
    ]
    assert (root.count, root.root) == (11, root_of_entries(leaves).hex())
    for i, item in enumerate(made.listing.records):
        alone = hmac.digest(key, i.to_bytes(8, "big") + encode(item), "sha256")
        path = inclusion_proof(Tree.from_leaves(leaf_hashes(leaves)), i, len(leaves))
        check_inclusion(leaf_hash(alone), i, 11, path, bytes.fromhex(root.root))
        other = hmac.digest(key, (i + 1).to_bytes(8, "big") + encode(item), "sha256")
        with pytest.raises(EntenteError):
            check_inclusion(leaf_hash(other), i, 11, path, bytes.fromhex(root.root))


def test_commitments_depend_on_salt_place_and_every_field() -> None:
    item = Item(0, "a/b", "ab" * 32, 5)
    base = commit(SALT, Listing(MARKS, (item, item)))
    seen = {base.root}
    for other in (
        commit(bytes(32), Listing(MARKS, (item, item))),
        commit(SALT, Listing(MARKS, (item,))),
        *(
            commit(SALT, Listing(MARKS, (msgspec.structs.replace(item, **change), item)))
            for change in ({"marking": 1}, {"media": "a/c"}, {"sha256": "cd" * 32}, {"size": 6}, {"prev": "ab" * 32})
        ),
        commit(SALT, Listing(MARKS, (item, Item(1, "a/b", "ab" * 32, 5)))),
    ):
        assert other.root not in seen
        seen.add(other.root)
    assert commit(SALT, Listing(MARKS, ())).root == EMPTY_ROOT.hex()


def test_the_content_is_the_hmac_of_the_whole_in_any_pieces() -> None:
    data = plain(made_of(RECORDS, MARKS))
    assert content(SALT, [data]) == hmac.digest(SALT, data, "sha256").hex()
    assert content(SALT, (data[i : i + 7] for i in range(0, len(data), 7))) == content(SALT, [data])
    assert content(bytes(32), [data]) != content(SALT, [data])
