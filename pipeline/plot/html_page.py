"""A plot as an HTML page: the SVG and a table of its values, without scripts or anything from the network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape

from pipeline.instants import for_people
from pipeline.model.fields import Field, Kind
from pipeline.plot.labels import SUSPICIOUS
from pipeline.plot.palette import DARK, LIGHT, Palette
from pipeline.plot.series import Plot, Series

_STYLE = """\
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
svg { display: block; width: 100%; height: auto; }
.values { max-height: 32rem; overflow: auto; margin: 1rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding: 0 0 .5rem; }
th, td { text-align: right; padding: .2rem .75rem; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { position: sticky; top: 0; background: var(--paper); vertical-align: bottom; }
th small { display: block; font-weight: normal; color: var(--faint); }
th.instant, td.instant { text-align: left; }
td.none { color: var(--faint); }
td.suspicious { color: var(--suspicious); font-weight: bold; }
@media print { .values { max-height: none; overflow: visible; } }
"""


def html_page(plot: Plot, svg: str) -> str:
    """Return the page. Its colours follow the reader's preference: each of the SVG's becomes a variable."""
    svg = svg[svg.index("<svg ") :]
    for name, color in asdict(LIGHT).items():
        svg = svg.replace(color, f"var(--{name})")
    style = _STYLE.replace("LIGHT", _variables(LIGHT)).replace("DARK", _variables(DARK))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(plot.title)}</title>
<style>
{style}</style>
</head>
<body>
{svg}{_table(plot.series)}
</body>
</html>
"""


def _variables(palette: Palette) -> str:
    return " ".join(f"--{name}: {color};" for name, color in asdict(palette).items())


def _table(series: Sequence[Series]) -> str:
    """Return the values, newest first: one row per version, neighbours equal in every field merged."""
    rows = "\n".join(_row(version, series) for version in reversed(_versions(series)))
    names = "".join(f"<th>{escape(one.field.column)}<small>{escape(one.field.unit)}</small></th>" for one in series)
    return f"""\
<div class="values">
<table>
<caption>Each version, newest first: when it was first seen, and last seen unchanged (UTC).</caption>
<thead><tr><th class="instant">observed_at</th><th class="instant">confirmed_at</th>{names}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


@dataclass(frozen=True, slots=True)
class _Version:
    observed_at: datetime
    confirmed_at: datetime
    values: tuple[float | None, ...]
    suspicious: tuple[bool, ...]


def _versions(series: Sequence[Series]) -> list[_Version]:
    """Return the versions of the fields together. The series of one symbol have the same snapshots."""
    points_at = [{point.observed_at: point for point in one.points} for one in series]
    found: list[_Version] = []
    for at in sorted({at for points in points_at for at in points}):
        points = [of_field.get(at) for of_field in points_at]
        values = tuple(point.value if point else None for point in points)
        suspicious = tuple(at in one.suspicious for one in series)
        since, until = at, max(point.confirmed_at for point in points if point)
        if found and (found[-1].values, found[-1].suspicious) == (values, suspicious):
            since = found.pop().observed_at
        found.append(_Version(since, until, values, suspicious))
    return found


def _row(version: _Version, series: Sequence[Series]) -> str:
    instants = (version.observed_at, version.confirmed_at)
    when = "".join(f'<td class="instant">{for_people(at)}</td>' for at in instants)
    cells = (
        _cell(one.field, value, suspicious=suspicious)
        for one, value, suspicious in zip(series, version.values, version.suspicious, strict=True)
    )
    return f"<tr>{when}{''.join(cells)}</tr>"


def _cell(field: Field, value: float | None, *, suspicious: bool) -> str:
    if value is None:
        return '<td class="none">-</td>'
    text = f"{int(value):,}" if field.kind is Kind.INTEGER else f"{value:,}".removesuffix(".0")
    return f'<td class="suspicious" title="{SUSPICIOUS}">{text}</td>' if suspicious else f"<td>{text}</td>"
