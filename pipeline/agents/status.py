"""The tool `status`: how far the record reached at an instant, and how fresh it was."""

from typing import Annotated

from msgspec import Meta, field

from pipeline.agents.arguments import AtArguments
from pipeline.agents.csv_text import csv_lines, in_hours
from pipeline.agents.tool import HoursSince, InstantText, Question, Result, Row, Tool, records
from pipeline.instants import to_text
from pipeline.query.snapshots import hours


class StatusArguments(AtArguments, kw_only=True, frozen=True):
    """What `status` is called with."""

    limit: Annotated[int, Meta(description="Stale and missing companies to name at most.", ge=0, le=1_000)] = 20


class StaleCompany(Row, kw_only=True, frozen=True):
    """A company that was not observed for too long."""

    symbol: str
    confirmed_at: Annotated[InstantText, Meta(description="When it was last seen.")]
    staleness_hours: HoursSince


class Status(Result, kw_only=True, frozen=True):
    """What `status` answers."""

    locked_at: Annotated[
        InstantText | None, Meta(description="Nothing later can be had from this server. Absent: it is not locked.")
    ] = None
    first_observed_at: Annotated[InstantText | None, Meta(description="When the record begins.")] = None
    last_observed_at: Annotated[InstantText | None, Meta(description="When anything was last observed.")] = None
    companies: Annotated[int, Meta(description="How many had a snapshot.")]
    configured: Annotated[
        int | None, Meta(description="How many were configured to be collected; absent where no run noted a list.")
    ] = None
    stale_after_hours: Annotated[float, Meta(description="Not observed for longer, a company is stale.")]
    stale_total: int
    stale: Annotated[list[StaleCompany], Meta(description="The stalest first.")] = field(default_factory=list)
    never_observed_total: Annotated[int, Meta(description="Configured, and without a snapshot yet.")] = 0
    never_observed: list[str] = field(default_factory=list)


def _answer(question: Question[StatusArguments]) -> Status:
    history, limit = question.history, question.asked.limit
    known = list(records(history.as_of(question.at, fields=["latest_quarter"])))
    configured = history.universe(question.at)
    longest = hours(question.stale_after)
    wanted = set(configured or (row["symbol"] for row in known))
    stale = [row for row in known if row["symbol"] in wanted and row["staleness_hours"] > longest]
    stale.sort(key=lambda row: -row["staleness_hours"])
    never = sorted(wanted.difference(row["symbol"] for row in known))
    first = history.first_observed_at()
    return Status(
        at=question.at_text,
        notices=question.notices(known[0]["symbol"] if known else None),
        locked_at=None if question.present.lock is None else to_text(question.present.lock),
        first_observed_at=None if first is None else to_text(first),
        last_observed_at=max((row["confirmed_at"] for row in known), default=None),
        companies=len(known),
        configured=len(configured) or None,
        stale_after_hours=longest,
        stale_total=len(stale),
        stale=[
            StaleCompany(symbol=row["symbol"], confirmed_at=row["confirmed_at"], staleness_hours=row["staleness_hours"])
            for row in stale[:limit]
        ],
        never_observed_total=len(never),
        never_observed=never[:limit],
    )


def _lines(result: Status) -> list[str]:
    lines = [] if result.locked_at is None else [f"locked at {result.locked_at}: nothing later can be had"]
    if result.first_observed_at is None:
        return [*lines, "nothing had been observed"]
    lines += [
        f"observed from {result.first_observed_at} to {result.last_observed_at}",
        f"{result.companies:,} companies with a snapshot"
        + (f", {result.configured:,} configured" if result.configured is not None else ""),
        f"{result.stale_total:,} stale: last seen more than {result.stale_after_hours:g} hours before",
    ]
    if result.stale:
        rows = ([one.symbol, one.confirmed_at, in_hours(one.staleness_hours)] for one in result.stale)
        lines += csv_lines(StaleCompany.__struct_fields__, rows)
    if result.never_observed_total:
        lines.append(
            f"{result.never_observed_total:,} configured without a snapshot: {', '.join(result.never_observed)}"
        )
    return lines


STATUS = Tool(
    name="status",
    title="How far the record reaches",
    description=(
        "Say how far the record reached at an instant: when it begins, when anything was last observed, how many "
        "companies it has, which are stale, and whether this server is locked to the past. Use it first when you do "
        "not know which instants can be asked about, and whenever an answer looks old or empty.\n"
        'Example: {"at": "now"}'
    ),
    arguments=StatusArguments,
    result=Status,
    answer=_answer,
    lines=_lines,
)
