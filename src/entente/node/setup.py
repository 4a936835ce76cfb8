"""Setup: a node's stores and machine keys, the signed agreement, and the first entries of its register.

Bootstrap: authority keys stand in the agreement, both authorities sign its exact bytes, a pairing file passes by hand,
and entry 0 (genesis) is checked against the agreement's authority before anything else of the partner is believed.
Source: design core-spec, Bootstrap.
"""

import base64
import hmac
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from entente.account.acts import act_message
from entente.errors import AgreementError, KeyUnavailableError, StateError, UsageError
from entente.keys import ED25519, SUITE_ALGORITHM, Signer, SoftSigner, key_id, lock, new_kem, pae, unlock, verify
from entente.node import tls
from entente.node.ledger import Draft, Ledger
from entente.register.entry import Sig
from entente.register.tree import leaf_hash
from entente.store.keystore import Keystore
from entente.strict import canonical, convert, parse_foreign, read_own, time_text
from entente.treaty.agreement import SignedAgreement, parse_agreement
from entente.treaty.marking import MarkingMap

AGREEMENT_TYPE = "application/vnd.entente.agreement.v1+toml"
AUTHORITY = "authority"
KEM_DAYS = 90


class Settings(msgspec.Struct, frozen=True):
    """A node's settings, from its node.json.

    Which party it is; what the pairing file said of the partner; where this node listens for the partner (HOST:PORT,
    empty: nowhere) and for its own persons and their tools (`web`, on loopback); how their browsers reach that through
    a TLS proxy (`web_origin`, such as https://desk.example); and how many seconds pass between two looks at the
    partner's tree.
    """

    party: str
    partner_tree: str = ""
    partner_url: str = ""
    partner_genesis: str = ""
    partner_tls_key: str = ""
    listen: str = ""
    poll_seconds: float = 30.0
    web: str = ""
    web_origin: str = ""
    accreditation: str = ""
    dispatch_slot_minutes: int = 15


def read_settings(folder: Path) -> Settings:
    """The settings of the node in this folder; UsageError if it is not a node's folder."""
    try:
        return read_own((folder / "node.json").read_bytes(), Settings, place=str(folder / "node.json"))
    except FileNotFoundError:
        raise UsageError(
            "not a node's folder", place=str(folder), remedy="Give --node DIR, or run `./run demo`."
        ) from None


def read_passphrase(folder: Path) -> bytes:
    """The node's passphrase from its passphrase file; KeyUnavailableError if there is none."""
    path = folder / "passphrase"
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        raise KeyUnavailableError(
            "no passphrase file", place=str(path), remedy="Put the node's passphrase there, mode 0600."
        ) from None


def write_settings(folder: Path, settings: Settings) -> None:
    """The settings are written."""
    text = json.dumps(msgspec.to_builtins(settings), indent=2, ensure_ascii=False)
    draft = folder / "node.json.new"
    draft.write_text(text + "\n")
    draft.rename(folder / "node.json")


def create(folder: Path, settings: Settings, passphrase: bytes) -> None:
    """An empty node stands in the folder: machine keys made and locked, no agreement yet.

    Raises: UsageError if something is there already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("the folder is not empty", place=str(folder), remedy="Choose another, or empty it yourself.")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = Keystore(folder / "keys.db")
    keys.make_node_key(passphrase)
    for name in ("machine/log", "machine/mirror", "party-secret", "gate-secret"):
        keys.put_key(name, os.urandom(32))
    keys.close()
    write_settings(folder, settings)


# The agreement


def with_authorities(data: bytes, keys: Mapping[str, str]) -> bytes:
    """The agreement's bytes with each party's authority key written in: in place of `ed25519:@CODE@`, or added.

    Raises: AgreementError if a party already names another key, or the key cannot be placed.
    """
    text = re.sub(r"\bauthority\s*=\s*\[\s*\]\s*,?", "", data.decode())
    for code, key in keys.items():
        mark = f"ed25519:@{code}@"
        if mark in text:
            text = text.replace(mark, key)
            continue
        if parse_agreement(text.encode()).law.party[code].authority:
            continue
        line, name = f'authority = ["{key}"]', rf'"?{code}"?'
        header = rf"(?m)^(\s*\[\s*\"?party\"?\s*\.\s*{name}\s*\][^\n]*)$"
        text, tables = re.subn(header, rf"\1\n{line}", text)
        if not tables:
            text = re.sub(rf"(?m)^(\s*(?:party\s*\.\s*)?{name}\s*=\s*\{{)", rf"\1 {line},", text, count=1)
    made = text.encode()
    law = parse_agreement(made).law
    for code, key in keys.items():
        if key not in law.party[code].authority:
            raise AgreementError(
                f"{code} names another authority key", remedy="Leave `authority` out, or write ed25519:@CODE@."
            )
    return made


def sign_agreement(data: bytes, signers: Sequence[Signer]) -> bytes:
    """The DSSE envelope with each authority's signature over the agreement's exact bytes."""
    message = pae("agreement", data, suffix="toml")
    envelope = {
        "payload": base64.b64encode(data).decode(),
        "payloadType": AGREEMENT_TYPE,
        "signatures": [
            {"keyid": key_id(signer.public), "sig": base64.b64encode(signer.sign(message)).decode()}
            for signer in signers
        ],
    }
    return canonical(envelope)


def add_signature(data: bytes, envelope: bytes | None, signer: Signer) -> bytes:
    """The DSSE envelope with one more authority's signature; AgreementError for other bytes or another key."""
    law = parse_agreement(data).law
    if not any(signer.public in party.authority for party in law.party.values()):
        raise AgreementError("this key is not an authority of the agreement", remedy="Write it into `authority` first.")
    fresh = parse_foreign(sign_agreement(data, [signer]))
    if envelope is not None:
        old = parse_foreign(envelope, place="agreement signature")
        if old.get("payload") != fresh["payload"]:
            raise AgreementError("the signature file is over other bytes", remedy="Start a new one for this file.")
        fresh["signatures"] += [entry for entry in old["signatures"] if entry != fresh["signatures"][0]]
    return canonical(fresh)


