"""Random inputs of decide(): a case in which all 26 rules pass, then up to four mutations.

Everything comes from `random.Random(seed)`, so a seed names its cases for ever. Mutations marked `corner` touch a place
that the tables leave open; `cases(..., corners=False)` leaves them out.
"""

import hashlib
import random
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from second_decide import RULES, Finding, Tree, canonical, pae

SAMPLES = Path(__file__).resolve().parents[2] / "src" / "entente" / "samples"
CLOCK = "%Y-%m-%dT%H:%MZ"
OUTSIDER, STRANGER = "ZZZ", "NOSUCH"

Case: TypeAlias = tuple[Tree, Tree, Tree]
Key: TypeAlias = tuple[str, str]
Mutation: TypeAlias = Callable[["Draft"], None]


# Keys and times


@cache
def private_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))


@cache
def key_text(seed: int) -> str:
    return "ed25519:" + private_key(seed).public_key().public_bytes_raw().hex()


@cache
def public_key(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.removeprefix("ed25519:")))


@cache
def verify(text: str, message: bytes, signature: str) -> bool:
    """The `verify` to hand to decide(): plain Ed25519, remembered."""
    try:
        public_key(text).verify(bytes.fromhex(signature), message)
    except InvalidSignature:
        return False
    return True


def shift(time: str, minutes: int) -> str:
    return (datetime.strptime(time, CLOCK).replace(tzinfo=UTC) + timedelta(minutes=minutes)).strftime(CLOCK)


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


# A draft: everything but the signatures


@dataclass
class Draft:
    rng: random.Random
    agreement: Tree
    sender: str = ""
    recipient: str = ""
    area: str = ""
    core: Tree = field(default_factory=dict)
    view: Tree = field(default_factory=dict)
    request: Tree = field(default_factory=dict)
    signers: list[int] = field(default_factory=list)
    after: list[Mutation] = field(default_factory=list)

    @property
    def marking(self) -> Tree:
        marking: Tree = self.core["marking"]
        return marking

    @property
    def at(self) -> str:
        at: str = self.request["at"]
        return at

    @property
    def approvals(self) -> list[Tree]:
        approvals: list[Tree] = self.request["approvals"]
        return approvals

    @property
    def own_terms(self) -> Tree:
        own: Tree = self.agreement["area"][self.area]
        return own

    @property
    def terms(self) -> Tree:
        return {**self.agreement["terms"], **self.own_terms}

    def levels(self, party: str) -> list[str]:
        levels: list[str] = self.agreement["party"][party]["levels"]
        return levels

    def hex(self, size: int = 32) -> str:
        return self.rng.randbytes(size).hex()

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, items: Iterable[Any]) -> Any:
        return self.rng.choice(list(items))

    def word(self, words: str) -> str:
        word: str = self.pick(words.split())
        return word

    def persons(self) -> list[Tree]:
        return list(self.view["persons"].values())

    def until(self) -> str:
        return shift(self.at, self.rng.randint(1, 5000))

    def row(self, left: str, right: str, level: str) -> Tree | None:
        return next((row for left_level, row in self.rows(left, right) if left_level == level), None)

    def rows(self, left: str, right: str) -> list[tuple[str, Tree]]:
        """What may be carried from left to right: (level, row)."""
        found = []
        for row in self.agreement["equivalence"]["rows"]:
            columns = [name for name in row if name in self.agreement["party"]]
            if left in row and right in row and (not row.get("one_way") or columns == [left, right]):
                found.append((row[left], row))
        return found

    def way(self) -> tuple[str, str]:
        back = self.marking["originator"] == self.recipient
        return (self.recipient, self.sender) if back else (self.sender, self.recipient)

    def level_for(self, party: str) -> str:
        """The marking's level in the party's words; some level where there is none (after a mutation)."""
        left, right = self.way()
        row = self.row(left, right, self.marking["level"])
        level = self.marking["level"] if party == left else (row or {}).get(party)
        return level if level in self.levels(party) else self.levels(party)[0]

    def not_below(self, party: str) -> str:
        levels = self.levels(party)
        level: str = self.pick(levels[levels.index(self.level_for(party)) :])
        return level

    def below(self, party: str) -> str:
        levels = self.levels(party)
        level: str = self.pick(levels[: levels.index(self.level_for(party))] or [STRANGER])
        return level


# Agreements that are still in order


