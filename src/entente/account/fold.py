"""The fold: two registers become facts, the same on both nodes.

An entry of X is judged by X's earlier entries and by those of Y below its own `seen.size`, never by what the reader
happens to hold. What is not valid is listed and changes nothing; the fold goes on.
Source: design core-spec, Fold.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence

import msgspec

from entente.account import acts
from entente.account.state import (
    Act,
    AnswerFact,
    Invalid,
    KemFact,
    Pair,
    PersonFact,
    ReleaseFact,
    Side,
    StandingFact,
)
from entente.account.view import agreement_at
from entente.errors import EntenteError, FormatError, VerificationError
from entente.keys import Verifier, key_id, pae
from entente.register.entry import Entry, act_id, parse_entry, signed_message
from entente.strict import check_text, parse_time
from entente.treaty.agreement import Agreement, SignedAgreement
from entente.treaty.decision import Person
from entente.treaty.marking import Marking

Roots = Callable[[str, int], str | None]
OnRelease = Callable[[Side, int, Entry, acts.Release], None]
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class _InvalidError(Exception):
    """This entry is not valid; the text is its reason."""


def _need(good: object, reason: str) -> None:
    if not good:
        raise _InvalidError(reason)


def origin_name(agreement_id: str, sender: str, recipient: str, epoch: int) -> str:
    """The origin of the register in which `sender` writes to `recipient`."""
    return f"entente/{agreement_id}/{sender}-to-{recipient}/{epoch}"


def new_pair(law: Agreement) -> Pair:
    """Both registers empty."""
    first, second = law.parties
    return Pair(
        {
            party: Side(party, origin_name(law.id, party, law.other(party), 1), seen_root=EMPTY_ROOT)
            for party in (first, second)
        }
    )


class Fold:
    """Facts of two registers that grow entry by entry.

    `laws` holds every agreement by hash; `roots(party, size)` gives the hex root of a register at a size, or None if the
    register is shorter; `verify` checks one signature. `on_release` is called for each valid release before it joins the
    facts, so that the callee can compute its View.
    """

    def __init__(
        self,
        pair: Pair,
        laws: Mapping[str, SignedAgreement],
        roots: Roots,
        verify: Verifier,
        on_release: OnRelease | None = None,
    ) -> None:
        self.pair = pair
        self.laws = laws
        self.roots = roots
        self.verify = verify
        self.on_release = on_release

    def extend(self, entries: Mapping[str, Sequence[bytes]]) -> None:
        """Fold in the next entries of either register; the sizes after them are the cut.

        An entry waits until the partner's entries that it saw are folded; one that saw more than the cut holds is invalid.
        """
        queues = {party: list(items) for party, items in entries.items()}
        totals = {party: side.size + len(queues.get(party, ())) for party, side in self.pair.sides.items()}
        places = dict.fromkeys(queues, 0)
        while any(places[party] < len(queues[party]) for party in queues):
            moved = False
            for party, queue in queues.items():
                other = self.pair.other(party)
                while places[party] < len(queue):
                    data = queue[places[party]]
                    entry = _try_parse(data)
                    if isinstance(entry, Entry) and other.size < entry.seen.size <= totals[other.party]:
                        break  # it saw entries that are still waiting in the other queue
                    self._fold_one(party, entry, totals[other.party])
                    places[party] += 1
                    moved = True
            if not moved:  # two entries that claim to have seen each other: neither can be true
                party = next(party for party in queues if places[party] < len(queues[party]))
                self._fold_one(party, _try_parse(queues[party][places[party]]), 0)
                places[party] += 1

    def append(self, party: str, data: bytes) -> None:
        """Fold in the single next entry of one register, whose causes are already folded."""
        self._fold_one(party, _try_parse(data), self.pair.other(party).size)

    def _fold_one(self, party: str, entry: Entry | str, partner_total: int) -> None:
        side, other = self.pair.sides[party], self.pair.other(party)
        idx = side.size
        try:
            if isinstance(entry, str):
                raise _InvalidError(entry)
            self._judge(side, other, idx, entry, partner_total)
        except _InvalidError as fault:
            side.invalid.append(Invalid(idx, str(fault)))
        except EntenteError as fault:
            side.invalid.append(Invalid(idx, f"{fault.code}: {fault.detail}"[:200]))
        if isinstance(entry, Entry):
            side.last_at = entry.at
        side.size = idx + 1

    def _judge(self, side: Side, other: Side, idx: int, entry: Entry, partner_total: int) -> None:
        """Apply a valid entry; raise on an invalid one, having changed nothing but how much of the partner it truly saw."""
        seen = entry.seen
        _need(seen.epoch == other.epoch, "bad_seen")
        _need(side.seen <= seen.size <= partner_total, "bad_seen")
        if (seen.size, seen.root) != (side.seen, side.seen_root):
            _need(seen.size <= other.size and self.roots(other.party, seen.size) == seen.root, "bad_seen")
            side.seen, side.seen_root = seen.size, seen.root
        _need((idx == 0) == (entry.kind in ("genesis", "epoch")), "genesis stands first and only there")
        _need((idx == 1) <= (entry.kind == "adopt"), "adopt stands second")
        body = acts.parse_body(entry.kind, entry.body)
        law = self._law(side, other, entry, body)
        nonced = hasattr(body, "nonce")
        act = act_id(side.origin, entry) if nonced else ""
        _need(not nonced or act not in side.acts, "repeated act")
        _Apply(self, side, other, idx=idx, entry=entry, law=law, act=act).run(body)
        if nonced:
            side.acts[act] = idx
        if entry.kind in acts.RANK_2:
            side.rank2.append(idx)

    def _law(self, side: Side, other: Side, entry: Entry, body: acts.Body) -> Agreement:
        """The agreement that the entry acts under: the author's latest that both adopted, as far as the author knew."""
        found = self.laws.get(entry.agreement)
        if found is None:
            raise _InvalidError("unknown agreement")
        if isinstance(body, acts.Genesis | acts.Epoch):
            return found.law
        current = agreement_at(side, other, entry.seen.size, self.laws)
        allowed = {current.hash} if current is not None else {side.agreement}
        if isinstance(body, acts.Adopt):
            allowed |= {body.agreement, side.agreement}
        if current is None:
            allowed |= set(side.adopted)
        _need(entry.agreement in allowed, "acts under an agreement that is not the one in force")
        return found.law


