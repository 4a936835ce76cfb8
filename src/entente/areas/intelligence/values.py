"""The forms of single values that schemas cannot hold well: addresses, names, language codes.

They are held as far as no real feed is refused for a spelling: docs/reference/intelligence.md says how far.
"""

import ipaddress
import re
from typing import Any

is_property_name = re.compile(r"[a-z][a-z0-9_]{2,249}").fullmatch
_LANGUAGE = re.compile(  # RFC 5646, 2.1, well-formed; the few irregular grandfathered tags are not taken
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+",
    re.IGNORECASE | re.ASCII,
).fullmatch
_LONGEST_TAG = 100
_LONGEST_DOMAIN = 253
_LONGEST_LABEL = 63
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}").fullmatch
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}(?:/(?:3[0-2]|[12]?[0-9]))?").fullmatch
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f\x7f<>\"]+").fullmatch
_NOT_IN_DOMAIN = re.compile(r"[\s\x00-\x20\x7f/@:?#\[\]\\<>\"'(),;]").search
_ADDRESS = re.compile(r"(?:\"[^\"\r\n\x00]*\"|[^\s\x00-\x1f\"<>(),;]+)@[^\s\x00-\x1f\"<>(),;@]+").fullmatch


def is_language(text: object) -> bool:
    """Whether it is a well-formed language code of RFC 5646."""
    return isinstance(text, str) and len(text) <= _LONGEST_TAG and _LANGUAGE(text) is not None


def fault(kind: str, value: dict[str, Any]) -> str | None:
    """Why the `value` of an observable of this type has not its form; a defanged one may have any."""
    check = CHECKED.get(kind)
    if check is None or value.get("defanged") is True or check(value["value"]):
        return None
    return f"value is not in the form of {kind}"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Interface(text)
    except ValueError:
        return False
    return True


def _is_ipv4(text: str) -> bool:
    return _IPV4(text) is not None


def _is_mac(text: str) -> bool:
    return _MAC(text) is not None


def _is_url(text: str) -> bool:
    return _URL(text) is not None


def _is_address(text: str) -> bool:
    return _ADDRESS(text) is not None


def _is_domain(text: str) -> bool:
    name = text.removesuffix(".")
    return (
        0 < len(name) <= _LONGEST_DOMAIN
        and _NOT_IN_DOMAIN(name) is None
        and all(0 < len(label) <= _LONGEST_LABEL for label in name.split("."))
    )


CHECKED = {
    "ipv4-addr": _is_ipv4,
    "ipv6-addr": _is_ipv6,
    "mac-addr": _is_mac,
    "url": _is_url,
    "email-addr": _is_address,
    "domain-name": _is_domain,
}
