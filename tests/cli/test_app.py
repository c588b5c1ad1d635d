"""The command line: every verb, what bad input gets, and what the sandbox collects."""

import asyncio
import csv
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import aiohttp
import pytest

from pipeline import __version__
from pipeline.cli.app import COMMANDS
from pipeline.errors import ExitCode
from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.commands import PIPELINE, Ended, call, finished, start
from tests.support.recordings import RECORDINGS, needs_recordings

KEY = "S3CR3TK3YOFOURS1"


def assert_refused(ended: Ended, code: int, *words: str) -> None:
    """It said one clear line, with these words in it, and ended with this code."""
    assert ended.code == code
    assert ended.out == ""
    assert ended.err.startswith("pipeline: ")
    assert ended.err.endswith("\n")
    assert ended.err[:-1].isprintable()
    for word in words:
        assert word in ended.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration of one symbol."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["AAPL"]\n')
    return tmp_path


def configure(folder: Path, text: str) -> None:
    (folder / "config" / "pipeline.toml").write_text(text)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server on loopback that nobody should call."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}/query"


def assert_nothing_sent(listening: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        listening.accept()


# The words


def test_the_version_is_told(tmp_path: Path) -> None:
    assert call(tmp_path, "--version") == Ended(0, f"pipeline, version {__version__}\n", "")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help_with_an_example(tmp_path: Path, verb: str) -> None:
    ended = call(tmp_path, verb, "--help")

    assert ended.code == 0
    assert ended.err == ""
    assert re.search(rf"Examples?: .*pipeline {verb}", " ".join(ended.out.split()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_help_of_every_verb_tells_the_global_options(tmp_path: Path, verb: str) -> None:
    help_text = call(tmp_path, verb, "-h").out

    for option in ("--config", "--database", "--verbose", "--quiet", "--json"):
        assert option in help_text


def test_help_lists_the_verbs_and_the_exit_codes(tmp_path: Path) -> None:
    ended = call(tmp_path, "--help")

    assert ended.code == 0
    assert all(f"  {verb}  " in ended.out for verb in COMMANDS)
    assert "130 interrupted" in ended.out


def test_no_verb_at_all_gets_the_help_and_ends_with_2(tmp_path: Path) -> None:
    ended = call(tmp_path)

    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert all(command in ended.err for command in COMMANDS)


def test_an_unknown_verb_is_refused_and_the_nearest_named(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "stauts"), ExitCode.USAGE, "stauts", "did you mean status?", "--help")


def test_a_plan_for_no_symbols_says_that_none_are_configured(tmp_path: Path) -> None:
    ended = call(tmp_path, "plan")

    assert ended.code == ExitCode.DONE
    assert "pipeline: no symbols are configured: " in ended.err


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "plan", "--jsno"), ExitCode.USAGE, "--jsno", "(pipeline plan --help)")


def test_a_verb_that_lacks_its_argument_says_which(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "backup"), ExitCode.USAGE, "Missing argument 'FILE'")


def test_global_options_are_taken_before_and_after_the_verb(folder: Path) -> None:
    (folder / "other.toml").write_text("[collect]\nattempts = 5\n")
    options = ("--config", "other.toml", "--database", "x.db", "-q")

    before = call(folder, *options, "config", "--json")
    after = call(folder, "config", *options, "--json")

    assert before == after
    values = {row["key"]: row["value"] for row in before.json}
    assert values["database"] == "x.db"
    assert values["collect.attempts"] == 5


def test_an_option_after_the_verb_comes_before_one_ahead_of_it(folder: Path) -> None:
    values = call(folder, "--database", "a.db", "config", "--database", "b.db", "--json").json

    assert values[0]["value"] == "b.db"


# What bad configuration gets


