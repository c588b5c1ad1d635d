"""The types that a type checker sees: `make lint` checks these lines."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, assert_type

from pipeline import Answer, Change, History, PanelRow, Snapshot, Vintage
from tests.support.hard_record import hard_record


def test_the_public_api_is_typed() -> None:
    with History.open(hard_record()) as history:
        assert_type(history, History)
        answer = assert_type(history.as_of("now", fields="all"), Answer[Snapshot])
        assert_type(history.changes(), Answer[Change])
        assert_type(history.panel(), Answer[PanelRow])
        assert_type(history.vintages("IBM"), Answer[Vintage])
        assert_type(history.documents_as_of("now"), Iterator[dict[str, Any]])
        first = assert_type(next(iter(answer)), Snapshot)
        assert_type(first.observed_at, datetime)
        assert_type(first["eps"], str | int | float | date | None)
