"""Who follows X-TAXII-Date-Added-Last misses nothing, however many add at the same time."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from listening import HOST, OWN, Listening, listening
from stix_objects import indicator

from lab.pair import Pair

pytestmark = pytest.mark.allow_hosts([HOST])
UNTIL_S = 240.0


@pytest.fixture
def served(pair: Pair) -> Iterator[Listening]:
    """A node with nothing of its own."""
    with listening(pair, pair.codes[0]) as found:
        yield found


def follow(served: Listening, count: int, writers: list[threading.Thread], *, limit: int) -> list[str]:
    """Every id in the order in which it came, read after the last stamp alone, until `count` came or all is quiet."""
    found: list[str] = []
    after, deadline, quiet = "1970-01-01T00:00:00Z", time.monotonic() + UNTIL_S, 0
    while len(found) < count and quiet < 3 and time.monotonic() < deadline:
        alive = any(each.is_alive() for each in writers)
        answer = served.ask("GET", f"{OWN}objects/?limit={limit}&added_after={quote(after)}")
        assert answer.status == 200, answer
        items = answer.json.get("objects", [])
        found += [item["id"] for item in items]
        quiet = 0 if items or alive else quiet + 1
        if items:
            first, last = (answer.headers[f"x-taxii-date-added-{which}"] for which in ("first", "last"))
            assert after < first <= last
            after = last
    return found


def write(served: Listening, first: int, sizes: list[int]) -> None:
    for size in sizes:
        status = served.add([indicator(n) for n in range(first, first + size)])
        assert (status["success_count"], status["pending_count"]) == (size, 0)
        first += size


def race(served: Listening, sizes: list[list[int]], *, limit: int) -> None:
    threads = [
        threading.Thread(target=write, args=(served, 100_000 * number, each)) for number, each in enumerate(sizes, 1)
    ]
    for thread in threads:
        thread.start()
    wanted = [indicator(100_000 * number + n)["id"] for number, each in enumerate(sizes, 1) for n in range(sum(each))]
    found = follow(served, len(wanted), threads, limit=limit)
    for thread in threads:
        thread.join()
    assert len(found) == len(wanted)
    assert sorted(found) == sorted(wanted)


def test_a_slow_and_a_quick_writer_hide_nothing_from_a_reader(served: Listening) -> None:
    """The case by which OpenTAXII loses 547 of 903: one large POST, and small ones that overtake it."""
    race(served, [[900, 900], [3] * 60], limit=50)


@pytest.mark.slow
def test_two_writers_and_a_reader_of_10_000_objects_never_miss_one(served: Listening) -> None:
    race(served, [[1000, 1, 999] * 2 + [500, 500], [7] * 700 + [100]], limit=100)


def test_a_client_that_rounds_its_stamp_down_to_milliseconds_reads_some_again_and_misses_none(
    served: Listening,
) -> None:
    write(served, 1, [40])
    first = served.ask("GET", f"{OWN}objects/")
    write(served, 41, [3] * 20)
    rounded = first.headers["x-taxii-date-added-last"][:-4] + "Z"
    seen, after = [item["id"] for item in first.json["objects"]], f"{OWN}objects/?limit=30&added_after={rounded}"
    follow_on = ""
    while True:
        page = served.ask("GET", after + follow_on).json
        seen += [item["id"] for item in page["objects"]]
        if not page["more"]:
            break
        follow_on = f"&next={page['next']}"
    assert set(seen) == {indicator(n)["id"] for n in range(1, 101)}
    assert len(seen) <= 100 + 40
