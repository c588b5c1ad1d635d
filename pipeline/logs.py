"""Logs: for people on a terminal, JSON lines elsewhere; in UTC, and never with the key."""

import logging
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.text import harmless


class _Stderr:
    """Whatever sys.stderr is when a line is written: a progress bar puts itself in between."""

    def write(self, text: str) -> int:
        with suppress(OSError):  # its reader is gone, or its disk is full: no reason to stop collecting
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(level: int, *, readable: bool, secrets: Iterable[str] = ()) -> None:
    """Send the program's log lines to stderr from this level on.

    Nothing in the program puts a secret into a line; the last step takes them out of it all the same.
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
            _printable,
            renderer,
            scrubber(secrets),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=file),
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard library; what they warn of is ours to tell too.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


class _Forward(logging.Handler):
    """Hands the standard library's records to structlog: the class of what went wrong, without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        # A library's message can hold a URL, and so the key: only where it comes from, and what it is.
        structlog.get_logger().log(
            record.levelno, "a library warns", library=record.name, error=error.__name__ if error else record.msg
        )


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters: what a server sent must not move a terminal's cursor, nor look like a line of ours."""
    return {
        name: harmless(value, kept="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


def scrubber(secrets: Iterable[str]) -> Processor:
    """Return the last step: it replaces each secret, however it is encoded, in the finished line."""
    hidden = sorted((secret for secret in secrets if secret), key=len, reverse=True)
    pattern = re.compile("|".join("".join(map(_spellings, secret)) for secret in hidden))

    def scrub(_logger: WrappedLogger, _method: str, line: Any) -> str:
        return pattern.sub("***", str(line)) if hidden else str(line)

    return scrub


def _spellings(character: str) -> str:
    """Return the pattern of a character as it is, percent-encoded, or escaped by JSON or repr."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    escape = r"\\*" if character in "\"'\\" else ""
    return f"(?:{escape}{re.escape(character)}|(?i:{encoded}))"
