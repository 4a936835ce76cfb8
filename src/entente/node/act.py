"""Acts of persons: prepared once, signed by each at their own time, then entered. One way for every kind of act.

How many must sign, and in which roles, stands in `account/judge.py` alone: it is asked here, on a copy of the facts,
about the very body that would be entered.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from entente.account.acts import act_message, parse_body
from entente.account.judge import Judge, NotValidError, Rules
from entente.account.state import Pair
from entente.errors import RefusedError, StateError, UsageError
from entente.keys import Signer, digest, verify
from entente.node.ledger import Draft, Ledger
from entente.node.setup import nonce
from entente.register.entry import Entry, Sig, act_body, encode
from entente.store.act_rows import DROPPED, ENTERED, PREPARED, ActRow
from entente.strict import canonical, parse, read_own
from entente.treaty.request import Person

ACT_KINDS = ("claim", "incident", "order", "standing", "term", "undertaking")
Roles = tuple[str, ...] | None


class Needed(msgspec.Struct, frozen=True):
    """How many persons must sign an act, and one of which roles each must hold (None: any)."""

    count: int
    roles: Roles


class Act(msgspec.Struct, frozen=True):
    """An act, what it says, who signed it so far and whether that is enough; `fault` is why it cannot be entered."""

    id: str
    kind: str
    state: str
    agreement: str
    body: dict[str, Any]
    at: str
    by: str
    signed: tuple[str, ...]
    needed: int
    roles: Roles
    enough: bool
    fault: str
    home: dict[str, Any]


class Entered(msgspec.Struct, frozen=True):
    """An act as it stands in our register."""

    id: str
    kind: str
    idx: int


class _Told(Exception):  # noqa: N818 - no fault: it carries the answer out of the judge
    """How many persons must sign."""

    def __init__(self, wanted: Needed) -> None:
        super().__init__()
        self.wanted = wanted


class _Asked(Judge):
    """A judge that tells how many persons must sign, before it changes anything."""

    def _by_persons(self, count: int, roles: Sequence[str] | None = None) -> None:
        raise _Told(Needed(count, None if roles is None else tuple(roles)))


class _Unsigned(Judge):
    """A judge that takes an act for signed."""

    def _by_persons(self, count: int, roles: Sequence[str] | None = None) -> None:
        del count, roles


# What the fold would say


def needed(node: Ledger, kind: str, body: Mapping[str, Any]) -> Needed:
    """Who must sign this act for it to be valid as our next entry.

    Raises: FormatError if it is no such act; StateError if it can be seen already that it would not be valid.
    """
    _check_kind(kind)
    try:
        _judge(node, _Asked, node.pair, kind, body)
    except _Told as told:
        return told.wanted
    raise UsageError(f"nobody signs this {kind}")


def check_signable(node: Ledger, kind: str, body: Mapping[str, Any]) -> None:
    """Raise StateError unless this act, once enough have signed it, would be a valid next entry of ours."""
    _check_kind(kind)
    _judge(node, _Unsigned, _copied(node.pair), kind, body)


def check_valid(node: Ledger, kind: str, body: Mapping[str, Any], sigs: Sequence[Sig] = ()) -> None:
    """Raise StateError unless this would be a valid next entry of ours, exactly as it stands."""
    _judge(node, Judge, _copied(node.pair), kind, body, sigs=sigs)


def _check_kind(kind: str) -> None:
    if kind not in ACT_KINDS:
        raise UsageError(f"{kind} is no act of persons", remedy=f"Such are {', '.join(ACT_KINDS)}.")


def _copied(pair: Pair) -> Pair:
    """The same facts, for a judge to change."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(pair), type=Pair, strict=False)


def _judge(
    node: Ledger, judging: type[Judge], pair: Pair, kind: str, body: Mapping[str, Any], *, sigs: Sequence[Sig] = ()
) -> None:
    """The judge has judged it as our next entry on these facts; StateError with its reason if it is not valid."""
    law, side = node.law, pair.sides[node.party]
    entry = Entry(1, kind, node.now(), node.seen(), law.hash, dict(body), sorted(sigs, key=lambda sig: sig.by))
    encode(entry)
    rules, act = Rules(node.laws, verify, None), _act_id(node, kind, body)
    try:
        judging(rules, pair, side, idx=side.size, entry=entry, law=law.law, act=act).run(parse_body(kind, entry.body))
    except NotValidError as fault:
        raise StateError(f"would not be a valid {kind} entry: {fault}") from None


