"""What may befall a release of the first party's: acts by name, for tests that pick them at random."""

from lab.acts import derived, give_back, ordered
from lab.pair import Pair, sighted

ACTS = ("release", "exchange", "copy", "close", "withdraw", "destroy order", "destroy", "give back", "return", "derive")


def befall(pair: Pair, act: str, rid: str, number: int) -> None:
    """The act is done, or refused with an EntenteError; `number` makes what it releases another."""
    pair.clock.forward(minutes=7)
    match act:
        case "release":
            pair.release(pair.a, sighted(first=10 * number))
        case "exchange":
            pair.exchange()
        case "copy":
            pair.b.make_copy(rid, "Maj. Bose", "room 3")
        case "close":
            pair.b.close_copy(rid, 1)
        case "withdraw":
            ordered(pair, pair.a, rid, "withdraw")
        case "destroy order":
            ordered(pair, pair.a, rid, "destroy")
        case "destroy":
            pair.b.destroy(rid)
        case "give back":
            give_back(pair, pair.b, rid)
        case "return":
            pair.b.give_back(rid)
        case "derive":
            derived(pair, pair.b, rid)
