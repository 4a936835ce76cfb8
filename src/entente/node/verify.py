"""Verify a served tree from its files alone, no key and no database needed: what an auditor runs.

Every hash, tile, head, signature and decision is computed again. `verify.py` at the root of the repository does the
same (but for decide()) without one line of this program; both must agree.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from entente.account.acts import Genesis, Release, parse_body
from entente.account.cascade import went_home
from entente.account.fold import Fold, new_pair
from entente.account.state import Pair, ReleaseFact, Side
from entente.account.view import view_for
from entente.crossing.seal import SEALED_CHUNK, check_leaves, leaf_hash, sealed_bytes
from entente.errors import CorruptionError, EntenteError, FormatError, VerificationError
from entente.keys import key_id, verify
from entente.node.ledger import mirror_name
from entente.node.report import Line, Report
from entente.register import note
from entente.register.checkpoint import Checkpoint, open_mirror, open_own, parse_text
from entente.register.entry import Entry, parse_entry, signed_message
from entente.register.tiles import ENTRIES, Tile, changed_bundles, changed_tiles, split
from entente.register.tree import Tree, leaf_hashes
from entente.treaty.agreement import SignedAgreement, parse_agreement
from entente.treaty.decision import decide
from entente.treaty.request import Request, parties_of, sealed_ref

MAX_FILE = 1 << 26
NOT_CHECKED = (
    "who the persons are: keys are certified by each authority, persons by nobody here",
    "plaintext against its commitment: that takes a record key",
    "each party's own gate(): only a commitment to it is here",
    "that the partner holds the same: verify both nodes, or reconcile",
)


def verify_folders(folders: dict[str, Path]) -> Report:
    """The served trees of these nodes, each by itself and against each other; faults are in the report, never raised.

    Args:
        folders: a name for each node's folder (the folder that holds `served`).
    """
    report = Report()
    trees: dict[str, dict[str, Tree]] = {}
    for name, folder in folders.items():
        reader = _ServedReader(folder / "served", f"{name}/served" if len(folders) > 1 else "served", report)
        trees[name] = reader.verify()
        party = next(iter(trees[name]), name)
        if len(folders) > 1 and party != name:
            report.fail("demo.json", f"names {name} as {name}, but its register is {party}'s")
    _cross(report, trees)
    if len(folders) > 1:
        _keys_in_time(report, folders, trees)
    for text in NOT_CHECKED if len(folders) == 1 else NOT_CHECKED[:-1]:
        report.lines.append(Line("not checked", text))
    return report


def _cross(report: Report, trees: dict[str, dict[str, Tree]]) -> None:
    """Each node's mirror must be a prefix of what the other serves as its own."""
    owners = {next(iter(found)): (name, found) for name, found in trees.items() if found}
    for party, (name, found) in owners.items():
        for other, mirror in list(found.items())[1:]:
            if other not in owners:
                continue
            there = owners[other][1][other]
            size = min(mirror.size, there.size)
            place = f"{name}/served/mirror"
            if mirror.root(size) != there.root(size):
                report.fail(place, f"fork: {other}'s register differs between {other} and {party} below entry {size}")
            elif mirror.size > there.size:
                report.fail(f"{owners[other][0]}/served/own", f"behind: {party} holds {mirror.size} entries of it")
            else:
                report.ok(f"{place} is {other}'s own register to entry {mirror.size} of {there.size}")


def _keys_in_time(report: Report, folders: dict[str, Path], trees: dict[str, dict[str, Tree]]) -> None:
    """No key is served before the partner's mirror covers its release."""
    for name, idx, rid, early in report.keys:
        covered = max(
            (found[name].size for other, found in trees.items() if other != name and name in found), default=0
        )
        if idx >= covered and not early and name in folders and not report.faults:
            report.fail(f"{name}/served/key/{rid}", "served before the partner's cosignature covers its release")


