"""The language seam: every word of ours goes through `say`; English is complete, and a pseudo-language tests that.

A catalogue is a mapping from the English text to another; what it lacks stands in English. What is data never passes
here: names of parties and persons stay in their own script.
"""

from collections.abc import Mapping

from entente.web.page import Said

ENGLISH = "en"
PSEUDO = "en-XA"  # for tests: what is not wrapped was not said through here
_CATALOGUES: dict[str, Mapping[str, str]] = {ENGLISH: {}}


def languages() -> tuple[str, ...]:
    """The languages that pages can be asked for in."""
    return tuple(_CATALOGUES)


def say(words: Said | str, language: str = ENGLISH) -> str:
    """The words in this language, with what belongs into them."""
    if isinstance(words, str):
        return words
    text = words.text if language == PSEUDO else _CATALOGUES.get(language, {}).get(words.text, words.text)
    if words.given:
        given = {name: f"{value:,}" if isinstance(value, int) else value for name, value in words.given.items()}
        text = text.format_map(given)
    return f"⟦{text}⟧" if language == PSEUDO else text


def many(count: int, one: str, several: str = "") -> Said:
    """A count with its noun, in the right number."""
    return Said("{n} " + (one if count == 1 else several or f"{one}s"), {"n": count})
