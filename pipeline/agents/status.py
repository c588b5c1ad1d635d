"""The tool `status`: how far the record reached at an instant, how fresh it was, and how the last run had ended."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, field

from pipeline.agents.arguments import AtArguments
from pipeline.agents.csv_text import csv_lines, in_hours
from pipeline.agents.tool import HoursSince, InstantText, Question, Result, Row, Tool, in_steps
from pipeline.agents.untrusted import harmless
from pipeline.instants import from_text, to_text
from pipeline.monitoring.fleet_view import FleetView
from pipeline.monitoring.staleness import standings_as_seen
from pipeline.query.last_seen import LastSeen
from pipeline.query.snapshots import hours
from pipeline.store.reader import Listed, Run
from pipeline.text import count

_EVER = Listed(datetime(1970, 1, 1, tzinfo=UTC), None)


class StatusArguments(AtArguments, kw_only=True, frozen=True):
    """What `status` is called with."""

    limit: Annotated[int, Meta(description="Symbols to name of each kind at most.", ge=0, le=1_000)] = 20


class StaleSymbol(Row, kw_only=True, frozen=True):
    """A symbol that was not observed for too long."""

    symbol: str
    last_seen_at: Annotated[InstantText | None, Meta(description="Absent: never.")] = None
    staleness_hours: HoursSince | None = None


class LastRun(Row, kw_only=True, frozen=True):
    """The last run of the collector that had ended, and how many symbols ended how."""

    id: int
    status: Annotated[str, Meta(description="complete, partial, quota_exhausted, interrupted or failed.")]
    started_at: InstantText | None = None
    finished_at: InstantText | None = None
    stored: int
    unchanged: int
    unknown: Annotated[int, Meta(description="Not covered by the API.")]
    failed: int
    rejected: int
    deferred: Annotated[int, Meta(description="Not requested: the run ended before.")]
    detail: Annotated[str | None, Meta(description="Why it ended so.")] = None


class Fleet(Row, kw_only=True, frozen=True):
    """The fleet of machines that collect this record together. What is not known is absent."""

    reachable: Annotated[
        bool | None, Meta(description="Whether its PostgreSQL answers; absent: this machine only follows its log.")
    ] = None
    log_entries: int | None = None
    followed: Annotated[int | None, Meta(description="Entries of the fleet's log that this record has.")] = None
    behind: Annotated[int | None, Meta(description="Entries that it has not got yet.")] = None
    members: Annotated[int | None, Meta(description="Machines that collect, and are running.")] = None
    followers: Annotated[int | None, Meta(description="Machines that only follow, and are running.")] = None


class Status(Result, kw_only=True, frozen=True):
    """What `status` answers."""

    locked_at: Annotated[
        InstantText | None, Meta(description="Nothing later can be had from this server. Absent: it is not locked.")
    ] = None
    first_observed_at: Annotated[InstantText | None, Meta(description="When the record begins.")] = None
    last_observed_at: Annotated[InstantText | None, Meta(description="When an overview was last observed.")] = None
    companies: Annotated[int, Meta(description="How many had a snapshot.")]
    configured: Annotated[
        int | None, Meta(description="Symbols that were configured to be collected; absent: no run noted a list.")
    ] = None
    fresh: Annotated[int, Meta(description="Symbols last observed not longer ago than `stale_after_hours`.")]
    stale_after_hours: float
    stale_total: Annotated[int, Meta(description="Symbols not observed for longer.")]
    stale: Annotated[list[StaleSymbol], Meta(description="Some of them, the stalest first.")] = field(
        default_factory=list
    )
    pending: Annotated[list[str], Meta(description="Configured not long ago, and not observed since.")] = field(
        default_factory=list
    )
    unknown: Annotated[list[str], Meta(description="The API's last answer: it does not cover them.")] = field(
        default_factory=list
    )
    last_run: LastRun | None = None
    fleet: Annotated[
        Fleet | None, Meta(description="At present only. Absent: the record is collected by one machine.")
    ] = None


def _answer(question: Question[StatusArguments]) -> Status:
    history, limit, lock = question.history, question.asked.limit, question.reach.lock
    configured = history.configured()
    seen = {one.symbol: one for one in history.last_seen()}
    lists: Mapping[str, Sequence[Listed]] = configured or {
        symbol: [_EVER] for symbol, one in seen.items() if one.last_overview
    }
    found = standings_as_seen(seen.values(), lists, at=question.at, stale_after=question.stale_after)
    stale = sorted(found.stale, key=lambda symbol: (seen.get(symbol, _NEVER).last_overview or "", symbol))
    first, run = history.first_observed_at(), history.last_run()
    return Status(
        at=question.at_text,
        notices=question.notices(),
        locked_at=None if lock is None else to_text(lock),
        first_observed_at=None if first is None else to_text(first),
        last_observed_at=max((one.last_overview for one in seen.values() if one.last_overview), default=None),
        companies=len(history.symbols()),
        configured=len(configured) or None,
        fresh=len(found.fresh),
        stale_after_hours=hours(question.stale_after),
        stale_total=len(stale),
        stale=[_stale(symbol, seen.get(symbol, _NEVER), question.at) for symbol in stale[:limit]],
        pending=[*found.pending[:limit]],
        unknown=[*found.unknown[:limit]],
        last_run=None if run is None else _last_run(run),
        fleet=_fleet(question.view_fleet()) if question.is_of_present else None,
    )


_NEVER = LastSeen("", None, None)


def _stale(symbol: str, seen: LastSeen, at: datetime) -> StaleSymbol:
    last = seen.last_overview
    staleness = None if last is None else in_steps(hours(at - from_text(last)))
    return StaleSymbol(symbol=symbol, last_seen_at=last, staleness_hours=staleness)


def _last_run(run: Run) -> LastRun:
    return LastRun(**{name: harmless(getattr(run, name)) for name in LastRun.__struct_fields__})


def _fleet(view: FleetView | None) -> Fleet | None:
    if view is None:
        return None
    facts = view.facts()
    return Fleet(**{name: facts[name] for name in Fleet.__struct_fields__})


def _lines(result: Status) -> list[str]:
    lines = [] if result.locked_at is None else [f"locked at {result.locked_at}: nothing later can be had"]
    if result.first_observed_at is None:
        lines.append("no company had been observed")
    else:
        lines.append(f"observed from {result.first_observed_at} to {result.last_observed_at}")
    configured = "" if result.configured is None else f"; {result.configured:,} symbols configured"
    lines.append(f"{result.companies:,} companies with a snapshot{configured}; {result.fresh:,} fresh")
    lines.append(f"{result.stale_total:,} stale: last seen more than {result.stale_after_hours:g} hours before")
    if result.stale:
        rows = ([one.symbol, one.last_seen_at, in_hours(one.staleness_hours)] for one in result.stale)
        lines += csv_lines(StaleSymbol.__struct_fields__, rows)
    lines += [f"pending: {', '.join(result.pending)}"] if result.pending else []
    lines += [f"not covered by the API: {', '.join(result.unknown)}"] if result.unknown else []
    lines += [] if result.last_run is None else [_run_line(result.last_run)]
    return lines if result.fleet is None else [*lines, _fleet_line(result.fleet)]


def _run_line(run: LastRun) -> str:
    counts = ", ".join(
        f"{getattr(run, name):,} {name}"
        for name in ("stored", "unchanged", "unknown", "failed", "rejected", "deferred")
        if getattr(run, name)
    )
    why = "" if run.detail is None else f": {run.detail}"
    return f"last run {run.id}, {run.started_at} to {run.finished_at}: {run.status} ({counts or 'nothing due'}){why}"


def _fleet_line(fleet: Fleet) -> str:
    if not fleet.reachable:
        why = "" if fleet.reachable is None else "PostgreSQL cannot be reached; "
        return f"fleet: {why}this record is as of entry {fleet.followed or 0:,} of its log"
    running = f"{count(fleet.members or 0, 'member')}, {count(fleet.followers or 0, 'follower')} running"
    behind = f"is {count(fleet.behind, 'entry', 'entries')} behind its log" if fleet.behind else "is up to date"
    return f"fleet: {running}; this record {'does not follow it' if fleet.followed is None else behind}"


STATUS = Tool(
    name="status",
    title="How far the record reaches",
    description=(
        "Say how far the record reached at an instant: when it begins, when anything was last observed, how many "
        "companies it has, which symbols are stale, how the last run had ended, whether this server is locked to the "
        "past, and at present whether the record keeps up with its fleet. Use it first when you do not know which "
        "instants can be asked about, and whenever an answer looks old or empty.\n"
        'Example: {"at": "now"}'
    ),
    arguments=StatusArguments,
    result=Status,
    answer=_answer,
    lines=_lines,
)
