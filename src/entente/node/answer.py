"""Answer: what was received or refused is stated in our register, one entry per outcome. Answers provoke nothing."""

from entente.crossing.answer import answer_bodies
from entente.node.ledger import Draft, Ledger


def answer(node: Ledger) -> int:
    """Every outcome that is decided stands as an answer in our register; returns how many entries that took.

    With nothing to say nothing is written, so that idle nodes fall silent.
    """
    log_id = node.logs[node.partner]
    intents = node.db.intents(log_id)
    if not intents:
        return 0
    drafts = [Draft("answer", body) for body in answer_bodies(node.other_side.origin, intents)]
    done = node.append(drafts, also=lambda _: node.db.set_answered(log_id, [idx for idx, _ in intents]))
    return len(done)
