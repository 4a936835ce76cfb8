"""Whatever schemathesis asks of TAXII's endpoints, the answer is one that the standard has, and never a 5xx."""

from collections.abc import Callable, Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from listening import HOST, Listening, listening, new_pair
from openapi import document
from schemathesis import checks
from stix_objects import indicator

from lab.pair import Template

pytestmark = [pytest.mark.allow_hosts([HOST]), pytest.mark.fuzz]
SAMPLE = "india-korea"
READ, GIVEN_UP = ([indicator(n)["id"] for n in some] for some in (range(1, 4), range(11, 14)))
TOO_NARROW = [
    checks.positive_data_acceptance,  # the document takes any text as a filter, so that any text is tried
    checks.negative_data_rejection,
    checks.ignored_auth,  # the server answers 429 to the eleventh wrong password; tests/web asks about sign-in
]
schema = schemathesis.openapi.from_dict(document(["own", "from-KOR", "to-KOR"], READ, GIVEN_UP))


@pytest.fixture(scope="module")
def served(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A node that holds some indicators, one in three versions."""
    place = tmp_path_factory.mktemp("fuzz")
    with new_pair(templates(SAMPLE), place) as pair, listening(pair, pair.codes[0]) as found:
        found.add([indicator(n) for n in range(1, 31)])
        for month in ("03", "04"):
            found.add([indicator(1, modified=f"2026-{month}-02T03:04:05.000Z")])
        yield found


@schema.parametrize()  # type: ignore[untyped-decorator]  # no types are here: it is in no dev environment
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_of_the_standards(case: schemathesis.Case, served: Listening) -> None:
    headers = {"Authorization": served.authorization}
    case.call_and_validate(base_url=served.url, headers=headers, excluded_checks=TOO_NARROW)