def vary_agreement(d: Draft) -> None:
    agreement, terms = d.agreement, d.agreement["terms"]
    one, two = agreement["party"]
    rows = agreement["equivalence"]["rows"]
    if d.chance(0.3):
        agreement["thirds"] = d.pick([["FRA"], ["FRA", "USA"]])
    if d.chance(0.3):
        terms["third_party"] = not terms["third_party"]
    if d.chance(0.2):
        terms["standing"] = not terms["standing"]
    if d.chance(0.2):
        terms["block_after_hours"] = d.pick(["never", 0, 1, 48, 720])
    if d.chance(0.15):
        terms["approvals"] = d.pick([1, 2, 3])
    if d.chance(0.1):
        terms["roles"] = d.pick([[], ["release"], ["release", "security"]])
    if d.chance(0.15):
        del agreement["exercise"]
    if d.chance(0.2):
        agreement["caveats"] = [*agreement["caveats"], "NO FORWARD"]
        terms["caveats"] = [*terms["caveats"], "NO FORWARD"]
    if d.chance(0.15):
        agreement["suites"] = d.pick([agreement["suites"][:1], ["mlkem768x25519-hkdfsha256-aes256gcm"]])
    if d.chance(0.2):
        terms["custody"] = {"default": "delivered", d.pick(d.levels(one)): "joint", d.pick(d.levels(two)): "held"}
    if d.chance(0.1):
        terms["custody"] = dict.fromkeys([*d.levels(one), *d.levels(two)], "joint")
    if d.chance(0.35):
        row = d.pick(rows)
        row["one_way"] = True
        if d.chance(0.5):
            row[one] = row.pop(one)  # now written second
    if d.chance(0.25):
        left, right = d.pick([(one, two), (two, one)])
        taken = {row[left] for row in rows}
        free = [level for level in d.levels(left) if level not in taken]
        target = d.pick(rows)[right]
        rows.append({left: d.pick(free), right: target, "one_way": True, "article": "3(2)", "channels": ["stick"]})
    if d.chance(0.1):
        d.pick(rows).setdefault("one_way", False)
    if d.chance(0.4):
        override_area(d)


def override_area(d: Draft) -> None:
    own = d.agreement["area"][d.pick(d.agreement["area"])]
    for _ in range(d.rng.randint(1, 3)):
        name, value = d.pick(
            [
                ("copies", d.rng.randint(1, 9)),
                ("retain_days", d.rng.randint(1, 99)),
                ("max_bytes", d.pick([4096, 65536])),
                ("purposes", ["exercise support"]),
                ("block_after_hours", d.pick(["never", 2, 24])),
                ("ceiling", {party: d.pick(d.levels(party)) for party in d.agreement["party"]}),
                ("standing", d.chance(0.5)),
                ("third_party", d.chance(0.5)),
                ("approvals", d.rng.randint(1, 2)),
                ("views", ["full", "no-prose"]),
                ("custody", {level: "held" for party in d.agreement["party"] for level in d.levels(party)}),
                ("caveats", d.agreement["caveats"]),
            ]
        )
        own[name] = value


# The case in which all rules pass


def possible_levels(d: Draft, left: str, right: str) -> list[str]:
    """Levels that may go from left to right and that the sender's ceiling lets out."""
    levels = d.levels(d.sender)
    top = levels.index(d.terms["ceiling"][d.sender])
    held = [(level, row) for level, row in d.rows(left, right) if row["channels"]]
    return [level for level, row in held if levels.index(row[d.sender]) <= top]


def start(d: Draft) -> None:
    d.area = d.pick(d.agreement["area"])
    d.sender, d.recipient = d.rng.sample(list(d.agreement["party"]), 2)
    returned = d.chance(0.2)
    left, right = (d.recipient, d.sender) if returned else (d.sender, d.recipient)
    level = d.pick(possible_levels(d, left, right))
    third = not returned and d.terms["third_party"] and d.chance(0.3)
    originator = d.pick([*d.agreement["thirds"], "AUS"]) if third else left
    start_core(d, left, right, originator, level)
    start_view(d)


def start_core(d: Draft, left: str, right: str, originator: str, level: str) -> None:
    terms, rng = d.terms, d.rng
    row = d.row(left, right, level)
    assert row is not None
    named = [*d.agreement["party"], *d.agreement["thirds"]]
    modes = terms["custody"]
    crossable = [caveat for caveat in terms["caveats"] if caveat in d.agreement["caveats"]]
    origin = f"entente/{d.agreement['id']}/{d.sender}-to-{d.recipient}/{rng.randint(1, 3)}"
    d.core = {
        "nonce": d.hex(16),
        "origin": origin,
        "to": d.recipient,
        "agreement": d.hex(),
        "area": d.area,
        "article": d.pick(terms["articles"]),
        "format": d.pick(terms["formats"]),
        "view": d.pick(terms["views"]),
        "marking": {
            "originator": originator,
            "level": level,
            "releasable_to": sorted(d.pick([named, [d.sender, d.recipient]])),
            "caveats": sorted(rng.sample(crossable, rng.randint(0, len(crossable)))),
            "purpose": d.pick(terms["purposes"]),
        },
        "records": {"count": rng.randint(1, 40), "root": d.hex()},
        "content": d.hex(),
        "bytes_padded": rng.randint(1, min(terms["max_bytes"], 1 << rng.randint(8, 30))),
        "custody": modes[level] if level in modes else modes["default"],
        "channel": d.pick(row["channels"]),
        "copies": rng.randint(1, terms["copies"]),
        "retain_days": rng.randint(1, terms["retain_days"]),
        "ancestors": [],
        "third_party": d.hex() if originator not in d.agreement["party"] else "none",
        "units": sorted(rng.sample(["unit-1", "unit-2", "unit-3"], d.pick([0, 0, 1, 2]))),
    }
    if d.agreement.get("exercise"):
        d.core["exercise"] = True
    at = shift("2026-01-01T00:00Z", rng.randint(1, 2_000_000))
    suite = d.pick(d.agreement["suites"])
    sealed = {"suite": suite, "kem_key": d.hex()}
    d.request = {"origin": origin, "idx": rng.randint(4, 9999), "at": at, "core": d.core, "sealed": sealed}
    d.request["approvals"] = []


