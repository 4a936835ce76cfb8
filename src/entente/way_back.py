"""Step 8 of the demo and its ledger: a question and its reply, a sighting, and what each side gave and still owes."""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from entente.account.duties import Duty, duties
from entente.account.state import release_state
from entente.analyst import Analyst
from entente.cast import Person, Side, area_for, marking_map
from entente.errors import RefusedError
from entente.node.node import Node
from entente.node.propose import NothingCrossesError, Proposal, Wish
from entente.node.requests import asked, pace
from entente.node.standing import grant_body
from entente.stage import Stage
from entente.store.view_db import Thing
from entente.strict import time_text
from entente.telling import Telling
from entente.treaty.agreement import Agreement
from entente.treaty.cover import REPLY, REQUEST, ReplySheet, RequestSheet
from entente.treaty.marking import MarkingMap

SEEN = ("indicator", "attack-pattern", "malware", "tool", "campaign", "vulnerability", "infrastructure", "threat-actor")
PER_DAY, BYTES_PER_DAY = 50, 50_000_000
MOST_OWED = 4


class WayBack:
    """What comes back after a release has crossed; `tell` prints it."""

    def __init__(
        self, tell: Telling, stage: Stage, sender: Side, receiver: Side, analyst: Callable[[Side], Analyst] | None
    ) -> None:
        """Args: `analyst`: makes the TAXII client by which the sighting comes back; None: by the node's own verbs."""
        self.tell, self.stage, self.analyst = tell, stage, analyst
        self.sender, self.receiver = sender, receiver
        self.returned: list[dict[str, str]] = []

    def run(self, rid: str) -> None:
        """A request goes the way of the release, and the other way its reply and a sighting of what came."""
        law = self.sender.node.law.law
        talks = _talks(law)
        back = f"{self.receiver.code}>{self.sender.code}" in (law.areas[area_for(law)].directions or ())
        question = self._ask(talks) if talks else ""
        words = []
        seen, told = "", ""
        if back and self.analyst is not None:
            seen, told = self._sight_by_taxii(self.analyst(self.receiver), rid)
        with self.receiver.at_desk() as node:
            if back and self.analyst is None:
                seen, told = self._sight(node, rid)
            answered = self._reply(node, talks, question, seen) if question else ""
        if answered:
            hours = law.areas[talks].answer_hours
            words.append("a request and its reply" + (f" ({hours} h clock)" if hours is not None else ""))
        if told:
            words.append(told)
        self.stage.level()
        if not words:
            words.append("the agreement opens no way back for a reply or a sighting")
        self.tell.line(8, "return", f"{self.receiver.code}→{self.sender.code}", ", ".join(words))

    def _ask(self, area: str) -> str:
        """The request's id, once the receiver holds it; "" if it may not cross."""
        server = self.stage.servers[self.receiver.code]
        before = server.wait(lambda _: True, "start")
        with self.sender.at_desk() as node:
            law = node.law.law
            map_id = _plain_map(self.sender, node, area)
            sheet = RequestSheet({"en": "Have you seen any of this on your side?"}, area_for(law), "routine")
            made = node.ask(sheet, author=_handle(self.sender, self.sender.people[0]), map_id=map_id).proposal
            if not self._leaves(self.sender, node, made, "request"):
                return ""
        server.wait(lambda now: now.opened + now.refused > before.opened + before.refused, "open the request")
        return made.rid

    def _reply(self, node: Node, area: str, question: str, seen: str) -> str:
        """The reply's id; "" if it may not cross."""
        map_id = _plain_map(self.receiver, node, area)
        sheet = ReplySheet(question, "answered", (seen,) if seen else ())
        author = _handle(self.receiver, self.receiver.people[0])
        made = node.reply(sheet, author=author, map_id=map_id).proposal
        return made.rid if self._leaves(self.receiver, node, made, "reply") else ""

    def _sight_by_taxii(self, analyst: Analyst, rid: str) -> tuple[str, str]:
        """As `_sight`, but the sighting is added to the collection towards the partner, and leaves by itself."""
        side, before = self.receiver, 0
        with side.at_desk() as node:
            thing, area = _seen(node, rid), area_for(node.law.law)
            if thing is None:
                return "", ""
            _plain_map(side, node, area)
            standing = self._grant(node, area) if node.law.law.areas[area].standing else ""
            before = len(node.side.releases)
        done = analyst.add(f"to-{self.sender.code}", _sighting(thing.id))
        analyst.close()
        for bad in done.failures:
            self.tell.refused("sighting", "", bad["message"])
        if not done.success_count:
            return "", ""
        if standing:
            server = self.stage.servers[side.code]
            server.wait(lambda now: now.released > before, "dispatch what was added by TAXII")
        with side.at_desk() as node:
            if not standing:
                made = node.db.drafts()[-1]
                for person, role in approvers(side, node.law.law, area):
                    node.approve(made.rid, _handle(side, person), role, side.signer(person))
                node.dispatch([made.rid])
            seen = node.side.releases[-1].rid
            self.returned.append({"by": side.code, "kind": "sighting", "rid": seen})
            return seen, "1 sighting by TAXII" + (_left(node, standing) if standing else "")

    def _sight(self, node: Node, rid: str) -> tuple[str, str]:
        """The id of a release that says where an object of `rid` was seen, and how it left; both "" if it did not."""
        thing = _seen(node, rid)
        if thing is None:
            return "", ""
        side, law = self.receiver, node.law.law
        area = area_for(law)
        map_id = _plain_map(side, node, area)
        source = node.import_file(area, _sighting(thing.id), place="sighting.json", map_id=map_id).source
        standing = self._grant(node, area) if law.areas[area].standing else ""
        wish = Wish(_handle(side, side.people[0]), parents=(rid,), standing=standing)
        try:
            made = node.propose(source, wish)
        except NothingCrossesError as fault:
            self.tell.refused("sighting", fault.place.removeprefix("Art. "), fault.detail)
            return "", ""
        if not self._leaves(side, node, made, "sighting"):
            return "", ""
        return made.rid, "1 sighting" + (_left(node, standing) if standing else "")

    def _grant(self, node: Node, area: str) -> str:
        """The act id of a standing approval for sightings, signed and entered."""
        terms, side = node.law.law.areas[area], self.receiver
        body = {
            "class": {
                "area": area,
                "ceiling": (terms.ceiling or {})[side.code],
                "format": (terms.formats or ("",))[0],
                "purpose": (terms.purposes or ("",))[0],
                "view": (terms.views or ("",))[0],
            },
            "per_day": {"bytes": BYTES_PER_DAY, "count": PER_DAY},
            "until": time_text(node.clock() + timedelta(days=30)),
        }
        act = node.prepare("standing", grant_body(node, body))
        for person, _ in approvers(side, node.law.law, area):
            act = node.sign(act.id, _handle(side, person), side.signer(person))
        node.enter(act.id)
        return act.id

    def _leaves(self, side: Side, node: Node, made: Proposal, kind: str) -> bool:
        """Whether the draft was approved, if persons must, and dispatched; else it is told what refuses it."""
        try:
            if made.state == "checked":
                for person, role in approvers(side, node.law.law, made.core.area):
                    node.approve(made.rid, _handle(side, person), role, side.signer(person))
            node.dispatch([made.rid])
        except RefusedError as fault:
            self.tell.refused(kind, fault.place.removeprefix("Art. "), fault.detail)
            return False
        self.returned.append({"by": side.code, "kind": kind, "rid": made.rid})
        return True


