"""Reads a list that the desk gave as a file, and refuses what is cut, changed or wrong. Nothing here is ours."""

import csv
import hashlib
import io
import json
import re

_END = re.compile(rb"#END rows=([0-9]+) sha256=([0-9a-f]{64})\r\n\Z")
_JSON_END = re.compile(rb',"end":"rows=([0-9]+) sha256=([0-9a-f]{64})"\}\n\Z')


class NotWholeError(Exception):
    """The file is not what the node sent, or the node says that it is not whole."""


def read_csv(data: bytes) -> tuple[str, list[dict[str, str]]]:
    """(marking, rows) of a whole file."""
    start = data.rfind(b"\r\n", 0, len(data) - 2) + 2
    found = _END.fullmatch(data[start:])
    if found is None:
        raise NotWholeError("no last line" if b"#ERROR" not in data[start:] else "the node says that it failed")
    if hashlib.sha256(data[:start]).hexdigest().encode() != found[2]:
        raise NotWholeError("not the bytes that were sent")
    first, zones, table = data[:start].decode().split("\r\n", 2)
    if not (first.startswith("#MARKING ") and zones.startswith("#TIMES ")):
        raise NotWholeError("no marking")
    rows = list(csv.DictReader(io.StringIO(table, newline=""), strict=True))
    if len(rows) != int(found[1]):
        raise NotWholeError("another number of rows")
    return first.removeprefix("#MARKING ").replace("none", ""), [_plain(row) for row in rows]


def _plain(row: dict[str, str]) -> dict[str, str]:
    return {key: value.removeprefix("'") if value[1:2] and value[0] == "'" else value for key, value in row.items()}


def read_json(data: bytes) -> tuple[str, list[dict[str, str]]]:
    """(marking, rows) of a whole file."""
    found = _JSON_END.search(data)
    if found is None:
        raise NotWholeError("no end")
    if hashlib.sha256(data[: found.start()]).hexdigest().encode() != found[2]:
        raise NotWholeError("not the bytes that were sent")
    told = json.loads(data)
    if len(told["rows"]) != int(found[1]):
        raise NotWholeError("another number of rows")
    return told["marking"], told["rows"]
