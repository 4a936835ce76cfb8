"""The whole of what a node serves its own persons: the desk's screens, the way in, and the services of areas."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entente.errors import EntenteError, FormatError
from entente.web import render
from entente.web.door import Door
from entente.web.entrance import Entrance
from entente.web.openapi import describe
from entente.web.permits import CrashError
from entente.web.screen import Download, Screen
from entente.web.screens import Screens
from entente.web.visit import NoneSuchError

HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
Answer = Callable[[Request, Exception], Response]


class _OwnHost:
    """Answers only to names of this machine, or to the one that the proxy before it has.

    A page elsewhere whose name was made to lead here gets nothing. Source: OWASP ASVS 5.0, 3.5.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is asked of this node."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in render.HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._own(hosts[0]):
            await PlainTextResponse("not a name of this node", 421)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _own(self, host: str) -> bool:
        if not HOST.fullmatch(host):
            return False
        name = (urlsplit(f"//{host}").hostname or "").lower()
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
            if str(request.scope["path"]).startswith(root):
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
    if isinstance(fault, HTTPException) and fault.status_code < 500:
        return FormatError("what was sent cannot be read")
    return CrashError("the request was not carried out")