def approvers(side: Side, law: Agreement, area: str) -> list[tuple[Person, str]]:
    """Who approves for an area, each in which role: as many persons as its article asks, never the author."""
    terms = law.areas[area]
    roles = terms.roles or ()
    found = side.people[1 : 1 + max(terms.approvals or 1, len(roles))]
    return [(person, next((role for role in person.roles if role in roles), person.roles[0])) for person in found]


def ledger(tell: Telling, sender: Side, receiver: Side) -> list[Duty]:
    """What each gave and what is still owed, in two columns; returns every open duty."""
    with sender.at_desk() as node:
        pair, open_duties = node.pair, duties(node.pair, node.laws, node.now())
        rows = asked(node)
        records = {fact.rid: fact.records for side in pair.sides.values() for fact in side.releases}
    gave = {}
    for side in pair.sides.values():
        size = pair.other(side.party).size
        things = [fact for fact in side.releases if fact.format not in (REQUEST, REPLY)]
        got = [fact for fact in things if release_state(fact, side.size, size) == "received"]
        text = f"{sum(fact.records for fact in got):,} of {sum(fact.records for fact in things):,}"
        replies = [reply for row in rows if row.to == side.party for reply in row.replies if reply.counts]
        if replies:
            count = len({row.rid for row in rows if row.to == side.party})
            text += f", and {len(replies)} {_many('reply', len(replies))} to {count} {_many('request', count)}"
        gave[side.party] = text
    tell.say(f"{'':26s}{sender.code + ' gave':19s}{receiver.code} gave")
    tell.say(f"   {'objects received':22s} {gave[sender.code]:18s} {gave[receiver.code]}")
    measure = pace(rows)
    if measure.hours_median is not None:
        tell.say(f"   {'asked to answered':22s} {measure.hours_median:g} h, by both registers")
    _tell_owed(tell, [duty for duty in open_duties if duty.kind == "return_or_destroy"], records)
    return list(open_duties)


