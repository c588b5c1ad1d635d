"""Relations: the views and tables of a database that programs may rely on, and what their columns are."""

from collections.abc import Mapping

from pipeline.model.fields import CATALOGUE, Field

RELATIONS = {
    "overviews": "every snapshot, all columns",
    "latest_overviews": "the newest snapshot of each symbol",
    "overview_changes": "each value that differs from the snapshot before; for fields that appear, disappear or cannot"
    " be read, use `pipeline changes`",
    "restatements": "a value that replaced another of the same quarter, whatever was reported in between: those of"
    " `pipeline vintages --all`",
    "companies": "which company had a symbol, and when: one row for a symbol that was never renamed",
    "universe": "when each symbol was in the configured list, as runs noted it",
    "fields": "the fields of an overview; `pipeline fields` lists them",
    "runs": "every run and every missed fire time, with counts by outcome",
    "outcomes": "how each symbol ended in each run",
    "requests": "every request of the last days: the ledger that holds the limits",
}
"""What each has, the views first."""

INTERNAL = (
    "backups",
    "blocked",
    "clock",
    "followed",
    "in_flight",
    "keys",
    "layouts",
    "looks",
    "migrations",
    "profiles",
    "renames",
    "schedules",
    "snapshots",
    "spans",
    "statements",
    "symbols",
    "uncovered",
)
"""All other tables: they may change."""


def described_columns(relation: str) -> Mapping[str, str]:
    """Return what each column of a view or table is, by its name."""
    return _COLUMNS[relation]


def describe(field: Field) -> str:
    """Return what a field is, its unit and the API's name, such as `Price to earnings (ratio, PERatio)`."""
    return f"{field.description} ({', '.join(filter(None, [field.unit, field.name]))})"


_SYMBOL = {"symbol": "Ticker, as the API writes it"}
_SEEN = {
    "observed_at": "When this version was first seen (UTC)",
    "confirmed_at": "When this version was last seen unchanged (UTC)",
}
_OVERVIEW = {
    **_SYMBOL,
    **_SEEN,
    **{field.column: describe(field) for field in CATALOGUE},
    "extra": "JSON: fields without a column, and spellings that the columns would not give back",
}
_CHANGED = {
    "before": "The value before",
    "after": "The value since",
    "change": "Relative change: 0.05 is +5 %",
    "last_confirmed_at": "When the value before was last seen (UTC)",
    "observed_at": "When the new value was first seen (UTC)",
}
_COUNTED = {
    "stored": "Symbols with a new snapshot",
    "unchanged": "Symbols seen unchanged",
    "unknown": "Symbols that the API does not cover",
    "failed": "Symbols that failed after all retries",
    "rejected": "Symbols whose answer was no overview of theirs",
    "deferred": "Symbols not requested",
}
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "overviews": _OVERVIEW,
    "latest_overviews": _OVERVIEW,
    "overview_changes": {
        **_SYMBOL, "field": "Column that changed", "part": "How fast it moves: profile, reported or daily", **_CHANGED,
    },
    "restatements": {
        **_SYMBOL, "field": "Column that was restated", "latest_quarter": "Last day of the fiscal quarter", **_CHANGED,
    },
    "companies": {
        **_SYMBOL,
        "company": "The company's newest symbol; FB@2022-06-09 or the like where that is another company's",
        "since": "From when on observations of the symbol are the company's (UTC)",
        "until": "Before when they are (UTC)",
    },
    "universe": {
        **_SYMBOL,
        "since": "From when on it was in the list (UTC)",
        "configuration": "The file that listed it; empty: variables; `requests`: its requests, before lists were noted;"
        " `fleet` and an id: that fleet",
        "until": "Before when it was (UTC); NULL: it still is",
    },
    "fields": {
        "field": "Column",
        "name": "The API's name",
        "kind": "Type: text, integer, real or date",
        "part": "How fast it moves: profile, reported or daily",
        "unit": "Unit",
        "fiscal": "1 if it comes from a quarter's statements",
        "missing": "How the API usually writes that it has no value",
        "description": "What it is",
    },
    "runs": {
        "id": "Number of the run",
        "trigger": "What started it: manual, schedule, catch_up, continue, on_demand or import",
        "scheduled_for": "The fire time that it was for (UTC)",
        "started_at": "When it started (UTC)",
        "finished_at": "When it ended (UTC)",
        "status": "How it ended",
        "symbols": "Symbols configured",
        "due": "Symbols due",
        **_COUNTED,
        "requests": "Requests sent",
        "seconds": "Duration in seconds",
        "detail": "Why it ended so",
        "schedule": "Cron line and time zone of the schedule",
        "uncovered": "Symbols with snapshots that the API said it does not cover",
    },
    "outcomes": {
        "run_id": "Number of the run",
        **_SYMBOL,
        "outcome": "How the symbol ended",
        "attempts": "Requests sent for it",
        "at": "When (UTC)",
        "detail": "Why",
    },
    "requests": {
        "id": "Number of the request",
        "run_id": "Number of the run",
        **_SYMBOL,
        "retry": "1 if it repeated a failed one",
        "reserved_at": "When the slot was reserved, before it was sent (UTC)",
        "deadline_at": "When it was over at the latest (UTC)",
        "finished_at": "When it ended (UTC)",
        "outcome": "How it ended",
        "key": "Fingerprint of the API key",
    },
}  # fmt: skip