BAD_CONFIGURATIONS = {
    "unknown key": ('[source]\npaln = "free"', ["source.paln", "source.plan"]),
    "secret": ('api_key = "ABC"', ["api_key", "ALPHAVANTAGE_API_KEY", ".env"]),
    "plan": ('[source]\nplan = "fre"', ["source.plan", "'fre'", "free"]),
    "limit": ('[source]\nlimits = ["25/fortnight"]', ["source.limits", "'25/fortnight'", "day"]),
    "both": ('[source]\nplan = "free"\nlimits = []', ["source.plan", "source.limits"]),
    "type": ("[collect]\nattempts = 'x'", ["collect.attempts", "expected int"]),
    "cron": ("[schedule]\ncron = '0 0 30 2 *'", ["schedule.cron", "'0 0 30 2 *'"]),
    "zone": ("[schedule]\ntimezone = 'Nowhere'", ["schedule.timezone", "'Nowhere'", "UTC"]),
    "http": ("[source]\nbase_url = 'http://alphavantage.co/'", ["source.base_url", "https"]),
    "user": (
        "[source]\nbase_url = 'https://a:b@alphavantage.co/'",
        ["source.base_url", "https://www.alphavantage.co/query"],
    ),
    "space": ('[symbols]\nlist = ["A B"]', ["symbols.list", "'A B'"]),
    "path": ('[symbols]\nlist = ["../x"]', ["symbols.list", "'../x'"]),
    "control": ('[symbols]\nlist = ["A\\u001b[2J"]', ["symbols.list", "\\x1b"]),
    "file": ('[symbols]\nfile = "absent.txt"', ["symbols.file", "absent.txt", "no such file"]),
    "toml": ("database = ", ["config/pipeline.toml", "TOML"]),
    "symbols": ("", ["no symbols: name some"]),
}


@pytest.mark.parametrize("case", BAD_CONFIGURATIONS)
def test_a_bad_configuration_ends_with_3_and_nothing_is_sent_or_made(
    folder: Path, silent: socket.socket, case: str
) -> None:
    text, words = BAD_CONFIGURATIONS[case]
    configure(folder, text)
    server = {} if "base_url" in text else {"PIPELINE_SOURCE__BASE_URL": url(silent)}

    ended = call(folder, "collect", ALPHAVANTAGE_API_KEY=KEY, **server)

    assert_refused(ended, ExitCode.REFUSED, *words)
    assert_nothing_sent(silent)
    assert not (folder / "data").exists()


NEEDED = {
    "backup": ["copy.db"],
    "history": ["IBM"],
    "as-of": ["2026-03-14"],
    "vintages": ["IBM"],
    "export": ["--output", "x.csv"],
    "import": ["x.jsonl"],
}
"""What a verb cannot do without."""


@pytest.mark.parametrize("verb", [verb for verb in COMMANDS if verb not in ("init", "sandbox", "doctor")])
def test_every_verb_that_reads_the_configuration_refuses_a_bad_one(folder: Path, verb: str) -> None:
    configure(folder, '[source]\nplan = "fre"')
    (folder / "x.jsonl").write_text("{}")

    assert_refused(call(folder, verb, *NEEDED.get(verb, [])), ExitCode.REFUSED, "'fre'")


def test_a_configuration_that_is_named_and_absent_ends_with_3(folder: Path) -> None:
    for ended in (
        call(folder, "--config", "absent.toml", "plan"),
        call(folder, "plan", PIPELINE_CONFIG="absent.toml"),
        call(folder, "--config", "config", "plan"),
    ):
        assert_refused(ended, ExitCode.REFUSED, "cannot be read")


def test_a_bad_variable_ends_with_3_by_its_name(folder: Path) -> None:
    assert_refused(
        call(folder, "plan", PIPELINE_SOURCE__LIMITS="25/day"), ExitCode.REFUSED, "PIPELINE_SOURCE__LIMITS: "
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ["no API key", "ALPHAVANTAGE_API_KEY", "pipeline collect --sandbox"]),
        ({"ALPHAVANTAGE_API_KEY": ""}, ["ALPHAVANTAGE_API_KEY: the API key is empty"]),
        ({"ALPHAVANTAGE_API_KEY": "two words"}, ["ALPHAVANTAGE_API_KEY: "]),
        ({"ALPHAVANTAGE_API_KEY_FILE": "empty"}, ["empty: the API key is empty"]),
        ({"ALPHAVANTAGE_API_KEY_FILE": "absent"}, ["absent cannot be read (no such file or directory)"]),
        ({"ALPHAVANTAGE_API_KEY_FILE": "config"}, ["config cannot be read (is a directory)"]),
    ],
)
def test_without_a_key_it_ends_with_3_and_nothing_is_sent_or_made(
    folder: Path, silent: socket.socket, variables: dict[str, str], words: list[str]
) -> None:
    (folder / "empty").touch()

    ended = call(folder, "collect", PIPELINE_SOURCE__BASE_URL=url(silent), **variables)

    assert_refused(ended, ExitCode.REFUSED, *words)
    assert_nothing_sent(silent)
    assert not (folder / "data").exists()


# What bad arguments get


