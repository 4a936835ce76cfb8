"""A partner that lies, forks, swaps, bloats or falls silent: what is proven is taken, what is not changes nothing.

Each cheat is signed with the keys that the cheater really has (`lab/cheat.py`); a courier without keys is `Tampered`.
"""

import hashlib
import os
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stix_objects import as_bytes, identifier, indicator

from entente.crossing import payload
from entente.errors import (
    BehindError,
    CorruptionError,
    EntenteError,
    ForkError,
    FormatError,
    PartnerError,
    VerificationError,
)
from entente.keys import SoftSigner
from entente.node.node import Node
from entente.node.pull import Pulled
from entente.node.served import FolderTree
from entente.register.checkpoint import Checkpoint, sign_checkpoint
from entente.register.entry import Seen
from entente.strict import canonical, time_text
from entente.treaty.record import Record
from lab.cheat import APPROVERS, MEDIA, Cheat
from lab.pair import Change, Pair, Tampered, answers, flip, given, gone, heads, sighted, signs_nothing, state, unchanged

JOURNAL = ("journal",)


@pytest.fixture
def cheat(pair: Pair) -> Cheat:
    """IND, the sender, in the hands of a cheat; KOR is honest."""
    return Cheat(pair, pair.a)


def settle(pair: Pair, cheat: Cheat, polls: int = 3) -> Pulled:
    """The honest side pulls what the cheat serves and answers, several times; returns the last pull."""
    tree = cheat.publish()
    for _ in range(polls - 1):
        pair.b.pull(tree)
        pair.b.answer()
    pulled = pair.b.pull(tree)
    pair.b.answer()
    return pulled


def only(pair: Pair, outcome: str, idx: int) -> None:
    """The honest side gave exactly this one answer, opened nothing, and can still sign."""
    assert answers(pair.b) == [(outcome, [[idx, idx]])]
    assert pair.b.view.raw.execute("SELECT count(*) FROM thing").fetchone()[0] == 0
    pair.b.check_may_sign()
    assert not pair.b.side.invalid


def lists(pair: Pair, *indices: int) -> None:
    """The honest side lists exactly these of the cheat's entries as invalid."""
    assert [bad.idx for bad in pair.b.other_side.invalid] == list(indices)


# A lying `seen`


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda seen: Seen(seen.epoch, seen.size + 1, seen.root), id="too large"),
        pytest.param(lambda seen: Seen(seen.epoch, 2**52, seen.root), id="absurdly large"),
        pytest.param(lambda seen: Seen(seen.epoch, seen.size, "ab" * 32), id="another root"),
        pytest.param(lambda seen: Seen(seen.epoch + 1, seen.size, seen.root), id="another epoch"),
        pytest.param(lambda seen: Seen(seen.epoch, 0, hashlib.sha256(b"").hexdigest()), id="falling"),
    ],
)
def test_a_lying_seen_spoils_its_own_entry_and_no_other(pair: Pair, cheat: Cheat, lie: Callable[[Seen], Seen]) -> None:
    """Both can see: the lying entry is listed, invalid and never answered; the honest one after it is received."""
    first = cheat.release(sighted(first=9))
    lying = cheat.release(seen=lie(cheat.seen))
    honest = cheat.release(sighted(first=5))
    settle(pair, cheat)
    lists(pair, lying.idx)
    assert answers(pair.b) == [("received", [[first.idx, first.idx], [honest.idx, honest.idx]])]


def test_a_seen_beyond_ours_stays_a_lie_when_we_have_grown(pair: Pair, cheat: Cheat) -> None:
    """Both can see: what claimed to have seen our future is invalid, now, after we have grown, and after a restart."""
    honest = cheat.release()
    lying = cheat.release(sighted(first=5), seen=Seen(1, cheat.seen.size + 1, "ab" * 32))
    settle(pair, cheat)
    assert pair.b.side.size == cheat.seen.size + 1
    lists(pair, lying.idx)
    pair.b.view.raw.execute("DELETE FROM saved_fold")
    pair.open("KOR")
    pair.b.view.raw.execute("DELETE FROM saved_fold")
    pair.b.reload()
    lists(pair, lying.idx)
    assert answers(pair.b) == [("received", [[honest.idx, honest.idx]])]


# Damage is not a fork


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        pytest.param("own/tile/entries/*", flip(9), id="an entry's byte"),
        pytest.param("own/tile/entries/*", flip(-1), id="the last byte of an entry"),
        pytest.param("own/tile/entries/*", flip(0), id="a length"),
        pytest.param("own/tile/entries/*", lambda data: data and data[:-1], id="a bundle cut short"),
        pytest.param("own/tile/entries/*", lambda data: data and data + b"\0\0", id="a bundle too long"),
        pytest.param("own/tile/entries/*", gone, id="no bundle"),
        pytest.param("own/tile/0/*", flip(-1), id="the last leaf hash"),
        pytest.param("own/tile/0/*", flip(0), id="a leaf hash held already"),
        pytest.param("own/tile/0/*", lambda data: data and data[:-32], id="a tile cut short"),
        pytest.param("own/tile/0/*", lambda data: data and data[:-1], id="a tile cut askew"),
        pytest.param("own/tile/0/*", gone, id="no tile"),
        pytest.param("own/tile/0/*", given(b""), id="an empty tile"),
        pytest.param("own/checkpoint", flip(-5), id="the head's signature"),
        pytest.param("own/checkpoint", flip(45), id="the head's text"),
        pytest.param("own/checkpoint", given(b""), id="an empty head"),
        pytest.param("own/checkpoint", given(b"\xff\xfe nonsense"), id="no head at all"),
        pytest.param("own/checkpoint", lambda data: data and data + data.rpartition(b"\n\n")[2], id="a line twice"),
    ],
)
def test_damage_on_the_way_changes_nothing_and_heals_by_fetching_again(
    pair: Pair, pattern: str, change: Change
) -> None:
    """The damaged pull leaves the receiver as it was, not frozen and without evidence.

    The next clean one brings everything.
    """
    done = pair.release(pair.a)
    with unchanged(pair.b), pytest.raises((CorruptionError, FormatError, VerificationError)) as fault:
        pair.b.pull(Tampered(pair.tree(pair.a), (pattern, change)))
    assert not isinstance(fault.value, ForkError)
    assert not pair.b.frozen
    assert not (pair.b.folder / "evidence").exists()
    pair.exchange()
    assert answers(pair.b) == [("received", [[done.idx, done.idx]])]


