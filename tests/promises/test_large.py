"""A large bundle crosses whole, and no process of either node takes more than half a gigabyte for it (L-02)."""

import json
from pathlib import Path
from typing import Any

import pytest

from promises.demo_run import fresh, start

HALF_A_GIGABYTE = 512 << 20
WATCHED = (  # a process of its own: whoever is forked from a large one counts as large
    "import resource, subprocess, sys; "
    "code = subprocess.run([sys.executable, *sys.argv[1:]]).returncode; "
    "print('largest', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); "
    "sys.exit(code)"
)
STAMP = "2026-01-01T00:00:00.000Z"


def bundle(count: int, references: int) -> Path:
    """A bundle of so many indicators with so many external references each."""
    path = fresh("large.json")
    items: list[dict[str, Any]] = []
    for number in range(count):
        item: dict[str, Any] = {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
            "created": STAMP,
            "modified": STAMP,
            "pattern": f"[ipv4-addr:value = '192.0.2.{number % 256}']",
            "pattern_type": "stix",
            "valid_from": STAMP,
        }
        if references:
            item["external_references"] = [
                {"source_name": f"source {place}", "external_id": f"{number}-{place}"} for place in range(references)
            ]
        items.append(item)
    path.write_text(
        json.dumps({"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": items})
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "references"),
    [pytest.param(5_000, 30, id="5,000 objects of 30 attributes"), pytest.param(150_000, 0, id="150,000 objects")],
)
def test_a_large_bundle_crosses_whole_within_half_a_gigabyte(count: int, references: int) -> None:
    """Both nodes know afterwards: one release of all the objects, received."""
    place = fresh()
    words = ("-m", "entente.demo", "--dir", place, "--once", "--json", "--bundle", bundle(count, references))
    run = start("-c", WATCHED, *words, folder=place, state=place.parent / "state").done().check()
    found = run.result["objects"]
    assert found == {"crossed": count, "imported": count, "quarantined": 0, "refused": 0}
    assert run.result["digest_sent"] == run.result["digest_received"]
    largest = int(run.err.rpartition("largest ")[2]) * 1024  # of any process that has ended under the demo
    assert largest < HALF_A_GIGABYTE, f"{largest >> 20} MiB"
