"""The threshold: whether each symbol can be observed within stale_after_hours, and what would make it so."""

import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from pipeline.monitoring.checks import Kind, Problem
from pipeline.quota.full_pass import Load, Pace, full_pass, most_symbols, smallest_plan
from pipeline.quota.keys import plans_text
from pipeline.settings.load import Settings
from pipeline.settings.schema import LONGEST_HOURS
from pipeline.store.database import DatabaseError
from pipeline.store.reader import Reader
from pipeline.text import count, few

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold, and the longest time between two observations of one symbol."""

    stale_after: timedelta
    full_pass: timedelta
    problem: Problem | None = None
    """That it cannot hold; None if it can."""
    most_symbols: int | None = None
    """The longest list with which it would hold; None if it holds, or if no shorter list is a remedy."""
    smallest_plan: str | None = None
    """The plan with which it would hold; None if it holds, or if no plan is a remedy."""

    def facts(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "stale_after_hours": self.stale_after / _HOUR,
            "full_pass_hours": round(self.full_pass / _HOUR, 2),
            "holds": self.problem is None,
            "most_symbols": self.most_symbols,
            "smallest_plan": self.smallest_plan,
            "problem": None if self.problem is None else self.problem.text,
            "remedy": None if self.problem is None else self.problem.remedy,
        }


def check_threshold(settings: Settings) -> Threshold:
    """Return whether the list, the plan and the schedules go with the threshold.

    Symbols that the API never covered, as far as the database knows, are requested rarely, and do not count.
    """
    if not settings.schedules:  # of a fleet, whose log has not brought any yet
        return Threshold(settings.stale_after, timedelta())
    loads, unscheduled = _loads(settings)
    plans = tuple(plan.limits for plan in settings.plans)
    pace = Pace(plans, resumes=settings.resume, longest_wait=settings.wait)
    longest, stale_after = full_pass(loads, pace), settings.stale_after
    cannot = f"stale_after_hours = {stale_after / _HOUR:g} cannot hold"
    if unscheduled:
        remedy = "add them to the symbols of a schedule, or remove them from the list"
        return Threshold(stale_after, longest, _problem(f"{cannot}: no schedule has {few(unscheduled)}", remedy))
    if longest <= stale_after:
        return Threshold(stale_after, longest)
    if full_pass(loads, replace(pace, plans=())) > stale_after:
        problem = f"{cannot}: scheduled runs are up to {span_text(longest)} apart"
        return Threshold(stale_after, longest, _problem(problem, _either("schedule more of them", *_higher(longest))))
    most = most_symbols(loads[0], pace, stale_after) if len(loads) == 1 else 0
    plan = smallest_plan(loads, pace, stale_after)
    symbols = count(sum(load.symbols for load in loads), "symbol")
    problem = f"{cannot}: {symbols} take {span_text(longest)} at {plans_text(settings.plans)}"
    shorter = [f"list at most {count(most, 'symbol')}"] if most else []
    faster = [f"use plan {plan}" + (" for each key" if len(plans) > 1 else "")] if plan else []
    remedy = _either(*shorter, *faster, *_higher(longest))
    return Threshold(stale_after, longest, _problem(problem, remedy), most or None, plan)


def span_text(span: timedelta) -> str:
    """Return a span of minutes, hours or days: `7 min`, `72 h`, `346 days`."""
    if span < _HOUR:
        return f"{span / timedelta(minutes=1):g} min"
    if span <= 3 * _DAY:
        return f"{round(span / _HOUR, 1):g} h"
    return f"{round(span / _DAY, 1):,g} days"


def _loads(settings: Settings) -> tuple[list[Load], list[str]]:
    """Return how many symbols each set of schedules has, less those never covered, and the symbols that none has."""
    schedules = settings.schedules
    having = [frozenset(settings.symbols if one.symbols is None else one.symbols) for one in schedules]
    places = {
        symbol: tuple(number for number, symbols in enumerate(having) if symbol in symbols)
        for symbol in settings.all_symbols
    }
    with suppress(DatabaseError), Reader.open(settings.database) as reader:
        states = reader.symbol_states()
        never = {symbol for symbol, one in states.items() if one.state == "unknown" and not one.is_uncovered}
        places = {symbol: place for symbol, place in places.items() if symbol not in never}
    counts = Counter(places.values())
    loads = [Load(symbols, tuple(schedules[number] for number in place)) for place, symbols in counts.items() if place]
    return loads, [symbol for symbol, place in places.items() if not place]


def _higher(longest: timedelta) -> list[str]:
    """Return the threshold that would hold as a remedy, if it can be configured."""
    hours = math.ceil(longest / _HOUR)
    return [f"set stale_after_hours to {hours} or more"] if hours <= LONGEST_HOURS else []


def _either(*remedies: str) -> str:
    """Return remedies as one text: `this`, `this or that`, `this, that, or something else`."""
    *others, last = remedies or ("list fewer symbols",)
    return f"{', '.join(others)}{',' if len(others) > 1 else ''} or {last}" if others else last


def _problem(text: str, remedy: str) -> Problem:
    return Problem(Kind.THRESHOLD, "", text, remedy)
