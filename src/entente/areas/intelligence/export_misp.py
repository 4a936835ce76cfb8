"""MISP JSON: one event, with attributes for indicators and observables, and objects where several belong together.

Ids are stable: what is one thing in STIX keeps its UUID, what is made from a part of it gets a UUID made from its id
and place, so that importing a later export updates instead of doubling. TLP markings become tags.
Source: the MISP core format; object templates file, domain-ip, email, x509, registry-key and user-account.
"""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

import msgspec

from entente.areas.intelligence import patterns, schema
from entente.areas.intelligence.export import NAMESPACE, Exported, Fact, Object, facts, opened
from entente.errors import UsageError

TLP = {  # marking definitions of TLP 1.0 (in the standard) and 2.0 (its extension) → tag
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": "tlp:white",
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": "tlp:green",
    "f88d31f6-486f-44da-b317-01333bde0b82": "tlp:amber",
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "tlp:red",
    "94868c89-83c2-464b-929b-a1a8aa3c8487": "tlp:clear",
    "bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "tlp:green",
    "55d920b0-5e8b-4f79-9ee9-91f868d9b421": "tlp:amber",
    "939a9414-2ddd-4d32-a0cd-375ea402b003": "tlp:amber+strict",
    "e828b379-4e03-4974-9ac4-e53a884c97c1": "tlp:red",
}
STRICTEST = ("tlp:red", "tlp:amber+strict", "tlp:amber", "tlp:green", "tlp:clear", "tlp:white")
_LONGEST_NAME = 200  # characters of an object's name in a comment


class _Form(msgspec.Struct, frozen=True):
    """How one fact is written: type and category of an attribute, and its place in an object of a template."""

    type: str
    category: str
    relation: str = ""


_NET, _DROP, _FILE, _OTHER = "Network activity", "Artifacts dropped", "Payload delivery", "Other"
_HASHES = {
    f"hashes.{name}": _Form(kind, _FILE, kind)
    for name, kind in (
        ("MD5", "md5"), ("SHA-1", "sha1"), ("SHA-256", "sha256"), ("SHA-512", "sha512"), ("SHA3-256", "sha3-256"),
        ("SHA3-512", "sha3-512"), ("SSDEEP", "ssdeep"), ("TLSH", "tlsh"),
    )
}  # fmt: skip
_FORMS: dict[str, dict[str, _Form]] = {  # type of observable → its facts
    "domain-name": {"value": _Form("domain", _NET, "domain")},
    "ipv4-addr": {"value": _Form("ip-dst", _NET, "ip")},
    "ipv6-addr": {"value": _Form("ip-dst", _NET, "ip")},
    "url": {"value": _Form("url", _NET)},
    "email-addr": {"value": _Form("email", _NET)},
    "mac-addr": {"value": _Form("mac-address", _NET)},
    "mutex": {"name": _Form("mutex", _DROP)},
    "autonomous-system": {"number": _Form("AS", _NET)},
    "file": {"name": _Form("filename", _FILE, "filename"), **_HASHES},
    "email-message": {
        "subject": _Form("email-subject", _FILE, "subject"),
        "message_id": _Form("email-message-id", _FILE, "message-id"),
    },
    "windows-registry-key": {"key": _Form("regkey", "Persistence mechanism", "key")},
    "user-account": {
        "user_id": _Form("text", _OTHER, "user-id"),
        "account_login": _Form("text", _OTHER, "username"),
    },
    "x509-certificate": {
        "issuer": _Form("text", _OTHER, "issuer"),
        "subject": _Form("text", _OTHER, "subject"),
        "serial_number": _Form("text", _OTHER, "serial-number"),
        **{
            f"hashes.{name}": _Form(f"x509-fingerprint-{kind}", _NET, f"x509-fingerprint-{kind}")
            for name, kind in (("MD5", "md5"), ("SHA-1", "sha1"), ("SHA-256", "sha256"))
        },
    },
}


class _Template(msgspec.Struct, frozen=True):
    name: str
    category: str
    uuid: str
    version: str