@pytest.mark.parametrize("pattern", ["own/tile/entries/*", "own/tile/0/*"])
def test_damage_to_what_the_head_needs_is_called_corruption(pair: Pair, pattern: str) -> None:
    """The receiver says `corrupt`, fetch again; a person is not told that the partner forked. Nothing is stored."""
    pair.release(pair.a)
    for change in (flip(0), flip(-1), lambda data: data and data[:-1], gone):
        with unchanged(pair.b), pytest.raises(CorruptionError):
            pair.b.pull(Tampered(pair.tree(pair.a), (pattern, change)))


def test_a_checkpoint_by_another_key_is_not_believed(pair: Pair, cheat: Cheat) -> None:
    """The receiver is as it was: a head signed by the mirror key, or by a stranger, is nobody's."""
    cheat.release()
    cheat.publish()
    for signer in (cheat.mirror, SoftSigner.generate()):
        forged = cheat.note(signer=signer)
        with unchanged(pair.b), pytest.raises(VerificationError) as fault:
            pair.b.pull(Tampered(cheat.tree, ("own/checkpoint", given(forged))))
        assert not isinstance(fault.value, ForkError)


def test_the_register_of_another_origin_is_not_believed(pair: Pair) -> None:
    """The receiver is as it was: its own served tree, shown to it as the partner's, is not the partner's."""
    with unchanged(pair.b), pytest.raises(VerificationError):
        pair.b.pull(pair.tree(pair.b))


# Heads that contradict


def evidence(node: Node) -> dict[str, bytes]:
    """The evidence files of a node."""
    return {path.name: path.read_bytes() for path in sorted((node.folder / "evidence").glob("*"))}


def test_a_shorter_head_is_behind_and_no_fork(pair: Pair, cheat: Cheat) -> None:
    """The receiver keeps what it holds, is not frozen, and says that the partner must heal."""
    pair.release(pair.a)
    pair.exchange()
    with unchanged(pair.b), pytest.raises(BehindError):
        pair.b.pull(cheat.publish())
    assert not pair.b.frozen
    pair.exchange()


def forked(pair: Pair, how: str) -> tuple[bytes, FolderTree]:
    """The head that the receiver holds, and a tree under another one that the same log key signed."""
    cheat = Cheat(pair, pair.a)
    pair.release(pair.a)
    pair.exchange()
    held = pair.b.db.get_note(pair.b.logs["IND"], "partner")
    assert held is not None
    more = {"shorter": 0, "equal": 1, "longer": 3}[how]
    if how == "shorter":
        cheat.entries.pop()
        cheat.order("00" * 32)
    for _ in range(more):
        cheat.order("11" * 32)
    return held.data, cheat.publish()


@pytest.mark.parametrize("how", ["shorter", "equal", "longer"])
def test_two_signed_heads_that_contradict_are_a_fork_and_both_are_kept(pair: Pair, how: str) -> None:
    """The receiver has both signed notes as evidence, is frozen, signs nothing, and is frozen still after a restart."""
    held, tree = forked(pair, how)
    before = heads(pair.b)
    with pytest.raises(ForkError):
        pair.b.pull(tree)
    assert heads(pair.b) == before
    shown = (tree.folder / "own/checkpoint").read_bytes()
    assert set(evidence(pair.b).values()) == {held, shown}
    for _ in range(2):
        assert pair.b.frozen
        signs_nothing(pair, pair.b)
        pair.b.reload()
        signs_nothing(pair, pair.b)
        pair.open("KOR")
    assert heads(pair.b) == before


def test_a_fork_polled_a_hundred_times_fills_no_disk(pair: Pair) -> None:
    """The receiver has one pair of notes as evidence of one contradiction, however often it looks."""
    _, tree = forked(pair, "equal")
    for _ in range(100):
        with pytest.raises(ForkError):
            pair.b.pull(tree)
    assert len(evidence(pair.b)) == 2


def test_a_cosigned_second_history_of_ours_is_a_fork(pair: Pair) -> None:
    """The sender finds its own signature under another history, keeps both notes and is frozen.

    Nothing was believed.
    """
    cheat = Cheat(pair, pair.a)
    cheat.order("22" * 32)
    split = cheat.publish()
    pair.b.pull(split)
    pair.release(pair.a)
    with pytest.raises(ForkError):
        pair.a.pull(pair.tree(pair.b))
    assert len(evidence(pair.a)) == 2
    assert pair.a.frozen
    assert pair.a.acknowledged() < pair.a.side.size


# The first entry


