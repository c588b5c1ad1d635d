"""Datasette: the metadata with which it shows a database: views described, internal tables hidden, questions to ask."""

from html import escape
from typing import Any
from urllib.parse import quote

from pipeline.query.questions import QUESTIONS
from pipeline.store.relations import INTERNAL, RELATIONS, described_columns

_COUNTER = "sqlite_sequence"
"""SQLite's own table of AUTOINCREMENT, which Datasette would list."""
_SORT = {"runs": "id", "requests": "id", "overviews": "observed_at", "overview_changes": "observed_at"}
"""By what Datasette sorts, the newest first."""


def metadata(database: str) -> dict[str, Any]:
    """Return the metadata for a database of this name: Datasette's name of a file is that without its ending."""
    description = _description(database)
    return {
        "title": "Company overviews",
        "description_html": description,
        "source": "Alpha Vantage, OVERVIEW",
        "databases": {
            database: {
                "description_html": description,
                "queries": {
                    question.name: {
                        "title": question.title,
                        "description": question.help,
                        "params": list(question.parameters),
                        "sql": question.sql.strip(),
                    }
                    for question in QUESTIONS
                },
                "tables": {
                    **{name: _table(name) for name in RELATIONS},
                    **{name: {"hidden": True} for name in (*INTERNAL, _COUNTER)},
                },
            }
        },
    }


def _table(name: str) -> dict[str, Any]:
    newest_first = {"sort_desc": _SORT[name]} if name in _SORT else {}
    return {"description": _plain(RELATIONS[name]), "columns": dict(described_columns(name)), **newest_first}


def _description(database: str) -> str:
    """Return a list of the views and tables with links: Datasette itself lists the views last."""
    folder = _in_url(database)
    lines = (f'<li><a href="{folder}/{name}">{name}</a>: {escape(_plain(has))}</li>' for name, has in RELATIONS.items())
    return f"<p>Views and tables:</p><ul>{''.join(lines)}</ul>"


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")


def _in_url(name: str) -> str:
    """Return a name as Datasette writes it in a path: all but letters, digits, hyphen and underscore as `~2E`."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", "~")
