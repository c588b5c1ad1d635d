"""Drift: the fields in which the newest documents and the catalogue disagree."""

from pathlib import Path

from pipeline.model.document import Overview
from pipeline.model.fields import CATALOGUE
from pipeline.model.outcomes import Outcome
from pipeline.store.drift import Drift
from pipeline.store.reader import Reader
from tests.support.clocks import START
from tests.support.store import HOUR, IBM, PEP, collected, note


def drift(database: Path) -> Drift:
    with Reader.open(database) as reader:
        return reader.drift()


ALL = {"Symbol": "IBM"} | {field.name: field.missing for field in CATALOGUE if field.name != "Symbol"}


def test_without_a_document_there_is_no_drift(database: Path) -> None:
    assert drift(database) == Drift([], [], [])


async def test_a_document_of_all_fields_has_no_drift(database: Path) -> None:
    await collected(database, (Overview(IBM, ALL), 0))
    assert drift(database) == Drift([], [], [])


async def test_only_the_newest_document_of_each_symbol_counts(database: Path) -> None:
    old = Overview(IBM, {"Symbol": "IBM", "Old": "1"})
    new = Overview(IBM, {**ALL, "Novel": "1", "EPS": "about 6"})
    await collected(database, (old, 0), (new, 1))
    assert drift(database) == Drift(["Novel"], [], ["EPS"])


async def test_a_company_that_the_api_denies_for_a_few_days_still_shows_its_fields(database: Path) -> None:
    await collected(database, (Overview(IBM, {**ALL, "Novel": "1"}), 0), (Overview(PEP, {"Symbol": "PEP"}), 0))
    await note(database, Outcome.UNKNOWN, START + HOUR)  # of IBM
    assert drift(database) == Drift(["Novel"], [], [])
    await note(database, Outcome.UNKNOWN, START + 9 * 24 * HOUR)
    assert "EPS" in drift(database).absent_fields


async def test_a_field_is_absent_if_no_symbol_has_it(database: Path) -> None:
    without = {name: value for name, value in ALL.items() if name not in ("Beta", "EPS")}
    await collected(database, (Overview(IBM, without), 0), (Overview(PEP, {"Symbol": "PEP", "EPS": "1"}), 1))
    assert drift(database).absent_fields == ["Beta"]