def renewed(cheat: Cheat, signer: SoftSigner | None, **changes: Any) -> FolderTree:
    """The cheat's register begins with another genesis, signed by `signer` (its authority if None)."""
    body = {**msgspec.json.decode(cheat.entries[0])["body"], **changes}
    seen = Seen(1, 0, hashlib.sha256(b"").hexdigest())
    cheat.entries = [cheat.entry("genesis", body, cheat.by_authority("genesis", body, signer), seen=seen)]
    return cheat.publish()


def newborn(pair: Pair, tmp_path: Path) -> Node:
    """KOR once more, founded and paired, that has never pulled."""
    from entente.app import AREAS  # noqa: PLC0415
    from entente.node import setup  # noqa: PLC0415
    from lab.pair import PASSPHRASE, in_process  # noqa: PLC0415

    template = pair.template
    setup.create(tmp_path / "newborn", setup.Settings("KOR"), PASSPHRASE)
    node = Node(tmp_path / "newborn", AREAS, in_process, passphrase=PASSPHRASE, clock=pair.clock)
    setup.found(node, template.toml, template.envelope, template.authorities["KOR"])
    return node


@pytest.mark.parametrize("who", ["a stranger", "the other authority", "nobody"])
def test_a_genesis_that_the_authority_did_not_sign_is_not_believed(
    pair: Pair, cheat: Cheat, tmp_path: Path, who: str
) -> None:
    """The new node knows nothing of the partner: the log key in an unproven first entry is not looked at."""
    node = newborn(pair, tmp_path)
    signer = {"a stranger": SoftSigner.generate(), "the other authority": pair.template.authorities["KOR"]}.get(who)
    tree = renewed(cheat, signer)
    if who == "nobody":
        cheat.entries = [cheat.entry("genesis", msgspec.json.decode(cheat.entries[0])["body"])]
        tree = cheat.publish()
    with unchanged(node), pytest.raises(VerificationError, match="authority"):
        node.pull(tree)
    node.close()


def test_a_genesis_other_than_the_one_in_the_pairing_file_is_not_believed(
    pair: Pair, cheat: Cheat, tmp_path: Path
) -> None:
    """The new node knows nothing of the partner, though its authority signed a second genesis."""
    node = newborn(pair, tmp_path)
    node.partner_genesis = hashlib.sha256(b"\0" + cheat.entries[0]).hexdigest()
    tree = renewed(cheat, None, nonce=os.urandom(16).hex())
    with unchanged(node), pytest.raises(VerificationError, match="pairing"):
        node.pull(tree)
    node.close()


def test_a_first_entry_that_is_no_genesis_is_not_believed(pair: Pair, cheat: Cheat, tmp_path: Path) -> None:
    """The new node knows nothing of the partner."""
    node = newborn(pair, tmp_path)
    cheat.entries = cheat.entries[2:]
    with unchanged(node), pytest.raises(EntenteError):
        node.pull(cheat.publish())
    cheat.entries = [b"not even JSON"]
    with unchanged(node), pytest.raises(EntenteError):
        node.pull(cheat.publish())
    node.close()


# Too much


@pytest.mark.parametrize(
    ("path", "size"),
    [("own/checkpoint", 4097), ("own/checkpoint", 50_000_000), ("mirror/checkpoint", 50_000_000)],
)
def test_an_oversized_head_is_not_read_whole(pair: Pair, cheat: Cheat, path: str, size: int) -> None:
    """The receiver read one byte more than it may have and stopped; nothing changed."""
    tree = cheat.publish()
    (tree.folder / path).write_bytes(b"x" * size)
    with unchanged(pair.b), pytest.raises(FormatError, match="more than"):
        pair.b.pull(tree)


def test_an_oversized_bundle_or_tile_is_not_read_whole(pair: Pair, cheat: Cheat) -> None:
    """The receiver stopped at the most that a bundle (a tile) can have; nothing changed."""
    cheat.release()
    for pattern in ("own/tile/entries/*", "own/tile/0/*"):
        with unchanged(pair.b), pytest.raises((FormatError, CorruptionError)):
            pair.b.pull(Tampered(cheat.publish(), (pattern, given(b"x" * 20_000_000))))


def test_an_absurd_size_under_a_valid_signature_costs_little(pair: Pair, cheat: Cheat) -> None:
    """The receiver refuses a signed head of 2^50 entries in little memory and time; nothing changed."""
    note = sign_checkpoint(Checkpoint(cheat.origin, 2**50, b"\7" * 32), cheat.log)
    (cheat.publish().folder / "own/checkpoint").write_bytes(note)
    child = os.fork()
    if not child:
        code = 1
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), used + (256 << 20)))
            resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
            pair.b.pull(cheat.tree)
        except EntenteError:
            code = 0
        except BaseException:  # noqa: BLE001 - the child must end here, whatever happened
            code = 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_blob_longer_than_the_area_allows_is_answered_too_large(pair: Pair, cheat: Cheat) -> None:
    """Both know: too_large, once. The receiver has fetched neither key nor blob."""
    forged = cheat.release(sealed={"blob_bytes": 2**31})
    watched = Tampered(cheat.publish())
    pair.b.pull(watched)
    pair.b.answer()
    only(pair, "too_large", forged.idx)
    assert not any(path.startswith(("blob/", "leaves/", "key/")) for path in watched.asked)


def test_a_blob_length_that_does_not_fit_is_refused_once(pair: Pair, cheat: Cheat) -> None:
    """Both know: bad_digest, once; the length in the entry is not that of its plaintext."""
    forged = cheat.release(sealed={"blob_bytes": 17})
    settle(pair, cheat)
    only(pair, "bad_digest", forged.idx)


