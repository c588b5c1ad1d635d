"""What companies looked like, and when it was known: Alpha Vantage overviews, stored in SQLite.

The public Python API is what this module offers, documented in docs/python.md; every other module is internal.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.errors import Trouble as Trouble
    from pipeline.model.changes import Change as Change
    from pipeline.model.fields import FieldNotFound as FieldNotFound
    from pipeline.query.documents import Received as Received
    from pipeline.query.history import History as History
    from pipeline.query.join import JoinError as JoinError
    from pipeline.query.joined import Joined as Joined
    from pipeline.query.panel import PanelRow as PanelRow
    from pipeline.query.results import Answer as Answer
    from pipeline.query.results import Column as Column
    from pipeline.query.results import Snapshot as Snapshot
    from pipeline.query.results import Vintage as Vintage
    from pipeline.store.database import DatabaseError as DatabaseError
    from pipeline.store.reader import NoData as NoData
    from pipeline.store.stored_symbols import SymbolNotFound as SymbolNotFound

__version__ = "0.1.0"

_PUBLIC = {
    "Answer": "pipeline.query.results",
    "Change": "pipeline.model.changes",
    "Column": "pipeline.query.results",
    "DatabaseError": "pipeline.store.database",
    "FieldNotFound": "pipeline.model.fields",
    "History": "pipeline.query.history",
    "JoinError": "pipeline.query.join",
    "Joined": "pipeline.query.joined",
    "NoData": "pipeline.store.reader",
    "PanelRow": "pipeline.query.panel",
    "Received": "pipeline.query.documents",
    "Snapshot": "pipeline.query.results",
    "SymbolNotFound": "pipeline.store.stored_symbols",
    "Trouble": "pipeline.errors",
    "Vintage": "pipeline.query.results",
}


if not TYPE_CHECKING:  # for a type checker the imports above are all there is

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used: `pipeline --version` needs none of them."""
        if name not in _PUBLIC:
            raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
        return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return ["__version__", *_PUBLIC]
