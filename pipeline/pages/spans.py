"""Spans: how far back a page looks, as a row of links: `30 days`, `1 year`, `All`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pipeline.pages.asked import interval_of
from pipeline.web.ask import Ask

ALL = "all"
"""As `since`: from the beginning of the record."""


class Span(NamedTuple):
    """A link to the same page of a span."""

    path: str
    name: str
    is_shown: bool


def spans(given: Mapping[str, str], choices: Iterable[tuple[str, str]], path: Callable[[str], str]) -> Sequence[Span]:
    """Return the links, given the page's parameters and pairs of a `since` and its name. Empty: the page's default."""
    is_plain = not given["until"]
    return [Span(path(since), name, is_plain and given["since"].strip().lower() == since) for since, name in choices]


def span_of(ask: Ask) -> tuple[datetime | None, datetime | None]:
    """Return the instants of the parameters `since` and `until`; None where there is none, and for `since=all`.

    Raise as `interval_of` does.
    """
    if (ask.first("since") or "").strip().lower() == ALL:
        return None, ask.instant("until", day_ends=True)
    return interval_of(ask)
