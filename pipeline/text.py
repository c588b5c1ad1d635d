"""Text from outside, made harmless to whatever shows it."""

import unicodedata


def harmless(text: str, *, kept: str = "") -> str:
    """Return the text with each character that acts, rather than shows, written as its escape; but for those `kept`.

    Control characters, changes of direction, line ends of other kinds: they move a terminal's cursor, or forge a line.
    Spaces of every kind stay: company names hold no-break ones.
    """
    if text.isprintable():
        return text
    return "".join(c if c in kept or _shows(c) else repr(c)[1:-1] for c in text)


def _shows(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
