"""Logs: readable lines on a terminal, JSON lines elsewhere; timestamps in UTC, and never a secret."""

import errno
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.errors import LONGEST_LINE
from pipeline.redaction import NOTHING_SECRET, Redact
from pipeline.resources import exhausted
from pipeline.text import printable, without_middle


class _Stderr:
    """Writes to the current `sys.stderr`, which a progress bar may have replaced since start-up."""

    def write(self, text: str) -> int:
        with suppress(OSError):  # its reader is gone, or its disk is full: collecting continues
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(level: int, *, readable: bool, redact: Redact = NOTHING_SECRET) -> None:
    """Send log lines of this level and above to stderr, as text if `readable`, else as JSON.

    Nothing in the program logs a secret; the finished line is redacted all the same.
    """
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0) if readable else structlog.processors.JSONRenderer()
    )
    stream: Any = _Stderr()
    file: TextIO = stream
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _short(redact),
            _printable,
            renderer,
            _redacted(redact),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=file),
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard library: forward their warnings.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


def log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log what ends the process: a hook for `sys.excepthook`."""
    if (problem := exhausted(error)) is not None:
        structlog.get_logger().critical(str(problem))
        return
    structlog.get_logger().critical("crashed", exc_info=(kind, error, traceback))


_REPEATED_AFTER_SECONDS = 60
_MOST_REPEATED = 500
"""Different lines that are remembered at most."""


class _Forward(logging.Handler):
    """Forwards records of the standard library's logging to structlog, without texts that came from outside.

    Of equal ones, one a minute: a library that cannot accept a connection logs thousands of them a second. The next one
    says how many were left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, ...], tuple[float, int]] = {}
        """When each line was last forwarded, and how many were left out since."""

    def emit(self, record: logging.LogRecord) -> None:
        error = _harmless_message(record) if not record.exc_info else _class_and_number(record.exc_info[1])
        name = (record.levelname, record.name, str(record.msg) if not record.exc_info else error)
        at, omitted = self._last.get(name, (float("-inf"), 0))
        if 0 <= record.created - at < _REPEATED_AFTER_SECONDS:
            self._last[name] = (at, omitted + 1)
            return
        if len(self._last) >= _MOST_REPEATED:
            self._last.clear()
        self._last[name] = (record.created, 0)
        structlog.get_logger().log(
            record.levelno,
            f"library {record.levelname.lower()}",
            library=record.name,
            error=error,
            **({"repeated": omitted} if omitted else {}),
        )


class _StandIn:
    """Stands in a message for what it was to name, as `%s` or `%r`."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _harmless_message(record: logging.LogRecord) -> str:
    """Return a record's message: of exceptions it names the class, of other objects the type, and of texts nothing.

    A text, and what an object or an exception says, can contain a URL, and so the key or a password.
    """
    given = record.args
    try:
        if isinstance(given, Mapping):
            return str(record.msg) % {name: _stand_in(value) for name, value in given.items()}
        return str(record.msg) % tuple(map(_stand_in, given)) if given else str(record.msg)
    except (TypeError, ValueError, KeyError):  # the library's mistake
        return str(record.msg)


def _stand_in(value: object) -> object:
    match value:
        case bool() | int() | float() | None:
            return value
        case str() | bytes():
            return _StandIn("...")
        case BaseException():
            return _StandIn(_class_and_number(value))
    return _StandIn(type(value).__name__)


def _class_and_number(error: BaseException | None) -> str:
    """Return an exception's class, and the name of the system's error if it is one: `OSError (EMFILE)`."""
    number = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return type(error).__name__ + (f" ({number})" if number else "")


def _short(redact: Redact) -> Processor:
    """Return what leaves out the middle of long texts that an event has; secrets are hidden before one is cut apart."""

    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {
            name: without_middle(redact(value), LONGEST_LINE)
            if isinstance(value, str) and len(value) > LONGEST_LINE and name != "exception"
            else value
            for name, value in event.items()
        }

    return processor


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters: text from a server must not move a terminal's cursor or forge a log line."""
    return {
        name: printable(value, kept="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


def _redacted(redact: Redact) -> Processor:
    """Return the last processor: it hides the secrets in the finished line."""
    return lambda _logger, _method, line: redact(str(line))
