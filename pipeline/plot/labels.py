"""The texts in a plot: numbers, days and changes as people write them, and sentences where there is no line."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import floor, log10

from rich.cells import cell_len, set_cell_size

from pipeline.model.fields import Kind
from pipeline.plot.series import Point, Series, drawable, summary, suspicious_points

CONFIRMED = "confirmed"
UNCONFIRMED = "changed in between"
SUSPICIOUS = "suspicious"
UNCOVERED = "not covered"
"""The words of the legend."""

_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
SCIENTIFIC = 1e15, 1e-6
"""A number at least as large as the one, or smaller than the other, is written with its exponent."""


def fitting(text: str, width: int) -> str:
    """Return the text in at most `width` columns, with an ellipsis where it was longer; Chinese letters take two."""
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, width - 1).rstrip()}…" if width > 0 else ""


def placeholder(series: Series) -> str | None:
    """Return what to write where there is nothing to draw, or a single value. None where there is a line."""
    points = series.points
    if series.note is not None:
        return series.note
    if not points:
        return "nothing observed"
    times = "snapshot" if len(points) == 1 else "snapshots"
    interval = _interval(points[0].observed_at, points[-1].confirmed_at)
    first = next((value for point in points if (value := drawable(point.value)) is not None), None)
    if first is None:
        return f"no value in {len(points):,} {times}, {interval}"
    if len(points) == 1:
        suspicious = f", {SUSPICIOUS}" if suspicious_points(series) else ""
        return f"{human(first)}, {interval}{suspicious}"
    return None


def _interval(since: datetime, until: datetime) -> str:
    if day(since) == day(until):
        return f"seen on {day(since)}"
    return f"from {day(since)} to {day(until)}"


def trend(points: Sequence[Point]) -> str:
    """Return the first and the last value, and the change between them: `30.87 → 34.14, +10.6 %`."""
    values = summary(points)
    if values is None:
        return ""
    ending = ", then no value" if values.ends_without_value else ""
    if values.low == values.high:
        return f"{human(values.last)}, unchanged{ending}"
    change = percent_change(values.first, values.last)
    return f"{human(values.first)} → {human(values.last)}{f', {change}' if change else ''}{ending}"


def percent_change(first: float, last: float) -> str:
    """Return the change in per cent; empty where a percentage would mislead, from zero or across it."""
    if first == last:
        return "±0 %"
    if first * last <= 0:
        return ""
    percent = (last - first) / abs(first) * 100
    if abs(percent) >= 1_000_000:
        return ""
    places = 0 if abs(percent) >= 1000 else 1 if abs(percent) >= 0.1 else 3
    return f"{percent:+,.{places}f} %"


def day(instant: datetime) -> str:
    """Return the day of an instant, in UTC."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d")


def human(value: float) -> str:
    """Return a number to four digits or to the cent, as people write it: 3.142T, 450B, 12.3, 0.2741."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= SCIENTIFIC[0] or size < SCIENTIFIC[1]:
        return f"{value:.3g}"
    divisor, letter = scale_of(size)
    places = max(0, 3 - floor(log10(size / divisor)))
    if not letter and size < 100_000:
        places = max(places, 2)
    text = f"{value / divisor:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + letter


def scale_of(size: float) -> tuple[float, str]:
    """Return what to divide a number of this size by, and the letter that says so: 1e9 and `B`."""
    return next(((divisor, letter) for divisor, letter in _SCALES if size >= divisor), (1.0, ""))


def before(span: timedelta) -> str:
    """Return how long before an instant something was: `12 min before`, `27 h before`, `5 d before`."""
    hours = span / timedelta(hours=1)
    if hours < 1:
        return f"{hours * 60:.0f} min before"
    return f"{hours:.0f} h before" if hours < 72 else f"{hours / 24:,.0f} d before"


def exact(value: float | None, kind: Kind) -> str:
    """Return a value with all its digits: `2,452,637,876,000`, `1.23456`; a dash for none."""
    if value is None:
        return "-"
    return f"{int(value):,}" if kind is Kind.INTEGER else f"{value:,}".removesuffix(".0")
