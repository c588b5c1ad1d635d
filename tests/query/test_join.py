"""Join: each row of a table with what `as_of` says of its symbol at its instant, however it is read."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.instants import of_day, to_text
from pipeline.model.fields import CATALOGUE, find_fields
from pipeline.query.history import History
from pipeline.query.join import JoinError, Joining, joined_rows
from pipeline.query.known import Known, longest
from tests.support.clocks import START
from tests.support.observations import HOUR, Observed, after, database_of, recorded_database, seen
from tests.support.point_in_time import (
    AROUND,
    ASKED,
    CONFIRMED,
    LIMITS,
    MILLISECOND,
    OBSERVATIONS,
    SPANS,
    SYMBOLS,
    both_ways,
    expected,
)
from tests.support.recordings import needs_recordings
from tests.support.renames import configure, rename

pa = pytest.importorskip("pyarrow")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CODED_NULL = pa.DictionaryArray.from_arrays([0, 1], pa.array(["2026-03-14", None]))
FIELDS = ["pe_ratio", "name", "ebitda"]
ROWS = st.lists(st.tuples(st.sampled_from([*SYMBOLS, "a", "c-d", "UNKNOWN"]), ASKED), max_size=12)
"""Unsorted, with equal ones, symbols in lower case, and one that is unknown."""


def joined(history: History, rows: Any, fields: Any = FIELDS, **options: Any) -> list[tuple[Any, ...]]:
    """Return what a join adds to rows of symbols and instants, having checked that rows give the same as columns."""
    table = {
        "symbol": pa.array([symbol for symbol, _ in rows], pa.string()),
        "time": pa.array([at for _, at in rows], pa.timestamp("us", "UTC")),
    }
    found = history.join(table, fields, **options).to_arrow()
    assert found.select(["symbol", "time"]) == pa.table(table)
    columns = [column.to_pylist() for column in found.columns[2:]]
    added = [tuple(map(_as_stored, row)) for row in zip(*columns, strict=True)]
    by_rows = Joining(
        Known(history._db, find_fields(fields, ())),
        lag=options.get("lag", timedelta(0)),
        longest=longest(options.get("max_staleness")),
    )
    assert joined_rows(by_rows, rows) == added
    return added


def _as_stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value)
    return value.isoformat() if isinstance(value, date) else value


@given(observations=OBSERVATIONS, rows=ROWS, lag=SPANS, limit=LIMITS, data=st.data())
def test_each_row_has_what_as_of_says_less_the_lag(
    observations: Any, rows: Any, lag: timedelta, limit: timedelta | None, data: st.DataObject
) -> None:
    """With imports that come late, in any order."""
    filled = data.draw(st.permutations(observations))
    cut = data.draw(st.integers(0, len(filled)))
    with History.open(database_of(filled[:cut], filled[cut:])) as history:
        assert both_ways(lambda: joined(history, rows, lag=lag, max_staleness=limit)) == [
            expected(history, symbol, at, FIELDS, lag=lag, max_staleness=limit) for symbol, at in rows
        ]


def test_what_was_confirmed_later_was_last_seen_before() -> None:
    rows = [(symbol, at) for at in reversed(AROUND) for symbol in "ba"]
    with History.open(database_of(CONFIRMED)) as history:
        assert both_ways(lambda: joined(history, rows, ["pe_ratio"])) == [
            expected(history, symbol, at, ["pe_ratio"]) for symbol, at in rows
        ]


@given(observations=OBSERVATIONS, rows=ROWS, data=st.data())
def test_it_does_not_look_ahead(observations: Any, rows: Any, data: st.DataObject) -> None:
    """Whatever the future brings, in whatever order it is kept: each row is the same."""
    if not rows:
        return
    last = max(at for _, at in rows)
    past = [one for one in observations if one.at <= last and one.document]
    if not past:
        return
    with History.open(database_of(past)) as history:
        then = both_ways(lambda: joined(history, rows))
    with History.open(database_of(data.draw(st.permutations(observations)))) as history:
        assert both_ways(lambda: joined(history, rows)) == then


@given(observations=OBSERVATIONS, rows=ROWS, on=st.one_of(st.none(), ASKED))
def test_it_follows_a_company_over_its_changes_of_symbol(observations: Any, rows: Any, on: datetime | None) -> None:
    database = database_of(observations)
    configure(database, rename("A", "B", on))
    with History.open(database) as history:
        stored = history.symbols()
        for (symbol, at), found in zip(rows, both_ways(lambda: joined(history, rows)), strict=True):
            company = "B" if symbol.upper() == "A" else symbol.upper()
            said = [
                (*one.values.values(), to_text(one.observed_at), one.observed_symbol)
                for one in (history.as_of(at, company, FIELDS) if company in stored else ())
            ]
            assert [(*found[:4], found[5])] == (said or [(None,) * 5])


@example(
    observations=[Observed(symbol, START, {"Symbol": symbol, "PERatio": ratio}) for symbol, ratio in ("A1", "B2")],
    rows=[(symbol, START + hours * HOUR) for symbol in "AB" for hours in range(4)],
    on=(START + HOUR, START + 2 * HOUR),
    lag=timedelta(0),
    reused=True,
)
@given(observations=OBSERVATIONS, rows=ROWS, on=st.tuples(ASKED, ASKED), lag=SPANS, reused=st.booleans())
def test_a_symbol_that_two_companies_had_means_the_one_that_had_it_at_the_rows_instant(
    observations: Any, rows: Any, on: tuple[datetime, datetime], lag: timedelta, reused: bool
) -> None:
    """A became B, and B had become C-D before. A is another company's since then if it was reused."""
    given_up, taken = sorted(on)
    database = database_of(observations)
    configure(database, rename("B", "C-D", given_up), rename("A", "B", taken, reused=reused))
    with History.open(database) as history:
        answers = both_ways(lambda: joined(history, rows, ["pe_ratio"], lag=lag))
        for (symbol, at), found in zip(rows, answers, strict=True):
            company = symbol.upper()
            if company == "A" and (at < taken or not reused):
                company = "B"
            elif company == "B" and at < given_up:
                company = "C-D"
            assert found[:3] == expected(history, company, at, ["pe_ratio"], lag=lag)


