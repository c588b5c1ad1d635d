"""`pipeline collect`: what it requests, and what it prints about it."""

import asyncio
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.store.reader import Reader
from tests.support.collected import Collected
from tests.support.commands import KEY, Ended, assert_refused, call
from tests.support.database import all_symbols, documents
from tests.support.exports import IBM, observed, store_all
from tests.support.recordings import needs_recordings, recorded
from tests.support.sandbox import Served, serving_beside


def test_a_run_in_json_is_one_object(collected: Collected) -> None:
    run = collected.first.json

    assert collected.first.code == 0
    assert list(run) == [
        "run", "trigger", "status", "symbols", "due", "stored", "unchanged", "unknown", "failed", "rejected",
        "deferred", "requests", "seconds", "uncovered",
    ]  # fmt: skip
    assert (run["run"], run["trigger"], run["status"]) == (1, "manual", "complete")
    assert run["symbols"] == run["due"] == run["requests"] == 13
    assert run["stored"] + run["unknown"] == 13


def test_with_v_a_run_logs_json_lines_to_a_stderr_that_is_not_a_terminal(collected: Collected) -> None:
    lines = [json.loads(line) for line in collected.first.err.splitlines() if not line.startswith("pipeline: ")]

    assert [line["event"] for line in lines] == ["run began", "run ended"]
    assert {line["run"] for line in lines} == {1}


def test_the_summary_shows_outcomes_and_how_long_the_requests_took(collected: Collected) -> None:
    out = collected.second.out

    assert "stored" in out
    assert "run 2" in out
    assert "complete" in out
    assert re.search(r"13 requests took \d+\.\d\d s; .* \d+\.\d\d s", out)
    assert "data/sandbox.db" in out
    assert "pipeline status" in out


def test_the_sandbox_never_touches_the_real_database(collected: Collected) -> None:
    assert not (collected.folder / "data" / "real.db").exists()


def test_a_database_named_on_the_command_line_is_the_one_that_is_filled(tmp_path: Path) -> None:
    ended = call(tmp_path, "collect", "--sandbox", "--latency", "0", "--database", "mine.db", "AAPL")

    assert ended.code == 0
    assert "mine.db" in ended.out
    assert not (tmp_path / "sandbox.db").exists()
    assert call(tmp_path, "as-of", "now", "--database", "mine.db", "--format", "csv").out.count("\n") == 2


@pytest.mark.parametrize("command", [["collect", "AAPL"], ["run"]])
def test_invented_and_real_data_never_share_a_database(database: Path, tmp_path: Path, command: list[str]) -> None:
    asyncio.run(store_all(database, observed(IBM, "2026-01-01", Description="A real company.")))
    call(tmp_path, "collect", "--sandbox", "--latency", "0", "--database", "invented.db", "AAPL")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["AAPL"]')
    before = database.read_bytes(), (tmp_path / "invented.db").read_bytes()

    mixed = call(tmp_path, *command, "--sandbox", "--database", str(database))
    real = call(tmp_path, *command, "--database", "invented.db", ALPHAVANTAGE_API_KEY=KEY)

    assert_refused(mixed, ExitCode.REFUSED, f"{database} holds real data", "another file")
    assert_refused(real, ExitCode.REFUSED, "invented.db holds invented data", "another database")
    assert (database.read_bytes(), (tmp_path / "invented.db").read_bytes()) == before


def test_only_the_owner_can_read_the_files(collected: Collected) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (collected.folder / "data").iterdir()}

    assert set(modes.values()) == {0o600}


def test_a_second_run_finds_nothing_due_and_force_requests_anyway(collected: Collected, tmp_path: Path) -> None:
    copy = collected.backup(tmp_path / "sandbox.db")

    again = collected("--database", str(copy), "collect", "--sandbox", "--latency", "0")
    forced = collected("--database", str(copy), "collect", "--sandbox", "--latency", "0", "--force", "--json")

    assert again.code == forced.code == 0
    assert again.out.startswith("nothing is due: ")
    assert forced.json["requests"] == 13
    assert forced.json["stored"] == 0


def test_named_symbols_are_requested_however_fresh_and_once_each(collected: Collected, tmp_path: Path) -> None:
    copy = collected.backup(tmp_path / "sandbox.db")
    name = collected.names[0]

    ended = collected(
        "--database", str(copy), "collect", "--sandbox", "--latency", "0", "--json", "--", name.lower(), name
    )

    assert ended.code == 0
    assert f"pipeline: duplicate symbols ignored: {name}\n" in ended.err
    assert ended.json["symbols"] == ended.json["requests"] == 1


