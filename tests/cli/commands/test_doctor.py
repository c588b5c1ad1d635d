"""`pipeline doctor`: its findings and exit codes."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.beside import beside
from tests.support.commands import KEY, call
from tests.support.hostile import hostile, says
from tests.support.sandbox import serving_beside
from tests.support.silent import SilentServer


def test_without_problems_it_ends_with_0(folder: Path) -> None:
    ended = call(folder, "doctor", "--json", ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code == 0
    assert {row["level"] for row in ended.json} <= {"ok", "note"}
    assert all(list(row) == ["check", "level", "found", "remedy"] for row in ended.json)


def test_a_bad_configuration_or_key_ends_with_3(folder: Path, configure: Callable[[str], object]) -> None:
    assert call(folder, "doctor").code == ExitCode.REFUSED
    configure("[source]\nplan = 'fre'")
    wrong = call(folder, "doctor", "--json", ALPHAVANTAGE_API_KEY=KEY)

    assert wrong.code == ExitCode.REFUSED
    assert "'fre'" in next(row["found"] for row in wrong.json if row["check"] == "configuration")


def test_a_bad_database_ends_with_1(folder: Path, alien: dict[str, Path]) -> None:
    for path in alien.values():
        ended = call(folder, "doctor", "--quick", "--database", str(path), ALPHAVANTAGE_API_KEY=KEY)

        assert ended.code == ExitCode.FAILED
        assert "problem" in ended.out


@pytest.mark.parametrize(
    ("urls", "ping"),
    [
        ("ntfy://bob:pa55phrase@push.example/t0p1c json://h00k.example/t0ken", "https://hc-ping.example/p1ng-uuid"),
        ("no-scheme-pa55phrase@push.example/t0p1c", ""),
        ("ntfy://push.example/t0p1c h00k.example/t0ken", "https://hc-ping.example/p1ng-uuid"),
        ("", "http://hc-ping.example/p1ng-uuid"),
        ("", "https://hc-ping.example/ p1ng-uuid"),
        ("", "ftp://bob:pa55phrase@hc-ping.example:p0rt/p1ng-uuid"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize("verbosity", [[], ["-v"]])
def test_no_part_of_a_secret_url_is_printed(
    folder: Path, place: str, urls: str, ping: str, verbosity: list[str]
) -> None:
    variables = {"PIPELINE_NOTIFY_URLS": urls, "PIPELINE_PING_URL": ping, "ALPHAVANTAGE_API_KEY": KEY}
    if place == ".env":
        (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
        (folder / ".env").chmod(0o600)
        variables = {}

    for arguments in (["doctor"], ["doctor", "--json"]):
        ended = call(folder, *arguments, *verbosity, **variables)

        printed = ended.out + ended.err
        assert "notifications" in printed, "they were examined"
        for secret in ("bob", "pa55phrase", "push.example", "t0p1c", "h00k", "t0ken", "hc-ping.example", "p1ng", KEY):
            assert secret not in printed


def test_online_it_sends_one_request_without_the_key_and_compares_the_clock(
    folder: Path, configure: Callable[[str], object]
) -> None:
    with serving_beside() as served:
        configure(f'[source]\nbase_url = "{served.base_url}"')

        ended = call(folder, "doctor", "--online", "--json", ALPHAVANTAGE_API_KEY=KEY)

    found = {row["check"]: row for row in reversed(ended.json)}
    assert found["network"]["level"] == "ok"
    assert found["network"]["found"].startswith("127.0.0.1 answers without TLS")
    assert "the API's" in found["clock"]["found"]
    assert served.api.requests == 0
    gone = call(folder, "doctor", "--online", "--json", ALPHAVANTAGE_API_KEY=KEY)
    (network,) = (row for row in gone.json if row["check"] == "network")
    assert (network["level"], network["found"]) == ("problem", "127.0.0.1: connection refused")
    assert gone.code == ExitCode.FAILED
    assert KEY not in gone.out


def test_online_it_asks_the_host_of_time_url_only_where_the_api_does_not_say_its_time(
    folder: Path, configure: Callable[[str], object]
) -> None:
    def found_of_clock() -> list[tuple[str, str]]:
        ended = call(folder, "doctor", "--online", "--json", ALPHAVANTAGE_API_KEY=KEY)
        return [(row["level"], row["found"]) for row in ended.json if row["check"] == "clock"]

    with serving_beside() as dated, beside(lambda: hostile(says(b"", "404 Not Found"))) as (_, base_url):
        configure(f'[source]\nbase_url = "{base_url}"\ntime_url = "{dated.base_url}"')
        assert any("(source.time_url)" in found for _, found in found_of_clock())
        configure(f'[source]\nbase_url = "{base_url}"\ntime_url = "http://127.0.0.1:9"')
        assert any(level == "problem" and "time_url: 127.0.0.1: " in found for level, found in found_of_clock())
        configure(f'[source]\nbase_url = "{dated.base_url}"\ntime_url = "http://127.0.0.1:9"')
        assert not any("time_url" in found for _, found in found_of_clock())


def test_offline_it_says_that_the_network_was_not_tried(folder: Path, silent: SilentServer) -> None:
    ended = call(folder, "doctor", ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=silent.url)

    assert "network not tried" in ended.out
    silent.assert_nothing_received()


def test_deep_a_file_that_is_not_there_is_a_problem(folder: Path) -> None:
    arguments = ("doctor", "--database", "mistyped.db")

    assert call(folder, *arguments, ALPHAVANTAGE_API_KEY=KEY).code == ExitCode.DONE
    assert call(folder, *arguments, "--deep", ALPHAVANTAGE_API_KEY=KEY).code == ExitCode.FAILED


def test_deep_it_finds_what_no_other_check_does(folder: Path) -> None:
    call(folder, "collect", "--sandbox", "--quiet", "QUVEX")
    database = folder / "data" / "sandbox.db"
    arguments = ("doctor", "--database", str(database), "--json")

    def integrity(*more: str) -> list[tuple[str, str]]:
        ended = call(folder, *arguments, *more, ALPHAVANTAGE_API_KEY=KEY)
        return [(row["level"], row["found"]) for row in ended.json if row["check"] == "integrity"]

    assert integrity("--deep") == [("ok", "integrity_check: ok"), ("ok", "deep: 1 snapshot, as written")]
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("UPDATE snapshots SET pe_ratio = coalesce(pe_ratio, 0) + 1")
    assert integrity() == [("ok", "integrity_check: ok")]
    assert integrity("--deep")[0][0] == "problem"
    assert call(folder, *arguments, "--deep", ALPHAVANTAGE_API_KEY=KEY).code == ExitCode.FAILED
    assert call(folder, *arguments, "--deep", "--quick").code == ExitCode.USAGE
