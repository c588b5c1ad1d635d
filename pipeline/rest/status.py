"""`/api/v1/status`: how far the record reaches, how the configured symbols stand, and what the plan still allows."""

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pipeline.instants import to_text
from pipeline.monitoring.fleet_view import FleetView
from pipeline.monitoring.staleness import standings_as_seen
from pipeline.query.history import History
from pipeline.rest.asked import Asked
from pipeline.rest.endpoints import Single
from pipeline.rest.parameters import Unpaged
from pipeline.rest.rows import Instant
from pipeline.rest.runs import Count, Run
from pipeline.web import readings
from pipeline.web.live import Live, live_of


class StatusOf(Unpaged, frozen=True, kw_only=True):
    """What `/status` takes."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the plan: how many requests it admits, and how many of them are used."""

    limit: Annotated[str, Meta(examples=["25/day"])]
    used: Count
    left: Count
    next_free_at: Annotated[Instant | None, Meta(description="When it admits the next request; null: now.")]
    key: Annotated[str | None, Meta(description="What the API key is called; null where there is one alone.")]


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet of machines that share quota and record. What is not known, as PostgreSQL does not answer, is null."""

    id: str | None
    reachable: Annotated[
        bool | None, Meta(description="Whether PostgreSQL answers; null: this machine only follows the fleet's log.")
    ]
    log_entries: Count | None
    followed: Annotated[Count | None, Meta(description="Entries of the log that this server's record has.")]
    behind: Annotated[Count | None, Meta(description="Entries that it has not got yet.")]
    members: Annotated[Count | None, Meta(description="Machines that collect, and are running.")]
    followers: Annotated[Count | None, Meta(description="Machines that only follow, and are running.")]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How things stood at the instant. What is about the present only is null where the past is asked about."""

    locked_at: Annotated[Instant | None, Meta(description="Nothing observed later can be had from this server.")]
    companies: Annotated[Count, Meta(description="How many have a snapshot.")]
    first_observed_at: Instant | None
    last_observed_at: Instant | None
    last_run: Annotated[Run | None, Meta(description="The last run that had ended. Imports do not count.")]
    last_complete_run: Run | None
    configured: Annotated[Count, Meta(description="How many companies were configured to be collected.")]
    fresh: Annotated[Count, Meta(description="How many of them were observed not too long ago.")]
    stale: Annotated[list[str], Meta(description="Not observed for too long.")]
    pending: Annotated[list[str], Meta(description="Configured not long ago, and not observed since.")]
    unknown: Annotated[list[str], Meta(description="The API's last answer was that it does not cover them.")]
    uncovered: Annotated[list[str], Meta(description="Those of them that have snapshots.")]
    snapshots: Annotated[Count | None, Meta(description="Present only.")]
    windows: Annotated[
        list[Window] | None,
        Meta(description="What the plan still allows; null where only the fleet's PostgreSQL knows. Present only."),
    ]
    daemon: Annotated[
        dict[str, Any] | None, Meta(description="The heartbeat of the daemon; null where none runs. Present only.")
    ]
    last_backup: Annotated[Instant | None, Meta(description="Present only.")]
    database_bytes: Annotated[Count | None, Meta(description="Present only.")]
    fleet: Annotated[Fleet | None, Meta(description="Null where there is none. Present only.")]


async def status(asked: Asked[StatusOf]) -> Status:
    """Answer the status, now or as it was at the instant."""
    ask = asked.ask
    live, found = await live_of(ask), await ask.read_any(lambda history: _of_record(history, asked))
    lock = None if ask.site.lock is None else to_text(ask.site.lock)
    return Status(locked_at=lock, **(found or _NOTHING), **_of_present(live))


_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("companies", "configured", "fresh"), 0),
    **dict.fromkeys(("first_observed_at", "last_observed_at", "last_run", "last_complete_run")),
    **{name: [] for name in ("stale", "pending", "unknown", "uncovered")},
}


def _of_record(history: History, asked: Asked[StatusOf]) -> dict[str, Any]:
    seen, first = readings.last_seen(asked.ask, history), readings.first_observed_at(asked.ask, history)
    configured = history.configured()
    found = standings_as_seen(seen, configured, at=asked.at, stale_after=asked.ask.site.stale_after())
    last, complete = history.last_run(), history.last_complete_run()
    return {
        "companies": len(asked.names(history, ())),
        "first_observed_at": None if first is None else to_text(first),
        "last_observed_at": max((one.last_overview for one in seen if one.last_overview), default=None),
        "last_run": None if last is None else Run(**asdict(last)),
        "last_complete_run": None if complete is None else Run(**asdict(complete)),
        "configured": len(configured),
        "fresh": len(found.fresh),
        "stale": found.stale,
        "pending": found.pending,
        "unknown": found.unknown,
        "uncovered": found.uncovered,
    }


def _of_present(live: Live | None) -> dict[str, Any]:
    if live is None:
        return dict.fromkeys(("snapshots", "windows", "daemon", "last_backup", "database_bytes", "fleet"))
    now, daemon = live.status, live.daemon
    windows = [
        Window(
            limit=one.limit,
            used=one.used,
            left=one.left,
            next_free_at=None if one.next_free_at is None else to_text(one.next_free_at),
            key=one.key,
        )
        for one in now.windows
    ]
    return {
        "snapshots": now.snapshots,
        "windows": windows if now.is_quota_known else None,
        "daemon": daemon.beat.texts() if daemon is not None and daemon.is_running and daemon.beat is not None else None,
        "last_backup": None if now.backups.last is None else to_text(now.backups.last),
        "database_bytes": now.database_bytes,
        "fleet": None if now.fleet is None else _fleet(now.fleet),
    }


def _fleet(view: FleetView) -> Fleet:
    facts = view.facts()
    return Fleet(**{name: facts[name] for name in Fleet.__struct_fields__})


STATUS = Single(
    "/status",
    "status",
    "How far the record reaches, and how the configured symbols stand",
    "Begin here to find out which instants can be asked about. What the plan still allows is about the present only.",
    StatusOf,
    Status,
    status,
)
