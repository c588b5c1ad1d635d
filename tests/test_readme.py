"""The README: its tables follow the code, and what it shows runs as printed."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.cli import VERBS
from pipeline.outcome import Outcome
from pipeline.overview import CATALOGUE
from pipeline.windows import PLANS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def field_table() -> str:
    """Return the table of columns as the README is to hold it."""
    lines = ["| column | the API's name | type | moves | unit |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| `{f.column}` | {f.name} | {f.kind} | {f.part} | {f.unit} |" for f in CATALOGUE]
    return "\n".join(lines)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_table_of_columns_is_the_catalogue() -> None:
    assert field_table() in README


def test_the_configuration_shown_is_the_one_that_ships() -> None:
    shipped = (ROOT / "config" / "pipeline.toml").read_text(encoding="utf-8")
    assert shipped.partition("\n\n")[2].strip() in README


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_runs_as_printed(database: Path, query: str) -> None:
    with closing(sqlite3.connect(database)) as db:
        assert db.execute(query).fetchall() == []


def test_every_verb_plan_and_outcome_is_told_of() -> None:
    for verb in VERBS:
        assert re.search(rf"\| `{verb}[ `\[]", README), verb
    for outcome in Outcome:
        assert f"| `{outcome}` |" in README
    for plan, limits in PLANS.items():
        assert plan in README or f"`-{plan.partition('-')[2]}`" in README
        assert str(limits[0].count) in README


def test_every_link_to_a_file_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
