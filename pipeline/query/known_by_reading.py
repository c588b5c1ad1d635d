"""What was known of companies at instants that are many among their snapshots: these are read in order. Needs numpy.

The snapshots come as columns, and are merged with the instants by one search for all: no value becomes an object.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.fields import Kind
from pipeline.query.arrow import TYPES
from pipeline.query.known import Known
from pipeline.query.packed import packed, typed
from pipeline.query.results import columns_of
from pipeline.query.snapshots import joined, selected, whole

Integers = NDArray[np.int64]
Run = tuple[str, Sequence[str]]
"""A company, and instants as text, which ascend."""


class Found(NamedTuple):
    """What was known, row by row; null where nothing was."""

    first: pa.Array
    """When the snapshot was first seen."""
    seen: pa.Array
    """When it was last seen until the instant, in milliseconds since 1970."""
    values: Sequence[pa.Array]
    """Of the fields."""


def read_columns(known: Known, runs: Sequence[Run], instants: pa.Array) -> Found:
    """Return what was known of companies that were never renamed; `instants` are those of all, in milliseconds."""
    bounds = json.dumps([[symbol, texts[0], texts[-1]] for symbol, texts in runs])
    columns = (_PLACE, ("observed_at", Kind.INSTANT), ("confirmed_at", Kind.INSTANT), *columns_of(known.fields))
    query = _SNAPSHOTS.format(fields=selected(known.fields), parts=joined(known.fields), is_whole=whole(known.fields))
    found = typed(columns, [packed(known.db, columns, query, {"runs": bounds})])
    first, last = _milliseconds(found["observed_at"]), _milliseconds(found["confirmed_at"])
    at = instants.to_numpy(zero_copy_only=False)
    place = np.repeat(np.arange(len(runs)), [len(texts) for _, texts in runs])
    snapshot, is_known = _newest(found["place"].to_numpy(), first, place, at)
    seen = np.zeros(len(at), np.int64)
    seen[is_known] = last[snapshot[is_known]]
    later = np.flatnonzero(is_known & (seen > at))
    if later.size:  # confirmed after the instant, too
        seen[later] = np.maximum(first[snapshot[later]], _last_looks(known, bounds, place[later], at[later]))
    rows = pa.array(snapshot, pa.int64(), mask=~is_known)
    values = [found[field.column].take(rows) for field in known.fields]
    return Found(found["observed_at"].take(rows), pa.array(seen, pa.int64(), mask=~is_known), values)


def _newest(places: Integers, times: Integers, place: Integers, at: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return for each place and instant which of the times of that place is the newest not after it, and if one is.

    The times are by place and time.
    """
    if not len(times):
        return np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    start, end = times.min() - 1, times.max()
    at = np.clip(at, start, end)  # as good, and thousands of places times the years 1 to 9999 would overflow
    length = end - start + 1
    newest = np.searchsorted(places * length + (times - start), place * length + (at - start), side="right") - 1
    is_found = (newest >= 0) & (places[newest] == place)
    return np.maximum(newest, 0), is_found


def _last_looks(known: Known, bounds: str, place: Integers, at: Integers) -> Integers:
    """Return the last look not after each instant; the beginning of all time where there is none."""
    columns = (_PLACE, ("at", Kind.INSTANT))
    looks = typed(columns, [packed(known.db, columns, _LOOKS, {"runs": bounds})])
    times = _milliseconds(looks["at"])
    last, is_found = _newest(looks["place"].to_numpy(), times, place, at)
    found = np.full(len(at), np.iinfo(np.int64).min)
    found[is_found] = times[last[is_found]]
    return found


def _milliseconds(instants: pa.Array) -> Integers:
    found: Integers = instants.cast(TYPES[Kind.INSTANT]).cast(pa.int64()).to_numpy()
    return found


_PLACE = ("place", Kind.INTEGER)
_BOUNDS = """
    (SELECT key AS place, json_extract(value, '$[0]') AS symbol, json_extract(value, '$[1]') AS first,
            json_extract(value, '$[2]') AS last FROM json_each(:runs)) AS run
"""
_SNAPSHOTS = f"""
    SELECT run.place, observed_at, confirmed_at{{fields}}
      FROM {_BOUNDS}
     CROSS JOIN snapshots ON snapshots.symbol = run.symbol AND observed_at <= run.last
           AND observed_at >= coalesce((SELECT earlier.observed_at FROM snapshots AS earlier
                                         WHERE earlier.symbol = run.symbol AND earlier.observed_at <= run.first
                                         ORDER BY earlier.observed_at DESC LIMIT 1), run.first)
      {{parts}}
     WHERE {{is_whole}}
"""
_LOOKS = f"""
    SELECT run.place, looks.at
      FROM {_BOUNDS}
     CROSS JOIN looks ON looks.symbol = run.symbol AND looks.at <= run.last
           AND looks.at > coalesce((SELECT earlier.observed_at FROM snapshots AS earlier
                                     WHERE earlier.symbol = run.symbol AND earlier.observed_at <= run.first
                                     ORDER BY earlier.observed_at DESC LIMIT 1), run.first)
"""
