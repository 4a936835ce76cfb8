"""A second decide(), written from the tables in docs/reference/formats.md alone.

Nothing of the package is imported. A rule is a small predicate over `Facts`; a fact that is missing raises `Unknown`,
so the order in which a predicate asks for its facts is the order of checks the table gives.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, TypeAlias

Tree: TypeAlias = dict[str, Any]
Verify: TypeAlias = Callable[[str, bytes, str], bool]
Finding: TypeAlias = tuple[str, str, bool, str]
Rule: TypeAlias = Callable[["Facts"], bool]
Table: TypeAlias = dict[str, Rule]


class Unknown(Exception):
    """Something the rule needs is not there."""


class NotApplicable(Exception):
    """The rule does not apply to this request."""


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def pae(kind: str, body: bytes) -> bytes:
    media = f"application/vnd.entente.{kind}.v1+json".encode()
    return b" ".join((b"DSSEv1", str(len(media)).encode(), media, str(len(body)).encode(), body))


class Facts:
    """What the rules ask of one request. Lookups that can fail raise `Unknown(<name>)`."""

    def __init__(self, agreement: Tree, view: Tree, request: Tree, verify: Verify) -> None:
        self.agreement, self.view, self.request, self.verify = agreement, view, request, verify
        self.core: Tree = request["core"]
        self.marking: Tree = self.core["marking"]
        self.at: str = request["at"]
        pair = (request["origin"].split("/") + [""] * 4)[2]
        self.sender, _, self.recipient = pair.partition("-to-")
        self.parties: Tree = agreement.get("party", {})
        self.originator: str = self.marking["originator"]
        self.approvals: list[Tree] = request["approvals"]

    # Scales and rows

    def scale(self, party: str) -> list[str]:
        levels: list[str] = self.parties.get(party, {}).get("levels", [])
        return levels

    @cached_property
    def home(self) -> str:
        """The party in whose words the marking's level is written."""
        return self.originator if self.originator in self.parties else self.sender

    @cached_property
    def level(self) -> str:
        level: str = self.marking["level"]
        if level not in self.scale(self.home):
            raise Unknown("level")
        return level

    def find_row(self, left: str, right: str, level: str) -> Tree:
        for row in self.agreement.get("equivalence", {}).get("rows", []):
            columns = [name for name in row if name not in ("article", "channels", "one_way")]
            holds = columns == [left, right] if row.get("one_way", False) else {left, right} <= set(columns)
            if holds and row[left] == level:
                found: Tree = row
                return found
        raise Unknown("row")

    @cached_property
    def row(self) -> Tree:
        ends = [self.sender, self.recipient]
        if self.originator == self.recipient:
            ends.reverse()
        return self.find_row(ends[0], ends[1], self.marking["level"])

    def height(self, party: str, level: str) -> int:
        """Rank of a level the agreement's rows gave; one outside the party's scale has no row worth the name."""
        if level not in self.scale(party):
            raise Unknown("row")
        return self.scale(party).index(level)

    def rank_for(self, party: str) -> int:
        """Rank of the marking's level in the party's scale, carried over by the row where that is another scale."""
        level = self.level
        return self.height(party, level if self.home == party else self.row[party])

    def reaches(self, party: str, level: str, rank: int) -> bool:
        """Whether a level someone was granted is in the party's scale and not below the rank."""
        return level in self.scale(party)[rank:]

    # The area's terms

    @cached_property
    def area(self) -> Tree:
        areas: Tree = self.agreement.get("area", {})
        if self.core["area"] not in areas:
            raise Unknown("area")
        terms: Tree = self.agreement.get("terms", {})
        own: Tree = areas[self.core["area"]]
        return {**terms, **own}

    # Entries of the view

    def need(self, name: str) -> Any:
        if name not in self.view:
            raise Unknown(name)
        return self.view[name]

    def ancestors(self) -> list[Tree]:
        known: Tree = self.view["ancestors"]
        if any(rid not in known for rid in self.core["ancestors"]):
            raise Unknown("ancestors")
        return [known[rid] for rid in self.core["ancestors"]]

    def assured(self, rank: int) -> list[Tree]:
        if not self.view["assurances"]:
            raise Unknown("assurances")
        return [
            one
            for one in self.view["assurances"]
            if self.core["area"] in one["areas"]
            and self.at < one["until"]
            and self.reaches(self.recipient, one["level"], rank)
        ]

    @cached_property
    def rid(self) -> str:
        return hashlib.sha256(pae("core", canonical(self.core))).hexdigest()


