"""A pairing file is taken only if all of it can be used, and what it says holds from then on.

It passes by hand: whoever could change it stands between the two, so that every byte of it is in the fingerprint that
both read aloud; and the register that it names is the only one that is believed.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from entente import keys
from entente.errors import AgreementError, EntenteError, FormatError, UsageError, VerificationError
from entente.node import pair as pairing
from entente.node import setup
from entente.node.node import Node
from entente.node.pair import MAX_BYTES, PARTNER_CA, accept_pairing, fingerprint, own_pairing
from entente.node.served import FolderTree
from entente.node.setup import read_settings
from entente.node.tls import Holder, certificate
from entente.register.entry import parse_entry
from entente.strict import canonical, parse_foreign
from lab.cheat import Cheat
from lab.pair import Pair, Template, files, unchanged
from lab.tls import DAY, key, now

URL = "https://partner.example:8443"
Change = Callable[[dict[str, Any]], object]


class Offered(NamedTuple):
    """A pairing file of the first party's, and the agreement that it is for."""

    data: bytes
    agreement: str


@pytest.fixture(scope="module")
def offered(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Offered:
    """Made once: what is tried on it changes copies."""
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", 2**5)  # as in conftest.py
        pair = Pair(templates("india-korea"), tmp_path_factory.mktemp("offered"))
        made = Offered(own_pairing(pair.a, URL), pair.a.law.hash)
        pair.close()
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a node of the second party, with its settings and nothing else."""
    setup.write_settings(tmp_path, setup.Settings("KOR"))
    return tmp_path


def accept(node: Node, data: bytes, tree: str = "") -> setup.Settings:
    """The node takes this pairing file."""
    return accept_pairing(node.folder, node.law.hash, data, tree=tree)


def test_each_learns_of_the_other_what_the_wire_needs(pair: Pair) -> None:
    """Where it serves, its CA, its leaf key and its entry 0; the settings are read again as they were written."""
    data = own_pairing(pair.a, URL)
    told = parse_foreign(data)
    assert sorted(told) == ["agreement", "genesis", "party", "tls_ca", "tls_key", "url", "v"]
    made = accept(pair.b, data)
    assert made == read_settings(pair.b.folder)
    assert (made.partner_url, made.partner_tree) == (URL, "")
    assert made.partner_genesis == setup.genesis_hash(pair.a)
    assert made.partner_tls_key == told["tls_key"]
    assert (pair.b.folder / PARTNER_CA).read_text() == told["tls_ca"] == (pair.a.folder / "tls/ca.pem").read_text()
    pair.open("KOR")
    assert pair.b.partner_genesis == made.partner_genesis
    assert pair.b.is_partner_leaf(made.partner_tls_key)


def test_a_pairing_file_holds_no_secret_and_is_the_same_each_time(pair: Pair) -> None:
    data = own_pairing(pair.a, URL)
    assert own_pairing(pair.a, URL) == data
    assert canonical(parse_foreign(data)) == data
    assert b"PRIVATE" not in data
    names = [row[0] for row in pair.a.keys.raw.execute("SELECT name FROM record_key").fetchall()]
    secrets = [pair.a.keys.key(name) for name in names]
    assert len(secrets) >= 7
    assert not [secret for secret in secrets if secret and secret.hex().encode() in data]


def test_a_tree_in_place_of_the_url_is_read_as_a_folder(pair: Pair) -> None:
    made = accept(pair.b, own_pairing(pair.a, ""), tree="../IND/served")
    assert (made.partner_url, made.partner_tree) == ("", "../IND/served")
    pair.open("KOR")
    pair.b.pull()


def test_what_passed_later_replaces_what_passed_before(pair: Pair) -> None:
    """The node knows its partner by the last file alone: another URL, another CA, another key."""
    accept(pair.b, own_pairing(pair.a, URL))
    before = read_settings(pair.b.folder)
    for name in ("ca", "leaf"):
        pair.a.keys.raw.execute("DELETE FROM record_key WHERE name = ?", (f"tls/{name}",))
        (pair.a.folder / "tls" / f"{name}.pem").unlink()
    data = own_pairing(pair.a, "https://elsewhere.example")
    made = accept(pair.b, data)
    assert made.partner_tls_key != before.partner_tls_key
    assert (pair.b.folder / PARTNER_CA).read_text() == parse_foreign(data)["tls_ca"]
    pair.open("KOR")
    assert pair.b.is_partner_leaf(made.partner_tls_key)
    assert not pair.b.is_partner_leaf(before.partner_tls_key)


# What is not taken


def pem(*, ca: bool) -> str:
    """Somebody's certificate."""
    holder = Holder("somebody", key())
    return certificate(holder, holder, now(), now() + DAY, ca=ca).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda told: told.update(agreement="00" * 32), id="another agreement"),
        pytest.param(lambda told: told.update(agreement=told["agreement"].upper()), id="agreement in capitals"),
        pytest.param(lambda told: told.update(party="KOR"), id="our own"),
        pytest.param(lambda told: told.update(genesis="00" * 31), id="genesis too short"),
        pytest.param(lambda told: told.update(genesis=""), id="no genesis"),
        pytest.param(lambda told: told.update(genesis="AB" * 32), id="genesis in capitals"),
        pytest.param(lambda told: told.update(v=2), id="another version"),
        pytest.param(lambda told: told.update(v="1"), id="version as text"),
        pytest.param(lambda told: told.update(more="x"), id="unknown field"),
        pytest.param(lambda told: told.update({"\x1b]0;owned\x07": 1}), id="unknown field with an escape"),
        pytest.param(lambda told: told.pop("tls_ca"), id="no CA"),
        pytest.param(lambda told: told.update(tls_ca=""), id="empty CA"),
        pytest.param(lambda told: told.update(tls_ca="-----BEGIN CERTIFICATE-----\n"), id="half a CA"),
        pytest.param(lambda told: told.update(tls_ca=pem(ca=False)), id="a leaf for a CA"),
        pytest.param(lambda told: told.update(tls_ca=told["tls_ca"] + pem(ca=True)), id="two CAs"),
        pytest.param(lambda told: told.update(tls_ca="# ours\n" + told["tls_ca"]), id="words before the CA"),
        pytest.param(lambda told: told.update(tls_ca=told["tls_ca"].replace("\n", "\r\n")), id="CA in other lines"),
        pytest.param(lambda told: told.pop("tls_key"), id="no key"),
        pytest.param(lambda told: told.update(tls_key=""), id="empty key"),
        pytest.param(lambda told: told.update(tls_key="ed25519:00"), id="short key"),
        pytest.param(lambda told: told.update(tls_key=told["tls_key"].upper()), id="key in capitals"),
        pytest.param(lambda told: told.update(tls_key=told["tls_key"][8:]), id="key without its kind"),
        pytest.param(lambda told: told.update(url=""), id="no URL"),
        pytest.param(lambda told: told.update(url="http://partner.example"), id="URL in clear"),
        pytest.param(lambda told: told.update(url="https://partner.example/tree"), id="URL with a path"),
        pytest.param(lambda told: told.update(url="file:///etc/passwd"), id="URL of a file"),
        pytest.param(lambda told: told.update(url="https://\x1b]0;owned\x07"), id="URL with an escape"),
        pytest.param(lambda told: told.update(url=None), id="null"),
        pytest.param(lambda told: told.update(url="https://" + "a" * MAX_BYTES), id="too long"),
    ],
)
def test_a_file_of_which_any_part_cannot_be_used_changes_nothing(offered: Offered, place: Path, change: Change) -> None:
    """Said in words that need no screen to be trusted; the node knows its partner as before."""
    accept_pairing(place, offered.agreement, offered.data)
    told = parse_foreign(offered.data)
    change(told)
    before = files(place)
    with pytest.raises((FormatError, AgreementError, UsageError)) as fault:
        accept_pairing(place, offered.agreement, json.dumps(told).encode())
    assert files(place) == before
    assert fault.value.explain().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut short"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff\xfe{}", id="UTF-16"),
        pytest.param(b'{"v":1,"v":1}', id="a key twice"),
        pytest.param(b"{}" + b" " * MAX_BYTES, id="too long"),
        pytest.param(b"[" * 5000, id="too deep"),
    ],
)
def test_what_is_no_pairing_file_changes_nothing(offered: Offered, place: Path, data: bytes) -> None:
    before = files(place)
    with pytest.raises(FormatError):
        accept_pairing(place, offered.agreement, data)
    assert files(place) == before