@pytest.mark.parametrize("spelled", ["IBM", " ibm ", "$IBM", "NYSE:IBM", "IBM.US"])
def test_a_symbol_is_read_as_in_every_other_place(spelled: str) -> None:
    with History.open(database_of([seen(0, PERatio="20"), seen(0, "BRK-B", PERatio="9")])) as history:
        found = joined(history, [(spelled, after(1)), ("BRK.B", after(1)), ("IBN", after(1))], ["pe_ratio"])
    assert [pe_ratio for pe_ratio, *_ in found] == [20, 9, None]


@needs_recordings
def test_on_the_recorded_year_every_field_equals_as_of() -> None:
    """150 instants a symbol, some of them exactly when something was observed, or a millisecond before or after."""
    random = Random(7)
    names = [field.column for field in CATALOGUE[1:]]
    lag = timedelta(days=2, hours=3)
    with History.open(recorded_database()) as history:
        first = history.first_observed_at()
        assert first is not None
        instants = [first + timedelta(milliseconds=random.randrange(1 << 36)) for _ in range(120)]
        seen_at = [one.observed_at + lag for one in history.history("MSFT", ["eps"])]
        instants += [one + step * MILLISECOND for one in random.sample(seen_at, 10) for step in (-1, 0, 1)]
        said = {
            at: {row[0]: (*row[4:], row[1], row[3]) for row in history.as_of(at - lag, fields="all").rows()}
            for at in instants
        }
        rows = [(symbol.lower(), at) for at in instants for symbol in history.symbols()]
        random.shuffle(rows)
        nothing = (None,) * (len(names) + 2)
        assert joined(history, rows, "all", lag=lag) == [said[at].get(symbol.upper(), nothing) for symbol, at in rows]


# What a table may hold


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    observations = [seen(0, PERatio="10"), seen(30, PERatio="11", MarketCapitalization="9007199254740993")]
    with History.open(database_of(observations)) as opened:
        yield opened


def of_times(history: History, times: Any, **options: Any) -> list[Any]:
    table = pa.table({"symbol": pa.array(["IBM"] * len(times)), "time": times})
    found = history.join(table, ["pe_ratio"], **options).to_arrow()
    assert found.column("time").type == times.type
    return list(found.column("pe_ratio").to_pylist())


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_instants_of_every_unit_are_cut_to_milliseconds(history: History, unit: str) -> None:
    """A nanosecond before it was observed, it was not known, before 1970 too."""
    at = pa.array([after(0), after(0), datetime(1900, 1, 1, tzinfo=UTC)], pa.timestamp(unit, "UTC")).cast(pa.int64())
    earlier = pa.array([at[0].as_py() - 1, at[1].as_py(), at[2].as_py()])
    assert of_times(history, earlier.cast(pa.timestamp(unit, "UTC"))) == [None, 10, None]


def test_before_1970_instants_are_cut_to_earlier_milliseconds_too() -> None:
    """What is finer than a millisecond is cut towards 1970 by Arrow, which would be what was known later."""
    with History.open(database_of([seen((EPOCH - START) / HOUR, PERatio="10")])) as history:
        assert of_times(history, pa.array([-1, 0], pa.int64()).cast(pa.timestamp("ns", "UTC"))) == [None, 10]


