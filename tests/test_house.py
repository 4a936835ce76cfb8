"""The house holds: every error is documented, no module outgrows the reader, and what must be named nowhere is not."""

import ast
import importlib
import os
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import entente
from entente.errors import EntenteError

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "entente"
PURE = ("treaty", "register", "account", "crossing", "strict.py", "keys.py", "errors.py")
LONGEST = 400
ENVIRONMENTS = {".venv", ".venv-fuzz", ".venv-browser", ".venv-rivals"}
NOT_OURS = ENVIRONMENTS | {".git", ".hypothesis", "__pycache__", "build", "dist"}
# In labels, because this file too must name none.
HOSTS = [
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("anaconda", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("proxy", "golang", "org"),
        ("maven", "org"),
        ("nuget", "org"),
        ("packagist", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
]


@cache
def sources() -> dict[str, str]:
    """Path under src/entente to text, for every module."""
    return {path.relative_to(SRC).as_posix(): path.read_text() for path in sorted(SRC.rglob("*.py"))}


def nodes(*, only: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """Each node of the syntax tree of each module (or of those in `only`), with its place."""
    for name, text in sources().items():
        if only and name.split("/")[0] not in only:
            continue
        for node in ast.walk(ast.parse(text)):
            yield f"{name}:{getattr(node, 'lineno', 0)}", node


def calls(*names: str, only: tuple[str, ...] = ()) -> list[str]:
    """Where a function of one of these names is called: `json.loads` in full, `.splitlines` on anything."""
    found = []
    for place, node in nodes(only=only):
        if isinstance(node, ast.Call) and any(f".{ast.unparse(node.func)}".endswith(f".{name}") for name in names):
            found.append(place)
    return found


def kept_files() -> Iterator[Path]:
    """Every file of the working tree but those that git ignores: environments, caches, builds, demos."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in NOT_OURS and not name.endswith("_cache") and name[:5] != "demo-"
        ]
        yield from (Path(folder) / name for name in files)


def errors() -> list[type[EntenteError]]:
    """EntenteError and every class below it, wherever it is defined."""
    for module in pkgutil.walk_packages(entente.__path__, "entente."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[EntenteError]] = [EntenteError]
    for error in found:
        found += [below for below in error.__subclasses__() if below not in found]
    return [error for error in found if error.__module__.startswith("entente.")]


def documented_errors() -> dict[str, list[str]]:
    """Code to the other cells of its row in docs/reference/errors.md."""
    rows = (ROOT / "docs/reference/errors.md").read_text().split("\n")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_error_has_a_code_of_its_own_and_says_what_it_means() -> None:
    codes = [error.code for error in errors()]
    assert len(set(codes)) == len(codes), codes
    for error in errors():
        assert error.__dict__.get("__doc__"), f"{error.__name__} has no docstring of its own"
        assert "code" in error.__dict__, f"{error.__name__} has no code of its own"
        assert "title" in error.__dict__, f"{error.__name__} has no title of its own"
        assert type(error.status) is int
        assert 400 <= error.status <= 599, error
        assert 1 <= error.exit_code <= 125, error


def test_every_error_is_documented_with_its_status_and_exit_code() -> None:
    rows = documented_errors()
    assert sorted(rows) == sorted(error.code for error in errors())
    for error in errors():
        status, exit_code, meaning, remedy = rows[error.code]
        assert (status, exit_code) == (str(error.status), str(error.exit_code)), error.code
        assert meaning, error.code
        assert remedy, error.code


def test_no_module_outgrows_its_reader() -> None:
    lengths = {name: text.count("\n") for name, text in sources().items()}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_no_country_is_named_in_code() -> None:
    named = re.compile(r"\b(India|Korea|IND|KOR)\b")
    assert not [f"{name}: {found[0]}" for name, text in sources().items() if (found := named.search(text))]


def test_json_is_read_by_the_one_strict_parser_only() -> None:
    assert not [place for place in calls("json.loads", "json.load") if not place.startswith("strict.py:")]


def test_lines_are_split_at_line_feeds_only() -> None:
    """str.splitlines also splits at U+2028 and ten others, which two readers may see differently."""
    assert not calls("splitlines")


def test_no_check_vanishes_when_python_optimises() -> None:
    assert not [place for place, node in nodes() if isinstance(node, ast.Assert)]


def test_pure_rooms_ask_no_clock() -> None:
    assert not calls("now", "today", "utcnow", only=PURE)


def test_no_file_names_a_registry_host() -> None:
    named = re.compile("|".join(map(re.escape, HOSTS)).encode(), re.IGNORECASE)
    assert not [str(path.relative_to(ROOT)) for path in kept_files() if named.search(path.read_bytes())]


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == entente.__version__
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{entente.__version__}]" in changes


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_every_test_module_says_what_it_proves(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