def start_view(d: Draft) -> None:
    rng, terms = d.rng, d.terms
    block = terms["block_after_hours"]
    if block == 0:
        d.own_terms["block_after_hours"] = block = 1
    d.view = {
        "in_force": d.core["agreement"],
        "suspended": [],
        "persons": {},
        "ancestors": {},
        "assurances": [],
        "kem": {"algorithm": d.request["sealed"]["suite"].split("-")[0], "until": d.until()},
        "overdue_hours": rng.randint(0, 900) if block == "never" else rng.randint(0, block - 1),
        "last_at": shift(d.at, -rng.randint(0, 900)),
        "seen_before": False,
    }
    add_assurance(d, [])
    for unit in d.core["units"]:
        add_assurance(d, [unit])
    if d.chance(0.4):
        for _ in range(rng.randint(1, 3)):
            add_ancestor(d)
    if terms["standing"] and d.chance(0.4):
        start_standing(d)
    else:
        for number in range(max(terms["approvals"], len(terms["roles"])) + d.chance(0.15)):
            add_approval(d, number)


def add_assurance(d: Draft, units: list[str]) -> None:
    areas = sorted({d.area, d.pick(d.agreement["area"])})
    one = {"level": d.not_below(d.recipient), "areas": areas, "units": units, "until": d.until()}
    d.view["assurances"].append(one)


def ancestor_levels(d: Draft) -> list[tuple[str, str]]:
    """(originator, level) of what may stand in the recipient's log and not above the core's level."""
    levels = d.levels(d.sender)
    top = levels.index(d.level_for(d.sender))
    own = [(d.sender, level) for level in levels[: top + 1]]
    came = [level for level, row in d.rows(d.recipient, d.sender) if row[d.sender] in levels[: top + 1]]
    return [*own, *((who, level) for level in came for who in (d.recipient, d.recipient, d.recipient, "AUS"))]


def add_ancestor(d: Draft) -> None:
    originator, level = d.pick(ancestor_levels(d))
    caveats = d.marking["caveats"]
    marking = {
        "originator": originator,
        "level": level,
        "releasable_to": sorted({*d.marking["releasable_to"], *d.pick([[], ["FRA"], ["USA"]])}),
        "caveats": sorted(d.rng.sample(caveats, d.rng.randint(0, len(caveats)))),
        "purpose": d.marking["purpose"],
    }
    rid = d.hex()
    d.core["ancestors"] = sorted([*d.core["ancestors"], rid])
    d.view["ancestors"][rid] = {"marking": marking, "state": d.pick(["live", "live", "live", "returned"])}


def start_standing(d: Draft) -> None:
    d.marking["caveats"] = []
    for one in d.view["ancestors"].values():
        one["marking"]["caveats"] = []
    used, size = d.rng.randint(0, 9), d.rng.randint(0, 9999)
    d.core["standing"] = d.hex()
    d.view["standing"] = {
        "area": d.area,
        "format": d.core["format"],
        "view": d.core["view"],
        "ceiling": d.not_below(d.sender),
        "purpose": d.marking["purpose"],
        "count": used + d.pick([1, 1, 5]),
        "bytes": size + d.core["bytes_padded"] + d.pick([0, 0, 500]),
        "until": d.until(),
        "used_count": used,
        "used_bytes": size,
    }


def add_approval(d: Draft, number: int) -> None:
    roles = d.terms["roles"] or ["release"]
    role = roles[number % len(roles)]
    handle, seed = f"{d.sender}/ro-{number:02}", number + 1
    d.view["persons"][handle] = {
        "commitment": f"{seed:064x}",
        "key": key_text(seed),
        "roles": sorted({role, d.pick(["release", "security", "map"])}),
        "areas": sorted({d.area, d.pick(d.agreement["area"])}),
        "ceiling": d.not_below(d.sender),
        "until": d.until(),
    }
    d.approvals.append({"by": handle, "role": role, "until": d.until(), "sig": ""})
    d.signers.append(seed)


