"""`./run bench [NAME ...] [--json] [--save]`: every benchmark in this folder, or those named.

The last line of each on standard output is one JSON object; without --json a table stands before it.
"""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

import msgspec

import bench
from bench.measure import Machine, Report, Result, Skipped, machine

RESULTS = Path(__file__).resolve().parent / "results"
NO_BENCHMARKS = (
    "__main__", "measure", "rivals", "taxii_client", "taxii_floor", "taxii_load", "taxii_node", "web_server",
    "web_site",
)  # fmt: skip


def names() -> list[str]:
    """Every module in this folder that has a `run`."""
    return sorted(found.name for found in pkgutil.iter_modules(bench.__path__) if found.name not in NO_BENCHMARKS)


def measured(name: str) -> Report:
    """The benchmark of this name, run now."""
    where = machine()
    found: list[Result | Skipped] = []
    for one in importlib.import_module(f"bench.{name}").run():
        found.append(one)
        sys.stderr.write(f"{name}: {one.case}\n")
    results = tuple(one for one in found if isinstance(one, Result))
    return Report(name, where, results, tuple(one for one in found if isinstance(one, Skipped)))


def table(report: Report) -> str:
    """The report as people read it."""
    cells = [("case", "value", "unit", "floor", "rival", "ratio")]
    for one in report.results:
        numbers = [one.value, one.floor, one.rival]
        value, floor, rival = ("" if number is None else f"{number:,.6g}" for number in numbers)
        cells.append((one.case, value, one.unit, floor, rival, "" if one.ratio is None else f"{one.ratio:.3f}"))
    wide = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [_heading(report.name, report.machine)]
    for row in cells:
        aligned = [
            cell.ljust(size) if column in {0, 2} else cell.rjust(size)
            for column, (cell, size) in enumerate(zip(row, wide, strict=True))
        ]
        lines.append("  ".join(aligned).rstrip())
    lines += [f"{one.case}  skipped: {one.reason}" for one in report.skipped]
    return "\n".join(lines)


def _heading(name: str, where: Machine) -> str:
    load = "/".join(f"{value:.1f}" for value in where.load)
    cores = f"{where.cores} cores, Python {where.python}, SQLite {where.sqlite}"
    return f"{name} · {where.cpu}, {cores}, {where.system}, load {load}, {where.date}"


def main() -> None:
    """Measure, print, and keep the results if asked."""
    parser = argparse.ArgumentParser(prog="./run bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", nargs="*", help=f"one of: {', '.join(names())}; all if none is given")
    parser.add_argument("--json", action="store_true", help="print the JSON lines alone")
    parser.add_argument("--save", action="store_true", help="keep each outcome in bench/results/NAME.json")
    options = parser.parse_args()
    unknown = [name for name in options.name if name not in names()]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(names())}")
    for name in options.name or names():
        report = measured(name)
        line = msgspec.json.encode(report)
        if not options.json:
            sys.stdout.write(f"{table(report)}\n\n")
        sys.stdout.write(f"{line.decode()}\n")
        sys.stdout.flush()
        if options.save:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.json").write_bytes(msgspec.json.format(line, indent=2) + b"\n")


if __name__ == "__main__":
    main()