@pytest.mark.parametrize("name", ["A B", "../x", "", "A\x1b[2J", "A\nB", "ÄPPL", "A" * 40])
def test_what_is_no_symbol_on_the_command_line_ends_with_2(folder: Path, silent: socket.socket, name: str) -> None:
    ended = call(folder, "collect", "--", name, ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=url(silent))

    assert_refused(ended, ExitCode.USAGE, "(pipeline collect --help)")
    assert_nothing_sent(silent)
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["collect", "--max-requests", "0"],
        ["collect", "--wait", "-1"],
        ["collect", "--sandbox", "--latency", "-1"],
        ["collect", "--sandbox", "--day", "14 March"],
        ["collect", "--sandbox", "--day", "0001-01-01"],
        ["collect", "--sandbox", "--day", "9999-12-31"],
        ["collect", "--day", "2026-03-14"],
        ["collect", "--latency", "5"],
        ["runs", "0"],
        ["runs", "last"],
        ["runs", "99999999999999999999"],
        ["runs", "--limit", "99999999999999999999"],
        ["runs", "--format", "xml"],
        ["sandbox", "--port", "70000"],
        ["sandbox", "--plan", "gold"],
        ["sandbox", "--day", "9999-12-31"],
        ["plan", "AAPL"],
    ],
)
def test_an_argument_that_cannot_be_taken_ends_with_2(folder: Path, arguments: list[str]) -> None:
    assert_refused(call(folder, *arguments, ALPHAVANTAGE_API_KEY=KEY), ExitCode.USAGE, f"(pipeline {arguments[0]} --h")
    assert not (folder / "data").exists()


# What a bad database gets


READERS = [
    [verb, *NEEDED.get(verb, [])]
    for verb in ("status", "plan", "runs", "symbols", "backup", "history", "as-of", "changes", "vintages", "export")
]
COLLECT = ["collect", "--sandbox", "--latency", "0"]


@pytest.fixture
def alien(folder: Path) -> dict[str, Path]:
    """Files that are no databases of ours, by what they are."""
    paths = {name: folder / name / "sandbox.db" for name in ("random", "theirs", "newer")}
    for path in paths.values():
        path.parent.mkdir()
    paths["random"].write_bytes(bytes(range(256)) * 64)
    with closing(sqlite3.connect(paths["theirs"])) as db:
        db.execute("CREATE TABLE theirs (a)")
    migrate(paths["newer"], now=START)
    with closing(sqlite3.connect(paths["newer"], isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 999")
    return paths


@pytest.mark.parametrize("verb", [*READERS, COLLECT])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("random", ["not a database", "name another file"]),
        ("theirs", ["belongs to another program: name another file"]),
        ("newer", ["newer overview-pipeline", "999", "upgrade"]),
    ],
)
def test_a_file_that_is_not_ours_ends_with_1_and_stays_as_it_was(
    folder: Path, alien: dict[str, Path], verb: list[str], kind: str, words: list[str]
) -> None:
    path = alien[kind]
    before = path.read_bytes()

    ended = call(folder, "-q", "--database", str(path), *verb)

    assert_refused(ended, ExitCode.FAILED, str(path), *words)
    assert path.read_bytes() == before
    assert not (folder / "copy.db").exists()


@pytest.mark.parametrize("verb", READERS)
def test_a_database_that_is_a_folder_ends_with_1(folder: Path, verb: list[str]) -> None:
    assert_refused(call(folder, "--database", "config", *verb), ExitCode.FAILED, "config")


def test_collecting_into_a_folder_ends_with_1(folder: Path, silent: socket.socket) -> None:
    ended = call(
        folder, "--database", "config", "collect", ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=url(silent)
    )

    assert_refused(ended, ExitCode.FAILED, "config is a folder: name a file in it")
    assert_nothing_sent(silent)


