"""The lab's wire: two parties with real private CAs, strangers with certificates of every kind, clients and servers.

All of it is real TLS on 127.0.0.1. `Server` says what a script tells it to say, so that a partner's node may be played
by anything that holds the partner's key; `ask` says any bytes and gives back every byte that came.
"""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from entente.node import tls
from entente.node.serve_partner import Bucket, Listener
from entente.node.tls import Holder, certificate
from entente.node.wire import WireTree
from entente.store.keystore import Keystore

HOST = "127.0.0.1"
PATIENCE_S = 20.0
DAY = timedelta(days=1)
GET = b"GET /own/checkpoint HTTP/1.1\r\nHost: partner\r\n\r\n"
Certificates = Sequence[x509.Certificate]
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


def now() -> datetime:
    """The machine's time, by which TLS judges."""
    return datetime.now(UTC)


def key() -> Ed25519PrivateKey:
    """A new key."""
    return Ed25519PrivateKey.generate()


@dataclass(frozen=True)
class Party:
    """One end of the wire as a node has it: a folder, keys.db, and what the pairing file says of it."""

    folder: Path
    keys: Keystore
    identity: tls.Identity
    name: str

    @classmethod
    def made(cls, folder: Path, name: str) -> Self:
        """A party with a CA and a leaf of its own."""
        (folder / "tmp").mkdir(parents=True)
        keys = Keystore(folder / "keys.db")
        keys.make_node_key(b"a passphrase")
        return cls(folder, keys, tls.identity(keys, folder, name), name)

    def holder(self, which: str) -> Holder:
        """Its real `ca` or `leaf` key: what a thief of keys.db would have."""
        seed = self.keys.key(f"tls/{which}")
        assert seed is not None
        title = f"entente {self.name}{' private CA' if which == 'ca' else ''}"
        return Holder(title, Ed25519PrivateKey.from_private_bytes(seed))

    def shown(self, which: str) -> x509.Certificate:
        """Its real certificate."""
        return x509.load_pem_x509_certificate((self.folder / "tls" / f"{which}.pem").read_bytes())

    def context(self, partner_ca: str, *, server: bool) -> ssl.SSLContext:
        """Its own TLS context."""
        return tls.context(self.keys, self.folder, partner_ca, server=server)

    def close(self) -> None:
        """keys.db is closed."""
        self.keys.close()


class Ends(NamedTuple):
    """Both ends of a wire, and a folder for what strangers carry."""

    ours: Party
    theirs: Party
    folder: Path


def pem(chain: Certificates) -> bytes:
    """The certificates as text, in this order."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in chain)


_numbers = count()


def client(
    folder: Path,
    chain: Certificates = (),
    owner: PrivateKey | None = None,
    *,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """A client that trusts whoever answers and shows this chain (default: nothing)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = newest
    if owner is not None:
        made.load_cert_chain(*files(folder, chain, owner))
    return made


def server(folder: Path, chain: Certificates, owner: PrivateKey) -> ssl.SSLContext:
    """A server that shows this chain and asks nobody who they are."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*files(folder, chain, owner))
    return made


def files(folder: Path, chain: Certificates, owner: PrivateKey) -> tuple[Path, Path]:
    """Chain and key as files, for OpenSSL and for clients that are not ours."""
    number = next(_numbers)
    shown, locked = folder / f"{number}.pem", folder / f"{number}.key"
    shown.write_bytes(pem(chain))
    locked.write_bytes(owner.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return shown, locked


class Stranger(NamedTuple):
    """What somebody shows who is not the partner: a chain of certificates and the key of the first."""

    chain: Certificates
    owner: Ed25519PrivateKey | None


def strangers(partner: Party, victim: Party) -> dict[str, Stranger]:
    """Whoever must be turned away at the victim's end, by what they show; each with the best keys they could have."""
    ca, leaf, today = partner.holder("ca"), partner.holder("leaf"), now()
    fresh, other_ca = key(), Holder(ca.name, key())
    year = 365 * DAY
    mine = Holder(leaf.name, fresh)
    root = certificate(other_ca, other_ca, today, today + year, ca=True)
    pinned = partner.shown("leaf")

    def by(issuer: Holder, holder: Holder, start: datetime = today, end: datetime = today + year) -> x509.Certificate:
        return certificate(holder, issuer, start, end)

    return {
        "a self-signed certificate": Stranger([by(mine, mine)], fresh),
        "the pinned key, self-signed": Stranger([by(leaf, leaf)], leaf.key),
        "another CA": Stranger([by(other_ca, mine), root], fresh),
        "another CA for the pinned key": Stranger([by(other_ca, leaf), root], leaf.key),
        "the victim's own CA": Stranger([by(victim.holder("ca"), mine)], fresh),
        "the victim's own leaf": Stranger([victim.shown("leaf")], victim.holder("leaf").key),
        "the right CA, expired": Stranger([by(ca, leaf, today - 9 * DAY, today - DAY)], leaf.key),
        "the right CA, expired a second ago": Stranger([by(ca, leaf, today - DAY, today - DAY / 86400)], leaf.key),
        "the right CA, not yet valid": Stranger([by(ca, leaf, today + DAY, today + year)], leaf.key),
        "the right CA, another leaf": Stranger([by(ca, mine)], fresh),
        "a leaf that plays the CA": Stranger([by(leaf, mine), pinned], fresh),
        "a leaf that plays the CA, by its name": Stranger([by(Holder(ca.name, leaf.key), mine), pinned], fresh),
        "the CA itself": Stranger([partner.shown("ca")], ca.key),
        "a CA below the CA": Stranger([certificate(mine, ca, today, today + year, ca=True)], fresh),
    }


