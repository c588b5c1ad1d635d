import json

import pytest

from pipeline.fleet.entries import LogError, Row, UnknownKind, decode, document_digest, document_text
from tests.support.clocks import START


@pytest.mark.parametrize("document", [{"Symbol": "A", "EPS": "1"}, {"B": [1, 1.5, None], "A": {"ü": 10**20}}])
def test_a_document_comes_back_as_it_was_with_its_keys_in_order(document: dict[str, object]) -> None:
    entry = decode((1, "answer", START, "A", 1, 1, True, document_text(document)))

    assert list(entry.document.items()) == list(document.items())  # type: ignore[union-attr]


def test_documents_with_equal_keys_and_values_have_one_digest() -> None:
    assert document_digest({"A": "1", "B": "2"}) == document_digest({"B": "2", "A": "1"})
    assert document_digest({"A": "1", "B": "2"}) != document_digest({"A": "2", "B": "1"})
    assert document_digest({"A": 1}) != document_digest({"A": 1.0})


@pytest.mark.parametrize("kind", ["answer", "outcome", "run", "schedules", "symbols"])
@pytest.mark.parametrize("body", [None, "{", "[]", '{"outcome": 1}'])
def test_an_entry_that_cannot_be_read_is_named(kind: str, body: str | None) -> None:
    row: Row = (1234, kind, START, "A", 1, 1, True, body)
    if (kind, body) in {("answer", '{"outcome": 1}'), ("symbols", '{"outcome": 1}')}:
        return  # an overview may have any keys, and lists may have keys that newer versions know
    with pytest.raises(LogError, match="entry 1,234 "):
        decode(row)


def test_an_entry_of_a_kind_that_a_newer_version_knows_is_refused() -> None:
    with pytest.raises(UnknownKind, match=r"install the version"):
        decode((5, "poem", START, None, None, None, True, None))


_RUN = {
    "trigger": "manual", "status": "complete", "schedule": None, "scheduled_for": None, "finished_at": None,
    "started_at": "2026-03-05T10:00:00.000Z", "symbols": 1, "due": 1, "stored": 1, "unchanged": 0, "unknown": 0,
    "failed": 0, "rejected": 0, "deferred": 0, "requests": 1, "seconds": 1.0, "detail": None, "uncovered": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *(("run", {**_RUN, name: wrong}) for name, wrong in (
            ("symbols", 10**30), ("stored", -1), ("started_at", "soon"), ("finished_at", "9999-99-99T99:99:99.999Z"),
        )),
        ("schedules", {"30 18 * * * UTC": "soon"}),
        ("symbols", {"intervals": [["IBM", "soon", "a.toml", None]]}),
        ("symbols", {"intervals": [["IBM", "2026-03-05T10:00:00.000Z", "a.toml", "later"]]}),
    ],
)  # fmt: skip
def test_what_no_record_could_hold_or_show_is_refused_before_it_is_written(kind: str, body: object) -> None:
    decode((1, "run", START, None, 1, None, True, json.dumps(_RUN)))
    with pytest.raises(LogError, match=f"entry 7 .*{kind}"):
        decode((7, kind, START, None, 1, None, True, json.dumps(body)))
