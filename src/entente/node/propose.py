"""Propose: records are screened, closed over references, and frozen into a draft that persons then approve."""

import os
from collections.abc import Mapping, Sequence

import msgspec

from entente.account.cascade import scale_of
from entente.crossing import payload
from entente.crossing.references import NOT_OWN_MARKING, Refusal, Screening, screen
from entente.crossing.seal import seal
from entente.errors import RefusedError
from entente.keys import verify
from entente.node.consent import consents, held_consent
from entente.node.gate import Situation, gate
from entente.node.held import sealed_content
from entente.node.import_ import Validate
from entente.node.ledger import Ledger
from entente.node.material import Material, find_material
from entente.node.redaction import redact
from entente.node.shelves import release_holding
from entente.store.node_db import DraftRow
from entente.strict import canonical, encode, parse_as
from entente.treaty.agreement import SignedAgreement, Terms
from entente.treaty.approval import Approval, Core, Records
from entente.treaty.area import Area
from entente.treaty.decision import decide
from entente.treaty.marking import Marking, join
from entente.treaty.record import Record, whole
from entente.treaty.request import Decision, Request, SealedRef, View

NOT_YET = frozenset({"kem", "approval_valid", "approval_count"})
_NO_VIEW = View({}, {}, (), 0, seen_before=False, suspended=())


class NothingCrossesError(RefusedError):
    """Not one object of an import may cross; `refusals` says why for each. No draft was kept."""

    code = "nothing_crosses"
    title = "Nothing may cross"

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        first = refusals[0] if refusals else None
        place = f"Art. {first.article}" if first is not None else ""
        super().__init__(
            f"all {len(refusals)} objects of this import are refused", place=place, remedy="Import others."
        )
        self.refusals = refusals


class Wish(msgspec.Struct, frozen=True):
    """What a release officer asks for; what is left out is the agreement's first or largest.

    `parents` are releases of the partner's that all of it derives from; `standing` is a standing approval to use.
    """

    author: str
    article: str = ""
    view: str = ""
    channel: str = "network"
    retain_days: int = 0
    copies: int = 1
    parents: tuple[str, ...] = ()
    standing: str = ""


class Proposal(msgspec.Struct, frozen=True):
    """A frozen draft and what was left out; `mentions` counts crossing records whose prose points at that.

    `redacted` are the ids of crossing records that properties went from by granular markings, and how many.
    """

    rid: str
    core: Core
    state: str
    kept: int
    bytes: int
    refused: tuple[tuple[Record, Refusal], ...]
    mentions: int
    decision: Decision
    gate: Decision
    crossing: tuple[str, ...]
    redacted: tuple[tuple[str, int], ...] = ()


def propose(node: Ledger, areas: Mapping[str, Area], validate: Validate, name: str, wish: Wish) -> Proposal:
    """A draft stands whose bytes, marking, recipient and agreement no one can change without voiding approvals.

    `name` is an import, or a release of the partner's, which then goes back to it. The draft's state is `checked` if
    decide() (without rules 22 to 24) and gate() permit, else `drafted`; under a standing approval it is `approved`.
    `why` shows each rule.
    Raises: UsageError for an unknown name; RefusedError if nothing at all may cross (nothing is kept then).
    """
    stuff = find_material(node, areas, validate, name, wish.parents)
    law = node.law
    terms = law.law.areas.get(stuff.area)
    if terms is None:
        raise RefusedError(f"the agreement has no area {stuff.area}")
    template = _template(node, law, terms, stuff, wish)

    def decide_marking(marking: Marking) -> Decision:
        return _decide_marking(node, law, template, marking)

    properties: Mapping[str, int] = {}
    if template.view == "granular":
        made = redact(stuff, areas[stuff.area], decide_marking)
        stuff, properties = made.stuff, made.properties
    screening = screen(stuff.records, law.law, stuff.area, stuff.mark, decide_marking)
    kept, refused = _apply_view(areas[stuff.area], template.view, screening, law)
    if not kept:
        _journal(node, stuff.place, refused)
        raise NothingCrossesError(tuple(why for _, why in refused))
    return _freeze(
        node, areas[stuff.area], template, stuff=stuff, author=wish.author, kept=kept, refused=refused,
        properties=properties,
    )  # fmt: skip


