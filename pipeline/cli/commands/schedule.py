"""`pipeline schedule`: show when each schedule runs next, in its own time zone and in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.fleet_list import as_followed
from pipeline.cli.options import Form, Options, Whole, examples, format_option, global_options, json_option
from pipeline.cli.output import print_json_rows, print_rows
from pipeline.schedule.cron import Schedule
from pipeline.schedule.zones import fixed_offset_problem
from pipeline.settings.load import Settings

_PARTS = {"d": 24, "h": 60, "min": 60}


@click.command(epilog=examples("pipeline schedule", "pipeline schedule --count 20 --format csv"))
@click.option(
    "--count",
    metavar="N",
    type=Whole(1, 10_000),
    default=5,
    help="Show the next N times of each schedule [5].",
)
@format_option
@json_option
@global_options
def command(options: Options, *, count: int, form: Form, as_json: bool) -> None:
    """Show when each schedule runs next, in its time zone and in UTC."""
    settings = as_followed(load_settings(options))
    now = instants.utc_now()
    for zone in dict.fromkeys(schedule.timezone for schedule in settings.schedules):
        if (problem := fixed_offset_problem(zone)) is not None:
            options.say("; ".join(problem))
    coming = _fire_times(settings, now, count)
    if form.is_table and not as_json:
        print_rows(
            ["schedule", "symbols", "local time", "UTC", "in"],
            (fire.for_people(now) for fire in coming),
            form,
            spare=["symbols"],
        )
        return
    names = ["schedule", "cron", "timezone", "symbols", "fires_at", "local"]
    rows = (fire.for_programs() for fire in coming)
    if as_json:
        print_json_rows(names, rows)
    else:
        print_rows(names, rows, form)


@dataclass(frozen=True, slots=True)
class _Fire:
    schedule: Schedule
    symbols: int
    at: datetime

    @property
    def local(self) -> datetime:
        return self.at.astimezone(ZoneInfo(self.schedule.timezone))

    def for_people(self, now: datetime) -> tuple[object, ...]:
        shown = f"{self.local:%Y-%m-%d %H:%M} {self.local:%Z}"
        return str(self.schedule), self.symbols, shown, instants.for_people(self.at), _span_text(self.at - now)

    def for_programs(self) -> tuple[object, ...]:
        schedule = self.schedule
        fires_at, local = instants.to_text(self.at), self.local.isoformat()
        return str(schedule), schedule.cron, schedule.timezone, self.symbols, fires_at, local


def _fire_times(settings: Settings, now: datetime, count: int) -> Iterator[_Fire]:
    for schedule in settings.schedules:
        symbols = len(settings.symbols if schedule.symbols is None else schedule.symbols)
        for at in islice(schedule.fire_times(now), count):
            yield _Fire(schedule, symbols, at)


def _span_text(span: timedelta) -> str:
    """Return a span in its two largest units: `2 d 4 h`, `3 h 12 min`, `12 min 5 s`."""
    seconds = int(span.total_seconds())
    for size, large, small in ((86_400, "d", "h"), (3_600, "h", "min"), (60, "min", "s")):
        if seconds >= size:
            return f"{seconds // size:,} {large} {seconds % size * _PARTS[large] // size} {small}"
    return f"{seconds} s"