def _act_id(node: Ledger, kind: str, body: Mapping[str, Any]) -> str:
    return digest(kind, act_body(node.side.origin, node.law.hash, dict(body)))


# Who may sign


def certified(node: Ledger, handle: str, public: str, roles: Roles) -> Person:
    """The person behind a handle, who may sign an act of this party now with this key.

    Raises: RefusedError if they are not certified, or no longer, or hold none of the roles, or the key is not theirs.
    """
    place = f"Art. {node.law.law.rules.decide.get('approval_valid', '')}"
    fact = node.side.persons.get(handle)
    if fact is None or (fact.revoked_from is not None and fact.revoked_from <= node.side.size):
        raise RefusedError(
            f"{handle} is not certified here", place=place, remedy="The authority certifies persons: `entente person`."
        )
    person = fact.person
    if node.now() >= person.until:
        raise RefusedError(
            f"the certificate of {handle} has expired", place=place, remedy="The authority certifies them anew."
        )
    if roles is not None and not set(roles) & set(person.roles):
        raise RefusedError(
            f"{handle} may not sign this", place=place, remedy=f"It takes one of the roles {', '.join(roles)}."
        )
    if person.key != public:
        raise RefusedError(f"the key given is not the one certified for {handle}", place=place)
    return person


def check_apart(person: Person, handle: str, others: Sequence[tuple[str, Person]]) -> None:
    """Raise RefusedError if one of these who signed is the same natural person, or has the same key."""
    for name, other in others:
        if name != handle and (other.commitment == person.commitment or other.key == person.key):
            raise RefusedError(
                f"{handle} is the person, or has the key, of {name}, who signed already", remedy="Ask another person."
            )


# The way of an act


def act_of(node: Ledger, name: str) -> ActRow:
    """The act with this id or unique beginning of one; UsageError otherwise."""
    found = node.db.acts_named(name) if name else []
    if len(found) != 1:
        raise UsageError(
            f"no act {name}" if not found else f"{name} names several acts", remedy="See `entente act list`."
        )
    return found[0]


def prepare(
    node: Ledger, kind: str, body: Mapping[str, Any], *, by: str = "", home: Mapping[str, Any] | None = None
) -> Act:
    """The act rests here with a nonce of its own, to be signed; nothing of it can be changed any more.

    `by` is who prepared it; `home` what this node is to know of it, and nobody else.
    Raises: FormatError, StateError as `needed`; nothing is kept then.
    """
    _check_kind(kind)
    whole = _read(kind, canonical({**body, "nonce": nonce()}))
    check_signable(node, kind, whole)
    name, kept = _act_id(node, kind, whole), canonical(home or {})
    row = ActRow(name, kind, node.law.hash, canonical(whole), PREPARED, node.now(), by, kept)
    with node.db.transaction():
        node.db.put_act(row)
        _note(node, row.id, PREPARED, by)
    return show(node, row)


def show(node: Ledger, row: ActRow) -> Act:
    """The act with who signed it, as things stand now."""
    state = ENTERED if row.id in node.side.acts else row.state
    body, home = _read(row.kind, row.body), read_own(row.home, dict[str, Any])
    signed = tuple(by for by, _ in node.db.act_sigs(row.id))
    wanted, enough, fault = Needed(len(signed), None), True, ""
    if state == PREPARED:
        try:
            _check_law(node, row)
            wanted = needed(node, row.kind, body)
            found = _counting(node, row, wanted)
            signed, enough = tuple(by for by, _, _ in found), len(found) >= wanted.count
        except (StateError, RefusedError) as told:
            enough, fault = False, told.detail
    return Act(
        row.id, row.kind, state, row.agreement, body, row.at, row.by, signed, wanted.count, wanted.roles, enough, fault,
        home,
    )  # fmt: skip


