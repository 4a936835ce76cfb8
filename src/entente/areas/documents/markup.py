"""Markup looked through for what acts: XML (Office, OpenDocument, SVG, any other) while it passes, HTML as a whole.

XML with a document type is refused, so no entity is ever expanded. HTML may hold only what is listed here: a parser of
ours and a browser need not agree on what the rest means.
"""

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from xml.parsers import expat

from entente.areas.documents.refusal import ActiveError

MAX_HTML = 16 << 20
MAX_XML = 512 << 20
MAX_TOKEN = 16 << 20

_SVG, _XHTML = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_OFFICE = re.compile(r"schemas[.-](?:openxmlformats\.org|microsoft[.-]com)|purl\.oclc\.org/ooxml|opendocument")
_OPEN = "urn:oasis:names:tc:opendocument"
_SPACES = {_RELATIONS: "relations", _TYPES: "types", _SVG: "svg", _XHTML: "html"}
_NAMES = 10_000  # names remembered; a file may have more
_OFFICE_ELEMENTS = frozenset(
    {
        "fldchar", "fldsimple", "ddelink", "olelink", "oleobject", "control", "altchunk", "attachedtemplate", "bindata",
        "binarydata",
    }
)  # fmt: skip
_SCRIPT_URL = re.compile(
    r"\s*(?:j\s*a\s*v\s*a|v\s*b|l\s*i\s*v\s*e)\s*s\s*c\s*r\s*i\s*p\s*t\s*:|\s*data:text", re.IGNORECASE
)
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_LINKS = frozenset({"http", "https", "mailto", "tel"})
_SVG_BAD = frozenset({"script", "foreignobject", "iframe", "handler", "listener", "embed", "object", "audio", "video"})
_CSS_BAD = re.compile(
    r"\\|@import|expression\s*\(|url\s*\(\s*[\"']?\s*(?!#|data:image/(?:png|jpeg|gif))|behavior|-moz-binding",
    re.IGNORECASE,
)
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z")
_BUTTON_BAD = re.compile(r"ppaction://(?:program|macro|ole)")
_FIELD_BAD = re.compile(
    r"\s*[\\\"]*\s*(DDEAUTO|DDE|INCLUDETEXT|INCLUDEPICTURE|IMPORT|LINK|DATABASE|MACROBUTTON|QUOTE)\b", re.IGNORECASE
)
_FORMULA_BAD = re.compile(r"\b(?:WEBSERVICE|CALL|EXEC|REGISTER(?:\.ID)?|DDE)\s*\(", re.IGNORECASE)
_TYPE_BAD = re.compile(r"macro|vba|activex|oleobject|ms-excel\.sheet\.binary", re.IGNORECASE)
_RELATION_BAD = re.compile(
    r"/(?:vbaProject|wordVbaData|oleObject|control|activeX\w*|ctrlProp|package|attachedTemplate|aFChunk|frame|subDocument"
    r"|externalLink\w*|mailMerge\w*|xl\w*Macrosheet|dialogsheet|connections|queryTable|extensibility|attachedToolbars)\Z",
    re.IGNORECASE,
)
_BREAKS = frozenset({"p", "h", "br", "tab", "tc", "c", "si", "tr", "table-cell", "s", "list-item"})
_HTML_TAG = re.compile(
    r"html|head|body|title|meta|style|p|div|span|br|hr|h[1-6]|a|b|i|u|s|em|strong|small|sub|sup|code|pre|kbd|samp"
    r"|blockquote|q|cite|abbr|dfn|ul|ol|li|dl|dt|dd|table|caption|colgroup|col|thead|tbody|tfoot|tr|th|td|img|figure"
    r"|figcaption|main|section|article|header|footer|nav|aside|address|time|mark|ins|del|font|center"
).fullmatch
_HTML_ATTRIBUTE = re.compile(
    r"lang|dir|class|id|title|style|href|src|alt|width|height|colspan|rowspan|scope|align|valign|border|cellpadding"
    r"|cellspacing|bgcolor|color|face|size|name|content|charset|datetime|start|type|value|summary|rel|target"
).fullmatch
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_HTML_RAW = re.compile(
    rb"<\s*/?\s*(?:script|iframe|object|embed|applet|svg|math|template|base|form|link)\b|<\?|\x00", re.IGNORECASE
)
Words = Callable[[str], None]


def _spoken(_: str) -> None:
    """Nobody listens."""


