"""A browser at the desk, without one: its own cookies, forms handed in as a page shows them."""

import httpx2
from starlette.testclient import TestClient

from lab.pages import Form, Parsed
from lab.site import PASSWORD, Site

OWN = "http://127.0.0.1"


class Browser:
    """One browser; `cookie` is its session's."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = TestClient(site.app, base_url=OWN, raise_server_exceptions=False, follow_redirects=False)

    def sign_in(self, user: str, password: str = PASSWORD, follow: str = "", **headers: str) -> httpx2.Response:
        """The form of the first page is handed in."""
        given = {"user": user, "password": password, "next": follow}
        return self.client.post("/signin", data=given, headers=headers)

    @property
    def cookie(self) -> str:
        """The session's cookie, "" if there is none."""
        return self.client.cookies.get(self.site.door.sign_in.cookie) or ""

    @cookie.setter
    def cookie(self, text: str) -> None:
        self.client.cookies.clear()
        self.client.cookies.set(self.site.door.sign_in.cookie, text)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """A page."""
        return self.client.get(path, headers=headers)

    def page(self, path: str) -> Parsed:
        """A page that must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return Parsed(answer.text)

    def form(self, path: str, act: str) -> Form:
        """The form of this act."""
        return next(one for one in self.page(path).forms if one.fields.get("act") == act)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        """These fields handed in."""
        return self.client.post(path, data=fields, headers=headers)

    def hand_in(self, path: str, act: str, **fields: str) -> httpx2.Response:
        """The form of this act as the page shows it, with these fields."""
        return self.post(path, {**self.form(path, act).fields, **fields})

    @property
    def inside(self) -> bool:
        """Whether it is signed in."""
        return self.get("/me").status_code == 200
