"""Formats: which of JSON, CSV and Parquet a request asks for, by the ending of its path or by its Accept header."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from http import HTTPStatus

from pipeline import extras
from pipeline.text import quoted
from pipeline.web.refusals import Refusal


class Format(StrEnum):
    """A format of a table, by the ending of a path that asks for it."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """Its name in the headers Accept and Content-Type."""
        return _MEDIA_TYPES[self]

    @property
    def content_type(self) -> str:
        """Its whole Content-Type."""
        return f"{self.media_type}; charset=utf-8; header=present" if self is Format.CSV else self.media_type


_MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
}
_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?", re.ASCII)
_MOST_RANGES = 50
"""Of an Accept header; what comes after is not read."""


def offered() -> Sequence[Format]:
    """Return the formats that tables are to be had in, the usual one first. Parquet needs a package."""
    return tuple(Format) if extras.have_arrow() else (Format.JSON, Format.CSV)


def accepted(header: str, offers: Sequence[Format]) -> Format:
    """Return which of the offers an Accept header likes best; of equals, the first. Raise Refusal if it takes none."""
    ranges = list(_ranges(header.split(",")[:_MOST_RANGES]))
    if not ranges:
        return offers[0]
    best = max(offers, key=lambda offer: _quality(offer.media_type, ranges))
    if _quality(best.media_type, ranges) > 0:
        return best
    problem = f"cannot answer as {quoted(header)}"
    if _quality(Format.PARQUET.media_type, ranges) > 0:
        problem = "cannot answer as Parquet: the server has no pyarrow"
        raise Refusal(HTTPStatus.NOT_ACCEPTABLE, problem, remedy=_INSTALL)
    types = " or ".join(offer.media_type for offer in offers)
    raise Refusal(HTTPStatus.NOT_ACCEPTABLE, problem, remedy=f"accept {types}")


def check_offered(form: Format) -> None:
    """Raise Refusal for a format, asked for by a path's ending, that this server cannot make."""
    if form not in offered():
        raise Refusal(
            HTTPStatus.NOT_IMPLEMENTED, "cannot answer as Parquet: the server has no pyarrow", remedy=_INSTALL
        )


_INSTALL = f"on the server, {extras.installs('parquet')}; or ask for CSV"


def _ranges(texts: Iterable[str]) -> Iterable[tuple[str, str, float]]:
    """Yield type, subtype and quality of each media range that can be read."""
    for text in texts:
        name, *parameters = (part.strip().lower() for part in text.split(";"))
        main, slash, sub = name.partition("/")
        if not slash:
            continue
        weights = [value.strip() for key, _, value in (one.partition("=") for one in parameters) if key.strip() == "q"]
        if not weights:
            yield main, sub, 1.0
        elif _QUALITY.fullmatch(weights[0]):
            yield main, sub, min(float(weights[0]), 1.0)


def _quality(media_type: str, ranges: Sequence[tuple[str, str, float]]) -> float:
    """Return how much a media type is wanted: what the most specific range says that has it; 0 if none does."""
    main, _, sub = media_type.partition("/")
    for wanted in ((main, sub), (main, "*"), ("*", "*")):
        found = [quality for one, other, quality in ranges if (one, other) == wanted]
        if found:
            return max(found)
    return 0.0
