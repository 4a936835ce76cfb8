"""The fold: two registers become facts, the same on both nodes.

An entry of X is judged by X's earlier entries and by those of Y below its own `seen.size`, never by what the reader
happens to hold. What is not valid is listed and changes nothing; the fold goes on.
Source: design core-spec, Fold.
"""

from collections.abc import Callable, Mapping, Sequence

from entente.account import acts
from entente.account.judge import Judge, NotValidError, OnRelease, Rules, need, origin_name
from entente.account.state import FORM, Invalid, Pair, Side
from entente.account.view import agreement_at, prune_open
from entente.errors import EntenteError, FormatError, VerificationError
from entente.keys import Verifier
from entente.register.entry import Entry, act_id, parse_entry
from entente.treaty.agreement import Agreement, SignedAgreement

Roots = Callable[[str, int], str | None]
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def new_pair(law: Agreement) -> Pair:
    """Both registers empty."""
    first, second = law.parties
    return Pair(
        {
            party: Side(party, origin_name(law.id, party, law.other(party), 1), seen_root=EMPTY_ROOT)
            for party in (first, second)
        },
        FORM,
    )


class Fold:
    """Facts of two registers that grow entry by entry.

    `laws` holds every agreement by hash; `roots(party, size)` gives the hex root of a register at a size, or None if
    the register is shorter; `verify` checks one signature. `on_release` is called for each valid release before it
    joins the facts, so that the callee can compute its View.
    """

    def __init__(
        self,
        pair: Pair,
        laws: Mapping[str, SignedAgreement],
        roots: Roots,
        verify: Verifier,
        on_release: OnRelease | None = None,
    ) -> None:
        self.pair = pair
        self.laws = laws
        self.roots = roots
        self.verify = verify
        self.on_release = on_release

    def extend(self, entries: Mapping[str, Sequence[bytes]]) -> None:
        """Fold in the next entries of either register; the sizes after them are the cut.

        An entry waits until the partner's entries that it saw are folded; one that saw more than the cut holds is
        invalid.
        """
        queues = {party: list(items) for party, items in entries.items()}
        totals = {party: side.size + len(queues.get(party, ())) for party, side in self.pair.sides.items()}
        places = dict.fromkeys(queues, 0)
        while any(places[party] < len(queues[party]) for party in queues):
            moved = False
            for party, queue in queues.items():
                other = self.pair.other(party)
                while places[party] < len(queue):
                    data = queue[places[party]]
                    entry = _try_parse(data)
                    if isinstance(entry, Entry) and self._waits(entry, other, totals[other.party]):
                        break
                    self._fold_one(party, entry, totals[other.party])
                    places[party] += 1
                    moved = True
            if not moved:  # entries that truly saw each other would need a hash cycle; still, never loop
                party = next(party for party in queues if places[party] < len(queues[party]))
                self._fold_one(party, _try_parse(queues[party][places[party]]), 0)
                places[party] += 1

    def _waits(self, entry: Entry, other: Side, total: int) -> bool:
        """Whether the entry truly saw entries that are still waiting in the other queue.

        A lie about a root is seen at once: it must not wait, or the partner's entry that honestly saw it would wait
        for it.
        """
        seen = entry.seen
        return other.size < seen.size <= total and self.roots(other.party, seen.size) == seen.root

    def append(self, party: str, data: bytes) -> None:
        """Fold in the single next entry of one register, whose causes are already folded."""
        self._fold_one(party, _try_parse(data), self.pair.other(party).size)

    def _fold_one(self, party: str, entry: Entry | str, partner_total: int) -> None:
        side, other = self.pair.sides[party], self.pair.other(party)
        idx = side.size
        try:
            if isinstance(entry, str):
                raise NotValidError(entry)
            self._judge(side, other, idx, entry, partner_total)
        except NotValidError as fault:
            side.invalid.append(Invalid(idx, str(fault)))
        except EntenteError as fault:
            side.invalid.append(Invalid(idx, f"{fault.code}: {fault.detail}"[:200]))
        if isinstance(entry, Entry):
            side.last_at = entry.at
        side.size = idx + 1
        prune_open(side)

    def _judge(self, side: Side, other: Side, idx: int, entry: Entry, partner_total: int) -> None:
        """Apply a valid entry; raise on an invalid one, having changed nothing."""
        seen = entry.seen
        need(seen.epoch == other.epoch, "bad_seen")
        need(side.seen <= seen.size <= partner_total, "bad_seen")
        if (seen.size, seen.root) != (side.seen, side.seen_root):
            need(seen.size <= other.size and self.roots(other.party, seen.size) == seen.root, "bad_seen")
        need((idx == 0) == (entry.kind in ("genesis", "epoch")), "genesis stands first and only there")
        need((idx == 1) <= (entry.kind == "adopt"), "adopt stands second")
        body = acts.parse_body(entry.kind, entry.body)
        law = self._law(side, other, entry, body)
        nonced = hasattr(body, "nonce")
        act = act_id(side.origin, entry) if nonced else ""
        need(not nonced or act not in side.acts, "repeated act")
        rules = Rules(self.laws, self.verify, self.on_release)
        Judge(rules, self.pair, side, idx=idx, entry=entry, law=law, act=act).run(body)
        if nonced:
            side.acts[act] = idx
        if entry.kind in acts.RANK_2:
            side.rank2.append(idx)
        side.seen, side.seen_root = seen.size, seen.root

    def _law(self, side: Side, other: Side, entry: Entry, body: acts.Body) -> Agreement:
        """The agreement that the entry acts under: the author's latest that both adopted, as far as the author knew."""
        found = self.laws.get(entry.agreement)
        if found is None:
            raise NotValidError("unknown agreement")
        if isinstance(body, acts.Genesis | acts.Epoch):
            return found.law
        current = agreement_at(side, other, entry.seen.size, entry.at, self.laws)
        allowed = {current.hash} if current is not None else {side.agreement}
        if isinstance(body, acts.Adopt):
            allowed |= {body.agreement, side.agreement}
        if current is None:
            allowed |= set(side.adopted)
        need(entry.agreement in allowed, "acts under an agreement that is not the one in force")
        return found.law


def _try_parse(data: bytes) -> Entry | str:
    try:
        return parse_entry(data)
    except (FormatError, VerificationError) as fault:
        return f"format: {fault.detail}"[:200]