@pytest.mark.parametrize("name", [".", "/", "x" * 300])
@pytest.mark.parametrize("verb", [*READERS, COLLECT])
def test_a_database_that_no_file_can_be_ends_with_3(folder: Path, verb: list[str], name: str) -> None:
    assert_refused(call(folder, "--database", name, *verb), ExitCode.REFUSED, "--database: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_database_in_a_folder_that_is_read_only_ends_with_1(folder: Path, silent: socket.socket) -> None:
    (folder / "data").mkdir(mode=0o500)

    ended = call(folder, "collect", ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=url(silent))

    assert_refused(ended, ExitCode.FAILED, "permission denied")
    assert_nothing_sent(silent)


# Before anything was collected


def test_status_without_a_record_shows_everything_as_stale_and_ends_with_7(folder: Path) -> None:
    ended = call(folder, "status", "--json")

    assert ended.code == ExitCode.STALE
    assert "no database at data/overviews.db: create it with pipeline collect" in ended.err
    assert ended.json["stale"] == ["AAPL"]
    assert ended.json["last_run"] is None
    assert not (folder / "data").exists()


def test_plan_without_a_record_takes_every_symbol_as_due(folder: Path) -> None:
    ended = call(folder, "plan", "--json")

    assert ended.code == 0
    plan = ended.json
    assert list(plan) == ["symbols", "due", "fresh", "waiting_unknown", "requests", "finish_at", "days", "windows"]
    assert plan["symbols"] == plan["due"] == plan["requests"] == 1
    assert plan["finish_at"].endswith("Z")
    assert plan["windows"] == [
        {"limit": "25/day", "used": 0, "left": 25, "next_free_at": None},
        {"limit": "1/second", "used": 0, "left": 1, "next_free_at": None},
    ]
    assert not (folder / "data").exists()


def test_a_plan_tells_people_when_it_is_done(folder: Path) -> None:
    configure(folder, f"[symbols]\nlist = {json.dumps([f'A{number}' for number in range(30)])}")

    ended = call(folder, "plan")

    assert ended.code == 0
    assert "30 (A0, A1, A2, A3, A4 and 25 more)" in ended.out
    assert re.search(r"done by +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, over 2 days", ended.out)


def test_a_plan_without_limits_says_so(folder: Path) -> None:
    assert "no limits" in call(folder, "plan", PIPELINE_SOURCE__LIMITS="[]").out


def test_runs_and_backup_without_a_record_end_with_1(folder: Path) -> None:
    for verb in (["runs"], ["runs", "1"], ["backup", "copy.db"]):
        assert_refused(call(folder, *verb), ExitCode.FAILED, "no database at", "pipeline collect")


def test_symbols_without_a_record_are_those_configured(folder: Path) -> None:
    (row,) = call(folder, "symbols", "--json").json

    assert row["symbol"] == "AAPL"
    assert row["state"] is None
    assert row["snapshots"] == 0


def test_notices_go_to_stderr_and_not_at_all_when_quiet(folder: Path) -> None:
    configure(folder, '[symbols]\nlist = ["aapl", "AAPL"]')

    loud, quiet = call(folder, "plan", "--json"), call(folder, "-q", "plan", "--json")

    assert loud.err == "pipeline: duplicate symbols ignored: AAPL\n"
    assert quiet.err == ""
    assert loud.json["symbols"] == 1


# init


def test_init_writes_a_configuration_that_loads_and_a_private_dotenv(tmp_path: Path) -> None:
    ended = call(tmp_path, "init")

    assert ended.code == 0
    assert "config/pipeline.toml: " in ended.out
    assert ".env: " in ended.out
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert call(tmp_path, "config").code == 0
    assert "the API key is empty" in call(tmp_path, "collect").err


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text("# mine")
    (tmp_path / ".env").write_text("# mine too")

    ended = call(tmp_path, "init", "--json")

    assert ended.code == 0
    assert ended.json == {"written": []}
    assert (tmp_path / "config" / "pipeline.toml").read_text() == "# mine"
    assert (tmp_path / ".env").read_text() == "# mine too"


def test_init_writes_where_the_configuration_will_be_looked_for(tmp_path: Path) -> None:
    assert call(tmp_path, "--config", "a/b.toml", "init", "--json").json["written"] == ["a/b.toml", ".env"]
    assert call(tmp_path, "init", "--json", PIPELINE_CONFIG="c.toml").json["written"] == ["c.toml"]


def test_init_below_a_file_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "config").touch()

    assert_refused(call(tmp_path, "init"), ExitCode.FAILED, "config/pipeline.toml cannot be written")


# config


def test_config_shows_every_value_with_where_it_came_from(folder: Path) -> None:
    configure(folder, "[collect]\nattempts = 5\n")
    (folder / ".env").write_text("PIPELINE_SOURCE__PLAN=premium-75\n")
    (folder / ".env").chmod(0o600)

    rows = call(folder, "config", "--json", PIPELINE_COLLECT__WAIT_SECONDS="7").json

    came = {row["key"]: (row["value"], row["origin"]) for row in rows}
    assert came["collect.attempts"] == (5, "config/pipeline.toml")
    assert came["source.plan"] == ("premium-75", ".env: PIPELINE_SOURCE__PLAN")
    assert came["collect.wait_seconds"] == (7, "PIPELINE_COLLECT__WAIT_SECONDS")
    assert came["keep.outcomes_days"] == (400, "default")
    assert came["api_key"] == (None, "not set")


