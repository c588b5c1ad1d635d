"""Storing an overview as a run does, and waiting for its outcome."""

import asyncio
from datetime import datetime

from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId
from pipeline.store.runs import Store


async def store_overview(store: Store, run: RunId, overview: Overview, *, at: datetime, attempts: int = 1) -> Outcome:
    """Hand an overview over, and return its outcome once it is durable."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def finish(outcome: Outcome, error: BaseException | None) -> None:
        if error is None:
            done.set_result(outcome)
        else:
            done.set_exception(error)

    store.hand_over(run, overview, at=at, attempts=attempts, on_done=finish)
    return await done
