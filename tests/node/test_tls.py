"""Who is not the partner gets not one byte, at either end of the wire; and the partner may change its keys.

A stranger may have any certificate, and keys that were stolen from the node itself. Certificates are judged by the
machine's own clock, so those that are too old or too young are made so. Source: test-table A-12; threats 7.
"""

import contextlib
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from entente.account.acts import act_message
from entente.errors import KeyUnavailableError, PartnerError, StateError, VerificationError
from entente.keys import SoftSigner, key_id
from entente.node import pair as pairing
from entente.node import tls
from entente.node.ledger import Draft
from entente.node.node import Node
from entente.node.serve_partner import Bucket, Listener
from entente.node.setup import act, nonce
from entente.node.tls import Holder, certificate, check_peer
from entente.register.entry import Sig
from entente.store.keystore import Keystore
from entente.strict import time_text
from lab.cheat import Cheat
from lab.pair import UNTIL, Pair, files
from lab.tls import (
    DAY,
    GET,
    HOST,
    Ends,
    Heard,
    Server,
    answer,
    ask,
    client,
    connected,
    key,
    now,
    reader,
    said,
    server,
    serving,
    strangers,
)
from lab.tls import files as kept

pytestmark = pytest.mark.allow_hosts([HOST])
SHOWN = sorted(
    [
        "a self-signed certificate",
        "the pinned key, self-signed",
        "another CA",
        "another CA for the pinned key",
        "the victim's own CA",
        "the victim's own leaf",
        "the right CA, expired",
        "the right CA, expired a second ago",
        "the right CA, not yet valid",
        "the right CA, another leaf",
        "a leaf that plays the CA",
        "a leaf that plays the CA, by its name",
        "the CA itself",
        "a CA below the CA",
    ]
)
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BODY = b"a head that only the partner may read"
CHILD = """
import sys
from pathlib import Path
from entente import keys
keys._ARGON2_KIB = 2**5  # as in conftest.py
"""


@pytest.fixture(scope="module")
def served(ends: Ends) -> Path:
    """A served tree of one file."""
    (ends.folder / "served" / "own").mkdir(parents=True)
    (ends.folder / "served" / "own" / "checkpoint").write_bytes(BODY)
    return ends.folder / "served"


@pytest.fixture(scope="module")
def bucket() -> Bucket:
    """Never filled again, so that it counts the requests that were let through to the served tree."""
    return Bucket(0, 1e9)


@pytest.fixture(scope="module")
def listener(ends: Ends, served: Path, bucket: Bucket) -> Iterator[Listener]:
    """Our listener, which serves them."""
    with serving(served, ends.ours, ends.theirs, bucket=bucket) as made:
        yield made


@pytest.fixture
def untouched(bucket: Bucket) -> Iterator[None]:
    """What happens inside the test puts no request before the served tree."""
    before = bucket._left
    yield
    assert bucket._left == before


# At the listener


def test_the_partner_gets_what_it_asks_for(ends: Ends, listener: Listener, bucket: Bucket) -> None:
    """Without this the tests below prove nothing."""
    before = bucket._left
    theirs = ends.theirs
    heard = ask(listener.port, client(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key), LAST)
    assert heard.data.endswith(b"\r\n\r\n" + BODY)
    assert bucket._left == before - 1


def test_every_kind_of_stranger_is_tried(ends: Ends) -> None:
    assert sorted(strangers(ends.theirs, ends.ours)) == SHOWN


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.usefixtures("untouched")
def test_a_client_that_is_not_the_partner_gets_not_one_byte(ends: Ends, listener: Listener, shown: str) -> None:
    chain, owner = strangers(ends.theirs, ends.ours)[shown]
    assert ask(listener.port, client(ends.folder, chain, owner), LAST).data == b""


