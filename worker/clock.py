"""The worker's own clock, which goes on whatever happens to the queue."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import structlog

from domain.logs import frames_of
from worker.tasks import WorkerContext, start, tick
from worker.watch import watch


class Hand(NamedTuple):
    """What is done again and again, at once at first."""

    seconds: float
    work: Callable[[dict[str, Any]], Awaitable[None]]


HANDS: Final = (
    Hand(5.0, start),
    # A dead worker, not heard of for as long as this, is replaced within a minute.
    Hand(20.0, tick),
    Hand(20.0, watch),
)
_MOST: Final = 8
"""A tick lasts as long as the runs that it began; one that waits for a lost server is not joined by
ever more of them."""

log = structlog.get_logger()


async def keep_time(context: WorkerContext) -> None:
    """Move all hands for as long as the process lives."""
    async with asyncio.TaskGroup() as hands:
        for hand in HANDS:
            hands.create_task(_move(context, hand))


async def _move(context: WorkerContext, hand: Hand) -> None:
    beats: set[asyncio.Task[None]] = set()
    while True:
        if len(beats) < _MOST:
            task = context.begin(_beat(context, hand))
            beats.add(task)
            task.add_done_callback(beats.discard)
        await asyncio.sleep(hand.seconds)


async def _beat(context: WorkerContext, hand: Hand) -> None:
    try:
        await hand.work({"homerow": context})
    except Exception as error:  # noqa: BLE001 - whatever it is, the next one comes
        log.warning(
            "clock_failed",
            work=hand.work.__name__,
            error=type(error).__name__,
            frames=frames_of(error),
        )
