"""Elements: values as HTML. What pages have by the thousand is written here, and not in a template: it is faster."""

from datetime import date

from markupsafe import Markup

from pipeline.model.fields import Field, Kind
from pipeline.model.values import Value
from pipeline.pages.numbers import Shown, difference, shown, shown_pair

_NOTHING = Markup('<span class="none" aria-hidden="true">\u2013</span><span class="hidden">no value</span>')
_TEXT = Markup('<span class="text">%s</span>')
_LONG_TEXT = Markup('<span class="text" title="%s">%s</span>')
_DATE = Markup('<time datetime="%s">%s</time>')
_NUMBER = Markup('<data value="%s" title="%s">%s</data>')
_CHANGE = Markup('<data class="%s" value="%s"%s>%s%s</data>')
_TITLE = Markup(' title="%s"')
_LONG = 24
"""A text of this many letters may be cut by its column: hovering shows it whole."""


def value_element(field: Field, value: Value | date) -> Markup:
    """Return the element of a value as people read it: with the exact one on hover, and for programs."""
    return _element(shown(field, value))


def pair_elements(field: Field, before: Value | date, after: Value | date) -> tuple[Markup, Markup]:
    """Return the same of two values that stand beside each other: those that differ look different."""
    one, other = shown_pair(field, before, after)
    return _element(one), _element(other)


def change_element(field: Field | None, before: object, after: object, relative: float | None) -> Markup:
    """Return the element of a change: its sign is not told by colour alone. Nothing where it cannot be told."""
    found = difference(field, before, after, relative)
    if found is None:
        return Markup()
    name, sign = ("up", "▲ ") if found.exact > 0 else ("down", "▼ ") if found.exact < 0 else ("", "")
    title = _TITLE % (found.title,) if found.title else Markup()
    return _CHANGE % (name, found.exact, title, sign, found.text)


def _element(one: Shown | None) -> Markup:
    if one is None:
        return _NOTHING
    if one.kind is Kind.TEXT:
        return _TEXT % (one.text,) if len(one.text) <= _LONG else _LONG_TEXT % (one.exact, one.text)
    if one.kind is Kind.DATE:
        return _DATE % (one.exact, one.text)
    return _NUMBER % (one.exact, one.title, one.text)
