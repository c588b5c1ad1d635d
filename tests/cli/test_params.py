"""Shell completion: of commands, of symbols in the database, of fields; and never an error message."""

from pathlib import Path

import pytest

from tests.support.commands import Ended, call
from tests.support.observations import database_of, seen

RECORD = [seen(0, "AAPL", EPS="1"), seen(0, "ABT", EPS="1"), seen(0, "IBM", EPS="1")]


def offered(folder: Path, *words: str) -> Ended:
    """Return what is offered to complete the last of the words."""
    return call(
        folder,
        COMP_WORDS=" ".join(("pipeline", *words)),
        COMP_CWORD=str(len(words)),
        _PIPELINE_COMPLETE="bash_complete",
    )


def names(ended: Ended) -> list[str]:
    return [line.removeprefix("plain,") for line in ended.out.split()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["vi"], ["vintages"]),
        (["history", "AAPL", "pe"], ["pe_ratio", "peg_ratio", "percent_insiders", "percent_institutions"]),
        (["history", "AAPL", "pe_ratio", "EP"], ["EPS"]),
        (["as-of", "7d", "--field", "week"], ["week_52_high", "week_52_low"]),
        (["changes", "--field", "nothing"], []),
        (["vintages", "AAPL", "ebit"], ["ebitda"]),
    ],
)
def test_commands_and_fields_are_offered_without_a_database(
    tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    ended = offered(tmp_path, *words)

    assert (names(ended), ended.err) == (expected, "")


def test_symbols_in_the_database_are_offered_wherever_it_is_named() -> None:
    database = database_of(RECORD)

    before = offered(database.parent, "--database", database.name, "history", "a")
    behind = offered(database.parent, "as-of", "--database", database.name, "7d", "AAPL", "I")

    assert names(before) == ["AAPL", "ABT"]
    assert names(behind) == ["IBM"]


@pytest.mark.parametrize("where", [["--database", "absent.db"], ["--config", "wrong.toml"], ["--database", "wrong.db"]])
def test_a_problem_offers_nothing_and_prints_nothing(tmp_path: Path, where: list[str]) -> None:
    (tmp_path / "wrong.toml").write_text("this is = [not TOML")
    (tmp_path / "wrong.db").write_text("not a database, but longer than the header of one, which is 100 bytes" * 2)

    ended = offered(tmp_path, *where, "history", "A")

    assert (ended.out.strip(), ended.err) == ("", "")
