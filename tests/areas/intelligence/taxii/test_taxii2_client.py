"""The OASIS client reads both nodes to the end: objects, manifest and versions, page by page, each object once."""

from collections.abc import Callable, Iterator
from itertools import chain

import pytest
from listening import HOST, PASSWORD, Listening, listening, new_pair
from stix_objects import as_bytes, indicator
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages

from lab.pair import Template

pytestmark = pytest.mark.allow_hosts([HOST])
MANY, LIMIT = 25, 4
STEPS = 7  # pages of LIMIT that hold MANY


@pytest.fixture(scope="module", params=["india-korea", "two-certs"])
def both(
    templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Listening, Listening]]:
    """Both nodes under each sample; the first has released MANY indicators, the second has nothing of its own."""
    with new_pair(templates(request.param), tmp_path_factory.mktemp(request.param)) as pair:
        pair.release(pair.a, [as_bytes(indicator(n, name=f"number {n}")) for n in range(1, MANY + 1)])
        pair.exchange()
        with listening(pair, pair.codes[0]) as first, listening(pair, pair.codes[1]) as second:
            yield first, second


def root_of(served: Listening) -> ApiRoot:
    found = Server(f"{served.url}/taxii2/", user=served.user, password=PASSWORD)
    assert found.default.url == f"{served.url}/taxii2/intelligence/"
    return found.default


def collection_of(served: Listening, alias: str) -> Collection:
    (found,) = [each for each in root_of(served).collections if each.alias == alias]
    return found


def ids(pages: Iterator[dict[str, object]]) -> list[list[str]]:
    found = []
    for page in pages:
        items = page.get("objects", [])
        assert isinstance(items, list)
        found.append([item["id"] for item in items])
        assert len(found) <= STEPS, "it asks for the same page for ever"
    return found


def expected() -> list[str]:
    return [indicator(n)["id"] for n in range(1, MANY + 1)]


def shelves(first: Listening, second: Listening) -> list[Collection]:
    ours, theirs = (each.user.partition("/")[0] for each in (first, second))
    return [
        collection_of(first, "own"),
        collection_of(first, f"to-{theirs}"),
        collection_of(second, f"from-{ours}"),
    ]


def test_objects_are_paged_to_the_end_at_both_nodes(both: tuple[Listening, Listening]) -> None:
    for each in shelves(*both):
        pages = ids(as_pages(each.get_objects, per_request=LIMIT))
        assert [len(page) for page in pages] == [LIMIT] * (STEPS - 1) + [MANY % LIMIT]
        assert [*chain(*pages)] == expected()


def test_the_manifest_is_paged_to_the_end_at_both_nodes(both: tuple[Listening, Listening]) -> None:
    for each in shelves(*both):
        assert [*chain(*ids(as_pages(each.get_manifest, per_request=LIMIT)))] == expected()


def test_the_bytes_that_crossed_are_the_bytes_that_were_sent(both: tuple[Listening, Listening]) -> None:
    for each in shelves(*both):
        assert each.get_objects(limit=MANY)["objects"] == [indicator(n, name=f"number {n}") for n in range(1, MANY + 1)]


def test_versions_are_paged_to_the_end(both: tuple[Listening, Listening]) -> None:
    _, second = both
    stamps = [f"2026-02-01T00:00:{n:02d}.000Z" for n in range(MANY)]
    for number, at in enumerate(stamps):
        second.add([indicator(90, modified=at, name=f"version {number}")])
    own = collection_of(second, "own")
    wanted = indicator(90)["id"]
    pages = []
    for page in as_pages(own.object_versions, LIMIT, wanted):
        pages.append(page["versions"])
        assert len(pages) <= STEPS
    assert [*chain(*pages)] == stamps
    assert [item["modified"] for item in own.get_object(wanted)["objects"]] == stamps[-1:]
    held = as_pages(own.get_object, LIMIT, wanted, version="all")
    assert [item["modified"] for page in held for item in page["objects"]] == stamps
    assert [item["modified"] for item in own.get_object(wanted, version=stamps[3])["objects"]] == [stamps[3]]
    own.delete_object(wanted)


def test_what_it_adds_it_reads_back_and_deletes(both: tuple[Listening, Listening]) -> None:
    _, second = both
    own = collection_of(second, "own")
    assert own.can_write
    assert "objects" not in own.get_objects()
    status = own.add_objects({"objects": [indicator(70), indicator(71, pattern="[not a pattern")]})
    assert (status.success_count, status.failure_count, status.pending_count) == (1, 1, 0)
    assert status.failures[0]["id"] == indicator(71)["id"]
    status.refresh()
    assert status.status == "complete"
    (held,) = own.get_objects()["objects"]
    assert held == indicator(70)
    own.delete_object(held["id"])
    assert "objects" not in own.get_objects()


def test_the_status_counts_each_object_of_the_envelope_also_one_that_is_in_it_twice(
    both: tuple[Listening, Listening],
) -> None:
    _, second = both
    own = collection_of(second, "own")
    status = own.add_objects({"objects": [indicator(80), indicator(80), {"type": "nonsense", "id": "x"}]})
    own.delete_object(indicator(80)["id"])
    assert (status.total_count, status.success_count, status.failure_count) == (3, 2, 1)


def test_the_partners_collection_takes_nothing(both: tuple[Listening, Listening]) -> None:
    first, second = both
    assert not collection_of(second, f"from-{first.user.partition('/')[0]}").can_write