@pytest.mark.parametrize(
    "arguments", [["config"], ["config", "--json"], ["doctor"], ["doctor", "--json"], ["-vv", "plan"]]
)
def test_the_key_is_never_shown(folder: Path, arguments: list[str]) -> None:
    (folder / "key").write_text(f"{KEY}\n")

    for variables in ({"ALPHAVANTAGE_API_KEY": KEY}, {"ALPHAVANTAGE_API_KEY_FILE": "key"}):
        ended = call(folder, *arguments, **variables)

        assert KEY not in ended.out + ended.err


def test_the_key_is_masked_and_where_it_came_from_told(folder: Path) -> None:
    (folder / "key").write_text(KEY)

    row = call(folder, "config", "--json", ALPHAVANTAGE_API_KEY="", ALPHAVANTAGE_API_KEY_FILE="key").json[-1]

    assert row == {"key": "api_key", "value": "*** (16 characters)", "origin": "ALPHAVANTAGE_API_KEY_FILE"}


def test_without_a_configuration_the_database_is_in_the_users_data_folder(tmp_path: Path) -> None:
    rows = call(tmp_path, "config", "--json", XDG_DATA_HOME=str(tmp_path / "share")).json

    assert rows[0]["value"].startswith(str(tmp_path))
    assert rows[0]["origin"] == "default: no configuration file"


# doctor


def test_the_doctor_ends_with_0_where_all_is_well(folder: Path) -> None:
    ended = call(folder, "doctor", "--json", ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code == 0
    assert {row["level"] for row in ended.json} <= {"ok", "note"}
    assert all(list(row) == ["check", "level", "found", "remedy"] for row in ended.json)


def test_the_doctor_ends_with_3_where_configuration_or_key_are_wrong(folder: Path) -> None:
    assert call(folder, "doctor").code == ExitCode.REFUSED
    configure(folder, "[source]\nplan = 'fre'")
    wrong = call(folder, "doctor", "--json", ALPHAVANTAGE_API_KEY=KEY)

    assert wrong.code == ExitCode.REFUSED
    assert "'fre'" in next(row["found"] for row in wrong.json if row["check"] == "configuration")


def test_the_doctor_ends_with_1_where_the_database_is_wrong(folder: Path, alien: dict[str, Path]) -> None:
    for path in alien.values():
        ended = call(folder, "doctor", "--quick", "--database", str(path), ALPHAVANTAGE_API_KEY=KEY)

        assert ended.code == ExitCode.FAILED
        assert "problem" in ended.out


# The sandbox


class Collected:
    """A folder in which the sandbox was asked on two days, on a plan of no limits."""

    def __init__(self, folder: Path) -> None:
        (folder / "config").mkdir()
        self.folder = folder
        listing = list(csv.DictReader(StringIO(self("sandbox", "--listing").out)))
        self.names = [row["symbol"] for row in listing if row["assetType"] == "Stock"][:12]
        self.fund = next(row["symbol"] for row in listing if row["assetType"] == "ETF")  # which the API does not cover
        configure(folder, f"database = 'data/real.db'\n[symbols]\nlist = {json.dumps([*self.names, self.fund])}")
        self.first = self("-v", "collect", "--sandbox", "--latency", "0", "--day", "2026-03-13", "--json")
        self.second = self("collect", "--sandbox", "--latency", "0")

    def __call__(self, *arguments: str, **variables: str) -> Ended:
        return call(self.folder, *arguments, **{"PIPELINE_SOURCE__LIMITS": "[]", **variables})

    def at_sandbox(self, *arguments: str, **variables: str) -> Ended:
        return self("--database", "data/sandbox.db", *arguments, **variables)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return Collected(tmp_path_factory.mktemp("sandbox"))


def test_a_run_in_json_is_one_object(collected: Collected) -> None:
    run = collected.first.json

    assert collected.first.code == 0
    assert list(run) == [
        "run", "trigger", "status", "symbols", "due", "stored", "unchanged", "unknown", "failed", "rejected",
        "deferred", "requests", "seconds",
    ]  # fmt: skip
    assert (run["run"], run["trigger"], run["status"]) == (1, "manual", "complete")
    assert run["symbols"] == run["due"] == run["requests"] == 13
    assert run["stored"] + run["unknown"] == 13


def test_a_run_logs_json_lines_to_stderr_where_nobody_watches_if_asked(collected: Collected) -> None:
    lines = [json.loads(line) for line in collected.first.err.splitlines() if not line.startswith("pipeline: ")]

    assert [line["event"] for line in lines] == ["run began", "run ended"]
    assert {line["run"] for line in lines} == {1}


def test_a_run_tells_people_what_happened_and_how_long_the_calls_took(collected: Collected) -> None:
    out = collected.second.out

    assert "stored" in out
    assert "run 2" in out
    assert "complete" in out
    assert re.search(r"13 requests took \d+\.\d\d s; .* \d+\.\d\d s", out)
    assert "data/sandbox.db" in out
    assert "pipeline status" in out


def test_the_sandbox_never_touches_the_real_database(collected: Collected) -> None:
    assert not (collected.folder / "data" / "real.db").exists()


def test_the_files_are_their_owners_alone(collected: Collected) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (collected.folder / "data").iterdir()}

    assert set(modes.values()) == {0o600}


