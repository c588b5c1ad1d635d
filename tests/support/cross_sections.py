"""Cross-sections to be plotted."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pipeline.model.fields import COLUMNS, Field
from pipeline.plot.cross_section import CrossSection, Dot, Value, cross_section
from pipeline.plot.series import Company

AT = datetime(2026, 3, 14, 23, tzinfo=UTC)
PE, CAP, SECTOR = COLUMNS["pe_ratio"], COLUMNS["market_capitalization"], COLUMNS["sector"]


def dots(*values: tuple[Value, Value], name: str = "Acme") -> list[Dot]:
    """Return a dot for each pair of values."""
    stale = timedelta(hours=5)
    return [
        Dot(Company(f"S{number}", name), first, second, AT - stale, stale)
        for number, (first, second) in enumerate(values)
    ]


def section(first: Field, second: Field, values: Sequence[tuple[Value, Value]], name: str = "Acme") -> CrossSection:
    """Return the cross-section of these values."""
    return cross_section(AT, first, second, dots(*values, name=name))