class _ServedReader:
    """One node's served tree."""

    def __init__(self, root: Path, name: str, report: Report) -> None:
        self.root, self.name, self.report = root, name, report
        self.expected: set[str] = set()
        self.laws: dict[str, SignedAgreement] = {}
        self.entries: dict[str, list[bytes]] = {}
        self.trees: dict[str, Tree] = {}

    def verify(self) -> dict[str, Tree]:
        """Everything in the tree; the trees by party, the node's own first."""
        try:
            self._agreements()
            own = self._register("own")
            if (self.root / "mirror").is_symlink() or (self.root / "mirror").exists():
                self._register("mirror", own)
            self._fold(own)
            self._files()
        except EntenteError as fault:
            self.report.fail(self._place(fault), fault.detail)
            self.report.lines.append(Line("not checked", f"{self.name}: which other files belong there"))
        except OSError as fault:
            self.report.fail(self.name, f"cannot be looked through: {fault.strerror}")
        return self.trees

    def _place(self, fault: EntenteError) -> str:
        return fault.place if fault.place.startswith(self.name) else f"{self.name}/{fault.place}".rstrip("/")

    def _read(self, path: str) -> bytes:
        """The bytes of a plain file that must be there."""
        self.expected.add(path)
        target = self.root / path
        try:
            if not stat.S_ISREG(target.lstat().st_mode):
                raise CorruptionError("is not a plain file", place=path)
            with target.open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError:
            raise CorruptionError("missing", place=path) from None
        if len(data) > MAX_FILE:
            raise FormatError("too large", place=path)
        return data

    def _agreements(self) -> None:
        folder = self.root / "agreement"
        names = sorted(os.listdir(folder)) if folder.is_dir() and not folder.is_symlink() else []
        for name in names:
            data = self._read(f"agreement/{name}")
            try:
                signed = parse_agreement(data, place=f"agreement/{name}")
            except EntenteError as fault:
                self.report.fail(f"{self.name}/agreement/{name}", fault.detail)
                continue
            if signed.hash != name:
                self.report.fail(f"{self.name}/agreement/{name}", "does not hash to its name")
                continue
            self.laws[name] = signed
        if not self.laws:
            named = parse_entry(self._first_entry("own")[0]).agreement
            raise CorruptionError("missing, or not the agreement of that name", place=f"agreement/{named}")
        self.report.ok(f"{self.name}/agreement: {len(self.laws)}, hashing to the names")

    def _register(self, prefix: str, own: Side | None = None) -> Side:
        """A register's head is signed as it must be, and its entries, bundles and tiles give the head's root."""
        path = f"{prefix}/checkpoint"
        data = self._read(path)
        try:
            head = parse_text(note.parse(data).text)
        except EntenteError as fault:
            raise FormatError(fault.detail, place=path) from None
        law = next(iter(self.laws.values())).law
        party, other = parties_of(head.origin)
        if party not in law.party or other not in law.party or (own is not None and party == own.party):
            raise VerificationError(f"origin {head.origin} is not of this agreement", place=path)
        side = new_pair(law).sides[party]
        if side.origin != head.origin:
            raise VerificationError(f"origin is {head.origin}, not {side.origin}", place=path)
        self._genesis(prefix, side, head.size)
        self._head(path, data, side, own)
        tree, entries = self._contents(prefix, head)
        self.trees[party], self.entries[party] = tree, entries
        self.report.entries += head.size
        self.report.ok(f"{self.name}/{prefix}: {head.size} entries and their tiles give root {head.root.hex()[:16]}")
        if prefix == "own":
            self.report.registers[party] = {"root": head.root.hex(), "size": head.size}
        return side

    def _first_entry(self, prefix: str, size: int = 256) -> tuple[bytes, str]:
        """Entry 0 and its bundle's path, whichever width of it is served; no checkpoint is believed yet."""
        folder = self.root / prefix / "tile" / "entries"
        widths = [path for path in folder.glob("000.p/*") if path.name.isdecimal()]
        found = [folder / "000", *sorted(widths, key=lambda path: -int(path.name))]
        for path in found:
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                length = int.from_bytes(data[:2], "big")
                return data[2 : 2 + length], path.relative_to(self.root).as_posix()
        raise CorruptionError("missing", place=f"{prefix}/{Tile(ENTRIES, 0, max(1, min(256, size))).path}")

    def _contents(self, prefix: str, head: Checkpoint) -> tuple[Tree, list[bytes]]:
        entries: list[bytes] = []
        bundles = sum(1 for _ in _walk(self.root / prefix / "tile" / "entries"))
        if head.size > 256 * bundles:
            raise CorruptionError(f"{head.size} entries cannot be in {bundles} bundles", place=f"{prefix}/tile/entries")
        for tile in changed_bundles(0, head.size):
            path = f"{prefix}/{tile.path}"
            try:
                entries += split(self._read(path), tile.width)
            except FormatError as fault:
                raise CorruptionError(fault.detail, place=path) from None
        tree = Tree.from_leaves(leaf_hashes(entries))
        wrong = []
        for tile in changed_tiles(0, head.size):
            path = f"{prefix}/{tile.path}"
            if self._read(path) != tree.tile(tile):
                wrong.append((path, tile))
        if tree.root() != head.root:
            culprit = self._culprit(prefix, head, entries)
            raise CorruptionError(f"does not give the checkpoint's root {head.root.hex()[:16]}", place=culprit)
        for path, _ in wrong:
            self.report.fail(f"{self.name}/{path}", "is not what the entries hash to")
        return tree, entries

    def _culprit(self, prefix: str, head: Checkpoint, entries: list[bytes]) -> str:
        """What to blame when entries do not give the head: the bundle whose leaves its level-0 tile denies."""
        for tile in changed_tiles(0, head.size):
            if tile.level == 0:
                part = leaf_hashes(entries[256 * tile.index : 256 * tile.index + tile.width])
                shown = self._read(f"{prefix}/{tile.path}")
                for at in range(0, len(part), 32):
                    if part[at : at + 32] != shown[at : at + 32]:
                        bundle = f"{prefix}/{changed_bundles(0, head.size)[tile.index].path}"
                        return f"{bundle} (entry {256 * tile.index + at // 32})"
        return f"{prefix}/checkpoint"

    def _genesis(self, prefix: str, side: Side, size: int) -> None:
        """Entry 0 is signed by the agreement's authority; the log and mirror keys are taken from it."""
        data, path = self._first_entry(prefix, size)
        place = f"{path} entry 0"
        entry = parse_entry(data, place=place)
        law = self.laws.get(entry.agreement)
        if law is None:
            raise CorruptionError(f"names agreement {entry.agreement}, which is not served", place=place)
        try:
            body = parse_body(entry.kind, entry.body)
        except FormatError as fault:
            raise FormatError(fault.detail, place=place) from None
        if not isinstance(body, Genesis):
            raise VerificationError("is no genesis", place=place)
        if body.origin != side.origin:
            detail = f"is of {side.origin}, but entry 0 in {path} is of {body.origin}"
            raise VerificationError(detail, place=f"{prefix}/checkpoint")
        authority = {str(key_id(key)): key for key in law.law.party[side.party].authority}
        message = signed_message(side.origin, entry)
        if not entry.sigs or not all(s.by in authority and verify(authority[s.by], message, s.sig) for s in entry.sigs):
            raise VerificationError(f"is not signed by {side.party}'s authority", place=place)
        side.log_key, side.mirror_key = body.keys.log.key, body.keys.mirror.key

    def _head(self, path: str, data: bytes, side: Side, own: Side | None) -> None:
        """Exactly the expected signature lines, each verifying."""
        try:
            if own is None:
                open_own(data, side.origin, side.log_key or "")
            else:
                cosigner = mirror_name(next(iter(self.laws.values())).law.id, own.party)
                open_mirror(data, side.origin, side.log_key or "", cosigner, own.mirror_key or "")
        except EntenteError as fault:
            raise VerificationError(fault.detail, place=path) from None
        self.report.heads += 1
        self.report.signatures += 1 if own is None else 2
        lines = (
            "one signature line, by the log"
            if own is None
            else "two signature lines, by the partner's log and our mirror"
        )
        self.report.ok(f"{self.name}/{path}: {lines}")

    def _fold(self, own: Side) -> None:
        """Every entry judged and every release decided again, each in its own causal past."""
        pair = new_pair(next(iter(self.laws.values())).law)
        counted = 0

        def count(key: str, message: bytes, signature: str, /) -> bool:
            nonlocal counted
            good = verify(key, message, signature)
            counted += good
            return good

        refused: list[str] = []
        decided = 0

        def on_release(side: Side, idx: int, entry: Entry, body: Release) -> None:
            nonlocal decided
            law = self.laws[entry.agreement]
            request = Request(side.origin, idx, entry.at, body.core, sealed_ref(body.sealed), body.approvals)
            view = view_for(pair, side.party, entry.seen.size, request, self.laws)
            decision = decide(law.law, view, request, count)
            decided += 1
            if not decision.permit:
                rules = ", ".join(f.rule for f in decision.refusals)
                refused.append(f"{side.party} entry {idx} ({rules})")

        def roots(party: str, size: int) -> str | None:
            tree = self.trees.get(party)
            return tree.root(size).hex() if tree is not None and size <= tree.size else None

        Fold(pair, self.laws, roots, count, on_release).extend(self.entries)
        self.report.signatures += counted
        self.report.decisions += decided
        bad = [f"{side.party} entry {item.idx}: {item.reason}" for side in pair.sides.values() for item in side.invalid]
        self.report.invalid += len(bad)
        self.report.ok(
            f"{self.name}: {sum(map(len, self.entries.values())) - len(bad)} entries valid, "
            f"{len(bad)} listed as invalid"
        )
        for text in bad:
            self.report.lines.append(Line("ok", f"  invalid, changes nothing: {text}"))
        self.report.ok(f"{self.name}: decide() computed again for {decided} releases, {len(refused)} not permitted")
        for text in refused:
            self.report.lines.append(Line("ok", f"  not permitted: {text}"))
        if len(self.trees) == 1 and any(item.reason == "bad_seen" for item in pair.sides[own.party].invalid):
            raise CorruptionError("missing, although our entries have seen the partner's", place="mirror/checkpoint")
        self._agreements_named(set().union(*(side.adopted for side in pair.sides.values())))
        for fact in pair.sides[own.party].releases:
            self._release(pair, pair.sides[own.party], fact)

    def _agreements_named(self, adopted: set[str]) -> None:
        for name in self.laws:
            if name not in adopted:
                self.report.fail(f"{self.name}/agreement/{name}", "no entry adopts it")

    def _release(self, pair: Pair, side: Side, fact: ReleaseFact) -> None:
        """Blob and leaf hashes of a release that stands are whole; its key, where served, is the one entered."""
        ordered = any(order.act in ("withdraw", "destroy") and order.idx < side.size for order in fact.orders)
        ended = {"returned", "destroyed"} & {given.outcome for given in fact.answers}
        gone = ordered or ended or went_home(pair, side, fact)
        if os.path.lexists(self.root / f"key/{fact.rid}"):
            key = self._read(f"key/{fact.rid}")
            if hashlib.sha256(key).hexdigest() != fact.key_digest:
                self.report.fail(f"{self.name}/key/{fact.rid}", "is not the key object that was entered")
            early = self.laws[fact.agreement].law.key_before_ack
            self.report.keys.append((next(iter(self.trees)), fact.idx, fact.rid, early))
        if gone:
            return
        try:
            size = sealed_bytes(fact.bytes_padded)
            leaves = check_leaves(self._read(f"leaves/{fact.blob}"), fact.blob, size)
            self._blob(fact.blob, leaves)
        except EntenteError as fault:
            self.report.fail(self._place(fault), fault.detail)

    def _blob(self, root: str, leaves: tuple[bytes, ...]) -> None:
        path = f"blob/{root}"
        self.expected.add(path)
        try:
            if not stat.S_ISREG((self.root / path).lstat().st_mode):
                raise CorruptionError("is not a plain file", place=path)
            with (self.root / path).open("rb") as file:
                for number, leaf in enumerate(leaves):
                    if leaf_hash(file.read(SEALED_CHUNK)) != leaf:
                        raise CorruptionError(f"chunk {number} does not match its leaf hash", place=path)
                if file.read(1):
                    raise CorruptionError("bytes follow the last chunk", place=path)
        except OSError:
            raise CorruptionError("missing", place=path) from None
        self.report.ok(f"{self.name}/{path[:21]}…: {len(leaves)} chunks, each matching its leaf hash")

    def _files(self) -> None:
        """No file but the expected ones, no link, nothing that is not a plain file or folder."""
        unknown = 0
        for path in _walk(self.root):
            relative = path.relative_to(self.root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                if not any(name.startswith(f"{relative}/") for name in self.expected) and relative not in _FOLDERS:
                    self.report.fail(f"{self.name}/{relative}", "unknown folder")
                    unknown += 1
            elif not stat.S_ISREG(mode) or relative not in self.expected:
                self.report.fail(f"{self.name}/{relative}", "unknown file")
                unknown += 1
        if not unknown:
            self.report.ok(f"{self.name}: {len(self.expected)} files, none unknown")


_FOLDERS = frozenset({"agreement", "blob", "key", "leaves", "mirror", "own"})


def _walk(folder: Path) -> Iterator[Path]:
    """Every path below the folder, links not followed; OSError where a path is too long to be looked at."""
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        for item in sorted(os.scandir(place), key=lambda entry: entry.name) if place.is_dir() else ():
            yield Path(item.path)
            if item.is_dir(follow_symlinks=False):
                waiting.append(Path(item.path))
