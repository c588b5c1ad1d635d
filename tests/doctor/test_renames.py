"""Checks of renames: what the API's answers suggest, and where the data contradict what is configured."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.doctor.findings import Finding, Level
from pipeline.doctor.renames import check_renames
from pipeline.model.outcomes import Outcome, SymbolResult, Trigger
from pipeline.model.renames import Rename, wrong_answer
from pipeline.model.symbols import Symbol
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.observations import Observed, after, database_of, seen
from tests.support.renames import configure, rename

META, FUND, OTHER = {"CIK": "1326801", "Name": "Meta"}, {"CIK": "99", "Name": "Fund"}, {"CIK": "7", "Name": "ETF"}
ON = datetime.fromisoformat("2026-03-15T00:00:00Z")
"""Four and a half hours after the first observation."""


def examined(*observations: Observed, renames: Sequence[Rename] = (), answered: str | None = None) -> list[Finding]:
    """Return the findings about renames of a database in which FB was answered, last, with another's overview."""
    database = database_of(observations)
    configure(database, *renames)
    if answered is not None:
        asyncio.run(reject(database, answered))
    with closing(sqlite3.connect(database)) as db:
        return list(check_renames(db, renames, [Symbol("FB"), Symbol("PEP")]))


async def reject(database: Path, answered: str) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=after(8), symbols=1, due=1)
        detail = wrong_answer(Symbol("FB"), Symbol(answered))
        await store.note(SymbolResult(run, Symbol("FB"), Outcome.REJECTED, 1, after(8), detail))


def test_a_wrong_answer_is_a_proposal_with_the_line_to_add() -> None:
    (found,) = examined(seen(0, "FB", **META), answered="META")

    assert found.level is Level.NOTE
    assert "FB was answered as META" in found.found
    assert str(found.remedy).endswith('FB = "META"')


def test_the_proposal_has_a_day_where_the_new_symbol_was_another_companys() -> None:
    (found,) = examined(seen(0, "FB", **META), seen(0, "META", **FUND), answered="META")

    assert str(found.remedy).endswith('FB = {to = "META", on = 2026-03-15}')


def test_nothing_is_proposed_twice_or_that_would_be_a_cycle() -> None:
    assert examined(seen(0, "FB"), renames=[rename("FB", "META")], answered="META") == []
    assert examined(seen(0, "FB"), renames=[rename("META", "FB")], answered="META") == []


def test_joined_symbols_of_two_companies_are_noted() -> None:
    (found,) = examined(seen(0, "FB", **META), seen(1, "META", **FUND), renames=[rename("FB", "META")])

    assert "Meta (CIK 1326801)" in found.found
    assert "Fund (CIK 99)" in found.found
    assert "on =" in str(found.remedy)


def test_the_old_symbol_still_the_companys_after_the_day_is_noted() -> None:
    found = examined(seen(0, "FB", **META), seen(9, "FB", **META, EPS="2"), renames=[rename("FB", "META", ON)])

    assert ["later day" in str(one.remedy) for one in found] == [True]


def test_the_old_symbol_another_companys_after_the_day_is_noted_unless_it_is_said() -> None:
    observations = [seen(0, "FB", **META), seen(9, "FB", **OTHER), seen(9, "META", **META)]

    (found,) = examined(*observations, renames=[rename("FB", "META", ON)])
    assert "ETF (CIK 7)" in found.found
    assert str(found.remedy).endswith('FB = {to = "META", on = 2026-03-15, reused = true}')
    assert examined(*observations, renames=[rename("FB", "META", ON, reused=True)]) == []


def test_a_new_symbol_of_another_company_from_the_day_on_is_noted_but_not_of_one_that_took_it_later() -> None:
    other = [seen(0, "FB", **META), seen(9, "META", **OTHER)]
    later = [seen(0, "FB", **META), seen(9, "META", **META), seen(90, "META", **OTHER)]
    given_up = rename("META", "MVRS", ON + timedelta(days=1))

    (found,) = examined(*other, renames=[rename("FB", "META", ON)])
    assert "Meta (CIK 1326801) and ETF (CIK 7)" in found.found
    found_later = examined(*later, renames=[rename("FB", "META", ON), given_up])
    assert [one.found for one in found_later if "joined" in one.found] == []


def test_the_new_symbol_the_companys_before_the_day_is_noted() -> None:
    (found,) = examined(seen(0, "FB", **META), seen(1, "META", **META), renames=[rename("FB", "META", ON)])

    assert "earlier day" in str(found.remedy)


def test_renames_that_fit_the_data_are_not_noted() -> None:
    observations = [seen(0, "FB", **META), seen(0, "META", **FUND), seen(9, "META", **META)]

    assert examined(*observations, renames=[rename("FB", "META", ON)]) == []


def test_a_rename_that_is_not_in_the_database_yet_is_noted() -> None:
    with closing(sqlite3.connect(database_of([seen(0, "FB")]))) as db:
        (found,) = check_renames(db, [rename("FB", "META")], [])

    assert "FB" in found.found
    assert "collect" in str(found.remedy)
