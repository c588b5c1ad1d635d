"""How fast are queries to millions of snapshots, and how does that grow?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generated import DAYS, LARGE, SMALL, TIMEOUT, database_in, databases, generate
from benchmarks.processes import measured, report_progress
from benchmarks.report import Line, ratio

QUESTION = "History: repeated queries, in milliseconds, the median of nine; the targets are for 10 million"
_COMPARED = 200
"""Companies whose snapshots are compared with rows of JSON: four kilobytes each."""


@dataclass(frozen=True, slots=True)
class _Query:
    """One of the figures of `benchmarks.queries`."""

    figure: str
    what: str
    target: str
    rows: str


_QUERIES = (
    _Query("history", "history of one field, one symbol", "≤ 5 ms", "history_rows"),
    _Query("as_of", "as-of, all symbols, three fields: tuples", "≤ 150 ms", "as_of_rows"),
    _Query("as_of_objects", "  the same, as objects", "≤ 150 ms", "as_of_rows"),
    _Query("as_of_weekend", "  of a weekend, later confirmed: tuples", "≤ 150 ms", "as_of_rows"),
    _Query("changes", "changes of a day, all symbols", "≤ 350 ms", "changes_rows"),
    _Query("history_locked", "locked at that day: history", "≤ 5 ms", "history_locked_rows"),
    _Query("as_of_locked", "  as-of, all symbols: tuples", "≤ 150 ms", "as_of_rows"),
    _Query("changes_locked", "  changes of a day, all symbols", "≤ 350 ms", "changes_rows"),
    _Query("latest", "SQL: latest_overviews of a sector", "≤ 150 ms", "latest_rows"),
    _Query("restatements", "SQL: restatements of 30 days, all symbols", "", "restatements_rows"),
)


def measure(*, large: bool, folder: Path | None) -> list[Line]:
    """Return how long queries to a million snapshots take; if `large`, to ten million too.

    The databases are kept in `folder`, and found there again; without one they are temporary.
    """
    with databases(folder) as place:
        small, few = _queried(place, SMALL)
        lines = [*small, *_compared(place)]
        if large:
            lines += _grown(_queried(place, LARGE), few)
        else:
            lines.append(Line("10 million snapshots", "-", "", "python -m benchmarks history --large: 4 GB, 6 minutes"))
    return lines


Figures = dict[str, float]


def _queried(place: Path, companies: int) -> tuple[list[Line], Figures]:
    """Return the lines and the figures of a database of that many companies."""
    database, snapshots, generated = database_in(place, companies), companies * DAYS, generate(place, companies)
    report_progress(f"history: queries to {snapshots:,} snapshots")
    figures: Figures = measured("benchmarks.queries", str(database), timeout=TIMEOUT)
    lines = [
        Line(f"{snapshots:,} snapshots", f"{database.stat().st_size / 1e6:,.0f} MB", "", generated),
        *(
            Line(f"  {one.what}", f"{figures[one.figure]:.1f} ms", one.target, f"{figures[one.rows]:,} rows")
            for one in _QUERIES
        ),
    ]
    return lines, figures


def _grown(answer: tuple[Sequence[Line], Figures], few: Figures) -> list[Line]:
    """Return the lines of the large database, and each figure as a multiple of the small one's."""
    lines, many = answer
    growth = [f"{many[name] / few[name]:.1f} {what}" for name, what in _GROWTH.items()]
    return [*lines, Line("  against a million, with a tenth of the symbols", "", "", f"{', '.join(growth)} times")]


_GROWTH = {
    "history": "history",
    "as_of": "as-of",
    "changes": "changes",
    "latest": "latest",
}


def _compared(place: Path) -> list[Line]:
    """Return the size of rows of JSON and the time of the same queries, as multiples of this program's."""
    report_progress(f"history: rows of JSON, {_COMPARED} companies")
    database = database_in(place, SMALL)
    raw = measured("benchmarks.queries", str(database), "--compare", str(_COMPARED), timeout=TIMEOUT)
    ours_bytes, raw_bytes = database.stat().st_size / (SMALL * DAYS), raw["bytes_raw"] / raw["snapshots"]

    def line(what: str, raw_figure: str, our_figure: str) -> Line:
        made_of = f"{raw[raw_figure]:.1f} ms against {raw[our_figure]:.1f} ms, {_COMPARED} companies"
        return ratio(what, raw[raw_figure], raw[our_figure], target="", made_of=made_of)

    return [
        ratio(
            "  rows of JSON / ours: bytes a snapshot",
            raw_bytes,
            ours_bytes,
            target="",
            made_of=f"{raw_bytes:,.0f} against {ours_bytes:.0f}, the whole file, including observations",
        ),
        line("    history of one field, json_extract", "history_raw", "history_ours"),
        line("    as-of, GROUP BY symbol", "as_of_raw", "as_of_ours"),
        line("    as-of, a seek for each symbol, as ours", "as_of_raw_seeking", "as_of_ours"),
    ]
