"""Show a fleet: its members, keys, log and runs as tables that fit a terminal, or as JSON."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline import instants
from pipeline.cli.findings import print_finding
from pipeline.cli.output import print_facts, print_line, print_table
from pipeline.cli.quota_table import window_json
from pipeline.fleet.problems import FleetProblem, span_text
from pipeline.fleet.state import FleetState, KeyState, Member, Presence
from pipeline.model.slots import Block
from pipeline.text import count

_SMALL = timedelta(seconds=2)
"""A clock that is less ahead or behind is shown to a hundredth of a second."""


def fleet_json(state: FleetState, problems: Sequence[FleetProblem]) -> dict[str, Any]:
    """Return a fleet's state for JSON. The names are stable."""
    server, known = state.server, state.known_keys
    return {
        "fleet": str(state.id),
        "since": instants.to_text(state.begun_at),
        "at": instants.to_text(server.at),
        "schema": state.schema,
        "server": {"version": server.version, "standby": server.is_standby, "read_only": server.is_read_only},
        "agreed_at": _text(state.agreed_at),
        "agreed_by": state.agreed_by,
        "log_entries": state.head,
        "members": [_member_json(state, member) for member in state.members],
        "keys": [_key_json(state, key, is_used=key in known) for key in state.keys],
        "runs": [
            {
                "run": run.id,
                "trigger": run.trigger,
                "schedule": run.schedule,
                "scheduled_for": _text(run.scheduled_for),
                "started_at": _text(run.started_at),
                "member": run.member,
                "alone": run.is_alone,
                "due": run.due,
                "ended": run.ended,
                "last_ended_at": _text(run.last_ended_at),
                "batches": run.batches,
                "batches_done": run.batches_done,
                "jobs": run.jobs,
                "jobs_stalled": run.stalled,
                "batches_without_job": run.without_job,
            }
            for run in state.runs
        ],
        "problems": [
            {
                "kind": one.kind,
                "subject": one.subject,
                "problem": one.text,
                "remedy": one.remedy,
                "warning": one.is_warning,
            }
            for one in problems
        ],
    }


def _member_json(state: FleetState, member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "role": member.role,
        "state": member.presence(state.server.at),
        "version": member.version,
        "keys": _key_names(state, member),
        "started_at": instants.to_text(member.started_at),
        "last_beat_at": instants.to_text(member.beat_at),
        "left_at": _text(member.left_at),
        "clock_ahead_seconds": round(member.clock_ahead.total_seconds(), 3),
        "followed": member.followed,
        "behind": state.behind(member),
        "symbols": member.symbols,
        "trouble": member.trouble,
    }


def _key_json(state: FleetState, key: KeyState, *, is_used: bool) -> dict[str, Any]:
    return {
        "name": key.name,
        "fingerprint": key.id,
        "held_by": state.holders(key.id),
        "windows": [window_json(window) for window in key.windows],
        "blocked_until": key.block and instants.to_text(key.block.until),
        "blocked_reason": key.block and _reason(key.block),
        "paused_until": key.pause and instants.to_text(key.pause.until),
        "next_free_at": _text(_free_at(state, key)),
        "no_longer_used": not is_used,
    }


