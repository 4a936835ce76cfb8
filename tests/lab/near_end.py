"""Two founded nodes under a sample whose term ends soon, and what the model must know of that agreement."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from entente import keys
from entente.strict import parse_time
from lab.pair import AREA, SAMPLES, Template, build, persons
from lab.registers import Person, Terms

END = "2026-07-11T00:00Z"
NOTICE_DAYS = 10
BLOCK_HOURS = 72
CHEAP = 2**5  # as the pairs of other tests have it


def near_end(folder: Path, sample: str) -> Template:
    """Two founded nodes under a sample whose term ends soon, and which blocks on late answers before long."""
    text = (SAMPLES / f"{sample}.toml").read_text()
    text = re.sub(r'(?m)^end = ".*"', f'end = "{END}"', text)
    text = re.sub(r"(?m)^notice_days = \d+", f"notice_days = {NOTICE_DAYS}", text)
    text = re.sub(r"(?m)^block_after_hours = \d+", f"block_after_hours = {BLOCK_HOURS}", text)
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / f"{sample}.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.pair.SAMPLES", folder / "samples")
        patch.setattr(keys, "_ARGON2_KIB", CHEAP)
        return build(folder / "nodes", sample)


def second_version(template: Template) -> bytes:
    """The next version: half as long again to answer."""
    text = re.sub(r"(?m)^version = 1", "version = 2", template.toml.decode())
    return text.replace("answer_hours = 24", "answer_hours = 36").encode()


def terms_of(template: Template) -> tuple[Terms, dict[str, list[str]], dict[str, Person]]:
    """The terms, read as plain TOML; the levels of each party that have a row; the persons of either."""
    law = tomllib.loads(template.toml.decode())
    area = {**law["terms"], **law["area"][AREA]}
    first, second = law["party"]
    scale = law["party"][first]["levels"]
    words = {code: [row[code] for row in law["equivalence"]["rows"]] for code in (first, second)}
    from_word = law["party"][second].get("witnesses_from")
    block = area["block_after_hours"]
    found = Terms(
        end=parse_time(law["end"]),
        notice=timedelta(days=law["notice_days"]),
        answer_hours={1: area["answer_hours"], 2: 36},
        block_hours=block if isinstance(block, int) else None,
        approvals=area["approvals"],
        roles=frozenset(area["roles"]),
        signers=law["acts"]["signers"],
        witnesses_from=words[second].index(from_word) if from_word else None,
        protected=law["protection_after_end"] == "for ever",
        retain_days=area["retain_days"],
        ranks=tuple(scale.index(word) for word in words[first]),
    )
    people = {}
    for name, natural, roles, areas, ceiling, until in persons("XX", scale, law["acts"]["roles"]["map"]):
        key = "nair" if name == "twin" else name
        rank = scale.index(ceiling)
        people[name] = Person(natural, key, frozenset(roles), frozenset(areas), rank, parse_time(until))
    return found, words, people
