"""The independent verifier finds one changed byte anywhere, names it, and never falls over.

The two-node demo here is built from the documents (core-spec.md, formats.md) and from nothing of the project or of
verify.py: what the two agree on is what the documents say.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from collections.abc import Callable

VERIFY_PY = Path(__file__).resolve().parents[1] / "verify.py"
_spec = importlib.util.spec_from_file_location("verify_py", VERIFY_PY)
assert _spec
assert _spec.loader
verify = importlib.util.module_from_spec(_spec)
sys.modules["verify_py"] = verify
_spec.loader.exec_module(verify)

# --- a demo, from the documents ----------------------------------------------------------------------------------

AT, UNTIL = "2026-11-01T10:00Z", "2027-11-01T10:00Z"
PARTIES = {"IND": "KOR", "KOR": "IND"}
EMPTY = {"epoch": 1, "size": 0, "root": hashlib.sha256(b"").hexdigest()}
CHUNK = 1_048_576 + 16


def secret(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def public(name: str) -> bytes:
    return secret(name).public_key().public_bytes_raw()


def text_key(name: str) -> str:
    return f"ed25519:{public(name).hex()}"


def id_of(name: str) -> str:
    return hashlib.sha256(b"ed25519\n" + public(name)).hexdigest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pae(kind: str, data: bytes, suffix: str = "json") -> bytes:
    name = f"application/vnd.entente.{kind}.v1+{suffix}".encode()
    return b" ".join([b"DSSEv1", str(len(name)).encode(), name, str(len(data)).encode(), data])


def nonce(name: str) -> str:
    return hashlib.sha256(b"nonce" + name.encode()).hexdigest()[:32]


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:split]) + root(leaves[split:])).digest()


def path_of(number: int, width: int) -> str:
    digits = f"{number:03d}"
    digits = "0" * (-len(digits) % 3) + digits
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return path if width == 256 else f"{path}.p/{width}"


TOML = f"""id = "sample"
key_before_ack = false
[acts]
signers = {{ order = 1, suspend = 1, revoke = 1, undertaking = 1, incident = 1 }}
roles = {{ claim = "release" }}
[party]
IND = {{ authority = ["{text_key("IND authority")}"] }}
KOR = {{ authority = ["{text_key("KOR authority")}"] }}
[terms]
approvals = 2
roles = ["release", "security"]
[area]
documents = {{ articles = ["1"] }}
""".encode()
AGREEMENT = hashlib.sha256(pae("agreement", TOML, "toml")).hexdigest()
WRAPPED = b"wrapped" * 12
SMALL = bytes(range(256)) + bytes(16)


class Log:
    """One party's register, written as the documents say."""

    def __init__(self, party: str) -> None:
        self.party = party
        self.origin = f"entente/sample/{party}-to-{PARTIES[party]}/1"
        self.entries: list[bytes] = []
        self.log_key = f"{party} log"

    def seen(self, size: int | None = None) -> dict[str, Any]:
        leaves = [leaf(entry) for entry in self.entries]
        size = len(leaves) if size is None else size
        return {"epoch": 1, "size": size, "root": root(leaves[:size]).hex()}

    def add(self, kind: str, body: dict[str, Any], by: dict[str, str], seen: dict[str, Any] = EMPTY) -> str:
        """Append an entry; `by` maps who is named to whose key signs. Returns the act id."""
        signed = pae(kind, canonical({"agreement": AGREEMENT, "body": body, "origin": self.origin}))
        sigs = [{"by": who, "sig": secret(key).sign(signed).hex()} for who, key in sorted(by.items())]
        entry = {"v": 1, "kind": kind, "at": AT, "seen": seen, "agreement": AGREEMENT, "body": body, "sigs": sigs}
        self.entries.append(canonical(entry))
        return hashlib.sha256(signed).hexdigest()

    def authority(self, kind: str, body: dict[str, Any], *old: str, seen: dict[str, Any] = EMPTY) -> str:
        names = [f"{self.party} authority", *old]
        body = {"nonce": nonce(f"{kind} {len(self.entries)}")} | body
        return self.add(kind, body, {id_of(name): name for name in names}, seen)

    def person(self, name: str, role: str) -> None:
        who = f"{self.party}/{name}"
        body = {"subject": who, "commitment": hashlib.sha256(who.encode()).hexdigest(), "key": text_key(who)}
        self.authority("key", body | {"roles": [role], "areas": ["documents"], "ceiling": "LOW", "until": UNTIL})

    def begin(self) -> None:
        me = self.party
        keys = {"log": {"key": text_key(f"{me} log")}, "mirror": {"key": text_key(f"{me} mirror")}}
        kem = {"key": "x25519:" + "09" * 32, "until": UNTIL}
        self.authority("genesis", {"agreement": AGREEMENT, "origin": self.origin, "keys": keys | {"kem": kem}})
        sig = secret(f"{me} authority").sign(pae("agreement", TOML, "toml")).hex()
        self.authority("adopt", {"agreement": AGREEMENT, "sig": {"by": id_of(f"{me} authority"), "sig": sig}})
        self.authority("assurance", {"level": "LOW", "areas": ["documents"], "units": [], "until": UNTIL})

    def release(
        self,
        number: int,
        blob: bytes,
        seen: dict[str, Any],
        approvers: dict[str, str],
        until: str = UNTIL,
        **other: Any,
    ) -> str:
        """Append a release; returns its rid."""
        me, you = self.party, PARTIES[self.party]
        marking = {"caveats": [], "level": "LOW", "originator": me, "purpose": "p", "releasable_to": sorted([me, you])}
        core = {
            "nonce": nonce(f"core {number}"), "origin": self.origin, "to": you, "agreement": AGREEMENT,
            "area": "documents",
            "article": "1", "format": "document-1", "view": "full", "marking": marking,
            "records": {"count": 1, "root": "11" * 32}, "content": "22" * 32, "bytes_padded": 256,
            "custody": "delivered",
            "channel": "network", "copies": 1, "retain_days": 1, "ancestors": [], "third_party": "none", "units": [],
        } | other  # fmt: skip
        rid = hashlib.sha256(pae("core", canonical(core))).hexdigest()
        approvals = []
        for who, role in approvers.items():
            said = {"by": who, "rid": rid, "role": role, "until": until}
            sig = secret(who).sign(pae("approval", canonical(said))).hex()
            approvals.append({"by": who, "role": role, "until": until, "sig": sig})
        leaves = [leaf(blob[i : i + CHUNK]) for i in range(0, len(blob), CHUNK)]
        sealed = {"suite": "s", "kem_key": "33" * 32, "blob": root(leaves).hex(), "blob_bytes": len(blob)}
        sealed["key_digest"] = hashlib.sha256(WRAPPED).hexdigest()
        self.add("release", {"core": core, "sealed": sealed, "approvals": approvals, "private": "44" * 32}, {}, seen)
        return rid

    def note(self, cosigner: str = "") -> bytes:
        leaves = [leaf(entry) for entry in self.entries]
        text = f"{self.origin}\n{len(leaves)}\n{base64.b64encode(root(leaves)).decode()}\n".encode()
        lines = [self._line(self.origin, 1, self.log_key, secret(self.log_key).sign(text))]
        if cosigner:
            time = 1_790_000_000
            sig = secret(f"{cosigner} mirror").sign(f"cosignature/v1\ntime {time}\n".encode() + text)
            name = f"entente/sample/{cosigner}/mirror"
            lines.append(self._line(name, 4, f"{cosigner} mirror", time.to_bytes(8, "big") + sig))
        return text + b"\n" + "".join(lines).encode()

    def _line(self, name: str, kind: int, key: str, signature: bytes) -> str:
        mark = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public(key)).digest()[:4]
        return f"\u2014 {name} {base64.b64encode(mark + signature).decode()}\n"

    def write(self, folder: Path, cosigner: str = "") -> None:
        put(folder / "checkpoint", self.note(cosigner))
        hashes, level = [leaf(entry) for entry in self.entries], 0
        while hashes:
            for number in range(0, len(hashes), 256):
                part = hashes[number : number + 256]
                put(folder / f"tile/{level}" / path_of(number // 256, len(part)), b"".join(part))
            hashes, level = [root(hashes[i : i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)], level + 1
        for number in range(0, len(self.entries), 256):
            part = self.entries[number : number + 256]
            data = b"".join(len(entry).to_bytes(2, "big") + entry for entry in part)
            put(folder / "tile/entries" / path_of(number // 256, len(part)), data)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


APPROVERS = {"IND/nair": "release", "IND/iyer": "security"}


def two_logs() -> tuple[Log, Log]:
    """Both registers, begun, with two persons certified at IND."""
    ind, kor = Log("IND"), Log("KOR")
    ind.begin()
    kor.begin()
    ind.person("nair", "release")
    ind.person("iyer", "security")
    return ind, kor


def write_demo(folder: Path, ind: Log, kor: Log, blobs: dict[str, bytes]) -> Path:
    """Both nodes' served trees and demo.json; `blobs` = {rid: blob} of IND's releases."""
    shutil.rmtree(folder, ignore_errors=True)
    for mine, theirs in ((ind, kor), (kor, ind)):
        served = folder / mine.party.lower() / "served"
        mine.write(served / "own")
        theirs.write(served / "mirror", mine.party)
        put(served / "agreement" / AGREEMENT, TOML)
    for rid, blob in blobs.items():
        leaves = [leaf(blob[i : i + CHUNK]) for i in range(0, len(blob), CHUNK)]
        put(folder / "ind/served/key" / rid, WRAPPED)
        put(folder / "ind/served/blob" / root(leaves).hex(), blob)
        put(folder / "ind/served/leaves" / root(leaves).hex(), b"".join(leaves))
    put(folder / "demo.json", json.dumps({party: {"dir": party.lower()} for party in PARTIES}).encode())
    return folder


def full_demo(folder: Path) -> Path:
    """One release, dispatched, stored, answered."""
    ind, kor = two_logs()
    rid = ind.release(1, SMALL, kor.seen(), APPROVERS)
    body = {"re": {"origin": ind.origin, "spans": [[5, 5]]}, "outcome": "received", "witnesses": []}
    kor.add("answer", body, {}, ind.seen())
    return write_demo(folder, ind, kor, {rid: SMALL})


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return full_demo(tmp_path / "demo")


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same signatures are verified thousands of times here: verify each once."""
    monkeypatch.setattr(verify, "ed25519", functools.lru_cache(None)(verify.ed25519))


def places(folder: Path) -> list[str]:
    report = verify.verify(folder)
    assert report.failed == len(report.faults)
    return [fault["place"] for fault in report.faults]


def reasons(folder: Path) -> list[str]:
    """What is listed as invalid, where nothing is a fault."""
    report = verify.verify(folder)
    assert report.faults == []
    return [row["detail"] for row in report.invalid]


# --- what is right passes ----------------------------------------------------------------------------------------


def test_a_demo_made_from_the_documents_verifies(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(demo), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert result["verified"]["entries"] == 20
    assert result["verified"]["heads"] == 4
    assert result["verified"]["signatures"] == 2 * (6 + 4 + 2) + 6  # authority's and approvals, twice; lines
    assert result["verified"]["failed"] == 0
    assert result["faults"] == []
    assert result["invalid"]["count"] == 0
    assert {party: one["size"] for party, one in result["registers"].items()} == {"IND": 6, "KOR": 4}
    assert "who the persons are" in result["verified"]["not_checked"]
    assert lines[-2].startswith("verified IND to 6, KOR to 4: 20 entries, 4 heads")


def test_a_node_and_a_served_tree_verify_alone(demo: Path) -> None:
    for folder in (demo / "ind", demo / "ind/served", demo / "kor"):
        assert places(folder) == []


def test_it_runs_as_a_script_by_the_pure_path_and_imports_nothing_of_the_project(demo: Path) -> None:
    command = [sys.executable, "-I", str(VERIFY_PY), str(demo), "--json"]
    runs = [subprocess.run([*command, *more], capture_output=True, text=True, check=False) for more in ([], ["--pure"])]
    assert [run.returncode for run in runs] == [0, 0]
    assert runs[0].stdout == runs[1].stdout
    assert "entente import" not in VERIFY_PY.read_text()
    assert "import entente" not in VERIFY_PY.read_text()


def test_nothing_to_verify_is_a_usage_error(tmp_path: Path) -> None:
    assert verify.main([str(tmp_path)]) == 2
    assert verify.main([str(tmp_path / "absent")]) == 2


def test_a_register_of_several_tiles_verifies(tmp_path: Path) -> None:
    ind, kor = two_logs()
    for number in range(600):
        ind.authority("assurance", {"level": "LOW", "areas": [], "units": [f"u{number}"], "until": UNTIL})
    write_demo(tmp_path, ind, kor, {})
    assert (tmp_path / "ind/served/own/tile/1/000.p/2").is_file()
    assert reasons(tmp_path) == []
    (tmp_path / "ind/served/own/tile/1/000.p/2").write_bytes(bytes(64))
    assert places(tmp_path) == ["ind/served/own/tile/1/000.p/2"]


# --- one byte ----------------------------------------------------------------------------------------------------


def all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "demo.json")


def blamed(folder: Path, path: Path) -> bool:
    return str(path.relative_to(folder)) in places(folder)


def test_every_single_byte_matters_and_its_file_is_named(demo: Path) -> None:
    rng = random.Random(1)
    tried = 0
    for path in all_files(demo / "ind"):
        data = path.read_bytes()
        step = 13 if "/tile/entries/" in str(path) else 1
        for at in range(rng.randrange(step), len(data), step):
            changed = bytearray(data)
            changed[at] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            assert blamed(demo / "ind", path), (path, at)
            tried += 1
        path.write_bytes(data)
    assert tried > 2_000
    assert places(demo) == []


@pytest.mark.slow
def test_every_byte_of_every_bundle_is_bound(demo: Path) -> None:
    """The same for the entries, all bytes, at the level of one register."""
    for side in ("own", "mirror"):
        path = next((demo / f"kor/served/{side}/tile/entries").rglob("*.p/*"))
        data, shown = path.read_bytes(), f"{side}/{path.relative_to(demo / f'kor/served/{side}')}"
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
            report = verify.Report()
            register = verify.Register(verify.Folder(str(demo / "kor/served"), "", report), side, report)
            assert not register.sound
            assert shown in [fault["place"] for fault in report.faults], at
        path.write_bytes(data)


def test_bytes_added_at_either_end_or_cut_off_are_found(demo: Path) -> None:
    for path in all_files(demo):
        data = path.read_bytes()
        for other in (data + b"\n", data + b"\0", b"\n" + data, data[:-1], b""):
            path.write_bytes(other)
            assert blamed(demo, path), path
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"\n", b"\r\n"), (b"=\n", b"\n"), (b"\n\xe2", b"\x0b\xe2"), (b"\n\xe2", b"\xe2\x80\xa8\xe2"), (b" ", b"  ")],
)
def test_a_note_has_one_form(demo: Path, old: bytes, new: bytes) -> None:
    for side in ("own", "mirror"):
        path = demo / f"ind/served/{side}/checkpoint"
        data = path.read_bytes()
        at = data.rindex(old)
        path.write_bytes(data[:at] + new + data[at + len(old) :])
        assert blamed(demo, path)
        path.write_bytes(data)


def test_base64_with_stray_bits_is_refused(demo: Path) -> None:
    """The last letter before the padding carries bits that decode to nothing: the signatures would still verify."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for side, pad in (("own", b"=\n"), ("mirror", b"==\n")):
        path = demo / f"ind/served/{side}/checkpoint"
        good = path.read_bytes()
        at = good.rindex(pad) - 1
        other = good[:at] + bytes([letters[letters.index(good[at]) + 1]]) + good[at + 1 :]
        assert base64.b64decode(other.split()[-1]) == base64.b64decode(good.split()[-1])
        path.write_bytes(other)
        assert places(demo / "ind") == [f"served/{side}/checkpoint"]
        path.write_bytes(good)


def test_exactly_the_expected_signature_lines(demo: Path) -> None:
    own, mirror = demo / "ind/served/own/checkpoint", demo / "ind/served/mirror/checkpoint"
    good = own.read_bytes()
    log_line = good.split(b"\n\n")[1]
    for lines in (log_line * 2, log_line + log_line.replace(b"1 ", b"2 "), b""):
        own.write_bytes(good.split(b"\n\n")[0] + b"\n\n" + lines)
        assert places(demo / "ind") == ["served/own/checkpoint"]
    own.write_bytes(good)
    text, lines = mirror.read_bytes().split(b"\n\n")
    first, second = lines.splitlines(keepends=True)
    for other in (second + first, first, second, first + first + second, first + second + second):
        mirror.write_bytes(text + b"\n\n" + other)
        assert places(demo / "ind") == ["served/mirror/checkpoint"]


# --- files -------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(demo: Path) -> None:
    for path in all_files(demo):
        data = path.read_bytes()
        path.unlink()
        if path.parent.name == "key":
            assert places(demo) == []
        else:
            assert blamed(demo, path)
        path.write_bytes(data)
    shutil.rmtree(demo / "kor/served/own")
    assert "kor/served/own/checkpoint" in places(demo)
    shutil.rmtree(demo / "kor")
    assert "kor/served" in places(demo)


@pytest.mark.parametrize(
    "name",
    ["x", "own/x", "own/tile/x", "own/tile/0/001", "own/tile/2/000.p/1", "mirror/tile/entries/000",
    "agreement/" + "0" * 64,
     "key/" + "0" * 64, "blob/" + "0" * 64, "leaves/x", "blob/x/y", "own/tile/0/000.p/5", "own/new\nline\udcff"],
)  # fmt: skip
def test_an_unknown_file_folder_or_link_is_named(demo: Path, name: str) -> None:
    path = demo / "ind/served" / name
    put(path, b"x")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
    assert f"ind/served/{shown}" in places(demo)
    path.unlink()
    path.mkdir()
    assert f"ind/served/{shown}/" in places(demo)
    path.rmdir()
    path.symlink_to("/dev/zero")
    assert f"ind/served/{shown}" in places(demo)
    path.unlink()
    os.mkfifo(path)
    assert f"ind/served/{shown}" in places(demo)


def test_a_link_or_pipe_in_the_place_of_a_file_is_named(demo: Path) -> None:
    for path in all_files(demo / "ind"):
        data = path.read_bytes()
        copy = demo / "copy"
        copy.write_bytes(data)
        path.unlink()
        path.symlink_to(copy)
        assert blamed(demo, path)
        path.unlink()
        os.mkfifo(path)
        assert blamed(demo, path)
        path.unlink()
        path.write_bytes(data)
    (demo / "ind/served").rename(demo / "ind/elsewhere")
    (demo / "ind/served").symlink_to(demo / "ind/elsewhere")
    assert places(demo / "ind") == ["served"]


def test_a_broken_demo_file_is_named(demo: Path) -> None:
    good = (demo / "demo.json").read_bytes()
    nest = b"[" * 100_000
    for bad in (
        b"",
        nest,
        b"\xff",
        b"{}",
        b"[1,2]",
        good.replace(b"IND", b"KOR"),
        good.replace(b"dir", b"dit"),
        b"9" * 9_999,
    ):
        (demo / "demo.json").write_bytes(bad)
        assert places(demo) == ["demo.json"]
    (demo / "demo.json").write_text(json.dumps({"IND": {"dir": "kor"}, "KOR": {"dir": "ind"}}))
    assert "demo.json" in places(demo)


def test_a_blob_of_many_chunks_is_checked_by_chunk(tmp_path: Path) -> None:
    ind, kor = two_logs()
    blob = random.Random(2).randbytes(2 * CHUNK + 100)
    rid = ind.release(1, blob, EMPTY, APPROVERS)
    path = next(iter((write_demo(tmp_path, ind, kor, {rid: blob}) / "ind/served/blob").iterdir()))
    assert places(tmp_path) == []
    for at in (0, CHUNK - 1, CHUNK, 2 * CHUNK, len(blob) - 1):
        path.write_bytes(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])
        report = verify.verify(tmp_path)
        assert [fault["place"] for fault in report.faults] == [str(path.relative_to(tmp_path))]
        assert f"chunk {at // CHUNK} " in report.faults[0]["detail"]


def test_after_its_end_a_release_needs_no_blob(tmp_path: Path) -> None:
    for outcome in ("withdraw", "destroyed", "received"):
        ind, kor = two_logs()
        rid = ind.release(1, SMALL, EMPTY, APPROVERS)
        if outcome == "withdraw":
            body: dict[str, Any] = {"rid": rid, "act": "withdraw", "nonce": nonce("order")}
            ind.add("order", body, {"IND/iyer": "IND/iyer"})
        else:
            body = {"re": {"origin": ind.origin, "spans": [[0, 5]]}, "outcome": outcome, "witnesses": []}
            kor.add("answer", body, {}, ind.seen())
        found = places(write_demo(tmp_path / outcome, ind, kor, {}))
        assert [place.split("/")[2] for place in found] == ([] if outcome != "received" else ["blob", "leaves"])


def test_a_key_served_before_the_cosignature_is_a_fault(demo: Path) -> None:
    ind, kor = two_logs()
    kor_view = Log("IND")
    kor_view.entries = list(ind.entries)
    rid = ind.release(1, SMALL, EMPTY, APPROVERS)
    write_demo(demo, ind, kor, {rid: SMALL})
    shutil.rmtree(demo / "kor/served/mirror")
    kor_view.write(demo / "kor/served/mirror", "KOR")
    assert places(demo) == [f"ind/served/key/{rid}"]


# --- forks -------------------------------------------------------------------------------------------------------


def test_two_signed_heads_that_differ_are_a_fork_and_a_shorter_own_register_is_behind(demo: Path) -> None:
    ind, kor = two_logs()
    other = Log("IND")
    other.entries = list(ind.entries)
    write_demo(demo, ind, kor, {})
    for log, units in ((ind, ["a"]), (other, ["b"])):
        log.authority("assurance", {"level": "LOW", "areas": [], "units": units, "until": UNTIL})
    shutil.rmtree(demo / "kor/served/mirror")
    other.write(demo / "kor/served/mirror", "KOR")
    report = verify.verify(demo)
    assert [fault["place"] for fault in report.faults] == ["ind/served/own/checkpoint"]
    assert report.faults[0]["detail"].startswith("behind")
    shutil.rmtree(demo / "ind/served/own")
    ind.write(demo / "ind/served/own")
    report = verify.verify(demo)
    assert [fault["place"] for fault in report.faults] == ["kor/served/mirror/checkpoint"]
    assert report.faults[0]["detail"].startswith("fork")
    assert places(demo / "ind") == places(demo / "kor") == []


# --- law ---------------------------------------------------------------------------------------------------------


def test_entry_0_must_be_a_genesis_signed_by_the_agreement_s_authority(tmp_path: Path) -> None:
    for wrong in ("signature", "unknown", "kind", "origin"):
        ind, kor = two_logs()
        entry = json.loads(ind.entries[0])
        if wrong == "signature":
            entry["sigs"][0]["sig"] = "00" * 64
        elif wrong == "unknown":
            entry["body"]["more"] = 1
        elif wrong == "kind":
            entry["kind"] = "assurance"
        else:
            entry["body"]["origin"] = "entente/sample/IND-to-KOR/2"
        ind.entries[0] = canonical(entry)
        assert "ind/served/own entry 0" in places(write_demo(tmp_path, ind, kor, {}))


def test_a_signature_by_another_log_key_is_a_fault(tmp_path: Path) -> None:
    ind, kor = two_logs()
    ind.log_key = "somebody else"
    found = places(write_demo(tmp_path, ind, kor, {}))
    assert found == ["ind/served/own/checkpoint", "kor/served/mirror/checkpoint"]


def test_a_rotated_log_key_signs_and_the_old_one_no_more(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {"subject": "log", "key": text_key("IND log 2"), "roles": [], "areas": [], "until": UNTIL}
    ind.authority("key", body | {"replaces": id_of("IND log")}, "IND log")
    assert "ind/served/own/checkpoint" in places(write_demo(tmp_path, ind, kor, {}))
    ind.log_key = "IND log 2"
    assert reasons(write_demo(tmp_path, ind, kor, {})) == []
    ind.entries.pop()
    ind.authority("key", body)  # not signed by the old key: invalid, so the old log key still holds
    assert "ind/served/own/checkpoint" in places(write_demo(tmp_path, ind, kor, {}))
    ind.log_key = "IND log"
    assert len(reasons(write_demo(tmp_path, ind, kor, {}))) == 2


def test_a_rotated_mirror_key_cosigns(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {"subject": "mirror", "key": text_key("new mirror"), "roles": [], "areas": [], "until": UNTIL}
    kor.authority("key", body, "KOR mirror")
    assert reasons(write_demo(tmp_path, ind, kor, {})) == []  # it has not cosigned anew yet
    revoked = {"from_index": len(kor.entries), "reason": "lost"}
    kor.authority("key", body | {"key": text_key("KOR mirror"), "revoked": revoked})
    assert places(write_demo(tmp_path, ind, kor, {})) == ["kor/served/mirror/checkpoint"]


def test_keys_must_fit_their_subject(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {"roles": [], "areas": [], "until": UNTIL}
    person = {"commitment": "66" * 32, "ceiling": "LOW"}
    x25519 = "x25519:" + "09" * 32
    for wrong in (
        {"subject": "log", "key": x25519}, {"subject": "kem", "key": text_key("a")},
        {"subject": "IND/a", "key": text_key("a")},
        {"subject": "KOR/a", "key": text_key("a")} | person, {"subject": "IND/a", "key": x25519} | person,
        {"subject": "kem", "key": x25519} | person, {"subject": "kem", "key": "x25519:" + "09" * 31},
        {"subject": "hsm", "key": x25519},
    ):  # fmt: skip
        ind.authority("key", body | wrong)
    assert len(reasons(write_demo(tmp_path, ind, kor, {}))) == 16
    ind.authority("key", body | {"subject": "kem", "key": "x25519:" + "08" * 32})
    ind.authority("key", body | {"subject": "kem", "key": "mlkem768x25519:" + "08" * 1_216})
    assert len(reasons(write_demo(tmp_path, ind, kor, {}))) == 16


def test_an_epoch_is_signed_by_both_authorities_and_what_it_carries_over_is_not_checked(tmp_path: Path) -> None:
    for signers in (["IND", "KOR"], ["IND"], ["KOR"]):
        ind, kor = Log("IND"), two_logs()[1]
        old = {"origin": ind.origin, "size": 3, "root": "00" * 32}
        ind.origin = ind.origin[:-1] + "2"
        keys = json.loads(two_logs()[0].entries[0])["body"]["keys"]
        body = {"old": old, "new_origin": ind.origin, "keys": keys, "cause": "lost disk", "nonce": nonce("epoch")}
        ind.add("epoch", body, {id_of(f"{party} authority"): f"{party} authority" for party in signers})
        ind.add("term", {"act": "suspend", "nonce": nonce("t")}, {"IND/carried": "IND/carried"})
        report = verify.verify(write_demo(tmp_path, ind, kor, {}))
        assert report.invalid == []
        if len(signers) == 2:
            assert report.faults == []
            assert any("rests on the epoch before" in what for what in report.not_checked)
        else:
            assert "ind/served/own entry 0" in [fault["place"] for fault in report.faults]


WRONG_BYTES: dict[str, list[bytes]] = {
    "not canonical JSON": [
        b"",
        b"\xff\xfe",
        b"[",
        b'{"a":"\\ud800"}',
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        b'{"a":"\n"}',
        b"{}x",
    ],
    "nested too deeply": [b"[" * 30_000, b'{"a":' * 6_000, b'{"a":' + b"[" * 990 + b"]" * 990 + b"}"],
    "not a JSON object": [b"[]", b"1", b'"a"'],
    "null": [b'{"a":null}', b'{"a":[null]}'],
    "duplicate key": [b'{"v":1,"v":1}'],
    "integer not below": [b'{"a":9007199254740992}', b'{"a":-9007199254740992}', b'{"a":' + b"9" * 30_000 + b"}"],
    "is not an integer": [b'{"a":1.0}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":1E2}'],
    "not in canonical form": [
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b"{}\n",
        b" {}",
    ],
    "object key is not ASCII": ['{"é":1}'.encode()],
    "string is not NFC": ['{"a":"e\u0301"}'.encode(), '{"a":["\u1112\u1161"]}'.encode()],
    "control or bidirectional": [f'{{"a":"{c}"}}'.encode() for c in "\x7f\x85\u202e\u2066\u061c\u200f"]
    + [b'{"a":"\\n"}'],
}
HOSTILE = [data for group in WRONG_BYTES.values() for data in group] + [b"{}", b"x" * 40_000]


def test_only_canonical_bytes_are_read() -> None:
    for reason, group in WRONG_BYTES.items():
        for data in group:
            with pytest.raises(verify.Invalid, match=reason):
                verify.decode(data)
    for good in (
        {},
        {"a": -(2**53) + 1, "b": [True, {"c": '\ud55c\u0928 "\\/'}]},
        {"body": {"text": {"en": "a\nb"}}, "kind": "undertaking"},
    ):
        assert verify.decode(canonical(good)) == good


def test_hostile_entries_are_listed_and_change_nothing(tmp_path: Path) -> None:
    ind, kor = two_logs()
    ind.entries += HOSTILE
    rid = ind.release(1, SMALL, kor.seen(), APPROVERS)
    listed = reasons(write_demo(tmp_path, ind, kor, {rid: SMALL}))
    assert len(listed) == 2 * len(HOSTILE)


BAD_ENVELOPES: list[dict[str, Any]] = [
    {"v": 2}, {"v": True}, {"more": 1}, {"at": "2026-02-30T00:00Z"}, {"at": "2026-11-01T10:00:00Z"},
    {"at": "2026-11-01T24:00Z"},
    {"kind": "hello"}, {"kind": []}, {"agreement": "0" * 64}, {"agreement": AGREEMENT.upper()}, {"body": []},
    {"sigs": {}},
    {"seen": {"epoch": 0, "size": 0, "root": EMPTY["root"]}}, {"seen": {"epoch": 1, "size": 0, "root": "00" * 32}},
    {"seen": {"epoch": 1, "size": 1, "root": "00" * 32}}, {"seen": {"epoch": 1, "size": 1 << 52, "root": "00" * 32}},
    {"seen": {"epoch": 2, "size": 0, "root": EMPTY["root"]}}, {"seen": EMPTY | {"x": 1}},
    {"sigs": [{"by": "x", "sig": "00" * 64}]},
]  # fmt: skip


def test_wrong_envelopes_are_listed(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {"level": "LOW", "areas": [], "units": [], "until": UNTIL}
    for number, wrong in enumerate(BAD_ENVELOPES):
        ind.authority("assurance", body | {"nonce": nonce(str(number))})
        ind.entries[-1] = canonical(json.loads(ind.entries[-1]) | wrong)
    assert len(reasons(write_demo(tmp_path, ind, kor, {}))) == 2 * len(BAD_ENVELOPES)


def test_seen_never_falls_and_a_bad_one_does_not_count(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {"level": "LOW", "areas": [], "units": [], "until": UNTIL}
    for seen in (kor.seen(2), kor.seen(1), {"epoch": 1, "size": 3, "root": "00" * 32}, kor.seen(2), kor.seen()):
        ind.authority("assurance", body, seen=seen)
    assert (
        reasons(write_demo(tmp_path, ind, kor, {}))
        == ["seen falls", "seen.root is not the partner's root at that size"] * 2
    )


def released(tmp_path: Path, ind: Log, kor: Log, *rids: str) -> list[str]:
    return sorted(set(reasons(write_demo(tmp_path, ind, kor, dict.fromkeys(rids, SMALL)))))


def test_approvals_are_counted_by_person_key_and_role(tmp_path: Path) -> None:
    ind, kor = two_logs()
    ind.person("rao", "release")
    good = ind.release(1, SMALL, EMPTY, APPROVERS)
    assert released(tmp_path, ind, kor, good) == []
    length = len(ind.entries)
    for approvers, wrong in [
        ({"IND/nair": "release"}, "fewer than 2"),
        ({}, "fewer than 2"),
        ({"IND/nair": "release", "IND/rao": "release"}, "a role that must approve"),
        ({"IND/nair": "release", "IND/rao": "security"}, "IND/rao cannot approve"),
        ({"IND/nair": "release", "IND/ghost": "security"}, "IND/ghost cannot approve"),
    ]:
        del ind.entries[length:]
        ind.release(2, SMALL, EMPTY, approvers)
        listed = released(tmp_path, ind, kor, good)
        assert len(listed) == 1
        assert listed[0].startswith(wrong)
    del ind.entries[length:]
    ind.release(1, SMALL, EMPTY, APPROVERS)
    assert released(tmp_path, ind, kor, good) == ["repeats a release"]
    del ind.entries[length:]
    ind.release(3, SMALL, EMPTY, APPROVERS, exercise=False)
    ind.release(4, SMALL, EMPTY, APPROVERS, to="IND")
    ind.release(5, SMALL, EMPTY, APPROVERS, units=["b", "a"])
    ind.release(6, SMALL, EMPTY, APPROVERS, origin=kor.origin)
    ind.release(7, SMALL, EMPTY, APPROVERS, ancestors=["00" * 32, "00" * 32])
    ind.release(8, SMALL, EMPTY, APPROVERS, copies=1.5)
    assert len(reasons(write_demo(tmp_path, ind, kor, {good: SMALL}))) == 12


def test_an_approval_is_for_an_area_and_a_time(tmp_path: Path) -> None:
    for wrong in (
        "areas",
        "person until",
        "approval until",
        "sigs",
        "core agreement",
        "agreement",
        "long",
        "blob_bytes",
    ):
        ind, kor = two_logs()
        if wrong in ("areas", "person until"):
            body = json.loads(ind.entries[-1])["body"] | {"nonce": nonce("again")}
            ind.authority("key", body | ({"areas": ["space"]} if wrong == "areas" else {"until": AT}))
        more = (
            {"agreement": "ab" * 32} if wrong == "core agreement" else {"view": "x" * 33_000} if wrong == "long" else {}
        )
        rid = ind.release(1, SMALL, EMPTY, APPROVERS, AT if wrong == "approval until" else UNTIL, **more)
        entry = json.loads(ind.entries[-1])
        if wrong == "sigs":
            entry["sigs"] = [{"by": "IND/nair", "sig": "00" * 64}]
        elif wrong == "agreement":
            entry["agreement"] = "ab" * 32
        elif wrong == "blob_bytes":
            entry["body"]["sealed"]["blob_bytes"] -= 1
        ind.entries[-1] = canonical(entry)
        if wrong == "blob_bytes":
            assert [place.split("/")[2] for place in places(write_demo(tmp_path / wrong, ind, kor, {rid: SMALL}))] == [
                "blob"
            ]
        else:
            assert len(reasons(write_demo(tmp_path / wrong, ind, kor, {}))) == 2, wrong


OTHER = TOML.replace(b"approvals = 2", b"approvals = 1").replace(
    text_key("IND authority").encode(), text_key("new").encode()
)


@pytest.mark.parametrize(
    ("by", "signer", "supersedes", "data", "wrong"),
    [
        (["IND authority", "new"], "new", AGREEMENT, OTHER, ""),
        (["IND authority"], "new", AGREEMENT, OTHER, "not signed by the authority, before and after"),
        (["new"], "new", AGREEMENT, OTHER, "not signed by the authority, before and after"),
        (["IND authority", "new"], "IND authority", AGREEMENT, OTHER, "the agreement is not signed by"),
        (["IND authority", "new"], "new", "", OTHER, "supersedes nothing"),
        (["IND authority", "new"], "new", "ab" * 32, OTHER, "supersedes nothing"),
        (
            ["IND authority", "new"],
            "new",
            AGREEMENT,
            OTHER.replace(b'"sample"', b'"else"'),
            "adopts the agreement of another",
        ),
        (["IND authority"], "IND authority", AGREEMENT, b"id = [", "agreement "),
        (["IND authority"], "IND authority", AGREEMENT, b"a = " + b"[" * 50_000, "agreement "),
    ],
)
def test_a_new_version_is_adopted_by_both_authorities(
    tmp_path: Path, by: list[str], signer: str, supersedes: str, data: bytes, wrong: str
) -> None:
    ind, kor = two_logs()
    new = hashlib.sha256(pae("agreement", data, "toml")).hexdigest()
    sig = secret(signer).sign(pae("agreement", data, "toml")).hex()
    body: dict[str, Any] = {"agreement": new, "sig": {"by": id_of(signer), "sig": sig}, "nonce": nonce("adopt again")}
    ind.add("adopt", body | ({"supersedes": supersedes} if supersedes else {}), {id_of(name): name for name in by})
    write_demo(tmp_path, ind, kor, {})
    for party in ("ind", "kor"):
        put(tmp_path / party / "served/agreement" / new, data)
    listed = reasons(tmp_path)
    assert len(listed) == (2 if wrong else 0)
    assert all(detail.startswith(wrong) for detail in listed)


def test_a_rotated_key_alone_does_not_certify_its_successor(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {
        "subject": "log",
        "key": text_key("thief"),
        "roles": [],
        "areas": [],
        "until": UNTIL,
        "nonce": nonce("thief"),
    }
    ind.add("key", body, {id_of("IND log"): "IND log"})
    assert len(reasons(write_demo(tmp_path, ind, kor, {}))) == 2


def test_a_changed_core_voids_its_approvals(tmp_path: Path) -> None:
    ind, kor = two_logs()
    ind.release(1, SMALL, EMPTY, APPROVERS)
    entry = json.loads(ind.entries[-1])
    entry["body"]["core"]["copies"] = 9
    ind.entries[-1] = canonical(entry)
    assert released(tmp_path, ind, kor) == ["the signature of IND/nair does not verify"]


def test_a_revoked_or_expired_person_signs_no_more(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body = {
        "subject": "IND/nair",
        "commitment": "55" * 32,
        "key": text_key("IND/nair"),
        "roles": [],
        "areas": [],
        "ceiling": "LOW",
    }
    revoked = {"from_index": len(ind.entries) + 2, "reason": "left"}
    ind.authority("key", body | {"until": UNTIL, "revoked": revoked})
    good = ind.release(1, SMALL, EMPTY, APPROVERS)
    ind.release(2, SMALL, EMPTY, APPROVERS)
    assert released(tmp_path, ind, kor, good) == ["IND/nair cannot approve this, or no more"]
    late = {"from_index": 1, "reason": "back-dated"}
    ind.authority("key", body | {"key": text_key("IND/iyer"), "subject": "IND/iyer", "until": UNTIL, "revoked": late})
    assert "revokes before its own index" in released(tmp_path, ind, kor, good)


def test_acts_of_persons_are_signed_by_persons_and_never_repeated(tmp_path: Path) -> None:
    ind, kor = two_logs()
    rid = ind.release(1, SMALL, EMPTY, APPROVERS)
    order = {"rid": rid, "act": "return", "nonce": nonce("o1")}
    term = {"act": "suspend", "nonce": nonce("t1")}
    claim = {"key": "k", "value": "1", "basis": "b", "evidence": [], "nonce": nonce("c1")}
    text = {"en": "first line\nsecond"}
    promise = {
        "key": "k",
        "from": "IND",
        "to": "KOR",
        "text": text,
        "strength": "agreed",
        "source": "s",
        "measure": "m",
    }
    promise |= {"basis": "b", "band": "x", "nonce": nonce("u1")}
    nair, iyer, boss = {"IND/nair": "IND/nair"}, {"IND/iyer": "IND/iyer"}, {id_of("IND authority"): "IND authority"}
    for kind, body in (("order", order), ("term", term), ("claim", claim), ("undertaking", promise)):
        ind.add(kind, body, nair)
    assert released(tmp_path, ind, kor, rid) == []
    length = len(ind.entries)
    for kind, body, by, wrong in [
        ("order", order, nair, "repeats an act"),
        ("order", order | {"nonce": nonce("o2")}, {}, "signed by 0 persons"),
        ("order", order | {"nonce": nonce("o2")}, {"IND/nair": "IND/iyer"}, "the signature of IND/nair"),
        ("order", order | {"nonce": nonce("o2"), "rid": "00" * 32}, nair, "names no release"),
        ("order", order | {"nonce": nonce("o2"), "act": "reclass"}, nair, "a marking belongs"),
        ("term", term | {"nonce": nonce("t2")}, boss, "signed by"),
        ("term", term | {"nonce": nonce("t2"), "act": "resume"}, nair, "the agreement gives no number"),
        ("claim", claim | {"nonce": nonce("c2")}, iyer, "signed by 0 persons"),
        ("undertaking", promise | {"nonce": nonce("u2"), "source": "a\nb"}, nair, "control or bidi"),
        ("undertaking", promise | {"nonce": nonce("u2"), "strength": "sworn"}, nair, "undertaking.strength"),
        ("genesis", json.loads(ind.entries[0])["body"], boss, "genesis or epoch"),
        (
            "answer",
            {"re": {"origin": kor.origin, "spans": [[0, 99]]}, "outcome": "received", "witnesses": []},
            {},
            "answers what",
        ),
        (
            "answer",
            {"re": {"origin": ind.origin, "spans": [[0, 0]]}, "outcome": "received", "witnesses": []},
            {},
            "answers another",
        ),
        (
            "answer",
            {"re": {"origin": kor.origin, "spans": [[2, 2], [1, 1]]}, "outcome": "received", "witnesses": []},
            {},
            "answer.re",
        ),
        (
            "answer",
            {"re": {"origin": kor.origin, "spans": [[0, 0]]}, "outcome": "maybe", "witnesses": []},
            {},
            "answer.outcome",
        ),
    ]:
        del ind.entries[length:]
        ind.add(kind, body, by)
        listed = released(tmp_path, ind, kor, rid)
        assert len(listed) == 1
        assert listed[0].startswith(wrong), (listed, wrong)


def test_a_standing_act_covers_releases_until_it_is_revoked(tmp_path: Path) -> None:
    ind, kor = two_logs()
    body: dict[str, Any] = {
        "class": {"area": "documents", "format": "document-1", "view": "full", "ceiling": "LOW", "purpose": "p"}
    }
    body |= {"per_day": {"count": 1, "bytes": 999}, "until": UNTIL, "nonce": nonce("s")}
    act = ind.add("standing", body, {who: who for who in APPROVERS})
    good = ind.release(1, SMALL, EMPTY, {}, standing=act)
    assert released(tmp_path, ind, kor, good) == []
    ind.release(2, SMALL, EMPTY, APPROVERS, standing=act)
    ind.add("standing", {"revokes": act, "nonce": nonce("r")}, {"IND/nair": "IND/nair"})
    ind.release(3, SMALL, EMPTY, {}, standing=act)
    assert len(reasons(write_demo(tmp_path, ind, kor, {good: SMALL}))) == 4
    assert released(tmp_path, ind, kor, good) == ["no live standing act covers it"]


def test_a_partner_s_nonsense_is_listed_at_the_mirror_and_is_no_fault(tmp_path: Path) -> None:
    ind, kor = two_logs()
    kor.authority(
        "adopt", {"agreement": "ab" * 32, "supersedes": AGREEMENT, "sig": {"by": "00" * 32, "sig": "00" * 64}}
    )
    write_demo(tmp_path, ind, kor, {})
    assert len(reasons(tmp_path / "ind")) == 1
    assert places(tmp_path / "kor") == ["served/agreement/" + "ab" * 32]


def test_random_damage_never_ends_in_a_traceback(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(3)
    files = all_files(demo)
    for _ in range(150):
        path = rng.choice(files)
        data = path.read_bytes()
        cut = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        junk = rng.choice([b"[" * 70_000, rng.randbytes(rng.randrange(1, 99)), b"\n" * 9, b"9" * 6_000])
        path.write_bytes(data[: cut[0]] + junk + data[cut[1] :])
        assert verify.main([str(demo), "--json"]) == 3
        faults = json.loads(capsys.readouterr().out.splitlines()[-1])["faults"]
        assert str(path.relative_to(demo)) in [fault["place"] for fault in faults]
        assert not any("stopped" in fault["detail"] for fault in faults)
        path.write_bytes(data)


def test_a_claimed_size_beyond_the_files_is_refused_at_once(demo: Path) -> None:
    path = demo / "ind/served/own/checkpoint"
    data = path.read_bytes().split(b"\n")
    for size in (b"0", b"9007199254740991", b"9" * 9_000, b"06", b"-6", b"+6", "٦".encode()):
        path.write_bytes(b"\n".join([data[0], size, *data[2:]]))
        assert "served/own/checkpoint" in places(demo / "ind")


# --- Ed25519 -----------------------------------------------------------------------------------------------------

RFC_8032 = [  # section 7.1, TEST 1, 2, 3 and SHA(abc); R and S
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", hashlib.sha512(b"abc").hexdigest(),
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589",
     "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]  # fmt: skip
P, L = verify.P, verify.L
BOTH = [verify.verify_pure, verify.verify_fast]


@pytest.mark.parametrize("check", BOTH)
def test_ed25519_holds_the_vectors_of_rfc_8032(check: Callable[[bytes, bytes, bytes], bool]) -> None:
    for key, message, r, scalar in RFC_8032:
        pk, msg, sig = map(bytes.fromhex, (key, message, r + scalar))
        assert check(pk, sig, msg)
        assert not check(pk, sig, msg + b"\0")
        assert not check(pk, sig[:63], msg)
        assert not check(pk, sig + b"\0", msg)
        assert not check(pk[:31], sig, msg)
        s = int.from_bytes(sig[32:], "little")
        for more in range(1, 16):  # malleability: S + nL is the same scalar, and is refused
            if s + more * L < 1 << 256:
                assert not check(pk, sig[:32] + (s + more * L).to_bytes(32, "little"), msg)


@pytest.mark.parametrize("check", BOTH)
def test_ed25519_refuses_encodings_that_are_not_canonical(check: Callable[[bytes, bytes, bytes], bool]) -> None:
    """For these keys S = 0 and R = the neutral element would hold whatever the message, had they been decoded."""
    neutral, zero = (1).to_bytes(32, "little"), bytes(32)
    assert check(neutral, neutral + zero, b"m")  # canonical, of order 1: RFC 8032 has no word against it
    sign = 1 << 255
    for bad in (1 | sign, P + 1, P + 1 | sign, P - 1 | sign):
        raw = bad.to_bytes(32, "little")
        assert not any(check(raw, neutral + zero, bytes([i])) for i in range(16))
        assert not check(neutral, raw + zero, b"m")
    assert not check((2).to_bytes(32, "little"), neutral + zero, b"m")  # not on the curve
    for y in range(P, 1 << 255):
        assert not check(y.to_bytes(32, "little"), neutral + zero, b"m")


def test_both_ed25519_paths_agree_on_random_keys_and_damage() -> None:
    rng = random.Random(4)
    for number in range(150):
        key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        pk, msg = bytearray(key.public_key().public_bytes_raw()), bytearray(rng.randbytes(rng.randrange(1, 80)))
        sig = bytearray(key.sign(bytes(msg)))
        if number % 3:
            part = rng.choice([pk, sig, msg])
            part[rng.randrange(len(part))] ^= 1 << rng.randrange(8)
        args = (bytes(pk), bytes(sig), bytes(msg))
        assert verify.verify_pure(*args) == verify.verify_fast(*args) == (number % 3 == 0)


# --- tree --------------------------------------------------------------------------------------------------------


def test_every_prefix_root_is_that_of_rfc_6962() -> None:
    leaves = [leaf(bytes([i % 256, i // 256])) for i in range(300)]
    tree = verify.Tree()
    for one in leaves:
        tree.append(one)
    for size in (*range(20), 255, 256, 257, 300):
        assert tree.root(size) == root(leaves[:size]) == verify.root_of(iter(leaves[:size]))


def test_tile_paths_are_those_of_c2sp() -> None:
    assert verify.tile_path(1_234_067, 256) == "x001/x234/067"
    assert verify.tile_path(5, 7) == "005.p/7"
    assert [path_of(n, 256) for n in (0, 999, 1_000, 1_234_067)] == [
        verify.tile_path(n, 256) for n in (0, 999, 1_000, 1_234_067)
    ]
    assert list(verify.tiles(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(verify.tiles(257)) == [(0, 0, 256), (0, 1, 1), (1, 0, 1)]