def test_status_in_json(collected: Collected) -> None:
    ended = collected.at_sandbox("status", "--json", PIPELINE_SOURCE__LIMITS='["25/day"]')

    status = ended.json
    assert ended.code == 0
    assert list(status) == [
        "database", "snapshots", "companies", "daemon", "next_run", "last_run", "missed", "windows", "stale", "unknown",
        "drift", "suspicions",
    ]  # fmt: skip
    assert status["database"] == "data/sandbox.db"
    assert status["snapshots"] >= status["companies"] >= 10
    assert status["last_run"]["id"] == 2
    assert status["last_run"]["status"] == "complete"
    assert status["stale"] == []
    assert collected.fund in status["unknown"]
    assert status["drift"] == {"unknown_fields": [], "absent_fields": [], "unreadable_fields": []}
    (window,) = status["windows"]
    assert list(window) == ["limit", "used", "left", "next_free_at"]
    assert window["limit"] == "25/day"


def test_status_for_people_ends_with_0_where_nothing_is_stale(collected: Collected) -> None:
    ended = collected.at_sandbox("status")

    assert ended.code == 0
    assert "no limits" in ended.out
    assert re.search(r"last run +2, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: complete", ended.out)


def test_status_ends_with_7_where_a_symbol_is_stale(collected: Collected) -> None:
    ended = collected.at_sandbox("status", PIPELINE_SYMBOLS__LIST='["NEVERASKED"]')

    assert ended.code == ExitCode.STALE
    assert re.search(r"stale +1 \(NEVERASKED\)", ended.out)


def test_what_was_looked_at_is_fresh_and_what_is_not_covered_waits(collected: Collected) -> None:
    plan = collected.at_sandbox("plan", "--json").json

    assert plan["due"] == plan["requests"] == 0
    assert plan["finish_at"] is None
    assert plan["fresh"] + plan["waiting_unknown"] == 13
    assert plan["waiting_unknown"] >= 1
    assert plan["windows"] == []


def test_collecting_again_finds_nothing_due_and_force_asks_all_the_same(collected: Collected, tmp_path: Path) -> None:
    copy = tmp_path / "sandbox.db"
    collected.at_sandbox("backup", str(copy))

    again = collected("--database", str(copy), "collect", "--sandbox", "--latency", "0")
    forced = collected("--database", str(copy), "collect", "--sandbox", "--latency", "0", "--force", "--json")

    assert again.code == forced.code == 0
    assert again.out.startswith("nothing is due: ")
    assert forced.json["requests"] == 13
    assert forced.json["stored"] == 0


def test_symbols_named_are_asked_whatever_their_age_and_once_each(collected: Collected, tmp_path: Path) -> None:
    copy = tmp_path / "sandbox.db"
    collected.at_sandbox("backup", str(copy))
    name = collected.names[0]

    ended = collected(
        "--database", str(copy), "collect", "--sandbox", "--latency", "0", "--json", "--", name.lower(), name
    )

    assert ended.code == 0
    assert f"pipeline: duplicate symbols ignored: {name}\n" in ended.err
    assert ended.json["symbols"] == ended.json["requests"] == 1


def test_a_run_stops_at_the_requests_it_may_send(collected: Collected, tmp_path: Path) -> None:
    ended = collected(
        "--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0", "--max-requests", "3", "--json"
    )

    assert ended.code == ExitCode.QUOTA
    assert ended.json["status"] == "quota_exhausted"
    assert ended.json["requests"] == 3
    assert ended.json["deferred"] == 10


