"""After this, tools/*.txt pin every package that pyproject.toml asks for, each with its hashes.

    ./run python tools/lock.py                     after a change of pyproject.toml: nothing else moves
    ./run python tools/lock.py --upgrade           everything to its newest
    ./run python tools/lock.py --upgrade-package X only X
    ./run python tools/lock.py --check             change nothing; exit 1 where the lists and pyproject.toml differ

Why lists and not uv.lock: docs/adr/0001-hash-pinned-lists.md.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
RUNTIME, DEV, UV = "tools/runtime.txt", "tools/dev.txt", "tools/uv.txt"
FUZZ, BROWSER, RIVALS = "tools/fuzz.txt", "tools/browser.txt", "tools/rivals.txt"
UV_WANTED = "uv>=0.13,<0.14"  # read from the standard input of the compile that makes tools/uv.txt
INPUTS = {
    RUNTIME: ("pyproject.toml",),
    DEV: ("pyproject.toml", "--group", "dev", "-c", RUNTIME),
    FUZZ: ("pyproject.toml", "--group", "dev", "--group", "fuzz", "-c", DEV),
    BROWSER: ("pyproject.toml", "--group", "dev", "--group", "browser", "-c", DEV),
    RIVALS: ("--group", "rivals"),
    UV: ("-",),
}
COMPILE = ("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet")
FORBIDDEN = {"pysqlite3-binary": "its SQLite has the WAL-reset bug"}
UNREACHABLE = ("Failed to fetch", "error sending request", "network was disabled")

Pin = tuple[Requirement, frozenset[str]]


def compile_list(name: str, output: Path, *more: str) -> str:
    """`output` pins what list `name` must hold, keeping the versions in it; returns uv's complaint, or ""."""
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, *COMPILE, "--no-annotate", "--python", sys.executable, *INPUTS[name], "-o", str(output), *more]
    env = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_HTTP_RETRIES": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, input=f"{UV_WANTED}\n", capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""


def read_list(name: str) -> dict[str, Pin]:
    """Package name to its pin and hashes, as the list has them."""
    pins: dict[str, Pin] = {}
    for line in (ROOT / name).read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split(" --hash=")
        pin = Requirement(requirement.strip())
        pins[canonicalize_name(pin.name)] = (pin, frozenset(entry.strip() for entry in hashes))
    return pins


def local_faults() -> list[str]:
    """What is wrong with the lists as far as it can be known without a network."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, groups = project["project"]["dependencies"], project["dependency-groups"]
    wanted = {
        RUNTIME: runtime,
        DEV: runtime + groups["dev"],
        FUZZ: runtime + groups["dev"] + groups["fuzz"],
        BROWSER: runtime + groups["dev"] + groups["browser"],
        RIVALS: groups["rivals"],
        UV: [UV_WANTED],
    }
    lists = {name: read_list(name) for name in INPUTS}
    faults = []
    for name, pins in lists.items():
        for package, (pin, hashes) in pins.items():
            if not str(pin.specifier).startswith("==") or not hashes:
                faults.append(f"{name}: {package} is not pinned to one version with hashes")
            if package in FORBIDDEN:
                faults.append(f"{name}: {package} is forbidden: {FORBIDDEN[package]}")
        for requirement in map(Requirement, wanted[name]):
            found = pins.get(canonicalize_name(requirement.name))
            if found is None:
                faults.append(f"{name}: {requirement.name} is missing")
            elif not requirement.specifier.contains(str(found[0].specifier).removeprefix("==")):
                faults.append(f"{name}: {found[0]} does not satisfy {requirement}")
    faults += [
        f"{larger}: {package} is not the one that {smaller} pins"
        for smaller, larger in ((RUNTIME, DEV), (DEV, FUZZ), (DEV, BROWSER))
        for package, pin in lists[smaller].items()
        if lists[larger].get(package) != pin
    ]
    return faults


def check() -> int:
    """0 if compiling again gives the lists byte for byte, or (said so) as far as can be known without the registry."""
    faults = local_faults()
    with tempfile.TemporaryDirectory() as folder:
        for name in INPUTS:
            again = Path(folder) / Path(name).name
            shutil.copyfile(ROOT / name, again)
            complaint = compile_list(name, again)
            if any(sign in complaint for sign in UNREACHABLE):
                print(
                    f"{name}: not compiled again, the package registry cannot be reached; checked against itself only"
                )
            elif complaint:
                faults.append(f"{name}: {complaint}")
            elif again.read_bytes() != (ROOT / name).read_bytes():
                faults.append(f"{name}: not what pyproject.toml gives now; run ./run python tools/lock.py")
    print("\n".join(faults) or "the lists pin what pyproject.toml asks for")
    return 1 if faults else 0


def main() -> int:
    """Check, or write the lists in the order in which they constrain each other."""
    if sys.argv[1:] == ["--check"]:
        return check()
    for name in INPUTS:
        if complaint := compile_list(name, ROOT / name, *sys.argv[1:]):
            print(complaint, file=sys.stderr)
            return 1
    return check()


if __name__ == "__main__":
    sys.exit(main())
