"""Forms by which a person prepares what this party will state, an undertaking or a claim; others sign it afterwards."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from entente.account.acts import STRENGTHS, Undertaking
from entente.errors import FormatError
from entente.strict import parse_time
from entente.web.page import Done, Field, said
from entente.web.screen import FieldError, Given
from entente.web.visit import Visit

TEXT = "text-"
DAY = len("2026-01-01")
PLAIN = ("source", "measure", "basis", "band")
MOST = 20_000  # of an undertaking's words in one language; an entry has 32,768 bytes in all


def languages(visit: Visit) -> list[str]:
    """The languages of the agreement, in which its parties are named."""
    return sorted({language for party in visit.law.party.values() for language in party.names})


def key_field() -> Field:
    """The key that both parties use."""
    return Field("key", said("Key"), hint=said("Both sides use the same key, such as radar/1."))


def stating_fields(visit: Visit, old: Undertaking | None) -> list[Field]:
    """What an undertaking says, filled in with `old`."""
    parties = [(party, party) for party in (visit.node.party, visit.node.partner)]
    texts = dict(old.text) if old is not None else {}
    made = [Field("from", said("Owed by"), "choice", old.owed_by if old is not None else "", parties)]
    made += [
        Field(TEXT + language, said("Words, {language}", language=language), "area", texts.get(language, ""),
              required=False, hint=said("Verbatim."))
        for language in sorted({*languages(visit), *texts})
    ]  # fmt: skip
    strengths = [(word, word) for word in STRENGTHS]
    made.append(Field("strength", said("Strength"), "choice", old.strength if old is not None else "", strengths))
    due = old.due if old is not None and isinstance(old.due, str) else ""
    made.append(Field("due", said("Due"), value=due, required=False, hint=said("YYYY-MM-DD or YYYY-MM-DDTHH:MMZ, UTC")))
    words = {
        "source": said("Where it was said"), "measure": said("Measured in"), "basis": said("A part of what"),
        "band": said("Within which bounds"),
    }  # fmt: skip
    made += [
        Field(name, label, value=str(getattr(old, name)) if old is not None else "", required=False)
        for name, label in words.items()
    ]
    return made


def undertaking_body(visit: Visit, given: Given) -> dict[str, Any]:
    """The body of an undertaking as the form has it, but for its key."""
    debtor = given.need("from")
    if debtor not in visit.law.party:
        raise FieldError("from", "no party of the agreement")
    strength = given.need("strength")
    if strength not in STRENGTHS:
        raise FieldError("strength", "not one of the strengths")
    texts = {}
    for name, value in given.fields.items():
        words = normal(value).strip()
        if name.startswith(TEXT) and words:
            if len(words) > MOST:
                raise FieldError(name, f"more than {MOST:,} characters")
            texts[name.removeprefix(TEXT)] = words
    if not texts:
        raise FieldError(TEXT + languages(visit)[0], "words in at least one language are needed")
    body: dict[str, Any] = {name: normal(given.get(name)) for name in PLAIN}
    body |= {"from": debtor, "strength": strength, "text": texts, "to": visit.law.other(debtor)}
    due = given.get("due")
    if due:
        body["due"] = _time(due)
    return body


def _time(text: str) -> str:
    whole = f"{text}T00:00Z" if len(text) == DAY else text
    try:
        parse_time(whole)
    except FormatError:
        raise FieldError("due", "a day such as 2027-03-31, or a time such as 2027-03-31T12:00Z") from None
    return whole


def normal(text: str) -> str:
    """A text as registers hold it: composed characters, line feeds."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n"))


def claim_fields(value: str = "") -> list[Field]:
    """What a claim says."""
    return [
        Field("value", said("What we claim"), value=value, hint=said("Such as: 3 of 10 delivered.")),
        Field("basis", said("On what it rests"), required=False),
        Field("evidence", said("Evidence"), "area", required=False,
              hint=said("Record commitments or digests, 64 hex digits each, one a line.")),
    ]  # fmt: skip


def claim_body(given: Given) -> dict[str, Any]:
    """The body of a claim as the form has it, but for its key."""
    evidence = given.get("evidence").lower().split()
    if not all(len(one) == 64 and set(one) <= set("0123456789abcdef") for one in evidence):
        raise FieldError("evidence", "each is 64 hex digits")
    value = normal(given.need("value"))
    return {"value": value, "basis": normal(given.get("basis")), "evidence": sorted(set(evidence))}


def prepared(visit: Visit, kind: str, body: Mapping[str, Any]) -> Done:
    """The act rests here; on to where persons sign it."""
    act = visit.node.prepare(kind, body, by=visit.visitor.handle)
    return Done(f"/act/{act.id}", said("Prepared. It stands in the register once enough persons have signed it."))