def applies_if(condition: Any) -> None:
    if not condition:
        raise NotApplicable


# One predicate per rule


def in_force(f: Facts) -> bool:
    return bool(f.need("in_force") == f.core["agreement"])


def status(f: Facts) -> bool:
    return not f.view["suspended"]


def parties(f: Facts) -> bool:
    return (
        f.core["origin"] == f.request["origin"]
        and f.core["to"] == f.recipient
        and f.sender != f.recipient
        and {f.sender, f.recipient} <= set(f.parties)
        and f.core.get("exercise", False) is f.agreement.get("exercise", False)
    )


def area(f: Facts) -> bool:
    terms = f.area
    return f"{f.sender}>{f.recipient}" in terms.get("directions", []) and f.core["article"] in terms.get("articles", [])


def format_(f: Facts) -> bool:
    terms = f.area
    listed = f.core["format"] in terms.get("formats", []) and f.core["view"] in terms.get("views", [])
    return listed and within(f.core["bytes_padded"], terms, "max_bytes")


def within(number: int, terms: Tree, limit: str) -> bool:
    return bool(limit in terms and number <= terms[limit])


def level(f: Facts) -> bool:
    return bool(f.level)


def equivalence(f: Facts) -> bool:
    return bool(f.level and f.row)


def channel(f: Facts) -> bool:
    return f.core["channel"] in f.row.get("channels", [])


def ceiling(f: Facts) -> bool:
    stated = f.area.get("ceiling", {}).get(f.sender)
    rank = f.rank_for(f.sender)
    if stated not in f.scale(f.sender):
        raise Unknown("ceiling")
    return f.reaches(f.sender, stated, rank)


def releasable(f: Facts) -> bool:
    named = {*f.parties, *f.agreement.get("thirds", [])}
    return {f.sender, f.core["to"]} <= set(f.marking["releasable_to"]) <= named


def caveats(f: Facts) -> bool:
    applies_if(f.marking["caveats"])
    crossable = set(f.area.get("caveats", []))
    return set(f.marking["caveats"]) <= crossable & set(f.agreement.get("caveats", []))


def purpose(f: Facts) -> bool:
    return f.marking["purpose"] in f.area.get("purposes", [])


def originator(f: Facts) -> bool:
    if f.originator in (f.sender, f.recipient):
        return True
    return f.area.get("third_party") is True and f.core["third_party"] != "none"


def ancestor_rank(f: Facts, marking: Tree) -> int:
    if marking["originator"] == f.sender:
        if marking["level"] not in f.scale(f.sender):
            raise Unknown("level")
        return f.height(f.sender, marking["level"])
    row = f.find_row(f.recipient, f.sender, marking["level"])
    return f.height(f.sender, row[f.sender])


def join(f: Facts) -> bool:
    applies_if(f.core["ancestors"])
    rank = f.rank_for(f.sender)
    markings = [one["marking"] for one in f.ancestors()]
    highest = max([ancestor_rank(f, marking) for marking in markings])
    return (
        highest <= rank
        and all(set(f.marking["releasable_to"]) <= set(one["releasable_to"]) for one in markings)
        and all(set(one["caveats"]) <= set(f.marking["caveats"]) for one in markings)
        and {one["purpose"] for one in markings} == {f.marking["purpose"]}
    )


def ancestors(f: Facts) -> bool:
    applies_if(f.core["ancestors"])
    return {one["state"] for one in f.ancestors()} <= {"live", "returned"}


def assurance(f: Facts) -> bool:
    return any(one["units"] == [] for one in f.assured(f.rank_for(f.recipient)))


def units(f: Facts) -> bool:
    applies_if(f.core["units"])
    valid = f.assured(f.rank_for(f.recipient))
    return set(f.core["units"]) <= {unit for one in valid for unit in one["units"]}


def custody(f: Facts) -> bool:
    modes = f.area.get("custody", {})
    for name in (f.level, "default"):
        if name in modes:
            return bool(f.core["custody"] == modes[name])
    raise Unknown("custody")


