"""The README: its tables follow the code, and what it shows runs as printed."""

import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.app import COMMANDS
from pipeline.model.document import Overview
from pipeline.model.fields import CATALOGUE
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.model.symbols import Symbol
from pipeline.quota.limits import PLANS
from pipeline.store.migrate import migrate
from pipeline.store.runs import Ended, Store
from pipeline.store.snapshots import Observation, observation
from pipeline.store.writer import open_writer
from tests.support.clocks import START

ROOT = Path(__file__).parents[2]
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


def seen(symbol: str, day: str, **fields: str) -> Observation:
    document = {"Symbol": symbol, "Name": symbol, "LatestQuarter": "2025-12-31", "PERatio": "30", "EPS": "4", **fields}
    at = datetime.fromisoformat(f"{day}T18:00:00+00:00")
    return observation(Symbol(symbol), at, Overview(Symbol(symbol), document))


@pytest.fixture
async def answerable(tmp_path: Path) -> Path:
    """A record in which every question of the README has an answer."""
    path = tmp_path / "data" / "overviews.db"
    migrate(path, now=START)
    tech = {"Sector": "TECHNOLOGY", "MarketCapitalization": "3000000000000", "RevenueTTM": "391000000000"}
    food = {"Sector": "CONSUMER", "Industry": "BEVERAGES", "MarketCapitalization": "300000000000"}
    async with open_writer(path) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=3, due=3)
        await store.add(
            [
                seen("AAPL", "2026-02-20", **tech),
                seen("AAPL", "2026-03-13", **tech, PERatio="33"),
                seen("AAPL", "2026-03-20", **(tech | {"RevenueTTM": "395000000000"}), PERatio="33"),
                seen("PEP", "2026-02-20", **food),
                seen("PEP", "2026-03-20", **(food | {"Industry": "SOFT DRINKS"})),
            ]
        )
        await store.note(Ended(run, Symbol("KO"), Outcome.FAILED, 3, START, "HTTP 503"))
    return path


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_runs_as_printed_and_has_an_answer(answerable: Path, query: str) -> None:
    with closing(sqlite3.connect(answerable)) as db:
        assert db.execute(query).fetchall()


def test_there_are_ten_questions() -> None:
    assert [query[3:5].strip(" .") for query in blocks("sql") if re.match(r"-- \d+\.", query)] == [
        *map(str, range(1, 11))
    ]


@pytest.mark.parametrize("query", [query for query in blocks("sql") if "observed_at <" in query])
def test_no_query_about_an_instant_reads_a_table_whole(answerable: Path, query: str) -> None:
    """But for the symbols, of which there are thousands at most."""
    with closing(sqlite3.connect(answerable)) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    tables = ("snapshots", "now", "was", "earlier", "profiles", "statements", "old", "new")
    assert not [step for step in plan if step.startswith("SCAN") and step.split()[1] in tables], plan


@pytest.mark.parametrize("example", [block for block in blocks("python") if "History" in block])
def test_the_example_in_python_runs_as_printed(
    answerable: Path, example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(answerable.parents[1])
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)

    assert "AAPL 33.0 1 day, 5:59:59.999000" in capsys.readouterr().out
    assert [vintage.value for vintage in names["restated"]] == [395000000000]
    assert names["table"].num_rows == 3


def test_every_verb_plan_and_outcome_is_told_of() -> None:
    for verb in COMMANDS:
        assert re.search(rf"\| `{verb}[ `\[]", README), verb
    for outcome in Outcome:
        assert f"| `{outcome}` |" in README
    for plan, limits in PLANS.items():
        assert plan in README or f"`-{plan.partition('-')[2]}`" in README
        assert str(limits[0].count) in README


def test_every_link_to_a_file_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