def sign(node: Ledger, name: str, handle: str, signer: Signer) -> Act:
    """The person's signature of the act stands here; nothing has crossed.

    Raises: RefusedError if the person may not sign it, or has signed it under another handle; StateError if it is not
    open, or could not be entered any more.
    """
    row = _open_act(node, name)
    wanted = needed(node, row.kind, _read(row.kind, row.body))
    person = certified(node, handle, signer.public, wanted.roles)
    check_apart(person, handle, [(by, found) for by, found, _ in _counting(node, row, wanted)])
    message = act_message(row.kind, node.side.origin, row.agreement, _read(row.kind, row.body))
    with node.db.transaction():
        node.db.put_act_sig(row.id, handle, signer.sign(message).hex())
        _note(node, row.id, "signed", handle)
    return show(node, row)


def enter(node: Ledger, name: str, also: Callable[[int], None] | None = None) -> Entered:
    """The act stands in our register, once, with every signature that still counts.

    `also` writes what belongs to the same transaction, given the index.
    Raises: RefusedError if too few persons have signed; StateError if it is not open or not valid any more;
    FrozenError if this node may not sign. Nothing was entered then.
    """
    row = _open_act(node, name)
    node.check_may_sign()
    body = _read(row.kind, row.body)
    wanted = needed(node, row.kind, body)
    found = _counting(node, row, wanted)
    if len(found) < wanted.count:
        who = f" in one of the roles {', '.join(wanted.roles)}" if wanted.roles else ""
        raise RefusedError(
            f"{len(found)} of {wanted.count} persons have signed this {row.kind}",
            place=row.id[:16],
            remedy=f"Others sign it{who}: `entente act sign {row.id[:16]}`.",
        )

    def settle(entered: Sequence[tuple[int, Draft]]) -> None:
        if not node.db.close_act(row.id, ENTERED):
            raise StateError("the act is not open any more", place=row.id[:16])
        _note(node, row.id, ENTERED, "")
        if also is not None:
            also(entered[0][0])

    draft = Draft(row.kind, body, tuple(Sig(by, sig) for by, _, sig in found))
    (idx,) = node.append([draft], agreement=row.agreement, also=settle)
    return Entered(row.id, row.kind, idx)


def drop(node: Ledger, name: str) -> Act:
    """The act will never be entered; StateError if it is not open."""
    row = _open_act(node, name, now=False)
    with node.db.transaction():
        node.db.close_act(row.id, DROPPED)
        _note(node, row.id, DROPPED, "")
    return show(node, act_of(node, row.id))


def _open_act(node: Ledger, name: str, *, now: bool = True) -> ActRow:
    row = act_of(node, name)
    state = ENTERED if row.id in node.side.acts else row.state
    if state != PREPARED:
        raise StateError(f"the act is {state}", place=row.id[:16])
    if now:
        _check_law(node, row)
    return row


def _check_law(node: Ledger, row: ActRow) -> None:
    """What persons signed names the agreement: under another version it is another act."""
    if row.agreement != node.law.hash:
        raise StateError(
            "the act was prepared under another version of the agreement",
            place=row.id[:16],
            remedy="Drop it and prepare it anew: what was signed names the version.",
        )


def _counting(node: Ledger, row: ActRow, wanted: Needed) -> list[tuple[str, Person, str]]:
    """(handle, person, signature) of everybody whose signature counts now, each natural person and key once.

    Whoever was revoked, or whose certificate ran out, since they signed does not count; their signature would make the
    entry invalid.
    """
    found: list[tuple[str, Person, str]] = []
    for by, sig in node.db.act_sigs(row.id):
        fact = node.side.persons.get(by)
        try:
            person = certified(node, by, fact.person.key if fact is not None else "", wanted.roles)
            check_apart(person, by, [(name, other) for name, other, _ in found])
        except RefusedError:
            continue
        if verify(person.key, act_message(row.kind, node.side.origin, row.agreement, _read(row.kind, row.body)), sig):
            found.append((by, person, sig))
    return found


def _read(kind: str, data: bytes) -> dict[str, Any]:
    """A body as plain data; the words of an undertaking may have several lines."""
    found: dict[str, Any] = parse(data, newlines=kind == "undertaking")
    return found


def _note(node: Ledger, name: str, what: str, by: str) -> None:
    node.db.journal(node.now(), "act", name, canonical({"by": by, "outcome": what}))