def sign(d: Draft) -> None:
    if not d.approvals:
        return
    rid = core_rid(d.core)
    for one, seed in zip(d.approvals, d.signers, strict=True):
        said = canonical({"by": one["by"], "rid": rid, "role": one["role"], "until": one["until"]})
        one["sig"] = private_key(seed).sign(pae("approval", said)).hex()


def core_rid(core: Tree) -> str:
    return hashlib.sha256(pae("core", canonical(core))).hexdigest()


# Mutations. Each breaks one thing, or puts it exactly on its boundary; one that finds nothing to break does nothing.

MUTATIONS: list[tuple[Mutation, int, bool]] = []


def mutation(weight: int = 2, corner: bool = False) -> Callable[[Mutation], Mutation]:
    def register(change: Mutation) -> Mutation:
        MUTATIONS.append((change, weight, corner))
        return change

    return register


@mutation(3)
def force(d: Draft) -> None:
    match d.word("none core view"):
        case "none":
            d.view.pop("in_force", None)
        case "core":
            d.core["agreement"] = d.hex()
        case "view":
            d.view["in_force"] = d.hex()


@mutation()
def suspension(d: Draft) -> None:
    d.view["suspended"] = sorted(d.pick([[d.sender], [d.recipient], [d.sender, d.recipient]]))


@mutation(3)
def addressee(d: Draft) -> None:
    d.core["to"] = d.pick([d.sender, OUTSIDER])


@mutation()
def exercise(d: Draft) -> None:
    if "exercise" in d.core:
        del d.core["exercise"]
    else:
        d.core["exercise"] = True


@mutation(1)
def exercise_of_agreement(d: Draft) -> None:
    d.agreement["exercise"] = d.pick([True, False])


@mutation()
def outside_recipient(d: Draft) -> None:
    """A log towards someone the agreement does not know; nothing else names it."""
    if d.marking["originator"] == d.recipient:
        return  # a party of the agreement at neither end of the log: see `outside_sender`
    origin = f"entente/{d.agreement['id']}/{d.sender}-to-{OUTSIDER}/1"
    d.request["origin"] = d.core["origin"] = origin
    d.core["to"] = OUTSIDER


@mutation(1)
def reversed_log(d: Draft) -> None:
    origin = f"entente/{d.agreement['id']}/{d.recipient}-to-{d.sender}/1"
    d.request["origin"] = d.core["origin"] = origin


@mutation(1, corner=True)
def outside_sender(d: Draft) -> None:
    origin = f"entente/{d.agreement['id']}/{OUTSIDER}-to-{d.recipient}/1"
    d.request["origin"] = d.core["origin"] = origin
    if d.chance(0.3):
        d.marking["originator"] = OUTSIDER


@mutation(1, corner=True)
def other_log_in_core(d: Draft) -> None:
    epoch, name = d.pick([(9, d.agreement["id"]), (1, "another")])
    d.core["origin"] = f"entente/{name}/{d.sender}-to-{d.recipient}/{epoch}"


@mutation(1)
def reversed_log_in_core(d: Draft) -> None:
    d.core["origin"] = f"entente/{d.agreement['id']}/{d.recipient}-to-{d.sender}/1"


@mutation(4)
def unknown_area(d: Draft) -> None:
    d.core["area"] = STRANGER


@mutation(1)
def other_area(d: Draft) -> None:
    d.core["area"] = d.pick(d.agreement["area"])


@mutation()
def directions(d: Draft) -> None:
    where = d.pick([d.agreement["terms"], d.own_terms])
    where["directions"] = d.pick([[], [f"{d.recipient}>{d.sender}"], [f"{d.sender}>{d.recipient}"]])


@mutation()
def article(d: Draft) -> None:
    d.core["article"] = d.pick(["99(9)", "1(1)", "13(1)"])


@mutation(3)
def layout(d: Draft) -> None:
    name = d.pick(["format", "view"])
    others = {"format": ["document-1", "stix-2.1", "spell-1"], "view": ["full", "no-prose", "half"]}
    d.core[name] = d.pick(others[name])


@mutation(3)
def size(d: Draft) -> None:
    d.core["bytes_padded"] = d.terms["max_bytes"] + d.pick([0, 0, 1])


@mutation(3)
def strange_level(d: Draft) -> None:
    d.marking["level"] = d.pick([STRANGER, *d.levels(d.recipient)])


@mutation(5)
def any_level(d: Draft) -> None:
    d.marking["level"] = d.pick(d.levels(d.way()[0]))


