"""A note has one spelling; whatever a lenient parser would let through is refused."""

import base64
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.errors import FormatError, VerificationError
from entente.keys import SoftSigner
from entente.register import note
from entente.register.note import COSIGNATURE, LOG, NoteKey

LOG_SIGNER, MIRROR_SIGNER = SoftSigner(b"\1" * 32), SoftSigner(b"\2" * 32)
NAME, MIRROR = "entente/demo/IND-to-KOR/1", "entente/demo/KOR/mirror"
TEXT = "Grüße, 안녕\n\nthe end\n".encode()
KEYS = [NoteKey(NAME, LOG_SIGNER.public, LOG), NoteKey(MIRROR, MIRROR_SIGNER.public, COSIGNATURE)]
LOG_LINE = note.sign(TEXT, NAME, LOG_SIGNER)
MIRROR_LINE = note.cosign(TEXT, MIRROR, MIRROR_SIGNER, 1_700_000_000)
SIGNED = note.Note(TEXT, (LOG_LINE, MIRROR_LINE)).encode()


def test_a_note_reads_back_and_verifies() -> None:
    parsed = note.parse(SIGNED)
    assert parsed == note.Note(TEXT, (LOG_LINE, MIRROR_LINE))
    assert parsed.encode() == SIGNED
    assert note.check_lines(parsed, KEYS) == [None, 1_700_000_000]


def test_examples_of_the_specification_parse() -> None:
    """The example note of C2SP signed-note and the witnessed checkpoint of tlog-cosignature."""
    for text, line in (
        (
            "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n",
            (
                "— quasimodo.example/salvatore "
                "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
            ),
        ),
        (
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            (
                "— example.com/behind-the-sofa "
                "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
                "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/"
                "zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
            ),
        ),
    ):
        data = f"{text}\n{line}".encode()
        parsed = note.parse(data)
        assert parsed.text == text.encode()
        assert parsed.encode() == data


def test_key_hash_is_made_as_c2sp_says() -> None:
    raw = bytes.fromhex(LOG_SIGNER.public.split(":")[1])
    for key_type in (LOG, COSIGNATURE):
        expected = sha256(NAME.encode() + b"\n" + bytes([key_type]) + raw).digest()[:4]
        assert note.key_hash(NAME, LOG_SIGNER.public, key_type) == expected


def test_the_signed_bytes_are_those_of_c2sp() -> None:
    assert LOG_LINE.signature == LOG_SIGNER.sign(TEXT)
    message = b"cosignature/v1\ntime 1700000000\n" + TEXT
    assert MIRROR_LINE.signature == (1_700_000_000).to_bytes(8, "big") + MIRROR_SIGNER.sign(message)


def test_every_single_bit_flip_is_detected() -> None:
    for bit in range(8 * len(SIGNED)):
        flipped = bytearray(SIGNED)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((FormatError, VerificationError)):
            note.check_lines(note.parse(bytes(flipped)), KEYS)


def test_every_cut_and_every_doubled_byte_is_detected() -> None:
    for place in range(len(SIGNED)):
        for wrong in (SIGNED[:place], SIGNED[: place + 1] + SIGNED[place:]):
            with pytest.raises((FormatError, VerificationError)):
                note.check_lines(note.parse(wrong), KEYS)


BODY, LINE = b"a\nb\n", LOG_LINE.encode()
ENCODED = base64.b64encode(LOG_LINE.hash + LOG_LINE.signature)
DASH = "\u2014 ".encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"a\n", id="no signatures"),
        pytest.param(b"a\n\n", id="empty signature block"),
        pytest.param(BODY + b"\n" + LINE[:-1], id="no line feed at the end"),
        pytest.param(BODY + b"\n" + LINE[:-1] + b"\x0b", id="vertical tab for the last line feed"),
        pytest.param(BODY + b"\n" + LINE[:-1] + b"\x0c", id="form feed for the last line feed"),
        pytest.param(BODY + b"\n" + LINE[:-1] + "\u2028".encode(), id="U+2028 for the last line feed"),
        pytest.param(BODY + b"\n" + LINE[:-1] + "\u0085".encode(), id="U+0085 for the last line feed"),
        pytest.param((BODY + b"\n" + LINE).replace(b"\n", b"\r\n"), id="carriage returns"),
        pytest.param(b"a\x0bb\n\n" + LINE, id="vertical tab in the text"),
        pytest.param(b"a\x00b\n\n" + LINE, id="NUL in the text"),
        pytest.param(b"a\tb\n\n" + LINE, id="tab in the text"),
        pytest.param(b"a\xff\n\n" + LINE, id="not UTF-8"),
        pytest.param(BODY + b"\n" + LINE + b"\n", id="empty line after the signatures"),
        pytest.param(BODY + LINE, id="no empty line"),
        pytest.param(BODY + b"\n" + LINE.replace(DASH, b"- "), id="hyphen for the dash"),
        pytest.param(BODY + b"\n" + LINE.replace(DASH, "\u2013 ".encode()), id="en dash"),
        pytest.param(BODY + b"\n" + LINE.replace(DASH, DASH + b" "), id="two spaces after the dash"),
        pytest.param(BODY + b"\n" + LINE.replace(b" " + ENCODED, b"  " + ENCODED), id="two spaces before base64"),
        pytest.param(BODY + b"\n" + LINE[:-1] + b" \n", id="space after base64"),
        pytest.param(BODY + b"\n" + DASH + ENCODED + b"\n", id="no name"),
        pytest.param(BODY + b"\n" + DASH + b"a+b " + ENCODED + b"\n", id="plus in the name"),
        pytest.param(BODY + b"\n" + DASH + "a\u00a0b ".encode() + ENCODED + b"\n", id="no-break space in the name"),
        pytest.param(BODY + b"\n" + DASH + "a\u3000b ".encode() + ENCODED + b"\n", id="wide space in the name"),
        pytest.param(BODY + b"\n" + DASH + b"a " + ENCODED[:20] + b"*" + ENCODED[20:] + b"\n", id="junk in base64"),
        pytest.param(BODY + b"\n" + DASH + b"a " + ENCODED.rstrip(b"=") + b"\n", id="no padding"),
        pytest.param(BODY + b"\n" + DASH + b"a " + ENCODED + b"====\n", id="more padding"),
        pytest.param(BODY + b"\n" + DASH + b"a AAAAAAB=\n", id="trailing bits that mean nothing"),
        pytest.param(BODY + b"\n" + DASH + b"a AAAA-_AA\n", id="the URL alphabet"),
        pytest.param(BODY + b"\n" + DASH + "a AAAAAAA\uff21\n".encode(), id="a wide letter in base64"),
        pytest.param(BODY + b"\n" + DASH + b"a \n", id="empty signature"),
        pytest.param(BODY + b"\n" + DASH + b"a AAAAAA==\n", id="nothing but a key hash"),
        pytest.param(BODY + b"\n" + LINE * 17, id="seventeen lines"),
        pytest.param(b"a" * 65_536 + b"\n\n" + LINE, id="too long"),
    ],
)
def test_a_lenient_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        note.parse(data)


