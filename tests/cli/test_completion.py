"""What a shell offers at the Tab key: verbs, symbols of the record, fields; and never a message."""

import asyncio
from pathlib import Path

import pytest

from tests.support.commands import Finished, pipeline
from tests.support.looks import record, seen

RECORD = [seen(0, "AAPL", EPS="1"), seen(0, "ABT", EPS="1"), seen(0, "IBM", EPS="1")]


async def offered(folder: Path, *words: str) -> Finished:
    """Return what is offered to complete the last of the words."""
    return await pipeline(
        folder,
        COMP_WORDS=" ".join(("pipeline", *words)),
        COMP_CWORD=str(len(words)),
        _PIPELINE_COMPLETE="bash_complete",
    )


def names(ended: Finished) -> list[str]:
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
async def test_verbs_and_fields_are_offered_without_a_record(
    tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    ended = await offered(tmp_path, *words)

    assert (names(ended), ended.err) == (expected, "")


def test_symbols_of_the_record_are_offered_wherever_it_is_named() -> None:
    database = record(RECORD)

    before = asyncio.run(offered(database.parent, "--database", database.name, "history", "a"))
    behind = asyncio.run(offered(database.parent, "as-of", "--database", database.name, "7d", "AAPL", "I"))

    assert names(before) == ["AAPL", "ABT"]
    assert names(behind) == ["IBM"]


@pytest.mark.parametrize("trouble", ["no record", "no configuration", "no database"])
async def test_whatever_is_wrong_nothing_is_offered_and_nothing_said(tmp_path: Path, trouble: str) -> None:
    (tmp_path / "wrong.toml").write_text("this is = [no toml")
    (tmp_path / "wrong.db").write_text(
        "this is no database, though it is as long as the header of one: 100 bytes, or more"
    )
    where = {
        "no record": ["--database", "absent.db"],
        "no configuration": ["--config", "wrong.toml"],
        "no database": ["--database", "wrong.db"],
    }[trouble]

    ended = await offered(tmp_path, *where, "history", "A")

    assert (ended.out.strip(), ended.err) == ("", "")