def test_quiet_prints_nothing_of_a_run_that_went_well(collected: Collected, tmp_path: Path) -> None:
    ended = collected("-q", "--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0")

    assert ended == Ended(0, "", "")


def test_runs_are_listed_the_newest_first(collected: Collected) -> None:
    runs = collected.at_sandbox("runs", "--json").json

    assert [run["id"] for run in runs] == [2, 1]
    assert all(run["status"] == "complete" and run["trigger"] == "manual" for run in runs)
    assert [run["id"] for run in collected.at_sandbox("runs", "--limit", "1", "--json").json] == [2]


def test_the_table_of_runs_names_only_what_there_is(collected: Collected) -> None:
    header, second, first = collected.at_sandbox("runs").out.splitlines()
    oldest = collected.at_sandbox("runs", "--json").json[-1]

    assert header.split() == ["id", "trigger", "started", "status", "due", "outcomes", "requests", "seconds"]
    assert f"{oldest['stored']} stored, {oldest['unknown']} unknown" in first
    assert "failed" not in first + second


def test_runs_have_the_same_facts_in_every_form(collected: Collected) -> None:
    as_json = collected.at_sandbox("runs", "--json").json
    as_lines = [json.loads(line) for line in collected.at_sandbox("runs", "--format", "jsonl").out.splitlines()]
    as_csv = list(csv.DictReader(StringIO(collected.at_sandbox("runs", "--format", "csv").out)))

    assert as_lines == as_json
    assert [{name: str("" if value is None else value) for name, value in run.items()} for run in as_json] == as_csv


def test_a_run_has_an_outcome_for_every_symbol(collected: Collected) -> None:
    outcomes = collected.at_sandbox("runs", "1", "--json").json

    assert {outcome["symbol"] for outcome in outcomes} == {*collected.names, collected.fund}
    assert {outcome["outcome"] for outcome in outcomes if outcome["symbol"] == collected.fund} == {"unknown"}
    assert all(outcome["attempts"] == 1 for outcome in outcomes)
    assert collected.fund in collected.at_sandbox("runs", "1").out
    assert len(collected.at_sandbox("runs", "1", "--format", "csv").out.splitlines()) == 14


def test_an_unknown_run_ends_with_1(collected: Collected) -> None:
    assert_refused(collected.at_sandbox("runs", "99"), ExitCode.FAILED, "99", "pipeline runs")


def test_symbols_are_listed_with_what_is_known_of_each(collected: Collected) -> None:
    rows = {row["symbol"]: row for row in collected.at_sandbox("symbols", "--json").json}

    assert list(rows) == [*collected.names, collected.fund]
    assert rows[collected.fund]["state"] == "unknown"
    assert rows[collected.fund]["next_try"] > rows[collected.fund]["last_try"]
    covered = [row for row in rows.values() if row["state"] == "covered"]
    assert all(row["snapshots"] >= 1 and row["last_outcome"] in ("stored", "unchanged") for row in covered)


def test_symbols_no_longer_configured_are_listed_when_all_are_asked_for(collected: Collected) -> None:
    one = collected.names[0]

    rows = collected.at_sandbox("symbols", "--all", "--json", PIPELINE_SYMBOLS__LIST=json.dumps([one])).json

    assert rows[0]["symbol"] == one
    assert {row["symbol"] for row in rows} == {*collected.names, collected.fund}