def test_an_oversized_key_is_not_read_whole(pair: Pair, cheat: Cheat) -> None:
    """The receiver waits for the true key and then opens; nothing was answered before."""
    forged = cheat.release()
    tree = cheat.publish()
    pulled = pair.b.pull(Tampered(tree, ("key/*", given(b"x" * 10_000_000))))
    assert [idx for idx, _ in pulled.waiting] == [forged.idx]
    assert pair.b.answer() == 0
    assert len(pair.b.pull(tree).opened) == 1


def test_more_bytes_behind_the_blob_are_not_read(pair: Pair, cheat: Cheat) -> None:
    """Both know: received. The receiver asked for the ranges it knows and no more."""
    forged = cheat.release()
    pair.b.pull(Tampered(cheat.publish(), ("blob/*", lambda data: data and data + b"x" * 10_000_000)))
    pair.b.answer()
    assert answers(pair.b) == [("received", [[forged.idx, forged.idx]])]
    assert pair.b.blobs.path(forged.sealed.blob).stat().st_size == forged.sealed.blob_bytes


# Blob and key


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        pytest.param("blob/*", flip(100), id="a wrong chunk"),
        pytest.param("blob/*", lambda data: data and data[:-1], id="a blob cut short"),
        pytest.param("blob/*", gone, id="no blob"),
        pytest.param("leaves/*", flip(3), id="a wrong leaf hash"),
        pytest.param("leaves/*", given(b""), id="empty leaf hashes"),
        pytest.param("leaves/*", gone, id="no leaf hashes"),
        pytest.param("key/*", flip(40), id="a wrong key object"),
        pytest.param("key/*", given(b""), id="an empty key object"),
        pytest.param("key/*", gone, id="no key object"),
    ],
)
def test_a_release_damaged_on_the_way_waits_and_opens_when_fetched_again(
    pair: Pair, cheat: Cheat, pattern: str, change: Change
) -> None:
    """After the damaged pull: nothing held, nothing answered. After the clean one both know: received."""
    large = [as_bytes(indicator(1, description="x" * 1_100_000))]  # the root of a single chunk is its leaf hash
    forged = cheat.release(large if pattern.startswith("leaves") else None)
    tree = cheat.publish()
    pulled = pair.b.pull(Tampered(tree, (pattern, change)))
    assert [idx for idx, _ in pulled.waiting] == [forged.idx]
    assert pair.b.answer() == 0
    assert pair.b.keys.key(forged.rid) is None
    pair.b.pull(tree)
    pair.b.answer()
    assert answers(pair.b) == [("received", [[forged.idx, forged.idx]])]


@pytest.mark.parametrize(
    "wrapped", [b"", b"\0", b"\0" * 31, b"\0" * 32, b"\0" * 48, b"\0" * 112, b"\xff" * 112, b"\7" * 8192]
)
def test_a_key_object_that_opens_nothing_is_answered_unopenable(pair: Pair, cheat: Cheat, wrapped: bytes) -> None:
    """Both know: unopenable, once; the entry names exactly this object, so fetching again would not help."""
    forged = cheat.release(wrapped=wrapped)
    settle(pair, cheat)
    only(pair, "unopenable", forged.idx)


def test_the_key_object_of_another_release_is_answered_unopenable(pair: Pair, cheat: Cheat) -> None:
    """Both know: the first received, the second unopenable: a wrapped key is bound to its release."""
    first = cheat.release()
    second = cheat.release(sighted(first=5), wrapped=first.wrapped)
    settle(pair, cheat)
    assert sorted(answers(pair.b)) == [
        ("received", [[first.idx, first.idx]]),
        ("unopenable", [[second.idx, second.idx]]),
    ]


def test_content_that_is_not_what_was_approved_is_answered_bad_digest(pair: Pair, cheat: Cheat) -> None:
    """Both know: bad_digest, once. It decrypts, it has the right length, and nobody approved it."""
    other = payload.build(
        ((Record(body, MEDIA, "", ""), 0, None) for body in sighted(word="innocenT")), [pair.marking(pair.a)]
    )
    forged = cheat.release(sighted(word="innocent"), inside=b"".join(other.pieces()))
    settle(pair, cheat)
    only(pair, "bad_digest", forged.idx)


@pytest.mark.parametrize(
    "core",
    [
        pytest.param({"records": {"count": 3}}, id="another count"),
        pytest.param({"records": {"root": "ab" * 32}}, id="another root"),
    ],
)
def test_record_commitments_that_are_not_the_payloads_are_answered_bad_digest(
    pair: Pair, cheat: Cheat, core: dict[str, Any]
) -> None:
    """Both know: bad_digest, once; the account would otherwise count records that never came."""
    from entente.treaty.approval import Records  # noqa: PLC0415

    records = Records(**{"count": 2, "root": "cd" * 32, **core["records"]})
    forged = cheat.release(core={"records": records})
    settle(pair, cheat)
    only(pair, "bad_digest", forged.idx)


# Inside


@pytest.mark.parametrize("what", ["level", "releasable_to", "caveats", "purpose"])
def test_a_payload_marked_above_its_core_is_answered_not_permitted(pair: Pair, cheat: Cheat, what: str) -> None:
    """Both know: not_permitted, once; nothing is held. The approvers saw the lower marking in the core."""
    mark = pair.marking(pair.a)
    above = {
        "level": msgspec.structs.replace(mark, level="SECRET"),
        "releasable_to": msgspec.structs.replace(mark, releasable_to=("IND",)),
        "caveats": msgspec.structs.replace(mark, caveats=("ORIGINATOR CONTROLLED",)),
        "purpose": msgspec.structs.replace(mark, purpose="defence cooperation"),
    }[what]
    forged = cheat.release(markings=[above])
    settle(pair, cheat)
    only(pair, "not_permitted", forged.idx)


