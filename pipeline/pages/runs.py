"""The pages of runs: all of them, and how each symbol ended in one."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from aiohttp import web

from pipeline.instants import from_text
from pipeline.model.outcomes import MEANING, Outcome, RunStatus, Trigger
from pipeline.pages.rendering import show
from pipeline.query.history import History
from pipeline.store.reader import Run, SymbolOutcome
from pipeline.text import quoted
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

PATH = "/runs"
_RUNS, _OUTCOMES = 50, 200
"""On a page."""
_LIMITED = re.compile(r"--max-requests ([0-9]+) reached")
"""As the record has it, for the command line."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run, or a fire time at which nothing ran."""

    id: int
    trigger: str
    status: str
    fire_time: datetime | None
    schedule: str | None
    started_at: datetime | None
    took: timedelta | None
    symbols: int
    due: int
    counts: Mapping[Outcome, int]
    """How many symbols ended how; only what is not 0."""
    uncovered: int
    requests: int
    detail: str | None

    @property
    def is_over(self) -> bool:
        """Whether it ran, and has ended."""
        return self.status not in (RunStatus.RUNNING, RunStatus.MISSED)

    @property
    def is_import(self) -> bool:
        """Whether it read an archive, and requested nothing."""
        return self.trigger == Trigger.IMPORT

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"{PATH}/{self.id}"

    @property
    def done(self) -> int:
        """How many symbols have ended."""
        return sum(self.counts.values())


def run_lines(runs: Iterable[Run]) -> list[RunLine]:
    """Return runs as pages show them."""
    return [_line(run) for run in runs]


def _line(run: Run) -> RunLine:
    counts = {outcome: getattr(run, outcome.value) for outcome in Outcome}
    return RunLine(
        id=run.id,
        trigger=run.trigger,
        status=run.status,
        fire_time=None if run.scheduled_for is None else from_text(run.scheduled_for),
        schedule=run.schedule,
        started_at=None if run.started_at is None else from_text(run.started_at),
        took=None if run.seconds is None else timedelta(seconds=run.seconds),
        symbols=run.symbols,
        due=run.due,
        counts={outcome: number for outcome, number in counts.items() if number},
        uncovered=run.uncovered,
        requests=run.requests,
        detail=None
        if run.detail is None
        else _LIMITED.sub(r"the limit of \1 requests for this run was reached", run.detail),
    )


@dataclass(frozen=True, slots=True)
class RunsView:
    """The page of all runs."""

    at: datetime
    runs: Sequence[RunLine]
    is_first: bool
    next: str | None
    """The path of the page with earlier runs."""


async def runs(ask: Ask) -> web.Response:
    """Answer with the runs, the newest first; missed fire times are among them."""
    before = _number(ask, "before")

    def question(history: History) -> RunsView:
        found = run_lines(history.runs(limit=_RUNS + 1, before=before))
        following = f"{PATH}?before={found[_RUNS - 1].id}" if len(found) > _RUNS else None
        return RunsView(ask.at, found[:_RUNS], before is None, following)

    return await show(ask, "runs.html", question)


@dataclass(frozen=True, slots=True)
class RunView:
    """The page of one run."""

    at: datetime
    run: RunLine
    outcomes: Sequence[SymbolOutcome]
    only: Outcome | None
    """The outcome that is shown alone."""
    stored: Collection[str]
    """The symbols that have a page."""
    is_first: bool
    next: str | None

    @property
    def meanings(self) -> Mapping[Outcome, str]:
        """Each outcome in words."""
        return MEANING

    def path(self, only: Outcome | None) -> str:
        """Return the path of the page with one outcome alone."""
        return self.run.path if only is None else f"{self.run.path}?outcome={only.value}"


async def run(ask: Ask) -> web.Response:
    """Answer with how each symbol ended in a run. Raise Refusal if there is no such run."""
    number = _run_number(ask)
    only, after = _outcome(ask), _after(ask)

    def question(history: History) -> RunView:
        found = history.run(number)
        if found is None:
            raise _no_run(ask)
        wanted = None if only is None else [only.value]
        outcomes = history.outcomes(number, only=wanted, limit=_OUTCOMES + 1, after=after)
        line = _line(found)
        following = None
        if len(outcomes) > _OUTCOMES:
            last = outcomes[_OUTCOMES - 1]
            chosen = [] if only is None else [("outcome", only.value)]
            following = f"{line.path}?{urlencode([*chosen, ('after', f'{last.at}~{last.symbol}')], safe=':~')}"
        stored = ask.remembered("stored symbols", lambda: _stored(history))
        return RunView(ask.at, line, outcomes[:_OUTCOMES], only, stored, after is None, following)

    return await show(ask, "run.html", question)


def _stored(history: History) -> frozenset[str]:
    """Return the symbols that lead to a company with a snapshot, old ones among them."""
    former = history.former_symbols()
    return frozenset(history.symbols()).union(*former.values())


def _run_number(ask: Ask) -> int:
    text = ask.request.match_info["run"]
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise _no_run(ask)
    return int(text)


def _no_run(ask: Ask) -> Refusal:
    number = ask.request.match_info["run"]
    then = " was known then" if ask.is_past else ""
    return Refusal(HTTPStatus.NOT_FOUND, f"no run {quoted(number)}{then}", remedy="the page of runs lists them")


def _number(ask: Ask, name: str) -> int | None:
    text = ask.first(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"invalid {name} {quoted(text)}", remedy="use the number of a run")
    return int(text)


def _outcome(ask: Ask) -> Outcome | None:
    text = ask.first("outcome")
    if text is None:
        return None
    try:
        return Outcome(text)
    except ValueError:
        problem = f"invalid outcome {quoted(text)}"
        raise Refusal(HTTPStatus.BAD_REQUEST, problem, remedy=f"use {', '.join(Outcome)}") from None


def _after(ask: Ask) -> tuple[str, str] | None:
    text = ask.first("after")
    if text is None:
        return None
    at, separator, symbol = text.partition("~")
    if not separator:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"invalid after {quoted(text)}", remedy="use the link to the next page")
    return at, symbol
