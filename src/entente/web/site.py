"""The whole of what a node serves its own persons: the desk's screens, the way in, and the services of areas."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from entente.errors import EntenteError
from entente.web import render
from entente.web.door import Door
from entente.web.entrance import Entrance
from entente.web.openapi import describe
from entente.web.permits import CrashError
from entente.web.screen import Download, Screen
from entente.web.screens import Screens
from entente.web.visit import NoneSuchError

Answer = Callable[[Request, Exception], Response]


class _OwnHost:
    """Answers only to names of this machine, or to the one that the proxy before it has.

    A page elsewhere whose name was made to lead here gets nothing. Source: OWASP ASVS 5.0, 3.5.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is asked of this node."""
        host = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"), "")
        if scope["type"] == "http" and not self._own(host):
            await PlainTextResponse("not a name of this node", 421)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name == "localhost" or (self.name and name == self.name):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def make_site(
    door: Door,
    screens: Sequence[Screen | Download],
    services: Sequence[BaseRoute],
    handlers: Mapping[type[Exception], Answer],
    root: str,
) -> Starlette:
    """The application; `services` are routes beside the pages, below `root`, and `handlers` answer what fails there."""
    site = Screens(door, screens)

    def answers(kind: type[Exception]) -> Answer:
        def answer(request: Request, fault: Exception) -> Response:
            if request.url.path.startswith(root):
                return handlers[kind](request, fault)
            return render.trouble(site.frame, request, _told(fault), None)

        return answer

    made = Starlette(
        routes=[*site.routes(), *Entrance(site).routes(), *services],
        exception_handlers={kind: answers(kind) for kind in handlers},
        middleware=[Middleware(_OwnHost, name=(urlsplit(door.origin).hostname or "").lower())],
    )
    made.router.redirect_slashes = False
    door.api = describe(made.routes, door.agreement)
    made.state.origin = door.origin
    return made


def _told(fault: Exception) -> EntenteError:
    """What a page says of a fault that no screen answered for."""
    if isinstance(fault, EntenteError):
        return fault
    if isinstance(fault, HTTPException) and fault.status_code in (404, 405):
        return NoneSuchError("there is nothing of this name here, or nothing that you may see")
    return CrashError("the request was not carried out")