def test_a_day_that_is_yet_to_come_is_warned_of(collected: Collected, tmp_path: Path) -> None:
    words = ("--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0", "--max-requests", "1")

    assert "--day 2199-01-01 is after today" in collected(*words, "--day", "2199-01-01").err
    assert "after today" not in collected(*words, "--day", "2026-03-14").err


def test_a_run_ends_at_max_requests(collected: Collected, tmp_path: Path) -> None:
    ended = collected(
        "--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0", "--max-requests", "3", "--json"
    )

    assert ended.code == ExitCode.QUOTA
    assert ended.json["status"] == "quota_exhausted"
    assert ended.json["requests"] == 3
    assert ended.json["deferred"] == 10


def test_quiet_prints_nothing_about_a_complete_run(collected: Collected, tmp_path: Path) -> None:
    ended = collected("-q", "--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0")

    assert ended == Ended(0, "", "")


@pytest.fixture
def api() -> Iterator[Served]:
    """Yield a simulated API without limits, whose responses a test may set."""
    with serving_beside() as served:
        yield served


def collect(folder: Path, api: Served, *arguments: str, symbols: Iterable[str] = ()) -> Ended:
    """Call `pipeline collect` on this API and the database overviews.db."""
    return call(
        folder,
        *("--database", "overviews.db", "collect", *arguments),
        ALPHAVANTAGE_API_KEY=KEY,
        PIPELINE_SOURCE__BASE_URL=api.base_url,
        PIPELINE_SOURCE__LIMITS="[]",
        PIPELINE_SYMBOLS__LIST=json.dumps(list(symbols)),
    )


@needs_recordings
def test_recorded_overviews_are_all_stored_and_read_back_exactly(tmp_path: Path, api: Served) -> None:
    bodies = {line["symbol"]: line["body"] for line in recorded("overviews.jsonl.gz")}
    for symbol, body in bodies.items():
        api.api.says(symbol, body)

    ended = collect(tmp_path, api, "--json", symbols=bodies)

    assert (ended.code, ended.json["status"], ended.json["stored"]) == (0, "complete", len(bodies))
    assert ended.json["requests"] == api.api.requests == len(bodies)
    for symbol, body in bodies.items():
        stored = documents(tmp_path / "overviews.db", symbol)
        assert [json.dumps(document) for document in stored] == [json.dumps(json.loads(body))]


def test_due_symbols_are_requested_and_named_ones_however_fresh(tmp_path: Path, api: Served) -> None:
    symbols = ["QUVEX", "AAPL", "MSFT"]

    collect(tmp_path, api, "AAPL", symbols=symbols)
    collect(tmp_path, api, symbols=symbols)
    assert Counter(api.api.seen) == {"QUVEX": 1, "AAPL": 1, "MSFT": 1}
    nothing = collect(tmp_path, api, symbols=symbols)
    assert (nothing.code, "--force" in nothing.out) == (0, True)
    collect(tmp_path, api, "msft", "MSFT", symbols=symbols)
    collect(tmp_path, api, "--force", symbols=symbols)

    assert Counter(api.api.seen) == {"QUVEX": 2, "AAPL": 2, "MSFT": 3}


def test_only_the_configured_list_becomes_the_universe_and_not_a_symbol_that_is_named(
    tmp_path: Path, api: Served
) -> None:
    def universe() -> list[str]:
        with Reader.open(tmp_path / "overviews.db") as reader:
            return list(reader.universe())

    collect(tmp_path, api, "MSFT", symbols=["AAPL"])
    assert universe() == []
    collect(tmp_path, api, symbols=["AAPL", "QUVEX"])
    collect(tmp_path, api, "MSFT", symbols=["AAPL"])
    assert universe() == ["AAPL", "QUVEX"]
    states = call(tmp_path, "symbols", "--json", "--database", "overviews.db", PIPELINE_SYMBOLS__LIST='["AAPL"]').json
    assert [(one["standing"], one["configured_since"] is None) for one in states] == [("fresh", False)]


