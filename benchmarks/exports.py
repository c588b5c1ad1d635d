"""How fast is an export to Parquet, and what do others take for the same rows?"""

from pathlib import Path

from benchmarks.generated import DAYS, LARGE, SMALL, TIMEOUT, database_in, databases, generate
from benchmarks.processes import measured, report_progress
from benchmarks.report import Line, ratio

QUESTION = "Export: all snapshots to one Parquet file; the targets are for 10 million"
_PEERS = {"adbc": "ADBC's driver for SQLite, whole join", "duckdb": "DuckDB's scanner for SQLite, COPY of the view"}
Figures = dict[str, float]


def measure(*, large: bool, folder: Path | None) -> list[Line]:
    """Return how long an export of a million snapshots takes; if `large`, of ten million too."""
    with databases(folder) as place:
        lines, ours = _exported(place, SMALL)
        lines += [_peer(place, ours, name) for name in _PEERS]
        return lines + _exported(place, LARGE)[0] if large else lines


def _exported(place: Path, companies: int) -> tuple[list[Line], Figures]:
    """Return the lines of a database of that many companies, and the figures of its export."""
    generated, snapshots = generate(place, companies), companies * DAYS
    ours = _figures(place, companies, "ours")
    is_broken = ours["rows"] != snapshots
    lines = [
        Line(
            f"{snapshots:,} snapshots, a second of one core", _rate(ours), "≥ 200,000", generated, is_broken=is_broken
        ),
        Line("  a second, on all cores", f"{snapshots / ours['seconds']:,.0f} rows", "", f"{ours['seconds']:.1f} s"),
        Line("  peak memory", f"{ours['peak_megabytes']:.0f} MB", "≤ 300 MB"),
        Line("  bytes a row", f"{ours['bytes'] / snapshots:.1f}", "", f"{ours['bytes'] / 1e6:,.0f} MB"),
    ]
    return lines, ours


def _peer(place: Path, ours: Figures, name: str) -> Line:
    theirs = _figures(place, SMALL, name)
    size, memory = theirs["bytes"] / theirs["rows"], theirs["peak_megabytes"]
    made_of = f"{_rate(theirs)}, {size:.1f} bytes a row, {memory:.0f} MB"
    return ratio(f"  {_PEERS[name]} / ours", theirs["cpu_seconds"], ours["cpu_seconds"], target="", made_of=made_of)


def _figures(place: Path, companies: int, writer: str) -> Figures:
    report_progress(f"exporting: {companies * DAYS:,} snapshots, {writer}")
    figures: Figures = measured("benchmarks.exporting", str(database_in(place, companies)), writer, timeout=TIMEOUT)
    return figures


def _rate(figures: Figures) -> str:
    """Return the rows in a second of processor time: others may be busy on the machine meanwhile."""
    return f"{figures['rows'] / figures['cpu_seconds']:,.0f} rows"
