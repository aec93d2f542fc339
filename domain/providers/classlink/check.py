"""Whether ClassLink lists the district, and whether what it lists can be used."""

from collections.abc import Sequence

from domain.providers.classlink.access import PartnerAccess
from domain.providers.classlink.applications import Application
from domain.providers.hosts import Hosts
from domain.providers.http.client import Client
from domain.providers.oneroster_rest.check import failed_step
from domain.roster.source import CheckStep, SourceError


async def check_listing(access: PartnerAccess, hosts: Hosts) -> list[CheckStep]:
    """The step that fails is the last. If none does, the access knows its application."""
    steps: list[CheckStep] = []
    try:
        applications = await _list_in_haste(access, hosts)
        steps.append(_passed("applications", f"ClassLink lists {_count(len(applications))}."))
        own = access.choose(applications)
        name = own.tenant_name or own.tenant_id
        steps.append(_passed("application", f"That of {name} is there, enabled and active."))
    except SourceError as error:
        steps.append(failed_step("application" if steps else "applications", error))
    return steps


async def _list_in_haste(access: PartnerAccess, hosts: Hosts) -> Sequence[Application]:
    """Somebody is waiting."""
    async with Client(allow_private=hosts.allow_private, patience=hosts.patience.hasty()) as client:
        return await access.list_applications(client)


def _passed(name: str, message: str) -> CheckStep:
    return CheckStep(name, is_ok=True, message=message)


def _count(number: int) -> str:
    return f"{number} application" if number == 1 else f"{number} applications"