FIELDS = st.sampled_from(["v", "url", "tls_ca", "tls_key", "party", "genesis", "agreement"])
VALUES = st.integers() | st.text() | st.none()


@given(
    st.binary(max_size=300)
    | st.text(max_size=100).map(str.encode)
    | st.dictionaries(FIELDS, VALUES).map(lambda told: json.dumps(told).encode())
)
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(EntenteError):
        pairing._parse(data)


def test_our_own_file_is_told_from_the_partners(pair: Pair) -> None:
    with pytest.raises(UsageError, match="our own"):
        accept(pair.a, own_pairing(pair.a, URL))


@pytest.mark.parametrize("url", ["partner.example:8443", "http://partner.example", "https://"])
def test_a_url_that_the_partner_could_not_use_is_not_written(pair: Pair, url: str) -> None:
    with pytest.raises(UsageError):
        own_pairing(pair.a, url)


# The fingerprint


def test_the_fingerprint_is_the_beginning_of_the_files_sha_256_in_eight_groups(pair: Pair) -> None:
    data = own_pairing(pair.a, URL)
    words = fingerprint(data)
    assert words.split(" ") == [hashlib.sha256(data).hexdigest()[at : at + 4] for at in range(0, 32, 4)]


@pytest.mark.parametrize("field", ["agreement", "genesis", "party", "tls_ca", "tls_key", "url", "v"])
def test_whatever_is_changed_on_the_way_changes_the_fingerprint(offered: Offered, field: str) -> None:
    """A CA, a key, a URL or a genesis of whoever stands in between is heard when both read aloud."""
    data = offered.data
    other = {**parse_foreign(data), "tls_ca": pem(ca=True)} if field == "tls_ca" else parse_foreign(data)
    if field != "tls_ca":
        value = other[field]
        other[field] = value + 1 if isinstance(value, int) else value[:-1] + ("0" if value[-1] != "0" else "1")
    assert fingerprint(canonical(other)) != fingerprint(data)


