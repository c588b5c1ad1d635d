"""Secrecy: the key reaches no output, wherever it was put by mistake, and whatever the API echoes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import KEY, call, pipeline, run_shell
from tests.support.hostile import hostile, says

LISTED = '[symbols]\nlist = ["AAPL"]\n'
MISPLACED = {
    "base_url": LISTED + '[source]\nbase_url = "{}"',
    "base_url with it as a parameter": LISTED + '[source]\nbase_url = "https://x.example/query?apikey={}"',
    "base_url with it in the path": LISTED + '[source]\nbase_url = "https://x.example/{}/query"',
    "base_url as a list": LISTED + '[source]\nbase_url = ["{}"]',
    "plan": LISTED + '[source]\nplan = "{}"',
    "limits": LISTED + '[source]\nlimits = ["{}"]',
    "cron": LISTED + '[schedule]\ncron = "{}"',
    "timezone": LISTED + '[schedule]\ntimezone = "{}"',
    "listen": LISTED + '[status]\nlisten = "{}"',
    "attempts": LISTED + '[collect]\nattempts = "{}"',
    "a key's name": LISTED + '{} = "x"',
    "a key's name, twice": '{0} = "x"\n{0} = "y"',
    "a table's name": LISTED + '[{}]\nx = "y"',
    "a table's name, twice": "[{0}]\n[{0}]",
    "a key's table": LISTED + '[[keys]]\nname = "main"\nkey = "{}"',
    "a key's name in the configuration": LISTED + '[[keys]]\nname = "{}"',
    "a key's plan": LISTED + '[[fleet.keys]]\nname = "main"\nplan = "{}"',
    "a member's name": LISTED + '[fleet]\nname = "{}"',
    "a fleet's url": LISTED + '[fleet]\nurl = "postgresql://me:{}@db/fleet"',
    "a symbol": '[symbols]\nlist = ["AAPL", "{}"]',
    "an invalid symbol": '[symbols]\nlist = ["AAPL", "my {}"]',
    "the name of a symbol file": '[symbols]\nfile = "{}"',
    "a line of a symbol file": '[symbols]\nfile = "symbols.txt"',
}
VARIABLES = [
    "PIPELINE_CONFIG",
    "PIPELINE_SOURCE__PLAN",
    "PIPELINE_SOURCE__BASE_URL",
    "PIPELINE_PING_URL",
    "PIPELINE_WEB_TOKEN",
    "PIPELINE_NOTIFY_URLS",
    "PIPELINE_SOURCE__{}",
    "PIPELINE_FLEET_URL",
    "PIPELINE_FLEET_URL_FILE",
    "PIPELINE_FLEET__URL",
    "PIPELINE_FLEET__NAME",
    "ALPHAVANTAGE_API_KEY_MAIN",
    "ALPHAVANTAGE_API_KEY_{}",
    "ALPHAVANTAGE_API_KEY_MAIN_FILE",
    "ALPHAVANTAGE_API_KEY_FILE",
]
COMMANDS = [["plan"], ["config"], ["config", "--json"], ["doctor"], ["doctor", "--json"], ["symbols"]]
"""Commands that send no request, whatever is configured."""


@pytest.mark.parametrize("key", [KEY, KEY.lower()])
@pytest.mark.parametrize("is_configured", [True, False])
@pytest.mark.parametrize("place", MISPLACED)
def test_a_key_in_the_wrong_place_of_the_configuration_is_not_repeated(
    folder: Path, configure: Callable[[str], object], place: str, key: str, *, is_configured: bool
) -> None:
    configure(MISPLACED[place].format(key))
    (folder / "config" / "symbols.txt").write_text(f"AAPL\nmy {key}\n")

    for command in COMMANDS:
        assert_silent(folder, command, {"ALPHAVANTAGE_API_KEY": KEY} if is_configured else {})


def assert_silent(folder: Path, command: list[str], variables: dict[str, str]) -> None:
    ended = call(folder, *command, **variables)
    assert KEY[3:11] not in (ended.out + ended.err).upper(), command


@pytest.mark.parametrize("key", [KEY, KEY.lower()])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_key_in_the_wrong_variable_is_not_repeated(folder: Path, variable: str, key: str) -> None:
    for command in (["collect"], *COMMANDS):
        assert_silent(folder, command, {variable.format(KEY): key})


@pytest.mark.parametrize("place", ["keys", "fleet.keys"])
def test_named_keys_and_the_password_of_the_fleets_database_are_not_repeated(
    folder: Path, configure: Callable[[str], object], place: str
) -> None:
    """Neither where they belong nor where one is in the place of another."""
    configure(f'{LISTED}[[{place}]]\nname = "main"\n[[{place}]]\nname = "second"\n')
    url = f"postgresql://me:{KEY}@db.example/fleet"
    secrets: list[dict[str, str]] = [
        {"ALPHAVANTAGE_API_KEY_MAIN": KEY, "ALPHAVANTAGE_API_KEY_SECOND": KEY, "PIPELINE_FLEET_URL": url},
        {"ALPHAVANTAGE_API_KEY_MAIN": KEY, "ALPHAVANTAGE_API_KEY_SECOND": f"{KEY} x"},
        {"ALPHAVANTAGE_API_KEY_MAIN": url, "PIPELINE_FLEET_URL": KEY, "PIPELINE_PING_URL": url},
    ]

    for variables in secrets:
        for command in COMMANDS:
            assert_silent(folder, command, variables)


@pytest.mark.parametrize("dotenv", ["{} x", "ALPHAVANTAGE_API_KEY {}", "ALPHAVANTAGE_API_KEY='{}", "{}=x"])
def test_a_key_in_a_broken_line_of_dotenv_is_not_repeated(folder: Path, dotenv: str) -> None:
    (folder / ".env").write_text(dotenv.format(KEY))

    for command in (["collect"], *COMMANDS):
        assert_silent(folder, command, {})


@pytest.mark.parametrize(
    "command",
    [
        ["{}"],
        ["collect", "{}"],
        ["collect", "--apikey={}"],
        ["collect", "--wait", "{}"],
        ["history", "my {}"],
        ["as-of", "{}"],
        ["status", "--config", "{}"],
        ["export", "--output", "/{}/x.csv"],
    ],
)
def test_a_key_on_the_command_line_is_not_repeated(folder: Path, command: list[str]) -> None:
    assert_silent(folder, [word.format(KEY) for word in command], {"ALPHAVANTAGE_API_KEY": KEY})
    assert_silent(folder, [word.format(KEY.lower()) for word in command], {"ALPHAVANTAGE_API_KEY": KEY})


@pytest.mark.process
def test_the_traceback_of_a_bug_does_not_contain_the_key(folder: Path) -> None:
    bug = "import pipeline.cli.app as app; app._run = lambda: int('apikey=' + app.os.environ['ALPHAVANTAGE_API_KEY'])"

    ended = run_shell(folder, f'"$PYTHON" -c "{bug}; app.main()"')

    assert ended.code == 1
    assert ended.err.startswith("Traceback")
    assert ended.err.endswith("'apikey=***'\n")
    assert KEY not in ended.err


@pytest.mark.parametrize("echo", [KEY, KEY.lower(), KEY[2:13], "%53" + KEY[1:], "&#83;" + KEY[1:]])
def test_no_import_stores_the_key_that_is_configured(folder: Path, echo: str) -> None:
    lines = [
        {"symbol": "A", "observed_at": "2026-03-14T18:30:00Z", "document": {"Symbol": "A", "Name": f"it is {echo}"}},
        {"symbol": "B", "observed_at": "2026-03-14T18:30:00Z", "body": json.dumps({"Symbol": "B", echo: "x"})},
        {"symbol": "C", "observed_at": "2026-03-14T18:30:00Z", "body": json.dumps({"Note": f"Invalid {echo}"})},
        {"symbol": "D", "observed_at": "2026-03-14T18:30:00Z", "document": {"Symbol": "D"}},
    ]
    (folder / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))

    ended = call(folder, "import", "x.jsonl", "-v", "--json", "--database", "new.db", ALPHAVANTAGE_API_KEY=KEY)
    export = call(folder, "export", "--original", "--output", "out.jsonl", "--database", "new.db")

    assert (ended.json["stored"], ended.json["rejected"], export.code) == (1, 3, 0), ended.err
    left = [path.read_bytes().decode(errors="replace") for path in folder.iterdir() if path.is_file()]
    left = [text for text in [*left, ended.out, ended.err] if not text.startswith('{"symbol": "A"')]
    assert not any(part in text.upper() for text in left for part in (KEY[2:10], KEY[5:13]))


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


ECHOES = [
    KEY,
    KEY.lower(),
    escaped(KEY),
    escaped(KEY[0]) + KEY[1:],
    KEY[:12],
    KEY[4:],
    "%53" + KEY[1:],
    "&#83;" + KEY[1:],
]
ANSWERS = [
    '{{"Symbol": "{symbol}", "Name": "{echo}"}}',
    '{{"Symbol": "{symbol}", "{echo}": "x"}}',
    '{{"Symbol": "{echo}"}}',
    '{{"Information": "Invalid API call: {echo}"}}',
    '{{"odd": "{echo}"}}',
    "<html>{echo}</html>",
]
LAST = '{{"Information": "We know {echo}: the parameter apikey is invalid or missing"}}'


@pytest.mark.process
async def test_whatever_the_api_echoes_nothing_that_leaves_contains_the_key(tmp_path: Path) -> None:
    """Overviews and refusals that echo the key in every way, each followed by an overview that does not."""
    answers = [answer.replace("{echo}", echo) for answer in ANSWERS for echo in ECHOES]
    symbols = [f"Q{number:03}" for number in range(2 * len(answers))] + ["QLAST"]

    async def echo(writer: asyncio.StreamWriter) -> None:
        symbol = server.requests[-1].partition("symbol=")[2].partition("&")[0]
        number = symbols.index(symbol)
        answer = answers[number // 2] if number % 2 and number < 2 * len(answers) else '{{"Symbol": "{symbol}"}}'
        answer = LAST.replace("{echo}", escaped(KEY)) if symbol == "QLAST" else answer
        await says(answer.format(symbol=symbol).encode())(writer)

    async with hostile(echo) as (server, base_url):
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "pipeline.toml").write_text(
            f'database = "a.db"\n[symbols]\nlist = {json.dumps(symbols)}\n'
            f'[source]\nbase_url = "{base_url}"\nlimits = []\nconcurrency = 1\n'
        )
        ended = await pipeline(tmp_path, "collect", "-vv")

    assert ended.code == ExitCode.REFUSED, ended.err
    assert len(server.requests) == len(symbols)
    left = [ended.out, ended.err]
    for command in (["runs", "1", "--json"], ["status"], ["export", "--original", "--output", "out.jsonl"], ["doctor"]):
        answered = call(tmp_path, *command, ALPHAVANTAGE_API_KEY=KEY)
        left += [answered.out, answered.err]
    left += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) > 10
    hidden = [KEY[:8], KEY[8:], KEY[4:12], escaped(KEY)[:24], "%53" + KEY[1:3], "&#83;"]
    assert [part for part in hidden for text in left if part.lower() in text.lower()] == []
