"""What the worker looks at all night beside its runs: see domain.watch."""

from typing import Any

from domain.clock import utc_now
from domain.watch.digests import write_digests
from domain.watch.following import follow_up
from domain.watch.late import tell_of_late
from domain.watch.outages import watch_providers
from domain.watch.pauses import tell_of_pauses
from domain.watch.undelivered import give_up_mails
from worker.tasks import WorkerContext


async def watch(ctx: dict[str, Any]) -> None:
    """In this order: an outage is seen in what was judged, and what it excuses counts no more."""
    context = WorkerContext.of(ctx)
    database, links, now = context.resources.database, context.links, utc_now()
    await follow_up(database, links=links, now=now)
    await watch_providers(database, now=now)
    await tell_of_late(database, links=links, now=now)
    await tell_of_pauses(database, links=links, now=now)
    await write_digests(database, links=links, now=now)
    await give_up_mails(database, now=now)
