"""Answers: each tool says what `History` says, as data and as text."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.fleet.look import Lookout
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.query.history import History
from tests.support.agents import Agent, record_of
from tests.support.damaged import untyped
from tests.support.fleets import tables
from tests.support.observations import after, database_of, text
from tests.support.timeline import Ended, Ran, seen_fields, write_steps
from tests.support.vintages import Q1, Q2


async def test_companies_are_those_known_then_with_their_names(agent: Agent) -> None:
    first, last = await agent("companies", at=text(1)), await agent("companies", at="now")

    assert [(one["symbol"], one["values"]["name"]) for one in first["companies"]] == [
        ("AAPL", "Apple Inc"),
        ("PEP", "PepsiCo"),
    ]
    assert [one["symbol"] for one in last["companies"]] == ["AAPL", "PEP", "TSLA"]
    assert first["companies"][0]["staleness_hours"] == 1
    assert (first["total"], last["total"]) == (2, 3)


async def test_companies_are_found_by_part_of_a_symbol_or_name_and_by_sector(agent: Agent) -> None:
    async def symbols(**asked: str) -> list[str]:
        return [one["symbol"] for one in (await agent("companies", at="now", **asked))["companies"]]

    assert await symbols(search="inc") == ["AAPL", "TSLA"]
    assert await symbols(search="ts") == ["TSLA"]
    assert await symbols(sector="consumer") == ["PEP", "TSLA"]
    assert await symbols(sector="consumer", industry="drinks") == ["PEP"]


async def test_companies_are_sorted_by_a_field_and_those_without_a_value_come_last(agent: Agent) -> None:
    async def symbols(*, descending: bool) -> list[str]:
        answer = await agent("companies", at="now", sort="PERatio", descending=descending)
        assert all("pe_ratio" in one["values"] for one in answer["companies"])
        return [one["symbol"] for one in answer["companies"]]

    assert await symbols(descending=False) == ["PEP", "AAPL", "TSLA"]
    assert await symbols(descending=True) == ["AAPL", "PEP", "TSLA"]


async def test_companies_can_be_those_that_were_fresh_and_those_that_were_configured(agent: Agent) -> None:
    fresh = await agent("companies", at=text(60), max_staleness_hours=24)
    configured = await agent("companies", at=text(60), universe=True)

    assert [one["symbol"] for one in fresh["companies"]] == ["AAPL", "PEP"]
    assert [one["symbol"] for one in configured["companies"]] == ["AAPL", "TSLA"]


async def test_an_empty_list_of_companies_says_why(agent: Agent) -> None:
    assert "CONSUMER, TECHNOLOGY" in (await agent("companies", at="now", sector="tech"))["notices"][-1]
    assert "PHONES" in (await agent("companies", at="now", industry="software"))["notices"][-1]
    assert "3 companies" in (await agent("companies", at="now", search="xyz"))["notices"][-1]
    assert "staleness" in (await agent("companies", at="now", max_staleness_hours=0))["notices"][-1]
    assert "status" in (await agent("companies", at="2020-01-01"))["notices"][-1]


async def test_an_overview_is_what_as_of_says(agent: Agent, known: Path) -> None:
    answer = await agent("overview", at=text(25), symbols=["pep", "AAPL"], fields=["PERatio", "market_capitalization"])

    with History.open(known) as history:
        expected = {one.symbol: one for one in history.as_of(after(25), fields=["pe_ratio", "market_capitalization"])}
    assert [one["symbol"] for one in answer["companies"]] == ["PEP", "AAPL"]
    for one in answer["companies"]:
        assert one["values"] == dict(expected[one["symbol"]].values)
        assert one["observed_at"] == text(0 if one["symbol"] == "PEP" else 24)
        assert one["confirmed_at"] == one["observed_at"]
        assert one["staleness_hours"] == (25 if one["symbol"] == "PEP" else 1)


async def test_an_overview_has_all_fields_but_the_description_unless_it_is_named(agent: Agent) -> None:
    (some,) = (await agent("overview", at="now", symbols=["PEP"]))["companies"]
    (every,) = (await agent("overview", at="now", symbols=["PEP"], fields=["all"]))["companies"]

    assert "description" not in some["values"]
    assert every["values"] == {**every["values"], "description": "Sells chips.", **some["values"]}


async def test_the_text_of_an_overview_has_a_line_for_each_field_with_its_unit(agent: Agent) -> None:
    lines = await agent.text("overview", at=text(25), symbols=["AAPL", "PEP"])

    assert lines[0] == f"as of {text(25)}"
    assert "field,unit,AAPL,PEP" in lines
    assert "pe_ratio,ratio,33.0,20.0" in lines
    assert "staleness_hours,,1.0,25.0" in lines
    assert any(line.startswith("no value in ") and "beta" in line for line in lines)


async def test_a_symbol_without_a_snapshot_is_named_beside_the_others(agent: Agent) -> None:
    answer = await agent("overview", at="now", symbols=["AAPL", "PEPS"])

    assert [one["symbol"] for one in answer["companies"]] == ["AAPL"]
    ((missing),) = answer["missing"]
    assert missing["symbol"] == "PEPS"
    assert "did you mean PEP" in missing["why"]


async def test_a_stale_company_is_named_instead_of_shown(agent: Agent) -> None:
    answer = await agent("overview", at=text(47), symbols=["AAPL", "PEP"], max_staleness_hours=24)

    assert [one["symbol"] for one in answer["companies"]] == ["AAPL"]
    assert "47.0 hours" in answer["missing"][0]["why"]


async def test_the_original_document_is_given_to_the_letter(agent: Agent, known: Path) -> None:
    (one,) = (await agent("overview", at=text(1), symbols=["PEP"], fields=["eps"], original=True))["companies"]

    with History.open(known) as history:
        (document,) = history.documents_as_of(after(1), ["PEP"])
    assert list(json.loads(one["document"]).items()) == list(document.items())


async def test_a_history_is_the_versions_of_an_interval(agent: Agent) -> None:
    answer = await agent("history", symbol="AAPL", since=text(1), until=text(90), fields=["revenue_ttm"])
    newest = await agent("history", symbol="AAPL", until="now", newest_first=True, limit=1)

    assert [(one["observed_at"], one["values"]) for one in answer["versions"]] == [
        (text(24), {"revenue_ttm": 90}),
        (text(48), {"revenue_ttm": 120}),
    ]
    assert answer["total"] == 2
    assert newest["versions"][0]["observed_at"] == text(48)
    assert newest["versions"][0]["values"]["latest_quarter"] == Q2


async def test_the_text_of_a_history_is_csv(agent: Agent) -> None:
    lines = await agent.text("history", symbol="AAPL", until=text(25), fields=["pe_ratio"])

    at = [one.replace(".000Z", "Z") for one in (text(0), text(24))]
    assert lines[-5:] == [
        "2 of 2 versions of AAPL",
        "units: pe_ratio ratio",
        "observed_at,confirmed_at,pe_ratio",
        f"{at[0]},{at[0]},30.0",
        f"{at[1]},{at[1]},33.0",
    ]


async def test_every_answer_with_fields_says_what_their_units_are(agent: Agent) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("companies", {"at": "now"}),
        ("overview", {"at": "now", "symbols": ["AAPL"]}),
        ("history", {"until": "now", "symbol": "AAPL"}),
        ("changes", {"until": "now", "since": text(1)}),
        ("panel", {"until": "now", "since": "2026-03-20", "every": "1d", "fields": ["MarketCapitalization"]}),
    ]
    for tool, asked in calls:
        assert (await agent(tool, **asked))["units"]["market_capitalization"] == "USD"
    assert (await agent("vintages", at="now", symbol="AAPL"))["units"] == {"revenue_ttm": "reporting currency"}


async def test_changes_are_those_of_the_history(agent: Agent, known: Path) -> None:
    answer = await agent("changes", since=text(1), until=text(80), part="reported")
    coverage = await agent("changes", since=text(60), until="now")

    with History.open(known) as history:
        expected = list(history.changes(since=after(1), until=after(80), part="reported"))
    assert [(one["field"], one.get("before"), one.get("after")) for one in answer["changes"]] == [
        (one.field, one.before and str(one.before) if one.field == "latest_quarter" else one.before,
         str(one.after) if one.field == "latest_quarter" else one.after)
        for one in expected
    ]  # fmt: skip
    assert [(one["symbol"], one["kind"], one["after"]) for one in coverage["changes"]] == [
        ("TSLA", "uncovered", "unknown")
    ]


async def test_changes_of_the_last_week_are_asked_for_unless_since_is_named(agent: Agent) -> None:
    assert (await agent("changes", until=text(24 * 8), symbols=["AAPL"], fields=["pe_ratio"]))["changes"]
    assert not (await agent("changes", until="now", symbols=["AAPL"], fields=["revenue_ttm"], part="daily"))["changes"]


async def test_changes_can_be_of_a_least_size(agent: Agent) -> None:
    answer = await agent("changes", since=text(1), until="now", min_change=0.2, fields=["revenue_ttm", "pe_ratio"])

    assert [one["change"] for one in answer["changes"]] == [(120 - 90) / 90]


async def test_vintages_have_each_value_of_a_quarter_with_when_it_was_known(agent: Agent) -> None:
    answer = await agent("vintages", at=text(50), symbol="AAPL", fields=["revenue_ttm"])
    early = await agent("vintages", at=text(1), symbol="AAPL", fields=["revenue_ttm"])

    assert [(one["latest_quarter"], one["value"], one["is_restatement"]) for one in answer["vintages"]] == [
        (Q1, 100, False),
        (Q1, 90, True),
        (Q2, 120, False),
    ]
    assert [(one["value"], one["known_until"]) for one in early["vintages"]] == [(100, text(0))]


async def test_restatements_are_found_across_companies(agent: Agent) -> None:
    everywhere = await agent("vintages", at="now")
    of_one = await agent("vintages", at="now", symbol="AAPL", restatements=True)

    assert everywhere["vintages"] == of_one["vintages"]
    assert [(one["before"], one["value"], one["change"]) for one in of_one["vintages"]] == [(100, 90, -0.1)]


async def test_a_panel_has_a_cell_for_each_company_at_each_instant(agent: Agent, known: Path) -> None:
    asked = {"since": text(12), "until": text(70), "every": "1d", "fields": ["pe_ratio"]}
    answer = await agent("panel", **asked)

    with History.open(known) as history:
        rows = list(history.panel(["pe_ratio"], since=after(12), until=after(70)).rows())
    assert [
        (one["at"], one["symbol"], one["values"]["pe_ratio"], one.get("observed_at"), one.get("staleness_hours"))
        for one in answer["cells"]
    ] == rows
    assert answer["total"] == len(rows) == 9


async def test_the_text_of_a_panel_of_one_field_has_a_column_for_each_company(agent: Agent) -> None:
    lines = await agent.text("panel", since="2026-03-14", until="2026-03-16", every="1d", fields=["pe_ratio"])

    assert lines[-4:] == ["at,AAPL,PEP,TSLA", "2026-03-14,30.0,20.0,", "2026-03-15,33.0,20.0,", "2026-03-16,33.0,20.0,"]


async def test_a_panel_that_begins_before_the_record_says_when_that_begins(agent: Agent) -> None:
    asked = {"until": "now", "every": "1d", "fields": ["pe_ratio"]}
    early, late = await agent("panel", since="2026-03-01", **asked), await agent("panel", since="2026-03-15", **asked)

    assert text(0) in early["notices"][-1]
    assert late["notices"] == early["notices"][:-1]


async def test_a_panel_takes_an_embargo_a_limit_of_staleness_and_the_universe(agent: Agent) -> None:
    async def values(**more: object) -> list[object]:
        asked = {"since": text(36), "until": text(36), "every": "1d", "fields": ["pe_ratio"], **more}
        return [(one["symbol"], one["values"]["pe_ratio"]) for one in (await agent("panel", **asked))["cells"]]

    assert await values() == [("AAPL", 33), ("PEP", 20), ("TSLA", None)]
    assert await values(lag="1d", symbols=["AAPL"]) == [("AAPL", 30)]
    assert await values(max_staleness_hours=24) == [("AAPL", 33), ("PEP", None), ("TSLA", None)]
    assert await values(universe=True) == [("AAPL", 33), ("TSLA", None)]


async def test_the_status_says_how_far_the_record_reached(agent: Agent) -> None:
    then, now = await agent("status", at=text(25)), await agent("status", at="now")

    assert (then["first_observed_at"], then["last_observed_at"]) == (text(0), text(24))
    assert (then["companies"], then["configured"], then["fresh"], then["stale_total"]) == (3, 2, 2, 0)
    assert (now["last_observed_at"], now["configured"]) == (text(48), 3)
    assert "locked_at" not in now


async def test_the_status_names_the_stalest_first_and_what_is_not_covered(agent: Agent) -> None:
    answer = await agent("status", at="now")
    named = await agent("status", at="now", limit=1)

    assert answer["stale_after_hours"] == 72
    assert [(one["symbol"], one.get("staleness_hours")) for one in answer["stale"]] == [
        ("KO", None),
        ("TSLA", 168),
        ("AAPL", 144),
    ]
    assert answer["unknown"] == ["TSLA"]
    assert (named["stale_total"], [one["symbol"] for one in named["stale"]]) == (3, ["KO"])


@pytest.fixture(scope="module")
def collected_agent() -> Agent:
    """An agent that asks about a record which two runs filled."""
    database = database_of([])
    stored = Ended("IBM", 1, fields=seen_fields(Name="x"))
    failed = Ended("PEP", 1, Outcome.FAILED, attempts=3, detail="HTTP 503")
    write_steps(database, [
        Ran(0, (stored, failed), 2, RunStatus.PARTIAL, detail="1 failed"),
        Ran(24, (Ended("IBM", 25, Outcome.UNCHANGED, fields=seen_fields(Name="x")),), 26),
    ])  # fmt: skip
    return Agent(record_of(database, now=after(30)))


async def test_the_status_says_how_the_last_run_had_ended(collected_agent: Agent) -> None:
    then, now = await collected_agent("status", at=text(25)), await collected_agent("status", at="now")
    lines = await collected_agent.text("status", at=text(25))

    assert [then["last_run"][one] for one in ("id", "status", "stored", "failed")] == [1, "partial", 1, 1]
    assert [now["last_run"][one] for one in ("id", "status", "unchanged")] == [2, "complete", 1]
    assert lines[-1] == f"last run 1, {text(0)} to {text(2)}: partial (1 stored, 1 failed): 1 failed"
    assert "last_run" not in await collected_agent("status", at=text(1.5))


async def test_damage_that_only_the_text_of_an_answer_comes_across_is_named(
    collected_agent: Agent, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(collected_agent.record.database, tmp_path))
    with untyped(copy) as db:
        assert db.execute("UPDATE runs SET unchanged = 'NaN'").rowcount

    agent = Agent(replace(collected_agent.record, database=copy))

    assert "damaged" in await agent.error("status", at="now")


async def test_the_status_says_of_the_fleet_at_present_whether_it_is_there_and_the_record_keeps_up(
    collected_agent: Agent, fleet_url: str
) -> None:
    with tables(fleet_url) as fleet:
        fleet.member("alpha")
        fleet.head(3)
        fleet.db.commit()
        inside = replace(collected_agent.record, lookout=Lookout(lambda: fleet_url, "alpha"))
        agent = Agent(inside)
        now, then = await agent("status", at="now"), await agent("status", at=text(25))
        (*_, line) = await agent.text("status", at="now")
    locked = await Agent(replace(inside, lock=after(30)))("status", at="now")
    lost = Lookout(lambda: "postgresql://me@127.0.0.1:1/fleet", "alpha")
    *_, without = await Agent(replace(inside, lookout=lost)).text("status", at="now")

    assert now["fleet"] == {"reachable": True, "log_entries": 3, "members": 1, "followers": 0}
    assert line == "fleet: 1 member, 0 followers running; this record does not follow it"
    assert without == "fleet: PostgreSQL cannot be reached; this record is as of entry 0 of its log"
    assert "fleet" not in then | locked | await collected_agent("status", at="now")
