"""--quiet: nothing of what goes well, one line of what does not, whatever the exit code. Cron mails what is printed."""

import fcntl
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.store.lock import hold_daemon_lock, lock_path
from pipeline.store.record import Begin, prepare
from tests.support.clocks import START
from tests.support.commands import KEY, Ended, assert_note, call
from tests.support.runs import BAD_KEY, QUOTA
from tests.support.sandbox import Served, serving_beside

SYMBOLS = ["AAPL", "IBM", "PEP"]
NO_JSON = "no JSON"


@pytest.fixture
def api() -> Iterator[Served]:
    """Yield a simulated API without limits, whose responses a test may set."""
    with serving_beside() as served:
        yield served


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Return a folder in which the record has begun: that it begins is said, with --quiet too."""
    prepare(tmp_path / "overviews.db", Begin.FIRST, longest_window=timedelta(days=1), now=START)
    return tmp_path


def quiet(folder: Path, *words: str, base_url: str = "http://127.0.0.1:1", **variables: str) -> Ended:
    return call(
        folder,
        *("-q", "--database", "overviews.db", *words),
        ALPHAVANTAGE_API_KEY=KEY,
        PIPELINE_SOURCE__BASE_URL=base_url,
        PIPELINE_SOURCE__LIMITS="[]",
        PIPELINE_SYMBOLS__LIST=json.dumps(SYMBOLS),
        **variables,
    )


def assert_one_line(ended: Ended, code: int, *words: str) -> None:
    """Check that all it printed is one line to stderr."""
    assert (ended.code, ended.out) == (code, "")
    assert_note(ended, *words)


def test_a_run_that_went_well_prints_nothing(begun: Path, api: Served) -> None:
    for _ in range(2):  # the second finds nothing due
        assert quiet(begun, "collect", base_url=api.base_url) == Ended(ExitCode.DONE, "", "")


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({"PEP": NO_JSON}, ExitCode.PARTIAL, "run 1, partial: 2 stored, 1 rejected: not strict JSON"),
        (dict.fromkeys(SYMBOLS, NO_JSON), ExitCode.FAILED, "run 1, failed: 3 rejected: not strict JSON"),
        (dict.fromkeys(SYMBOLS, BAD_KEY), ExitCode.REFUSED, "run 1, failed: 3 deferred: the API refused the key"),
        (dict.fromkeys(SYMBOLS, QUOTA), ExitCode.QUOTA, "run 1, quota_exhausted: 3 deferred: "),
    ],
    ids=["partial", "failed", "key refused", "quota"],
)
def test_a_run_that_did_not_go_well_is_one_line_with_what_and_why(
    begun: Path, api: Served, answers: dict[str, str], code: int, said: str
) -> None:
    for symbol, answer in answers.items():
        api.api.says(symbol, answer, times=None)

    assert_one_line(quiet(begun, "collect", base_url=api.base_url), code, said)


def test_a_run_that_was_cut_short_by_an_option_is_one_line(begun: Path, api: Served) -> None:
    ended = quiet(begun, "collect", "--max-requests", "2", base_url=api.base_url)

    assert_one_line(ended, ExitCode.QUOTA, "run 1, quota_exhausted: 2 stored, 1 deferred")


def test_with_json_the_line_is_beside_the_object(begun: Path, api: Served) -> None:
    for symbol in SYMBOLS:
        api.api.says(symbol, NO_JSON)

    ended = quiet(begun, "collect", "--json", base_url=api.base_url)

    assert (ended.code, ended.json["rejected"]) == (ExitCode.FAILED, 3)
    assert_note(ended, "run 1, failed: 3 rejected")


def test_an_import_that_did_not_go_well_is_one_line(begun: Path) -> None:
    good = {"symbol": "IBM", "observed_at": "2024-03-13T18:00:00Z", "document": {"Symbol": "IBM"}}
    (begun / "good.jsonl").write_text(f"{json.dumps(good)}\n")
    (begun / "bad.jsonl").write_text(f"{json.dumps(good)}\nx\ny\n")

    assert quiet(begun, "import", "good.jsonl") == Ended(ExitCode.DONE, "", "")
    assert_one_line(quiet(begun, "import", "bad.jsonl"), ExitCode.PARTIAL, "run 2 is partial: 2 bad entries")
    assert_one_line(quiet(begun, "import", "--strict", "bad.jsonl"), ExitCode.FAILED, "run 3 failed: bad.jsonl, line 2")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["collect", "--sandbox", "--max-requests", "0"], ExitCode.USAGE),
        (["--config", "absent.toml", "collect"], ExitCode.REFUSED),
        (["--config", "absent.toml", "run"], ExitCode.REFUSED),
        (["--database", "folder", "collect"], ExitCode.FAILED),
        (["--database", "folder", "run"], ExitCode.FAILED),
        (["run"], ExitCode.BUSY),
        (["backup", "copy.db"], ExitCode.FAILED),
        (["runs"], ExitCode.FAILED),
        (["history", "IBM"], ExitCode.FAILED),
        (["as-of", "2024-01-01"], ExitCode.FAILED),
        (["changes"], ExitCode.FAILED),
        (["vintages", "IBM"], ExitCode.FAILED),
        (["export", "--output", "x.csv"], ExitCode.FAILED),
        (["import", "absent.jsonl"], ExitCode.FAILED),
        (["notify", "--test"], ExitCode.REFUSED),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_whatever_refuses_to_begin_says_so_in_one_line(tmp_path: Path, words: list[str], code: int) -> None:
    (tmp_path / "folder").mkdir()
    with hold_daemon_lock(tmp_path / "overviews.db", now=START):
        ended = quiet(tmp_path, *words)

    assert_one_line(ended, code)


def test_that_another_process_collects_is_one_line(tmp_path: Path) -> None:
    with lock_path(tmp_path / "overviews.db").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = quiet(tmp_path, "collect", "--wait", "0")

    assert_one_line(ended, ExitCode.BUSY)


@pytest.mark.parametrize(("command", "code"), [("status", ExitCode.STALE), ("health", ExitCode.STALE), ("doctor", 1)])
def test_a_report_of_something_wrong_is_data_and_printed(tmp_path: Path, command: str, code: int) -> None:
    (tmp_path / "overviews.db").write_bytes(b"not a database " * 300)

    ended = quiet(tmp_path, command)

    assert ended.code == code or (command, ended.code) == ("status", ExitCode.FAILED)
    assert "overviews.db" in ended.out + ended.err
