"""Spelling: numbers as the API writes them."""


def spell_number(value: float, places: int) -> str:
    """Return the number as the API spells it: no exponent, no negative zero, no trailing zeros. Up to 12 digits."""
    return repr(round(value, places) + 0.0).removesuffix(".0")


def spell_thousands(value: float) -> str:
    return str(round(value / 1000) * 1000)