class Xml:
    """XML that passes in pieces; ActiveError as soon as it holds something that acts, or breaks XML.

    Which rules hold for an element says its namespace. `words` gets its text.
    """

    def __init__(self, words: Words = _spoken) -> None:
        self._words = words
        self._since = 0
        self._svg_root = False
        self._field: list[str] = []
        self._gathered: list[str] = []  # of a style or a formula
        self._inside: list[str] = []
        self._known: dict[str, tuple[str, str]] = {}
        self._size = 0
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def feed(self, piece: bytes) -> None:
        """The next bytes are looked through."""
        self._since += len(piece)
        self._size += len(piece)
        if self._size > MAX_XML:
            raise ActiveError("it holds XML of more than 512 MiB")
        try:
            self._parser.Parse(piece, False)  # noqa: FBT003 - pyexpat takes no names
        except expat.ExpatError:
            raise ActiveError("it holds damaged XML") from None
        if self._since > MAX_TOKEN:
            raise ActiveError("it holds a single piece of markup of more than 16 MiB")

    def finish(self) -> None:
        """The document is complete."""
        try:
            self._parser.Parse(b"", True)  # noqa: FBT003 - pyexpat takes no names
        except expat.ExpatError:
            raise ActiveError("it holds damaged XML") from None

    def _refuse_doctype(self, *_: object) -> None:
        raise ActiveError("it holds XML with a document type, by which it may draw in other things")

    def _instruction(self, target: str, _: str) -> None:
        if target.lower() == "xml-stylesheet":
            raise ActiveError("it holds XML that names a style sheet, which may be a program")
        if target.lower().startswith("mso-"):
            raise ActiveError("it is XML that an Office program opens, macros and all: save it as DOCX or XLSX")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._since = 0
        known = self._known.get(name)
        if known is None:
            known = self._known_name(name)
        local, kind = known
        self._inside.append(local)
        if len(self._inside) > 1000:
            raise ActiveError("it holds XML nested too deeply")
        if attributes:
            self._check_values(attributes)
        if self._svg_root or (local == "svg" and len(self._inside) == 1):
            self._svg_root, kind = True, "svg"
        if kind:
            self._rule(kind, local, attributes)

    def _known_name(self, name: str) -> tuple[str, str]:
        """The local name and by which rules an element of this name is looked at."""
        space, _, local = name.rpartition(" ")
        kind = _SPACES.get(space, "open" if space.startswith(_OPEN) else "office" if _OFFICE.search(space) else "")
        if len(self._known) < _NAMES:
            self._known[name] = local.lower(), kind
        return local.lower(), kind

    def _check_values(self, attributes: dict[str, str]) -> None:
        for value in attributes.values():
            if ":" in value and _SCRIPT_URL.match(value):
                raise ActiveError("it holds a link that runs a script")

    def _rule(self, kind: str, local: str, attributes: dict[str, str]) -> None:
        if kind == "html":
            raise ActiveError("it holds HTML inside XML")
        if kind == "svg":
            self._svg(local, attributes)
        elif kind == "relations":
            _relation(attributes)
        elif kind == "types":
            if _TYPE_BAD.search(attributes.get("ContentType", "")):
                raise ActiveError("it holds macros, controls or embedded objects")
        elif kind == "open":
            _open(local, attributes)
        elif attributes or local in _OFFICE_ELEMENTS:
            self._office(local, attributes)

    def _end(self, name: str) -> None:
        self._since = 0
        local = self._inside.pop()
        if local in ("style", "f"):
            gathered, self._gathered = "".join(self._gathered), []
            if local == "style" and _CSS_BAD.search(gathered):
                raise ActiveError("it holds a style that draws in something from elsewhere")
            if local == "f" and _FORMULA_BAD.search(gathered):
                raise ActiveError("it holds a formula that runs or fetches something")
        if local in _BREAKS or self._known.get(name, ("", ""))[1] != "office":
            self._words(" ")

    def _text(self, text: str) -> None:
        self._since = 0
        local = self._inside[-1] if self._inside else ""
        if local == "instrtext":
            self._field.append(text)
        elif local in ("style", "f"):
            self._gathered.append(text)
        else:
            self._words(text)

    def _svg(self, local: str, attributes: dict[str, str]) -> None:
        if local in _SVG_BAD:
            raise ActiveError(f"it holds a drawing (SVG) with <{local}>, which acts")
        for name, value in attributes.items():
            own = name.rpartition(" ")[2].lower()
            bad = (
                own.startswith("on")
                or own == "base"
                or (own in ("href", "src") and not (value.startswith("#") or _DATA_IMAGE.match(value)))
                or (own == "attributename" and value.lower().rpartition(":")[2] in ("href", "src", "style"))
                or _CSS_BAD.search(value if own == "style" or "url" in value.lower() else "")
            )
            if bad and not (own == "href" and local == "a" and _is_link(value)):
                raise ActiveError(f"it holds a drawing (SVG) whose <{local} {own}> acts or leads elsewhere")

    def _office(self, local: str, attributes: dict[str, str]) -> None:
        if local in ("fldchar", "fldsimple"):
            named = (value for name, value in attributes.items() if name.rpartition(" ")[2].lower() == "instr")
            self._check_field(next(named, ""))
        elif local in _OFFICE_ELEMENTS:
            raise ActiveError("it holds a linked or embedded object")
        for value in attributes.values():
            if value.startswith("ppaction:") and _BUTTON_BAD.match(value):
                raise ActiveError("it holds a button that runs something")

    def _check_field(self, instruction: str) -> None:
        gathered, self._field = "".join(self._field), []
        for text in (instruction, gathered):
            if _FIELD_BAD.match(text):
                raise ActiveError("it holds a field that fetches or runs something when it is updated")


