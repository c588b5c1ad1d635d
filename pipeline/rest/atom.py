"""Atom: a feed and its entries as XML (RFC 4287). Pure.

All text is from outside: it is escaped, and what XML cannot hold is replaced.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from uuid import UUID, uuid5

CONTENT_TYPE = "application/atom+xml; charset=utf-8"
_NAMESPACE = UUID("7b0f0a52-6e4e-5d0c-9d7e-0c6a1f2b7a11")
"""Of the ids below. It never changes: readers know entries by their ids."""
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, not even escaped."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a feed."""

    id: str
    title: str
    updated: str
    link: str
    html: str
    """The content, whose own texts are escaped already."""
    categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed."""

    id: str
    title: str
    subtitle: str
    updated: str
    itself: str
    """Its own address."""
    page: str
    """The address of the page that shows the same."""
    generator: str


def id_of(*names: str) -> str:
    """Return the id of what has these names: the same on any server."""
    return uuid5(_NAMESPACE, "\n".join(names)).urn


def xml(feed: Feed, entries: Iterable[Entry]) -> bytes:
    """Return a feed as XML in UTF-8."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{_text(feed.id)}</id>",
        f"<title>{_text(feed.title)}</title>",
        f"<subtitle>{_text(feed.subtitle)}</subtitle>",
        f"<updated>{_text(feed.updated)}</updated>",
        f"<author><name>{_text(feed.generator)}</name></author>",
        f"<generator>{_text(feed.generator)}</generator>",
        f'<link rel="self" type="application/atom+xml" href="{_text(feed.itself)}"/>',
        f'<link rel="alternate" type="text/html" href="{_text(feed.page)}"/>',
        *(line for entry in entries for line in _lines(entry)),
        "</feed>",
        "",
    ]
    return "\n".join(lines).encode()


def _lines(entry: Entry) -> Sequence[str]:
    return (
        "<entry>",
        f"<id>{_text(entry.id)}</id>",
        f"<title>{_text(entry.title)}</title>",
        f"<updated>{_text(entry.updated)}</updated>",
        f'<link rel="alternate" type="text/html" href="{_text(entry.link)}"/>',
        *(f'<category term="{_text(one)}"/>' for one in entry.categories),
        f'<content type="html">{_text(entry.html)}</content>',
        "</entry>",
    )


def _text(text: str) -> str:
    """Return a text as XML, in an element or an attribute."""
    possible = _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return escape(possible).replace("\r", "&#13;").replace("\t", "&#9;").replace("\n", "&#10;")
