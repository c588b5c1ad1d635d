"""Changes as `History.changes` lists them, of observations kept in a new database."""

from typing import Any

from pipeline.model.changes import Change
from pipeline.query.history import History
from tests.support.observations import Observed, database_of


def changes(*observations: Observed, **bounds: Any) -> list[Change]:
    """Return the changes between the observations, as `History.changes` lists them within these bounds."""
    with History.open(database_of(observations)) as history:
        return list(history.changes(**bounds))
