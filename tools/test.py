"""The one command that runs every check.

    ./run test [PYTEST ARGS]            the fast tests: five to six minutes on two cores, no network, random order
    ./run test slow [PYTEST ARGS]       those marked slow
    ./run test fuzz [PYTEST ARGS]       those marked fuzz, in an environment that has schemathesis too
    ./run test nightly [PYTEST ARGS]    those marked nightly; not in CI
    ./run test browser [PYTEST ARGS]    those marked browser, in an environment with Playwright; needs Debian's Chromium
    ./run test lint                     ruff, the formatter, mypy, import rules, the lock
    ./run test all                      lint, the fast tests, the slow ones

Without arguments the tests are spread over the processors. What follows the word goes to pytest:
./run test tests/register -k proof. After -- everything does.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARKERS = ("slow", "fuzz", "nightly", "browser")
FAST = " and ".join(f"not {marker}" for marker in MARKERS)
MAY_BE_EMPTY = ("nightly",)
NOTHING_COLLECTED = 5  # pytest's exit code
HOSTS_TEST = "tests/test_house.py::test_no_file_names_a_registry_host"


def module(name: str, *args: str) -> list[str]:
    """The command that runs a module of this environment."""
    return [sys.executable, "-m", name, *args]


def lint_steps() -> dict[str, list[str]]:
    """Name to command, quickest first."""
    folders = [name for name in ("src", "tests", "tools", "bench") if any((ROOT / name).rglob("*.py"))]
    return {
        "ruff check": module("ruff", "check", "--quiet", "--output-format", "concise", "."),
        "ruff format": module("ruff", "format", "--quiet", "--check", "--output-format", "concise", "."),
        "import rules": [str(Path(sys.executable).parent / "lint-imports"), "--no-logo"],
        "lock": [sys.executable, str(ROOT / "tools/lock.py"), "--check"],
        "no registry host": module("pytest", "-q", "-p", "no:randomly", HOSTS_TEST),
        "mypy --strict": module("mypy", "--strict", *folders, "run", "verify.py"),
    }


def lint() -> int:
    """0 if every step passed; all are run, and what a failed one printed is shown."""
    failed = 0
    for name, command in lint_steps().items():
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        print(f"{'FAIL' if done.returncode else 'ok  '} {name}  {time.monotonic() - began:.1f} s", flush=True)
        if done.returncode or name == "lock":
            print(done.stdout + done.stderr, flush=True)
        failed += bool(done.returncode)
    return 1 if failed else 0


def tests(kind: str, args: list[str]) -> int:
    """Pytest's exit code for the tests of one kind ("" for the fast ones); none at all is a failure of most kinds."""
    args = [arg for index, arg in enumerate(args) if arg != "--" or "--" in args[:index]]
    spread = [] if args else ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "worksteal"]
    code = subprocess.run(module("pytest", "-m", kind or FAST, *spread, *args), cwd=ROOT, check=False).returncode
    if code == NOTHING_COLLECTED:
        print(f"No {kind or 'fast'} test was collected.", flush=True)
        return 0 if kind in MAY_BE_EMPTY else code
    return code


def main(args: list[str]) -> int:
    """Run what the first word names."""
    word = args[0] if args else ""
    if word in {"-h", "--help"}:
        print((__doc__ or "").strip())
        return 0
    if word == "lint":
        return lint()
    if word == "all":
        return lint() or tests("", args[1:]) or tests("slow", args[1:])
    if word in MARKERS:
        return tests(word, args[1:])
    return tests("", args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
