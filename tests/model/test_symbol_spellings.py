"""Symbol spellings: those of other programs are read as the API's, and what the API may know itself stays."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.symbol_spellings import Change, Reading, notes_on, read_symbol
from pipeline.model.symbols import Symbol, parse_symbol, requested_as
from tests.support.recordings import RECORDINGS, needs_recordings


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("NASDAQ:AAPL", "AAPL"),
        ("nyse:brk.b", "BRK.B"),
        ("NYSEARCA:SPY", "SPY"),
        ("AAPL.US", "AAPL"),
        ("AAPL:US", "AAPL"),
        ("BRK-B.US", "BRK-B"),
        ("$AAPL", "AAPL"),
        ("$NASDAQ:AAPL", "AAPL"),
    ],
)
def test_exchanges_of_the_usa_and_dollar_signs_are_left_out_with_a_note(text: str, symbol: str) -> None:
    reading = read_symbol(text)

    assert reading.symbol == symbol
    assert reading.changes
    assert f"{symbol} for {text}" in notes_on([reading])[0]


@pytest.mark.parametrize(
    "text",
    [
        "AAPL",
        "brk-b",
        "TSCO.LON",
        "SHOP.TRT",
        "600104.SHH",
        "M&M.BSE",
        "AGZ:BAT",
        "BC/PB",
        "VOD.L",
        "X.USA",
        "US",
        "-P-HIZ",
    ],
)
def test_what_the_api_may_know_stays_without_a_note(text: str) -> None:
    reading = read_symbol(text)

    assert reading == Reading(text, Symbol(text.upper()))
    assert notes_on([reading]) == []


def test_a_foreign_exchange_stays_with_a_note() -> None:
    reading = read_symbol("LON:TSCO")

    assert (reading.symbol, reading.changes) == ("LON:TSCO", (Change.FOREIGN,))
    assert "TSCO.LON" in notes_on([reading])[0]


@pytest.mark.parametrize(("symbol", "requested"), [("BRK.B", "BRK-B"), ("BF.A", "BF-A"), ("NYSE:BRK.B", "BRK-B")])
def test_a_class_share_with_a_dot_keeps_its_name_and_is_requested_as_the_api_writes_it(
    symbol: str, requested: str
) -> None:
    reading = read_symbol(symbol)

    assert reading.symbol == symbol.removeprefix("NYSE:")
    assert requested_as(reading.symbol) == requested
    assert notes_on([reading])[-1].endswith(f": {requested} for {reading.symbol}")


@pytest.mark.parametrize("symbol", ["BRK-B", "VOD.L", "TSCO.LON", "ABCDEF.A", "0700.A", "A.BC", "BRK.B.A"])
def test_what_may_be_no_class_share_is_requested_as_it_is(symbol: str) -> None:
    assert requested_as(parse_symbol(symbol)) == symbol


@pytest.mark.parametrize(
    "text", ["", "$", "$$A", "NASDAQ:", "NASDAQ:A B", "US0378331005", "NYSE:US0378331005", "A&", "^GSPC"]
)
def test_what_is_no_symbol_is_refused_as_it_was_written(text: str) -> None:
    with pytest.raises(ValueError, match="invalid symbol") as refused:
        read_symbol(text)
    assert repr(text) in str(refused.value)


def test_a_note_names_a_few_of_many_and_each_once() -> None:
    (note,) = notes_on([read_symbol(f"NYSE:A{number // 2}") for number in range(20)])

    assert note.endswith("A0 for NYSE:A0, A1 for NYSE:A1, A2 for NYSE:A2, A3 for NYSE:A3 and 6 more")


@needs_recordings
def test_every_symbol_of_a_recorded_listing_stays_and_is_requested_as_it_is() -> None:
    with (RECORDINGS / "listing_status_active.csv").open() as listing:
        names = [row["symbol"] for row in csv.DictReader(listing) if " " not in row["symbol"]]
    assert len(names) > 13_000
    for name in names:
        assert read_symbol(name) == Reading(name, Symbol(name))
        assert requested_as(parse_symbol(name)) == name


@given(st.text(max_size=20) | st.from_regex(r"\$?(NYSE:)?[A-Z]{1,3}([.:-][A-Z]{1,3})?(\.US)?", fullmatch=True))
def test_any_text_is_a_valid_symbol_or_refused(text: str) -> None:
    try:
        reading = read_symbol(text)
    except ValueError:
        return
    assert parse_symbol(reading.symbol) == reading.symbol
    assert reading.text == text
    assert reading.changes or reading.symbol == text.upper()