@pytest.mark.usefixtures("untouched")
def test_a_client_without_a_certificate_gets_not_one_byte(ends: Ends, listener: Listener) -> None:
    """TLS itself ends it: it does not even come as far as those whom the pin turns away."""
    before = listener.turned_away
    assert ask(listener.port, client(ends.folder), LAST).data == b""
    assert listener.turned_away == before


@pytest.mark.usefixtures("untouched")
def test_the_partner_with_tls_1_2_gets_not_one_byte(ends: Ends, listener: Listener) -> None:
    theirs = ends.theirs
    old = client(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key, newest=ssl.TLSVersion.TLSv1_2)
    assert ask(listener.port, old, LAST) == Heard(b"", "SSLEOFError")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(LAST, id="HTTP in clear"),
        pytest.param(b"\x16\x03\x01\x00\x05nonsense" * 500, id="nonsense in a handshake record"),
        pytest.param(b"\x17\x03\x03\x00\x50" + bytes(80), id="application data before the handshake"),
        pytest.param(bytes(100_000), id="zeros"),
        pytest.param(b"SSH-2.0-probe\r\n", id="another protocol"),
    ],
)
@pytest.mark.usefixtures("untouched")
def test_who_does_not_speak_tls_gets_no_http(listener: Listener, words: bytes) -> None:
    """At most a TLS alert of seven bytes comes back."""
    heard = ask(listener.port, None, words)
    assert heard.data == b"" or (heard.data[:1] == b"\x15" and len(heard.data) == 7)


def signed_by(ends: Ends, public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> x509.Certificate:
    """A leaf for a key that is not Ed25519, by the partner's CA."""
    ca = ends.theirs.holder("ca")
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "entente theirs")]))
        .issuer_name(ends.theirs.shown("ca").subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
        .sign(ca.key, None)
    )


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.usefixtures("untouched")
def test_a_leaf_of_another_kind_by_the_right_ca_gets_not_one_byte(ends: Ends, listener: Listener, kind: str) -> None:
    owner = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    shown = signed_by(ends, owner.public_key())
    before = listener.turned_away
    assert ask(listener.port, client(ends.folder, [shown], owner), LAST).data == b""
    assert listener.turned_away == before + 1, "the CA lets it in, so that the pin must keep it out"


@pytest.mark.usefixtures("untouched")
def test_a_leaf_that_may_only_serve_is_no_client(ends: Ends, listener: Listener) -> None:
    leaf = ends.theirs.holder("leaf")
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    shown = (
        x509.CertificateBuilder()
        .subject_name(ends.theirs.shown("leaf").subject)
        .issuer_name(ends.theirs.shown("ca").subject)
        .public_key(leaf.key.public_key())
        .serial_number(1)
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
        .add_extension(usage, critical=False)
        .sign(ends.theirs.holder("ca").key, None)
    )
    assert ask(listener.port, client(ends.folder, [shown], leaf.key), LAST).data == b""


def test_a_partner_whose_ca_has_expired_gets_not_one_byte(ends: Ends, served: Path) -> None:
    """By the CA that the pairing file named; the leaf itself is fresh, and the pinned one."""
    ca, leaf = ends.theirs.holder("ca"), ends.theirs.holder("leaf")
    root = certificate(ca, ca, now() - 9 * DAY, now() - DAY, ca=True)
    context = ends.ours.context(root.public_bytes(Encoding.PEM).decode(), server=True)
    listener = Listener(served, context, ends.theirs.identity.key.__eq__, host=HOST, port=0)
    listener.start()
    try:
        assert ask(listener.port, client(ends.folder, [ends.theirs.shown("leaf")], leaf.key), LAST).data == b""
    finally:
        listener.stop()