def test_a_payload_marking_from_no_scale_is_answered_not_permitted(pair: Pair, cheat: Cheat) -> None:
    """Both know: not_permitted, once."""
    forged = cheat.release(markings=[msgspec.structs.replace(pair.marking(pair.a), level="ULTRA")])
    settle(pair, cheat)
    only(pair, "not_permitted", forged.idx)


def test_a_record_of_a_withheld_type_is_answered_not_permitted(pair: Pair, cheat: Cheat) -> None:
    """Both know: not_permitted, once; the intrusion set is not held."""
    body = {
        "type": "intrusion-set",
        "spec_version": "2.1",
        "id": identifier("intrusion-set"),
        "created": "2026-01-02T03:04:05.000Z",
        "modified": "2026-01-02T03:04:05.000Z",
        "name": "withheld",
    }
    forged = cheat.release([as_bytes(body)])
    settle(pair, cheat)
    only(pair, "not_permitted", forged.idx)


@pytest.mark.parametrize("where", ["a reference", "any string", "a key"])
def test_a_record_that_names_a_withheld_type_is_answered_not_permitted(pair: Pair, cheat: Cheat, where: str) -> None:
    """Both know: not_permitted, once; a name of what is withheld is withheld."""
    name = identifier("intrusion-set")
    changes: dict[str, dict[str, Any]] = {
        "a reference": {
            "object_marking_refs": None,
            "external_references": [{"source_name": "x", "external_id": name}],
        },
        "any string": {"labels": [name]},
        "a key": {"extensions": {name: {"extension_type": "property-extension"}}},
    }
    forged = cheat.release([as_bytes(indicator(1, **changes[where]))])
    settle(pair, cheat)
    assert answers(pair.b)[0][0] in {"not_permitted", "bad_format"}
    only(pair, answers(pair.b)[0][0], forged.idx)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(as_bytes(indicator(1, pattern=None)), id="a property missing"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b"", id="no bytes"),
        pytest.param(b"[" * 100_000, id="brackets without end"),
        pytest.param(as_bytes(indicator(1))[:-1] + b',"name":"a","name":"b"}', id="a key twice"),
        pytest.param(b"\xff\xfe" + as_bytes(indicator(1)), id="a byte-order mark"),
        pytest.param(as_bytes(indicator(1)).replace(b"2.1", b"2.1\\ud800"), id="half a surrogate"),
        pytest.param(as_bytes(indicator(1))[:-1] + b',"confidence":1e999}', id="a number beyond a double"),
    ],
)
def test_an_object_that_is_not_stix_is_answered_bad_format(pair: Pair, cheat: Cheat, body: bytes) -> None:
    """Both know: bad_format, once; nothing of the release is held, also not its valid objects."""
    forged = cheat.release([*sighted(), body])
    settle(pair, cheat)
    only(pair, "bad_format", forged.idx)


# decide() says no


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"core": {"article": "17(1)"}}, id="article"),
        pytest.param({"core": {"area": "nowhere"}}, id="area"),
        pytest.param({"core": {"format": "document-1"}}, id="format"),
        pytest.param({"core": {"view": "no-such"}}, id="view"),
        pytest.param({"core": {"channel": "pigeon"}}, id="channel"),
        pytest.param({"core": {"custody": "held"}}, id="custody"),
        pytest.param({"core": {"copies": 0}}, id="no copies"),
        pytest.param({"core": {"copies": 6}}, id="copies"),
        pytest.param({"core": {"retain_days": 366}}, id="retention"),
        pytest.param({"core": {"to": "IND"}}, id="to itself"),
        pytest.param({"core": {"exercise": msgspec.UNSET}}, id="no exercise"),
        pytest.param({"core": {"units": ("factory",)}}, id="a unit without assurance"),
        pytest.param({"core": {"ancestors": ("ab" * 32,)}}, id="an ancestor that never came"),
        pytest.param({"core": {"third_party": "ab" * 32}}, id="a third by commitment alone, still by rule"),
        pytest.param({"core": {"standing": "ab" * 32}, "approvers": []}, id="a standing approval that is not"),
        pytest.param({"sealed": {"kem_key": "ab" * 32}}, id="a sealing key that is not ours"),
        pytest.param({"sealed": {"suite": "rot13"}}, id="a suite that is none"),
        pytest.param({"approvers": []}, id="no approval"),
        pytest.param({"approvers": [APPROVERS[0]]}, id="one approval"),
        pytest.param({"approvers": [("nair", "release"), ("nair.two", "security")]}, id="one person twice"),
        pytest.param({"approvers": [("nair", "release"), ("twin", "security")]}, id="one key twice"),
        pytest.param({"approvers": [("nair", "release"), ("elsewhere", "security")]}, id="a person of another area"),
        pytest.param({"approvers": [("nair", "security"), ("iyer", "release")]}, id="roles not held"),
    ],
)
def test_what_decide_refuses_is_answered_not_permitted_once_and_never_opened(
    pair: Pair, cheat: Cheat, wrong: dict[str, Any]
) -> None:
    """Both know: not_permitted, exactly once; the receiver asked for no key, no leaf and no blob."""
    if "third_party" in wrong.get("core", {}):
        mark = msgspec.structs.replace(pair.marking(pair.a), originator="Team Meridian")
        wrong = {"core": {**wrong["core"], "marking": mark}, "markings": [mark]}
    forged = cheat.release(**wrong)
    watched = Tampered(cheat.publish())
    for _ in range(3):
        pair.b.pull(watched)
        pair.b.answer()
    only(pair, "not_permitted", forged.idx)
    assert not any(path.startswith(("blob/", "leaves/", "key/")) for path in watched.asked)