@mutation(4)
def one_way(d: Draft) -> None:
    """The row in use holds one way only, written for this way or against it."""
    left, right = d.way()
    row = d.row(left, right, d.marking["level"])
    rows = d.agreement["equivalence"]["rows"]
    if row and not any(other is not row and row[right] == other[right] for other in rows):  # still one row per level
        first = d.pick([left, right])
        rest = dict(row)
        row.clear()
        row.update({first: rest.pop(first), **rest, "one_way": True})


@mutation(3)
def no_row(d: Draft) -> None:
    left, right = d.way()
    row = d.row(left, right, d.marking["level"])
    if row:
        d.agreement["equivalence"]["rows"].remove(row)


@mutation(1, corner=True)
def second_row(d: Draft) -> None:
    left, right = d.way()
    row = {left: d.marking["level"], right: d.pick(d.levels(right)), "article": "3(2)", "channels": ["stick"]}
    d.agreement["equivalence"]["rows"].insert(d.pick([0, 99]), row)


@mutation(1, corner=True)
def row_out_of_scale(d: Draft) -> None:
    left, right = d.way()
    row = d.row(left, right, d.marking["level"])
    if row:
        row[right] = STRANGER


@mutation(3)
def channels(d: Draft) -> None:
    row = d.row(*d.way(), d.marking["level"])
    if row and d.chance(0.4):
        row["channels"] = d.pick([[], ["stick"], ["network"]])
    else:
        d.core["channel"] = d.pick(["pigeon", "stick", "network"])


@mutation(6)
def ceilings(d: Draft) -> None:
    levels = d.levels(d.sender)
    stated = dict(d.terms.get("ceiling", {}))
    d.own_terms["ceiling"] = stated
    stated[d.sender] = d.pick([d.level_for(d.sender), d.below(d.sender), d.pick(levels), STRANGER])
    if d.chance(0.25):
        del stated[d.sender]
        d.agreement["terms"].get("ceiling", {}).pop(d.sender, None)


@mutation(1)
def no_ceilings(d: Draft) -> None:
    d.own_terms.pop("ceiling", None)
    d.agreement["terms"].pop("ceiling", None)


@mutation(1, corner=True)
def partial_override(d: Draft) -> None:
    """The area's own table holds less than the one of [terms] it takes the place of."""
    if d.chance(0.5):
        d.own_terms["ceiling"] = {d.recipient: d.levels(d.recipient)[2]}
    else:
        d.own_terms["custody"] = {d.levels(d.sender)[3]: "joint"}


@mutation(5)
def releasability(d: Draft) -> None:
    both = [d.sender, d.recipient]
    others = [[], [d.sender], [d.recipient], [*both, OUTSIDER], [*both, "FRA"], [*both, "FRA", "USA"], both]
    d.marking["releasable_to"] = sorted(d.pick(others))


@mutation()
def fewer_thirds(d: Draft) -> None:
    d.agreement["thirds"] = d.pick([[], ["FRA"], ["USA"]])


@mutation(4)
def caveat(d: Draft) -> None:
    known = d.agreement["caveats"]
    d.marking["caveats"] = sorted({*d.marking["caveats"], d.pick([STRANGER, "IP", *known])})


@mutation(1)
def crossable_but_unknown(d: Draft) -> None:
    d.own_terms["caveats"] = [*d.terms["caveats"], "LOCAL ONLY"]
    d.marking["caveats"] = ["LOCAL ONLY"]


@mutation(1)
def no_caveats(d: Draft) -> None:
    d.marking["caveats"] = []


@mutation()
def purpose(d: Draft) -> None:
    d.marking["purpose"] = d.pick(["curiosity", "cyber defence", "defence cooperation"])


@mutation(6)
def third_originator(d: Draft) -> None:
    d.marking["originator"] = d.pick(["AUS", "FRA"])
    d.core["third_party"] = d.pick(["none", d.hex(), d.hex()])
    if d.chance(0.5):
        d.own_terms["third_party"] = d.chance(0.7)
    if d.chance(0.15):
        d.core["area"] = STRANGER


@mutation(1)
def originator_sender(d: Draft) -> None:
    d.marking["originator"] = d.sender


@mutation(4)
def turned_back(d: Draft) -> None:
    """A return: the originator is the recipient, the level in its words."""
    if not d.request["origin"].rpartition("/")[0].endswith(d.recipient):
        return
    d.marking["originator"] = d.recipient
    came = [level for level, _ in d.rows(d.recipient, d.sender)]
    d.marking["level"] = d.pick([*came, d.pick(d.levels(d.recipient))])


@mutation(1)
def third_party(d: Draft) -> None:
    d.core["third_party"] = d.pick(["none", d.hex()])


@mutation(5)
def more_ancestors(d: Draft) -> None:
    for _ in range(d.rng.randint(1, 3)):
        add_ancestor(d)


