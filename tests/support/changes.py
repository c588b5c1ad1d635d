"""Changes as `History.changes` lists them, of looks kept in a new database."""

from typing import Any

from pipeline.model.changes import Change
from pipeline.query.history import History
from tests.support.looks import Look, record


def changes(*looks: Look, **bounds: Any) -> list[Change]:
    """Return the changes between the looks, as `History.changes` lists them within these bounds."""
    with History.open(record(looks)) as history:
        return list(history.changes(**bounds))
