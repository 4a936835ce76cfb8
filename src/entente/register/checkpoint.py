"""Checkpoints: what a register was at one size, signed by its log and, in a mirror, cosigned by the partner.

Opening one demands exactly the signature lines that are expected, in their order. There is no lenient way in: a line
nobody asked for may be a second history.
"""

import base64
import re
from collections.abc import Sequence

import msgspec

from entente.errors import FormatError, VerificationError
from entente.keys import Signer
from entente.register import note
from entente.register.note import COSIGNATURE, LOG, NoteKey
from entente.register.tree import EMPTY_ROOT, HASH_BYTES
from entente.strict import MAX_INTEGER

_LINES = 3
_SIZE = re.compile(rb"0|[1-9][0-9]{0,15}").fullmatch


class Checkpoint(msgspec.Struct, frozen=True):
    """A register's name, size and root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """The three lines that are signed; FormatError if they could not be read back.

        Source: C2SP tlog-checkpoint, Note text.
        """
        text = b"%b\n%d\n%b\n" % (self.origin.encode(), self.size, base64.b64encode(self.root))
        if parse_text(text) != self:
            raise FormatError(f"origin {self.origin!r} cannot stand in a checkpoint")
        return text


class Cosigned(msgspec.Struct, frozen=True):
    """A checkpoint that a mirror has cosigned, and when it did: POSIX seconds by the cosigner's clock."""

    checkpoint: Checkpoint
    time_s: int


class Opened(msgspec.Struct, frozen=True):
    """A verified checkpoint, its text, and for each signature line the cosigner's time (None for a log's)."""

    checkpoint: Checkpoint
    text: bytes
    times_s: tuple[int | None, ...]


def parse_text(text: bytes) -> Checkpoint:
    """The checkpoint in a note's text: three lines and no extension line, or FormatError."""
    lines = text.split(b"\n")
    if len(lines) != _LINES + 1 or lines[-1]:
        raise FormatError("the text is not three lines", place="checkpoint")
    try:
        origin, encoded = lines[0].decode(), lines[2].decode("ascii")
    except UnicodeDecodeError as fault:
        raise FormatError(f"a line is not text: {fault.reason}", place="checkpoint") from None
    note.check_name(origin)
    if not _SIZE(lines[1]) or int(lines[1]) >= MAX_INTEGER:
        raise FormatError(f"{lines[1][:24]!r} is not a size", place="checkpoint")
    size, root = int(lines[1]), note.decode_base64(encoded)
    if len(root) != HASH_BYTES or (size == 0) != (root == EMPTY_ROOT):
        raise FormatError(f"the root is not one of a tree of size {size}", place="checkpoint")
    return Checkpoint(origin, size, root)


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> bytes:
    """The checkpoint's note with one log line for each signer, in order (two while a log key is replaced)."""
    text = checkpoint.text
    return note.Note(text, tuple(note.sign(text, checkpoint.origin, signer) for signer in signers)).encode()


def cosign_checkpoint(data: bytes, log_keys: Sequence[NoteKey], cosigner: str, signer: Signer, time_s: int) -> bytes:
    """The log's note with this mirror's cosignature line added; the log's own lines are verified first.

    Args:
        data: the log's note, with exactly the lines of `log_keys`.
        log_keys: who must have signed it.
        cosigner: the mirror's name, the only one under which `signer` ever cosigns.
        signer: holds the mirror key.
        time_s: POSIX seconds.
    Raises: FormatError, VerificationError when it is not a checkpoint signed by exactly these keys.
    """
    opened = open_checkpoint(data, log_keys)
    return data + note.cosign(opened.text, cosigner, signer, time_s).encode()


def open_checkpoint(data: bytes, expected: Sequence[NoteKey]) -> Opened:
    """The checkpoint in a note that bears exactly the expected lines in their order.

    The first expected key is the log's: its name must be the checkpoint's origin.
    Raises: FormatError when the bytes are not a checkpoint's note; VerificationError when a line is missing, unknown
    or wrong, or the register is another one. Source: C2SP tlog-checkpoint; design core-spec, exact lines.
    """
    parsed = note.parse(data)
    if not expected or expected[0].type != LOG:
        raise VerificationError("no log key to verify with", place="checkpoint")
    times_s = note.check_lines(parsed, expected)
    checkpoint = parse_text(parsed.text)
    if checkpoint.origin != expected[0].name:
        raise VerificationError(f"is of {checkpoint.origin}, not of {expected[0].name}", place="checkpoint")
    return Opened(checkpoint, parsed.text, tuple(times_s))


def open_own(data: bytes, origin: str, log_key: str) -> Checkpoint:
    """The checkpoint of the register `origin` in a note with its log's line and no other (`own/checkpoint`)."""
    return open_checkpoint(data, [NoteKey(origin, log_key, LOG)]).checkpoint


def open_mirror(data: bytes, origin: str, log_key: str, cosigner: str, mirror_key: str) -> Cosigned:
    """The checkpoint of `origin` in a note with its log's line, then the mirror's, and no other (`mirror/checkpoint`).

    Whether the time is plausible is the caller's question.
    """
    keys = [NoteKey(origin, log_key, LOG), NoteKey(cosigner, mirror_key, COSIGNATURE)]
    opened = open_checkpoint(data, keys)
    return Cosigned(opened.checkpoint, opened.times_s[1] or 0)
