"""The agreement: TOML that an official can read, parsed strictly, and prepared for decide().

Its hash is D over its exact bytes; both authorities sign those bytes (see `account.acts.Adopt`).
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from entente.errors import AgreementError, EntenteError
from entente.keys import digest, split_key
from entente.strict import check_text, parse_time
from entente.treaty.marking import Count

DECIDE_RULES = (
    "in_force", "status", "parties", "area", "format", "level", "equivalence", "channel", "ceiling", "releasable",
    "caveats", "purpose", "originator", "join", "ancestors", "assurance", "units", "custody", "retention", "copies",
    "answers", "kem", "approval_valid", "approval_count", "standing", "once",
)  # fmt: skip
STATED = (
    "directions", "ceiling", "views", "purposes", "custody", "approvals", "retain_days", "copies", "answer_hours",
    "block_after_hours", "max_bytes",
)  # fmt: skip
RECORD_RULES = ("mapped", "withhold", "reference")
GATE_RULES = ("author", "need", "consent", "ip", "accreditation")

Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2,8}\Z")]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=64)]
Positive = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the agreement: an unknown key is an error, never ignored."""


class Party(Strict, frozen=True):
    """One side: its names per language, authority keys, time zone and levels from low to high."""

    names: dict[str, str]
    time_zone: str
    authority: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    witnesses_from: str | None = None


class Rules(Strict, frozen=True):
    """The article of each rule."""

    decide: dict[str, str]
    record: dict[str, str]
    gate: dict[str, str]


class Signers(Strict, frozen=True):
    """How many persons must sign each act."""

    order: Positive
    resume: Positive
    notice_of_end: Positive
    suspend: Positive
    incident: Positive
    undertaking: Positive
    revoke: Positive
    map: Positive
    witnesses: Count


class ActRoles(Strict, frozen=True):
    """Which role signs a claim and which a marking map."""

    claim: str
    map: str


class Acts(Strict, frozen=True):
    """Who signs acts, and up to which level undertakings stand in clear."""

    signers: Signers
    roles: ActRoles
    clear_level: dict[Code, str]


class Equivalence(Strict, frozen=True):
    """The rows of the equivalence table, as written."""

    rows: tuple[dict[str, str | bool | list[str]], ...]


class Withhold(Strict, frozen=True):
    """A record type that the article keeps back."""

    type: str
    article: str


class Terms(Strict, frozen=True):
    """What an area lays down; every key may stand in `[terms]` and be overridden by the area."""

    articles: tuple[str, ...] | None = None
    formats: tuple[str, ...] | None = None
    directions: tuple[str, ...] | None = None
    ceiling: dict[Code, str] | None = None
    views: tuple[str, ...] | None = None
    max_bytes: Count | None = None
    purposes: tuple[str, ...] | None = None
    caveats: tuple[str, ...] | None = None
    approvals: Count | None = None
    roles: tuple[str, ...] | None = None
    standing: bool | None = None
    custody: dict[str, Literal["delivered", "held", "joint"]] | None = None
    answer_hours: Annotated[int, msgspec.Meta(ge=0, le=876_000)] | None = None
    block_after_hours: Count | Literal["never"] | None = None
    retain_days: Count | None = None
    copies: Count | None = None
    third_party: bool | None = None
    withhold: tuple[Withhold, ...] | None = None


class Row(msgspec.Struct, frozen=True):
    """One direction of an equivalence row: `level` of `origin` is `equivalent` at the other party."""

    level: str
    equivalent: str
    article: str
    channels: frozenset[str]


