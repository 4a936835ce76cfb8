"""A person at the desk, in the lab: asks for pages and hands in forms, by a token or a password."""

import html
import json
import re
from dataclasses import dataclass
from typing import Any

import httpx2

from lab.site import Site

TAGS = re.compile(r"<[^>]+>")


@dataclass
class Seat:
    """One person of a site, as their browser would ask."""

    site: Site
    name: str

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.site.token(self.name)}"}

    def ask(self, path: str) -> httpx2.Response:
        """What is answered."""
        return self.site.client.get(path, headers=self._headers)

    def see(self, path: str) -> str:
        """The page's text as it is read; it must be there."""
        answer = self.ask(path)
        assert answer.status_code == 200, (path, answer.status_code, text_of(answer.text))
        return text_of(answer.text)

    def rows(self, path: str) -> list[dict[str, Any]]:
        """A list's rows, from its .json."""
        answer = self.ask(path)
        assert answer.status_code == 200, (path, answer.status_code, text_of(answer.text))
        found: list[dict[str, Any]] = json.loads(answer.text)["rows"]
        return found

    def hand_in(self, path: str, act: str, *, files: Any = None, **fields: str | list[str]) -> httpx2.Response:
        """What becomes of a form."""
        return self.site.client.post(path, headers=self._headers, data={"act": act, **fields}, files=files)

    def do(self, path: str, act: str, *, files: Any = None, **fields: str | list[str]) -> str:
        """Where an act that is done leads."""
        answer = self.hand_in(path, act, files=files, **fields)
        assert answer.status_code == 303, (answer.status_code, text_of(answer.text))
        return str(answer.headers["location"])


def text_of(page: str) -> str:
    """A page's main part without markup, on one line."""
    main = page.partition("<main")[2].partition("</main>")[0] or page
    return " ".join(html.unescape(TAGS.sub(" ", main)).split())


def banner_of(page: str) -> str:
    """What the banner says."""
    return " ".join(
        html.unescape(TAGS.sub(" ", page.partition('class="marking">')[2].partition("</strong>")[0])).split()
    )
