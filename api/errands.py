"""Errands of the command line: asked for as the API, and run right here as a worker."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from api.site import Site
from domain.database import Database, DatabaseRole
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.people.callers import COMMAND_LINE

_WAIT_SECONDS = 1.0
WAITING = "A sync of this tenant is under way; this is done after it."


async def settle_errand(
    site: Site,
    database: Database,
    *,
    tenant_id: UUID,
    kind: ErrandKind,
    asked: Mapping[str, Any],
    say: Callable[[str], object],
) -> dict[str, Any]:
    """What came of it. Raises the DomainError that it is refused with.

    `database` is the API's. What waits before it is done as well.
    """
    async with database.transaction(tenant_id) as session:
        errand_id = await request_errand(
            session, tenant_id=tenant_id, kind=kind, asked=asked, caller=COMMAND_LINE
        )
    has_said = False
    async with site.resources(DatabaseRole.WORKER) as worker:
        while True:
            while await perform_errand(worker.database):
                pass
            result = await wait_for_errand(
                database, tenant_id=tenant_id, errand_id=errand_id, seconds=_WAIT_SECONDS
            )
            if result is not None:
                return result
            if not has_said:
                say(WAITING)
                has_said = True
