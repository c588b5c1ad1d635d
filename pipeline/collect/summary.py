"""Summary: what came of a run. A value apart from what does the run, so that health checks need not load it."""

from collections import Counter
from dataclasses import dataclass

from pipeline.collect.due import Selection
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger, outcomes_text
from pipeline.model.renames import Rename
from pipeline.store.database import StorageError


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended."""

    run: RunId
    trigger: Trigger
    status: RunStatus
    symbols: int
    selection: Selection
    counts: Counter[Outcome]
    requests: int
    seconds: float
    busy_seconds: float
    """How long the requests took, added up: what one after another would have taken."""
    detail: str | None
    exit_code: int
    storage_error: StorageError | None = None
    """Why not everything could be written, if so."""
    key_refused: bool = False
    """Whether the API refused the key, or its plan."""
    uncovered: int = 0
    """How many of the unknown symbols have snapshots."""
    possible_renames: tuple[Rename, ...] = ()
    """The symbols that were answered with another's overview."""
    blocks: tuple[str, ...] = ()
    """Why requests had to wait, besides the plan's pace: reasons to show."""

    @property
    def ending(self) -> str:
        """How it ended, in one line: `partial: 2 stored, 1 rejected: not strict JSON`."""
        return f"{self.status}: {outcomes_text(self.counts) or 'nothing was due'}" + (
            f": {self.detail}" if self.detail else ""
        )
