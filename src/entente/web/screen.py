"""A screen: a page is one function of a visit, and what can be done there are functions beside it.

    @page("/exchange", said("Exchange"))
    def exchange(visit: Visit) -> Page: ...

    @exchange.act("retry")
    def retry(visit: Visit, given: Given) -> Done: ...

A page is made from the node opened for reading; an act has the node that can write as `visit.node`.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from entente.errors import KeyUnavailableError, UsageError
from entente.keys import SoftSigner
from entente.web.page import Done, Page, Said
from entente.web.permits import Permit
from entente.web.visit import Visit


class FieldError(UsageError):
    """What was written into a field of a form cannot be used; nothing was done."""

    code = "field"
    title = "Please look at this again"

    def __init__(self, field: str, detail: str, *, remedy: str = "") -> None:
        super().__init__(detail, remedy=remedy)
        self.field = field


class Given(msgspec.Struct, frozen=True):
    """What a form brought: its fields, the rows that were selected, files, and the person's password if it asks it."""

    fields: Mapping[str, str]
    selected: tuple[str, ...] = ()
    files: Mapping[str, tuple[str, bytes]] = {}
    several: Mapping[str, tuple[str, ...]] = {}

    def get(self, name: str) -> str:
        """A field, "" if it is not there."""
        return self.fields.get(name, "").strip()

    def need(self, name: str) -> str:
        """A field that must be there; FieldError if it is empty."""
        value = self.get(name)
        if not value:
            raise FieldError(name, "this is needed")
        return value

    def proof(self, visit: Visit) -> SoftSigner:
        """The visitor's own signer, opened by the password in this form: who signs proves anew who they are.

        Raises: FieldError if it is not their password; TooOftenError after too many.
        """
        sign_in = visit.door.sign_in
        self.need("password")
        counted = f"proof {visit.visitor.handle}"  # apart from sign-in, which strangers can try for anybody
        sign_in.count(counted, -1)
        try:
            found = visit.node.person_signer(visit.visitor.handle, self.fields["password"].encode())
        except KeyUnavailableError:
            raise FieldError("password", "this password does not open your key") from None
        sign_in.count(counted, 1)
        return found

    def number(self, name: str, least: int = 0, most: int = 10**9) -> int:
        """A whole number within bounds; FieldError otherwise."""
        value = self.need(name)
        if not (value.isascii() and value.isdecimal() and len(value) < 12 and least <= int(value) <= most):
            raise FieldError(name, f"a whole number from {least} to {most} is needed")
        return int(value)


Show = Callable[[Visit], Page]
Do = Callable[[Visit, Given], Done]


class File(msgspec.Struct, frozen=True):
    """Exact bytes to be saved, and the name they are saved under.

    `data` may be what makes them: it is called when nothing is locked any more.
    """

    data: bytes | Callable[[], bytes]
    name: str
    media: str = "text/plain; charset=utf-8"


Give = Callable[[Visit], File]


class Act(msgspec.Struct, frozen=True):
    """Something that can be done on a screen; `news`: a round of the worker is due after it.

    `apart`: it takes long, so it is done while others read and write; its visit's node tells where it is, no more.
    """

    name: str
    do: Do
    news: bool
    apart: bool = False


class Download:
    """A file at a path of its own."""

    def __init__(self, path: str, title: Said, show: Give, *, area: str, roles: Sequence[str]) -> None:
        self.path, self.title, self.show = path, title, show
        self.permit = Permit(area, tuple(roles))

    def __call__(self, visit: Visit) -> File:
        """The file for this visit."""
        return self.show(visit)


class Screen:
    """One page and what can be done there."""

    def __init__(
        self, path: str, title: Said, show: Show, *, area: str, roles: Sequence[str], menu: bool, key: str, lists: bool
    ) -> None:
        self.path, self.title, self.show = path, title, show
        self.permit = Permit(area, tuple(roles))
        self.menu, self.key, self.lists = menu, key, lists
        self.acts: dict[str, Act] = {}
        self.files: list[Download] = []

    def act(self, name: str, *, news: bool = False, apart: bool = False) -> Callable[[Do], Do]:
        """What is done when a form of this page with this name is handed in."""

        def add(do: Do) -> Do:
            self.acts[name] = Act(name, do, news, apart)
            return do

        return add

    def file(self, suffix: str) -> Callable[[Give], Give]:
        """What can be saved from this page: the path with this suffix gives its exact bytes."""

        def add(give: Give) -> Give:
            path = (self.path.rstrip("/") or "/index") + suffix
            self.files.append(Download(path, self.title, give, area=self.permit.area, roles=self.permit.roles))
            return give

        return add

    def __call__(self, visit: Visit) -> Page:
        """The page for this visit."""
        return self.show(visit)


def page(
    path: str, title: Said, *, area: str = "", roles: Sequence[str] = (), menu: bool = False, key: str = "",
    lists: bool = False,
) -> Callable[[Show], Screen]:  # fmt: skip
    """A screen at this path, for persons with this area and one of these roles.

    `menu`: it stands in the navigation, and `g` and then `key` leads there; `lists`: its page has a list, which can be
    had as `.csv` and `.json` too.
    """

    def make(show: Show) -> Screen:
        return Screen(path, title, show, area=area, roles=roles, menu=menu, key=key, lists=lists)

    return make


def download(path: str, title: Said, *, area: str = "", roles: Sequence[str] = ()) -> Callable[[Give], Download]:
    """A file at this path, for persons with this area and one of these roles; it is noted as an export."""

    def make(show: Give) -> Download:
        return Download(path, title, show, area=area, roles=roles)

    return make