def one_ancestor(d: Draft) -> Tree:
    if not d.view["ancestors"]:
        add_ancestor(d)
    one: Tree = d.view["ancestors"][d.pick(d.view["ancestors"])]
    return one


@mutation(4)
def ancestor_level(d: Draft) -> None:
    marking = one_ancestor(d)["marking"]
    if d.chance(0.4):
        marking["originator"] = d.pick([d.sender, d.recipient, "AUS"])
    scale = d.sender if marking["originator"] == d.sender else d.recipient
    marking["level"] = d.pick(d.levels(scale))


@mutation(1, corner=True)
def ancestor_out_of_scale(d: Draft) -> None:
    one_ancestor(d)["marking"]["level"] = STRANGER


@mutation(2)
def ancestor_same_level(d: Draft) -> None:
    marking = one_ancestor(d)["marking"]
    marking["originator"], marking["level"] = d.sender, d.level_for(d.sender)


@mutation(2)
def ancestor_narrow(d: Draft) -> None:
    reach = d.marking["releasable_to"]
    one_ancestor(d)["marking"]["releasable_to"] = sorted(d.pick([[], [d.recipient], [d.sender], reach]))


@mutation(3)
def ancestor_caveat(d: Draft) -> None:
    known = [*d.agreement["caveats"], STRANGER]
    marking = one_ancestor(d)["marking"]
    marking["caveats"] = sorted({*marking["caveats"], d.pick(known)})


@mutation(2)
def ancestor_purpose(d: Draft) -> None:
    one_ancestor(d)["marking"]["purpose"] = d.pick(["curiosity", d.marking["purpose"]])


@mutation(3)
def ancestor_state(d: Draft) -> None:
    one_ancestor(d)["state"] = d.pick(["withdrawn", "destroyed", "returned"])


@mutation(3)
def ancestor_missing(d: Draft) -> None:
    one_ancestor(d)
    del d.view["ancestors"][d.pick(d.view["ancestors"])]


@mutation(2)
def no_assurances(d: Draft) -> None:
    d.view["assurances"] = []


@mutation(6)
def assurance(d: Draft) -> None:
    if not d.view["assurances"]:
        return
    one = d.pick(d.view["assurances"])
    match d.word("level same low area until later units gone"):
        case "level":
            one["level"] = d.pick([*d.levels(d.recipient), STRANGER])
        case "same":
            one["level"] = d.level_for(d.recipient)
        case "low":
            one["level"] = d.below(d.recipient)
        case "area":
            one["areas"] = d.pick([[], [d.pick(d.agreement["area"])]])
        case "until":
            one["until"] = shift(d.at, d.pick([0, 0, -1]))
        case "later":
            one["until"] = shift(d.at, 1)
        case "units":
            one["units"] = d.pick([[], ["unit-1"], ["unit-2", "unit-3"]])
        case "gone":
            d.view["assurances"].remove(one)


@mutation(3)
def units(d: Draft) -> None:
    d.core["units"] = sorted(d.rng.sample(["unit-1", "unit-2", "unit-3", "unit-9"], d.rng.randint(0, 2)))


@mutation(2)
def custody(d: Draft) -> None:
    d.core["custody"] = d.pick(["delivered", "joint", "held", STRANGER])


@mutation(4)
def custody_modes(d: Draft) -> None:
    level = d.marking["level"]
    modes = [{}, {level: d.core["custody"]}, {level: "joint"}, {"default": "joint", level: d.core["custody"]}]
    chosen = d.pick([*modes, {"other": "joint"}, {"default": d.core["custody"], level: "held"}])
    d.own_terms["custody"] = d.agreement["terms"]["custody"] = chosen


@mutation(4)
def retention(d: Draft) -> None:
    most = d.terms["retain_days"]
    d.core["retain_days"] = d.pick([0, 1, most, most, most + 1])


@mutation(5)
def copies(d: Draft) -> None:
    most = d.terms["copies"]
    d.core["copies"] = d.pick([0, 1, most, most, most + 1])


@mutation(5)
def overdue(d: Draft) -> None:
    block = d.terms["block_after_hours"]
    if block == "never" or d.chance(0.3):
        block = d.own_terms["block_after_hours"] = d.pick(["never", 0, 1, 24, 720])
    hours = 999_999 if block == "never" else block
    d.view["overdue_hours"] = max(0, hours + d.pick([-1, 0, 0, 1]))


