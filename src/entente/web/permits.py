"""Who may call what: every endpoint says it, and one that does not cannot be mounted."""

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from entente.errors import EntenteError, RefusedError
from entente.web.signin import SignIn, Visitor

Endpoint = Callable[[Request, Visitor], Awaitable[Response]]
Trouble = Callable[[Request, EntenteError, Visitor | None], Awaitable[Response]]
Note = Callable[[Request, Visitor], None]
E = TypeVar("E", bound=Callable[..., Awaitable[Response]])
SAFE = frozenset({"GET", "HEAD"})
_log = logging.getLogger(__name__)


class CrashError(EntenteError):
    """A request failed in a way that nobody foresaw; the log names the kind of fault. Nothing else is affected."""

    code = "crash"
    status = 500
    exit_code = 1
    title = "Something went wrong"


class Permit(msgspec.Struct, frozen=True):
    """What a visitor must hold: the area, and one of the roles unless there are none; `open`: nobody is asked."""

    area: str = ""
    roles: tuple[str, ...] = ()
    open: bool = False

    def allows(self, visitor: Visitor) -> bool:
        """Whether this visitor may come in."""
        return (not self.area or self.area in visitor.areas) and (
            not self.roles or bool({*self.roles} & {*visitor.roles})
        )


OPEN = Permit(open=True)


def path_of(request: Request) -> str:
    """The path that was asked for, decoded; unlike `request.url` it can be had of any address."""
    return str(request.scope["path"])


def permits(area: str = "", *, roles: Sequence[str] = ()) -> Callable[[E], E]:
    """Say who may call an endpoint: signed-in persons with this area and one of these roles."""

    def mark(endpoint: E) -> E:
        endpoint.permit = Permit(area, tuple(roles))  # type: ignore[attr-defined]  # read by `route` alone
        return endpoint

    return mark


def route(
    path: str, endpoint: Endpoint, *methods: str, sign_in: SignIn, desk: Trouble | None = None, note: Note | None = None
) -> Route:
    """A route by which only those come in whom the endpoint's `@permits` names.

    A tool with a token that may only read gets no further than reading. `desk` is given for a page: it answers what
    goes wrong there, and a browser's session counts. `note` is told of whoever is turned away.
    Raises: TypeError if it has no `@permits`.
    """
    permit: Permit | None = getattr(endpoint, "permit", None)
    if permit is None:
        raise TypeError(f"{endpoint.__qualname__} does not say whom it permits: give it @permits")

    @functools.wraps(endpoint)
    async def enter(request: Request) -> Response:
        visitor: Visitor | None = None
        try:
            visitor = await (sign_in.visitor(request) if desk is None else sign_in.at_desk(request))
            return await admitted(request, visitor)
        except HTTPException:
            raise
        except ClientDisconnect:  # nobody is there to be answered
            return Response(status_code=400)
        except Exception as fault:  # noqa: BLE001 - a server would log it whole, and it may quote what was sent
            told = _told(fault)
            if note is not None and visitor is not None and told.status in (403, 404):
                note(request, visitor)
            if desk is None:
                raise told from None
            return await desk(request, told, visitor)

    async def admitted(request: Request, visitor: Visitor) -> Response:
        if not permit.allows(visitor):
            raise RefusedError("this needs an area or a role that you do not have", place=path_of(request))
        if visitor.read_only and request.method not in SAFE:
            raise RefusedError("this token may only read", place=path_of(request), remedy="Use one that may write.")
        return await endpoint(request, visitor)

    made: Any = Route(path, enter, methods=list(methods))
    made.permit = permit
    return made  # type: ignore[no-any-return]


def _told(fault: Exception) -> EntenteError:
    """The fault, or of one that nobody foresaw that there was one."""
    if isinstance(fault, EntenteError):
        return fault
    _log.error("a request failed: %s", type(fault).__name__)
    return CrashError("the request was not carried out")
