"""One answer to each question."""

from typing import Any

from pipeline.query.history import History
from pipeline.query.results import Answer


def answers(history: History) -> dict[str, Answer[Any]]:
    """Return an answer to each question, by its name."""
    return {
        "history": history.history("IBM", ["eps", "latest_quarter", "name", "market_capitalization"]),
        "as_of": history.as_of("now", fields=["eps", "latest_quarter", "name", "market_capitalization"]),
        "panel": history.panel(["eps", "latest_quarter", "name", "market_capitalization"], until="2026-03-20"),
        "changes": history.changes(),
        "vintages": history.vintages("IBM"),
        "vintages of dates": history.vintages("IBM", ["dividend_date", "revenue_ttm"]),
        "restatements": history.restatements(),
    }
