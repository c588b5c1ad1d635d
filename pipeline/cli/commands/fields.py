"""`pipeline fields [FIELD...]`: list the field catalogue."""

import click

from pipeline.cli.options import Form, Options, examples, format_option, global_options, json_option
from pipeline.cli.output import print_json, print_rows
from pipeline.cli.params import fields_argument
from pipeline.model.fields import CATALOGUE, Field, find_field

_SPARE = ("unit", "name", "part", "missing")
"""What a narrow terminal does without, the last one first."""


@click.command(epilog=examples("pipeline fields", "pipeline fields pe_ratio 52WeekHigh", "pipeline fields --json"))
@fields_argument
@format_option
@json_option
@global_options
def command(
    options: Options,  # noqa: ARG001 - every command takes the global options
    *,
    fields: tuple[str, ...],
    form: Form,
    as_json: bool,
) -> None:
    """List the fields of an overview: column, the API's name, type, unit, what it is, how "no value" is written.

    Reads no database. The table `fields` of a database has the same rows.
    """
    rows = [_row(field) for field in [find_field(name) for name in fields] or CATALOGUE]
    if as_json:
        print_json(rows)
    elif form.is_table:
        names = ["field", "kind", "unit", "description", "name", "part", "missing"]
        print_rows(names, [[row[name] for name in names] for row in rows], form, spare=_SPARE)
    else:
        print_rows(list(rows[0]), [list(row.values()) for row in rows], form)


def _row(field: Field) -> dict[str, object]:
    """Return a field as the table `fields` has it."""
    return {
        "field": field.column,
        "name": field.name,
        "kind": field.kind.value,
        "part": field.part.value,
        "unit": field.unit,
        "fiscal": field.is_fiscal,
        "missing": field.missing,
        "description": field.description,
    }
