"""Destruction, and giving back: keys first, then what was in the clear, then ciphertext; then the register says so.

What is to be gone, and what will be answered, is written to node.db before the first of it goes (an erasure). A crash
after that leaves something that the next opening or pull finishes; before it, nothing has happened. Each step can be
done again. The ciphertext of a release whose key is gone says nothing more, in whatever backup it rests: but what the
keys' own short-lived backup holds, and what a disk keeps of files that were removed, is outside a program's reach.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from entente.account.acts import Release, act_message, parse_body
from entente.account.judge import NotValidError
from entente.account.reconcile import release_state
from entente.account.state import ReleaseFact
from entente.crossing.answer import spans_of
from entente.errors import RefusedError, StateError
from entente.keys import Signer
from entente.node import act, copies
from entente.node.import_ import PACK
from entente.node.ledger import Draft, Ledger
from entente.register.entry import Sig, parse_entry
from entente.store.act_rows import BEGUN, ErasureRow
from entente.strict import canonical, encode, parse, read_own
from entente.treaty.approval import Core

__all__ = ["destroy", "give_back", "intend", "sealed_copy", "settle", "spans_of", "with_import"]