def test_a_backup_is_made_and_never_over_a_file(collected: Collected, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    made = collected.at_sandbox("backup", str(copy), "--json")
    before = copy.read_bytes()
    again = collected.at_sandbox("backup", str(copy))

    assert made.code == 0
    assert made.json == {"file": str(copy), "bytes": len(before)}
    assert_refused(again, ExitCode.FAILED, "exists: choose another name")
    assert copy.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
    kept = call(collected.folder, "--database", str(copy), "status", "--json").json["snapshots"]
    assert kept == collected.at_sandbox("status", "--json").json["snapshots"]


def test_what_a_server_said_is_shown_harmless(collected: Collected, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    collected.at_sandbox("backup", str(copy))
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE outcomes SET detail = ? WHERE run_id = 1", ("[red]a\x1b[2J\x9bb[/red]",))
        db.execute("UPDATE runs SET detail = ? WHERE id = 2", ("=HYPERLINK('[bold]a\x1b[2J')",))
        db.commit()

    for arguments in (["runs", "1"], ["runs", "1", "--json"], ["status"], ["status", "--json"], ["runs", "--json"]):
        out = collected("--database", str(copy), *arguments).out
        assert "\x1b" not in out
        assert "\x9b" not in out
    assert r"[red]a\x1b[2J\x9bb[/red]" in collected("--database", str(copy), "runs", "1").out
    assert "'=HYPERLINK" in collected("--database", str(copy), "runs", "--format", "csv").out


def test_the_sandbox_lists_its_companies_in_a_form_that_symbols_file_takes(collected: Collected) -> None:
    (collected.folder / "listing.csv").write_text(collected("sandbox", "--listing").out)

    ended = collected("plan", "--json", PIPELINE_SYMBOLS__FILE="../listing.csv", PIPELINE_SYMBOLS__LIST="[]")

    assert ended.json["symbols"] >= 500
    assert "active stocks taken from the csv" in ended.err


@needs_recordings
def test_how_many_symbols_a_listing_has_is_told(folder: Path) -> None:
    ended = call(folder, "plan", "--json", PIPELINE_SYMBOLS__FILE=str(RECORDINGS / "listing_status_active.csv"))

    assert ended.json["symbols"] > 8_000
    assert re.search(r"[89],\d{3} active stocks taken from the csv", ended.err)


# The process


def run(folder: Path, shell: str) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        ["bash", "-c", shell],
        cwd=folder,
        env={**environment, "HOME": str(folder), "PIPELINE": str(PIPELINE), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("form", ["--format table", "--format csv", "--format jsonl", "--json"])
def test_a_reader_that_has_enough_ends_it_quietly(folder: Path, form: str) -> None:
    (folder / "config" / "names.txt").write_text("\n".join(f"A{number}" for number in range(20_000)))
    configure(folder, '[symbols]\nfile = "names.txt"')

    ended = run(folder, f'"$PIPELINE" symbols {form} | head -1; exit "${{PIPESTATUS[0]}}"')

    assert ended.returncode == 0
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 1


def test_a_look_up_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    program = """
import asyncio, sys, threading
from pipeline.cli.app import main
from pipeline.cli.event_loop import run_async

async def look_up():
    begun = threading.Event()
    asyncio.get_running_loop().run_in_executor(None, lambda: (begun.set(), threading.Event().wait(600)))
    begun.wait()

run_async(look_up())
sys.argv = ["pipeline", "--version"]
main()
"""
    (tmp_path / "hangs.py").write_text(program)

    ended = run(tmp_path, '"$PYTHON" hangs.py')

    assert ended.returncode == 0
    assert ended.stdout == f"pipeline, version {__version__}\n"


def test_called_in_a_process_that_goes_on_it_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    call(tmp_path, "collect", "--sandbox", "AAPL")

    begun = set(threading.enumerate()) - before
    for thread in begun:
        thread.join(10)
    assert [thread.name for thread in begun if thread.is_alive()] == []


def test_from_an_empty_folder_with_only_a_key_it_does_the_sensible_thing(tmp_path: Path) -> None:
    """The address is one that nobody answers, so that the test asks nobody."""
    ended = run(
        tmp_path,
        "ALPHAVANTAGE_API_KEY=ABC PIPELINE_SOURCE__LIMITS=[] PIPELINE_COLLECT__ATTEMPTS=1"
        ' PIPELINE_SOURCE__BASE_URL=http://127.0.0.1:9/query "$PIPELINE" collect AAPL --json',
    )

    assert ended.returncode == ExitCode.FAILED
    assert json.loads(ended.stdout)["failed"] == 1
    assert "no configuration file" in ended.stderr
    (database,) = tmp_path.rglob("overviews.db")
    assert str(database) in ended.stderr


async def test_the_sandbox_serves_until_it_is_stopped(tmp_path: Path) -> None:
    process = await start(tmp_path, "sandbox")
    assert process.stdout is not None
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        base_url = (await process.stdout.readline()).decode().strip()
        async with session.get(base_url, params={"function": "OVERVIEW", "symbol": "IBM", "apikey": "x"}) as response:
            answer = await response.json()

    process.send_signal(signal.SIGINT)
    ended = await finished(process)

    assert answer["Symbol"] == "IBM"
    assert ended.code == 0
    assert re.search(r"requests.*\b1\b.*\b0\b", ended.err.splitlines()[-1])


def test_a_port_in_use_ends_with_1(tmp_path: Path, silent: socket.socket) -> None:
    port = str(silent.getsockname()[1])

    assert_refused(
        call(tmp_path, "sandbox", "--port", port), ExitCode.FAILED, f"port {port} cannot be used: ", "try another"
    )