def test_companies_that_the_api_denies_are_named_and_end_the_run_as_failed(tmp_path: Path, api: Served) -> None:
    symbols = ["AAPL", "MSFT", "QUVEX"]
    collect(tmp_path, api, symbols=symbols)
    for symbol in symbols:
        api.api.says(symbol, "{}", times=None)

    one = collect(tmp_path, api, "AAPL", symbols=symbols)
    all_of_them = collect(tmp_path, api, "--force", symbols=symbols)

    assert one.code == ExitCode.PARTIAL
    assert re.search(r"unknown +1  has snapshots, but the API answered \{\}", one.out)
    assert all_of_them.code == ExitCode.FAILED
    named = re.search(r"3 symbols that have snapshots: (\w+), (\w+), (\w+)\n", all_of_them.out)
    assert named is not None
    assert set(named.groups()) == {*symbols}  # in the order in which they were answered
    assert collect(tmp_path, api, "--force", "--json", symbols=symbols).json["uncovered"] == 3


def test_the_key_is_in_no_output_no_log_and_no_file(tmp_path: Path, api: Served) -> None:
    body = json.dumps({"Information": f"We have detected your API key as {KEY}. Something new about {KEY}."})
    symbols = ["QUVEX", "AAPL", "MSFT"]
    for symbol in symbols:
        api.api.says(symbol, body, times=None)

    ended = collect(tmp_path, api, "-vv", symbols=symbols)

    assert ended.code == ExitCode.FAILED
    assert "Something new about" in ended.err
    assert KEY not in ended.out + ended.err
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


def test_without_a_configuration_it_uses_defaults_and_the_users_data_folder(tmp_path: Path, api: Served) -> None:
    ended = call(
        tmp_path,
        *("collect", "AAPL"),
        ALPHAVANTAGE_API_KEY=KEY,
        PIPELINE_SOURCE__BASE_URL=api.base_url,
        XDG_DATA_HOME=str(tmp_path / "data"),
    )

    database = tmp_path / "data" / "overview-pipeline" / "overviews.db"
    assert ended.code == 0
    assert ended.err.splitlines() == [
        f"pipeline: no configuration file: using defaults and the database {database}",
        f"pipeline: a new record begins in {database}",
    ]
    assert all_symbols(database) == ["AAPL"]
    assert database.stat().st_mode & 0o777 == 0o600
    assert "1 request took" in ended.out


def test_a_symbol_answered_with_anothers_overview_is_proposed_as_a_rename_and_not_taken_for_one(tmp_path: Path) -> None:
    with serving_beside() as served:
        served.api.says("FB", '{"Symbol": "META", "Name": "Meta", "EPS": "1"}')
        variables = {"PIPELINE_SOURCE__BASE_URL": served.base_url, "ALPHAVANTAGE_API_KEY": KEY}
        variables["PIPELINE_SYMBOLS__LIST"] = '["FB"]'
        ended = call(tmp_path, "collect", "--database", "x.db", PIPELINE_SOURCE__LIMITS="[]", **variables)
        doctor = call(tmp_path, "doctor", "--json", "--database", "x.db", **variables)

    line = 'FB = "META"'
    (suggested,) = (one for one in doctor.json if one["check"] == "renames")
    assert ended.code == ExitCode.FAILED  # every answer was rejected
    assert f"[symbols.renamed]: {line}" in ended.out
    assert suggested["remedy"].endswith(line)
    assert all_symbols(tmp_path / "x.db") == []


def test_of_runs_that_the_quota_left_nothing_only_the_last_keeps_its_outcomes(tmp_path: Path) -> None:
    """Each would repeat a row for every symbol, and cron starts many."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('[source]\nlimits = ["1/day"]\n')
    for _ in range(4):
        ended = call(tmp_path, "collect", "--sandbox", "--latency", "0", "AAPL", "IBM", "MSFT")
        assert ended.code == ExitCode.QUOTA

    with Reader.open(tmp_path / "data" / "sandbox.db") as reader:
        kept = {run.id: len(list(reader.outcomes(run.id))) for run in reader.runs(10)}
    assert kept == {1: 3, 2: 0, 3: 0, 4: 3}


def test_in_a_folder_whose_name_is_not_utf_8_all_is_as_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"lat\xe9")
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "pipeline.toml").write_text('database = "sandbox.db"\n[symbols]\nlist = ["AAPL"]')

    for _ in range(2):  # the second finds the list as it was
        assert call(folder, "collect", "--sandbox", "--latency", "0").code == ExitCode.DONE
    for command in (["backup", "copy.db"], ["status"], ["config", "--json"], ["history", "AAPL"]):
        assert call(folder, *command, "--database", "sandbox.db").code == ExitCode.DONE
    assert "lat\\\\udce9" in call(folder, "doctor", "--json").out  # escaped: JSON has no such character
    assert "copy.db, at " in call(folder, "doctor", "--database", "sandbox.db").out