# Entry 0


def test_a_register_whose_entry_0_is_another_is_refused_at_the_first_pull(pair: Pair) -> None:
    """The authority's own signature does not help: the partner said by hand which register is its own."""
    fresh = unread(pair)
    data = own_pairing(pair.a, URL)
    accept(fresh, canonical({**parse_foreign(data), "genesis": "ab" * 32}), tree="../../IND/served")
    node = again(pair, fresh)
    shutil.copytree(pair.a.folder / "served" / "own", pair.folder / "own-only" / "own")
    tree = FolderTree(pair.folder / "own-only")  # its mirror is of the node that this one takes the place of
    with unchanged(node), pytest.raises(VerificationError, match="entry 0"):
        node.pull(tree)
    accept(node, data, tree="../../IND/served")
    assert again(pair, node).pull(tree).entries == pair.a.side.size


def test_a_second_register_by_the_same_authority_is_refused_at_the_first_pull(pair: Pair) -> None:
    """Validly founded, validly signed, served at the right place: entry 0 is not the one in the pairing file."""
    fresh, cheat = unread(pair), Cheat(pair, pair.a)
    accept(fresh, own_pairing(pair.a, URL), tree="../../IND/served")
    node = again(pair, fresh)
    first = parse_entry(cheat.entries[0])
    body = {**first.body, "nonce": "00" * 16}
    cheat.entries = [cheat.entry("genesis", body, cheat.by_authority("genesis", body), seen=first.seen)]
    with unchanged(node), pytest.raises(VerificationError, match="entry 0"):
        node.pull(cheat.publish())


def unread(pair: Pair) -> Node:
    """A node of the second party that has been founded anew and has read nothing of the first's."""
    folder = pair.folder / "fresh" / "KOR"
    folder.parent.mkdir()
    setup.create(folder, setup.Settings("KOR", dispatch_slot_minutes=0), b"a passphrase of the lab")
    (folder / "passphrase").write_bytes(b"a passphrase of the lab")
    node = pair.open("KOR", folder)
    setup.found(node, pair.template.toml, pair.template.envelope, pair.template.authorities["KOR"])
    return node


def again(pair: Pair, node: Node) -> Node:
    """The node is closed and opened."""
    return pair.open("KOR", node.folder)
