"""docs/querying.md, from other tools: each line reads a record right that is hard to guess the types of."""

import re
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.docs.generate import DOCS
from tests.support.commands import query
from tests.support.hard_record import LARGE, NULLS_FIRST, SNAPSHOTS, SYMBOLS, hard_record

PAGE = (DOCS / "querying.md").read_text(encoding="utf-8").partition("## From other tools")[2]
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
NAMES = [" ".join(re.findall(r"\w+\.\w+\(|ATTACH|'\S+parquet'", snippet)[-1:]).strip("(") for snippet in SNIPPETS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the page assumes it: a database, and two exports of it."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "data").mkdir()
    database = Path(shutil.copy(hard_record(), folder / "data" / "overviews.db"))
    for name in ("overviews.parquet", "overviews.csv"):
        assert query(database, "export", "--output", str(folder / name)).code == 0
    return folder


@pytest.fixture(autouse=True)
def duckdbs_extension(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put DuckDB's extension for SQLite where DuckDB would download it to."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    package = Path(str(import_module("duckdb_extension_sqlite_scanner").__file__)).parent
    (extension,) = package.rglob("*.duckdb_extension")
    duckdb = import_module("duckdb")
    with duckdb.connect() as db:
        (platform,) = db.execute("PRAGMA platform").fetchone()
    target = home / ".duckdb" / "extensions" / extension.parent.name / platform
    target.mkdir(parents=True)
    (target / extension.name).symlink_to(extension)


def run(snippet: str) -> list[dict[str, Any]]:
    """Return the rows that a snippet reads, missing values as None."""
    names: dict[str, Any] = {}
    exec(compile(snippet, "docs/querying.md", "exec"), names)
    if "rows" in names:  # of SELECT *
        return [dict(zip(_columns(), row, strict=True)) for row in names["rows"]]
    frame = names["frame"]
    if hasattr(frame, "to_dicts"):
        rows: list[dict[str, Any]] = frame.to_dicts()
        return rows
    pandas = import_module("pandas")
    return [
        {name: None if pandas.isna(value) else value for name, value in row.items()} for row in frame.to_dict("records")
    ]


def _columns() -> list[str]:
    return Path("overviews.csv").read_text(encoding="utf-8").partition("\n")[0].strip().split(",")


@pytest.mark.parametrize("snippet", SNIPPETS, ids=NAMES)
def test_each_snippet_reads_what_is_stored(folder: Path, monkeypatch: pytest.MonkeyPatch, snippet: str) -> None:
    monkeypatch.chdir(folder)

    by_symbol: dict[str, list[dict[str, Any]]] = {}
    for row in run(snippet):
        by_symbol.setdefault(row["symbol"], []).append(row)

    assert sorted(by_symbol) == (["NA"] if "History" in snippet else SYMBOLS)
    for rows in by_symbol.values():
        rows.sort(key=lambda row: str(row["observed_at"]))
        assert [row["shares_float"] for row in rows] == [None] * NULLS_FIRST + [LARGE] * (SNAPSHOTS - NULLS_FIRST)
        assert {row["revenue_ttm"] for row in rows} == {None, LARGE, LARGE + 2}
        assert [row["market_capitalization"] for row in rows] == [LARGE + hour for hour in range(SNAPSHOTS)]
        assert {row["cik"] for row in rows} == {"0000051143"}
        assert {(row["peg_ratio"], row["dividend_date"]) for row in rows} == {(None, None)}
        assert {str(row["latest_quarter"])[:10] for row in rows} == {"None", "2025-12-31"}


def test_there_is_a_snippet_for_each_tool() -> None:
    assert len(SNIPPETS) == 9
    for tool in ("pipeline", "pandas", "polars", "duckdb"):
        assert any(re.search(rf"^(import|from) {tool}\b", snippet, flags=re.MULTILINE) for snippet in SNIPPETS)