def test_sixteen_lines_and_odd_text_are_taken() -> None:
    assert len(note.parse(BODY + b"\n" + LINE * 16).lines) == 16
    for text in ("\u2028\n", "\u0085\n", "\n", "a\n\n\nb\n", "a\n\n", "\u2014 x AAAAAAA=\n"):
        data = text.encode() + b"\n" + LINE
        parsed = note.parse(data)
        assert parsed.text == text.encode()
        assert parsed.encode() == data


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"\n", b"\n\n", DASH, b"a ", b"AAAAAAA=", b"AAAAAAB=", b" ", LINE, b"x"])).map(b"".join)
)
def test_what_parses_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        parsed = note.parse(data)
    except FormatError:
        return
    assert parsed.encode() == data


def test_only_the_expected_lines_in_their_order_pass() -> None:
    other = note.sign(TEXT, NAME, MIRROR_SIGNER)
    for lines in (
        (),
        (LOG_LINE,),
        (MIRROR_LINE, LOG_LINE),
        (LOG_LINE, MIRROR_LINE, other),
        (LOG_LINE, LOG_LINE),
        (LOG_LINE, MIRROR_LINE, MIRROR_LINE),
        (other, MIRROR_LINE),
        (note.sign(TEXT, MIRROR, LOG_SIGNER), MIRROR_LINE),
        (LOG_LINE, note.sign(TEXT, MIRROR, MIRROR_SIGNER)),
        (note.sign(TEXT + b"x\n", NAME, LOG_SIGNER), MIRROR_LINE),
        (note.Line(NAME, LOG_LINE.hash, LOG_LINE.signature + b"\0"), MIRROR_LINE),
        (LOG_LINE, note.Line(MIRROR, MIRROR_LINE.hash, MIRROR_LINE.signature[:8])),
        (LOG_LINE, note.Line(MIRROR, MIRROR_LINE.hash, bytes(8) + MIRROR_LINE.signature[8:])),
    ):
        with pytest.raises(VerificationError):
            note.check_lines(note.Note(TEXT, lines), KEYS)
    strange = NoteKey(NAME, LOG_SIGNER.public, 0x02)
    with pytest.raises(VerificationError):
        note.check_line(TEXT, note.Line(NAME, strange.hash, LOG_LINE.signature), strange)


def test_a_time_beyond_63_bits_is_refused() -> None:
    for time_s in (-1, 2**63):
        with pytest.raises(FormatError):
            note.cosign(TEXT, MIRROR, MIRROR_SIGNER, time_s)
    late = 2**63
    message = b"cosignature/v1\ntime %d\n" % late + TEXT
    line = note.Line(MIRROR, MIRROR_LINE.hash, late.to_bytes(8, "big") + MIRROR_SIGNER.sign(message))
    with pytest.raises(VerificationError):
        note.check_line(TEXT, line, KEYS[1])
    newest = note.cosign(TEXT, MIRROR, MIRROR_SIGNER, 2**63 - 1)
    assert note.check_line(TEXT, newest, KEYS[1]) == 2**63 - 1


def test_verifier_keys_read_back_in_one_spelling() -> None:
    for key in KEYS:
        text = note.format_vkey(key)
        assert note.parse_vkey(text) == key
        for wrong in (
            text + "=",
            text[:-1],
            " " + text,
            text.replace("+", "+0", 1),
            "x" + text,
            text.split("+")[0],
            "",
        ):
            with pytest.raises(FormatError):
                note.parse_vkey(wrong)
    with pytest.raises(FormatError):
        note.key_hash(NAME, "x25519:" + "00" * 32, LOG)
