"""A person's tool reads what the clearance reaches, and no answer tells of what it does not.

Every person of a ladder of clearances, every marking, every endpoint and filter; and beside a node that never held
what is withheld, byte for byte. Stamps and cursors are masked: a stamp counts microseconds.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from stix_objects import as_bytes, indicator

from entente import keys
from entente.node.order import Remark
from lab.acts import ordered
from lab.pair import Pair, Template
from lab.site import LADDER, REFS, Site, certified, id_of, marked
from lab.worlds import first_difference, masked, questions, sco_of, told, transcript

CHEAP = 2**5
SECOND = "2026-02-02T03:04:05.000Z"
LOW, WITHHELD = "canary-low", "canary-withheld"  # in every object, by whether the one who compares may read it
LOOKER = "rung2"


def name_of(kind: int, number: int, level: int | None, word: str, **more: str) -> bytes:
    """A domain name: a kind of object that has no versions."""
    refs = {"object_marking_refs": [REFS[level]]} if level is not None else {}
    value = {"type": "domain-name", "id": sco_of(number), "value": f"{word}-{kind}.example", "spec_version": "2.1"}
    return as_bytes(value | refs | more)


# (number, level or None for one that is not mapped, is it the second version)
OWN: list[tuple[int, int | None, bool]] = [
    (1, 0, False), (2, 1, False), (3, 2, False), (4, 3, False), (5, 4, False), (6, None, False),
    (7, 0, False), (7, 3, True), (8, 3, False), (8, 1, True), (9, 2, False), (9, 2, True), (10, 4, False), (10, 3,
    True),
]  # fmt: skip
SCOS = [(1, 0), (2, 3), (3, None), (4, 2)]


def reach(level: int | None) -> int:
    """The least rung that reads it: what is not mapped is for the highest."""
    return 4 if level is None else level


def own_world(site: Site, *, withheld: bool) -> None:
    """What two doors hold of their own; what LOOKER may not read only if so asked."""
    most = LADDER.index(LOOKER)
    for number, level, second in OWN:
        hidden = reach(level) > most
        if not hidden or withheld:
            more = {"modified": SECOND} if second else {}
            site.add("rung4", marked(number, level, WITHHELD if hidden else LOW, **more))
    for number, level in SCOS:
        hidden = level is not None and level > most
        if not hidden or withheld:
            site.add("rung4", name_of(0, number, level, WITHHELD if hidden else LOW))
    if withheld:  # in one envelope with what is not
        site.add("rung4", marked(11, 0, LOW), marked(12, 4, WITHHELD), marked(13, 1, LOW), marked(14, 3, WITHHELD))
    else:
        site.add("rung4", marked(11, 0, LOW), marked(13, 1, LOW))


@pytest.fixture(scope="module")
def make_site(
    templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Makes doors; the other party's for `side` 1."""
    made: list[Site] = []

    def make(side: int = 0, pair: Pair | None = None) -> Site:
        whose = pair or Pair(templates("india-korea"), tmp_path_factory.mktemp("pair"))
        made.append(Site(whose, whose.codes[side]))
        return made[-1]

    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(keys, "_ARGON2_KIB", CHEAP)
        yield make
        for site in made:
            site.close()
            site.pair.close()


@pytest.fixture(scope="module")
def full(make_site: Callable[..., Site]) -> Site:
    """A node that holds it all."""
    site = make_site()
    own_world(site, withheld=True)
    return site


@pytest.fixture(scope="module")
def bare(make_site: Callable[..., Site]) -> Site:
    """A node that never held what LOOKER may not read."""
    site = make_site()
    own_world(site, withheld=False)
    return site


IDS = [*(id_of(number) for number in range(1, 17)), *(sco_of(number) for number in range(1, 6))]


# Own


@pytest.mark.parametrize("rung", range(5))
def test_each_clearance_sees_what_it_reaches_and_nothing_else(full: Site, rung: int) -> None:
    first = "2026-01-02T03:04:05.000Z"
    want = {(id_of(n), SECOND if second else first) for n, level, second in OWN if reach(level) <= rung}
    want |= {(sco_of(n), "") for n, level in SCOS if (level or 0) <= rung}
    want |= {(id_of(n), first) for n, level in ((11, 0), (12, 4), (13, 1), (14, 3)) if level <= rung}
    name = LADDER[rung]
    assert full.seen(name) == want
    newest = {own: max(version for other, version in want if other == own) for own, _ in want}
    assert full.seen(name, query="") == set(newest.items())
    oldest = {own: min(version for other, version in want if other == own) for own, _ in want}
    assert full.seen(name, query="match[version]=first") == set(oldest.items())
    for limit in (1, 2, 5):
        assert full.seen(name, query=f"limit={limit}&match[version]=all") == want
    for own in IDS:
        there = sorted(version for other, version in want if other == own)
        found = full.ask(name, f"collections/own/objects/{own}/versions/")
        assert found.status_code == (200 if there else 404)
        if there and there != [""]:
            assert found.json()["versions"] == there


