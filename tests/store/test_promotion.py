"""Promotion: fields that `extra` held get columns, and the database is as if it had had them from the start."""

import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decoding import decode_object
from pipeline.json_text import spaced_json
from pipeline.model.document import Document, Overview, join_document, split_document, split_extra
from pipeline.model.fields import CATALOGUE, DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, SYMBOL_FIELD, Field
from pipeline.model.symbols import Symbol
from pipeline.store import migration_steps
from pipeline.store.catalogue_migration import write_migration
from pipeline.store.migrate import migrate
from pipeline.store.migration_files import read_migrations
from pipeline.store.schema import HalfMigrated, check_schema
from tests.support.catalogues import Tree, content, unused
from tests.support.clocks import START
from tests.support.database import documents
from tests.support.documents import SCALARS, TEXT
from tests.support.kills import killed_at_statement, left_at_each_statement
from tests.support.observations import database_of, seen, uncovered

OUT = ("SharesFloat", "PercentInsiders", "ForwardPE", "Sector")
"""A field of each part, and of each type of value."""
MOST_KILLS = 50

# Only MSFT's snapshots have their profile and statement without the fields: both are unused afterwards.
OBSERVED = [
    seen(0, SharesFloat="1000", PercentInsiders="2.5", ForwardPE="30", Sector="TECHNOLOGY", EPS="1"),
    seen(1, SharesFloat="1000", PercentInsiders="2.5", ForwardPE="31", Sector="TECHNOLOGY", EPS="1"),
    seen(2, SharesFloat="1000", PercentInsiders="2.50", ForwardPE="-", Sector="None", EPS="1", More={"a": [1]}),
    seen(3, SharesFloat="None", PercentInsiders="-", ForwardPE="None", Sector="-", EPS="1"),
    seen(4, SharesFloat=1000, PercentInsiders=None, ForwardPE="1e3", EPS="1"),
    seen(5, SharesFloat="1000.5", PercentInsiders="n/a", ForwardPE={"SharesFloat": 1}, Sector=["x"], EPS="1"),
    seen(6, SharesFloat="1000.5", PercentInsiders="n/a", ForwardPE={"SharesFloat": 1}, Sector=["x"], EPS="1"),
    seen(7, EPS="1"),
    seen(8, EPS="1", More='"SharesFloat"'),
    seen(9, SharesFloat="1000", PercentInsiders="2.5", ForwardPE="30", Sector="TECHNOLOGY", EPS="1"),
    seen(0, "MSFT", SharesFloat="1000", ForwardPE="30", Sector="TECHNOLOGY", EPS="1", EBITDA="7", Country="USA"),
    seen(1, "MSFT", SharesFloat="1000", ForwardPE="30", Sector="TECHNOLOGY", EPS="1", EBITDA="7", Country="USA"),
    seen(1, "PEP", EPS="2"),
    uncovered(2, "PEP"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Return the program without some fields."""
    return Tree(tmp_path_factory.mktemp("tree"), OUT)


@pytest.fixture(scope="module")
def reduced(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what it stored."""
    path = tmp_path_factory.mktemp("reduced") / "overviews.db"
    tree.store(path, OBSERVED)
    return path


@pytest.fixture(scope="module")
def folder(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its migrations, and the one that gives the fields back."""
    folder = Path(shutil.copytree(tree.migrations, tmp_path_factory.mktemp("migrations") / "all"))
    assert write_migration(folder, CATALOGUE) is not None
    return folder


@pytest.fixture
def copy(reduced: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(reduced, tmp_path / "overviews.db"))


@pytest.mark.process
def test_the_database_is_as_if_it_had_the_fields_from_the_start(copy: Path, folder: Path) -> None:
    whole = database_of(OBSERVED)
    before = content(copy)
    assert before != content(whole)

    migrate(copy, now=START, folder=folder)

    assert content(copy) == content(whole)
    assert unused(copy) == 0
    assert [(row["symbol"], row["observed_at"]) for row in before["snapshots"]] == [
        (row["symbol"], row["observed_at"]) for row in content(copy)["snapshots"]
    ]
    for symbol in ("IBM", "MSFT", "PEP"):
        assert [*map(json.dumps, documents(copy, symbol))] == [*map(json.dumps, documents(whole, symbol))]


@pytest.mark.process
def test_killed_at_any_statement_it_is_continued_to_the_same_end(
    copy: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(migration_steps, "BATCH_ROWS", 2)
    monkeypatch.setattr("pipeline.store.migrate.TRANSACTION_ROWS", 2)
    expected = content(database_of(OBSERVED))
    copies = left_at_each_statement(copy, tmp_path / "killed", partial(migrate, copy, now=START, folder=folder))
    states: set[str] = set()
    half_done = 0
    for killed in copies:
        state = dump(killed)
        if state not in states:  # another transaction was committed before the kill
            states.add(state)
            if is_half_done(killed, folder):
                half_done += 1
                assert not any(answers(killed, view) for view in ("overviews", "latest_overviews", "overview_changes"))
            migrate(killed, now=START, folder=folder)
            assert content(killed) == expected
            assert unused(killed) == 0
    assert half_done == len(states) - 2 > 5


@pytest.mark.process
def test_sigkill_again_and_again_does_not_keep_it_from_its_end(
    copy: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_steps, "BATCH_ROWS", 2)
    monkeypatch.setattr("pipeline.store.migrate.TRANSACTION_ROWS", 2)
    kills = 0
    while killed_at_statement(30 + kills, partial(migrate, copy, now=START, folder=folder)):
        kills += 1
        assert kills < MOST_KILLS
    assert kills >= 5
    assert content(copy) == content(database_of(OBSERVED))


def answers(path: Path, view: str) -> bool:
    """Return whether a program that does not know of migrations gets an answer from a view."""
    with closing(sqlite3.connect(path)) as db:
        try:
            db.execute(f"SELECT * FROM {view}").fetchone()
        except sqlite3.OperationalError:
            return False
    return True


def dump(path: Path) -> str:
    """Return all that is in the file, as SQL."""
    with closing(sqlite3.connect(path)) as db:
        return "\n".join(db.iterdump())


def is_half_done(path: Path, folder: Path) -> bool:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        try:
            check_schema(db, path, read_migrations(folder))
        except HalfMigrated:
            return True
    return False


OTHERS = st.dictionaries(TEXT, SCALARS, max_size=3)
DOCUMENTS = st.dictionaries(st.sampled_from([field.name for field in CATALOGUE[1:]]), SCALARS, max_size=8)


@given(DOCUMENTS, OTHERS, st.sets(st.sampled_from(CATALOGUE[1:]), min_size=1, max_size=5))
def test_what_comes_out_of_extra_is_what_splitting_the_document_gives(
    received: Document, others: Document, promoted: set[Field]
) -> None:
    document = {"Symbol": "IBM", **others, **received}
    document["Symbol"] = "IBM"
    parts = split_document(Overview(Symbol("IBM"), document))
    fields_of_parts = (*PROFILE_FIELDS, *REPORTED_FIELDS, *DAILY_FIELDS)
    values = dict(zip(fields_of_parts, (*parts.profile, *parts.reported, *parts.daily), strict=True))
    names = {field.name for field in promoted}
    extra = decode_object(parts.extra or "{}") | {name: value for name, value in document.items() if name in names}

    fields = tuple(promoted)
    got, left = split_extra(fields, spaced_json(dict(sorted(extra.items()))))

    assert [*map(repr, got)] == [repr(values[field]) for field in fields]
    assert left == parts.extra
    assert join_document(Symbol("IBM"), parts) == document
    assert SYMBOL_FIELD not in promoted