def new_authority(path: Path, passphrase: bytes) -> str:
    """An authority's key rests in a new file, locked; returns its public half."""
    if path.exists():
        raise UsageError(
            "the file is there already", place=str(path), remedy="Choose another; keys are never overwritten."
        )
    signer = SoftSigner.generate()
    path.touch(mode=0o600)
    path.write_bytes(lock(signer.seed, passphrase, label=AUTHORITY))
    return signer.public


def read_authority(path: Path, passphrase: bytes) -> SoftSigner:
    """The authority's signer from its locked file; KeyUnavailableError on a wrong passphrase."""
    return SoftSigner(unlock(path.read_bytes(), passphrase, label=AUTHORITY))


def parse_map(data: bytes, *, place: str) -> MarkingMap:
    """A marking map as a person wrote it (JSON); FormatError names what is wrong."""
    return convert(parse_foreign(data, place=place), MarkingMap, place=place)


def check_signed(data: bytes, envelope: bytes) -> tuple[SignedAgreement, dict[str, Sig]]:
    """The agreement and each party's signature over exactly these bytes.

    Raises: AgreementError if a party's authority has not signed, or signed other bytes.
    """
    signed = parse_agreement(data)
    found = parse_foreign(envelope, place="agreement signature")
    try:
        good = found["payloadType"] == AGREEMENT_TYPE and base64.b64decode(found["payload"], validate=True) == data
        given = {entry["keyid"]: base64.b64decode(entry["sig"], validate=True).hex() for entry in found["signatures"]}
    except (KeyError, TypeError, ValueError) as fault:
        raise AgreementError(f"the signature file is not a DSSE envelope ({fault})") from None
    if not good:
        raise AgreementError(
            "the signatures are over other bytes than this file", remedy="Use the file that was signed."
        )
    message = pae("agreement", data, suffix="toml")
    result = {}
    for code, party in signed.law.party.items():
        for key in party.authority:
            sig = given.get(key_id(key))
            if sig is not None and verify(key, message, sig):
                result[code] = Sig(key_id(key), sig)
    missing = [code for code in signed.law.parties if code not in result]
    if missing:
        raise AgreementError(
            f"not signed by the authority of {' or '.join(missing)}",
            remedy="Both authorities must sign the same bytes.",
        )
    return signed, result


# The first entries


def found(node: Ledger, data: bytes, envelope: bytes, authority: Signer) -> SignedAgreement:
    """This party's register exists: genesis and adopt, signed by its authority; a sealing key certified for 90 days.

    Raises: AgreementError if both authorities have not signed these bytes or `authority` is not this party's;
    StateError if the register has entries already.
    """
    signed, sigs = check_signed(data, envelope)
    if authority.public not in signed.law.party[node.party].authority:
        raise AgreementError(f"this key is not the authority of {node.party}")
    if node.trees and node.side.size:
        raise StateError("the register has been founded already", place=node.side.origin)
    node.adopt_law(data)
    public = _new_kem(node, signed)
    machine = {name: node.machine_signer(name).public for name in ("log", "mirror")}
    genesis: dict[str, object] = {
        "agreement": signed.hash,
        "keys": {
            "kem": {"key": public, "until": time_text(node.clock() + timedelta(days=KEM_DAYS))},
            "log": {"key": machine["log"]},
            "mirror": {"key": machine["mirror"]},
        },
        "nonce": nonce(),
        "origin": node.side.origin,
    }
    sig = sigs[node.party]
    adopt: dict[str, object] = {"agreement": signed.hash, "nonce": nonce(), "sig": {"by": sig.by, "sig": sig.sig}}
    drafts = [act(node, "genesis", genesis, authority, signed.hash), act(node, "adopt", adopt, authority, signed.hash)]
    node.append(drafts, agreement=signed.hash)
    return signed


def _new_kem(node: Ledger, signed: SignedAgreement) -> str:
    """A new sealing key's private half rests here; returns the public half."""
    suite = next((name for name in signed.law.suites if name in SUITE_ALGORITHM), None)
    if suite is None:
        raise AgreementError("none of its suites is known here", remedy=f"Known: {', '.join(SUITE_ALGORITHM)}.")
    public, private = new_kem(suite)
    node.keys.put_key(f"kem/{key_id(public)}", private)
    return public