@mutation(5)
def kem(d: Draft) -> None:
    key = d.view.get("kem")
    if not key:
        return
    match d.word("none suite suites algorithm until later"):
        case "none":
            del d.view["kem"]
        case "suite":
            both = ["x25519-hkdfsha256-aes256gcm", "mlkem768x25519-hkdfsha256-aes256gcm"]
            d.request["sealed"]["suite"] = d.pick([*both, "rot13"])
        case "suites":
            d.agreement["suites"] = d.pick([[], d.agreement["suites"][-1:]])
        case "algorithm":
            key["algorithm"] = d.pick(["x25519", "mlkem768x25519", "ed25519"])
        case "until":
            key["until"] = shift(d.at, d.pick([0, 0, -1]))
        case "later":
            key["until"] = shift(d.at, 1)


@mutation(6)
def approval(d: Draft) -> None:
    if not d.approvals:
        return
    number = d.rng.randrange(len(d.approvals))
    one = d.approvals[number]
    match d.word("until until later role drop twice none key"):
        case "until":
            one["until"] = shift(d.at, d.pick([0, 0, -1]))
        case "later":
            one["until"] = shift(d.at, 1)
        case "role":
            one["role"] = d.pick(["release", "security", "map", STRANGER])
        case "drop":
            del d.approvals[number], d.signers[number]
        case "twice":
            d.approvals.append(dict(one))
            d.signers.append(d.signers[number])
        case "none":
            d.approvals.clear()
            d.signers.clear()
        case "key":
            d.signers[number] = 99


@mutation(3)
def signature(d: Draft) -> None:
    """Changed after the approvers signed."""

    def nonce(d: Draft) -> None:
        d.core["nonce"] = d.hex(16)

    def until(d: Draft) -> None:
        if d.approvals:
            d.approvals[-1]["until"] = d.until()

    def flip(d: Draft) -> None:
        if d.approvals:
            sig = d.approvals[0]["sig"]
            d.approvals[0]["sig"] = f"{int(sig[:2], 16) ^ 1:02x}{sig[2:]}"

    def swap(d: Draft) -> None:
        first, last = d.approvals[:1], d.approvals[-1:]
        for one, two in zip(first, last, strict=True):
            one["sig"], two["sig"] = two["sig"], one["sig"]

    d.after.append(d.pick([nonce, until, flip, swap]))


@mutation(8)
def person(d: Draft) -> None:
    if not d.view["persons"]:
        return
    handle = d.pick(d.view["persons"])
    one = d.view["persons"][handle]
    match d.word("until later roles areas ceiling low same stranger key gone"):
        case "until":
            one["until"] = shift(d.at, d.pick([0, 0, -1]))
        case "later":
            one["until"] = shift(d.at, 1)
        case "roles":
            one["roles"] = d.pick([[], ["map"], ["release"], ["release", "security"]])
        case "areas":
            one["areas"] = d.pick([[], [d.pick(d.agreement["area"])], [STRANGER]])
        case "ceiling":
            one["ceiling"] = d.pick(d.levels(d.sender))
        case "low":
            one["ceiling"] = d.below(d.sender)
        case "same":
            one["ceiling"] = d.level_for(d.sender)
        case "stranger":
            one["ceiling"] = d.pick([STRANGER, *d.levels(d.recipient)])
        case "key":
            one["key"] = key_text(98)
        case "gone":
            del d.view["persons"][handle]


@mutation(5)
def one_person(d: Draft) -> None:
    """Two handles share a natural person, or a key."""
    if len(d.view["persons"]) < 2:
        add_approval(d, len(d.approvals))
    people = d.persons()
    name = d.pick(["commitment", "key"])
    people[-1][name] = people[0][name]
    if name == "key" and len(d.signers) > 1:
        d.signers[-1] = d.signers[0]


@mutation(3)
def number_of_approvals(d: Draft) -> None:
    where = d.pick([d.agreement["terms"], d.own_terms])
    where["approvals"] = d.pick([0, 1, 2, 3])


@mutation(2)
def more_approvals(d: Draft) -> None:
    for _ in range(d.rng.randint(1, 3)):
        add_approval(d, len(d.approvals))


@mutation(3)
def required_roles(d: Draft) -> None:
    d.own_terms["roles"] = d.pick([[], ["security"], ["release", "security", "map"]])


@mutation(5)
def standing(d: Draft) -> None:
    match d.word("start over drop gone forbidden allowed"):
        case "start":
            go_standing(d)
        case "over":
            start_standing(d)
        case "drop":
            d.core.pop("standing", None)
        case "gone":
            d.core.setdefault("standing", d.hex())
            d.view.pop("standing", None)
        case "forbidden":
            d.own_terms["standing"] = False
        case "allowed":
            d.own_terms["standing"] = True


def go_standing(d: Draft) -> None:
    d.own_terms["standing"] = True
    start_standing(d)
    d.approvals.clear()
    d.signers.clear()


