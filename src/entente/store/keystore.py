"""keys.db: private keys locked under passphrases, record keys under the node's key, and wrapped objects to serve.

A short-lived backup of its own; deleting a row here and truncating the log is what makes a destruction real.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, insert, select

from entente.errors import KeyUnavailableError
from entente.keys import SoftSigner, lock, unlock
from entente.store import tables as t
from entente.store.sqlite import Database

VERSION = 1
NODE_KEY = "node"
_put_secret = insert(t.secret)
_get_secret = select(t.secret.c.public, t.secret.c.locked).where(t.secret.c.name == bindparam("b_name"))
_names = select(t.secret.c.name, t.secret.c.public).order_by(t.secret.c.name)
_put_key = insert(t.record_key).prefix_with("OR IGNORE")
_get_key = select(t.record_key.c.locked).where(t.record_key.c.name == bindparam("b_name"))
_drop_key = delete(t.record_key).where(t.record_key.c.name == bindparam("b_name"))
_put_wrapped = insert(t.wrapped).prefix_with("OR REPLACE")
_get_wrapped = select(t.wrapped.c.data).where(t.wrapped.c.rid == bindparam("b_rid"))
_drop_wrapped = delete(t.wrapped).where(t.wrapped.c.rid == bindparam("b_rid"))


class Keystore(Database):
    """Every secret of one node. `open_node_key` must come before record keys are read or written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, t.keys, version=VERSION)
        self._cipher: AESGCM | None = None

    def put_secret(self, name: str, public: str, secret: bytes, passphrase: bytes) -> None:
        """A private key rests under its name, locked."""
        self.run(_put_secret, name=name, public=public, locked=lock(secret, passphrase, label=name))

    def secret(self, name: str, passphrase: bytes) -> bytes:
        """The private key; KeyUnavailableError if it is not held or the passphrase is wrong."""
        row = self.one(_get_secret, b_name=name)
        if row is None:
            raise KeyUnavailableError("no such key is held here", place=name, remedy="See `entente key list`.")
        return unlock(bytes(row[1]), passphrase, label=name)

    def locked(self, name: str) -> bytes | None:
        """A private key as it rests, locked; None if it is not held."""
        row = self.one(_get_secret, b_name=name)
        return None if row is None else bytes(row[1])

    def public(self, name: str) -> str:
        """The public half; KeyUnavailableError if the key is not held."""
        row = self.one(_get_secret, b_name=name)
        if row is None:
            raise KeyUnavailableError("no such key is held here", place=name)
        return str(row[0])

    def names(self) -> list[tuple[str, str]]:
        """(name, public key) of every private key held."""
        return [(str(row[0]), str(row[1])) for row in self.all(_names)]

    def signer(self, name: str, passphrase: bytes) -> SoftSigner:
        """A signer for an Ed25519 key held here."""
        return SoftSigner(self.secret(name, passphrase))

    def make_node_key(self, passphrase: bytes) -> None:
        """The key under which machine and record keys rest exists; only the passphrase opens it."""
        self.put_secret(NODE_KEY, "", os.urandom(32), passphrase)
        self.open_node_key(passphrase)

    def open_node_key(self, passphrase: bytes) -> None:
        """Record and machine keys can be read and written until the store is closed."""
        self._cipher = AESGCM(self.secret(NODE_KEY, passphrase))

    def _node_cipher(self) -> AESGCM:
        if self._cipher is None:
            raise KeyUnavailableError("the node's key is not open", remedy="Give the node's passphrase file.")
        return self._cipher

    def put_key(self, name: str, secret: bytes) -> None:
        """A record key (or machine key) rests encrypted under the node's key; the first one under a name stands."""
        nonce = os.urandom(12)
        self.run(_put_key, name=name, locked=nonce + self._node_cipher().encrypt(nonce, secret, name.encode()))

    def replace_key(self, name: str, secret: bytes) -> None:
        """As `put_key`, but the last one under a name stands, and no other is in any file of this store."""
        with self.transaction():
            self.run(_drop_key, b_name=name)
            self.put_key(name, secret)
        self.wipe()

    def put_keys(self, secrets: Iterable[tuple[str, bytes]]) -> None:
        """Every record key of these (name, key) rests as `put_key` would have it, or none does."""
        with self.transaction():
            for name, secret in secrets:
                self.put_key(name, secret)

    def key(self, name: str) -> bytes | None:
        """A record key, or None if it is not there (never made, or destroyed)."""
        row = self.one(_get_key, b_name=name)
        if row is None:
            return None
        locked = bytes(row[0])
        try:
            return self._node_cipher().decrypt(locked[:12], locked[12:], name.encode())
        except InvalidTag:
            raise KeyUnavailableError("damaged, or locked under another node key", place=name) from None

    def put_wrapped(self, rid: str, data: bytes) -> None:
        """A wrapped object is kept to be served."""
        self.run(_put_wrapped, rid=rid, data=data)

    def wrapped(self, rid: str) -> bytes | None:
        """The wrapped object of a release."""
        row = self.one(_get_wrapped, b_rid=rid)
        return None if row is None else bytes(row[0])

    def destroy(self, rid: str) -> None:
        """Neither the record key nor the wrapped object of a release is in any file of this store."""
        with self.transaction():
            self.run(_drop_key, b_name=rid)
            self.run(_drop_wrapped, b_rid=rid)
        self.wipe()
