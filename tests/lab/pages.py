"""A page taken apart: its words and who may translate them, links, forms, banner, portion marks, and what is forbidden.

Nothing here knows the templates but for the banner's and the portion marks' classes.
"""

import html.parser
from dataclasses import dataclass, field

VOID = {"meta", "link", "input", "br", "img", "hr", "base", "col", "source", "wbr", "area", "embed", "track", "param"}
LEADS = {"href", "src", "action", "formaction", "data-href", "poster", "xlink:href", "srcset", "background", "cite"}


@dataclass
class Form:
    """A form: method, action, and what it hands in as it stands."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)


@dataclass
class _Open:
    tag: str
    kept: bool  # not to be translated
    classes: set[str]


class Parsed(html.parser.HTMLParser):
    """A page taken apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[tuple[str, bool]] = []  # (text, whether it is data)
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.banners: list[str] = []
        self.portions: list[str] = []
        self.faults: list[str] = []
        self.spoken: list[str] = []  # words of attributes that are read aloud
        self.drawn: list[str] = []  # words in pictures
        self._open: list[_Open] = []
        self._select = ""
        self.feed(text)
        self.close()
        self.banners = [" ".join(one.split()) for one in self.banners]
        self.portions = [one.strip("() ") for one in self.portions if one.strip("() ")]
        if self._open:
            self.faults.append(f"left open: {[one.tag for one in self._open]}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """What this tag says and leads to."""
        given = {name: value or "" for name, value in attrs}
        self._forbidden(tag, given)
        self.links += [value for name, value in given.items() if name in LEADS]
        self.spoken += [value for name, value in given.items() if name in ("aria-label", "title", "placeholder", "alt")]
        above = self._open[-1] if self._open else _Open("", kept=False, classes=set())
        kept = given["translate"] == "no" if "translate" in given else above.kept
        classes = set(given.get("class", "").split())
        if "marking" in classes:
            self.banners.append("")
        if "portion" in classes:
            self.portions.append("")
        self._form(tag, given)
        if tag not in VOID:
            self._open.append(_Open(tag, kept, classes))

    def _forbidden(self, tag: str, given: dict[str, str]) -> None:
        self.faults += [f"<{tag} {name}>" for name in given if name.startswith("on") or name in ("style", "srcdoc")]
        if tag in ("style", "iframe", "object", "embed", "base", "template", "frame"):
            self.faults.append(f"<{tag}>")
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.faults.append("<script> without a file of ours")

    def _form(self, tag: str, given: dict[str, str]) -> None:
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "form":
            self.forms.append(Form(given.get("method", "get").lower(), given.get("action", "")))
        elif not self.forms or not (name or tag == "option"):
            return
        elif tag == "select":
            self._select = name
            self.forms[-1].fields[name], self.forms[-1].kinds[name] = "", "choice"
        elif tag == "option":
            if "selected" in given or not self.forms[-1].fields.get(self._select):
                self.forms[-1].fields[self._select] = value
        elif tag == "button":
            self.forms[-1].acts.append(value)
        elif given.get("type") not in ("checkbox", "file"):
            self.forms[-1].fields[name], self.forms[-1].kinds[name] = value, given.get("type", tag)

    def handle_endtag(self, tag: str) -> None:
        """The tag is closed, and it must be the one open."""
        if tag in VOID:
            return
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> where {self._open[-1].tag if self._open else 'nothing'} is open")
            while self._open and self._open[-1].tag != tag:
                self._open.pop()
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """These words are shown."""
        if not self._open or self._open[-1].tag == "script":
            return
        if any("marking" in one.classes for one in self._open) and self.banners:
            self.banners[-1] += data
        if any("portion" in one.classes for one in self._open) and self.portions:
            self.portions[-1] += data
        if data.strip() and any(one.tag == "svg" for one in self._open):
            self.drawn.append(data.strip())
        elif data.strip():
            self.words.append((data.strip(), self._open[-1].kept))

    @property
    def text(self) -> str:
        """All its words in one line."""
        return " ".join(" ".join(words.split()) for words, _ in self.words)
