"""The views of an object, and the search for prose that points at what is withheld.

`full` is the bytes as they are. `no-prose` is a new writing of the object (compact JSON, same key order) without
running text, by this rule:

1. A property of PROSE, at any depth and whatever it holds, goes; so does the `name` of a type in HEADLINES, which is a
   sentence, not a label. Where the schema requires the property it stays as "".
2. A property that STIX does not define for the type (x_..., extension-definition--..., everything but the common
   properties in a type of one's own) loses each string that is running text: one with a line break, an address (://) or
   more than six words.
3. An external reference without external_id is a footnote to the prose and goes with it; one with external_id is the
   object's entry in a catalogue and stays.
4. A list or object that this empties goes too.

`granular` is likewise a new writing, of an object of which some granular markings may not cross: without what they
select and without these markings (`redact`). An object without such markings keeps its bytes.

The words of a marking, an indicator's pattern (a YARA rule may hold comments), observed data but for message bodies,
and short labels stay: `no-prose` takes out prose, it does not make a group unnameable. The selectors of
granular markings follow what is left.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from entente.areas.intelligence import granular, rules, schema
from entente.errors import FormatError, UsageError
from entente.strict import parse_foreign
from entente.treaty.area import Redacted
from entente.treaty.record import Data, Record, whole

VIEWS = ("full", "no-prose", "granular")
PROSE = frozenset({"description", "abstract", "content", "explanation", "objective", "goals", "body"})
HEADLINES = frozenset({"report", "grouping", "incident", "indicator"})

_WORDS = 6
_TOKEN_END = rb"(?![A-Za-z0-9_\-])"


def view(name: str, data: Data) -> bytes | None:
    """The bytes that cross under a view; None when the object cannot be valid without its prose.

    Under `granular` that is what `redact` left: what had to go went before the object was screened.
    Raises: UsageError for a view that does not exist.
    """
    if name in ("full", "granular"):
        return whole(data)
    if name == "no-prose":
        return strip_prose(whole(data))
    raise UsageError(f"no view {name!r}", place="intelligence", remedy=f"Use one of: {', '.join(VIEWS)}.")


def strip_prose(data: bytes) -> bytes | None:
    """The object without running text (the rule above), written compactly; None when that is no valid object.

    Stripping what is stripped changes nothing.
    """
    try:
        value = parse_foreign(data)
    except FormatError:
        return None
    if not isinstance(value, dict):
        return None
    kind = str(value.get("type"))
    gone = [path for path in _prose(value, kind) if path[0] != "granular_markings"]
    found = granular.without(value, gone)
    if found is None:
        return None
    needed = {key: "" for key in schema.required(kind) - found.left.keys() if isinstance(value.get(key), str)}
    left = {key: needed.get(key, found.left.get(key)) for key in value if key in needed or key in found.left}
    return _written(left)


def redact(data: Data, refs: frozenset[str]) -> Redacted | None:
    """The object without what granular markings with these refs select, written compactly; None if it may not be so.

    It may not if it would be no valid object, or if an identifying or marking property (`granular.KEPT`) would go.
    Redacting what is redacted changes nothing.
    """
    try:
        value = parse_foreign(whole(data))
    except FormatError:
        return None
    if rules.fault(value) is not None:
        return None
    found = granular.cut(value, refs)
    written = _written(found.left) if found is not None else None
    return Redacted(written, found.count) if found is not None and written is not None else None


def _written(left: dict[str, Any]) -> bytes | None:
    """The object as compact JSON; None if it is not valid."""
    if rules.fault(left) is not None:
        return None
    return json.dumps(left, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def mention_pattern(records: Iterable[Record]) -> re.Pattern[bytes] | None:
    r"""What finds, in the bytes of another object, an address of one of these records; None when they have none.

    It matches to the end of a token (.../G0010 is not found in .../G00101) and through the escapes that JSON writers
    use: `\/`, and `\uXXXX` for anything but a letter or digit. `mentions` sees through the rest too.
    """
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        for text in filter(None, (address.rstrip("/") for address in record.prose)):
            folder, slash, leaf = text.rpartition("/")
            folders[folder + slash].add(leaf)
    branches = [
        _spelt(folder) + b"(?:" + b"|".join(_spelt(leaf) for leaf in sorted(leaves, key=len, reverse=True)) + b")"
        for folder, leaves in sorted(folders.items())
    ]
    return re.compile(b"(?:" + b"|".join(branches) + b")" + _TOKEN_END) if branches else None


def mentions(data: bytes, needles: re.Pattern[bytes] | None) -> bool:
    """Whether the object's text, however it is escaped, holds what `mention_pattern` looks for."""
    if needles is None:
        return False
    if needles.search(data):
        return True
    if b"\\u" not in data:
        return False
    try:
        plain = json.dumps(parse_foreign(data), ensure_ascii=False)
    except FormatError:
        return False
    return needles.search(plain.encode()) is not None


def _prose(value: dict[str, Any], kind: str) -> Iterator[granular.Path]:
    """Where the object has running text."""
    for key, item in value.items():
        if key == "name" and kind in HEADLINES:
            yield (key,)
        else:
            yield from _prose_in(key, item, (key,), own=key not in schema.properties(kind))


def _prose_in(key: str, item: object, at: granular.Path, *, own: bool) -> Iterator[granular.Path]:
    """Where a property has running text; `own` says that STIX does not define where it stands."""
    if key in PROSE or (own and isinstance(item, str) and _is_running_text(item)):
        yield at
    elif isinstance(item, dict):
        for inner, old in item.items():
            yield from _prose_in(inner, old, (*at, inner), own=own or _is_own(inner))
    elif isinstance(item, list):
        for number, entry in enumerate(item):
            if _is_footnote(key, entry):
                yield (*at, number)
            else:
                yield from _prose_in("", entry, (*at, number), own=own)


def _is_own(key: str) -> bool:
    """Whether a nested property is its author's own by its name; other nested names are taken to be the standard's."""
    return key.startswith(("x_", "extension-definition--"))


def _is_footnote(key: str, entry: object) -> bool:
    return key == "external_references" and isinstance(entry, dict) and not entry.get("external_id")


def _is_running_text(text: str) -> bool:
    return "\n" in text or "\r" in text or "://" in text or len(text.split()) > _WORDS


def _spelt(text: str) -> bytes:
    """A pattern for the text as JSON may spell it."""
    return b"".join(_spelt_char(char) for char in text)


def _spelt_char(char: str) -> bytes:
    if char.isascii() and char.isalnum():
        return char.encode()
    units = char.encode("utf-16-be")
    escaped = b"".join(
        b"\\\\u"
        + b"".join(b"[%c%c]" % (c, c - 32) if 97 <= c <= 102 else b"%c" % c for c in units[i : i + 2].hex().encode())
        for i in range(0, len(units), 2)
    )
    plain = (b"\\\\?" if char == "/" else b"") + re.escape(char.encode())
    return b"(?:" + plain + b"|" + escaped + b")"