def _template(node: Ledger, law: SignedAgreement, terms: Terms, stuff: Material, wish: Wish) -> Core:
    """A core with everything but what the records decide."""
    purposes = terms.purposes or ("",)
    zero = "0" * 64
    return Core(
        agreement=law.hash,
        ancestors=tuple(sorted(stuff.ancestors)),
        area=stuff.area,
        article=wish.article or (terms.articles or ("",))[0],
        bytes_padded=0,
        channel=wish.channel,
        content=zero,
        copies=wish.copies,
        custody=(terms.custody or {}).get("default", "delivered"),
        format=stuff.form,
        marking=Marking(
            (), law.law.party[node.party].levels[0], node.party, purposes[0], tuple(sorted(law.law.parties))
        ),
        nonce=os.urandom(16).hex(),
        origin=node.side.origin,
        records=Records(0, zero),
        retain_days=wish.retain_days or terms.retain_days or 1,
        third_party="none",
        to=node.partner,
        units=(),
        view=wish.view or (terms.views or ("full",))[0],
        exercise=True if law.law.exercise else msgspec.UNSET,
        standing=wish.standing or msgspec.UNSET,
    )


def _decide_marking(node: Ledger, law: SignedAgreement, template: Core, marking: Marking) -> Decision:
    """Rules 6 to 13 for one record's own marking."""
    core = msgspec.structs.replace(template, marking=marking)
    request = Request(node.side.origin, 0, node.now(), core, SealedRef("", ""), ())
    return decide(law.law, _NO_VIEW, request, verify, skip=NOT_OWN_MARKING)


def _apply_view(
    area: Area, view: str, screening: Screening, law: SignedAgreement
) -> tuple[list[tuple[Record, Marking]], list[tuple[Record, Refusal]]]:
    """What crosses under the view; what cannot be shown under it is refused by rule `format`."""
    refused = list(screening.refused)
    if view == "full":
        return list(screening.kept), refused
    kept = []
    article = law.law.rules.decide.get("format", "")
    for record, marking in screening.kept:
        data = area.view(view, record.data)
        if data is None:
            reason = f"cannot be shown under view {view}"
            refused.append((record, Refusal(record.id, record.sha256, "format", article, reason)))
        else:
            kept.append((msgspec.structs.replace(record, data=data), marking))
    return kept, refused


