"""`pipeline changes`: which values changed, and which of them it lists."""

import asyncio
import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from pipeline.model.anomalies import RULES
from pipeline.model.outcomes import RunResult, RunStatus, Trigger
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.commands import assert_note, assert_refused, call, query, rows, table
from tests.support.observations import after, database_of, seen, store_observations, text

Q1, Q2 = "2025-09-30", "2025-12-31"


def test_a_change_has_both_values_and_when_each_was_seen(stored: Path) -> None:
    found = rows(stored, "changes", "--since", "2026-01-01")
    assert [(row["field"], row["kind"], row["before"], row["after"]) for row in found] == [
        ("revenue_ttm", "changed", 100, 104),
        ("pe_ratio", "changed", 10, 11.5),
        ("New", "appeared", None, "x"),
        ("latest_quarter", "changed", Q1, Q2),
        ("revenue_ttm", "changed", 104, 0),
        ("state", "uncovered", "covered", "unknown"),
    ]
    assert found[1] == {
        "symbol": "IBM", "field": "pe_ratio", "part": "daily", "kind": "changed", "before": 10.0, "after": 11.5,
        "change": 0.15, "last_confirmed_at": text(1), "observed_at": text(2), "suspicion": None,
    }  # fmt: skip
    assert table(query(stored, "changes", "IBM", "--since", "2026-01-01", "--field", "PERatio")) == [
        ["symbol", "field", "before", "after", "change", "last seen", "observed"],
        ["IBM", "pe_ratio", "10.0", "11.5", "+15.0%", "2026-03-14 19:30", "2026-03-14 20:30"],
    ]


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["--part", "daily"], ["pe_ratio"]),
        (["--part", "reported", "--min-change", "5%"], ["latest_quarter", "revenue_ttm"]),
        (["--part", "reported", "--min-change", "0.04"], ["revenue_ttm", "latest_quarter", "revenue_ttm"]),
        (["--min-change", "15%", "--part", "daily"], ["pe_ratio"]),
        (["--min-change", "0.151", "--part", "daily"], []),
        (["--suspicious"], ["revenue_ttm"]),
        (["--field", "EPS"], []),
        (["PEP"], []),
    ],
)
def test_options_narrow_the_changes_down(stored: Path, words: Sequence[str], fields: Sequence[str]) -> None:
    assert [row["field"] for row in rows(stored, "changes", "--since", "2026-01-01", *words)] == fields


def test_other_values_than_text_and_numbers_are_printed_as_json() -> None:
    path = database_of([seen(0, New={"a": "é"}, EPS="1"), seen(1, New={"a": [1, None]}, EPS=True)])
    found = query(path, "changes", "--json").json
    assert [(row["before"], row["after"]) for row in found] == [(1, True), ({"a": "é"}, {"a": [1, None]})]
    cells = list(csv.DictReader(StringIO(query(path, "changes", "--format", "csv").out)))
    assert [(row["before"], row["after"]) for row in cells] == [("1.0", "true"), ('{"a": "é"}', '{"a": [1, null]}')]
    assert [line[2:4] for line in table(query(path, "changes"))[1:]] == [[row["before"], row["after"]] for row in cells]


def test_a_wide_table_has_every_column_and_every_text_whole() -> None:
    path = database_of([seen(0, Description="short"), seen(1, Description="a long description " * 20)])

    narrow, wide = query(path, "changes").out, query(path, "changes", "--wide").out

    assert "a long description " * 20 not in narrow
    assert ("a long description " * 20).strip() in wide
    assert {"part", "kind", "suspicion"} <= set(wide.splitlines()[0].split())
    assert_refused(query(path, "changes", "--wide", "--format", "csv"), 2, "--wide", "format")


@pytest.mark.parametrize("fraction", ["five", "-5%", "5 %", "5%%", "1e3", "", "nan"])
def test_an_invalid_min_change_is_refused(stored: Path, fraction: str) -> None:
    assert_refused(query(stored, "changes", "--min-change", fraction), 2, "--min-change", "5% or 0.05")


def test_without_changes_it_says_so_and_ends_with_0(stored: Path) -> None:
    none = query(stored, "changes", "PEP", "--since", "2026-01-01")
    assert (none.code, none.out) == (0, "")
    assert_note(none, "no changes")
    ended = query(stored, "changes", "PEP", "--since", "2026-01-01", "--suspicious", "--json")
    assert (ended.code, ended.out) == (0, "[]\n")
    assert_note(ended, "no suspicious")


def test_without_since_it_lists_changes_since_the_last_run_began() -> None:
    path = database_of([seen(0, EPS="1"), seen(1, EPS="2")])

    async def ran() -> None:
        async with open_writer(path) as writer:
            store = Store(writer)
            for trigger, hours, requests in ((Trigger.MANUAL, 5, 1), (Trigger.MANUAL, 7, 0), (Trigger.IMPORT, 8, 0)):
                run = await store.begin(trigger, at=after(hours), symbols=1, due=1)
                tally = RunResult(RunStatus.COMPLETE, {}, requests, 1.0, None)
                await store.finish(run, tally, at=after(hours))

    everything = query(path, "changes", "--json")
    assert [row["after"] for row in everything.json] == [2]
    assert_note(everything, "no run yet")
    asyncio.run(ran())
    asyncio.run(store_observations(path, [seen(5, EPS="3"), seen(6, EPS="4")]))
    ended = query(path, "changes", "--json")
    assert [(row["before"], row["after"]) for row in ended.json] == [(2, 3), (3, 4)]
    assert_note(ended, "last run", "2026-03-14 23:30:00 UTC")
    assert [row["after"] for row in query(path, "changes", "--until", "2026-03-14T23:30", "--json").json] == [2, 3]


def test_the_help_has_every_rule(tmp_path: Path) -> None:
    said = "".join(call(tmp_path, "changes", "--help").out.split())
    for suspicion, rule in RULES.items():
        assert "".join(f"{suspicion}: {rule}".split()) in said
