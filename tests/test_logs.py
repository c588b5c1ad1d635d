"""Logs: JSON lines or readable ones, in UTC, and never with a secret."""

import errno
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
import structlog

from pipeline import logs
from pipeline.redaction import Redaction

KEY = "S3CR3T/K+Y=%\"\\'&~"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the logging of the process as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_line_is_json_with_its_level_event_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, readable=False)

    structlog.get_logger().bind(run=7).warning("no overview", symbol="AAPL", detail=None)

    line = json.loads(logged(capsys))
    assert line.pop("timestamp")
    assert line == {"event": "no overview", "level": "warning", "run": 7, "symbol": "AAPL", "detail": None}


def test_instants_are_utc(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, readable=False)

    structlog.get_logger().info("run started")

    stamp = json.loads(logged(capsys))["timestamp"]
    assert stamp.endswith("Z")
    assert datetime.fromisoformat(stamp).utcoffset() == timedelta()


def test_lines_below_the_level_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.WARNING, readable=False)

    structlog.get_logger().info("run started")

    assert logged(capsys) == ""


def test_a_readable_line_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, readable=True)

    structlog.get_logger().info("run started", symbols=5)

    line = logged(capsys)
    assert "run started" in line
    assert "symbols=5" in line
    assert line.removesuffix("\n").isprintable()


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY),
        quote_plus(KEY),
        quote(KEY, safe="").lower().replace("s3cr3t", "S3CR3T").replace("k%2by", "K%2bY"),
        quote(KEY, safe="/+=&'~"),
    ],
)
def test_the_key_is_replaced_in_any_encoding(
    capsys: pytest.CaptureFixture[str], spelling: str, *, readable: bool
) -> None:
    logs.configure(logging.INFO, readable=readable, redact=Redaction([KEY]))

    structlog.get_logger().info(f"GET /query?apikey={spelling}&x=1", url=f"https://x/?apikey={spelling}")

    line = logged(capsys)
    assert "***" in line
    assert "S3CR3T" not in line


def test_the_key_is_replaced_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, readable=False, redact=Redaction([KEY]))

    try:
        int(f"url={KEY}")
    except ValueError:
        structlog.get_logger().exception("run failed")

    line = logged(capsys)
    assert "Traceback" in json.loads(line)["exception"]
    assert "S3CR3T" not in line


@pytest.mark.parametrize("readable", [True, False])
def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str], *, readable: bool) -> None:
    logs.configure(logging.INFO, readable=readable)

    structlog.get_logger().warning(
        "no overview\x1b[2J\nforged", detail="a\x1b[31m\x9b\u202e\r\nlevel=error event=forged"
    )

    out = logged(capsys)
    assert out.count("\n") == 1
    assert out.removesuffix("\n").isprintable()


@pytest.mark.parametrize("readable", [True, False])
def test_a_warning_of_a_library_names_it_and_its_error_only(
    capsys: pytest.CaptureFixture[str], *, readable: bool
) -> None:
    logs.configure(logging.INFO, readable=readable, redact=Redaction([KEY]))

    try:
        int(f"https://x/?apikey={KEY}")
    except ValueError:
        logging.getLogger("some.library").exception("could not fetch")

    out = logged(capsys)
    assert "some.library" in out
    assert "ValueError" in out
    assert "S3CR3T" not in out
    assert "https" not in out


@pytest.mark.parametrize(
    ("message", "values", "expected"),
    [
        ("query cancellation failed: %s", (TimeoutError(KEY),), "query cancellation failed: TimeoutError"),
        ("connecting %r: %s", (KEY, OSError(errno.ENOBUFS, KEY)), "connecting ...: OSError (ENOBUFS)"),
        ("lost %s after %.1f s, %d times", (Redaction([KEY]), 2.25, 3), "lost Redaction after 2.2 s, 3 times"),
        ("lost %(what)s", ({"what": KEY},), "lost ..."),
        ("%d of %s", (KEY, KEY), "%d of %s"),
        ("100%", (), "100%"),
    ],
)
def test_a_librarys_line_says_what_kind_of_thing_it_names_and_nothing_that_came_from_outside(
    capsys: pytest.CaptureFixture[str], message: str, values: tuple[object, ...], expected: str
) -> None:
    logs.configure(logging.INFO, readable=False)

    logging.getLogger("a.library").warning(message, *values)

    assert json.loads(logged(capsys))["error"] == expected


def test_what_a_library_logs_below_warning_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.DEBUG, readable=False)

    logging.getLogger("some.library").info("by the way")

    assert logged(capsys) == ""


@pytest.mark.parametrize(("level", "event"), [(logging.WARNING, "library warning"), (logging.ERROR, "library error")])
def test_a_librarys_line_is_named_after_its_level(capsys: pytest.CaptureFixture[str], level: int, event: str) -> None:
    logs.configure(logging.INFO, readable=False)

    logging.getLogger("a.library").log(level, "text")

    line = json.loads(logged(capsys))
    assert (line["event"], line["level"]) == (event, logging.getLevelName(level).lower())


def test_what_ends_the_process_is_one_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.ERROR, readable=False, redact=Redaction([KEY]))

    with pytest.raises(ValueError, match="=") as caught:
        int(KEY)
    logs.log_uncaught(caught.type, caught.value, caught.tb)

    line = json.loads(logged(capsys))
    assert (line["event"], line["level"]) == ("crashed", "critical")
    assert "ValueError: " in line["exception"]
    assert "S3CR3T" not in str(line)
    assert "test_logs.py" in line["exception"]


def test_equal_lines_of_a_library_are_logged_once_a_minute_with_how_many_were_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(logging.INFO, readable=False)
    (handler,) = logging.getLogger().handlers

    def log(text: str, seconds: float, error: OSError | None = None) -> None:
        exc_info = None if error is None else (type(error), error, None)
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, text, None, exc_info)
        record.created = seconds
        handler.handle(record)

    for second in (0, 1, 2, 59.9):
        log("out of descriptors", second)
    log("something else", 3)
    for number in (errno.EMFILE, errno.EMFILE, errno.ENOBUFS):
        log("accept failed", 4, OSError(number, "cannot accept"))
    log("out of descriptors", 60)
    log("out of descriptors", 30)  # the clock was set back

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["error"], line.get("repeated")) for line in lines] == [
        ("out of descriptors", None),
        ("something else", None),
        ("OSError (EMFILE)", None),
        ("OSError (ENOBUFS)", None),
        ("out of descriptors", 3),
        ("out of descriptors", None),
    ]
