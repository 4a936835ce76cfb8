"""decide() a second, on requests that every rule passes, each with two approvals.

Three times: signatures and digests apart, with the digests of request and view that a journal may want, and with
Ed25519. The rival is the second implementation, written from the specification's table alone
(tests/treaty/second_decide.py); it reads plain dictionaries, ours typed objects made beforehand. The floor of the last
case is the two Ed25519 verifications alone.
"""

import hashlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bench.measure import Result, rates, take_turns, timed
from entente import keys
from entente.keys import Verifier
from entente.treaty.agreement import Agreement
from entente.treaty.approval import approval_message
from entente.treaty.decision import decide
from entente.treaty.request import Request, View, request_digest, view_digest

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "treaty"))
import random_cases
from second_decide import canonical, pae, second_decide

CASES = 100
APPROVALS = 2
STEPS = 5
ROUNDS = 11
SEED = 20261122
Tree = dict[str, Any]
Raw = tuple[Tree, Tree, Tree]
Typed = tuple[Agreement, View, Request]


def run() -> Iterator[Result]:
    """The three cases."""
    raw = _permits()
    typed = [_typed(*case) for case in raw]
    _check(raw, typed)
    floor = _verifications(typed)
    yield _measured("signatures and digests apart", _ours(typed, _believe), _rival(raw, _believe))
    yield _measured("with digests", _digesting(typed), _rival_digesting(raw))
    yield _measured("with Ed25519", _ours(typed, keys.verify), _rival(raw, random_cases.verify.__wrapped__), floor)


def _believe(_key: str, _message: bytes, _signature: str) -> bool:
    return True


def _permits() -> list[Raw]:
    """Cases from the differential test's generator before it breaks anything."""
    chance = random.Random(SEED)  # noqa: S311 - the same cases each time
    agreements = [random_cases.sample(path) for path in sorted(random_cases.SAMPLES.glob("*.toml"))]
    found: list[Raw] = []
    while len(found) < CASES:
        draft = random_cases.base(chance, chance.choice(agreements))
        if len(draft.approvals) == APPROVALS:
            random_cases.sign(draft)
            random_cases.prune(draft)
            found.append((draft.agreement, draft.view, draft.request))
    return found


def _typed(agreement: Tree, view: Tree, request: Tree) -> Typed:
    return (
        msgspec.convert(agreement, Agreement, strict=True),
        msgspec.convert(view, View),
        msgspec.convert(request, Request),
    )


def _check(raw: Sequence[Raw], typed: Sequence[Typed]) -> None:
    """Both implementations permit every case, with real signatures; they differ in nothing that is measured."""
    permits = [decide(*case, keys.verify).permit for case in typed]
    rivals = [all(ok for _, _, ok, _ in second_decide(*case, random_cases.verify)) for case in raw]
    if not all(permits) or not all(rivals):
        raise RuntimeError("a case that should pass every rule does not")


def _measured(
    case: str, ours: Callable[[], float], rival: Callable[[], float], floor: Callable[[], float] | None = None
) -> Result:
    sides = {"value": ours, "rival": rival} | ({"floor": floor} if floor is not None else {})
    return rates(case, "decisions/s", CASES, take_turns(sides, rounds=ROUNDS, steps=STEPS))


def _ours(typed: Sequence[Typed], verify: Verifier) -> Callable[[], float]:
    return lambda: timed(lambda: [decide(law, view, request, verify) for law, view, request in typed])


def _rival(raw: Sequence[Raw], verify: Verifier) -> Callable[[], float]:
    return lambda: timed(lambda: [second_decide(law, view, request, verify) for law, view, request in raw])


def _digesting(typed: Sequence[Typed]) -> Callable[[], float]:
    def each() -> None:
        for law, view, request in typed:
            decide(law, view, request, _believe)
            request_digest(request)
            view_digest(view)

    return lambda: timed(each)


def _rival_digesting(raw: Sequence[Raw]) -> Callable[[], float]:
    def each() -> None:
        for law, view, request in raw:
            second_decide(law, view, request, _believe)
            hashlib.sha256(pae("request", canonical(request))).hexdigest()
            hashlib.sha256(pae("view", canonical(view))).hexdigest()

    return lambda: timed(each)


def _verifications(typed: Sequence[Typed]) -> Callable[[], float]:
    """The library's work alone: every key, message and signature made ready before."""
    ready = []
    for _, view, request in typed:
        for given in request.approvals:
            key = Ed25519PublicKey.from_public_bytes(keys.split_key(view.persons[given.by].key)[1])
            message = approval_message(request.core.rid, given.by, given.role, given.until)
            ready.append((key, bytes.fromhex(given.sig), message))

    def each() -> None:
        for key, signature, message in ready:
            key.verify(signature, message)

    return lambda: timed(each)
