"""Published vectors by path; they stay outside the repository."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "register"


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of published register vectors; skips where this machine does not hold them."""
    if not SHARED.is_dir():
        pytest.skip(f"published vectors are not at {SHARED}")
    return SHARED
