"""`pipeline changes [SYMBOL...]`: list which values changed, from what to what, and when."""

from datetime import datetime

import click

from pipeline.cli.configuration import parse_companies
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
from pipeline.cli.params import field_option, symbols_argument
from pipeline.cli.results import open_history, percent, print_result
from pipeline.cli.universe import say_since_when
from pipeline.instants import for_people
from pipeline.model.anomalies import RULES
from pipeline.model.changes import parse_fraction
from pipeline.model.fields import Part

_RULES = "; ".join(f"{suspicion}: {rule}" for suspicion, rule in RULES.items())


class _Threshold(click.ParamType[float]):
    """A relative change: 5% or 0.05."""

    name = "fraction"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_fraction(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog=examples(
        "pipeline changes",
        "pipeline changes AAPL --since 30d --part reported",
        "pipeline changes --since 2026-03-14 --min-change 5%",
        "pipeline changes --suspicious --since 2026-01-01",
    )
    + f"\n\nSuspicious changes: {_RULES}."
)
@symbols_argument
@since_option
@until_option
@click.option(
    "--part",
    type=click.Choice([part.value for part in Part]),
    help="Only fields of this part; parts change at different speeds.",
)
@field_option("Only")
@click.option(
    "--min-change",
    type=_Threshold(),
    default="0",
    help="Omit numbers that changed by less: 5% or 0.05. (Text, and numbers that were 0, are always listed.)",
)
@universe_option
@click.option("--suspicious", is_flag=True, help="Only changes that the market does not explain; rules below.")
@format_option
@json_option
@reading_options
def command(
    options: Options,
    *,
    symbols: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    part: str | None,
    fields: tuple[str, ...],
    min_change: float,
    universe: bool,
    suspicious: bool,
    form: Form,
    as_json: bool,
) -> None:
    """List changed values: old and new, when the old one was last seen, and when the new one was first seen.

    Without --since and --until: since the last run began. A field that the API starts or stops sending is a change; so
    is a symbol that it starts or stops covering. The same number in another spelling is not.
    """
    check_interval(since, until)
    wanted = parse_companies(symbols, options) or None
    with open_history(options) as history:
        if is_since_last_run := since is None and until is None:
            since = history.last_run_started_at()
        answer = history.changes(
            wanted,
            since=since,
            until=until,
            part=part,
            fields=fields or None,
            min_change=min_change,
            suspicious=suspicious,
            universe=universe,
        )
        if universe:
            say_since_when(history, since, options)
        if is_since_last_run:
            options.say("no run yet: all changes" if since is None else f"since the last run, {for_people(since)} UTC")
        hidden = () if suspicious else ("part", "kind", "suspicion")
        found = print_result(
            answer,
            form=form,
            as_json=as_json,
            hidden=("part", "kind") if suspicious else hidden,
            shown={"change": percent},
            shortened=("before", "after"),
            headers={"last_confirmed_at": "last seen"},
            spare=("last_confirmed_at",),
        )
        if not found:
            options.say("no suspicious changes" if suspicious else "no changes")
