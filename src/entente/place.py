"""Where demos go, and where the last one is, so that a verb without --node finds a node."""

import os
from pathlib import Path

from entente.errors import UsageError


def _file() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "entente" / "last-demo"


def remember_demo(folder: Path) -> None:
    """The folder is the last demo's."""
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(folder))


def last_demo() -> Path:
    """The last demo's folder; UsageError if there is none any more."""
    try:
        folder = Path(_file().read_text())
    except FileNotFoundError:
        folder = Path()
    if not (folder / "demo.json").is_file():
        raise UsageError("no node given, and no demo to fall back on", remedy="Give --node DIR, or run `./run demo`.")
    return folder


def free_folder() -> Path:
    """The first of demo-1, demo-2, … that is not there yet."""
    return next(path for number in range(1, 10_000) if not (path := Path.cwd() / f"demo-{number}").exists())


def make_folder(place: Path) -> None:
    """The folder is there, and empty; UsageError if it cannot be."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        full = any(place.iterdir())
    except OSError as fault:
        raise UsageError(str(fault), place=str(place), remedy="Give --dir a new folder.") from None
    if full:
        raise UsageError("the folder is not empty", place=str(place), remedy="Give --dir a new folder.")
