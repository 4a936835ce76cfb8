"""The way in and out of the desk: signing in by password, signing out, and the files that its pages are drawn with."""

import logging
import mimetypes
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from entente.errors import EntenteError
from entente.web import diary, render
from entente.web.passkeys import SignInError, Site
from entente.web.permits import OPEN, CrashError, path_of
from entente.web.screens import Screens, check_origin, check_session, read_form

TODAY = "/"
SHIPPED = (".css", ".js", ".svg", ".woff2")
MOST_BYTES = 64 << 10  # a passkey's answer fits; nobody has signed in yet
_log = logging.getLogger(__name__)
Ask = Callable[[Request], Awaitable[Response]]


class Entrance:
    """The routes that nobody needs to be signed in for."""

    def __init__(self, site: Screens) -> None:
        self.site, self.door = site, site.door
        drawn = [*(files("entente.web") / "static").iterdir(), *(files("entente.web") / "fonts").iterdir()]
        self.files = {one.name: one.read_bytes() for one in drawn if one.name.endswith(SHIPPED)}

    def routes(self) -> list[Route]:
        """Sign-in, sign-out, and static files."""
        made: list[Any] = [
            Route(render.SIGN_IN, self._guarded(self.show), methods=["GET"]),
            Route(render.SIGN_IN, self._guarded(self.enter), methods=["POST"]),
            Route(f"{render.SIGN_IN}/passkey", self._guarded(self.challenge), methods=["GET"]),
            Route(f"{render.SIGN_IN}/passkey", self._guarded(self.enter_by_passkey), methods=["POST"]),
            Route("/signout", self._guarded(self.leave), methods=["POST"]),
            Route("/static/{name}", self.static, methods=["GET"]),
        ]
        for one in made:
            one.permit = OPEN
        return made

    def _guarded(self, endpoint: Ask) -> Ask:
        async def enter(request: Request) -> Response:
            try:
                return await endpoint(request)
            except EntenteError as fault:
                return render.trouble(self.site.frame, request, fault, None)
            except HTTPException:
                raise
            except ClientDisconnect:  # nobody is there to be answered
                return Response(status_code=400)
            except Exception as fault:  # noqa: BLE001 - a server would log it whole, and it may quote what was sent
                _log.error("a sign-in failed: %s", type(fault).__name__)
                return render.trouble(self.site.frame, request, CrashError("the request was not carried out"), None)

        return enter

    async def show(self, request: Request) -> Response:
        """The page with the form."""
        follow = render.local(request.query_params.get("next", ""))
        return render.sign_in(self.site.frame, request, {"fault": None, "next": follow, "user": ""})

    async def enter(self, request: Request) -> Response:
        """The person is signed in, and back where they wanted to go."""
        check_origin(request)
        given = await read_form(request, MOST_BYTES)
        user, follow = given.get("user"), render.local(given.get("next"))
        try:
            visitor = await self.door.sign_in.by_password(user, given.fields.get("password", ""))
        except EntenteError as fault:
            known = await run_sync(self.door.sign_in.has_key, user)  # what is no user may be a password
            self.door.diary.note(diary.TURNED_AWAY, user if known else "unknown", path_of(request))
            return render.sign_in(
                self.site.frame, request, {"fault": fault, "next": follow, "user": user}, fault.status
            )
        return self._admitted(request, visitor.handle, follow)

    async def challenge(self, request: Request) -> Response:
        """What a browser is asked to sign in by."""
        text = self.door.sign_in.passkeys.challenge(self._place(request))
        return Response(text, media_type="application/json", headers=render.HEADERS)

    async def enter_by_passkey(self, request: Request) -> Response:
        """The person whose passkey answered is signed in."""
        check_origin(request)
        given = await read_form(request, MOST_BYTES)
        follow = render.local(given.get("next"))
        try:
            visitor = await self.door.sign_in.by_passkey(given.get("credential"), self._place(request))
        except EntenteError as fault:
            self.door.diary.note(diary.TURNED_AWAY, "passkey", path_of(request))
            values = {"fault": fault, "next": follow, "user": ""}
            return render.sign_in(self.site.frame, request, values, fault.status)
        return self._admitted(request, visitor.handle, follow)

    def _place(self, request: Request) -> Site:
        found = self.door.site(request.headers.get("host", ""))
        if found is None:
            raise SignInError("passkeys are bound to a name, not to a number", remedy="Open the desk as localhost.")
        return found

    def _admitted(self, request: Request, handle: str, follow: str) -> Response:
        """On to where the person wanted to go, with a session of theirs."""
        response = RedirectResponse(follow or TODAY, 303, render.HEADERS)
        sessions = self.door.sign_in.sessions
        before = sessions.find(request.cookies.get(self.door.sign_in.cookie, ""))
        if before is not None:
            sessions.drop(before.digest)
        text = sessions.open(handle, request.headers.get("user-agent", ""))
        secure = self.door.origin.startswith("https:")
        response.set_cookie(self.door.sign_in.cookie, text, httponly=True, samesite="strict", secure=secure)
        self.door.diary.note(diary.SIGN_IN, handle, path_of(request))
        return response

    async def leave(self, request: Request) -> Response:
        """The session is over."""
        check_origin(request)
        given = await read_form(request, MOST_BYTES)
        session = self.door.sign_in.sessions.find(request.cookies.get(self.door.sign_in.cookie, ""))
        if session is not None:
            check_session(request, given, session)
            self.door.sign_in.sessions.drop(session.digest)
            self.door.diary.note(diary.SIGN_OUT, session.handle, path_of(request))
        made = RedirectResponse(render.SIGN_IN, 303, render.HEADERS)
        made.delete_cookie(self.door.sign_in.cookie)
        return made

    async def static(self, request: Request) -> Response:
        """A file that ships with the pages; its address changes with its bytes."""
        data = self.files.get(request.path_params["name"])
        if data is None:
            return Response("not found", 404, media_type="text/plain", headers=render.HEADERS)
        kind = mimetypes.guess_type(request.path_params["name"])[0] or "application/octet-stream"
        return Response(data, media_type=kind, headers={**render.HEADERS, "Cache-Control": "private, max-age=86400"})