def test_a_date_means_its_end_in_utc(history: History) -> None:
    days = [date(2026, 3, 13), date(2026, 3, 14), date(2026, 3, 16)]
    for times in (pa.array(days, pa.date32()), pa.array(days, pa.date64()), pa.array([str(day) for day in days])):
        assert of_times(history, times) == [None, 10, 11]
    found = history.join({"symbol": ["IBM"], "time": days[1:2]}, ["eps"]).to_arrow()
    end = of_day(days[1], ends=True) - after(0)
    assert found.column("staleness_hours").to_pylist() == [round(end / HOUR, 7)]


def test_texts_of_every_arrow_type_are_read(history: History) -> None:
    texts = pa.array(["2026-03-14T18:29:59.9999999Z", "2026-03-14 14:30:00-04:00", "2026-03-14T18:30Z"])
    kinds = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
    for kind in kinds:
        assert of_times(history, texts.cast(kind)) == [None, 10, 10]
        symbols = pa.array(["ibm", None, "nope"]).cast(kind)
        found = history.join({"symbol": symbols, "time": ["2026-03-15"] * 3}, ["pe_ratio"]).to_arrow()
        assert found.column("pe_ratio").to_pylist() == [10, None, None]


def test_a_null_may_be_in_the_dictionary(history: History) -> None:
    symbols = pa.DictionaryArray.from_arrays([0, 1], pa.array(["IBM", None]))
    given = pa.table({"symbol": symbols, "time": ["2026-03-15"] * 2})
    found = history.join(given, ["pe_ratio"]).to_arrow()
    assert found.column("pe_ratio").to_pylist() == [10, None]
    assert found.select(["symbol", "time"]).equals(given)


def test_times_without_an_offset_are_those_of_the_named_zone(history: History) -> None:
    wall = after(0).astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None)
    times = pa.array([wall - MILLISECOND, wall], pa.timestamp("ms"))
    assert of_times(history, times, timezone="America/New_York") == [None, 10]
    assert of_times(history, times, timezone=ZoneInfo("America/New_York")) == [None, 10]
    assert of_times(history, times.cast(pa.string()), timezone="America/New_York") == [None, 10]
    with pytest.raises(JoinError, match=r"row 1.*time zone.*timezone"):
        of_times(history, times)
    with pytest.raises(ValueError, match="Mars"):
        of_times(history, times, timezone="Mars/Olympus")
    skipped = pa.array([datetime(2026, 3, 8, 1), datetime(2026, 3, 8, 2, 30)], pa.timestamp("us"))
    with pytest.raises(JoinError, match=r"row 2.*skip"):
        of_times(history, skipped, timezone="America/New_York")


def test_a_time_that_clocks_show_twice_is_the_first(history: History) -> None:
    twice = pa.table({"symbol": ["IBM"], "time": pa.array([datetime(2026, 11, 1, 1, 30)], pa.timestamp("s"))})
    found = history.join(twice, ["eps"], timezone="America/New_York").to_arrow()
    staleness = datetime(2026, 11, 1, 5, 30, tzinfo=UTC) - after(30)
    assert found.column("staleness_hours").to_pylist() == [round(staleness / HOUR, 7)]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"ticker": ["IBM"], "time": ["2026-03-14"]}, ["'symbol'", "ticker", "symbol_column"]),
        ({"symbol": ["IBM"], "day": ["2026-03-14"]}, ["'time'", "day", "time_column"]),
        ({"symbol": ["IBM"] * 2, "time": ["2026-03-14", "14.3.2026"]}, ["row 2", "14.3.2026"]),
        ({"symbol": ["IBM"] * 2, "time": ["2026-03-14", None]}, ["row 2", "'time'"]),
        ({"symbol": ["IBM"] * 2, "time": ["2026-03-14", "2026-02-30"]}, ["row 2", "2026-02-30"]),
        ({"symbol": ["IBM"] * 2, "time": CODED_NULL}, ["row 2", "'time'"]),
        ({"symbol": ["IBM"], "time": pa.array([1], pa.int64()).view(pa.date64())}, ["date64"]),
        ({}, ["'symbol'", "none"]),
        ({"symbol": [1], "time": ["2026-03-14"]}, ["int64"]),
        ({"symbol": ["IBM"], "time": [20260314]}, ["int64"]),
        ({"symbol": ["IBM"], "time": ["2026-03-14"], "eps": [1], "observed_at": [1]}, ["eps, observed_at", "prefix"]),
        (5, ["no table"]),
    ],
)
def test_what_cannot_be_joined_is_refused_in_one_line(history: History, table: Any, words: list[str]) -> None:
    with pytest.raises(JoinError) as error:
        history.join(table, ["eps"])
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_an_instant_outside_of_all_years_is_refused(history: History) -> None:
    for value, unit in ((1 << 62, "us"), (-(1 << 62), "us"), (1 << 62, "s")):
        times = pa.array([after(0).timestamp().__int__(), value], pa.int64()).cast(pa.timestamp(unit, "UTC"))
        with pytest.raises(JoinError, match="row 2"):
            of_times(history, times)


