"""`pipeline plan`: what is due, what it costs, and when it will be done. Sends nothing."""

import click

from pipeline import instants
from pipeline.cli.configured import configured
from pipeline.cli.options import Options, global_options, json_option
from pipeline.cli.output import few, print_facts, print_json
from pipeline.cli.quota import print_windows, window_json
from pipeline.freshness import Agenda, agenda
from pipeline.reading import NoRecord
from pipeline.record import Record
from pipeline.settings import Settings
from pipeline.windows import Block, Spent, finish_at, standings


@click.command(epilog="Example: PIPELINE_SOURCE__PLAN=premium-75 pipeline plan")
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> None:
    """Show what a run would ask for now, and when it would be done at this plan's pace."""
    settings = configured(options)
    now = instants.utc_now()
    todo, spent, block = _read(settings)
    done_at = finish_at(settings.limits, spent, block, requests=len(todo.due), now=now)
    windows = standings(settings.limits, spent, block, now=now)
    if as_json:
        print_json(
            {
                "symbols": len(settings.symbols),
                "due": len(todo.due),
                "fresh": todo.fresh,
                "waiting_unknown": todo.waiting,
                "requests": len(todo.due),
                "finish_at": done_at and instants.to_text(done_at),
                "windows": [window_json(window) for window in windows],
            }
        )
        return
    print_facts(
        {
            "symbols": len(settings.symbols),
            "due": f"{len(todo.due):,}" + (f" ({few(todo.due, 5)})" if todo.due else ""),
            "fresh": f"{todo.fresh:,}, looked at within {settings.fresh_for.total_seconds() / 3600:g} h",
            "not covered": f"{todo.waiting:,}, to be asked again later",
            "requests": f"{len(todo.due):,}, and more where one has to be asked again",
            "done by": f"{instants.for_people(done_at)} UTC" if done_at else "now: nothing is due",
        }
    )
    print_windows(windows)


def _read(settings: Settings) -> tuple[Agenda, list[Spent], Block | None]:
    now = instants.utc_now()
    since = now - settings.fresh_for
    longest = max((limit.period for limit in settings.limits), default=settings.fresh_for)
    try:
        with Record.open(settings.database) as record:
            todo = agenda(settings.symbols, record.known(), looked_since=since, now=now)
            return todo, record.spent(now - longest), record.block()
    except NoRecord:
        return agenda(settings.symbols, (), looked_since=since, now=now), [], None