def renew_kem(node: Ledger, authority: Signer) -> Draft:
    """A key entry to be, by which a new sealing key is certified for 90 days; the old one goes on until it expires."""
    return _machine_key(node, "kem", _new_kem(node, node.law), KEM_DAYS, [authority])


def rotate_tls(node: Ledger, authority: Signer) -> Draft:
    """A key entry to be, by which a new TLS leaf key is certified.

    It is shown to the partner once the partner has cosigned the entry; the one before is accepted until it expires.
    """
    signer = SoftSigner.generate()
    node.keys.put_key(tls.leaf_name(signer.public), signer.seed)
    signers: list[Signer] = [authority]
    last = next(reversed(node.side.tls.values()), None)
    if last is not None and last.revoked_from is None:
        seed = node.keys.key(tls.leaf_name(last.key))
        if seed is None:
            raise StateError("the TLS key before is not held here", remedy="The authority must revoke it first.")
        signers.append(SoftSigner(seed))
    return _machine_key(node, "tls", signer.public, tls.LEAF_DAYS, signers)


def _machine_key(node: Ledger, subject: str, key: str, days: int, signers: Sequence[Signer]) -> Draft:
    body: dict[str, object] = {
        "areas": [],
        "key": key,
        "nonce": nonce(),
        "roles": [],
        "subject": subject,
        "until": time_text(node.clock() + timedelta(days=days)),
    }
    message = act_message("key", node.side.origin, node.law.hash, body)
    return Draft("key", body, tuple(Sig(key_id(by.public), by.sign(message).hex()) for by in signers))


def nonce() -> str:
    """16 fresh random bytes in hex, as every signed body carries."""
    return os.urandom(16).hex()


def act(node: Ledger, kind: str, body: dict[str, object], authority: Signer, agreement: str | None = None) -> Draft:
    """An entry to be, signed by an authority."""
    message = act_message(kind, node.side.origin, agreement or node.law.hash, body)
    return Draft(kind, body, (Sig(key_id(authority.public), authority.sign(message).hex()),))


def person_commitment(node: Ledger, national_id: str) -> str:
    """HMAC(party secret, national person id): the same for every handle of one person, and silent about them."""
    secret = node.keys.key("party-secret")
    if secret is None:
        raise StateError("the party secret is not in keys.db")
    return hmac.digest(secret, national_id.encode(), "sha256").hex()


def certify(
    node: Ledger,
    authority: Signer,
    *,
    handle: str,
    national_id: str,
    key: str,
    roles: Sequence[str],
    areas: Sequence[str],
    ceiling: str,
    until: str,
) -> Draft:
    """A key entry to be, by which the authority certifies a person, or anew one whom it certified before.

    Raises: UsageError if the key is not ed25519, or the handle is another natural person's.
    """
    if not key.startswith(ED25519):
        raise UsageError("a person's key is ed25519")
    body: dict[str, object] = {
        "areas": sorted(areas),
        "ceiling": ceiling,
        "commitment": person_commitment(node, national_id),
        "key": key,
        "nonce": nonce(),
        "roles": sorted(roles),
        "subject": handle,
        "until": until,
    }
    before = node.side.persons.get(handle)
    if before is not None:
        if before.person.commitment != body["commitment"]:
            raise UsageError(f"{handle} is another natural person's", remedy="Give this person a handle of their own.")
        body["replaces"] = before.key_id
    return act(node, "key", body, authority)


def revoke_person(node: Ledger, authority: Signer, handle: str, reason: str) -> Draft:
    """A key entry to be, by which a person's key counts no more from that entry on; UsageError if none is live."""
    fact = node.side.persons.get(handle)
    if fact is None or fact.revoked_from is not None:
        raise UsageError(f"no live key of {handle}", remedy="See `entente key list`.")
    person = fact.person
    body: dict[str, object] = {
        "areas": sorted(person.areas),
        "ceiling": person.ceiling,
        "commitment": person.commitment,
        "key": person.key,
        "nonce": nonce(),
        "revoked": {"from_index": node.side.size, "reason": reason},
        "roles": sorted(person.roles),
        "subject": handle,
        "until": person.until,
    }
    return act(node, "key", body, authority)


def assure(node: Ledger, authority: Signer, *, level: str, areas: Sequence[str], until: str) -> Draft:
    """An assurance entry to be: this party's government can protect up to `level` in these areas."""
    body: dict[str, object] = {"areas": sorted(areas), "level": level, "nonce": nonce(), "units": [], "until": until}
    return act(node, "assurance", body, authority)


def genesis_hash(node: Ledger) -> str:
    """The leaf hash of this party's entry 0, which the pairing file carries by hand."""
    entries = node.db.entries(node.logs[node.party], 0, 1)
    if not entries:
        raise StateError("the register has not been founded", remedy="Run `entente init`.")
    return leaf_hash(entries[0]).hex()
