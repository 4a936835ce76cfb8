"""Whatever schemathesis asks of the desk, by the description that the desk gives of itself: no 5xx, and no other code.

Bad forms, odd ids, odd queries, with a person's password. TAXII's endpoints have a test of their own, by the standard.
"""

from collections.abc import Callable, Iterator

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from listening import HOST, Listening, listening, new_pair
from schemathesis import checks
from stix_objects import indicator

from entente.strict import parse_foreign
from lab.pair import Template

pytestmark = [pytest.mark.allow_hosts([HOST]), pytest.mark.fuzz]
TOO_NARROW = [
    checks.positive_data_acceptance,  # any text is a name that may be asked for
    checks.negative_data_rejection,
    checks.ignored_auth,  # a browser without a session is led to sign-in; tests/web asks about that
    checks.missing_required_header,
    checks.unsupported_method,  # tests/web/test_routes.py asks every route by every method
]


@pytest.fixture(scope="module")
def served(templates: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A node that holds some indicators and serves its desk."""
    place = tmp_path_factory.mktemp("fuzz-desk")
    with new_pair(templates("india-korea"), place) as pair, listening(pair, pair.codes[0]) as found:
        found.add([indicator(n) for n in range(1, 31)])
        yield found


@pytest.fixture(scope="module")
def described(served: Listening) -> schemathesis.BaseSchema:
    """What the desk says of itself, without TAXII, and without the way out."""
    answer = httpx2.get(f"{served.url}/openapi.json", headers={"Authorization": served.authorization})
    document = parse_foreign(answer.content)
    left = {path: one for path, one in document["paths"].items() if not path.startswith(("/taxii2", "/signout"))}
    return schemathesis.openapi.from_dict({**document, "paths": left})


def test_every_answer_is_one_that_the_desk_describes(described: schemathesis.BaseSchema, served: Listening) -> None:
    asked = 0
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(
                base_url=served.url, headers={"Authorization": served.authorization}, allow_redirects=False,
                excluded_checks=TOO_NARROW,
            )  # fmt: skip

        ask()
        asked += 1
    assert asked > 60
