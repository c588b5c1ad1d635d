"""Entries: the kinds of the fleet's log, as rows of PostgreSQL and as values. What `schema/log.sql` writes."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from pipeline.decoding import decode_object, decoder
from pipeline.errors import ExitCode, Undecodable
from pipeline.fleet.connection import FleetError
from pipeline.instants import from_text
from pipeline.json_text import encode_json, is_spelled, sorted_json
from pipeline.model.document import Document
from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol
from pipeline.text import quoted


class Answer(msgspec.Struct, frozen=True):
    """An overview that the API sent in a run."""

    at: datetime
    symbol: Symbol
    run: int | None
    """None: of an imported record, which had no run for it."""
    attempts: int
    is_new: bool
    """Whether it differed from the one before in the log."""
    document: Document


class Uncovered(msgspec.Struct, frozen=True):
    """The API does not cover the symbol."""

    at: datetime
    symbol: Symbol
    run: int | None
    attempts: int
    detail: str | None


class Ended(msgspec.Struct, frozen=True):
    """How a symbol ended in a run for which the API had no answer."""

    at: datetime
    symbol: Symbol
    run: int
    attempts: int
    outcome: Outcome
    detail: str | None


_Count = Annotated[int, Meta(ge=0, le=2**53)]


class RunState(msgspec.Struct, frozen=True):
    """A run, as it was when it began, ended or was missed. Instants are text, as records have them."""

    trigger: str
    status: str
    schedule: str | None
    scheduled_for: str | None
    started_at: str | None
    finished_at: str | None
    symbols: _Count
    due: _Count
    stored: _Count
    unchanged: _Count
    unknown: _Count
    failed: _Count
    rejected: _Count
    deferred: _Count
    requests: _Count
    seconds: float | None
    detail: str | None
    uncovered: _Count
    id: int = 0


class Schedules(msgspec.Struct, frozen=True):
    """The schedules in force, and since when each is, as text."""

    since: Mapping[str, str]


class Listed(msgspec.Struct, frozen=True):
    """The symbols that the fleet's configuration lists from an instant on."""

    at: datetime
    symbols: Sequence[Symbol]


class WasListed(msgspec.Struct, frozen=True):
    """When symbols were in the list of an imported record: each a symbol, since, configuration, and until or None."""

    intervals: Sequence[tuple[Symbol, str, str, str | None]]


Entry: TypeAlias = Answer | Uncovered | Ended | RunState | Schedules | Listed | WasListed


class LogError(FleetError):
    """The fleet's log does not hold what it should."""


class UnknownKind(LogError):
    """A newer program wrote an entry of a kind that this one does not know."""

    exit_code = ExitCode.REFUSED


class _Outcome(msgspec.Struct):
    outcome: Outcome
    detail: str | None


class _Lists(msgspec.Struct, omit_defaults=True):
    symbols: list[Symbol] | None = None
    intervals: list[tuple[Symbol, str, str, str | None]] | None = None


_outcome, _run, _schedules, _lists = decoder(_Outcome), decoder(RunState), decoder(dict[str, str]), decoder(_Lists)
Row: TypeAlias = tuple[int, str, datetime, str | None, int | None, int | None, bool, str | None]
"""Of the log: seq, kind, at, symbol, run, attempts, whether same_as is NULL, and the body or that of same_as."""


def decode(row: Row) -> Entry:
    """Return the entry of a row. Raise LogError, which names it, if it cannot be read."""
    seq, kind, at, symbol, run, attempts, is_new, body = row
    try:
        match kind:
            case "answer":
                return Answer(at, Symbol(symbol or ""), run, attempts or 0, is_new, decode_object(body or ""))
            case "uncovered":
                return Uncovered(at, Symbol(symbol or ""), run, attempts or 0, body)
            case "outcome":
                ended = _outcome(body or "")
                return Ended(at, Symbol(symbol or ""), run or 0, attempts or 0, ended.outcome, ended.detail)
            case "run":
                state = _run(body or "")
                _check_instants(state.scheduled_for, state.started_at, state.finished_at)
                return msgspec.structs.replace(state, id=run or 0)
            case "schedules":
                since = _schedules(body or "")
                _check_instants(*since.values())
                return Schedules(since)
            case "symbols":
                return _listed(at, _lists(body or ""))
    except Undecodable as error:
        raise LogError(f"entry {seq:,} of the fleet's log ({kind}): {error}") from None
    raise UnknownKind(
        f"entry {seq:,} of the fleet's log has the unknown kind {quoted(kind)}",
        remedy="install the version that the fleet's other machines have",
    )


def _listed(at: datetime, lists: _Lists) -> Listed | WasListed:
    if lists.intervals is None:
        return Listed(at, lists.symbols or ())
    _check_instants(*(one for _, since, _, until in lists.intervals for one in (since, until)))
    return WasListed(lists.intervals)


def _check_instants(*texts: str | None) -> None:
    """Raise Undecodable for a text that is not an instant: no reader of the record could use it."""
    for text in texts:
        if text is not None:
            from_text(text)


def document_text(document: Document) -> str:
    """Return a document as an entry has it: its keys in their order."""
    return encode_json(document).decode()


def document_digest(document: Document) -> bytes:
    """Return 16 bytes that are the same for documents that have the same keys and values, in any order."""
    text = sorted_json(document) if is_spelled(document) else json.dumps(document, sort_keys=True)
    return blake2b(text.encode(), digest_size=16).digest()


def list_text(symbols: Sequence[Symbol]) -> str:
    """Return the body of an entry with the configured symbols."""
    return msgspec.json.encode(_Lists(symbols=sorted(set(symbols)))).decode()


def intervals_text(intervals: Sequence[tuple[Symbol, str, str, str | None]]) -> str:
    """Return the body of an entry with when symbols were listed."""
    return msgspec.json.encode(_Lists(intervals=list(intervals))).decode()


def list_digest(symbols: Sequence[Symbol]) -> bytes:
    """Return what tells lists apart: their symbols, in any order."""
    return blake2b(" ".join(sorted(set(symbols))).encode(), digest_size=16).digest()
