"""Drift: the fields in which the newest documents and the catalogue disagree."""

from pathlib import Path

from pipeline.model.document import Overview
from pipeline.model.fields import CATALOGUE
from pipeline.store.drift import Drift
from pipeline.store.reader import Reader
from tests.support.store import IBM, PEP, collected


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


async def test_a_field_is_absent_if_no_symbol_has_it(database: Path) -> None:
    without = {name: value for name, value in ALL.items() if name not in ("Beta", "EPS")}
    await collected(database, (Overview(IBM, without), 0), (Overview(PEP, {"Symbol": "PEP", "EPS": "1"}), 1))
    assert drift(database).absent_fields == ["Beta"]