def _try_parse(data: bytes) -> Entry | str:
    try:
        return parse_entry(data)
    except (FormatError, VerificationError) as fault:
        return f"format: {fault.detail}"[:200]


class _Apply:
    """One entry about to join the facts: its signatures checked by kind, then its effect."""

    def __init__(
        self, fold: Fold, side: Side, other: Side, *, idx: int, entry: Entry, law: Agreement, act: str
    ) -> None:
        self.fold, self.side, self.other = fold, side, other
        self.idx, self.entry, self.law, self.act = idx, entry, law, act

    def run(self, body: acts.Body) -> None:
        """Check and apply; `_InvalidError` before any change."""
        handler = getattr(self, f"_{self.entry.kind}")
        handler(body)

    # Signatures

    def _message(self) -> bytes:
        return signed_message(self.side.origin, self.entry)

    def _by_keys(self, keys: Mapping[str, str], needed: Sequence[Mapping[str, str]]) -> None:
        """Every signature verifies under a known key, and each group of `needed` signed."""
        message = self._message()
        for sig in self.entry.sigs:
            _need(sig.by in keys and self.fold.verify(keys[sig.by], message, sig.sig), "signature")
        signed = {sig.by for sig in self.entry.sigs}
        for group in needed:
            _need(signed & group.keys(), "signature missing")

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

    def _area_roles(self, area: str) -> Sequence[str]:
        terms = self.law.areas.get(area)
        _need(terms is not None, f"unknown area {area}")
        return (terms.roles or ()) if terms else ()

    # Effects, by kind

    def _genesis(self, body: acts.Genesis) -> None:
        _need(
            body.agreement == self.entry.agreement and body.origin == self.side.origin, "genesis names another register"
        )
        _need(self.law.party.get(self.side.party) is not None, "not a party")
        _need(body.origin == origin_name(self.law.id, self.side.party, self.law.other(self.side.party), 1), "origin")
        self._by_authority()
        self._start(body.keys, body.agreement)

    def _epoch(self, body: acts.Epoch) -> None:
        _need(body.new_origin == self.side.origin, "epoch names another register")
        mine, theirs = self._authority(self.side.party), self._authority(self.other.party)
        self._by_keys({**mine, **theirs}, [mine, theirs])
        self._start(body.keys, self.entry.agreement)

    def _start(self, keys: acts.NodeKeys, agreement: str) -> None:
        side = self.side
        side.agreement = agreement
        side.log_key, side.mirror_key = keys.log.key, keys.mirror.key
        side.kems[key_id(keys.kem.key)] = KemFact(keys.kem.key, keys.kem.until, self.idx)

    def _adopt(self, body: acts.Adopt) -> None:
        target = self.fold.laws.get(body.agreement)
        if target is None:
            raise _InvalidError("unknown agreement")
        old = self.fold.laws.get(body.supersedes) if isinstance(body.supersedes, str) else None
        _need((not self.side.adopted) == (old is None), "adopts without superseding what was adopted before")
        _need(
            old is None or (body.supersedes in self.side.adopted and target.law.version > old.law.version),
            "older version",
        )
        _need(target.law.parties == self.law.parties and target.law.id == self.law.id, "another agreement")
        base = old.law if old is not None else target.law
        first, second = self._authority(self.side.party, base), self._authority(self.side.party, target.law)
        self._by_keys({**first, **second}, [first, second])
        key = second.get(body.sig.by)
        message = pae("agreement", target.data, suffix="toml")
        _need(key is not None and self.fold.verify(key, message, body.sig.sig), "signature over the agreement")
        self.side.adopted[body.agreement] = self.idx

    def _key(self, body: acts.Key) -> None:
        if isinstance(body.revoked, acts.Revoked):
            _need(body.revoked.from_index >= self.idx, "revoked from an earlier index")
        if body.subject in acts.MACHINE_SUBJECTS:
            self._machine_key(body)
        else:
            self._person_key(body)

    def _person_key(self, body: acts.Key) -> None:
        side = self.side
        self._by_authority()
        _need(body.subject.startswith(f"{side.party}/"), "handle of another party")
        _need(body.ceiling in self.law.party[side.party].levels, "ceiling is not a level of the party")
        old = side.persons.get(body.subject)
        if isinstance(body.revoked, acts.Revoked):
            _need(old is not None and old.key_id == key_id(body.key), "revokes a key that is not live")
            old.revoked_from = min(old.revoked_from or body.revoked.from_index, body.revoked.from_index)  # type: ignore[union-attr]
            return
        if old is not None:
            _need(body.replaces == old.key_id, "replaces another key than the live one")
            _need(old.person.commitment == body.commitment, "the handle belongs to another person")
        else:
            _need(body.replaces is msgspec.UNSET, "replaces a key that is not there")
        person = Person(str(body.commitment), body.key, body.roles, body.areas, str(body.ceiling), body.until)
        side.persons[body.subject] = PersonFact(person, key_id(body.key))

    def _machine_key(self, body: acts.Key) -> None:
        side = self.side
        if body.subject == "kem":
            self._by_authority()
            found = side.kems.get(key_id(body.key))
            if isinstance(body.revoked, acts.Revoked):
                _need(found is not None, "revokes a key that is not there")
                found.revoked_from = min(found.revoked_from or body.revoked.from_index, body.revoked.from_index)  # type: ignore[union-attr]
            else:
                _need(found is None, "key stands already")
                side.kems[key_id(body.key)] = KemFact(body.key, body.until, self.idx)
            return
        if body.subject == "tls":
            self._by_authority()
            return
        name = f"{body.subject}_key"
        current = getattr(side, name)
        _need(
            isinstance(body.replaces, str) and body.replaces == key_id(current),
            "replaces another key than the live one",
        )
        self._by_authority(current)
        setattr(side, name, body.key)

    def _term(self, body: acts.Term) -> None:
        signers = self.law.acts.signers
        self._by_persons(getattr(signers, body.act))
        self.side.terms.append((self.idx, body.act, self.entry.at))

    def _assurance(self, body: acts.Assure) -> None:
        self._by_authority()
        _need(body.level in self.law.party[self.side.party].levels, "not a level of the party")
        self.side.assurances.append((self.idx, body))

    def _standing(self, body: acts.Standing) -> None:
        if isinstance(body.revokes, str):
            found = self.side.standings.get(body.revokes)
            _need(found is not None and found.revoked is None, "revokes what is not live")
            self._by_persons(self.law.acts.signers.revoke, self._area_roles(_covers(found).area))  # type: ignore[arg-type]
            found.revoked = self.idx  # type: ignore[union-attr]
            return
        covers = body.covers
        roles = self._area_roles(covers.area)  # type: ignore[union-attr]
        self._by_persons(self.law.areas[covers.area].approvals or 1, roles)  # type: ignore[union-attr]
        self.side.standings[self.act] = StandingFact(self.idx, body)

    def _release(self, body: acts.Release) -> None:
        side, core = self.side, body.core
        _need(not self.entry.sigs, "a release is signed by its approvals alone")
        if self.fold.on_release is not None:
            self.fold.on_release(side, self.idx, self.entry, body)
        rid = core.rid
        place = len(side.releases)
        side.releases.append(
            ReleaseFact(
                idx=self.idx,
                rid=rid,
                number=place + 1,
                at=self.entry.at,
                agreement=core.agreement,
                area=core.area,
                article=core.article,
                marking=core.marking,
                records=core.records.count,
                bytes_padded=core.bytes_padded,
                retain_days=core.retain_days,
                blob=body.sealed.blob,
                key_digest=body.sealed.key_digest,
            )
        )
        side.by_rid.setdefault(rid, place)
        side.by_idx[self.idx] = place
        heapq.heappush(side.open.setdefault(core.area, []), (self.entry.at, place))
        standing = side.standings.get(core.standing) if isinstance(core.standing, str) else None
        if standing is not None:
            date = self.entry.at[:10]
            count, size = standing.used.get(date, (0, 0))
            standing.used[date] = (count + 1, size + core.bytes_padded)

    def _order(self, body: acts.Order) -> None:
        found = self.side.release(body.rid)
        if found is None:
            raise _InvalidError("orders about a release that is not in this register")
        self._by_persons(self.law.acts.signers.order, self._area_roles(found.area))
        marking = body.marking if isinstance(body.marking, Marking) else None
        found.orders.append(Act(self.idx, body.act, marking))
        self.side.order_answers[self.idx] = []

    def _incident(self, body: acts.Incident) -> None:
        self._by_persons(self.law.acts.signers.incident)
        self.side.incidents.append((self.idx, body))
        self.side.order_answers[self.idx] = []

    def _answer(self, body: acts.Answer) -> None:
        other = self.other
        _need(not self.entry.sigs, "an answer is the log's alone")
        _need(body.re.origin == other.origin, "answers another register")
        limit = self.entry.seen.size
        covered = [i for first, last in body.re.spans for i in other.rank2_between(first, min(last, limit - 1))]
        if body.outcome == "destroyed":
            self._witnessed(body, covered)
        fact = AnswerFact(self.idx, self.entry.at, body.outcome)
        for idx in covered:
            place = other.by_idx.get(idx)
            (other.releases[place].answers if place is not None else other.order_answers[idx]).append(fact)

    def _witnessed(self, body: acts.Answer, covered: Sequence[int]) -> None:
        """From the party's `witnesses_from` level on, a destruction has witnesses; they sign the body without them."""
        party = self.law.party[self.side.party]
        ranks = self.law.ranks[self.side.party]
        if party.witnesses_from is None or not self.law.acts.signers.witnesses:
            return
        for idx in covered:
            place = self.other.by_idx.get(idx)
            if place is None:
                continue
            mark = self.other.releases[place].marking_at(self.entry.seen.size)
            row = self.law.rows[self.other.party].get(mark.level)
            level = mark.level if mark.originator == self.side.party else row.equivalent if row else mark.level
            if ranks.get(level, len(ranks)) >= ranks[party.witnesses_from]:
                bare = {**self.entry.body, "witnesses": []}
                message = acts.act_message("answer", self.side.origin, self.entry.agreement, bare)
                given = [(sig.by, sig.sig) for sig in body.witnesses]
                check_persons(self, message, given, self.law.acts.signers.witnesses, None)
                return

    def _undertaking(self, body: acts.Undertaking) -> None:
        self._by_persons(self.law.acts.signers.undertaking)
        for words in body.text.values():
            check_text(words, newlines=True)
        self.side.undertakings.append((self.idx, body))

    def _claim(self, body: acts.Claim) -> None:
        self._by_persons(1, (self.law.acts.roles.claim,))
        self.side.claims.append((self.idx, body))


def _covers(found: StandingFact) -> acts.StandingClass:
    covers = found.body.covers
    if not isinstance(covers, acts.StandingClass):
        raise _InvalidError("not a standing approval")
    return covers


def check_persons(
    apply: _Apply, message: bytes, given: Sequence[tuple[str, str]], count: int, roles: Sequence[str] | None
) -> None:
    """Raise unless every signature is by a certified, unrevoked, unexpired person of the author, `count` distinct ones."""
    side, at, idx = apply.side, apply.entry.at, apply.idx
    commitments = set()
    for by, sig in given:
        fact = side.persons.get(by)
        if fact is None or (fact.revoked_from is not None and fact.revoked_from <= idx):
            raise _InvalidError(f"{by} is not certified")
        _need(parse_time(at) < parse_time(fact.person.until), f"{by} is expired")
        _need(roles is None or set(roles) & set(fact.person.roles), f"{by} lacks the role")
        _need(apply.fold.verify(fact.person.key, message, sig), f"signature of {by}")
        commitments.add(fact.person.commitment)
    _need(len(commitments) >= count, f"{len(commitments)} of {count} persons signed")
