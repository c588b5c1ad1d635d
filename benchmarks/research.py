"""How fast are a point-in-time join and a panel, and what do others take for the same join?"""

from pathlib import Path

from benchmarks.generated import DAYS, LARGE, SMALL, TIMEOUT, database_in, databases, generate
from benchmarks.processes import measured, report_progress
from benchmarks.report import Line, ratio

QUESTION = "Research: a million random rows joined to five fields, and a panel; the targets are for 10 million"
_PEERS = {"duckdb": "DuckDB's ASOF JOIN over the export", "polars": "Polars' join_asof over the export"}
Figures = dict[str, float]


def measure(*, large: bool, folder: Path | None) -> list[Line]:
    """Return how long both take among a million snapshots; if `large`, among ten million instead."""
    companies = LARGE if large else SMALL
    with databases(folder) as place:
        generated = generate(place, companies)
        _figures(place, companies, "prepare")
        ours = _figures(place, companies, "ours")
        return [
            Line(f"join among {companies * DAYS:,}", f"{ours['seconds']:.1f} s", "", f"{_cpu(ours)}; {generated}"),
            Line("  peak memory", f"{ours['peak_megabytes']:.0f} MB", "≤ 400 MB"),
            *(line for name in _PEERS for line in _peer(place, companies, ours, name)),
            *_panel(place, companies),
        ]


def _peer(place: Path, companies: int, ours: Figures, name: str) -> list[Line]:
    theirs = _figures(place, companies, name)
    made_of = f"{theirs['seconds']:.1f} s, {_cpu(theirs)}, {theirs['peak_megabytes']:.0f} MB"
    is_broken = theirs["known"] != ours["known"] or theirs["rows"] != ours["rows"]
    target = "≤ 1.5" if name == "duckdb" else ""
    return [
        ratio(f"  ours / {_PEERS[name]}", ours["seconds"], theirs["seconds"], target=target, made_of=made_of),
        Line("    by processor time", f"{ours['cpu_seconds'] / theirs['cpu_seconds']:.3f}", is_broken=is_broken),
    ]


def _panel(place: Path, companies: int) -> list[Line]:
    took = _figures(place, companies, "panel")
    cells = f"{took['rows']:,.0f} cells, {_cpu(took)}"
    return [
        Line("panel of one field, 250 days", f"{took['seconds']:.1f} s", "≤ 5 s", cells),
        Line("  peak memory", f"{took['peak_megabytes']:.0f} MB", "≤ 500 MB"),
    ]


def _cpu(figures: Figures) -> str:
    return f"{figures['cpu_seconds']:.1f} s of processor"


def _figures(place: Path, companies: int, way: str) -> Figures:
    report_progress(f"research: {companies * DAYS:,} snapshots, {way}")
    figures: Figures = measured("benchmarks.joining", str(database_in(place, companies)), way, timeout=TIMEOUT)
    return figures
