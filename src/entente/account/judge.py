"""Judging one entry: who must have signed it, by kind, and what it then changes.

Each handler checks everything before it changes anything; `NotValidError` means that nothing was changed.
Source: design core-spec, Entries (signed by).
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from entente.account import acts
from entente.account.cascade import Cascade, live_derivative
from entente.account.state import (
    Act,
    AnswerFact,
    ClaimFact,
    IncidentFact,
    KeyFact,
    Pair,
    PersonFact,
    ReleaseFact,
    Side,
    StandingFact,
    UndertakingFact,
)
from entente.account.undertaking import undertaking_fault
from entente.keys import Verifier, key_id, pae
from entente.register.entry import Entry, signed_message
from entente.strict import check_text, parse_time, time_text
from entente.treaty.agreement import Agreement, SignedAgreement
from entente.treaty.marking import Marking
from entente.treaty.request import Person

SEALING_DAYS = 90
OnRelease = Callable[[Side, int, Entry, acts.Release], None]


class NotValidError(Exception):
    """This entry is not valid; the text is its reason."""


def need(good: object, reason: str) -> None:
    """Raise NotValidError with this reason unless `good`."""
    if not good:
        raise NotValidError(reason)


def origin_name(agreement_id: str, sender: str, recipient: str, epoch: int) -> str:
    """The origin of the register in which `sender` writes to `recipient`."""
    return f"entente/{agreement_id}/{sender}-to-{recipient}/{epoch}"


class Rules(msgspec.Struct, frozen=True):
    """What judging needs besides the facts: every agreement by hash, a verifier, and who is told of releases."""

    laws: Mapping[str, SignedAgreement]
    verify: Verifier
    on_release: OnRelease | None


class Judge:
    """One entry about to join the facts: its signatures checked by kind, then its effect."""

    def __init__(
        self, rules: Rules, pair: Pair, side: Side, *, idx: int, entry: Entry, law: Agreement, act: str
    ) -> None:
        self.rules, self.pair, self.side, self.other = rules, pair, side, pair.other(side.party)
        self.idx, self.entry, self.law, self.act = idx, entry, law, act

    @property
    def cut(self) -> dict[str, int]:
        """The causal past of the entry: the author's entries before it, and those of the partner's it has seen."""
        return {self.side.party: self.idx, self.other.party: self.entry.seen.size}

    def run(self, body: acts.Body) -> None:
        """Check and apply; `NotValidError` before any change."""
        handler = getattr(self, f"_{self.entry.kind}")
        handler(body)

    # Signatures

    def _message(self) -> bytes:
        return signed_message(self.side.origin, self.entry)

    def _by_keys(self, keys: Mapping[str, str], needed: Sequence[Mapping[str, str]]) -> None:
        """Every signature verifies under a known key, and each group of `needed` signed."""
        message = self._message()
        for sig in self.entry.sigs:
            need(sig.by in keys and self.rules.verify(keys[sig.by], message, sig.sig), "signature")
        signed = {sig.by for sig in self.entry.sigs}
        for group in needed:
            need(signed & group.keys(), "signature missing")

    def _authority(self, party: str, law: Agreement | None = None) -> dict[str, str]:
        """Key id → key of a party's authority under a law."""
        return {key_id(key): key for key in (law or self.law).party[party].authority}

    def _by_authority(self, *extra: str) -> None:
        """Signed by the author's authority, and by each extra key."""
        groups: list[dict[str, str]] = [self._authority(self.side.party), *({str(key_id(key)): key} for key in extra)]
        self._by_keys({by: key for group in groups for by, key in group.items()}, groups)

    def _by_persons(self, count: int, roles: Sequence[str] | None = None) -> None:
        """Signed by `count` distinct certified persons of the author, each holding one of `roles` (None: any role)."""
        check_persons(self, self._message(), [(sig.by, sig.sig) for sig in self.entry.sigs], count, roles)

    def _area_roles(self, area: str) -> Sequence[str] | None:
        """The roles of which a signer must hold one; None, any role, where the area asks for none."""
        terms = self.law.areas.get(area)
        need(terms is not None, f"unknown area {area}")
        return terms.roles or None if terms else ()

    # Effects, by kind

    def _genesis(self, body: acts.Genesis) -> None:
        need(
            body.agreement == self.entry.agreement and body.origin == self.side.origin, "genesis names another register"
        )
        need(self.law.party.get(self.side.party) is not None, "not a party")
        need(body.origin == origin_name(self.law.id, self.side.party, self.law.other(self.side.party), 1), "origin")
        self._by_authority()
        self._start(body.keys, body.agreement)

    def _epoch(self, body: acts.Epoch) -> None:
        need(body.new_origin == self.side.origin, "epoch names another register")
        mine, theirs = self._authority(self.side.party), self._authority(self.other.party)
        self._by_keys({**mine, **theirs}, [mine, theirs])
        self._start(body.keys, self.entry.agreement)

    def _start(self, keys: acts.NodeKeys, agreement: str) -> None:
        side = self.side
        side.agreement = agreement
        side.log_key, side.mirror_key = keys.log.key, keys.mirror.key
        side.kems[key_id(keys.kem.key)] = KeyFact(keys.kem.key, self._sealing_end(keys.kem.until), self.idx)

    def _sealing_end(self, until: str) -> str:
        """A sealing key is certified for at most 90 days, whatever its entry says."""
        try:
            return min(until, time_text(parse_time(self.entry.at) + timedelta(days=SEALING_DAYS)))
        except OverflowError:  # an `at` at the end of the calendar is no reason to stop the fold
            return until

    def _adopt(self, body: acts.Adopt) -> None:
        target = self.rules.laws.get(body.agreement)
        if target is None:
            raise NotValidError("unknown agreement")
        old = self.rules.laws.get(body.supersedes) if isinstance(body.supersedes, str) else None
        need((not self.side.adopted) == (old is None), "adopts without superseding what was adopted before")
        latest = max((self.rules.laws[name].law.version for name in self.side.adopted), default=0)
        need(old is None or old.law.version == latest, "supersedes another version than the latest adopted")
        need(target.law.version > latest, "not a later version than the latest adopted")
        need(target.law.parties == self.law.parties and target.law.id == self.law.id, "another agreement")
        base = old.law if old is not None else target.law
        first, second = self._authority(self.side.party, base), self._authority(self.side.party, target.law)
        self._by_keys({**first, **second}, [first, second])
        key = second.get(body.sig.by)
        message = pae("agreement", target.data, suffix="toml")
        need(key is not None and self.rules.verify(key, message, body.sig.sig), "signature over the agreement")
        self.side.adopted[body.agreement] = self.idx

    def _key(self, body: acts.Key) -> None:
        if isinstance(body.revoked, acts.Revoked):
            need(body.revoked.from_index >= self.idx, "revoked from an earlier index")
        if body.subject in acts.MACHINE_SUBJECTS:
            self._machine_key(body)
        else:
            self._person_key(body)

    def _person_key(self, body: acts.Key) -> None:
        side = self.side
        self._by_authority()
        need(body.subject.startswith(f"{side.party}/"), "handle of another party")
        need(body.ceiling in self.law.party[side.party].levels, "ceiling is not a level of the party")
        old = side.persons.get(body.subject)
        if isinstance(body.revoked, acts.Revoked):
            if old is None or old.key_id != key_id(body.key):
                raise NotValidError("revokes a key that is not live")
            old.revoked_from = _earlier(old.revoked_from, body.revoked.from_index)
            return
        if old is not None:
            need(body.replaces == old.key_id, "replaces another key than the live one")
            need(old.person.commitment == body.commitment, "the handle belongs to another person")
        else:
            need(body.replaces is msgspec.UNSET, "replaces a key that is not there")
        person = Person(str(body.commitment), body.key, body.roles, body.areas, str(body.ceiling), body.until)
        side.persons[body.subject] = PersonFact(person, key_id(body.key))

    def _machine_key(self, body: acts.Key) -> None:
        side = self.side
        if body.subject == "kem":
            self._certified(body, side.kems, self._sealing_end(body.until))
            return
        if body.subject == "tls":
            last = next(reversed(side.tls.values()), None)
            live = last is not None and (last.revoked_from is None or self.idx < last.revoked_from)
            rotates = live and last is not None and last.key != body.key and not isinstance(body.revoked, acts.Revoked)
            self._certified(body, side.tls, body.until, *([last.key] if rotates and last is not None else []))
            return
        name = f"{body.subject}_key"
        current = getattr(side, name)
        need(
            isinstance(body.replaces, str) and body.replaces == key_id(current),
            "replaces another key than the live one",
        )
        self._by_authority(current)
        setattr(side, name, body.key)

    def _certified(self, body: acts.Key, facts: dict[str, KeyFact], until: str, *extra: str) -> None:
        """One of several machine keys that stand beside each other: certified (by each `extra` key too), or revoked."""
        self._by_authority(*extra)
        found = facts.get(key_id(body.key))
        if isinstance(body.revoked, acts.Revoked):
            if found is None:
                raise NotValidError("revokes a key that is not there")
            found.revoked_from = _earlier(found.revoked_from, body.revoked.from_index)
        else:
            need(found is None, "key stands already")
            facts[key_id(body.key)] = KeyFact(body.key, until, self.idx)

    def _term(self, body: acts.Term) -> None:
        signers = self.law.acts.signers
        self._by_persons(getattr(signers, body.act))
        self.side.terms.append((self.idx, body.act, self.entry.at))

    def _assurance(self, body: acts.Assure) -> None:
        self._by_authority()
        need(body.level in self.law.party[self.side.party].levels, "not a level of the party")
        self.side.assurances.append((self.idx, body))

    def _standing(self, body: acts.Standing) -> None:
        if isinstance(body.revokes, str):
            found = self.side.standings.get(body.revokes)
            if found is None or found.revoked is not None:
                raise NotValidError("revokes what is not live")
            self._by_persons(self.law.acts.signers.revoke, self._area_roles(_covers(found.body).area))
            found.revoked = self.idx
            return
        area = _covers(body).area
        roles = self._area_roles(area)
        self._by_persons(self.law.areas[area].approvals or 1, roles)
        self.side.standings[self.act] = StandingFact(self.idx, body)

    def _release(self, body: acts.Release) -> None:
        side, core = self.side, body.core
        need(not self.entry.sigs, "a release is signed by its approvals alone")
        if self.rules.on_release is not None:
            self.rules.on_release(side, self.idx, self.entry, body)
        rid = core.rid
        place = len(side.releases)
        side.releases.append(
            ReleaseFact(
                idx=self.idx,
                rid=rid,
                number=place + 1,
                at=self.entry.at,
                seen=self.entry.seen.size,
                agreement=core.agreement,
                acts_under=self.entry.agreement,
                area=core.area,
                article=core.article,
                format=core.format,
                custody=core.custody,
                marking=core.marking,
                records=core.records.count,
                bytes_padded=core.bytes_padded,
                retain_days=core.retain_days,
                copies=core.copies,
                units=core.units,
                ancestors=core.ancestors,
                blob=body.sealed.blob,
                key_digest=body.sealed.key_digest,
            )
        )
        if side.by_rid.setdefault(rid, place) == place:
            for ancestor in core.ancestors:
                side.derived.setdefault(ancestor, []).append(place)
        side.by_idx[self.idx] = place
        heapq.heappush(side.open.setdefault(f"{self.entry.agreement}/{core.area}", []), (self.entry.at, place))
        standing = side.standings.get(core.standing) if isinstance(core.standing, str) else None
        if standing is not None:
            date = self.entry.at[:10]
            count, size = standing.used.get(date, (0, 0))
            standing.used[date] = (count + 1, size + core.bytes_padded)

    def _order(self, body: acts.Order) -> None:
        found = self.side.release(body.rid)
        if found is None:
            raise NotValidError("orders about a release that is not in this register")
        self._by_persons(self.law.acts.signers.order, self._area_roles(found.area))
        marking = body.marking if isinstance(body.marking, Marking) else None
        if marking is not None:
            scale = self.law.ranks.get(marking.originator, self.law.ranks[self.side.party])
            need(marking.originator == found.marking.originator, "reclassifies to another originator")
            need(marking.level in scale, "reclassifies to a level that its scale has not")
        found.orders.append(Act(self.idx, self.entry.at, self.entry.seen.size, body.act, marking))
        self.side.order_answers[self.idx] = []

    def _incident(self, body: acts.Incident) -> None:
        self._by_persons(self.law.acts.signers.incident)
        self.side.incidents.append(IncidentFact(self.idx, self.entry.at, self.entry.seen.size, body))
        self.side.order_answers[self.idx] = []

    def _answer(self, body: acts.Answer) -> None:
        other = self.other
        need(not self.entry.sigs, "an answer is the log's alone")
        need(body.re.origin == other.origin, "answers another register")
        limit = self.entry.seen.size
        covered = [i for first, last in body.re.spans for i in other.rank2_between(first, min(last, limit - 1))]
        if body.outcome in ("destroyed", "returned"):
            ending = [other.releases[other.by_idx[idx]].rid for idx in covered if idx in other.by_idx]
            live = live_derivative(self.pair, self.cut, other, ending)
            need(live is None, f"{body.outcome} while its derivative at {live} is live")
        if body.outcome == "destroyed":
            self._witnessed(body, covered)
        copies = body.copies if isinstance(body.copies, int) else None
        fact = AnswerFact(self.idx, self.entry.at, body.outcome, copies)
        for idx in covered:
            place = other.by_idx.get(idx)
            (other.releases[place].answers if place is not None else other.order_answers[idx]).append(fact)

    def _witnessed(self, body: acts.Answer, covered: Sequence[int]) -> None:
        """From the party's `witnesses_from` level on, a destruction has witnesses; they sign the body without them."""
        party = self.law.party[self.side.party]
        ranks = self.law.ranks[self.side.party]
        if party.witnesses_from is None or not self.law.acts.signers.witnesses:
            return
        cascade = Cascade(self.pair, self.cut, self.rules.laws)
        for idx in covered:
            place = self.other.by_idx.get(idx)
            if place is None:
                continue
            now = cascade.of(self.other, self.other.releases[place])
            mark = now.marking
            row = self.law.rows[self.other.party].get(mark.level)
            level = mark.level if mark.originator == self.side.party else row.equivalent if row else mark.level
            if not now.known or ranks.get(level, len(ranks)) >= ranks[party.witnesses_from]:
                bare = {**self.entry.body, "witnesses": []}
                message = acts.act_message("answer", self.side.origin, self.entry.agreement, bare)
                given = [(sig.by, sig.sig) for sig in body.witnesses]
                check_persons(self, message, given, self.law.acts.signers.witnesses, None)
                return

    def _undertaking(self, body: acts.Undertaking) -> None:
        self._by_persons(self.law.acts.signers.undertaking)
        for words in body.text.values():
            check_text(words, newlines=True)
        fault = undertaking_fault(self.side, self.other, self.entry.seen.size, body)
        need(not fault, fault)
        self.side.undertakings[self.act] = UndertakingFact(self.idx, self.act, body)
        self.side.undertaken[body.key] = self.act

    def _claim(self, body: acts.Claim) -> None:
        self._by_persons(1, (self.law.acts.roles.claim,))
        self.side.claims[body.key] = ClaimFact(self.idx, self.act, body)


def _covers(body: acts.Standing) -> acts.StandingClass:
    if not isinstance(body.covers, acts.StandingClass):
        raise NotValidError("not a standing approval")
    return body.covers


def _earlier(known: int | None, given: int) -> int:
    """The first index at which a key counts no more, after one revocation more."""
    return given if known is None else min(known, given)


def check_persons(
    judge: Judge, message: bytes, given: Sequence[tuple[str, str]], count: int, roles: Sequence[str] | None
) -> None:
    """Raise unless every signature is by a certified, unexpired person of the author, `count` distinct ones."""
    side, at, idx = judge.side, judge.entry.at, judge.idx
    commitments = set()
    for by, sig in given:
        fact = side.persons.get(by)
        if fact is None or (fact.revoked_from is not None and fact.revoked_from <= idx):
            raise NotValidError(f"{by} is not certified")
        need(parse_time(at) < parse_time(fact.person.until), f"{by} is expired")
        need(roles is None or set(roles) & set(fact.person.roles), f"{by} lacks the role")
        need(judge.rules.verify(fact.person.key, message, sig), f"signature of {by}")
        commitments.add(fact.person.commitment)
    need(len(commitments) >= count, f"{len(commitments)} of {count} persons signed")
