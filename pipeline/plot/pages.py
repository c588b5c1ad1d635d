"""Plots as files: SVG, PNG, or a page that holds the SVG and the values; whole or absent, and nothing in them acts."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from types import ModuleType

from pipeline.errors import Trouble, file_reason
from pipeline.instants import for_people
from pipeline.model.fields import Field, Kind
from pipeline.plot.series import Series, heading, journey, spoken


def save(path: Path, symbol: str, name: str | None, series: Sequence[Series], *, until: datetime) -> None:
    """Write the plot to a file of the kind its name says, over an older one. `until` is the last look.

    Written beside and renamed, so that the file is whole. Raise Trouble for another kind, without matplotlib, or if the
    file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (".svg", ".png", ".html"):
        raise Trouble(f"{path}: a picture is a file whose name ends in .svg, .png or .html")
    figure = _figure()
    if kind == ".png":
        content: bytes = figure.png(symbol, name, series, until=until)
    else:
        drawn = _titled(figure.svg(symbol, name, series, until=until), symbol, name, series)
        content = (drawn if kind == ".svg" else _page(drawn, figure.COLORS, symbol, name, series)).encode()
    _write(path, content)


def _figure() -> ModuleType:
    """Return the module that draws; matplotlib takes half a second to import, and is not always there."""
    # It speaks of its cache of fonts, at the import already, to people who asked for a picture.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from pipeline.plot import images as figure  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pipeline"):
            raise
        raise Trouble(
            f"a picture needs matplotlib, and {error.name} is not installed: pip install 'overview-pipeline[plot]'"
        ) from None
    return figure


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        if path.is_dir():
            raise Trouble(f"{path} is a folder: name a file in it")
        try:
            partial.unlink(missing_ok=True)  # of one that was killed
            with partial.open("xb") as file:
                file.write(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {file_reason(error)}") from None


# SVG


_COMMENT = re.compile("<!--.*?-->\n?", re.DOTALL)
"""matplotlib notes the text that its shapes spell."""
_DOCTYPE = re.compile("<!DOCTYPE[^>]*>\n?")
_SVG = re.compile("<svg [^>]*>")


def _titled(drawn: str, symbol: str, name: str | None, series: Sequence[Series]) -> str:
    """Return the SVG with a title and, for who cannot see it, a description; without what only its maker needs."""
    drawn = _DOCTYPE.sub("", _COMMENT.sub("", drawn))
    opening = _SVG.search(drawn)
    assert opening is not None
    told = "; ".join(f"{one.field.column}: {spoken(one) or journey(one.points)}" for one in series)
    words = f"\n <title>{escape(heading(symbol, name))}</title>\n <desc>{escape(told)}</desc>"
    return f'{drawn[: opening.end() - 1]} role="img">{words}{drawn[opening.end() :]}'


# HTML


_DARK = {
    "paper": "#16181b",
    "ink": "#eceef0",
    "faint": "#a3a9b0",
    "grid": "#2b2f34",
    "axis": "#565c64",
    "line": "#56b4e9",
    "unseen": "#4a90bd",
    "wrong": "#f08a3c",
}

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
th.when, td.when { text-align: left; }
td.none { color: var(--faint); }
td.wrong { color: var(--wrong); font-weight: bold; }
@media print { .values { max-height: none; overflow: visible; } }
"""


def _page(drawn: str, light: dict[str, str], symbol: str, name: str | None, series: Sequence[Series]) -> str:
    """Return a page that needs nothing else: no network, no script; its colours follow the reader's."""
    drawn = drawn[drawn.index("<svg ") :]
    for named, color in light.items():
        drawn = drawn.replace(color, f"var(--{named})")
    style = _STYLE.replace("LIGHT", _variables(light)).replace("DARK", _variables(_DARK))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(heading(symbol, name))}</title>
<style>
{style}</style>
</head>
<body>
{drawn}{_table(series)}
</body>
</html>
"""


def _variables(colors: dict[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


def _table(series: Sequence[Series]) -> str:
    """Return the values, newest first; a row a version, neighbours equal in every field made one."""
    rows = "\n".join(_row(row, series) for row in reversed(_versions(series)))
    names = "".join(f"<th>{escape(one.field.column)}<small>{escape(one.field.unit)}</small></th>" for one in series)
    return f"""\
<div class="values">
<table>
<caption>Each version, newest first: when it was first seen, and last seen unchanged (UTC).</caption>
<thead><tr><th class="when">observed_at</th><th class="when">confirmed_at</th>{names}</tr></thead>
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
    wrong: tuple[bool, ...]


def _versions(series: Sequence[Series]) -> list[_Version]:
    """Return the versions of the fields together. The series of one symbol have the same snapshots."""
    known = [{point.observed_at: point for point in one.points} for one in series]
    found: list[_Version] = []
    for at in sorted({at for points in known for at in points}):
        here = [points.get(at) for points in known]
        values = tuple(point.value if point else None for point in here)
        wrong = tuple(at in one.suspicious for one in series)
        since, until = at, max(point.confirmed_at for point in here if point)
        if found and (found[-1].values, found[-1].wrong) == (values, wrong):
            since = found.pop().observed_at
        found.append(_Version(since, until, values, wrong))
    return found


def _row(version: _Version, series: Sequence[Series]) -> str:
    when = "".join(f'<td class="when">{for_people(at)}</td>' for at in (version.observed_at, version.confirmed_at))
    cells = (
        _cell(one.field, value, wrong=wrong)
        for one, value, wrong in zip(series, version.values, version.wrong, strict=True)
    )
    return f"<tr>{when}{''.join(cells)}</tr>"


def _cell(field: Field, value: float | None, *, wrong: bool) -> str:
    if value is None:
        return '<td class="none">-</td>'
    text = f"{int(value):,}" if field.kind is Kind.INTEGER else f"{value:,}".removesuffix(".0")
    return f'<td class="wrong" title="looks wrong">{text}</td>' if wrong else f"<td>{text}</td>"