class Agreement(Strict, frozen=True, dict=True):
    """A whole agreement. Make one with `parse_agreement`, which sets `hash` and checks it."""

    id: Slug
    version: Positive
    start: str
    end: str
    renew_years: Annotated[int, msgspec.Meta(ge=0, le=100)]
    notice_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)]
    protection_after_end: Literal["for ever", "none"] | Positive
    suites: tuple[str, ...]
    rules: Rules
    acts: Acts
    party: dict[Code, Party]
    equivalence: Equivalence
    terms: Terms
    area: dict[Slug, Terms]
    exercise: bool = False
    key_before_ack: bool = False
    caveats: tuple[str, ...] = ()
    thirds: tuple[str, ...] = ()
    statements: dict[str, tuple[str, str]] = {}

    @cached_property
    def parties(self) -> tuple[str, str]:
        """The two codes in the order in which the file names them."""
        first, second = self.party
        return first, second

    def other(self, code: str) -> str:
        """The other party's code; AgreementError if `code` is not a party."""
        first, second = self.parties
        if code not in self.party:
            raise AgreementError(f"{code} is not a party of {self.id}", remedy=f"Its parties are {first} and {second}.")
        return second if code == first else first

    @cached_property
    def ranks(self) -> dict[str, dict[str, int]]:
        """For each party, level → rank, 0 lowest."""
        return {code: {level: rank for rank, level in enumerate(found.levels)} for code, found in self.party.items()}

    @cached_property
    def rows(self) -> dict[str, dict[str, Row]]:
        """For each party, its level → the row by which that level crosses to the other party."""
        found: dict[str, dict[str, Row]] = {code: {} for code in self.party}
        for raw in self.equivalence.rows:
            left, right = (code for code in raw if code in self.party)
            channels = frozenset(raw["channels"])  # type: ignore[arg-type]
            pairs = [(left, right)] if raw.get("one_way") is True else [(left, right), (right, left)]
            for origin, target in pairs:
                row = Row(str(raw[origin]), str(raw[target]), str(raw["article"]), channels)
                found[origin].setdefault(row.level, row)
        return found

    @cached_property
    def areas(self) -> dict[str, Terms]:
        """Each area with `[terms]` filled in where it says nothing."""
        base = {name: value for name, value in msgspec.structs.asdict(self.terms).items() if value is not None}
        merged = {}
        for name, own in self.area.items():
            mine = {key: value for key, value in msgspec.structs.asdict(own).items() if value is not None}
            merged[name] = Terms(**{**base, **mine})
        return merged

    def equivalents(self, code: str) -> Mapping[str, Row]:
        """The rows by which `code`'s levels cross."""
        return self.rows[code]

    def end_after(self, end: str) -> str:
        """The end that follows `end` when nobody gave notice; `end` itself if the agreement does not renew."""
        moment = parse_time(end)
        year = min(moment.year + self.renew_years, MAXYEAR)
        try:
            moved = moment.replace(year=year)
        except ValueError:  # 29 February
            moved = moment.replace(year=year, day=28)
        return moved.strftime("%Y-%m-%dT%H:%MZ")

    def notice_limit(self, end: str) -> str:
        """The latest `at` at which a notice still ends the agreement at `end`."""
        return (parse_time(end) - timedelta(days=self.notice_days)).strftime("%Y-%m-%dT%H:%MZ")


class SignedAgreement(msgspec.Struct, frozen=True):
    """An agreement with the exact bytes it was parsed from and their hash D."""

    law: Agreement
    data: bytes
    hash: str


def parse_agreement(data: bytes, *, place: str = "agreement") -> SignedAgreement:
    """The agreement in exact TOML bytes, complete and without contradiction; AgreementError names the key otherwise."""
    try:
        text = data.decode()
        raw = tomllib.loads(text)
        law = msgspec.convert(raw, Agreement, strict=True)
        _check(law)
    except UnicodeDecodeError as fault:
        raise AgreementError(f"not UTF-8 at byte {fault.start}", place=place) from None
    except tomllib.TOMLDecodeError as fault:
        raise AgreementError(f"not TOML: {fault}", place=place) from None
    except (msgspec.ValidationError, RecursionError) as fault:
        raise AgreementError(str(fault), place=place, remedy="See docs/reference/agreement.md.") from None
    except EntenteError as fault:
        raise AgreementError(fault.detail, place=place, remedy=fault.remedy) from None
    return SignedAgreement(law, data, digest("agreement", data, suffix="toml"))


def _need(good: object, detail: str, remedy: str = "") -> None:
    if not good:
        raise AgreementError(detail, remedy=remedy)


def _check(law: Agreement) -> None:
    """Everything that would make two readers differ or leave decide() without a meaning."""
    _need(len(law.party) == 2, f"an agreement has two parties, this one has {len(law.party)}")
    for text in (law.start, law.end):
        parse_time(text)
    _need(law.start >= "1970", f"start {law.start} lies before 1970")
    _need(law.start < law.end, f"start {law.start} is not before end {law.end}")
    _need(law.suites, "no suite is allowed, so nothing could be sealed")
    for code, found in law.party.items():
        _need(
            found.levels and len(set(found.levels)) == len(found.levels),
            f"party {code}: levels must be named once each",
        )
        _need(found.witnesses_from in (None, *found.levels), f"party {code}: witnesses_from is not one of its levels")
        for name in (*found.levels, *found.names.values()):
            check_text(name)
        for key in found.authority:
            _need(key.startswith("ed25519:"), f"party {code}: authority {key[:24]} is not an ed25519 key")
            if "@" not in key:
                split_key(key)
    one, two = ({key for key in party.authority if "@" not in key} for party in law.party.values())
    _need(not one & two, "both parties name the same authority key", "Each side signs with a key of its own.")
    _need(set(law.acts.clear_level) <= set(law.party), "acts.clear_level names someone who is not a party")
    for code, level in law.acts.clear_level.items():
        _need(level in law.party[code].levels, f"acts.clear_level: {level!r} is not a level of {code}")
    for name, known in (("decide", DECIDE_RULES), ("record", RECORD_RULES), ("gate", GATE_RULES)):
        for rule in getattr(law.rules, name):
            _need(rule in known, f"rules.{name} names {rule!r}, which is no rule", f"Rules: {', '.join(known)}.")
    _check_rows(law)
    for name, terms in {"terms": law.terms, **law.area}.items():
        _check_terms(law, name, terms)
    for name, area in law.area.items():
        _need(area.articles, f"area {name}: no articles")
        _need(area.formats, f"area {name}: no formats")


