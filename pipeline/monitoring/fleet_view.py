"""The fleet in a status: whether this machine's file keeps up with it, and what is wrong, as text and as JSON."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.fleet.look import FleetLook, Lookout
from pipeline.quota.estimate import WindowUsage
from pipeline.store.log_place import Followed, followed, holds_own_record
from pipeline.text import count

QUOTA_ELSEWHERE = "the quota is in the fleet's PostgreSQL (set PIPELINE_FLEET_URL to see it)"


@dataclass(frozen=True, slots=True)
class FleetView:
    """What a status says of the fleet that this machine belongs to, or that the file follows."""

    look: FleetLook | None
    """None: this machine does not know where the fleet's PostgreSQL is."""
    place: Followed | None
    """How far the file has the log; None if it follows none."""
    holds_own_record: bool = False
    """Whether there is something in the file, from no fleet."""

    @property
    def followed(self) -> int:
        """How many entries of the log the file has."""
        return 0 if self.place is None else self.place.seq

    @property
    def behind(self) -> int | None:
        """How many entries of the log the file has not got; None if that is not known, or it follows none."""
        state = None if self.look is None or self.place is None else self.look.state
        return None if state is None else max(state.head - self.followed, 0)

    @property
    def is_quota_known(self) -> bool:
        """Whether it is known what may be requested: in a fleet PostgreSQL alone knows."""
        return self.look is not None and self.look.state is not None

    @property
    def windows(self) -> list[WindowUsage]:
        """How much of each window of each key is used; none where that is not known."""
        return [] if self.look is None else self.look.windows

    @property
    def has_members(self) -> bool:
        """Whether a member was seen that runs."""
        return self.look is not None and self.look.state is not None and bool(self.look.state.running("member"))

    def anonymous(self) -> "FleetView":
        """Return it as strangers may see it: without where PostgreSQL is."""
        if self.look is None or self.look.trouble is None:
            return self
        return replace(self, look=replace(self.look, trouble="PostgreSQL cannot be reached"))

    def line(self) -> str:
        """Return it in one line, for people."""
        entry = f"this file is as of entry {self.followed:,} of its log"
        if self.look is None:
            return f"{entry}; {QUOTA_ELSEWHERE}"
        if self.look.state is None:
            return f"{self.look.trouble}; the quota is not known, and {entry}"
        running = [count(len(self.look.state.running(role)), role) for role in ("member", "follower")]
        behind = f"is {count(self.behind, 'entry', 'entries')} behind" if self.behind else "is up to date"
        theirs = "is of this machine alone: pipeline fleet import" if self.holds_own_record else "does not follow it"
        file = theirs if self.place is None else behind
        notes = sum(one.is_warning for one in self.look.problems)
        wrong = {"problem": len(self.look.problems) - notes, "note": notes}
        found = " and ".join(count(number, what) for what, number in wrong.items() if number)
        stuck = f"; {found}, see pipeline fleet" if found else ""
        return f"{', '.join(running)} running; this file {file}{stuck}"

    def facts(self) -> dict[str, Any]:
        """Return it for JSON. The names are stable; what is not known is null."""
        look = self.look
        state = None if look is None else look.state
        return {
            "id": str(state.id) if state is not None else self.place and self.place.fleet,
            "name": look and look.name,
            "reachable": None if look is None else state is not None,
            "trouble": look and look.trouble,
            "log_entries": state and state.head,
            "followed": self.place and self.place.seq,
            "behind": self.behind,
            "members": state and len(state.running("member")),
            "followers": state and len(state.running("follower")),
            "problems": [str(problem) for problem in (() if look is None else look.problems)],
        }


def view_fleet(database: Path, lookout: Lookout | None) -> FleetView | None:
    """Return what is to be seen; None for a machine of no fleet whose file follows none. Raise DatabaseError."""
    place = followed(database)
    if lookout is None and place is None:
        return None
    is_own = place is None and holds_own_record(database)
    return FleetView(None if lookout is None else lookout.look(), place, holds_own_record=is_own)
