"""What every page and service of the listener stands on: who signs in, connections to view.db, the node to act with.

Reading never waits for the node. Acting borrows it from the worker of this process.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from entente.node.node import Node
from entente.store.shelf_pages import Pool
from entente.web.signin import SignIn


class Using(Protocol):
    """Lends the node to one thread at a time; `news`: something may be due now."""

    def __call__(self, *, news: bool = False) -> AbstractContextManager[Node]:
        """The node, for as long as the block lasts; BusyError if it cannot be had."""


class Door:
    """One node's door for its own persons. Close it after the listener has stopped."""

    def __init__(self, folder: Path, node: Node, using: Using) -> None:
        """`node` is asked who it is, now; `using` lends it later."""
        self.party, self.partner = node.party, node.partner
        self.agreement, self.exercise = node.law.law.id, node.law.law.exercise
        self.using: Using = using
        self.pool = Pool(folder / "view.db")
        self.sign_in = SignIn(folder, node.party, self.pool)

    def close(self) -> None:
        """Nothing is open any more."""
        self.pool.close()
        self.sign_in.close()
