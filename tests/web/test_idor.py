"""What is not for a person and what is not there are answered alike: the same status, the same bytes, in every form."""

import re
from urllib.parse import unquote

import httpx2
import pytest

from lab.walk import TOP, WHO, Walk

TOKENS = re.compile(r'(name="(?:once|csrf)" value=")[^"]*')
MINUTES = re.compile(r'<time datetime="[^"]*"[^>]*>[^<]*</time>')


def plain(answer: httpx2.Response, *ids: str) -> tuple[int, str, dict[str, str]]:
    """An answer without what was asked for and what is new each time."""
    text = MINUTES.sub("", TOKENS.sub(r"\1", answer.text))
    for one in sorted({*ids, *(unquote(one) for one in ids)}, key=len, reverse=True):
        if len(one) > 2:
            text = text.replace(one, "*")
    return answer.status_code, text, {key: answer.headers[key] for key in answer.headers if key != "content-length"}


def elsewhere(route: str, path: str) -> tuple[str, list[str], list[str]]:
    """The address with a name in it that nothing has; the names that were there; and those that are now."""
    pattern = re.sub(
        r"\{(\w+)(:path)?\}",
        lambda found: "(.+)" if found[2] else "([^/]+)",
        re.escape(route).replace(r"\{", "{").replace(r"\}", "}"),
    )
    found = re.fullmatch(pattern, path.partition("?")[0])
    assert found, (pattern, path)
    names = list(found.groups())
    changed = [changed_name(name) for name in names[:1]] + names[1:]
    if len(names) == 2 and names[1].isdecimal() and len(names[0]) < 8:  # /entry/{party}/{idx}
        changed = [names[0], "999999999"]
    made = route
    for name in changed:
        made = re.sub(r"\{[^}]*\}", name.replace("\\", ""), made, count=1)
    return made, names, changed


def changed_name(name: str) -> str:
    """Another name of the same form."""
    if name.isdecimal():
        return "999999999"
    made = "".join("0123456789abcdef"[(int(c, 16) + 7) % 16] if c in "0123456789abcdef" else c for c in name)
    return made if made != name else f"{name}x"


@pytest.mark.parametrize("who", [who for who in WHO if who != TOP])
def test_what_is_hidden_and_what_is_missing_are_the_same(walk: Walk, who: str) -> None:
    told, compared = walk.told(who), 0
    for route, path in walk.addresses(ids=True):
        answer = told[path]
        if answer.status_code == 200:
            continue
        other, was, now = elsewhere(route, path)
        missing = walk.get(who, other)
        assert plain(answer, *was) == plain(missing, *now), (path, other)
        assert answer.status_code in (403, 404), (path, answer.status_code)
        compared += 1
    assert compared


@pytest.mark.parametrize("who", ["rung0", "paper0", "whole0"])
def test_an_act_on_what_is_hidden_is_answered_as_one_on_what_is_missing(walk: Walk, who: str) -> None:
    told, compared = walk.told(who), 0
    acting = walk.screens()
    for route, path in walk.addresses(ids=True):
        if route not in acting or told[path].status_code == 200:
            continue
        other, was, now = elsewhere(route, path)
        for act in acting[route]:
            first, second = (walk.post(who, where, act) for where in (path, other))
            assert plain(first, *was) == plain(second, *now), (path, act)
            assert first.status_code in (403, 404), (path, act, first.status_code)
            compared += 1
    assert compared


def test_another_name_is_another_name(walk: Walk) -> None:
    """Else the comparison would be of one thing with itself; and whoever may see it gets something else."""
    seen = 0
    for route, path in walk.addresses(ids=True):
        other, was, now = elsewhere(route, path)
        assert was != now
        seen += walk.told(TOP)[path].status_code == 200 and walk.get(TOP, other).status_code == 404
    assert seen > 20