def retention(f: Facts) -> bool:
    return within(f.core["retain_days"], f.area, "retain_days") and f.core["retain_days"] >= 1


def copies(f: Facts) -> bool:
    return within(f.core["copies"], f.area, "copies") and f.core["copies"] >= 1


def answers(f: Facts) -> bool:
    block = f.area.get("block_after_hours", 0)
    return bool(block == "never" or f.view["overdue_hours"] < block)


def kem(f: Facts) -> bool:
    key = f.need("kem")
    suite = f.request["sealed"]["suite"]
    listed = suite in f.agreement.get("suites", [])
    return listed and suite.split("-")[0] == key["algorithm"] and f.at < key["until"]


def approval_valid(f: Facts) -> bool:
    applies_if("standing" not in f.core)
    if not f.approvals:
        return True
    rank = f.rank_for(f.sender)
    if any(one["by"] not in f.view["persons"] for one in f.approvals):
        raise Unknown("persons")
    return all(approval_stands(f, one, f.view["persons"][one["by"]], rank) for one in f.approvals)


def approval_stands(f: Facts, one: Tree, person: Tree, rank: int) -> bool:
    said = canonical({"by": one["by"], "rid": f.rid, "role": one["role"], "until": one["until"]})
    return (
        f.at < min(one["until"], person["until"])
        and one["role"] in person["roles"]
        and f.core["area"] in person["areas"]
        and f.reaches(f.sender, person["ceiling"], rank)
        and f.verify(person["key"], pae("approval", said), one["sig"])
    )


def approval_count(f: Facts) -> bool:
    applies_if("standing" not in f.core)
    terms = f.area
    known = [one for one in f.approvals if one["by"] in f.view["persons"]]
    persons = [f.view["persons"][one["by"]] for one in known]
    enough = all(
        "approvals" in terms and len({person[field] for person in persons}) >= terms["approvals"]
        for field in ("commitment", "key")
    )
    return enough and set(terms.get("roles", [])) <= {one["role"] for one in known}


def standing(f: Facts) -> bool:
    applies_if("standing" in f.core)
    terms = f.area
    rank = f.rank_for(f.sender)
    act = f.need("standing")
    asked = {**f.core, **f.marking}
    return (
        all(act[field] == asked[field] for field in ("area", "format", "view", "purpose"))
        and f.reaches(f.sender, act["ceiling"], rank)
        and f.marking["caveats"] == []
        and act["used_count"] + 1 <= act["count"]
        and act["used_bytes"] + f.core["bytes_padded"] <= act["bytes"]
        and f.at < act["until"]
        and terms.get("standing") is True
        and f.at >= f.view.get("last_at", "")
    )


def once(f: Facts) -> bool:
    return f.view["seen_before"] is False


RULES: Table = {
    "in_force": in_force,
    "status": status,
    "parties": parties,
    "area": area,
    "format": format_,
    "level": level,
    "equivalence": equivalence,
    "channel": channel,
    "ceiling": ceiling,
    "releasable": releasable,
    "caveats": caveats,
    "purpose": purpose,
    "originator": originator,
    "join": join,
    "ancestors": ancestors,
    "assurance": assurance,
    "units": units,
    "custody": custody,
    "retention": retention,
    "copies": copies,
    "answers": answers,
    "kem": kem,
    "approval_valid": approval_valid,
    "approval_count": approval_count,
    "standing": standing,
    "once": once,
}


def observe(rule: Rule, facts: Facts) -> tuple[bool, str]:
    try:
        return rule(facts), ""
    except NotApplicable:
        return True, "n/a"
    except Unknown as missing:
        return False, f"unknown:{missing}"


def evaluate(table: Iterable[tuple[str, Rule]], facts: Facts) -> list[Finding]:
    articles = facts.agreement.get("rules", {}).get("decide", {})
    findings: list[Finding] = []
    for name, rule in table:
        ok, observed = observe(rule, facts)
        article = articles.get(name, "")
        findings.append((name, article, ok and article != "", observed))
    return findings


def second_decide(agreement: Tree, view: Tree, request: Tree, verify: Verify) -> list[Finding]:
    """The 26 findings (rule, article, ok, observed class) in the order of the table."""
    return evaluate(RULES.items(), Facts(agreement, view, request, verify))
