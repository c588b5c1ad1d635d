"""A picture as an HTML page that needs no network: drawn again by scripts, to zoom and hover, and its values.

The scripts stand in the page. Its policy names them by their hash, and allows neither others nor `eval`. Where no
scripts run, and on narrow screens, the picture is the SVG.
"""

import json
from base64 import b64encode
from dataclasses import astuple
from hashlib import sha256
from html import escape
from typing import Any

from pipeline.plot.labels import SUSPICIOUS
from pipeline.plot.palette import DARK, LIGHT, Palette, theme
from pipeline.plot.table import Cell, Heading, Table

START = """\
const {spec, light, dark} = JSON.parse(document.getElementById("spec").textContent);
const darkness = matchMedia("(prefers-color-scheme: dark)");
const draw = () => vegaEmbed("#picture", spec, {
  mode: "vega-lite", renderer: "svg", ast: true, config: darkness.matches ? dark : light,
  actions: {export: true, source: false, compiled: false, editor: false},
  tooltip: {theme: darkness.matches ? "dark" : "light"},
});
if (innerWidth >= 600) {
  draw();
  darkness.addEventListener("change", draw);
}
"""
"""What draws the picture, once the libraries are loaded. `ast`: expressions are interpreted, which needs no eval."""

_STYLE = """\
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
#picture, #picture.vega-embed { display: block; overflow-x: auto; }
#picture > svg { display: block; width: 100%; height: auto; }
p { color: var(--faint); font-size: 13px; }
.values { max-height: 32rem; overflow: auto; margin: 1rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding: 0 0 .5rem; }
th, td { text-align: left; padding: .2rem .75rem; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { position: sticky; top: 0; background: var(--paper); vertical-align: bottom; }
th small { display: block; font-weight: normal; color: var(--faint); }
.number { text-align: right; }
td.suspicious { color: var(--suspicious); font-weight: bold; }
#vg-tooltip-element table { width: auto; }
#vg-tooltip-element td { white-space: normal; border: 0; }
@media print { .values { max-height: none; overflow: visible; } }
"""


def html_page(*, svg: str, spec: dict[str, Any], table: Table, script: str) -> str:
    """Return the page of a picture, given as SVG and as a spec for the script. Colours follow the reader's choice."""
    svg = svg[svg.index("<svg ") :]
    for name, color in _colors(LIGHT).items():
        svg = svg.replace(color, f"var(--{name})")
    style = _STYLE.replace("LIGHT", _variables(LIGHT)).replace("DARK", _variables(DARK))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    shown = {"spec": spec, "light": theme(LIGHT), "dark": theme(DARK)}
    data = json.dumps(shown, separators=(",", ":")).replace("<", "\\u003c")  # no text can end the element
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(spec["title"]["text"])}</title>
<style>
{style}</style>
</head>
<body>
<figure id="picture" style="margin: 0">
{svg}
</figure>
{_table(table)}
<script type="application/json" id="spec">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _colors(palette: Palette) -> dict[str, str]:
    """Return the colours by the name of the variable that a page has for each."""
    *one_each, companies = astuple(palette)
    names = [name for name in Palette.__slots__ if name != "companies"]
    named = dict(zip(names, one_each, strict=True))
    return named | {f"company-{number}": color for number, color in enumerate(companies)}


def _variables(palette: Palette) -> str:
    return " ".join(f"--{name}: {color};" for name, color in _colors(palette).items())


def _table(table: Table) -> str:
    rows = "\n".join(
        f"<tr>{''.join(map(_cell, row, table.headings))}</tr>"
        for row in table.rows
    )  # fmt: skip
    return f"""\
<div class="values" tabindex="0">
<table>
<caption>{escape(table.caption)}</caption>
<thead><tr>{"".join(map(_heading, table.headings))}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _heading(heading: Heading) -> str:
    kind = ' class="number"' if heading.is_number else ""
    return f"<th{kind}>{escape(heading.name)}<small>{escape(heading.unit)}</small></th>"


def _cell(cell: Cell, heading: Heading) -> str:
    kinds = (["number"] if heading.is_number else []) + (["suspicious"] if cell.is_suspicious else [])
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    title = f' title="{SUSPICIOUS}"' if cell.is_suspicious else ""
    return f"<td{kind}{title}>{escape(cell.text)}</td>"
