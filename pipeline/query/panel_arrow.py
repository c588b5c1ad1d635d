"""Panels as Arrow tables, made without an object for each value. Needs the extra `parquet`."""

from collections.abc import Iterator
from itertools import chain

import pyarrow as pa

from pipeline.instants import to_text
from pipeline.query.arrow import schema_of
from pipeline.query.known import Known
from pipeline.query.known_arrow import in_order
from pipeline.query.panel import Panel, configured, panel_columns

_CELLS_AT_ONCE = 3_000_000
"""Companies times instants that are read at once: about 250 MB."""


def panel_tables(known: Known, panel: Panel) -> Iterator[pa.Table]:
    """Yield an empty table and those of the blocks of a panel, by instant and company."""
    schema = schema_of(panel_columns(known))
    yield schema.empty_table()
    names = pa.array(panel.companies, pa.string())
    for block in panel.blocks(_CELLS_AT_ONCE):
        instants = pa.array(block.instants, schema.field("at").type)
        asked = [panel.answered_at(at) for at in block.instants]
        texts = list(map(to_text, asked))
        runs = ((company, texts) for company in block.companies)
        of_cells = pa.array(asked, schema.field("at").type).cast(pa.int64()).take(_repeated(len(asked), len(names)))
        found = in_order(known, runs, of_cells, panel.longest).take(_turned(len(names), len(asked)))
        symbols = pa.DictionaryArray.from_arrays(_repeated(len(names), len(asked)), names)
        at = instants.take(_each_repeated(len(asked), len(names)))
        cells = pa.table([at, symbols, *found.columns], schema=schema)
        if panel.universe is not None:
            belongs = [configured(panel.universe, company, texts) for company in block.companies]
            cells = cells.filter(pa.array(chain.from_iterable(zip(*belongs, strict=True)), pa.bool_()))
        yield cells


def _repeated(length: int, times: int) -> pa.Array:
    """Return 0, 1, 2, …, and this some times."""
    return pa.array(list(range(length)) * times, pa.int32())


def _each_repeated(length: int, times: int) -> pa.Array:
    """Return 0 some times, 1 as often, and so on."""
    return pa.array([number for number in range(length) for _ in range(times)], pa.int32())


def _turned(companies: int, instants: int) -> pa.Array:
    """Return where the cells, which are by company and instant, stand by instant and company."""
    return pa.array(
        [place for at in range(instants) for place in range(at, companies * instants, instants)], pa.int32()
    )
