"""The worker's own clock, which goes on whatever happens to the queue."""

import asyncio
from typing import Final

import structlog

from domain.logs import frames_of
from worker.tasks import WorkerContext, tick

SECONDS: Final = 20.0
"""A dead worker, not heard of for as long as this, is replaced within a minute."""
_MOST: Final = 8
"""A tick lasts as long as the runs that it began; one that waits for a lost server is not joined by
ever more of them."""

log = structlog.get_logger()


async def keep_time(context: WorkerContext) -> None:
    """Tick at once and three times a minute."""
    ticks: set[asyncio.Task[None]] = set()
    while True:
        if len(ticks) < _MOST:
            task = context.begin(_tick(context))
            ticks.add(task)
            task.add_done_callback(ticks.discard)
        await asyncio.sleep(SECONDS)


async def _tick(context: WorkerContext) -> None:
    try:
        await tick({"homerow": context})
    except Exception as error:  # noqa: BLE001 - whatever it is, the next one comes
        log.warning("tick_failed", error=type(error).__name__, frames=frames_of(error))
