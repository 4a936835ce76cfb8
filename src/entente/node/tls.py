"""This party's private CA and leaf certificate, and the two TLS contexts that trust the partner's CA alone.

TLS keeps strangers out and hides the traffic; it decides nothing. Who signed an entry is the only identity that counts.
Keys rest in keys.db; certificates are public files under `tls/`. They live by the machine's own clock, since that is
the one by which TLS judges them.
Source: RFC 8446; RFC 5280; RFC 8410 (Ed25519 in certificates).
"""

import os
import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from entente.errors import FormatError, KeyUnavailableError, VerificationError
from entente.keys import ED25519, KeyText, key_id
from entente.store.keystore import Keystore

CA_DAYS = 3650
LEAF_DAYS = 398
RENEW_DAYS = 30
SLACK = timedelta(minutes=5)
_CA, FIRST = "tls/ca", "tls/leaf"  # the names of private keys in keys.db; FIRST is the leaf of the pairing file


class Identity(msgspec.Struct, frozen=True):
    """What the partner must know of our side of the wire: the CA's certificate (PEM) and the leaf's public key."""

    ca: str
    key: KeyText


class Holder(NamedTuple):
    """Who a certificate is of, or by: a name that people read, and the key."""

    name: str
    key: Ed25519PrivateKey


def leaf_name(key: str) -> str:
    """The name under which the private half of a leaf key that stands in the register rests in keys.db."""
    return f"tls/{key_id(KeyText(key))}"


def identity(keys: Keystore, folder: Path, party: str, now: datetime | None = None, *, leaf: str = FIRST) -> Identity:
    """This party's CA and leaf certificate stand in `folder`/tls, made or renewed if need be.

    `leaf` names the leaf's key in keys.db: the one of the pairing file, or a later one of the register.
    """
    moment = now or datetime.now(UTC)
    for name in (_CA, FIRST):
        if keys.key(name) is None:
            keys.put_key(name, os.urandom(32))
    place = folder / "tls"
    place.mkdir(mode=0o700, exist_ok=True)
    root = Holder(f"entente {party} private CA", _key(keys, _CA))
    end = Holder(f"entente {party}", _key(keys, leaf))
    if not (place / "ca.pem").is_file():
        _write(place / "ca.pem", certificate(root, root, moment, moment + timedelta(days=CA_DAYS), ca=True))
    if not _fresh(place / "leaf.pem", end.key, moment):
        _write(place / "leaf.pem", certificate(end, root, moment, moment + timedelta(days=LEAF_DAYS)))
    return Identity((place / "ca.pem").read_text(), _text(end.key.public_key()))


def certificate(
    holder: Holder, issuer: Holder, start: datetime, end: datetime, *, ca: bool = False
) -> x509.Certificate:
    """The holder's certificate by the issuer: of a CA that may sign leaves only, or of one end of the wire."""
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    more = {"key_cert_sign": ca, "crl_sign": ca, "encipher_only": False, "decipher_only": False}
    ends = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    key, signer = holder.key, issuer.key
    built = (
        x509.CertificateBuilder()
        .subject_name(_name(holder.name))
        .issuer_name(_name(issuer.name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - SLACK)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not ca, **usage, **more), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        built = built.add_extension(x509.ExtendedKeyUsage(ends), critical=False)
    return built.sign(signer, None)


def context(keys: Keystore, folder: Path, partner_ca: str, *, server: bool, leaf: str = FIRST) -> ssl.SSLContext:
    """A TLS 1.3 context that shows our leaf and accepts only what the partner's CA signed.

    Names in certificates are not looked at: the CA is the partner's own, and the leaf's key is pinned by the caller.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=partner_ca)
    if server:
        made.num_tickets = 0  # every connection shows its certificate anew
    password = os.urandom(32).hex()
    private = _key(keys, leaf)
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    with tempfile.NamedTemporaryFile(dir=folder / "tmp") as file:  # OpenSSL wants a file: it gets one that is locked
        file.write(locked)
        file.flush()
        made.load_cert_chain(folder / "tls" / "leaf.pem", file.name, password=password)
    return made


def check_ca(text: str) -> None:
    """Raise FormatError unless the text is one CA's certificate as `identity` gives it, and not a letter more."""
    try:
        made = x509.load_pem_x509_certificate(text.encode())
        basic = made.extensions.get_extension_for_class(x509.BasicConstraints).value
        good = basic.ca and made.public_bytes(Encoding.PEM).decode() == text
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        good = False
    if not good:
        raise FormatError("not the certificate of one CA", place="TLS CA", remedy="Ask the partner for a new file.")


def check_peer(der: bytes | None, allowed: Callable[[str], bool]) -> str:
    """The public key text of the other end's certificate, if it is a pinned one; VerificationError if it is not."""
    try:
        key = x509.load_der_x509_certificate(der).public_key() if der else None
    except (ValueError, UnsupportedAlgorithm):  # OpenSSL takes more for a certificate than can be compared here
        key = None
    text = _text(key) if isinstance(key, Ed25519PublicKey) else ""
    if not text or not allowed(text):
        raise VerificationError(
            f"the other end shows {text[:24] or 'no Ed25519 key'}…, which is not the partner's",
            place="TLS leaf",
            remedy="Compare the pairing file; a rotated key must stand in the partner's register first.",
        )
    return text


def _key(keys: Keystore, name: str) -> Ed25519PrivateKey:
    seed = keys.key(name)
    if seed is None:
        raise KeyUnavailableError("no such key is held here", place=name, remedy="Run `entente pair show`.")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _text(key: Ed25519PublicKey) -> KeyText:
    return KeyText(f"{ED25519}:{key.public_bytes_raw().hex()}")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _fresh(path: Path, key: Ed25519PrivateKey, now: datetime) -> bool:
    if not path.is_file():
        return False
    held = x509.load_pem_x509_certificate(path.read_bytes())
    return held.public_key() == key.public_key() and held.not_valid_after_utc > now + timedelta(days=RENEW_DAYS)


def _write(path: Path, made: x509.Certificate) -> None:
    draft = path.with_suffix(".new")
    draft.write_bytes(made.public_bytes(Encoding.PEM))
    draft.rename(path)
