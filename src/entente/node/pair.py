"""Pair: what passes by hand between two parties, once, so that their nodes find and know each other.

A pairing file says where a party serves, which CA and which leaf key its wire has, and the hash of its register's entry
0. Whoever could change it on its way could stand in between: so both read its fingerprint aloud.
Source: design core-spec, Bootstrap 2.
"""

import hashlib
from pathlib import Path

import msgspec

from entente.errors import AgreementError, FormatError, UsageError
from entente.keys import ED25519, KeyText, split_key
from entente.node import tls
from entente.node.ledger import Ledger
from entente.node.setup import Settings, genesis_hash, read_settings, write_settings
from entente.node.wire import endpoint
from entente.strict import check_hex, convert, encode, parse_foreign

MAX_BYTES = 16_384
PARTNER_CA = "tls/partner-ca.pem"


class Pairing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One party's pairing file. `url` is empty where the trees pass as folders."""

    agreement: str
    genesis: str
    party: str
    tls_ca: str
    tls_key: str
    url: str
    v: int = 1


def own_pairing(node: Ledger, url: str) -> bytes:
    """This party's pairing file; its TLS identity exists from now on. UsageError if the URL is none."""
    if url:
        endpoint(url)
    mine = tls.identity(node.keys, node.folder, node.party)
    return encode(Pairing(node.law.hash, genesis_hash(node), node.party, mine.ca, mine.key, url))


def fingerprint(data: bytes) -> str:
    """What both read aloud: the first 16 bytes of the file's SHA-256, in groups of four."""
    text = hashlib.sha256(data).hexdigest()[:32]
    return " ".join(text[i : i + 4] for i in range(0, 32, 4))


def accept_pairing(folder: Path, node_agreement: str, data: bytes, *, tree: str = "") -> Settings:
    """The node in `folder` knows its partner by this file, and no longer by any earlier one.

    Args: `node_agreement` is the hash of the agreement held here; `tree` a folder that is read in place of the URL.
    Raises: FormatError if it is no pairing file; AgreementError if it is for another agreement; UsageError if it is
    our own, or names no URL where one is needed.
    """
    found = _parse(data)
    settings = read_settings(folder)
    if found.agreement != node_agreement:
        raise AgreementError(
            "the pairing file is for another agreement than the one held here",
            place="pairing file",
            remedy="Compare the agreements' hashes.",
        )
    if found.party == settings.party:
        raise UsageError("this is our own pairing file", remedy="Give it to the partner, and accept the partner's.")
    if not tree:
        if not found.url:
            raise UsageError("the file names no URL", remedy="Give --tree DIR, where the partner's tree is read.")
        endpoint(found.url)
    place = folder / PARTNER_CA
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.write_text(found.tls_ca)
    made = msgspec.structs.replace(
        settings,
        partner_genesis=found.genesis,
        partner_tls_key=KeyText(found.tls_key),
        partner_tree=tree,
        partner_url="" if tree else found.url,
    )
    write_settings(folder, made)
    return made


def _parse(data: bytes) -> Pairing:
    """A pairing file whose every field can be used; FormatError names what cannot."""
    if len(data) > MAX_BYTES:
        raise FormatError(f"{len(data)} bytes are too many", place="pairing file")
    found = convert(parse_foreign(data, place="pairing file"), Pairing, place="pairing file")
    if found.v != 1:
        raise FormatError(f"version {found.v} is not known here", place="pairing file")
    check_hex(found.genesis, 32, "the genesis hash")
    if split_key(found.tls_key)[0] != ED25519:
        raise FormatError("the TLS key is not ed25519", place="pairing file")
    tls.check_ca(found.tls_ca)
    return found
