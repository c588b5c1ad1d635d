"""`/api/v1/runs`: the runs that filled the record, one of them, and how each symbol ended in it."""

from dataclasses import astuple
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.model.fields import Kind
from pipeline.query.history import History
from pipeline.query.results import Answer, Column
from pipeline.rest.asked import Asked
from pipeline.rest.endpoints import Recorded, Single
from pipeline.rest.parameters import Paged, Unpaged
from pipeline.rest.positions import Position, invalid
from pipeline.rest.rows import Instant
from pipeline.rest.tables import MOST_VALUES, Table
from pipeline.web.refusals import Refusal

RunId = Annotated[int, Meta(ge=1, le=2**63 - 1, description="The number of the run.")]
Count = Annotated[int, Meta(ge=0)]


class RunsOf(Paged, frozen=True, kw_only=True):
    """What `/runs` takes."""


class RunOf(Unpaged, frozen=True, kw_only=True):
    """What `/runs/RUN` takes."""

    run: RunId


class OutcomesOf(Paged, frozen=True, kw_only=True):
    """What `/runs/RUN/outcomes` takes."""

    run: RunId
    outcome: Annotated[
        tuple[Literal["stored", "unchanged", "unknown", "failed", "rejected", "deferred"], ...],
        Meta(description="Only symbols that ended so. Repeat it, or put commas between."),
    ] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or a fire time that was missed. One that had not ended at the instant has what it came to until then."""

    id: int
    trigger: Annotated[str, Meta(examples=["schedule", "manual", "import"])]
    status: Annotated[str, Meta(examples=["complete", "partial", "quota_exhausted", "running"])]
    scheduled_for: Instant | None
    started_at: Annotated[Instant | None, Meta(description="Null: a fire time that was missed.")]
    finished_at: Instant | None
    symbols: Count
    due: Annotated[Count, Meta(description="Symbols to request.")]
    stored: Count
    unchanged: Count
    unknown: Count
    failed: Count
    rejected: Count
    deferred: Annotated[Count, Meta(description="Symbols that the run ended before.")]
    requests: Count
    seconds: float | None
    detail: Annotated[str | None, Meta(description="Why it ended so.")]
    schedule: Annotated[str | None, Meta(description="The cron line and zone that `scheduled_for` is of.")]
    uncovered: Annotated[Count, Meta(description="How many of the unknown symbols had snapshots.")]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one symbol ended in a run."""

    symbol: str
    outcome: Annotated[str, Meta(examples=["stored", "unchanged", "failed"])]
    attempts: Annotated[Count, Meta(description="Requests sent.")]
    at: Instant
    detail: str | None


_INSTANTS = {"scheduled_for", "started_at", "finished_at", "at"}
_TEXTS = {"trigger", "status", "detail", "schedule", "symbol", "outcome"}


def _columns(row: type[msgspec.Struct]) -> list[Column]:
    return [Column(name, _kind(name)) for name in row.__struct_fields__]


def _kind(name: str) -> Kind:
    if name in _INSTANTS:
        return Kind.INSTANT
    if name in _TEXTS:
        return Kind.TEXT
    return Kind.REAL if name == "seconds" else Kind.INTEGER


_RUN_COLUMNS = [Column(name, Kind.INTEGER if name == "symbols" else kind) for name, kind in _columns(Run)]
_OUTCOME_COLUMNS = _columns(Outcome)
_AT, _SYMBOL = (Outcome.__struct_fields__.index(name) for name in ("at", "symbol"))


def runs(history: History, asked: Asked[RunsOf]) -> Table:
    """Return the runs, the newest first."""
    before: int | None = None
    if (key := asked.key(1)) is not None:
        before = _number(key[0], asked)
    limit = asked.limit or MOST_VALUES // len(_RUN_COLUMNS)
    found = history.runs(limit=limit + 1, before=before)
    kept = found if asked.limit is None else found[:limit]  # the whole table is refused if it is too large
    beyond = Position((str(kept[-1].id),), 1) if len(found) > limit else None
    return Table(Answer(_RUN_COLUMNS, lambda: map(astuple, kept), Run), None, beyond=beyond)


def _number(text: str, asked: Asked[RunsOf]) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        assert asked.after is not None
        raise invalid(asked.after.text())
    return int(text)


async def run(asked: Asked[RunOf]) -> msgspec.Struct:
    """Answer one run."""
    return await asked.ask.read(lambda history: _run(history, asked.given.run))


def _run(history: History, number: int) -> Run:
    found = history.run(number)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no run {number}", remedy="/api/v1/runs lists them")
    return Run(**dict(zip(Run.__struct_fields__, astuple(found), strict=True)))


def outcomes(history: History, asked: Asked[OutcomesOf]) -> Table:
    """Return how each symbol ended in a run, in that order."""
    _run(history, asked.given.run)
    key = asked.key(2)
    found = history.outcomes(
        asked.given.run,
        only=asked.given.outcome or None,
        limit=None if asked.limit is None else asked.limit + 1,
        after=None if key is None else (key[0], key[1]),
    )
    return Table(Answer(_OUTCOME_COLUMNS, lambda: map(astuple, found), Outcome), lambda row: (row[_AT], row[_SYMBOL]))


RUNS = Recorded(
    "/runs",
    "runs",
    "The runs that filled the record",
    "The newest first; fire times that were missed are there, too. Those that started after the instant are not.",
    RunsOf,
    Run,
    runs,
)
RUN = Single("/runs/{run}", "run", "A run", "How a run ended, and how many symbols ended how.", RunOf, Run, run)
OUTCOMES = Recorded(
    "/runs/{run}/outcomes",
    "outcomes",
    "The outcome of each symbol in a run",
    "In that order. A run that had not ended at the instant has those that had.",
    OutcomesOf,
    Outcome,
    outcomes,
)
