"""Which districts have begun or ceased to share with us, as the providers' own lists say."""

from typing import Any

import structlog

from domain.clock import utc_now
from domain.integrations.onboarding import Seen, record_shares
from domain.providers.shares import list_shares, listed_providers
from domain.resources import Resources
from domain.roster.source import Provider, SourceError
from domain.watch.shares import tell_of_shares
from worker.tasks import WorkerContext

log = structlog.get_logger()


async def discover(ctx: dict[str, Any]) -> None:
    """Neither provider tells of a new share: their lists are asked. One that fails is left out."""
    resources = WorkerContext.of(ctx).resources
    for provider in listed_providers(resources.hosts):
        await _discover(resources, provider)


async def _discover(resources: Resources, provider: Provider) -> None:
    try:
        shares = await list_shares(provider, resources.hosts)
    except SourceError as error:
        log.warning("shares_not_listed", provider=provider, code=error.code, reason=str(error))
        return
    if not shares:
        log.warning("shares_empty", provider=provider)
        return
    async with resources.database.transaction() as session:
        now = utc_now()
        seen = await record_shares(session, provider=provider, shares=shares, now=now)
        await tell_of_shares(session, provider=provider, seen=seen, shares=shares, now=now)
    _tell(provider, seen)


def _tell(provider: Provider, seen: Seen) -> None:
    for external_id in seen.requested:
        log.info("onboarding_requested", provider=provider, external_id=external_id)
    for external_id in seen.renewed:
        log.info("onboarding_renewed", provider=provider, external_id=external_id)
    for external_id in seen.withdrawn:
        log.warning("onboarding_withdrawn", provider=provider, external_id=external_id)
