"""Two databases that are equal up to an instant and differ after it, and all that can be asked of a locked history."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from pipeline.errors import Trouble
from pipeline.model.invented import INVENTED
from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from pipeline.model.renames import Rename
from pipeline.query import horizon
from pipeline.query.history import History
from pipeline.query.results import Answer
from tests.support.observations import HOUR, Observed, after, database_of
from tests.support.renames import rename
from tests.support.timeline import Ended, Imported, Listed, Missed, Ran, Renamed, Step, WentOn, write_steps

LOCK = 100
"""The hour of the lock."""
LOCKED_AT = after(LOCK)
MILLISECOND = timedelta(milliseconds=1) / HOUR
"""In hours."""


class Futures(NamedTuple):
    """What happened up to the lock, and two ways in which it went on."""

    past: Sequence[Step]
    one: Sequence[Step]
    other: Sequence[Step]

    def databases(self) -> tuple[Path, Path]:
        """Return two new databases."""
        past = database_of([])
        write_steps(past, self.past)
        return _continued(past, self.one), _continued(past, self.other)


def _continued(past: Path, steps: Sequence[Step]) -> Path:
    path = Path(tempfile.mkdtemp(dir=past.parent)) / past.name
    shutil.copyfile(past, path)
    write_steps(path, steps)
    return path


# What may happen

_KNOWN = ("A", "B", "FB", "META")
_LATER = (*_KNOWN, "AB", "C-D", "NEW")
"""Symbols of which three are only seen later."""


def _documents(*more: str) -> st.SearchStrategy[dict[str, Any] | None]:
    """Return documents that differ in every part; None: the symbol is not covered. `more`: unknown fields."""
    fields = {
        "PERatio": st.sampled_from(["10", "10", "10.0", "11", "-"]),
        "EBITDA": st.sampled_from(["100", "90"]),
        "LatestQuarter": st.sampled_from(["2025-12-31", "2025-09-30"]),
    }
    optional = {
        "Name": st.sampled_from(["x", "another company"]),
        "Description": st.sampled_from([f"It {INVENTED}.", "<b>real</b>"]),
        "CIK": st.sampled_from(["1", "2"]),
        "Sector": st.sampled_from(["TECHNOLOGY", "NEWS"]),
        **{name: st.just("1") for name in more},
    }
    return st.none() | st.fixed_dictionaries(fields, optional=optional)


def _steps(hours: st.SearchStrategy[float], symbols: Sequence[str], *fields: str) -> list[st.SearchStrategy[Step]]:
    """Return what may happen at some hours to some symbols."""
    symbol, document = st.sampled_from(symbols), _documents(*fields)
    observed = st.builds(
        lambda name, hour, doc: Observed(name, after(hour), None if doc is None else {"Symbol": name, **doc}),
        symbol, hours, document,
    )  # fmt: skip
    return [
        st.lists(observed, min_size=1, max_size=8, unique_by=lambda one: one[:2]).map(lambda some: Imported((*some,))),
        st.builds(_ran, hours, _ended(symbols, *fields), st.booleans(), st.sampled_from(Trigger)),
        st.builds(lambda hour, some: Listed(hour, tuple(some)), hours, st.sets(symbol, max_size=3).map(sorted)),
    ]


def _ended(symbols: Sequence[str], *fields: str) -> st.SearchStrategy[list[tuple[str, Outcome, Any]]]:
    """Return how some symbols may end in a run."""
    bad = st.sampled_from([Outcome.FAILED, Outcome.REJECTED, Outcome.DEFERRED, Outcome.UNKNOWN])
    one = st.tuples(st.sampled_from(symbols), bad, _documents(*fields))
    return st.lists(one, max_size=3, unique_by=lambda each: each[0])


def _outcomes(began: float, ended: Iterable[tuple[str, Outcome, Any]]) -> tuple[Ended, ...]:
    """Return them, a minute apart."""
    return tuple(
        Ended(symbol, began + (place + 1) / 60, outcome, document and tuple(document.items()), 1 + place, "why")
        for place, (symbol, outcome, document) in enumerate(ended)
    )


def _ran(began: float, ended: list[tuple[str, Outcome, Any]], has_ended: bool, trigger: Trigger) -> Ran:
    finished = began + 0.2 if has_ended else None
    return Ran(began, _outcomes(began, ended), finished, RunStatus.PARTIAL, trigger, "detail")


_PAST_HOURS = st.sampled_from([*range(0, LOCK - 1, 7), LOCK - 30, LOCK - 1]).map(float)
_PAST_RENAMES: Sequence[tuple[Rename, ...]] = (
    (),
    (rename("FB", "META", after(50)),),
    (rename("FB", "META", after(50), reused=True),),
    (rename("FB", "META", LOCKED_AT),),
    (rename("FB", "META"),),
)
_LATER_RENAMES = (
    rename("META", "NEW", after(LOCK + 5)),
    rename("A", "AB", after(LOCK + MILLISECOND)),
    rename("B", "C-D", after(LOCK + 30), reused=True),
)
_AT_THE_LOCK = Imported((Observed("B", LOCKED_AT, {"Symbol": "B", "PERatio": "7", "LatestQuarter": "2025-12-31"}),))


def _time_of(step: Step) -> float:
    match step:
        case Ran():
            return step.began
        case Listed():
            return step.hour
    return -1


@st.composite
def futures(draw: st.DrawFn) -> Futures:
    """Return a past with a run that may be under way at the lock, and two futures."""
    renames = draw(st.sampled_from(_PAST_RENAMES))
    past: list[Step] = draw(st.lists(st.one_of(_steps(_PAST_HOURS, _KNOWN)), max_size=5))
    under_way = Ran(LOCK - 0.5, _outcomes(LOCK - 0.5, draw(_ended(_KNOWN))), fire_time=float(LOCK - 1))
    more: list[Step] = draw(
        st.lists(st.sampled_from([_AT_THE_LOCK, Missed(LOCK - 40, LOCK - 20), under_way]), unique_by=repr)
    )
    steps: list[Step] = [Renamed(renames), *sorted(past, key=_time_of), *more]
    return Futures(steps, draw(_futures(renames)), draw(_futures(renames)))


def _futures(renames: tuple[Rename, ...]) -> st.SearchStrategy[list[Step]]:
    """Return what may happen after the lock."""
    hours = st.sampled_from([LOCK + MILLISECOND, LOCK + 1, LOCK + 20, LOCK + 200]).map(float)
    on = st.builds(
        lambda ended, detail, has_ended: WentOn(
            _outcomes(LOCK + 1, ended), LOCK + 2 if has_ended else None, detail=detail
        ),
        _ended(_LATER, "LaterField"), st.sampled_from(["why", None]), st.booleans(),
    )  # fmt: skip
    configured = st.sets(st.sampled_from(_LATER_RENAMES), max_size=3).map(
        lambda some: Renamed((*renames, *sorted(some, key=lambda one: one.old)))
    )
    missed = st.builds(Missed, st.sampled_from([LOCK - 20.0, LOCK + 3.0]), st.just(LOCK + 9.0))
    after_that = [*_steps(hours, _LATER, "LaterField"), configured, missed]
    return st.tuples(st.lists(on, max_size=1), st.lists(st.one_of(after_that), max_size=5)).map(
        lambda both: [*both[0], *sorted(both[1], key=_time_of)]
    )


# What may be asked


class Params(NamedTuple):
    """What questions are about."""

    symbol: str
    at: str
    since: str
    fields: Sequence[str]
    staleness: str | None
    universe: bool
    number: int


SYMBOLS = ("A", "B", "fb", "META", "AB", "NEW", "ZZZ", "FB@2026-03-15", "FB@7d", "META@2030-01-01", "C-D")
INSTANTS = ("now", "2d", str(LOCKED_AT), str(LOCKED_AT.date()), str(after(50)), str(after(LOCK + 1)), "2030-01-01", "x")
PARAMS = st.builds(
    Params,
    st.sampled_from(SYMBOLS),
    st.sampled_from([one.replace("+00:00", "Z") for one in INSTANTS]),
    st.sampled_from(["2026-03-01", "3d", "1h", str(after(LOCK + 1)).replace("+00:00", "Z")]),
    st.sampled_from([("all",), ("pe_ratio",), ("ebitda", "latest_quarter"), ("name", "symbol")]),
    st.sampled_from([None, None, "1h", "2d"]),
    st.booleans(),
    st.integers(0, 6),
)

QUESTIONS: dict[str, Callable[[History, Params], Any]] = {
    "symbols": lambda h, _: h.symbols(),
    "check_symbols": lambda h, p: h.check_symbols([p.symbol]),
    "first_observed_at": lambda h, p: (h.first_observed_at(), h.first_observed_at([p.symbol])),
    "universe": lambda h, p: h.universe(p.at),
    "universe_began_at": lambda h, _: h.universe_began_at(),
    "holds_invented": lambda h, _: h.holds_invented(),
    "configured": lambda h, _: h.configured(),
    "names": lambda h, p: h.names(p.symbol),
    "former_symbols": lambda h, _: h.former_symbols(),
    "last_seen": lambda h, _: h.last_seen(),
    "uncovered_since": lambda h, p: h.uncovered_since(p.symbol),
    "drift": lambda h, _: h.drift(),
    "runs": lambda h, p: (h.runs(), h.runs(limit=2, before=p.number)),
    "run": lambda h, p: h.run(p.number),
    "last_run": lambda h, _: h.last_run(),
    "last_complete_run": lambda h, _: h.last_complete_run(),
    "outcomes": lambda h, p: (h.outcomes(p.number), h.outcomes(p.number, only={"unknown", "stored"})),
    "last_run_started_at": lambda h, _: h.last_run_started_at(),
    "history": lambda h, p: h.history(p.symbol, p.fields, since=p.since),
    "as_of": lambda h, p: h.as_of(p.at, fields=p.fields, max_staleness=p.staleness, universe=p.universe),
    "as_of one": lambda h, p: h.as_of(p.at, [p.symbol], p.fields),
    "documents_as_of": lambda h, p: list(h.documents_as_of(p.at, max_staleness=p.staleness, universe=p.universe)),
    "received": lambda h, p: h.received(p.symbol, p.at),
    "panel": lambda h, p: h.panel(p.fields, since=p.since, until=None, lag="1h", universe=p.universe),
    "panel of all": lambda h, _: h.panel(["pe_ratio"], every="1w"),
    "panel as arrow": lambda h, p: h.panel(p.fields, at=[p.at], max_staleness=p.staleness).to_arrow().to_pylist(),
    "panel until": lambda h, p: h.panel(["pe_ratio"], since=p.since, until=p.at, symbols=[p.symbol]),
    "join": lambda h, p: h.join(_table(p), ["pe_ratio"], max_staleness=p.staleness, lag="30m").to_arrow().to_pylist(),
    "changes": lambda h, p: h.changes(universe=p.universe),
    "changes of one": lambda h, p: h.changes([p.symbol], since=p.since, until=p.at),
    "changes of fields": lambda h, p: h.changes(fields=[*p.fields], suspicious=p.universe),
    "vintages": lambda h, p: h.vintages(p.symbol, since=p.since),
    "restatements": lambda h, p: h.restatements(until=p.at, universe=p.universe),
}
"""By name, of which the first word is the method's."""