@pytest.mark.parametrize(("year", "zone"), [(1, "Asia/Tokyo"), (9999, "America/New_York")])
def test_a_time_that_the_zone_moves_out_of_all_years_is_refused(history: History, year: int, zone: str) -> None:
    edge = datetime(1, 1, 1) if year == 1 else datetime(9999, 12, 31, 23)
    with pytest.raises(JoinError, match="row 2"):
        of_times(history, pa.array([datetime(2026, 3, 14), edge], pa.timestamp("s")), timezone=zone)


def test_thousands_of_companies_may_be_asked_about_in_all_years() -> None:
    """Their places, times the milliseconds between the first and the last year, are more than 64 bits hold."""
    numpy, merged = pytest.importorskip("numpy"), pytest.importorskip("pipeline.query.known_by_reading")
    places, times, place = numpy.array([0, 32_767]), numpy.array([5, 5]), numpy.array([32_767, 32_767])
    at = numpy.array([-62_135_596_800_000, 253_402_300_799_999])
    found, is_found = merged._newest(places, times, place, at)
    assert (found[is_found].tolist(), is_found.tolist()) == ([1], [False, True])


def test_a_lag_may_reach_back_before_all_time_and_not_ahead(history: History) -> None:
    rows = [("IBM", after(40))]
    assert joined(history, rows, ["pe_ratio"], lag=timedelta.max) == [(None, None, None)]
    with pytest.raises(ValueError, match="ahead"):
        joined(history, rows, lag=-MILLISECOND)


def test_a_prefix_keeps_names_apart(history: History) -> None:
    table = {"symbol": ["IBM"], "time": ["2026-03-15"], "eps": [5]}
    found = history.join(table, ["eps"], prefix="known_").to_arrow()
    assert found.column_names == ["symbol", "time", "eps", "known_eps", "known_observed_at", "known_staleness_hours"]
    assert found.column("eps").to_pylist() == [5]


def test_a_table_without_rows_has_the_columns(history: History) -> None:
    empty = pa.table(
        {"symbol": pa.array([], pa.string()), "time": pa.array([], pa.null()), "x": pa.array([], pa.int8())}
    )
    found = history.join(empty, ["eps", "name"]).to_arrow()
    assert found.num_rows == 0
    assert found.column_names == ["symbol", "time", "x", "eps", "name", "observed_at", "staleness_hours"]
    assert found.schema.field("x").type == pa.int8()


# Whose tables


def test_a_pandas_frame_comes_back_with_its_index_and_types(history: History) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "time": pandas.to_datetime(["2026-03-15T00:00Z", "2026-03-17T00:00Z"]),
            "symbol": ["ibm", "NOPE"],
            "n": [1, 2],
        },
        index=[7, 3],
    )
    found = history.join(frame, ["market_capitalization", "name"]).to_pandas()
    assert list(found.index) == [7, 3]
    assert found[["time", "symbol", "n"]].equals(frame)
    assert {name: str(found.dtypes[name]) for name in ("market_capitalization", "name", "observed_at")} == {
        "market_capitalization": "Int64", "name": "string", "observed_at": "datetime64[ms, UTC]",
    }  # fmt: skip


def test_polars_and_duckdb_take_part(history: History) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"symbol": ["IBM"], "time": [after(31)]})
    found = history.join(frame, ["market_capitalization", "name"])
    assert len(found) == 1
    assert found.to_polars()["market_capitalization"].to_list() == [9007199254740993]
    assert str(found.to_polars().schema["name"]) == "String"
    for kind in (polars.Categorical, polars.Enum(["IBM"])):
        coded = history.join(frame.with_columns(polars.col("symbol").cast(kind)), ["pe_ratio"]).to_polars()
        assert (coded.schema["symbol"], coded["pe_ratio"].to_list()) == (kind, [11])

    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql("SELECT 'IBM' AS symbol, DATE '2026-03-14' AS time")
    with duckdb.connect() as db:
        db.register("known", history.join(rows, ["pe_ratio"]))
        assert db.sql("SELECT pe_ratio FROM known").fetchall() == [(10,)]
