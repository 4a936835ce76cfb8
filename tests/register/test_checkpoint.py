"""A checkpoint opens only with exactly the expected lines; a real log's sixteen checkpoints verify from its entries."""

from pathlib import Path

import pytest

from entente.errors import FormatError, VerificationError
from entente.keys import SoftSigner
from entente.register import note
from entente.register.checkpoint import (
    Checkpoint,
    Cosigned,
    cosign_checkpoint,
    open_checkpoint,
    open_mirror,
    open_own,
    parse_text,
    sign_checkpoint,
)
from entente.register.note import NoteKey
from entente.register.tiles import ENTRIES, Tile, split
from entente.register.tree import EMPTY_ROOT, Tree, leaf_hashes

LOG, MIRROR, OTHER = SoftSigner(b"\1" * 32), SoftSigner(b"\2" * 32), SoftSigner(b"\3" * 32)
ORIGIN, COSIGNER = "entente/demo/IND-to-KOR/1", "entente/demo/KOR/mirror"
POINT = Checkpoint(ORIGIN, 7, b"\x5a" * 32)
OWN = sign_checkpoint(POINT, LOG)
MIRRORED = cosign_checkpoint(OWN, [NoteKey(ORIGIN, LOG.public)], COSIGNER, MIRROR, 1_700_000_000)

# The key of transparency-dev/tessera's testdata log: its hash and sixteen signatures show it to be the right one.
TESSERA = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def test_own_and_mirror_open() -> None:
    assert open_own(OWN, ORIGIN, LOG.public) == POINT
    assert open_mirror(MIRRORED, ORIGIN, LOG.public, COSIGNER, MIRROR.public) == Cosigned(POINT, 1_700_000_000)
    assert MIRRORED.startswith(OWN)
    assert OWN.startswith(
        b"entente/demo/IND-to-KOR/1\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n\xe2\x80\x94 "
    )


def test_an_unknown_extra_line_is_refused() -> None:
    extra = OWN + note.sign(POINT.text, "entente/demo/USA/mirror", OTHER).encode()
    for wrong in (
        lambda: open_own(extra, ORIGIN, LOG.public),
        lambda: open_own(MIRRORED, ORIGIN, LOG.public),
        lambda: open_own(OWN + OWN[OWN.index(b"\n\n") + 2 :], ORIGIN, LOG.public),
        lambda: open_mirror(extra, ORIGIN, LOG.public, COSIGNER, MIRROR.public),
        lambda: open_mirror(OWN, ORIGIN, LOG.public, COSIGNER, MIRROR.public),
        lambda: open_mirror(MIRRORED, ORIGIN, LOG.public, COSIGNER, OTHER.public),
        lambda: open_mirror(MIRRORED, ORIGIN, OTHER.public, COSIGNER, MIRROR.public),
        lambda: open_mirror(MIRRORED, ORIGIN, LOG.public, "entente/demo/IND/mirror", MIRROR.public),
        lambda: open_own(OWN, "entente/demo/KOR-to-IND/1", LOG.public),
        lambda: open_own(OWN, ORIGIN, OTHER.public),
        lambda: open_checkpoint(OWN, []),
        lambda: cosign_checkpoint(extra, [NoteKey(ORIGIN, LOG.public)], COSIGNER, MIRROR, 0),
    ):
        with pytest.raises(VerificationError):
            wrong()


def test_a_text_signed_by_the_right_key_for_another_origin_is_refused() -> None:
    text = Checkpoint("entente/demo/IND-to-KOR/2", 7, POINT.root).text
    data = note.Note(text, (note.sign(text, ORIGIN, LOG),)).encode()
    with pytest.raises(VerificationError):
        open_own(data, ORIGIN, LOG.public)


def test_a_replaced_log_key_signs_beside_the_old_one() -> None:
    both = sign_checkpoint(POINT, LOG, OTHER)
    keys = [NoteKey(ORIGIN, LOG.public), NoteKey(ORIGIN, OTHER.public)]
    assert open_checkpoint(both, keys).checkpoint == POINT
    for wrong in (keys[:1], keys[1:], keys[::-1]):
        with pytest.raises(VerificationError):
            open_checkpoint(both, wrong)
    cosigned = cosign_checkpoint(both, keys, COSIGNER, MIRROR, 5)
    opened = open_checkpoint(cosigned, [*keys, NoteKey(COSIGNER, MIRROR.public, note.COSIGNATURE)])
    assert (opened.times_s, opened.text) == ((None, None, 5), POINT.text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"o\n7\n",
        b"o\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=",
        b"o\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\nextension\n",
        b"o\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n",
        b"o\n07\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n+7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n 7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n-7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n7_0\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        "o\n\u0667\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n".encode(),
        b"o\n9007199254740992\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n99999999999999999999999\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlp=\n",
        b"o\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWg==\n",
        b"o\n0\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        b"\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o o\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"\xff\n7\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
        b"o\n7\n\xffWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
    ],
)
def test_another_text_is_no_checkpoint(text: bytes) -> None:
    with pytest.raises(FormatError):
        parse_text(text)


def test_what_could_not_be_read_back_is_not_signed() -> None:
    for point in (
        Checkpoint("a b", 7, POINT.root),
        Checkpoint("a\nb", 7, POINT.root),
        Checkpoint(ORIGIN, 7, b"\x5a" * 31),
        Checkpoint(ORIGIN, -1, POINT.root),
        Checkpoint(ORIGIN, 0, POINT.root),
        Checkpoint(ORIGIN, 2**53, POINT.root),
    ):
        with pytest.raises(FormatError):
            sign_checkpoint(point, LOG)
    assert open_own(sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), LOG), ORIGIN, LOG.public).size == 0


@pytest.mark.parametrize("size", range(16))
def test_tessera_checkpoints_verify_from_their_entries(published: Path, size: int) -> None:
    folder = published / "tessera-log"
    key = note.parse_vkey(TESSERA)
    point = open_own((folder / f"checkpoint.{size}").read_bytes(), key.name, key.key)
    tree = Tree()
    if size:
        entries = split((folder / Tile(ENTRIES, 0, size).path).read_bytes(), size)
        tree.append(leaf_hashes(entries))
        assert tree.tile(Tile(0, 0, size)) == (folder / Tile(0, 0, size).path).read_bytes()
    assert (point.size, point.root) == (size, tree.root())