def _table(params: Params) -> pa.Table:
    times = [after(hour) for hour in (0.5, 30, LOCK - 1, LOCK)]
    return pa.table({"symbol": [params.symbol, "A", "FB", "META"], "time": times})


TABLES = (
    "snapshots", "looks", "uncovered", "symbols", "runs", "outcomes", "universe", "renames", "requests", "blocked",
    "keys", "followed", "clock", "in_flight", "schedules", "backups", "overviews", "latest_overviews",
    "overview_changes", "restatements",
)  # fmt: skip
_IDS = frozenset({"profile_id", "statement_id", "layout_id"})
"""Numbers of parts, which no question shows: they depend on what was stored first."""


def all_answers(database: Path, params: Iterable[Params], *, until: datetime = LOCKED_AT) -> Iterator[tuple[str, Any]]:
    """Yield all that a locked history says: every table, and every question with its answer or error."""
    with History.open(database, until=until) as history:
        for table in TABLES:
            cursor = history._db.execute(f"SELECT * FROM {table}")
            shown = [place for place, (name, *_) in enumerate(cursor.description) if name not in _IDS]
            yield table, sorted(repr([row[place] for place in shown]) for row in cursor)
        for asked in params:
            for name, question in QUESTIONS.items():
                yield f"{name} {asked}", _answer(question, history, asked)