def _tell_owed(tell: Telling, owed: Sequence[Duty], records: dict[str, int]) -> None:
    groups: dict[tuple[str, str, str], int] = {}
    for duty in owed:
        key = (duty.owed_by, (duty.due or "")[:10], duty.article)
        groups[key] = groups.get(key, 0) + records.get(duty.rid or "", 0)
    for number, ((party, due, article), count) in enumerate(sorted(groups.items())[:MOST_OWED]):
        day = f"{date.fromisoformat(due):%d %b %Y}".lstrip("0") if due else "a day that no article states"
        head = "still owed" if not number else ""
        tell.say(
            f"   {head:22s} {party}: return or destroy {count:,} {_many('object', count)} by {day}, Art. {article}"
        )


def _many(word: str, count: int) -> str:
    return word if count == 1 else f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _handle(side: Side, person: Person) -> str:
    return f"{side.code}/{person.user}"


def _talks(law: Agreement) -> str:
    """The area in which a request and its reply may pass: it takes both, and both directions are open; "" if none."""
    for name, terms in law.areas.items():
        if {REQUEST, REPLY} <= set(terms.formats or ()) and len(terms.directions or ()) == len(law.parties):
            return name
    return ""


def _plain_map(side: Side, node: Node, area: str) -> str:
    """The id of a marking map by which everything of an area is at the party's lowest level."""
    drawn = marking_map(side, default=True)
    purpose = (node.law.law.areas[area].purposes or ("",))[0]
    plain = msgspec.structs.replace(drawn.default, purpose=purpose)  # type: ignore[type-var]
    roles = node.law.law.acts
    mappers = [person for person in side.people if roles.roles.map in person.roles][-roles.signers.map :]
    found = MarkingMap(drawn.agreement, area, (), plain)
    return node.sign_map(found, [(_handle(side, person), side.signer(person)) for person in mappers])


def _seen(node: Node, rid: str) -> Thing | None:
    """An object of a release that could be seen somewhere."""
    by_type = {thing.type: thing for thing in reversed(node.view.things(rid))}
    return next((by_type[kind] for kind in SEEN if kind in by_type), None)


def _left(node: Node, standing: str) -> str:
    """Under which standing approval, and how much of it is left today."""
    use, number = node.side.standings[standing], list(node.side.standings).index(standing) + 1
    left = PER_DAY - sum(count for count, _ in use.used.values())
    return f" under standing approval S-{number} ({left} left today)"


def _sighting(of: str) -> bytes:
    """A STIX bundle that says that something was seen once, a moment ago."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    thing = {
        "type": "sighting", "spec_version": "2.1", "id": f"sighting--{uuid.uuid4()}", "created": now, "modified": now,
        "sighting_of_ref": of, "count": 1, "first_seen": now, "last_seen": now,
    }  # fmt: skip
    return json.dumps({"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": [thing]}).encode()