def test_a_marking_level_above_the_ceiling_is_answered_not_permitted(pair: Pair, cheat: Cheat) -> None:
    """Both know: not_permitted, once: TOP SECRET has no row and is above the ceiling."""
    mark = pair.marking(pair.a, "TOP SECRET")
    forged = cheat.release(core={"marking": mark}, markings=[mark])
    settle(pair, cheat)
    only(pair, "not_permitted", forged.idx)


def test_the_same_release_appended_twice_is_received_once(pair: Pair, cheat: Cheat) -> None:
    """Both know: the first received, the second not_permitted by rule once; the objects are held once."""
    first = cheat.release()
    again = cheat.add(cheat.entry("release", first.body))
    settle(pair, cheat)
    assert answers(pair.b) == [("received", [[first.idx, first.idx]]), ("not_permitted", [[again, again]])]
    assert pair.b.view.raw.execute("SELECT count(*) FROM thing").fetchone()[0] == 2


def test_the_same_entry_byte_for_byte_twice_is_received_once(pair: Pair, cheat: Cheat) -> None:
    """Both know: the first received, the second not_permitted."""
    first = cheat.release()
    again = cheat.add(cheat.entries[first.idx])
    settle(pair, cheat)
    assert sorted(answers(pair.b)) == [("not_permitted", [[again, again]]), ("received", [[first.idx, first.idx]])]


def test_an_order_before_a_release_in_one_pull_is_applied_and_answered(pair: Pair, cheat: Cheat) -> None:
    """Both know: the first release received, the order applied, the second release received; nothing is forgotten."""
    first = cheat.release()
    settle(pair, cheat)
    order = cheat.order(first.rid)
    second = cheat.release(sighted(first=5))
    settle(pair, cheat)
    assert sorted(answers(pair.b)) == [
        ("applied", [[order, order]]),
        ("received", [[first.idx, first.idx]]),
        ("received", [[second.idx, second.idx]]),
    ]


# What does not parse


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="no bytes"),
        pytest.param(b"not JSON", id="not JSON"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b"x" * 65_535, id="65,535 bytes"),
        pytest.param(b"[" * 40_000, id="brackets without end"),
        pytest.param(b'{"v":1,"v":1}', id="a key twice"),
        pytest.param(b"\xff" * 100, id="not UTF-8"),
    ],
)
def test_an_entry_that_does_not_parse_is_listed_and_never_answered(pair: Pair, cheat: Cheat, data: bytes) -> None:
    """Both can see: the entry is listed, cosigned and never answered; the honest release after it is received."""
    bad = cheat.add(data)
    honest = cheat.release()
    settle(pair, cheat)
    lists(pair, bad)
    assert answers(pair.b) == [("received", [[honest.idx, honest.idx]])]
    with unchanged(pair.b):
        pair.b.pull(cheat.tree)
        pair.b.answer()


@pytest.mark.parametrize(
    "kind", ["genesis", "adopt", "epoch", "key", "term", "assurance", "order", "claim", "unheard-of"]
)
def test_an_entry_that_nobody_signed_is_listed_and_changes_nothing(pair: Pair, cheat: Cheat, kind: str) -> None:
    """Both can see: the entry is listed and provokes no answer; persons, keys and terms are as before."""
    source = next((data for data in cheat.entries if msgspec.json.decode(data)["kind"] == kind), cheat.entries[0])
    found = msgspec.json.decode(source)
    found["kind"], found["sigs"], found["body"]["nonce"] = kind, [], os.urandom(16).hex()
    found["seen"] = msgspec.to_builtins(cheat.seen)
    bad = cheat.add(canonical(found))
    before = sorted(pair.b.other_side.persons), pair.b.other_side.log_key, pair.b.other_side.mirror_key
    settle(pair, cheat)
    lists(pair, bad)
    assert answers(pair.b) == []
    assert (sorted(pair.b.other_side.persons), pair.b.other_side.log_key, pair.b.other_side.mirror_key) == before


def test_an_answer_that_names_what_we_never_sent_changes_nothing(pair: Pair) -> None:
    """Both can see the forged answer; no release of the honest side has an outcome by it, and it provokes no answer."""
    cheat = Cheat(pair, pair.a)
    for spans in ([[0, 2**40]], [[5, 5]], [[pair.b.side.size, pair.b.side.size + 9]]):
        body = {"outcome": "received", "re": {"origin": pair.b.side.origin, "spans": spans}, "witnesses": []}
        cheat.add(cheat.entry("answer", body))
    done = pair.release(pair.b)
    settle(pair, cheat)
    assert pair.b.side.releases[done.number - 1].answers == []
    assert answers(pair.b) == []


# Silence


def test_a_partner_that_serves_nothing_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    """The node is as it was and says that the partner is away."""
    (tmp_path / "empty").mkdir()
    for tree in (FolderTree(tmp_path / "nowhere"), FolderTree(tmp_path / "empty")):
        with unchanged(pair.b), pytest.raises(PartnerError):
            pair.b.pull(tree)
    assert not pair.b.frozen


