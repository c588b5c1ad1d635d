"""Draw `pipeline as-of --plot`: on the terminal, or into a file."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.cli.drawing import show
from pipeline.cli.options import Options
from pipeline.model.fields import SYMBOL_FIELD, Field, find_field
from pipeline.model.invented import is_invented
from pipeline.plot.cross_section import Dot, Value, cross_section
from pipeline.plot.save import Picture
from pipeline.plot.scatter_spec import scatter_spec
from pipeline.plot.series import Company
from pipeline.plot.table import section_table
from pipeline.plot.terminal_scatter import terminal_scatter
from pipeline.query.history import History
from pipeline.query.results import Snapshot


def draw(
    history: History,
    instant: datetime,
    symbols: Sequence[str] | None,
    names: tuple[str, str],
    *,
    max_staleness: timedelta | None,
    target: Path | None,
    options: Options,
) -> int:
    """Draw two fields of the companies at the instant, and return how many companies were known then.

    Draw nothing if none was. Raise FieldNotFound, or Trouble where the fields make no picture.
    """
    first, second = find_field(names[0]), find_field(names[1])
    answer = history.as_of(instant, symbols, [first, second, "name", "description"], max_staleness=max_staleness)
    dots = [_dot(snapshot, first, second) for snapshot in answer]
    if not dots:
        return 0
    section = cross_section(instant, first, second, dots)
    show(
        lambda width, height, color: terminal_scatter(section, width=width, height=height, color=color),
        lambda: Picture(scatter_spec(section), scatter_spec(section, interactive=True), section_table(section)),
        target,
        options,
    )
    return len(dots)


def _dot(snapshot: Snapshot, first: Field, second: Field) -> Dot:
    name = snapshot["name"]
    company = Company(snapshot.symbol, name if isinstance(name, str) else None, is_invented(snapshot["description"]))
    assert snapshot.staleness is not None
    return Dot(company, _value(snapshot, first), _value(snapshot, second), snapshot.confirmed_at, snapshot.staleness)


def _value(snapshot: Snapshot, field: Field) -> Value:
    return snapshot.symbol if field is SYMBOL_FIELD else snapshot[field.column]