# Clients


class Heard(NamedTuple):
    """Every byte that came, deciphered, and how it ended: `end`, or the name of the fault."""

    data: bytes
    ended: str


def listen(sock: socket.socket, enough: Callable[[bytes], bool] = lambda _: False) -> Heard:
    """All that comes until the other end closes or breaks off, or until it is enough."""
    data = b""
    try:
        while not enough(data):
            piece = sock.recv(65_536)
            if not piece:
                return Heard(data, "end")
            data += piece
    except OSError as fault:
        return Heard(data, type(fault).__name__)
    return Heard(data, "enough")


@contextlib.contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A connection with its handshake done, as far as this end can know."""
    plain = socket.create_connection((HOST, port), PATIENCE_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with plain, context.wrap_socket(plain, server_hostname=HOST) as sock:
        yield sock


def ask(port: int, context: ssl.SSLContext | None, request: bytes = GET) -> Heard:
    """What somebody hears who says this, over TLS or (without a context) in clear, and then waits for the end."""
    try:
        if context is None:
            with socket.create_connection((HOST, port), PATIENCE_S) as plain:
                plain.sendall(request)
                return listen(plain)
        with connected(port, context) as sock:
            sock.sendall(request)
            return listen(sock)
    except OSError as fault:
        return Heard(b"", type(fault).__name__)


def said(sock: ssl.SSLSocket, request: bytes, *, body: bool = True) -> bytes:
    """The one answer to a request on an open connection, head and body; less if it was closed before."""
    sock.sendall(request)
    head = listen(sock, lambda data: b"\r\n\r\n" in data).data
    length = re.search(rb"content-length: ([0-9]+)", head)
    if length is None or not body:
        return head
    size = head.index(b"\r\n\r\n") + 4 + int(length[1])
    while len(head) < size:
        more = listen(sock, bool).data
        if not more:
            break
        head += more
    return head


def until(condition: Callable[[], object], what: str = "it") -> None:
    """The condition holds; the test fails if it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.002)


# Servers


@contextlib.contextmanager
def serving(
    folder: Path,
    owner: Party,
    partner: Party,
    *,
    allowed: Callable[[str], bool] | None = None,
    bucket: Bucket | None = None,
) -> Iterator[Listener]:
    """The owner's listener for the partner, over this folder."""
    pinned = allowed or partner.identity.key.__eq__
    made = Listener(folder, owner.context(partner.identity.ca, server=True), pinned, host=HOST, port=0, bucket=bucket)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def reader(
    port: int,
    owner: Party,
    partner: Party,
    *,
    allowed: Callable[[str], bool] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    pause: Callable[[float], object] = time.sleep,
) -> WireTree:
    """The owner's reader of what somebody on this port serves, who should be the partner."""
    context, pinned = owner.context(partner.identity.ca, server=False), allowed or partner.identity.key.__eq__
    return WireTree(f"https://{HOST}:{port}", context, pinned, interrupted=interrupted, pause=pause)


Script = Callable[[ssl.SSLSocket, bytes], None]


class Server:
    """Somebody who speaks TLS on a port of ours and does what a script says with each request.

    `script` is given the connection and the request's head. `heard` has every head, `connections` counts handshakes.
    """

    def __init__(self, context: ssl.SSLContext, script: Script) -> None:
        self.context, self.script = context, script
        self.heard: list[bytes] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self._open.add(plain)
                thread = threading.Thread(target=self._serve, args=(plain,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with plain, contextlib.suppress(OSError, ValueError):  # ValueError: it is being closed from outside
            plain.recv(1, socket.MSG_PEEK)  # Python 3.11 leaks what it wraps if it was reset without a word
            with self.context.wrap_socket(plain, server_side=True) as sock:
                self._open.add(sock)
                self.connections += 1
                while True:
                    head = listen(sock, lambda data: b"\r\n\r\n" in data)
                    if head.ended != "enough":
                        return
                    self.heard.append(head.data)
                    self.script(sock, head.data)


def answer(body: bytes = b"", status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """An answer as an honest server writes it, but for what is asked for."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