def test_a_partner_without_a_mirror_is_read_all_the_same(pair: Pair) -> None:
    """The receiver has the release's entry; the sender's key is not served before the cosignature is seen."""
    done = pair.release(pair.a)
    pulled = pair.b.pull(Tampered(pair.tree(pair.a), ("mirror/*", gone)))
    assert pulled.waiting == ((done.idx, "its key is not served yet"),)


def test_a_release_whose_key_never_comes_is_answered_no_blob_after_a_day(pair: Pair, cheat: Cheat) -> None:
    """Both know: no_blob, once, a day after the receiver first looked; before that nothing."""
    forged = cheat.release(serve=False)
    settle(pair, cheat)
    pair.clock.forward(hours=23)
    settle(pair, cheat)
    assert answers(pair.b) == []
    pair.clock.forward(hours=2)
    settle(pair, cheat)
    only(pair, "no_blob", forged.idx)


def test_a_release_whose_blob_never_comes_is_answered_no_blob_after_a_day(pair: Pair, cheat: Cheat) -> None:
    """Both know: no_blob, once, a day after the receiver first looked; before that nothing."""
    forged = cheat.release()
    (cheat.folder / f"blob/{forged.sealed.blob}").unlink()
    settle(pair, cheat)
    assert answers(pair.b) == []
    pair.clock.forward(hours=25)
    settle(pair, cheat)
    only(pair, "no_blob", forged.idx)


def test_an_old_release_is_given_its_day_from_when_it_was_first_looked_at(pair: Pair, cheat: Cheat) -> None:
    """A stick that took three days has one damaged chunk: nothing is answered at first, and after a clean fetch.

    Received.
    """
    forged = cheat.release()
    pair.clock.forward(days=3)
    tree = cheat.publish()
    pulled = pair.b.pull(Tampered(tree, ("blob/*", flip(5))))
    assert [idx for idx, _ in pulled.waiting] == [forged.idx]
    assert pulled.refused == ()
    pair.b.pull(tree)
    pair.b.answer()
    assert answers(pair.b) == [("received", [[forged.idx, forged.idx]])]


def test_an_entry_dated_in_the_far_future_is_given_up_a_day_after_it_came(pair: Pair, cheat: Cheat) -> None:
    """Both know: an outcome, once; the author's own `at` does not keep a duty open for ever."""
    cheat.release(at="2026-08-01T00:00Z", serve=False)
    settle(pair, cheat)
    pair.clock.forward(hours=25)
    settle(pair, cheat)
    assert [outcome for outcome, _ in answers(pair.b)] == ["no_blob"]


# Ways out of the tree


@pytest.mark.parametrize("target", ["/etc/passwd", "keys.db", "/dev/zero", "passphrase"])
@pytest.mark.parametrize("path", ["own/checkpoint", "mirror/checkpoint", "key", "blob", "leaves", "own/tile"])
def test_no_link_in_the_partners_tree_leads_out_of_it(pair: Pair, cheat: Cheat, path: str, target: str) -> None:
    """The receiver reads nothing of its own machine through the partner's tree, and says no word of it."""
    forged = cheat.release()
    tree = cheat.publish()
    aim = Path(target) if target.startswith("/") else pair.b.folder / target
    name = {"key": forged.rid, "blob": forged.sealed.blob, "leaves": forged.sealed.blob}.get(path)
    link = tree.folder / path / name if name else tree.folder / path
    if link.is_dir():
        link.rename(tree.folder.parent / "moved")
    else:
        link.unlink()
    link.symlink_to(aim)
    assert tree.range(link.relative_to(tree.folder).as_posix(), 0, 10) is None
    assert tree.get(link.relative_to(tree.folder).as_posix(), 1 << 20) is None
    try:
        words = repr(pair.b.pull(tree))
    except EntenteError as fault:
        words = fault.explain()
    assert "root:" not in words
    assert "SQLite" not in words
    assert not pair.b.frozen


def test_a_linked_folder_in_the_partners_tree_is_not_entered(cheat: Cheat) -> None:
    """The receiver reads nothing through a link that stands in place of a folder."""
    forged = cheat.release()
    tree = cheat.publish()
    (tree.folder / "key").rename(tree.folder.parent / "elsewhere")
    (tree.folder / "key").symlink_to(tree.folder.parent / "elsewhere")
    assert tree.get(f"key/{forged.rid}", 8192) is None


def test_a_pipe_in_the_partners_tree_does_not_stop_the_node(pair: Pair, cheat: Cheat) -> None:
    """The receiver does not wait for what nobody writes."""
    tree = cheat.publish()
    (tree.folder / "own/checkpoint").unlink()
    os.mkfifo(tree.folder / "own/checkpoint")
    with unchanged(pair.b), pytest.raises(PartnerError):
        pair.b.pull(tree)


# The key waits for the cosignature


def test_the_key_is_served_only_after_the_sender_has_seen_the_cosignature(pair: Pair) -> None:
    """Until the sender has pulled a cosignature that covers the entry, `key/RID` is not there.

    Then it is, byte for byte.
    """
    done = pair.release(pair.a)
    key = pair.a.folder / "served" / "key" / done.rid
    assert not key.exists()
    pair.a.pull()
    assert not key.exists(), "the partner has not seen it yet"
    pair.b.pull()
    pair.b.pull()
    assert not key.exists(), "the sender has not seen the cosignature yet"
    pair.open("IND")
    assert not key.exists(), "opening the node again serves no key"
    pair.a.pull()
    assert key.read_bytes() == pair.a.keys.wrapped(done.rid)


