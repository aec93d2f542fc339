"""What the worker looks at all night beside its runs: see domain.watch."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from domain.clock import utc_now
from domain.logs import frames_of
from domain.watch.digests import write_digests
from domain.watch.following import follow_up
from domain.watch.late import tell_of_late
from domain.watch.outages import watch_providers
from domain.watch.pauses import tell_of_pauses
from domain.watch.undelivered import give_up_mails
from worker.tasks import WorkerContext

log = structlog.get_logger()


async def watch(ctx: dict[str, Any]) -> None:
    """In this order: an outage is seen in what was judged, and what it excuses counts no more."""
    context = WorkerContext.of(ctx)
    database, links, now = context.resources.database, context.links, utc_now()
    looks: dict[str, Callable[[], Awaitable[object]]] = {
        "runs": partial(follow_up, database, links=links, now=now),
        "providers": partial(watch_providers, database, now=now),
        "late": partial(tell_of_late, database, links=links, now=now),
        "pauses": partial(tell_of_pauses, database, links=links, now=now),
        "digests": partial(write_digests, database, links=links, now=now),
        "mails": partial(give_up_mails, database, now=now),
    }
    for name, look in looks.items():
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are looked at
            frames = frames_of(error)
            log.error("watch_failed", look=name, error=type(error).__name__, frames=frames)  # noqa: TRY400
