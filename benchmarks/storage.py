"""How many bytes does a snapshot take, against the row of JSON that is usually stored?"""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import measured, report_progress
from benchmarks.report import Line

COMPANIES, DAYS = 50, 200
PARTS = ("snapshots", "profiles", "statements", "layouts")
QUESTION = (
    f"Storage: bytes a distinct snapshot, {COMPANIES} of the sandbox's companies on {DAYS} days, and a recorded series"
)
_RECORDING = Path(__file__).parents[2] / "shared" / "recordings" / "daily_2023_2025.jsonl.gz"
_NO_DBSTAT = "this build of SQLite has no dbstat, which is needed"


@dataclass(frozen=True, slots=True)
class Stored:
    """The size of the same snapshots in two files."""

    snapshots: int
    bytes_ours: int
    bytes_raw: int


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """The size of a recorded series, and how many of its overviews are read back exactly."""

    snapshots: int
    bytes_parts: int
    bytes_all: int
    """Of the whole file without the ledger and the runs' outcomes."""
    overviews: int
    exact: int


def measure() -> list[Line]:
    """Return the bytes of a snapshot in our tables and in one table of JSON, and those of a recorded series."""
    return [*_invented(), *_recorded()]


def _invented() -> list[Line]:
    report_progress(f"storage: {COMPANIES} companies, {DAYS} days")
    answer = measured("benchmarks.invented_series")
    if answer is None:
        return [Line("bytes a snapshot", "-", "≤ 300", _NO_DBSTAT)]
    stored = Stored(**answer)
    ours, raw = stored.bytes_ours / stored.snapshots, stored.bytes_raw / stored.snapshots
    return [
        Line("bytes a snapshot", f"{ours:.0f}", "≤ 300", f"{stored.snapshots:,} snapshots: {', '.join(PARTS)}"),
        Line("ours / rows of JSON", f"{ours / raw:.3f}", "", f"{raw:.0f} bytes a row, as received"),
    ]


def _recorded() -> list[Line]:
    what = "recorded series: bytes a snapshot"
    if not _RECORDING.exists():
        return [Line(what, "-", "≤ 300", f"skipped: {_RECORDING.name} not found")]
    report_progress("storage: a recorded series")
    answer = measured("benchmarks.recorded_series", str(_RECORDING))
    if answer is None:
        return [Line(what, "-", "≤ 300", _NO_DBSTAT)]
    series = RecordedSeries(**answer)
    parts, whole = series.bytes_parts / series.snapshots, series.bytes_all / series.snapshots
    return [
        Line(what, f"{parts:.1f}", "≤ 300", f"{series.snapshots:,} snapshots: {', '.join(PARTS)}, with their indexes"),
        Line(
            "  the file without ledger and outcomes",
            f"{whole:.1f}",
            "≤ 300",
            "including observations, symbols, runs and the schema",
        ),
        Line(
            "  overviews read back exactly",
            f"{series.exact:,}",
            f"{series.overviews:,}",
            "keys, their order, and values",
            is_broken=series.exact != series.overviews,
        ),
    ]