def test_who_lacks_the_area_sees_nothing_at_all(full: Site) -> None:
    for path in questions(("own",), IDS):
        if path != "/taxii2/":
            answer = full.ask("elsewhere", path)
            assert answer.status_code == 403
            assert "canary" not in answer.text


def test_no_answer_differs_from_that_of_a_node_which_never_held_what_is_withheld(full: Site, bare: Site) -> None:
    first, second = (transcript(site, LOOKER, ("own",), IDS) for site in (full, bare))
    others = (f"from-{full.partner}", f"to-{full.partner}", "none")
    assert transcript(full, LOOKER, others, IDS[3:4]) == transcript(bare, LOOKER, others, IDS[3:4])
    assert first_difference(first, second) == ""
    assert sum(LOW in answer for answer in first) > 50
    assert not [answer for answer in first if WITHHELD in answer]
    high = transcript(full, "rung4", ("own",), IDS[3:6])
    assert sum(WITHHELD in answer for answer in high) > 30, "the canary would not be found"


_UUID = re.compile(r'"id":"[0-9a-f-]{36}"')


def acts(site: Site) -> list[str]:
    """What LOOKER's tool does to what it may not know of, and what it is told; then what it reads."""
    adding = [
        (marked(4, 0, LOW),),  # the id and version of something withheld, with other content
        (marked(4, 0, LOW),),  # and again
        (marked(4, 0, LOW, description="other"),),  # and in contradiction to what it just added
        (marked(7, 0, LOW, modified=SECOND),),
        (name_of(0, 2, None, LOW),),
        (name_of(0, 2, None, LOW), name_of(1, 2, None, LOW)),
        (marked(4, 3, WITHHELD),),  # the very bytes, which it may not read once they are in
        (marked(12, 4, WITHHELD), marked(12, 4, WITHHELD, description="other")),
        (marked(1, 0, LOW, description="other"),),
    ]
    lines = []
    for members in adding:
        made = site.ask(LOOKER, "collections/own/objects/", "POST", body=b'{"objects":[' + b",".join(members) + b"]}")
        again = site.ask(LOOKER, f"status/{made.json()['id']}/")
        assert again.content == made.content
        lines.append(_UUID.sub('"id":"STATUS"', f"{made.status_code} {made.text}"))
    unseen = (id_of(5), id_of(99), sco_of(9), id_of(6), id_of(8), id_of(4))
    chosen = ("?match[version]=first", "?match[version]=2026-01-02T03:04:05Z", "")
    paths = [(own, f"collections/own/objects/{own}/{query}") for own in unseen for query in chosen]
    lines += [told(site, LOOKER, path, "DELETE").replace(own, "ID") for own, path in paths]
    return lines


def test_no_act_is_answered_otherwise_than_by_a_node_which_never_held_what_is_withheld(
    make_site: Callable[..., Site],
) -> None:
    sites = []
    for withheld in (True, False):
        site = make_site()
        own_world(site, withheld=withheld)
        sites.append(site)
    full = sites[0]
    before = full.seen("rung4")
    first, second = ([masked(line) for line in acts(site)] for site in sites)
    assert first_difference(first, second) == ""
    first, second = (transcript(site, LOOKER, ("own",), [*IDS[3:5], id_of(12), sco_of(2)]) for site in sites)
    assert first_difference(first, second) == ""
    assert {one for one in before if one[0] in (id_of(5), id_of(6), id_of(10))} <= full.seen("rung4")
    contents = [one["name"] for one in full.listed("rung4", query=f"match[id]={id_of(4)}&match[version]=all")]
    assert f"{WITHHELD} 4" in contents, "what is withheld was not taken down by one who may not read it"


def test_what_another_added_is_told_to_nobody_else(full: Site) -> None:
    name = full.add("rung2", marked(15, 0, LOW))["id"]
    assert full.ask("rung2", f"status/{name}/").status_code == 200
    for other in ("rung4", "rung0"):
        there, not_there = full.ask(other, f"status/{name}/"), full.ask(other, f"status/{'0' * len(name)}/")
        assert (there.status_code, there.text) == (404, not_there.text)
    assert full.ask("rung2", f"collections/own/objects/{id_of(15)}/", "DELETE").status_code == 200


# Over time


def newcomer(site: Site, name: str, level: int) -> None:
    certified(site.pair, site.node, name, level)


class Follower:
    """A client that reads by X-TAXII-Date-Added-Last alone, and keeps what it has read."""

    def __init__(self, site: Site, name: str, alias: str = "own") -> None:
        self.site, self.name, self.path = site, name, f"collections/{alias}/objects/?match[version]=all&limit=2"
        self.last, self.read = "", set[tuple[str, str]]()

    def follow(self) -> set[int]:
        """What came since, by number."""
        fresh: set[int] = set()
        while True:
            after = f"&added_after={self.last}" if self.last else ""
            answer = self.site.ask(self.name, self.path + after)
            found = answer.json().get("objects", [])
            if not found:
                return fresh
            fresh |= {int(one["id"][-12:], 16) for one in found}
            self.last = answer.headers["X-TAXII-Date-Added-Last"]


