"""Problems of a fleet: what is stuck, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

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

    subject: str
    """Which member, key or run; empty for the fleet as a whole."""
    text: str
    remedy: str | None
    is_warning: bool = False
    """Whether everything goes on all the same."""

    def __str__(self) -> str:
        return str(Trouble(self.text, remedy=self.remedy))


def problems(state: FleetState) -> list[FleetProblem]:
    """Return what is wrong, what stops everything first; empty if all is well."""
    found = [*_of_server(state), *_of_members(state), *_of_keys(state), *_of_runs(state), *_of_symbols(state)]
    return sorted(found, key=lambda one: one.is_warning)


def _of_server(state: FleetState) -> Iterator[FleetProblem]:
    if state.server.is_standby or state.server.is_read_only:
        kind = "a standby" if state.server.is_standby else "read-only"
        remedy = (
            "let PIPELINE_FLEET_URL lead to the primary; of several hosts, target_session_attrs=read-write finds it"
        )
        yield FleetProblem("", f"this PostgreSQL server is {kind}: nothing can be requested or stored", remedy)
    if state.agreed is None:
        yield FleetProblem(
            "", "no limits and schedules are agreed yet", "pipeline fleet init, on a machine that has them"
        )


def _of_members(state: FleetState) -> Iterator[FleetProblem]:
    at = state.server.at
    if not state.running("member"):
        yield FleetProblem("", "no member runs: nothing is collected", "start pipeline run on a machine")
    for member in state.members:
        presence = member.presence(at)
        if presence is Presence.DEAD and not member.is_forgotten(at):
            yield _dead(member)
        if presence is Presence.RUNNING and member.trouble is not None:
            yield FleetProblem(member.name, f"{member.name}: {member.trouble}", None)
        if presence is Presence.RUNNING and abs(member.clock_ahead) > CLOCK_TOLERANCE:
            yield _clock(member)


def _dead(member: Member) -> FleetProblem:
    text = f"{member.name} has died: its last sign of life was at {instants.for_people(member.beat_at)} UTC"
    if member.role != "member":
        return FleetProblem(member.name, text, "start pipeline follow there again; it misses nothing", is_warning=True)
    return FleetProblem(member.name, text, "start pipeline run there again; meanwhile the others do its work")


def _clock(member: Member) -> FleetProblem:
    way = "ahead of" if member.clock_ahead > timedelta() else "behind"
    off = span_text(abs(member.clock_ahead))
    remedy = "set it, best by NTP; quota and fire times go by PostgreSQL's clock, whatever it shows"
    return FleetProblem(member.name, f"the clock of {member.name} is {off} {way} PostgreSQL's", remedy, is_warning=True)


def _of_keys(state: FleetState) -> Iterator[FleetProblem]:
    for key in state.keys:
        if state.running("member") and key.windows and not state.holders(key.id):
            text = f"nobody holds the key {key.name}: its quota goes unused"
            yield FleetProblem(
                key.name, text, "set its variable on a member, or remove it from [[fleet.keys]]", is_warning=True
            )


def _of_runs(state: FleetState) -> Iterator[FleetProblem]:
    at, is_swept = state.server.at, bool(state.running("member"))
    remedy = None if is_swept else "start pipeline run on a machine: its sweep hands them out again"
    for run in state.runs:
        subject = f"run {run.id}"
        if run.stalled:
            text = f"{subject}: a worker died with {count(run.stalled, 'job')}"
            yield FleetProblem(
                subject, text, remedy or "within a minute a member hands them out again", is_warning=is_swept
            )
        if run.without_job:
            text = f"{subject}: {count(run.without_job, 'batch', 'batches')} without a job"
            yield FleetProblem(subject, text, remedy or "within a minute a member adds one", is_warning=is_swept)
        if is_swept and _is_idle(run, state):
            since = instants.for_people(run.last_ended_at or run.started_at or at)
            text = f"{subject}: no symbol has ended since {since} UTC, although a slot is free"
            yield FleetProblem(subject, text, f"see the log of {few([one.name for one in state.running('member')])}")


def _is_idle(run: ActiveRun, state: FleetState) -> bool:
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
        groups = "; ".join(few(names, 3) for names in lists.values())
        text = f"members list different symbols ({groups})"
        remedy = "give all of them the same list: a run has the symbols of the member that begins it"
        yield FleetProblem("", text, remedy, is_warning=True)


def span_text(span: timedelta) -> str:
    """Return a span in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
