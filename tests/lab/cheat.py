"""A cheating partner.

It has its own log, mirror, person and authority keys, and signs with them what no honest node would.

A `Cheat` takes over one party's register from its node and publishes what it likes to a folder. It cannot forge what it
has no key for; everything here is validly signed unless a test says otherwise.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from entente.account.acts import Release, act_message
from entente.account.view import live_kem
from entente.crossing import payload
from entente.crossing.seal import seal, wrap_key
from entente.keys import SoftSigner, key_id
from entente.node.node import Node
from entente.node.served import FolderTree, ServedTree
from entente.register.checkpoint import Checkpoint, sign_checkpoint
from entente.register.entry import Entry, Seen, Sig, encode
from entente.register.tree import Tree, leaf_hashes
from entente.strict import encode as canonical_of
from entente.strict import parse, time_text
from entente.treaty.approval import Approval, Core, Sealed, approve
from entente.treaty.marking import Marking
from entente.treaty.record import Record
from lab.pair import AREA, Pair, sighted

MEDIA = "application/stix+json;version=2.1"
APPROVERS = (("iyer", "security"), ("nair", "release"))


@dataclass
class Forged:
    """A release as the cheat made it."""

    idx: int
    rid: str
    core: Core
    sealed: Sealed
    approvals: tuple[Approval, ...]
    wrapped: bytes
    body: dict[str, Any]


class Cheat:
    """One party's register and served tree in the hands of a cheat. The party's own node is not touched."""

    def __init__(self, pair: Pair, node: Node, name: str = "cheat") -> None:
        self.pair, self.node = pair, node
        self.folder = pair.folder / f"{name}-{node.party}"
        shutil.copytree(node.folder / "served", self.folder)
        self.served = ServedTree(self.folder, pair.folder / "cheat-tmp")
        self.entries = list(node.db.entries(node.logs[node.party]))
        self.log = self._machine("log")
        self.mirror = self._machine("mirror")
        self.origin = node.side.origin

    def _machine(self, name: str) -> SoftSigner:
        seed = self.node.keys.key(f"machine/{name}")
        assert seed is not None
        return SoftSigner(seed)

    @property
    def tree(self) -> FolderTree:
        """What the cheat serves."""
        return FolderTree(self.folder)

    @property
    def seen(self) -> Seen:
        """The victim's register as the cheat truly holds it."""
        return self.node.seen()

    # Entries

    def entry(
        self,
        kind: str,
        body: Mapping[str, Any],
        sigs: Sequence[Sig] = (),
        *,
        at: str = "",
        seen: Seen | None = None,
        agreement: str = "",
    ) -> bytes:
        """The bytes of an entry that says anything at all."""
        ordered = sorted(sigs, key=lambda sig: sig.by)
        moment = at or time_text(self.pair.clock())
        return encode(Entry(1, kind, moment, seen or self.seen, agreement or self.node.law.hash, dict(body), ordered))

    def add(self, data: bytes) -> int:
        """The bytes are the next leaf of the cheat's register; returns their index."""
        self.entries.append(data)
        return len(self.entries) - 1

    def note(self, entries: Sequence[bytes] | None = None, signer: SoftSigner | None = None) -> bytes:
        """A checkpoint over these entries (all of them if None), signed by the log or by another key."""
        tree = Tree.from_leaves(leaf_hashes(self.entries if entries is None else entries))
        return sign_checkpoint(Checkpoint(self.origin, tree.size, tree.root()), signer or self.log)

    def publish(self) -> FolderTree:
        """The cheat's register is served whole under its validly signed head."""
        entries = list(self.entries)
        tree = Tree.from_leaves(leaf_hashes(entries))
        self.served.rebuild("own", tree, self.note(), lambda first, end: entries[first:end])
        return self.tree

    # Signatures

    def by_persons(self, kind: str, body: Mapping[str, Any], *names: str) -> list[Sig]:
        """Persons of the cheat's own party sign an act."""
        message = act_message(kind, self.origin, self.node.law.hash, dict(body))
        signers = [self.pair.of(self.node, name) for name in names]
        return [Sig(handle, signer.sign(message).hex()) for handle, signer in signers]

    def by_authority(self, kind: str, body: Mapping[str, Any], signer: SoftSigner | None = None) -> list[Sig]:
        """The cheat's own authority (or another key) signs an act."""
        who = signer or self.pair.template.authorities[self.node.party]
        message = act_message(kind, self.origin, self.node.law.hash, dict(body))
        return [Sig(key_id(who.public), who.sign(message).hex())]

    def order(self, rid: str, act: str = "withdraw") -> int:
        """A signed order about a release; returns its index."""
        body = {"act": act, "nonce": os.urandom(16).hex(), "rid": rid}
        return self.add(self.entry("order", body, self.by_persons("order", body, "nair", "iyer")))

    # Releases

    def core(self, made: payload.Payload, salt: bytes, marking: Marking) -> Core:
        """The core that an honest sender would write for this payload."""
        law = self.node.law
        terms = law.law.areas[AREA]
        return Core(
            agreement=law.hash,
            ancestors=(),
            area=AREA,
            article=(terms.articles or ("",))[0],
            bytes_padded=made.padded,
            channel="network",
            content=payload.content(salt, made.pieces()),
            copies=1,
            custody="delivered",
            format="stix-2.1",
            marking=marking,
            nonce=os.urandom(16).hex(),
            origin=self.origin,
            records=payload.commit(salt, made.listing),
            retain_days=30,
            third_party="none",
            to=self.node.partner,
            units=(),
            view="full",
            exercise=True,
        )

    def release(
        self,
        bodies: Sequence[bytes] | None = None,
        *,
        markings: Sequence[Marking] | None = None,
        core: Mapping[str, Any] | None = None,
        sealed: Mapping[str, Any] | None = None,
        inside: bytes | None = None,
        approvers: Sequence[tuple[str, str]] = APPROVERS,
        wrapped: bytes | None = None,
        serve: bool = True,
        seen: Seen | None = None,
        at: str = "",
    ) -> Forged:
        """A release by certified persons, in which anything may be false.

        It joins the register and its files are served.

        `core` and `sealed` replace fields before (after) the approvers sign; `inside` is sealed in place of the
        plaintext that the core commits to; `wrapped` is named and served in place of the true wrapped key.
        """
        node = self.node
        marks = list(markings or [self.pair.marking(node)])
        made = payload.build(((Record(body, MEDIA, "", ""), 0, None) for body in bodies or sighted()), marks)
        dek, salt = os.urandom(32), os.urandom(32)
        honest = self.core(made, salt, self.pair.marking(node))
        final = msgspec.structs.replace(honest, **(core or {}))
        chunks: list[bytes] = []
        blob = seal(made.pieces() if inside is None else [inside], dek, chunks.append)
        kem = live_kem(node.other_side, node.other_side.size, node.now(), {"x25519"})
        assert kem is not None
        suite = "x25519-hkdfsha256-aes256gcm"
        secret = dek + salt
        key = wrapped if wrapped is not None else wrap_key(suite, node.other_side.kems[kem].key, kem, final.rid, secret)
        until = time_text(self.pair.clock().replace(year=2029))
        people = [(*self.pair.of(node, name), role) for name, role in approvers]
        approvals = tuple(
            sorted(
                (approve(signer, final.rid, handle, role, until) for handle, signer, role in people),
                key=lambda given: given.by,
            )
        )
        where = Sealed(blob.root, blob.size, kem, hashlib.sha256(key).hexdigest(), suite)
        where = msgspec.structs.replace(where, **(sealed or {}))
        body = parse(canonical_of(Release(final, where, approvals, "00" * 32)))
        idx = self.add(self.entry("release", body, seen=seen, at=at))
        if serve:
            self.served.put(f"blob/{blob.root}", b"".join(chunks))
            self.served.put(f"leaves/{blob.root}", b"".join(blob.leaves))
            self.served.put(f"key/{final.rid}", key)
        return Forged(idx, final.rid, final, where, approvals, key, body)
