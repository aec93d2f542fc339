"""The worker's places for runs: what each may take, how they are filled, and how they are left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from domain.sync.lease import ANY_RUN, Place

PLACES: Final = (ANY_RUN, ANY_RUN, Place(waiting=6), Place(waiting=5, left=5))
"""Large runs never take all of them: the last one is for fewer than 100,000 records, the one before
it for fewer than a million, or for what a dead worker left."""
RUNS_AT_ONCE: Final = len(PLACES)
_GONE: Final = (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger()

Work = Callable[[Place], Awaitable[object]]
"""Works on a run that the place may take, if there is one; false if there was none."""


class Places:
    """The jobs beside them are short: nobody who tries a connection waits for a long sync."""

    def __init__(self, places: tuple[Place, ...] = PLACES) -> None:
        self._free = list(places)
        self._calls = 0
        self._is_closed = False

    def call(self, work: Work) -> set[asyncio.Task[None]]:
        """There may be something to do: take all places that are free. Those that were.

        A place that is taken is a task of its own, so that nothing that happens to whoever called
        ends a run. It is looked once more from each before it is left, so that no call is lost.
        """
        self._calls += 1
        if self._is_closed:
            return set()
        # Narrow ones look first and leave the wide ones to what only they may take.
        taken = {asyncio.create_task(self._stay(place, work)) for place in reversed(self._free)}
        self._free.clear()
        return taken

    def close(self) -> None:
        """Nothing more is begun."""
        self._is_closed = True

    async def _stay(self, place: Place, work: Work) -> None:
        try:
            heard = None
            while heard != self._calls:
                heard = self._calls
                while not self._is_closed and await work(place):
                    pass
        except _GONE as error:
            # The clock calls again.
            log.warning("no_run_claimed", error=type(error).__name__)
        finally:
            self._free.append(place)