def _check_rows(law: Agreement) -> None:
    seen: set[tuple[str, str]] = set()
    for number, raw in enumerate(law.equivalence.rows, 1):
        place = f"equivalence row {number}"
        codes = [code for code in raw if code in law.party]
        extra = set(raw) - set(law.party) - {"article", "channels", "one_way"}
        _need(not extra, f"{place}: unknown key {', '.join(sorted(extra))}")
        _need(len(codes) == 2, f"{place}: needs a level of both parties")
        _need(isinstance(raw.get("article"), str), f"{place}: no article")
        channels = raw.get("channels")
        _need(isinstance(channels, list) and all(isinstance(c, str) for c in channels), f"{place}: no channels")
        _need(isinstance(raw.get("one_way", False), bool), f"{place}: one_way is true or absent")
        for code in codes:
            _need(raw[code] in law.party[code].levels, f"{place}: {raw[code]!r} is not a level of {code}")
        directions = codes[:1] if raw.get("one_way") is True else codes
        for code in directions:
            _need((code, raw[code]) not in seen, f"{place}: {code} {raw[code]} crosses by two rows")
            seen.add((code, str(raw[code])))
    for code in law.party:
        ranks = [
            (law.ranks[code][row.level], law.ranks[law.other(code)][row.equivalent]) for row in law.rows[code].values()
        ]
        ranks.sort()
        _need(
            all(a[1] <= b[1] for a, b in pairwise(ranks)),
            f"equivalence: a higher level of {code} maps to a lower one of {law.other(code)}",
        )


def _check_terms(law: Agreement, name: str, terms: Terms) -> None:
    first, second = law.parties
    for direction in terms.directions or ():
        _need(
            direction in (f"{first}>{second}", f"{second}>{first}"),
            f"{name}: direction {direction!r}",
            f"Write {first}>{second} or {second}>{first}.",
        )
    for field in ("approvals", "answer_hours", "retain_days", "copies", "max_bytes"):
        _need(
            getattr(terms, field) != 0,
            f"{name}: {field} is 0",
            "Nothing crosses without a person, a limit and a clock.",
        )
    for code, level in (terms.ceiling or {}).items():
        _need(
            code in law.party and level in law.party[code].levels,
            f"{name}: ceiling {code} = {level!r} is not a level of a party",
        )
    for caveat in terms.caveats or ():
        _need(caveat in law.caveats, f"{name}: caveat {caveat!r} is not among the agreement's caveats")
    words = {"default"} | {level for party in law.party.values() for level in party.levels}
    for key in terms.custody or {}:
        _need(key in words, f"{name}: custody {key!r} is neither default nor a level")


def holes(law: Agreement) -> Iterator[tuple[str, str]]:
    """What the agreement leaves open, each as (words, article): no fault, but people should know."""
    for code in law.parties:
        for level in law.party[code].levels:
            if level not in law.rows[code]:
                other = law.other(code)
                yield f"{level} ({code}) has no row to {other}, cannot cross", law.rules.decide.get("equivalence", "")
    for rule in DECIDE_RULES:
        if not law.rules.decide.get(rule):
            yield f"rule {rule} has no article, so it refuses everything", ""
    for name, area in law.areas.items():
        if area.approvals == 1:
            yield f"area {name}: one person's approval is enough", law.rules.decide.get("approval_count", "")
        for field in STATED:
            if getattr(area, field) is None:
                yield f"area {name}: {field} is not stated, so it refuses everything", ""
    for code in law.parties:
        if any("@" in key for key in law.party[code].authority) or not law.party[code].authority:
            yield f"{code} has no authority key yet, so nobody can sign for it", ""
