"""Ports: what a run needs of a storage engine. Another engine starts here; the default one is in `sqlite_engine`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.api.errors import ApiError, Throttled
from pipeline.collect.due import Selection
from pipeline.collect.order import Order
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunResult, SymbolResult, Trigger
from pipeline.model.slots import KeyId, Slot
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.quota.estimate import Wait


class RequestOverview(Protocol):
    """Sends one request for a symbol with a key: `api.client.OverviewApi.overview`. Raises an ApiError."""

    async def __call__(self, symbol: Symbol, *, key: KeyId, within: timedelta) -> Overview: ...


class TakenElsewhere(Exception):
    """Another process has requested the symbol for this run, or is just doing it: no slot for it here."""


class Slots(Protocol):
    """Hands out permission to send requests, within each key's plan: `quota.ledger.Ledger` says what each raises.

    One that several processes share may also raise TakenElsewhere from `take`.
    """

    @property
    def sent(self) -> int: ...
    @property
    def refusals(self) -> Mapping[str, str]: ...
    def remaining(self) -> int | None: ...
    def time_for(self, requests: int) -> timedelta: ...
    def waiting(self) -> Wait | None: ...
    def may_retry(self) -> bool: ...
    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot: ...
    def admits(self, slot: Slot) -> bool: ...
    def close(self, slot: Slot, outcome: str) -> None: ...
    def give_back(self, slot: Slot) -> None: ...
    def throttled(self, slot: Slot, error: Throttled) -> None: ...
    async def quota_ended(self, slot: Slot) -> None: ...
    async def quota_resumed(self, slot: Slot) -> None: ...
    async def refused(self, slot: Slot, error: ApiError) -> None: ...
    def has_other_key(self, slot: Slot) -> bool: ...


class Results(Protocol):
    """Keeps what a run gets: `store.runs.Store`. All of it raises StorageError when it cannot write."""

    async def begin(
        self,
        trigger: Trigger,
        *,
        at: datetime,
        symbols: int,
        due: int,
        schedule: str | None = None,
        scheduled_for: datetime | None = None,
    ) -> RunId: ...
    async def record_list(self, listed: SymbolList, *, at: datetime) -> None: ...
    async def ping(self) -> None: ...
    def hand_over(
        self,
        run: RunId,
        overview: Overview,
        *,
        at: datetime,
        attempts: int,
        slot: Slot,
        on_done: Callable[[Outcome, BaseException | None], None],
    ) -> None: ...
    async def has_snapshots(self, symbol: Symbol) -> bool: ...
    async def note(self, result: SymbolResult) -> None: ...
    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int: ...
    async def finish(self, run: RunId, result: RunResult, *, at: datetime) -> None: ...


class Select(Protocol):
    """Returns the symbols of an order that are due."""

    def __call__(self, order: Order, *, now: datetime) -> Awaitable[Selection]: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """What a run uses."""

    select: Select
    request: RequestOverview
    slots: Slots
    results: Results