def test_a_ticket_of_an_earlier_connection_opens_none(ends: Ends, listener: Listener) -> None:
    """Every connection shows its certificate anew: there is nothing to resume."""
    theirs = ends.theirs
    context = client(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    with connected(listener.port, context) as sock:
        sock.sendall(GET)
        assert sock.recv(1) == b"H"
        session = sock.session
    assert session is None or not session.has_ticket


@pytest.mark.usefixtures("untouched")
def test_a_recorded_conversation_played_again_reaches_nothing(ends: Ends, listener: Listener) -> None:
    """What the partner once said, byte for byte, is worth nothing on another connection (A-10, on the wire)."""
    bio_in, bio_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = ends.theirs
    context = client(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    talk = context.wrap_bio(bio_in, bio_out)
    recorded = b""
    ours = ends.ours.context(theirs.identity.ca, server=True)
    back_in, back_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    other = ours.wrap_bio(back_in, back_out, server_side=True)
    for _ in range(4):
        for end, (inward, outward) in ((talk, (bio_out, back_in)), (other, (back_out, bio_in))):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            data = inward.read()
            if end is talk:
                recorded += data
            outward.write(data)
    talk.write(LAST)
    recorded += (last := bio_out.read())
    back_in.write(last)
    assert other.read(9999) == LAST, "it is a whole conversation"
    heard = ask(listener.port, None, recorded)
    assert BODY not in heard.data
    assert b"HTTP" not in heard.data


# Foreign clients


@pytest.fixture
def curl() -> str:
    """The curl of this machine."""
    found = shutil.which("curl")
    if found is None:
        pytest.skip("no curl on this machine: Python's own client speaks for all")
    return found


@pytest.fixture
def openssl() -> str:
    """The openssl command of this machine."""
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("no openssl command on this machine: Python's own client speaks for all")
    return found


def curled(curl: str, port: int, *options: str | Path) -> tuple[int, bytes]:
    """Exit code and output of curl, which verifies nobody."""
    done = subprocess.run(
        [
            curl,
            "-q",
            "-sk",
            "-i",
            "--noproxy",
            "*",
            "-m",
            "20",
            *map(str, options),
            f"https://{HOST}:{port}/own/checkpoint",
        ],
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_curl_of_the_partner_is_served_and_without_a_certificate_gets_not_one_byte(
    ends: Ends, listener: Listener, curl: str
) -> None:
    theirs = ends.theirs
    shown, locked = kept(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    code, printed = curled(curl, listener.port, "--cert", shown, "--key", locked)
    assert code == 0
    assert printed.endswith(b"\r\n\r\n" + BODY)
    code, printed = curled(curl, listener.port)
    assert code != 0
    assert printed == b""


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.usefixtures("untouched")
def test_curl_that_is_not_the_partner_gets_not_one_byte(ends: Ends, listener: Listener, curl: str, shown: str) -> None:
    chain, owner = strangers(ends.theirs, ends.ours)[shown]
    assert owner is not None
    certificates, locked = kept(ends.folder, chain, owner)
    code, printed = curled(curl, listener.port, "--cert", certificates, "--key", locked)
    assert code != 0
    assert printed == b""


def test_openssl_of_the_partner_is_served_over_tls_1_3_alone(ends: Ends, listener: Listener, openssl: str) -> None:
    """The server tells nobody whose certificate it wants; without one, or over an older TLS, there is no HTTP."""
    theirs = ends.theirs
    shown, locked = kept(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    call = [openssl, "s_client", "-connect", f"{HOST}:{listener.port}", "-ign_eof"]
    own = ["-cert", str(shown), "-key", str(locked)]
    done = subprocess.run([*call, *own], input=LAST, capture_output=True, check=False, timeout=20)
    assert BODY in done.stdout
    assert b"New, TLSv1.3" in done.stdout
    assert b"No client certificate CA names sent" in done.stdout
    for options in ([], [*own, "-tls1_2"], [*own, "-tls1_1"]):
        done = subprocess.run([*call, *options], input=LAST, capture_output=True, check=False, timeout=20)
        assert BODY not in done.stdout
        assert b"HTTP/" not in done.stdout


# At the reader


@pytest.fixture
def pauses() -> list[float]:
    """How long the reader would have waited."""
    return []


@pytest.mark.parametrize("shown", SHOWN)
def test_a_server_that_is_not_the_partner_is_told_nothing(ends: Ends, shown: str, pauses: list[float]) -> None:
    """Our reader takes nothing from it, and it does not even learn what we would have asked for."""
    chain, owner = strangers(ends.theirs, ends.ours)[shown]
    assert owner is not None
    with Server(server(ends.folder, chain, owner), lambda sock, _: sock.sendall(answer(BODY))) as stranger:
        tree = reader(stranger.port, ends.ours, ends.theirs, pause=pauses.append)
        with pytest.raises((PartnerError, VerificationError)):
            tree.get("own/checkpoint", 100)
        tree.close()
    assert stranger.heard == []


def test_the_partner_as_a_server_is_read(ends: Ends) -> None:
    """Without this the test above proves nothing."""
    theirs = ends.theirs
    context = server(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    with Server(context, lambda sock, _: sock.sendall(answer(BODY))) as partner:
        tree = reader(partner.port, ends.ours, theirs)
        assert tree.get("own/checkpoint", 100) == BODY
        tree.close()


def test_a_server_with_tls_1_2_is_told_nothing(ends: Ends, pauses: list[float]) -> None:
    theirs = ends.theirs
    context = server(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server(context, lambda sock, _: sock.sendall(answer(BODY))) as old:
        tree = reader(old.port, ends.ours, theirs, pause=pauses.append)
        with pytest.raises(PartnerError):
            tree.get("own/checkpoint", 100)
        tree.close()
    assert old.heard == []


# The identity


def test_an_identity_stays_as_it_is_and_the_keys_rest_in_keys_db_alone(ends: Ends) -> None:
    """Asked for again and used for contexts, it changes no file; no file holds a key of it in clear."""
    ours = ends.ours
    before = files(ours.folder / "tls")
    assert sorted(before) == ["ca.pem", "leaf.pem"]
    assert tls.identity(ours.keys, ours.folder, ours.name) == ours.identity
    ours.context(ends.theirs.identity.ca, server=True)
    assert files(ours.folder / "tls") == before
    assert list((ours.folder / "tmp").iterdir()) == []
    seeds = [ours.keys.key(f"tls/{name}") for name in ("ca", "leaf")]
    for path in filter(Path.is_file, ours.folder.rglob("*")):
        data = path.read_bytes()
        assert b"PRIVATE KEY" not in data
        assert not [seed for seed in seeds if seed and (seed in data or seed.hex().encode() in data)], path


def test_a_certificate_says_what_it_is_for_and_no_more(ends: Ends) -> None:
    """The CA signs leaves only; the leaf is no CA, and names no host, no person and no country."""
    root, leaf = ends.ours.shown("ca"), ends.ours.shown("leaf")
    basic = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, False)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not root.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert [each.rfc4514_string() for each in (root.subject, leaf.subject)] == [
        "CN=entente ours private CA",
        "CN=entente ours",
    ]


@pytest.mark.parametrize(("days", "renewed"), [(0, False), (367, False), (369, True), (500, True)])
def test_a_leaf_is_renewed_in_its_last_thirty_days_under_the_same_key(
    ends: Ends, days: int, renewed: bool, tmp_path: Path
) -> None:
    """The partner pins the key, so that it notices nothing; the CA's certificate stays."""
    (tmp_path / "tmp").mkdir()
    before = tls.identity(ends.ours.keys, tmp_path, "ours")
    leaf = (tmp_path / "tls" / "leaf.pem").read_bytes()
    assert tls.identity(ends.ours.keys, tmp_path, "ours", now() + days * DAY) == before
    assert ((tmp_path / "tls" / "leaf.pem").read_bytes() != leaf) == renewed


def test_a_party_that_lost_its_certificates_is_known_by_those_that_it_makes_anew(ends: Ends, served: Path) -> None:
    """The partner still has the old CA certificate: the same key under the same name is the same CA."""
    ours, theirs = ends.ours, ends.theirs
    for path in (theirs.folder / "tls").iterdir():
        path.unlink()
    made = tls.identity(theirs.keys, theirs.folder, theirs.name)
    assert made.ca != theirs.identity.ca
    assert made.key == theirs.identity.key
    with serving(served, ours, theirs) as listener:
        tree = reader(listener.port, theirs, ours)
        assert tree.get("own/checkpoint", 100) == BODY
        tree.close()


def test_a_context_without_an_identity_is_refused(ends: Ends, tmp_path: Path) -> None:
    keys = Keystore(tmp_path / "keys.db")
    try:
        keys._cipher = ends.ours.keys._cipher
        with pytest.raises(KeyUnavailableError):
            tls.context(keys, tmp_path, ends.theirs.identity.ca, server=True)
    finally:
        keys.close()


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"", id="no bytes"),
        pytest.param(b"\x30\x03\x02\x01\x01", id="no certificate"),
        pytest.param(bytes(1000), id="zeros"),
    ],
)
def test_what_is_no_certificate_is_not_the_partners(shown: bytes | None) -> None:
    with pytest.raises(VerificationError):
        check_peer(shown, lambda _: True)


def test_a_certificate_whose_key_cannot_be_read_is_not_the_partners() -> None:
    """Whatever TLS made of it: who cannot be compared is a stranger, not a fault of ours."""
    owner = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(owner.public_key())
    made = made.serial_number(1).not_valid_before(now()).not_valid_after(now() + DAY)
    der = made.sign(owner, hashes.SHA256()).public_bytes(Encoding.DER)
    point = owner.public_key().public_numbers()
    for wrong in (
        der.replace(point.y.to_bytes(32, "big"), bytes(32)),  # no point of the curve
        der.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030177")),  # no such curve
    ):
        assert wrong != der
        with pytest.raises(VerificationError):
            check_peer(wrong, lambda _: True)


def test_a_process_killed_while_it_opens_its_end_leaves_a_node_that_opens(pair: Pair) -> None:
    """OpenSSL wants a file for the key: it is locked, and one left behind by a killed process is swept away."""
    folder = pair.shut("IND")
    (folder / pairing.PARTNER_CA).parent.mkdir(exist_ok=True)
    (folder / pairing.PARTNER_CA).write_text(pem_of_a_ca())
    code = CHILD + (
        "import os\n"
        "from entente.app import AREAS, validate\n"
        "from entente.node.node import Node\n"
        "node = Node(Path(sys.argv[1]), AREAS, validate)\n"
        "place = str(Path(sys.argv[1]) / 'tmp')\n"
        "def die(event, args):\n"
        "    if event in ('os.remove', 'os.rmdir') and str(args[0]).startswith(place):\n"
        "        os._exit(9)\n"
        "sys.addaudithook(die)\n"
        "node.tls_context(server=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False, capture_output=True)
    assert done.returncode == 9, done.stderr
    left = list((folder / "tmp").rglob("*"))
    assert left
    assert all(path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY") for path in left if path.is_file())
    pair.open("IND")
    assert list((folder / "tmp").iterdir()) == []


def pem_of_a_ca() -> str:
    """Somebody's CA."""
    holder = Holder("somebody", key())
    made = certificate(holder, holder, now(), now() + DAY, ca=True)
    return made.public_bytes(Encoding.PEM).decode()


# Rotation: the partner's register says which keys are its own


def paired(pair: Pair) -> str:
    """Both nodes are paired by hand and read each other's folder; returns the first party's paired leaf key."""
    for code, other in (pair.codes, pair.codes[::-1]):
        data = pairing.own_pairing(pair.nodes[code], "https://192.0.2.1:8443")
        node = pair.nodes[other]
        pairing.accept_pairing(node.folder, node.law.hash, data, tree=f"../{code}/served")
    for code in pair.codes:
        pair.open(code)
    return tls.identity(pair.a.keys, pair.a.folder, pair.a.party).key


def certified(pair: Pair, node: Node, public: str, *by: SoftSigner, until: str = UNTIL, revoked: bool = False) -> Draft:
    """A tls key entry to be of this node's party, by its authority and by these keys."""
    body: dict[str, object] = {
        "areas": [],
        "key": public,
        "nonce": nonce(),
        "roles": [],
        "subject": "tls",
        "until": until,
    }
    if revoked:
        body["revoked"] = {"from_index": node.side.size, "reason": "stolen"}
    draft = act(node, "key", body, pair.template.authorities[node.party])
    message = act_message("key", node.side.origin, node.law.hash, body)
    more = tuple(Sig(key_id(signer.public), signer.sign(message).hex()) for signer in by)
    return Draft(draft.kind, draft.body, (*draft.sigs, *more))


def told(pair: Pair, draft: Draft) -> None:
    """The entry stands in the first party's register and the partner has read it."""
    pair.a.append([draft])
    pair.b.pull()


def test_a_key_certified_in_the_partners_register_is_accepted_beside_the_paired_one(pair: Pair) -> None:
    """Overlap: the node may change over at any moment after its partner has read the entry, and not before."""
    first, second = paired(pair), SoftSigner.generate()
    assert pair.b.is_partner_leaf(first)
    assert not pair.b.is_partner_leaf(second.public)
    pair.a.append([certified(pair, pair.a, second.public)])
    assert not pair.b.is_partner_leaf(second.public), "not read yet"
    pair.b.pull()
    assert pair.b.is_partner_leaf(first)
    assert pair.b.is_partner_leaf(second.public)
    assert not pair.a.is_partner_leaf(second.public), "it is the partner's, not our own partner's"
    pair.open("KOR")
    assert pair.b.is_partner_leaf(second.public), "and after a restart"


def test_a_second_rotation_needs_the_former_key(pair: Pair) -> None:
    """Who stole the authority's key alone cannot take over the wire quietly: the entry is invalid for both."""
    paired(pair)
    second, third = SoftSigner.generate(), SoftSigner.generate()
    told(pair, certified(pair, pair.a, second.public))
    with pytest.raises(StateError, match="signature missing"):
        pair.a.append([certified(pair, pair.a, third.public)])
    told(pair, certified(pair, pair.a, third.public, second))
    assert pair.b.is_partner_leaf(third.public)


def test_a_revoked_key_is_refused_and_the_others_are_not(pair: Pair) -> None:
    first, second = paired(pair), SoftSigner.generate()
    told(pair, certified(pair, pair.a, second.public))
    told(pair, certified(pair, pair.a, second.public, revoked=True))
    assert not pair.b.is_partner_leaf(second.public)
    assert pair.b.is_partner_leaf(first)


def test_the_paired_key_can_be_revoked_by_the_register(pair: Pair) -> None:
    """What passed by hand gives way to what the authority signed later: certified, then revoked."""
    first, second = paired(pair), SoftSigner.generate()
    own = SoftSigner(pair.a.keys.key("tls/leaf") or b"")
    assert own.public == first
    told(pair, certified(pair, pair.a, first))
    told(pair, certified(pair, pair.a, second.public, own))
    told(pair, certified(pair, pair.a, first, revoked=True))
    assert not pair.b.is_partner_leaf(first)
    assert pair.b.is_partner_leaf(second.public)


def test_a_certified_key_is_refused_from_the_minute_it_expires(pair: Pair) -> None:
    paired(pair)
    second = SoftSigner.generate()
    told(pair, certified(pair, pair.a, second.public, until=time_text(pair.clock() + DAY)))
    pair.clock.forward(hours=23, minutes=59)
    assert pair.b.is_partner_leaf(second.public)
    pair.clock.forward(minutes=1)
    assert not pair.b.is_partner_leaf(second.public)


def test_a_clock_that_is_set_back_makes_no_expired_key_good_again(pair: Pair) -> None:
    """F-08, never less strict: this node has signed at a time when the key had expired, and remembers that it did."""
    paired(pair)
    second = SoftSigner.generate()
    told(pair, certified(pair, pair.a, second.public, until=time_text(pair.clock() + DAY)))
    pair.clock.forward(days=2)
    pair.exchange()
    pair.release(pair.b)
    assert not pair.b.is_partner_leaf(second.public)
    pair.clock.forward(days=-2)
    assert not pair.b.is_partner_leaf(second.public)


def test_a_revoked_key_is_refused_at_every_moment_while_the_node_loads_its_registers_anew(pair: Pair) -> None:
    """The listener asks from a thread of its own, while the worker learns a new agreement, say."""
    first = paired(pair)
    told(pair, certified(pair, pair.a, first))
    told(pair, certified(pair, pair.a, first, revoked=True))
    accepted, done = list[str](), threading.Event()

    def look() -> None:
        while not done.is_set():
            if pair.b.is_partner_leaf(first):
                accepted.append(first)

    asking = threading.Thread(target=look)
    asking.start()
    try:
        for _ in range(20):
            pair.b.view.raw.execute("DELETE FROM saved_fold")
            pair.b.reload()
    finally:
        done.set()
        asking.join()
    assert not accepted


def test_an_invalid_certification_pins_nothing(pair: Pair) -> None:
    """Signed by another party's authority, it stands in the register, is listed, and opens nothing."""
    paired(pair)
    cheat, second = Cheat(pair, pair.a), SoftSigner.generate()
    body = {"areas": [], "key": second.public, "nonce": nonce(), "roles": [], "subject": "tls", "until": UNTIL}
    cheat.add(cheat.entry("key", body, cheat.by_authority("key", body, pair.template.authorities["KOR"])))
    pair.b.pull(cheat.publish())
    assert [bad.reason for bad in pair.b.other_side.invalid] == ["signature"]
    assert not pair.b.is_partner_leaf(second.public)


def test_the_listener_asks_the_register_at_every_request(pair: Pair, tmp_path: Path) -> None:
    """A leaf that is rotated in is served; from the moment it is revoked it is not, on an open connection either."""
    paired(pair)
    ca, owner = Ed25519PrivateKey.from_private_bytes(pair.a.keys.key("tls/ca") or b""), key()
    public = f"ed25519:{owner.public_key().public_bytes_raw().hex()}"
    shown = certificate(Holder("entente IND", owner), Holder("entente IND private CA", ca), now(), now() + DAY)
    context = client(tmp_path, [shown], owner)
    listener = Listener(
        pair.b.folder / "served", pair.b.tls_context(server=True), pair.b.is_partner_leaf, host=HOST, port=0
    )
    listener.start()
    try:
        assert ask(listener.port, context, LAST).data == b""
        told(pair, certified(pair, pair.a, public))
        with connected(listener.port, context) as sock:
            assert said(sock, GET).startswith(b"HTTP/1.1 200")
            told(pair, certified(pair, pair.a, public, revoked=True))
            assert said(sock, GET) == b""
        assert ask(listener.port, context, LAST).data == b""
    finally:
        listener.stop()


def test_the_reader_asks_the_register_at_every_request(ends: Ends) -> None:
    """A server whose key was revoked is not read on, though the connection was made before."""
    allowed = {ends.theirs.identity.key}
    theirs = ends.theirs
    context = server(ends.folder, [theirs.shown("leaf")], theirs.holder("leaf").key)
    with Server(context, lambda sock, _: sock.sendall(answer(BODY))) as partner:
        tree = reader(partner.port, ends.ours, theirs, allowed=allowed.__contains__)
        assert tree.get("own/checkpoint", 100) == BODY
        allowed.clear()
        with pytest.raises(VerificationError):
            tree.get("own/checkpoint", 100)
        tree.close()
    assert len(partner.heard) == 1
