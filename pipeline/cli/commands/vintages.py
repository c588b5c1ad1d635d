"""`pipeline vintages SYMBOL [FIELD...]`: list reported values by fiscal quarter, and when each was known."""

from datetime import datetime

import click

from pipeline.cli.options import (
    Form,
    Options,
    check_interval,
    examples,
    format_option,
    json_option,
    reading_options,
    since_option,
    universe_option,
    until_option,
)
from pipeline.cli.params import fields_argument, symbol_argument
from pipeline.cli.results import open_history, percent, print_result
from pipeline.cli.universe import say_since_when
from pipeline.model.fields import FieldNotFound


@click.command(
    epilog=examples(
        "pipeline vintages AAPL",
        "pipeline vintages AAPL revenue_ttm EBITDA --format csv",
        "pipeline vintages --all --since 30d",
    )
)
@symbol_argument(required=False)
@fields_argument
@click.option("--all", "of_all", is_flag=True, help="List the restatements of all symbols; takes FIELDS only.")
@universe_option
@since_option
@until_option
@format_option
@json_option
@reading_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    symbol: str | None,
    fields: tuple[str, ...],
    of_all: bool,
    universe: bool,
    since: datetime | None,
    until: datetime | None,
    form: Form,
    as_json: bool,
) -> None:
    """List each reported value of a SYMBOL by fiscal quarter, with the interval in which it was known.

    A second value for one quarter is a restatement: by the company, or, within days of its report, by the API, which
    updates the quarter first and its values later. Without FIELDS: all that come from a quarter's statements.
    """
    if symbol is None and not of_all:
        raise click.UsageError("name a SYMBOL, or use --all for the restatements of all symbols", ctx)
    if universe and not of_all:
        raise click.UsageError("--universe goes with --all: it selects among all companies", ctx)
    check_interval(since, until)
    with open_history(options) as history:
        if of_all:
            named = [symbol, *fields] if symbol is not None else []
            if universe:
                say_since_when(history, since, options)
            try:
                answer = history.restatements(None, named or None, since=since, until=until, universe=universe)
            except FieldNotFound as error:
                raise click.UsageError(f"{error} (--all takes FIELDS only, no SYMBOL)", ctx) from None
        else:
            assert symbol is not None
            answer = history.vintages(symbol, fields or None, since=since, until=until)
        found = print_result(
            answer,
            form=form,
            as_json=as_json,
            hidden=("is_restatement",) if of_all else ("symbol", "before"),
            shown={"change": percent, "is_restatement": lambda restated: "restated" if restated else ""},
            headers={"is_restatement": "note", "latest_quarter": "quarter"},
            spare=("latest_quarter", "known_until") if of_all else ("known_until",),
        )
        if not found:
            options.say("no restatements" if of_all else "no reported values")