def print_fleet(state: FleetState, problems: Sequence[FleetProblem], place: str, *, wide: bool) -> None:
    """Print a fleet's state for people. `place`: where its PostgreSQL is."""
    at = state.server.at
    running = [count(len(state.running(role)), role) for role in ("member", "follower")]
    agreed = "not yet" if state.agreed_at is None else f"by {state.agreed_by}, {_for_people(state.agreed_at)}"
    print_facts(
        {
            "fleet": f"{state.id}, since {_for_people(state.begun_at)}",
            "PostgreSQL": f"{state.server.version} at {place}, {_for_people(at)}",
            "agreed": agreed,
            "log": count(state.head, "entry", "entries"),
            "running": ", ".join(running),
        }
    )
    if members := [member for member in state.members if not member.is_forgotten(at)]:
        print_line()
        names = ["member", "role", "state", "last beat", "clock", "behind", "keys", "version"]
        print_table(
            names, [_member_row(state, one) for one in members], numeric=["clock"], spare=["version"], wide=wide
        )
    if keys := state.known_keys:
        print_line()
        rows = [row for key in keys for row in _key_rows(state, key)]
        print_table(["key", "limit", "used", "left", "next free", "held by"], rows, wide=wide)
        for key in keys:
            _print_waits(key)
    _print_runs(state, wide=wide)
    print_line()
    for problem in problems:
        print_finding("note" if problem.is_warning else "problem", problem.kind, problem.text, problem.remedy)
    if not problems:
        print_line("nothing is stuck")


def _member_row(state: FleetState, member: Member) -> list[object]:
    presence, at = member.presence(state.server.at), state.server.at
    last = max(member.beat_at, member.left_at or member.beat_at)
    clock = _clock_text(member.clock_ahead) if presence is Presence.RUNNING else None
    keys = ", ".join(_key_names(state, member)) or None
    beat = f"{span_text(at - last)} ago"
    return [member.name, member.role, presence.value, beat, clock, state.behind(member), keys, member.version]


def _clock_text(ahead: timedelta) -> str:
    """Return how far a clock is ahead of PostgreSQL's (+) or behind: `+0.03 s`, `-5 min`."""
    if abs(ahead) < _SMALL:
        return f"{round(ahead.total_seconds(), 2) + 0:+.2f} s"
    return ("+" if ahead > timedelta() else "-") + span_text(abs(ahead))


def _key_rows(state: FleetState, key: KeyState) -> Iterator[list[object]]:
    """Yield a row for each window: the first has the key's name, its holders, and when a request may leave."""
    names: list[object] = [key.label, ", ".join(state.holders(key.id)) or "nobody"]
    if not key.windows:
        yield [names[0], "no limits", None, None, _free_text(_free_at(state, key)), names[1]]
    for number, window in enumerate(key.windows):
        name, holders = ("", "") if number else names
        yield [name, window.limit, window.used, window.left, _free_text(window.next_free_at), holders]


def _print_waits(key: KeyState) -> None:
    for what, block in (("blocked", key.block), ("paused", key.pause)):
        if block is not None:
            print_line(f"{key.label}: {what} until {_for_people(block.until)}: {block.reason or 'the quota has ended'}")


def _print_runs(state: FleetState, *, wide: bool) -> None:
    print_line()
    if not state.runs:
        print_line("no run is under way")
        return
    names = ["run", "fire time", "begun by", "due", "ended", "batches", "schedule"]
    rows: list[list[object]] = []
    for run in state.runs:
        fire_time = run.scheduled_for and instants.for_people(run.scheduled_for)
        batches = "alone" if run.is_alone else f"{run.batches_done:,} of {run.batches:,}"
        rows.append([run.id, fire_time, run.member, run.due, run.ended, batches, run.schedule])
    print_table(names, rows, spare=["schedule"], wide=wide)


def _key_names(state: FleetState, member: Member) -> list[str]:
    """Return the names of the keys that a member holds; of one that the fleet does not know, its fingerprint."""
    names = {key.id: key.label for key in state.keys}
    return [names.get(key, key) for key in member.keys]


def _free_at(state: FleetState, key: KeyState) -> datetime | None:
    """Return when the next request may leave with a key; None: now."""
    free_at = key.free_at(state.server.at)
    return free_at if free_at > state.server.at else None


def _free_text(free_at: datetime | None) -> str:
    return "now" if free_at is None else instants.for_people(free_at)


def _reason(block: Block) -> str:
    return block.reason or "the API said that the quota has ended"


def _for_people(instant: datetime) -> str:
    return f"{instants.for_people(instant)} UTC"


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instants.to_text(instant)