_TEMPLATES = {
    "file": _Template("file", "file", "688c46fb-5edb-40a3-8273-1af7923e2215", "25"),
    "email-message": _Template("email", "network", "a0c666e0-fc65-4be8-b48f-3423d788b552", "19"),
    "x509-certificate": _Template("x509", "network", "d1ab756a-26b5-4349-9f43-765630f0911c", "14"),
    "windows-registry-key": _Template("registry-key", "file", "8b3228ad-6d82-4fe6-b2ae-05426308f1d5", "5"),
    "user-account": _Template("user-account", "misc", "49606b06-22f0-4ac8-8eee-2f12ad46f3d3", "6"),
    "domain-ip": _Template("domain-ip", "network", "43b3b146-77eb-4931-b4cc-b66c60f28734", "11"),
}
_ALWAYS_OBJECTS = frozenset({"x509-certificate", "user-account"})  # one of their facts means nothing alone
_RULES = {  # pattern languages other than STIX that MISP has a type for
    "yara": _Form("yara", _FILE),
    "sigma": _Form("sigma", _FILE),
    "snort": _Form("snort", _NET),
    "suricata": _Form("suricata", _NET),
}
_RESOLVED = re.compile(r"resolves_to_refs\[(?:\*|\d+)\]\.value").fullmatch


def misp(records: Iterable[Exported], *, info: str, day: date, marking: str) -> Iterator[bytes]:
    """One MISP event as JSON, unpublished, for the importing organisation only, until somebody there says otherwise.

    Args:
        records: gone through twice (attributes, then objects), so no iterator.
        info: the event's title.
        day: its date.
        marking: that of all of it, in front of the title.
    Raises: UsageError if `records` can be gone through once only.
    """
    if iter(records) is records:
        raise UsageError("records that can be read once only", place="MISP export", remedy="Give a list, or a query.")
    tags: set[str] = set()
    left_out: Counter[str] = Counter()
    digest = uuid.uuid5(NAMESPACE, "event")
    head = {
        "info": f"{marking}: {info}", "date": day.isoformat(), "threat_level_id": "4", "analysis": "2",
        "distribution": "0", "published": False,
    }  # fmt: skip
    yield b'{"Event":' + _json(head)[:-1] + b',"Attribute":[\n'
    comma = b""
    for record in records:
        value = opened(record)
        digest = uuid.uuid5(digest, value["id"])
        tags.update(_tags(value))
        entries = _attributes(value, record.marking_line)
        if entries is None:
            left_out[value["type"]] += 1
            continue
        for entry in entries:
            yield comma + _json(entry)
            comma = b",\n"
    if left_out:
        yield comma + _json(_remark(left_out, digest))
    yield b'\n],"Object":[\n'
    comma = b""
    for record in records:
        for entry in _objects(opened(record), record.marking_line):
            yield comma + _json(entry)
            comma = b",\n"
    strictest = next((tag for tag in STRICTEST if tag in tags), None)
    tail = {"Tag": [{"name": strictest}] if strictest else [], "uuid": str(digest)}
    yield b"\n]," + _json(tail)[1:] + b"}\n"


def _attributes(value: Object, line: str) -> list[Object] | None:
    """The object's attributes; [] if it is written as objects instead, None if MISP has no form for it."""
    kind = value["type"]
    if kind == "indicator":
        if _pattern_object(value) is not None:
            return []
        return _indicator(value, line)
    forms = _FORMS.get(kind)
    found = [fact for fact in facts(value) if forms is not None and fact.path in forms]
    if forms is None or not found:
        return None
    if _as_object(value, found):
        return []
    return [_attribute(value, line, forms[fact.path], fact, own=len(found) == 1) for fact in found]


def _as_object(value: Object, found: list[Fact]) -> bool:
    kind = value["type"]
    many = len(found) > 1 or kind in _ALWAYS_OBJECTS
    return kind in _TEMPLATES and (many or (kind == "windows-registry-key" and bool(value.get("values"))))


def _indicator(value: Object, line: str) -> list[Object]:
    """An attribute for each alternative of a plain pattern; any other pattern as it is."""
    if value["pattern_type"] != "stix":
        form = _RULES.get(value["pattern_type"], _Form("text", _OTHER))
        return [_attribute(value, line, form, Fact("pattern", value["pattern"]), own=True, ids=True)]
    compared = patterns.comparisons(value["pattern"])
    if compared is not None and compared.joined <= {"OR"}:
        pairs = [(_FORMS.get(kind, {}).get(path), Fact(f"{kind}:{path}", text)) for kind, path, text in compared.found]
        known = [(form, fact) for form, fact in pairs if form is not None]
        if len(known) == len(pairs):
            own = len(pairs) == 1
            return [_attribute(value, line, form, fact, own=own, ids=True) for form, fact in known]
    fact = Fact("pattern", value["pattern"])
    return [_attribute(value, line, _Form("stix2-pattern", _FILE), fact, own=True, ids=True)]


