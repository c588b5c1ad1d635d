"""Ports: what a run needs of a storage engine. Another engine starts here; the default one is in `sqlite_engine`."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunResult, SymbolResult, Trigger
from pipeline.model.slots import Slot
from pipeline.model.symbols import Symbol


class RequestOverview(Protocol):
    """Sends one request for a symbol: `api.client.OverviewApi.overview`. Raises an ApiError."""

    async def __call__(self, symbol: Symbol, *, within: timedelta) -> Overview: ...


class Slots(Protocol):
    """Hands out permission to send requests, within the plan: `quota.ledger.Ledger`, which says what each raises."""

    @property
    def is_probing(self) -> bool: ...
    @property
    def has_day_window(self) -> bool: ...
    @property
    def sent(self) -> int: ...
    def remaining(self) -> int | None: ...
    def time_for(self, requests: int) -> timedelta: ...
    def may_retry(self) -> bool: ...
    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot: ...
    def close(self, slot: Slot, outcome: str) -> None: ...
    def give_back(self, slot: Slot) -> None: ...
    async def quota_ended(self, slot: Slot) -> None: ...
    async def quota_resumed(self) -> None: ...


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
    async def ping(self) -> None: ...
    def hand_over(
        self,
        run: RunId,
        overview: Overview,
        *,
        at: datetime,
        attempts: int,
        on_done: Callable[[Outcome, BaseException | None], None],
    ) -> None: ...
    async def has_snapshots(self, symbol: Symbol) -> bool: ...
    async def note(self, result: SymbolResult) -> None: ...
    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int: ...
    async def finish(self, run: RunId, result: RunResult, *, at: datetime) -> None: ...
