"""What every page and service of the listener stands on: who signs in, what can be read, the node to act with.

Reading never waits for the node: pages have a second one beside it, open for reading alone, and TAXII connections to
view.db. Acting borrows the node from the worker of this process.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast
from urllib.parse import urlsplit

from starlette.requests import Request

from entente.node.node import Node
from entente.store.shelf_pages import Pool
from entente.web.diary import TURNED_AWAY, Diary
from entente.web.passkeys import Site
from entente.web.permits import path_of
from entente.web.signin import SignIn, Visitor

MOST_KEPT = 64
HOUR = len("2026-11-22T09")
T = TypeVar("T")


class Using(Protocol):
    """Lends the node to one thread at a time; `news`: something may be due now."""

    def __call__(self, *, news: bool = False) -> AbstractContextManager[Node]:
        """The node, for as long as the block lasts; BusyError if it cannot be had."""


class Door:
    """One node's door for its own persons. Close it after the listener has stopped."""

    def __init__(self, folder: Path, node: Node, using: Using, *, origin: str = "") -> None:
        """`node` is asked who it is, now; `using` lends it later.

        `origin` is how persons' browsers reach this listener through a TLS proxy, such as `https://desk.example`.
        """
        self.folder = folder
        self.party, self.partner = node.party, node.partner
        self.agreement, self.exercise = node.law.law.id, node.law.law.exercise
        self.names = {code: one.names for code, one in node.law.law.party.items()}  # by language, in its own script
        self.origin = origin.rstrip("/")
        self.using: Using = using
        self.pool = Pool(folder / "view.db")
        self.sign_in = SignIn(folder, node.party, self.pool)
        self.diary = Diary(folder / "node.db", node.now)
        self.api = b"{}"  # what this listener serves, as OpenAPI; `site` fills it in
        self._onlooker = node.onlooker()
        self._looking = threading.RLock()  # held while the onlooker is used
        self._kept: OrderedDict[tuple[Hashable, ...], object] = OrderedDict()
        self._founding = threading.Lock()
        self._lasting: dict[str, object] = {}

    def cookie(self, name: str) -> str:
        """The name of a cookie of this node's: another node may be reached under the same host name."""
        return f"entente_{self.party.encode().hex()}_{name}"

    def site(self, host: str) -> Site | None:
        """Where a browser that names this host reaches the desk; None if passkeys cannot be bound to it."""
        if self.origin:
            return Site(urlsplit(self.origin).hostname or "", self.origin)
        return Site("localhost", f"http://{host}") if host.partition(":")[0] == "localhost" else None

    def turned_away(self, request: Request, visitor: Visitor) -> None:
        """The home journal says that this person was not let in, or asked for what is not there for them."""
        self.diary.note(TURNED_AWAY, visitor.handle, path_of(request), method=request.method)

    @contextmanager
    def reading(self) -> Iterator[Node]:
        """The node as it stands now, to read from and not to keep; whoever writes it is not waited for."""
        with self._looking, self._onlooker.db.snapshot():
            self._onlooker.refresh()
            yield self._onlooker

    def kept(self, node: Node, key: tuple[Hashable, ...], make: Callable[[], T], *, hourly: bool = False) -> T:
        """What `make` gives, made once as long as the registers and the minute are the same; inside `reading` alone.

        `key` tells apart what one function makes for several readers; what two functions make never meets. `hourly`:
        the minute does not matter to it.
        """
        now = node.now()[: HOUR if hourly else None]
        heads = tuple((tree.size, tree.root()) for tree in node.trees.values())  # a restore may grow to the same size
        whole = (make.__module__, make.__qualname__, *key, heads, node.law.hash, now)
        if whole not in self._kept:
            self._kept[whole] = make()
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(whole)
        return cast("T", self._kept[whole])

    def lasting(self, name: str, make: Callable[[], T]) -> T:
        """The one thing of this name, made when it is first asked for and kept as long as the door is open."""
        with self._founding:
            if name not in self._lasting:
                self._lasting[name] = make()
            return cast("T", self._lasting[name])

    @contextmanager
    def apart(self) -> Iterator[Node]:
        """The node, to be asked where it is and nothing else: others read it meanwhile."""
        yield self._onlooker

    def close(self) -> None:
        """Nothing is open any more, and what was read has been written down."""
        self.diary.close()
        with self._looking:
            self._onlooker.close()
        self.pool.close()
        self.sign_in.close()