def test_who_is_certified_higher_finds_what_was_late_and_who_is_certified_lower_sees_it_no_more(
    make_site: Callable[..., Site],
) -> None:
    full = make_site()  # of its own, because what is listed anew is so for everybody
    own_world(full, withheld=True)
    newcomer(full, "maya", 0)
    maya = Follower(full, "maya")
    low = maya.follow()
    assert maya.follow() == set()
    newcomer(full, "maya", 3)
    late = maya.follow()
    assert late == {int(own[-12:], 16) for own, _ in full.seen("rung3") - full.seen("rung0")}
    assert maya.follow() == set()
    page = full.ask("maya", "collections/own/objects/?limit=1").json()
    newcomer(full, "maya", 1)
    assert full.seen("maya") == full.seen("rung1")
    answer = full.ask("maya", f"collections/own/objects/?limit=1&next={page['next']}")
    assert answer.status_code == 400, "the cursor is bound to the clearance"
    assert low <= {int(own[-12:], 16) for own, _ in full.seen("maya")}


@pytest.mark.parametrize("side", [0, 1])
def test_orders_hide_and_show_at_both_ends_at_once(make_site: Callable[..., Site], side: int) -> None:
    """Raised, lowered, withdrawn and destroyed releases, at the sender (`to-`) and the receiver (`from-`)."""
    site = make_site(side)
    pair, a = site.pair, site.pair.a
    words = a.law.law.party[a.party].levels
    alias = f"to-{pair.b.party}" if side == 0 else f"from-{a.party}"
    rids = {}
    for number, level in [(1, 0), (2, 0), (3, 3), (4, 0), (5, 0), (6, 2)]:
        body = as_bytes(indicator(number, name=f"canary-{number:02d}-"))
        (done,) = a.dispatch([pair.approved(a, [body], level=words[level])])
        rids[number] = done.rid
    pair.exchange()
    readers = {name: Follower(site, name, alias) for name in LADDER}
    assert [readers[name].follow() for name in LADDER] == [{1, 2, 4, 5}] * 2 + [{1, 2, 4, 5, 6}] + [
        {1, 2, 3, 4, 5, 6}
    ] * 2
    ordered(pair, a, rids[2], "reclass", Remark(level=words[3]))
    ordered(pair, a, rids[3], "reclass", Remark(level=words[0]))
    ordered(pair, a, rids[4], "withdraw")
    ordered(pair, a, rids[5], "destroy")
    pair.exchange()
    for node in pair.nodes.values():
        node.answer()
    gone = {4} if side else {4, 5}
    now = {"rung0": {1, 3, 5} - gone, "rung2": {1, 3, 5, 6} - gone, "rung3": {1, 2, 3, 5, 6} - gone}
    for name, want in now.items():
        assert {int(own[-12:], 16) for own, _ in site.seen(name, alias)} == want, name
        answers = transcript(site, name, (alias,), [id_of(number) for number in range(2, 5)])
        for number in range(1, 7):
            assert any(f"canary-{number:02d}-" in one for one in answers) == (number in want), (name, number)
    assert readers["rung0"].follow() == {3}, "what was lowered is found by who follows"
    assert readers["rung3"].follow() == {3}
    ordered(pair, a, rids[2], "reclass", Remark(level=words[0]))
    pair.exchange()
    assert readers["rung0"].follow() == {2}, "and what was lowered again"
    site.node.rebuild()
    for name, want in now.items():
        assert {int(own[-12:], 16) for own, _ in site.seen(name, alias)} == want | {2}, name
    assert readers["rung0"].follow() == now["rung0"] | {2}, "made anew, all is listed anew"


def test_an_order_that_came_before_the_key_counts_from_the_first_moment(make_site: Callable[..., Site]) -> None:
    site = make_site(1)
    pair, a, b = site.pair, site.pair.a, site.pair.b
    words = a.law.law.party[a.party].levels
    (done,) = a.dispatch([pair.approved(a, [as_bytes(indicator(1))], level=words[0])])
    ordered(pair, a, done.rid, "reclass", Remark(level=words[3]))
    b.pull()  # entry and order, but no key yet
    a.pull()
    b.pull()
    assert b.view.holding(done.rid) is not None
    alias = f"from-{a.party}"
    assert [len(site.seen(name, alias)) for name in LADDER] == [0, 0, 0, 1, 1]
    b.rebuild()
    assert [len(site.seen(name, alias)) for name in LADDER] == [0, 0, 0, 1, 1]


def test_what_crossed_is_listed_though_the_process_ended_before_it_could_be(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    pair = site.pair
    rid = pair.approved(pair.a, [as_bytes(indicator(1))])
    with monkeypatch.context() as broken:

        def ends(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr("entente.node.dispatch.list_sent", ends)
        with pytest.raises(KeyboardInterrupt):
            pair.a.dispatch([rid])
    alias = f"to-{pair.b.party}"
    assert not site.seen("rung4", alias)
    pair.open(pair.a.party)
    assert len(site.seen("rung0", alias)) == 1
