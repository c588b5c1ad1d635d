"""What was known of companies at many instants, as Arrow columns. Needs the extra `parquet`."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.fields import Kind
from pipeline.query.arrow import RAW_TYPES, schema_of, typed_array
from pipeline.query.known import Known, Way
from pipeline.query.known_by_reading import Found, Run, read_columns
from pipeline.query.known_by_seeking import seek_columns

_ROWS_AT_ONCE = {Way.ROWS: 8_192, Way.READING: 32_768, Way.SEEKING: 8_192}
"""Few enough to stay in the processor's cache."""
_MILLISECONDS = pa.timestamp("ms")


def known_columns(known: Known, symbols: pa.DictionaryArray, instants: pa.Array, longest: int | None) -> pa.Table:
    """Return what was known of symbols at instants, row by row: the fields, `observed_at` and `staleness_hours`.

    Symbols are in upper case, instants in milliseconds since 1970. All is null where nothing was known, or it was last
    seen more than `longest` milliseconds before.
    """
    by_name = pc.sort_indices(pc.sort_indices(symbols.dictionary))  # neighbours in the file are read after each other
    keys = pa.table({"symbol": by_name.take(symbols.indices), "at": instants})
    order = pc.sort_indices(keys, [("symbol", "ascending"), ("at", "ascending")])
    runs = _runs(symbols.take(order), instants.take(order))
    return in_order(known, runs, instants.take(order), longest).take(pc.sort_indices(order))


def in_order(known: Known, runs: Iterable[Run], instants: pa.Array, longest: int | None) -> pa.Table:
    """Return the same of companies, each with its instants as text, which ascend; `instants` are those of all."""
    parts = [schema_of(known.columns).empty_table()]
    begin = 0
    for way, some in groupby(runs, known.way):
        for piece in _pieces(some, _ROWS_AT_ONCE[way]):
            length = sum(len(texts) for _, texts in piece)
            of_piece = instants.slice(begin, length)
            match way:
                case Way.READING:
                    found = read_columns(known, piece, of_piece)
                case Way.SEEKING:
                    found = seek_columns(known, piece)
                case Way.ROWS:
                    found = _of_rows(known, piece)
            if known.companies.have_renames and way is not Way.ROWS:
                found = found._replace(values=[*found.values, _symbols(piece, found.first)])
            parts.append(_answered(known, found, of_piece, longest))
            begin += length
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _symbols(runs: Sequence[Run], first: pa.Array) -> pa.DictionaryArray:
    """Return the symbols of companies that always had one, where something was known."""
    places = pa.array([place for place, (_, texts) in enumerate(runs) for _ in texts], pa.int32())
    known = pc.if_else(first.is_valid(), places, pa.scalar(None, pa.int32()))
    return pa.DictionaryArray.from_arrays(known, pa.array([company for company, _ in runs], pa.string()))


def _pieces(runs: Iterable[Run], rows: int) -> Iterator[list[Run]]:
    """Yield runs in groups of at least `rows` instants each; the last may have fewer."""
    piece: list[Run] = []
    length = 0
    for run in runs:
        piece.append(run)
        length += len(run[1])
        if length >= rows:
            yield piece
            piece, length = [], 0
    if piece:
        yield piece


def _of_rows(known: Known, runs: Sequence[Run]) -> Found:
    """Return what was known of companies, by way of the rows."""
    rows = [row for company, texts in runs for row in known.rows(company, texts)]
    raw = [("first", pa.string()), ("seen", pa.string()), *((one.column, RAW_TYPES[one.kind]) for one in known.fields)]
    raw += [("symbol", pa.string())] if known.companies.have_renames else []
    first, seen, *values = pa.array(rows, pa.struct(raw)).flatten()
    kinds = [*(field.kind for field in known.fields), Kind.TEXT]
    first, seen = typed_array(first, Kind.INSTANT), typed_array(seen, Kind.INSTANT)
    return Found(first, seen.cast(pa.int64()), list(map(typed_array, values, kinds)))


def _runs(symbols: pa.DictionaryArray, instants: pa.Array) -> Iterator[tuple[str, list[str]]]:
    """Yield the companies of sorted symbols, each with its instants as text."""
    texts = as_stored(instants)
    names = symbols.dictionary.to_pylist()
    runs = pc.run_end_encode(symbols.indices)
    begin = 0
    for place, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield "" if place is None else names[place], texts.slice(begin, end - begin).to_pylist()
        begin = end


def as_stored(instants: pa.Array) -> pa.Array:
    """Return milliseconds since 1970 as the database's texts. (Arrow's own text of an instant in UTC is slow.)"""
    texts = instants.cast(_MILLISECONDS).cast(pa.string())
    return pc.binary_join_element_wise(pc.utf8_replace_slice(texts, 10, 11, "T"), "Z", "")


def _answered(known: Known, found: Found, instants: pa.Array, longest: int | None) -> pa.Table:
    """Return what was known in the columns of an answer."""
    staleness = pc.subtract(instants, found.seen)
    fields = len(known.fields)
    columns = [*found.values[:fields], found.first, _hours(staleness), *found.values[fields:]]
    if longest is not None:
        is_fresh = pc.less_equal(staleness, longest)
        columns = [pc.if_else(is_fresh, column, pa.scalar(None, column.type)) for column in columns]
    return pa.table(columns, schema=schema_of(known.columns))


def _hours(milliseconds: pa.Array) -> pa.Array:
    """Return milliseconds in hours with seven decimals, exactly as `query.snapshots.hours` rounds them."""
    tenth_microhours = pc.divide(pc.add(pc.multiply(milliseconds, 100), 18), 36)  # of a millisecond it is 100 / 36
    return pc.divide(tenth_microhours.cast(pa.float64()), 1e7)