def _pattern_object(value: Object) -> tuple[_Template, list[tuple[_Form, Fact]]] | None:
    """The template and facts of a plain pattern that is a file, or a domain with its address."""
    compared = patterns.comparisons(value["pattern"]) if value["pattern_type"] == "stix" else None
    if compared is None or compared.joined != {"AND"}:
        return None
    found = []
    for kind, path, text in compared.found:
        form = _FORMS["ipv4-addr"]["value"] if _RESOLVED(path) else _FORMS.get(kind, {}).get(path)
        if form is None:
            return None
        found.append((form, Fact(f"{kind}:{path}", text)))
    kinds = {kind for kind, _, _ in compared.found}
    if kinds == {"file"}:
        return _TEMPLATES["file"], found
    relations = [form.relation for form, _ in found]
    return (_TEMPLATES["domain-ip"], found) if sorted(set(relations)) == ["domain", "ip"] else None


def _objects(value: Object, line: str) -> Iterator[Object]:
    kind = value["type"]
    if kind == "indicator":
        made = _pattern_object(value)
        if made is not None:
            yield _object(value, line, *made, ids=True)
        return
    forms = _FORMS.get(kind, {})
    found = [fact for fact in facts(value) if fact.path in forms]
    if not _as_object(value, found):
        return
    pairs = [(forms[fact.path], fact) for fact in found]
    if kind != "windows-registry-key":
        yield _object(value, line, _TEMPLATES[kind], pairs)
        return
    for number, entry in enumerate(value.get("values") or [{}]):
        parts = [
            (_Form("text", _OTHER, relation), Fact(f"values.{number}.{name}", entry[name]))
            for name, relation in (("name", "name"), ("data", "data"), ("data_type", "data-type"))
            if isinstance(entry.get(name), str) and entry[name]
        ]
        yield _object(value, line, _TEMPLATES[kind], pairs + parts, number=number)


def _object(
    value: Object,
    line: str,
    template: _Template,
    pairs: list[tuple[_Form, Fact]],
    *,
    ids: bool = False,
    number: int = 0,
) -> Object:
    own = _uuid(value, "" if not number else f"values.{number}")
    entries = [
        _attribute(value, line, form, fact, ids=ids, place=f"{own}/{fact.path}") | {"object_relation": form.relation}
        for form, fact in pairs
    ]
    return {
        "uuid": own, "name": template.name, "meta-category": template.category, "template_uuid": template.uuid,
        "template_version": template.version, "comment": _comment(value, line), "distribution": "5",
        "timestamp": _seconds(value), "Attribute": entries,
    }  # fmt: skip


def _attribute(
    value: Object, line: str, form: _Form, fact: Fact, *, own: bool = False, ids: bool = False, place: str = ""
) -> Object:
    text = f"AS{fact.text}" if form.type == "AS" else fact.text
    return {
        "uuid": _uuid(value, "" if own else place or f"{fact.path}={fact.text}"),
        "type": form.type, "category": form.category, "value": text, "to_ids": ids, "distribution": "5",
        "comment": _comment(value, line), "timestamp": _seconds(value),
        "Tag": [{"name": tag} for tag in _tags(value)],
    }  # fmt: skip


def _remark(left_out: Counter[str], event: uuid.UUID) -> Object:
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
    return {
        "uuid": str(uuid.uuid5(event, "left out")), "type": "comment", "category": _OTHER, "to_ids": False,
        "distribution": "5", "value": f"Not in this event, for it has no form for them: {told}",
    }  # fmt: skip


def _uuid(value: Object, place: str) -> str:
    """The UUID of the object itself, or of what stands at a place of it."""
    own: str = value["id"].rpartition("--")[2].lower()
    return str(uuid.uuid5(NAMESPACE, f"{value['id']}/{place}")) if place else own


def _tags(value: Object) -> list[str]:
    names = (str(ref).rpartition("--")[2].lower() for ref in value.get("object_marking_refs", ()))
    return sorted({TLP[name] for name in names if name in TLP})


def _comment(value: Object, line: str) -> str:
    name = value.get("name") if value["type"] not in schema.observables() else None
    return f"{line}; {name[:_LONGEST_NAME]}" if isinstance(name, str) and name else line


def _seconds(value: Object) -> str:
    """When the object was last changed, as seconds of the epoch; "0" for one that does not say."""
    text = value.get("modified", value.get("created"))
    try:
        return str(int(datetime.strptime(str(text)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()))
    except ValueError:
        return "0"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
