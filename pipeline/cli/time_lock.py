"""The time lock of `serve` and `mcp`: the option --as-of, after which nothing can be had."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import click

from pipeline.errors import Trouble
from pipeline.instants import for_people, utc_now
from pipeline.query.reach import Reach

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TimeLock:
    """The instant at which a server is locked."""

    at: datetime
    is_start: bool
    """Whether that is when the server was started: today was named, which is not over."""

    def __str__(self) -> str:
        return f"{for_people(self.at)} UTC{', when this server started,' if self.is_start else ''} and before"


class _TimeLockType(click.ParamType[TimeLock]):
    """A lock, as `Reach` reads instants: of today the present. A later one is a usage error: nothing is known of it."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TimeLock:
        reach = Reach.of_record(now=utc_now(), lock=None)
        try:
            at = reach.instant("lock", value, day_ends=True)
        except Trouble as error:
            self.fail(str(error), param, ctx)
        return TimeLock(at, is_start=at == reach.at)


def time_lock_option(command: F) -> F:
    """Add the option --as-of."""
    option = click.option(
        "--as-of",
        "lock",
        metavar="INSTANT",
        type=_TimeLockType(),
        help="Answer only what was known then: nothing observed later can be had.",
    )
    return option(command)