def cosigned_by(pair: Pair, signer: SoftSigner, size: int | None = None) -> bytes:
    """The sender's own head with a cosignature line by any key under the partner's name."""
    from entente.node.ledger import mirror_name  # noqa: PLC0415
    from entente.register.checkpoint import cosign_checkpoint  # noqa: PLC0415
    from entente.register.note import LOG, NoteKey  # noqa: PLC0415

    note = pair.a.head_of("IND")
    assert note is not None
    assert size is None or note.size == size
    log = NoteKey(pair.a.side.origin, str(pair.a.side.log_key), LOG)
    return cosign_checkpoint(note.line, [log], mirror_name("india-korea", "KOR"), signer, 1_780_000_000)


@pytest.mark.parametrize("who", ["a stranger", "the partner's log key", "our own mirror key", "nobody"])
def test_a_cosignature_that_is_not_the_partners_releases_no_key(pair: Pair, who: str) -> None:
    """The sender believes no cosignature but the partner's mirror key's; the key stays at home."""
    done = pair.release(pair.a)
    kor = Cheat(pair, pair.b)
    signers = {
        "a stranger": SoftSigner.generate(),
        "the partner's log key": kor.log,
        "our own mirror key": Cheat(pair, pair.a, "own").mirror,
    }
    note = pair.a.head_of("IND")
    assert note is not None
    data = cosigned_by(pair, signers[who]) if who in signers else note.line
    with pytest.raises((VerificationError, FormatError)):
        pair.a.pull(Tampered(pair.tree(pair.b), ("mirror/checkpoint", given(data))))
    assert not (pair.a.folder / "served" / "key" / done.rid).exists()
    assert pair.a.acknowledged() <= done.idx


def test_the_partners_cosignature_shown_by_a_courier_is_enough(pair: Pair) -> None:
    """The sender believes the partner's mirror key wherever the note comes from; the key is served."""
    done = pair.release(pair.a)
    kor = Cheat(pair, pair.b)
    pair.a.pull(Tampered(pair.tree(pair.b), ("mirror/checkpoint", given(cosigned_by(pair, kor.mirror)))))
    assert (pair.a.folder / "served" / "key" / done.rid).exists()


def test_a_mirror_that_falls_back_takes_nothing_back(pair: Pair) -> None:
    """The sender knows how far it was cosigned, though the partner shows an older mirror; nothing is unsaid."""
    before = Cheat(pair, pair.b)
    pair.release(pair.a)
    pair.exchange()
    known = pair.a.acknowledged()
    old = (before.folder / "mirror/checkpoint").read_bytes()
    pair.a.pull(Tampered(pair.tree(pair.b), ("mirror/checkpoint", given(old))))
    assert pair.a.acknowledged() == known


def test_nobody_says_more_than_the_entries_say_when_a_release_is_refused(pair: Pair) -> None:
    """What the partner can see is the same whether the sender drafted, refused, or did nothing (G-08)."""
    before = state(pair.a)["served"], heads(pair.b)
    made = pair.propose(pair.a, sighted())
    pair.approve(pair.a, made.rid, "nair")
    pair.a.db.set_draft(made.rid, "approved")
    with pytest.raises(EntenteError):
        pair.a.dispatch([made.rid])
    pair.exchange()
    assert (state(pair.a)["served"], heads(pair.b)) == before


# Anything at all

WILD: tuple[Any, ...] = (
    0,
    -1,
    2**53 - 1,
    "",
    "x",
    "\u00e9" * 99,
    [],
    {},
    [[]],
    ["b", "a"],
    True,
    "ab" * 32,
    "2026-13-01T00:00Z",
)


def mutants(body: dict[str, Any], seed: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """The body with one value anywhere replaced, or one field gone or new."""
    for _ in range(count):
        made = msgspec.json.decode(canonical(body))
        place: Any = made
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = seed.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and seed.random() < 0.8:
                place = place[key]
                continue
            break
        how = seed.random()
        if how < 0.8:
            place[key] = seed.choice(WILD)
        elif how < 0.9 and isinstance(place, dict):
            del place[key]
        elif isinstance(place, dict):
            place["unheard-of"] = 1
        yield made


@pytest.mark.parametrize("number", range(4))
def test_no_mutant_of_a_release_stops_the_register(pair: Pair, cheat: Cheat, number: int) -> None:
    """Both know: the honest release after three hundred mutants is received.

    No mutant was, and each has at most one answer.
    """
    true = cheat.release()
    cheat.entries.pop()
    for body in mutants(true.body, random.Random(number), 300):
        if {**body, "private": ""} == {**true.body, "private": ""}:
            continue  # the commitment to the home journal is anything to a partner
        cheat.add(
            canonical(
                {
                    "agreement": pair.a.law.hash,
                    "at": time_text(pair.clock()),
                    "body": body,
                    "kind": "release",
                    "seen": msgspec.to_builtins(cheat.seen),
                    "sigs": [],
                    "v": 1,
                }
            )
        )
    honest = cheat.release(sighted(first=5))
    settle(pair, cheat)
    found = answers(pair.b)
    assert [spans for outcome, spans in found if outcome == "received"] == [[[honest.idx, honest.idx]]]
    covered = [idx for _, spans in found for first, last in spans for idx in range(first, last + 1)]
    assert len(covered) == len(set(covered))
    assert not set(covered) & {bad.idx for bad in pair.b.other_side.invalid}
