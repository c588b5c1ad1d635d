"""What commands do with a bad configuration, a missing key and invalid symbols: refuse before anything is sent."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli.app import COMMANDS
from pipeline.errors import ExitCode
from tests.support.commands import KEY, NEEDED, assert_refused, call
from tests.support.recordings import RECORDINGS, needs_recordings
from tests.support.silent import SilentServer

BAD_CONFIGURATIONS = {
    "unknown key": ('[source]\npaln = "free"', ["source.paln", "source.plan"]),
    "secret": ('api_key = "ABC"', ["api_key", "ALPHAVANTAGE_API_KEY", ".env"]),
    "plan": ('[source]\nplan = "fre"', ["source.plan", "'fre'", "free"]),
    "limit": ('[source]\nlimits = ["25/fortnight"]', ["source.limits", "'25/fortnight'", "day"]),
    "both": ('[source]\nplan = "free"\nlimits = []', ["source.plan", "source.limits"]),
    "type": ("[collect]\nattempts = 'x'", ["collect.attempts", "must be a whole number"]),
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
def test_a_bad_configuration_ends_with_3_and_nothing_is_sent_or_created(
    folder: Path, configure: Callable[[str], object], silent: SilentServer, case: str
) -> None:
    text, words = BAD_CONFIGURATIONS[case]
    configure(text)
    server = {} if "base_url" in text else {"PIPELINE_SOURCE__BASE_URL": silent.url}

    ended = call(folder, "collect", ALPHAVANTAGE_API_KEY=KEY, **server)

    assert_refused(ended, ExitCode.REFUSED, *words)
    silent.assert_nothing_received()
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command not in ("init", "sandbox", "doctor", "fields")]
)
def test_every_command_that_reads_the_configuration_refuses_a_bad_one(
    folder: Path, configure: Callable[[str], object], command: str
) -> None:
    configure('[source]\nplan = "fre"')
    (folder / "x.jsonl").write_text("{}")

    assert_refused(call(folder, command, *NEEDED.get(command, [])), ExitCode.REFUSED, "'fre'")


def test_a_named_configuration_that_is_missing_ends_with_3(folder: Path) -> None:
    for ended in (
        call(folder, "--config", "absent.toml", "plan"),
        call(folder, "plan", PIPELINE_CONFIG="absent.toml"),
        call(folder, "--config", "config", "plan"),
    ):
        assert_refused(ended, ExitCode.REFUSED, "cannot be read")


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("config/pipeline.toml", "nowhere"),
        ("config/pipeline.toml", "pipeline.toml"),
        ("config", "nowhere"),
        ("config", "config"),
        ("config", "/dev/null"),
    ],
)
def test_a_configuration_that_cannot_be_reached_is_not_taken_for_none(tmp_path: Path, place: str, target: str) -> None:
    """With the defaults, `collect` would write into another database."""
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(target)

    for command in (["collect", "AAPL"], ["status"], ["run"], ["status", "--config", "config/pipeline.toml"]):
        ended = call(tmp_path, *command, ALPHAVANTAGE_API_KEY=KEY)
        assert_refused(ended, ExitCode.REFUSED, "config/pipeline.toml: cannot be read")
    assert "config/pipeline.toml: cannot be read" in call(tmp_path, "doctor").out
    assert_refused(call(tmp_path, "init"), ExitCode.FAILED, "config/pipeline.toml")


def test_a_file_named_config_is_no_configuration(tmp_path: Path) -> None:
    """~/.ssh has one, and each bare repository of git."""
    (tmp_path / "config").write_text("Host *\n")

    ended = call(tmp_path, "as-of", "now", "--database", "none.db")

    assert_refused(ended, ExitCode.FAILED, "none.db")


def test_files_that_are_links_to_nothing_are_named_as_such(folder: Path, configure: Callable[[str], object]) -> None:
    configure('[symbols]\nfile = "symbols.txt"\n')
    (folder / "config" / "symbols.txt").symlink_to("nowhere")
    (folder / "key").symlink_to("nowhere")

    symbols = call(folder, "collect")
    key = call(folder, "collect", ALPHAVANTAGE_API_KEY_FILE=str(folder / "key"), PIPELINE_SYMBOLS__FILE="/dev/null")

    assert_refused(symbols, ExitCode.REFUSED, "symbols.txt cannot be read (a link")
    assert_refused(key, ExitCode.REFUSED)


@pytest.mark.parametrize("file", [".env", "config/pipeline.toml", "config/symbols.txt"])
def test_a_file_in_utf_16_ends_with_3_and_is_named_with_what_to_do(
    folder: Path, configure: Callable[[str], object], file: str
) -> None:
    configure('[symbols]\nfile = "symbols.txt"\n')
    (folder / "config" / "symbols.txt").write_text("AAPL")
    (folder / file).write_text("A", encoding="utf-16")

    for command in ("plan", "collect", "run", "history"):
        ended = call(folder, command, *NEEDED.get(command, []))
        assert_refused(ended, ExitCode.REFUSED, f"{file}: the text is in UTF-16; save it as UTF-8")


def test_a_byte_order_mark_in_dotenv_hides_no_key(folder: Path) -> None:
    (folder / ".env").write_bytes(b"\xef\xbb\xbfALPHAVANTAGE_API_KEY=ABCDEFGH12345678\n")
    (folder / ".env").chmod(0o600)

    (key,) = [row for row in call(folder, "config", "--json").json if row["key"] == "api_key"]

    assert key["value"] == "*** (16 characters)"


def test_a_bad_variable_is_named_and_ends_with_3(folder: Path) -> None:
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
        ({"ALPHAVANTAGE_API_KEY_FILE": "/absent"}, ["/absent cannot be read (no such file or directory)"]),
        ({"ALPHAVANTAGE_API_KEY_FILE": "config"}, ["config cannot be read (is a directory)"]),
    ],
)
def test_without_a_key_it_ends_with_3_and_nothing_is_sent_or_created(
    folder: Path, silent: SilentServer, variables: dict[str, str], words: list[str]
) -> None:
    (folder / "empty").touch()

    ended = call(folder, "collect", PIPELINE_SOURCE__BASE_URL=silent.url, **variables)

    assert_refused(ended, ExitCode.REFUSED, *words)
    silent.assert_nothing_received()
    assert not (folder / "data").exists()


@pytest.mark.parametrize("name", ["A B", "../x", "", "A\x1b[2J", "A\nB", "ÄPPL", "A" * 40])
def test_an_invalid_symbol_on_the_command_line_ends_with_2(folder: Path, silent: SilentServer, name: str) -> None:
    ended = call(folder, "collect", "--", name, ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=silent.url)

    assert_refused(ended, ExitCode.USAGE, "(pipeline collect --help)")
    silent.assert_nothing_received()
    assert not (folder / "data").exists()


def test_notices_go_to_stderr_and_not_at_all_when_quiet(folder: Path, configure: Callable[[str], object]) -> None:
    configure('[symbols]\nlist = ["aapl", "AAPL"]')

    loud, quiet = call(folder, "plan", "--json"), call(folder, "-q", "plan", "--json")

    assert loud.err == "pipeline: duplicate symbols ignored: AAPL\n"
    assert quiet.err == ""
    assert loud.json["symbols"] == 1


@pytest.mark.parametrize(
    "command", ["health", "runs", "history", "as-of", "changes", "vintages", "export", "backup", "import"]
)
def test_a_command_that_is_not_about_the_configuration_prints_no_notices_of_it(
    folder: Path, stored: Path, configure: Callable[[str], object], command: str
) -> None:
    configure('[symbols]\nlist = ["aapl", "AAPL"]')
    (folder / ".env").write_text("no assignment\n")
    (folder / "x.jsonl").touch()
    shutil.copy(stored, folder / "overviews.db")

    ended = call(
        folder, command, *NEEDED.get(command, []), PIPELINE_DATABASE="overviews.db", PIPELINE_SYMBOLS__LITS="x"
    )

    assert "duplicate" not in ended.err
    assert ".env" not in ended.err
    assert "PIPELINE_SYMBOLS__LITS" not in ended.err
    assert ended.code in (ExitCode.DONE, ExitCode.STALE)


@needs_recordings
def test_the_number_of_symbols_in_a_listing_is_printed(folder: Path) -> None:
    ended = call(folder, "plan", "--json", PIPELINE_SYMBOLS__FILE=str(RECORDINGS / "listing_status_active.csv"))

    assert ended.json["symbols"] > 8_000
    assert re.search(r"[89],\d{3} active stocks taken from the csv", ended.err)


@pytest.mark.parametrize(
    "arguments", [["config"], ["config", "--json"], ["doctor"], ["doctor", "--json"], ["-vv", "plan"]]
)
def test_the_key_is_never_shown(folder: Path, arguments: list[str]) -> None:
    (folder / "key").write_text(f"{KEY}\n")

    for variables in ({"ALPHAVANTAGE_API_KEY": KEY}, {"ALPHAVANTAGE_API_KEY_FILE": "key"}):
        ended = call(folder, *arguments, **variables)

        assert KEY not in ended.out + ended.err
