"""Everything that a person's tool can ask of a door, as one text in which nothing stands that chance or time decides.

Two doors that say the same about different holdings tell that person nothing of what they hold more.
"""

import re
from collections.abc import Iterable, Iterator

from stix_objects import UUID

from lab.site import Site, id_of

FILTERS = (
    "", "limit=1", "limit=2", "limit=999999", "match[version]=all", "match[version]=first", "match[version]=last",
    "match[version]=first,last", "match[version]=2026-01-02T03:04:05Z", "match[version]=2026-02-02T03:04:05.000Z",
    "match[type]=indicator", "match[type]=domain-name", "match[type]=indicator,domain-name&limit=1",
    "match[type]=malware",    "match[spec_version]=2.1", "match[spec_version]=2.0", "added_after=1960-01-01T00:00:00Z",
    "added_after=2000-01-01T00:00:00.000000Z&match[version]=last", "added_after=2222-01-01T00:00:00Z",
)  # fmt: skip
_STAMP = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z")
_NEXT = re.compile(r'"next":"[\w-]+"')
_HEADERS = ("content-length", "content-type", "x-taxii-date-added-first", "x-taxii-date-added-last", "www-authenticate")


def sco_of(number: int) -> str:
    """The id of a domain name."""
    return f"domain-name--{UUID.format(number)}"


def masked(text: str) -> str:
    """The text without stamps and cursors."""
    return _NEXT.sub('"next":"NEXT"', _STAMP.sub("STAMP", text))


def told(site: Site, name: str, path: str, method: str = "GET", body: bytes | None = None) -> str:
    """One answer: status, headers and body; every page of it."""
    answer = site.ask(name, path, method, body=body)
    known = {key: answer.headers[key] for key in _HEADERS if key in answer.headers}
    lines = [f"{method} {path} {answer.status_code} {known} {answer.text}"]
    if answer.status_code == 200 and answer.content and answer.json().get("more"):
        joint = "&" if "?" in path else "?"
        follow = f"{path.partition('&next=')[0].partition('?next=')[0]}{joint}next={answer.json()['next']}"
        lines.append(masked(told(site, name, follow)).replace(answer.json()["next"], "NEXT"))
    return masked("\n".join(lines))


def questions(aliases: Iterable[str], ids: Iterable[str]) -> Iterator[str]:
    """Paths below the API root: every endpoint that reads, with every filter."""
    wanted = list(ids)
    yield from ("/taxii2/", "", "collections/")
    for alias in aliases:
        one = f"collections/{alias}"
        yield f"{one}/"
        for kind in ("objects", "manifest"):
            yield from (f"{one}/{kind}/{'?' if query else ''}{query}" for query in FILTERS)
            yield from (f"{one}/{kind}/?match[id]={own}" for own in wanted)
            yield f"{one}/{kind}/?match[id]={','.join(wanted)}&limit=3"
        for own in wanted:
            for query in ("", "match[version]=all", "match[version]=first", "limit=1", "match[spec_version]=2.0"):
                yield f"{one}/objects/{own}/{'?' if query else ''}{query}"
            yield f"{one}/objects/{own}/versions/"
            yield f"{one}/objects/{own}/versions/?limit=1"


def transcript(site: Site, name: str, aliases: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Everything that the person's tool can read of these collections, asked about these ids."""
    return [told(site, name, path) for path in questions(aliases, ids)]


def first_difference(one: list[str], other: list[str]) -> str:
    """The first answers that differ, for people; empty if none do."""
    return next((f"{a}\n{b}" for a, b in zip(one, other, strict=True) if a != b), "")


IDS = tuple(id_of(number) for number in range(1, 21))