def _answer(question: Callable[[History, Params], Any], history: History, params: Params) -> Any:
    try:
        found = question(history, params)
        return (found.names, list(found)) if isinstance(found, Answer) else found
    except (Trouble, ValueError) as error:
        return type(error), str(error).replace(str(history._path), "the database")


_DOCUMENT = {"Symbol": "A", "PERatio": "10", "EBITDA": "1", "LatestQuarter": "2025-12-31"}
RICH = Futures(
    past=[
        Renamed((rename("FB", "META", after(50)),)),
        Listed(1, ("A", "B", "FB")),
        Imported((
            Observed("A", after(2), _DOCUMENT),
            Observed("FB", after(3), {"Symbol": "FB", "PERatio": "20", "Description": "real"}),
            Observed("B", after(4), None),
        )),
        Missed(LOCK - 40, LOCK - 20),
        Ran(
            LOCK - 0.5,
            (Ended("A", LOCK - 0.4, Outcome.UNCHANGED), Ended("B", LOCK - 0.3, Outcome.UNKNOWN)),
            trigger=Trigger.IMPORT,
        ),
    ],
    one=[],
    other=[
        WentOn(
            (
                Ended("FB", LOCK + 1, fields=(("PERatio", "21"),)),
                Ended("META", LOCK + 1.1, Outcome.UNKNOWN),
                Ended("C-D", LOCK + 1.2, Outcome.FAILED, attempts=3),
                Ended("D", LOCK + 1.3, Outcome.REJECTED),
                Ended("E", LOCK + 1.4, Outcome.DEFERRED),
                Ended("F", LOCK + 1.5, fields=(("PERatio", "1"),)),
                Ended("G", LOCK + 1.6, Outcome.UNCHANGED),
            ),
            LOCK + 2,
            detail="why",
            symbols=12,
        ),
        Missed(LOCK - 20, LOCK + 3),
        Listed(LOCK + 3, ("A", "NEW")),
        Renamed((rename("FB", "META", after(50)), rename("META", "NEW", after(LOCK + 5)))),
        Imported((
            Observed("A", after(LOCK + 6), _DOCUMENT),
            Observed("A", after(LOCK + 7), {**_DOCUMENT, "EBITDA": "2"}),
            Observed("B", after(LOCK + 7), {**_DOCUMENT, "Symbol": "B"}),
            Observed("A", after(LOCK + 8), None),
            Observed("NEW", after(LOCK + 9), {"Symbol": "NEW", "PERatio": "1"}),
        )),
        Ran(LOCK + 30, (Ended("A", LOCK + 31, fields=(("PERatio", "8"),)),), LOCK + 32),
    ],
)  # fmt: skip
"""A past to which every kind of thing happens after the lock, or nothing does."""
EVERYTHING = Params("A", "now", "2026-03-01", ("all",), None, universe=False, number=2)


def forgetful(table: str, column: str) -> horizon._View:
    """Return the view of a table without its condition; or, of a column, with what it is in the file."""
    view = horizon._VIEWS[table]
    if not column:
        return view._replace(shown="true")
    return view._replace(columns={**view.columns, column: f"own.{column}"})
