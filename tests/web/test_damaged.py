"""A damaged database is the answer of a page that comes across it, and no mistake of the program in its log."""

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.damaged import untyped
from tests.support.observations import database_of, seen, text
from tests.support.site import served


@pytest.fixture
def unlisted(tmp_path: Path) -> Path:
    """Return a database that does not list one of its two symbols, which was observed later."""
    made = Path(shutil.copy(database_of([seen(0, PERatio="10"), seen(24, "PEP", PERatio="11")]), tmp_path / "o.db"))
    with untyped(made) as db:
        db.execute("DELETE FROM symbols WHERE symbol = 'PEP'")
    return made


@pytest.mark.parametrize(
    "path", ["/api/v1/as-of", "/companies", f"/as-of/{text(30)}/api/v1/as-of", "/api/v1/companies"]
)
async def test_a_symbol_that_is_not_listed_is_left_out_of_no_answer_about_all(unlisted: Path, path: str) -> None:
    async with served(unlisted) as site:
        got = await site.get(path)

    assert got.status == 503
    assert "no row for PEP" in got.text


@pytest.fixture
def database(tmp_path: Path) -> Path:
    made = Path(shutil.copy(database_of([seen(0, PERatio="10"), seen(1, PERatio="11")]), tmp_path / "o.db"))
    with untyped(made) as db:
        db.execute("DELETE FROM statements")
    return made


@pytest.mark.parametrize("path", ["/companies/IBM", "/api/v1/companies/IBM", "/query?function=OVERVIEW&symbol=IBM"])
async def test_what_cannot_be_there_is_answered_with_503_and_the_remedy(
    tmp_path: Path, database: Path, path: str
) -> None:
    async with served(database) as site:
        with capture_logs() as logged:
            got = await site.get(path)

    assert got.status == 503
    assert "damaged" in got.text
    assert str(tmp_path) not in got.text
    assert [line for line in logged if line["log_level"] == "error"] == []
