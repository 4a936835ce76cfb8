"""Persons at the desk, in tests: pages read, and forms handed in as a browser would."""

import html
import re

import httpx2

from lab.pair import Pair
from lab.site import PASSWORD, Site, put_password

NAMES = ("rao", "nair", "iyer", "sen", "rao.two", "nair.two", "low", "elsewhere")
FORM = re.compile(r"<form method=\"post\" action=\"([^\"]*)\"[^>]*>(.*?)</form>", re.DOTALL)
INPUT = re.compile(r"<input type=\"hidden\" name=\"([^\"]*)\" value=\"([^\"]*)\">")
OPTION = re.compile(r"<select [^>]*name=\"([^\"]*)\"[^>]*><option value=\"([^\"]*)\"")
PLAIN = re.compile(r"<input [^>]*name=\"([^\"]*)\" type=\"(?:text|number|date)\" value=\"([^\"]*)\"")
TAG = re.compile(r"<[^>]*>")


class Hands:
    """Persons at one node's desk."""

    def __init__(self, pair: Pair, code: str) -> None:
        self.pair = pair
        self.site = Site(pair, code)
        for name in NAMES:
            put_password(pair, self.site.node, name)

    def get(self, name: str, path: str) -> httpx2.Response:
        """The page as this person gets it."""
        return self.site.client.get(path, headers={"Authorization": f"Bearer {self.site.token(name)}"})

    def read(self, name: str, path: str) -> str:
        """The page's words."""
        answer = self.get(name, path)
        assert answer.status_code == 200, (answer.status_code, words(answer))
        return words(answer)

    def form(self, name: str, path: str, act: str) -> dict[str, str] | None:
        """What the form of this act would hand in as it stands; None if the page has no such form."""
        for _, body in FORM.findall(self.get(name, path).text):
            found = {key: html.unescape(value) for key, value in INPUT.findall(body)}
            if found.get("act") == act:
                found |= {key: html.unescape(value) for key, value in (*OPTION.findall(body), *PLAIN.findall(body))}
                return found
        return None

    def hand_in(self, name: str, path: str, act: str, **fields: str) -> httpx2.Response:
        """The form of this act, filled in and handed in, with the person's password where it is wanted."""
        found = self.form(name, path, act)
        assert found is not None, f"{name} has no form {act} on {path}"
        return self.post(name, path, {**found, "password": PASSWORD, **fields})

    def post(self, name: str, path: str, fields: dict[str, str]) -> httpx2.Response:
        """These fields handed in."""
        headers = {"Authorization": f"Bearer {self.site.token(name)}"}
        return self.site.client.post(path, data=fields, headers=headers)

    def close(self) -> None:
        """Nothing is served."""
        self.site.close()


def words(answer: httpx2.Response) -> str:
    """A page's text without its tags."""
    return " ".join(html.unescape(TAG.sub(" ", answer.text)).split())