def _relation(attributes: Mapping[str, str]) -> None:
    """What a part of an Office file names: nothing embedded, and outside it only what a person follows."""
    kind = attributes.get("Type", "")
    if _RELATION_BAD.search(kind):
        raise ActiveError(f"it holds something embedded or drawn in ({kind.rpartition('/')[2][:40]!a})")
    target = attributes.get("Target", "")
    followed = kind.lower().endswith("/hyperlink") and _is_link(target)
    if attributes.get("TargetMode", "").lower() == "external" and not followed:
        raise ActiveError("it draws in something from elsewhere when it is opened")


def _open(local: str, attributes: Mapping[str, str]) -> None:
    """OpenDocument: no scripts, no links to other programs, nothing drawn in from elsewhere."""
    if local == "encryption-data":
        raise ActiveError("it is encrypted, so that it cannot be looked into")
    if local in ("event-listener", "event-listeners", "script") or local.startswith("dde-"):
        raise ActiveError("it holds scripts or links to other programs")
    for name, value in attributes.items():
        own = name.rpartition(" ")[2].lower()
        if own == "formula" and _FORMULA_BAD.search(value):
            raise ActiveError("it holds a formula that runs or fetches something")
        if own == "href" and not (value.startswith("#") or _is_inner(value) or (local == "a" and _is_link(value))):
            raise ActiveError("it draws in something from elsewhere when it is opened")


def _is_link(target: str) -> bool:
    """Whether a person follows this of their own will, to a page or an address."""
    scheme = _SCHEME.match(target)
    return target.startswith("#") or (scheme is not None and scheme[1].lower() in _LINKS)


def _is_inner(target: str) -> bool:
    """Whether this names a part of the same file."""
    return _SCHEME.match(target) is None and not target.strip().startswith(("/", "\\", ".."))


class Html(HTMLParser):
    """An HTML page held to a list of what does not act; it is looked at as a whole, up to 16 MiB."""

    def __init__(self, words: Words = _spoken) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[bytes] = []
        self._size = 0
        self._words = words
        self._style = False

    def feed(self, piece: str | bytes) -> None:
        """The next bytes are kept."""
        if isinstance(piece, str):
            super().feed(piece)
            return
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > MAX_HTML:
            raise ActiveError("HTML of more than 16 MiB is not looked through")

    def finish(self) -> None:
        """Raises: ActiveError if the page may act or draw in something."""
        data = b"".join(self._parts)
        if _HTML_RAW.search(data):
            raise ActiveError("it is HTML with scripts, frames, forms or embedded things: save it as PDF or text")
        if any(found[1].lower() != b"utf-8" for found in _CHARSET.finditer(data)):
            raise ActiveError("it is HTML in another encoding than UTF-8: save it as UTF-8")
        super().feed(data.decode("utf-8", "replace"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Refuses what is not listed."""
        if not _HTML_TAG(tag):
            raise ActiveError(
                f"it is HTML with <{tag[:20]!a}>, which is not known to be harmless: save it as PDF or text"
            )
        self._style = tag == "style"
        for name, given in attrs:
            value = given or ""
            bad = (
                not _HTML_ATTRIBUTE(name)
                or _SCRIPT_URL.match(value)
                or (name == "href" and not (tag == "a" and (_is_link(value) or _is_inner(value))))
                or (name == "src" and not (tag == "img" and _DATA_IMAGE.match(value)))
                or (name == "style" and _CSS_BAD.search(value))
                or (tag == "meta" and name not in ("charset", "content", "name"))
            )
            if bad and not (tag == "meta" and name == "http-equiv" and value.lower() == "content-type"):
                raise ActiveError(
                    f"it is HTML whose <{tag} {name[:20]!a}> may act or draw something in: save it as PDF"
                )

    def handle_data(self, data: str) -> None:
        """Takes words; refuses a style that draws something in."""
        if self._style and _CSS_BAD.search(data):
            raise ActiveError("it is HTML with a style that draws in something from elsewhere")
        if not self._style:
            self._words(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        """Words of two elements do not run together."""
        self._style = False
        self._words(" ")