@mutation(10)
def standing_class(d: Draft) -> None:
    if "standing" not in d.view:
        go_standing(d)
    act = d.view["standing"]
    match d.word("area format view purpose ceiling same low until later count count bytes bytes last"):
        case "area":
            act["area"] = d.pick([STRANGER, *d.agreement["area"]])
        case "format" | "view" | "purpose" as name:
            act[name] = STRANGER
        case "ceiling":
            act["ceiling"] = d.pick([STRANGER, *d.levels(d.sender), *d.levels(d.recipient)])
        case "same":
            act["ceiling"] = d.level_for(d.sender)
        case "low":
            act["ceiling"] = d.below(d.sender)
        case "until":
            act["until"] = shift(d.at, d.pick([0, 0, -1]))
        case "later":
            act["until"] = shift(d.at, 1)
        case "count":
            act["used_count"] = act["count"] + d.pick([-1, 0, 0, 1])
        case "bytes":
            act["used_bytes"] = max(0, act["bytes"] - d.core["bytes_padded"] + d.pick([0, 1, 1, -1]))
        case "last":
            d.view["last_at"] = shift(d.at, d.pick([0, 1, 600]))


@mutation(2)
def last_at(d: Draft) -> None:
    if d.chance(0.5):
        d.view.pop("last_at", None)
    else:
        d.view["last_at"] = shift(d.at, d.pick([-1, 0, 1]))


@mutation(2)
def seen(d: Draft) -> None:
    d.view["seen_before"] = True


@mutation(7)
def no_article(d: Draft) -> None:
    for _ in range(d.pick([1, 1, 5])):
        d.agreement["rules"]["decide"].pop(d.pick(RULES), None)


@mutation(1, corner=True)
def empty_article(d: Draft) -> None:
    d.agreement["rules"]["decide"][d.pick(RULES)] = ""


# The cases


@cache
def sample(path: Path) -> Tree:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def base(rng: random.Random, agreement: Tree) -> Draft:
    """A draft, not signed yet, in which every rule passes; the agreement is a variation of the one given."""
    while True:
        d = Draft(rng, copied(agreement))
        vary_agreement(d)
        try:
            start(d)
        except IndexError:  # nothing can go out of this area under this agreement: take another
            continue
        return d


def prune(d: Draft) -> None:
    """The view is the slice for this request: nothing the request does not name."""
    handles = [one["by"] for one in d.approvals]
    d.view["persons"] = {handle: one for handle, one in d.view["persons"].items() if handle in handles}
    if "standing" not in d.core:
        d.view.pop("standing", None)


def cases(seed: int, count: int, samples: Path = SAMPLES, corners: bool = True) -> Iterator[Case]:
    """`count` cases (agreement, view, request), the same for a seed for ever."""
    rng = random.Random(seed)
    agreements = [sample(samples / name) for name in ("india-korea.toml", "two-certs.toml")]
    changes = [(change, weight) for change, weight, corner in MUTATIONS if corners or not corner]
    population, weights = [change for change, _ in changes], [weight for _, weight in changes]
    for _ in range(count):
        d = base(rng, rng.choice(agreements))
        for change in rng.choices(population, weights, k=rng.choice([0, 1, 1, 1, 2, 2, 3, 4])):
            change(d)
        sign(d)
        for change in d.after:
            change(d)
        prune(d)
        yield d.agreement, d.view, d.request


# Coverage


def expected_outcomes() -> set[Key]:
    """(rule, outcome) pairs the tables allow."""
    missing = {
        "in_force": "in_force",
        "area": "area",
        "format": "area",
        "level": "level",
        "equivalence": "level row",
        "channel": "row",
        "ceiling": "area level row ceiling",
        "caveats": "area",
        "purpose": "area",
        "originator": "area",
        "join": "level row ancestors",
        "ancestors": "ancestors",
        "assurance": "level row assurances",
        "units": "level row assurances",
        "custody": "area level custody",
        "retention": "area",
        "copies": "area",
        "answers": "area",
        "kem": "kem",
        "approval_valid": "level row persons",
        "approval_count": "area",
        "standing": "area level row standing",
    }
    pairs = {(rule, outcome) for rule in RULES for outcome in ("pass", "fail", "no article")}
    pairs -= {("level", "fail"), ("equivalence", "fail")}  # they hold, or something is unknown
    pairs |= {(rule, f"unknown:{name}") for rule, names in missing.items() for name in names.split()}
    skipped = ("caveats", "join", "ancestors", "units", "approval_valid", "approval_count", "standing")
    return pairs | {(rule, "n/a") for rule in skipped}


def coverage(results: Iterable[list[Finding]]) -> Counter[Key]:
    """How often each (rule, outcome) was reached: pass, fail, n/a, unknown:<name>, no article."""
    reached: Counter[Key] = Counter()
    for findings in results:
        for rule, article, ok, observed in findings:
            reached[rule, observed or ("pass" if ok else "fail" if article else "no article")] += 1
    return reached
