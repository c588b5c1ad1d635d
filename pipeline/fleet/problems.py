"""Problems of a fleet: what is stuck, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pipeline import instants
from pipeline.errors import Trouble
from pipeline.fleet.state import ActiveRun, FleetState, Member, Presence
from pipeline.text import count, few

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far a member's clock may be off before that is worth a word: fire times go by PostgreSQL's."""
_NO_PROGRESS = timedelta(minutes=15)
"""A run in which no symbol ended for longer, although a key has a slot free, is stuck."""


@dataclass(frozen=True, slots=True)
class FleetProblem:
    """One thing that is wrong. As text it is one line, with its remedy."""

    kind: str
    """What it is about, in a word: member, key, run, …"""
    subject: str
    """Which one of its kind; empty where there is but one."""
    text: str
    remedy: str | None = None
    is_warning: bool = False
    """Whether everything goes on all the same."""

    def __str__(self) -> str:
        return str(Trouble(self.text, remedy=self.remedy))


_warning = partial(FleetProblem, is_warning=True)


def problems(state: FleetState) -> list[FleetProblem]:
    """Return what is wrong, what stops work before mere warnings; empty if all is well."""
    found = [*_of_server(state), *_of_members(state), *_of_keys(state), *_of_runs(state), *_of_symbols(state)]
    return sorted(found, key=lambda one: one.is_warning)


def _of_server(state: FleetState) -> Iterator[FleetProblem]:
    if state.server.is_standby or state.server.is_read_only:
        kind = "a standby" if state.server.is_standby else "read-only"
        text = f"this PostgreSQL server is {kind}: nothing can be requested or stored"
        remedy = "name the primary in PIPELINE_FLEET_URL; of several hosts, target_session_attrs=read-write finds it"
        yield FleetProblem("server", "", text, remedy)
    if state.agreed is None:
        text, remedy = "no limits and schedules are agreed yet", "pipeline fleet init, on a machine that has them"
        yield FleetProblem("agreement", "", text, remedy)


def _of_members(state: FleetState) -> Iterator[FleetProblem]:
    at, is_alone = state.server.at, not state.running("member")
    if is_alone:
        yield FleetProblem("member", "", "no member runs: nothing is collected", "start pipeline run on a machine")
    for member in state.members:
        presence = member.presence(at)
        if presence is Presence.DEAD and not member.is_forgotten(at) and member.role != "collector":
            yield _dead(member, is_alone=is_alone)
        if presence is Presence.RUNNING and member.trouble is not None:
            yield FleetProblem("member", member.name, f"{member.name}: {member.trouble}")
        if presence is Presence.RUNNING and abs(member.clock_ahead) > CLOCK_TOLERANCE:
            yield _clock(member)


def _dead(member: Member, *, is_alone: bool) -> FleetProblem:
    text = f"{member.name} has died: its last sign of life was at {instants.for_people(member.beat_at)} UTC"
    if member.role != "member":
        return _warning("member", member.name, text, "start pipeline follow there again: it misses nothing")
    meanwhile = "" if is_alone else "; meanwhile the others do its work"
    return FleetProblem("member", member.name, text, f"start pipeline run there again{meanwhile}")


def _clock(member: Member) -> FleetProblem:
    way = "ahead of" if member.clock_ahead > timedelta() else "behind"
    text = f"the clock of {member.name} is {span_text(abs(member.clock_ahead))} {way} PostgreSQL's"
    remedy = "set it, best by NTP; quota and fire times go by PostgreSQL's clock"
    return _warning("clock", member.name, text, remedy)


def _of_keys(state: FleetState) -> Iterator[FleetProblem]:
    agreement = state.agreement if state.running("member") else None
    for name, key in agreement.keys.items() if agreement is not None else ():
        if key.limits and not (key.id and state.holders(key.id)):
            label = name or key.id or "of the members"
            text = f"nobody holds the key {label}: its quota goes unused"
            remedy = "set its variable on a member; or remove it from the configurations, then pipeline fleet init"
            yield _warning("key", label, text, remedy)


def _of_runs(state: FleetState) -> Iterator[FleetProblem]:
    members = [member.name for member in state.running("member")]
    swept = partial(FleetProblem, "run", is_warning=bool(members))
    for run in state.runs:
        number = str(run.id)
        if run.stalled:
            text = f"run {number}: a worker died with {count(run.stalled, 'job')}"
            remedy = "a member hands them out again within a minute" if members else _TO_SWEEP
            yield swept(number, text, remedy)
        if run.without_job:
            text = f"run {number}: {count(run.without_job, 'batch', 'batches')} without a job"
            remedy = "a member adds what is missing within a minute" if members else _TO_SWEEP
            yield swept(number, text, remedy)
        if members and _is_idle(run, state):
            since = run.last_ended_at or run.started_at or state.server.at
            text = f"run {number}: no symbol has ended since {instants.for_people(since)} UTC, although a slot is free"
            yield FleetProblem("run", number, text, f"read the log of {few(members)}")


_TO_SWEEP = "start pipeline run on a machine: it hands them out again"


def _is_idle(run: ActiveRun, state: FleetState) -> bool:
    """Whether nothing has ended for long, although there is a key with a slot free."""
    at = state.server.at
    since = max(filter(None, (run.last_ended_at, run.started_at)), default=at)
    is_free = any(key.free_at(at) <= at for key in state.keys if state.holders(key.id))
    return is_free and at - since > _NO_PROGRESS


def _of_symbols(state: FleetState) -> Iterator[FleetProblem]:
    lists: dict[str, list[str]] = {}
    for member in state.running("member"):
        if member.symbols_digest is not None:
            lists.setdefault(member.symbols_digest, []).append(member.name)
    if len(lists) > 1:
        text = f"members list different symbols ({'; '.join(few(names, 3) for names in lists.values())})"
        remedy = "give all of them the same list: a run has the symbols of the member that begins it"
        yield _warning("symbols", "", text, remedy)


def span_text(span: timedelta) -> str:
    """Return a span in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
