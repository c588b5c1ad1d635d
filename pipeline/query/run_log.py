"""Run log: the runs of a database, and how each symbol ended in them, as they stood at the horizon."""

from collections.abc import Collection
from datetime import datetime

from pipeline.instants import from_text
from pipeline.query.holdings import Holdings
from pipeline.store.database import translate_errors
from pipeline.store.reader import Reader, Run, SymbolOutcome


class RunLog(Holdings):
    """A database opened for questions about its runs. A run that had not ended at the horizon is under way."""

    def runs(self, *, limit: int = 50, before: int | None = None) -> list[Run]:
        """Return the last runs, missed fire times among them, the newest first; `before`: with smaller ids only."""
        with translate_errors(self._path):
            return self._reader.runs(limit, before=before)

    def run(self, run: int) -> Run | None:
        """Return the run of that id, or None."""
        with translate_errors(self._path):
            return self._reader.run(run)

    def last_run(self) -> Run | None:
        """Return the last run that ended, or None. Imports, missed fire times and runs on demand do not count."""
        with translate_errors(self._path):
            return self._reader.last_finished_run()

    def last_complete_run(self) -> Run | None:
        """Return the last run that was complete, or None. Imports and runs on demand do not count."""
        with translate_errors(self._path):
            return self._reader.last_complete_run()

    def outcomes(
        self,
        run: int,
        *,
        only: Collection[str] | None = None,
        limit: int | None = None,
        after: tuple[str, str] | None = None,
    ) -> list[SymbolOutcome]:
        """Return how each symbol ended in a run, in that order: of two at one instant, by symbol.

        `only`: those that ended so. `after`: those behind the one of this instant, as text, and symbol.
        """
        with translate_errors(self._path):
            return self._reader.outcomes(run, only=only, limit=limit, after=after)

    def last_run_started_at(self) -> datetime | None:
        """Return when the last run started that had symbols to request; None where there was none.

        Runs on demand do not count: what changed since the last run is not what one client asked for.
        """
        query = """
            SELECT started_at FROM runs
             WHERE trigger NOT IN ('import', 'on_demand') AND started_at IS NOT NULL AND (requests > 0 OR EXISTS (
                       SELECT 1 FROM outcomes WHERE run_id = runs.id AND outcome <> 'deferred'))
             ORDER BY id DESC LIMIT 1
        """
        with translate_errors(self._path):
            row = self._db.execute(query).fetchone()
            return None if row is None else from_text(row[0])

    @property
    def _reader(self) -> Reader:
        return Reader(self._db)