def _freeze(
    node: Ledger,
    area: Area,
    template: Core,
    *,
    stuff: Material,
    author: str,
    kept: list[tuple[Record, Marking]],
    refused: list[tuple[Record, Refusal]],
    properties: Mapping[str, int],
) -> Proposal:
    """Payload, key, salt, blob and core are made and kept; nothing of them changes any more."""
    law = node.laws[template.agreement].law
    markings = list(dict.fromkeys(marking for _, marking in kept))
    scales = {scale_of(marking, node.party, law) for marking in markings}
    joined = join(markings, law.ranks[min(scales)], min(scales)) if len(scales) == 1 else None
    if joined is None:
        raise RefusedError(
            "the records have no common marking (purposes or originators differ)",
            remedy="Propose them as separate releases.",
        )
    number = {marking: place for place, marking in enumerate(markings)}
    previous = _previous([record for record, _ in kept])
    made = payload.build(((r, number[m], previous.get((r.id, r.version))) for r, m in kept), markings)
    dek, salt = os.urandom(32), os.urandom(32)
    content = payload.Content(salt)
    blob = node.blobs.write(lambda write: seal(content.through(made.pieces()), dek, write))
    modes = law.areas[template.area].custody or {}
    core = msgspec.structs.replace(
        template,
        ancestors=tuple(sorted({*template.ancestors, *(rid for record, _ in kept for rid in record.parents)})),
        marking=joined,
        custody=modes.get(joined.level, modes.get("default", template.custody)),
        bytes_padded=made.padded,
        content=content.hex,
        records=payload.commit(salt, made.listing),
        third_party=held_consent(node, joined.originator),
    )
    core.check()
    rid = core.rid
    node.keys.put_key(rid, dek + salt)
    held = ((record, number[mark]) for record, mark in kept)
    node.view.put_holdings([release_holding(node, template.area, rid, held, markings, ours=True)])
    draft = DraftRow(rid, "drafted", author, node.now(), encode(core), blob.root, blob.size, stuff.place)
    decision, private = check_draft(node, draft, skip=NOT_YET)
    ready = "approved" if isinstance(core.standing, str) else "checked"
    draft = msgspec.structs.replace(draft, state=ready if decision.permit and private.permit else "drafted")
    redacted = [(record, properties[record.sha256]) for record, _ in kept if record.sha256 in properties]
    with node.db.transaction():
        _journal(node, rid, refused)
        if redacted:
            node.db.journal(node.now(), "redacted", rid, canonical({record.sha256: n for record, n in redacted}))
        node.db.put_draft(draft)
        journal_decision(node, rid, decision)
        node.db.journal(
            node.now(), "gate", rid, canonical({"findings": msgspec.to_builtins(private.findings), "rid": rid})
        )
        if stuff.map:
            node.db.journal(node.now(), "mapped", rid, canonical({"map": stuff.map}))
    pattern = area.mention_pattern(record for record, _ in refused)
    mentions = sum(1 for record, _ in kept if pattern is not None and pattern.search(whole(record.data)))
    crossing = tuple(record.sha256 for record, _ in kept)
    return Proposal(
        rid, core, draft.state, len(kept), made.size, tuple(refused), mentions, decision, private, crossing,
        tuple((record.id, n) for record, n in redacted),
    )  # fmt: skip


def check_draft(node: Ledger, draft: DraftRow, *, skip: frozenset[str]) -> tuple[Decision, Decision]:
    """decide() and gate() on a draft as things stand now, with the approvals it has."""
    core = parse_as(draft.core, Core, place="draft")
    approvals = tuple(parse_as(data, Approval, place="approval") for data in node.db.approvals(draft.rid))
    request = Request(node.side.origin, node.side.size, node.now(), core, SealedRef("", ""), approvals)
    return node.decide_next(request, skip), gate_draft(node, draft, core, approvals)


def gate_draft(node: Ledger, draft: DraftRow, core: Core, approvals: Sequence[Approval]) -> Decision:
    """gate() on a draft: persons as certified now, the bytes as they rest sealed."""
    persons = node.side.persons
    author = persons.get(draft.author)
    now = Situation(
        author=author.person if author is not None and author.revoked_from is None else None,
        approvers=tuple(persons[given.by].person for given in approvals if given.by in persons),
        accreditation=node.accreditation,
        consents=consents(node),
        shown=sealed_content(node, draft),
        frozen=node.frozen,
    )
    return gate(node.laws[core.agreement].law, node.party, core, now)


def journal_decision(node: Ledger, rid: str, decision: Decision) -> None:
    """What the agreement answered about this draft stands in the home journal."""
    node.db.journal(node.now(), "decision", rid, canonical(msgspec.to_builtins(decision.findings)))


def _previous(records: Sequence[Record]) -> dict[tuple[str, str], str]:
    """(id, version) → digest of the version before it among these records."""
    found: dict[tuple[str, str], str] = {}
    last: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: (record.id, record.version)):
        if record.id in last:
            found[record.id, record.version] = last[record.id].sha256
        last[record.id] = record
    return found


def _journal(node: Ledger, key: str, refused: Sequence[tuple[Record, Refusal]]) -> None:
    """What was refused stays at home: digest, rule and article; titles are joined from view.db when people ask."""
    lines = [{"article": why.article, "rule": why.rule, "sha256": why.sha256} for _, why in refused]
    node.db.journal(node.now(), "refused", key, canonical(lines))
