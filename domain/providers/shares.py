"""Who shares with us at a provider, in the provider's own list, opened with the platform's keys."""

import asyncio
from typing import Final

import structlog

from domain.integrations.onboarding import Share
from domain.providers.classlink.applications import read_applications, usable_applications
from domain.providers.clever.api import Api
from domain.providers.clever.rate import wait_hint
from domain.providers.clever.tokens import Access, ClientKeys, Token, read_tokens
from domain.providers.hosts import Hosts
from domain.providers.http.client import Client
from domain.roster.source import Provider, SourceError

log = structlog.get_logger()

_NAMES_AT_ONCE: Final = 4


def listed_providers(hosts: Hosts) -> list[Provider]:
    """Those whose lists the platform has the keys for."""
    providers = []
    if hosts.clever_client_id and hosts.clever_client_secret:
        providers.append(Provider.CLEVER)
    if hosts.classlink_token:
        providers.append(Provider.CLASSLINK)
    return providers


async def list_shares(provider: Provider, hosts: Hosts) -> list[Share]:
    """Every district that shares with us, once each. Raises a SourceError for a list not whole."""
    match provider:
        case Provider.CLEVER:
            shares = await _list_clever(hosts)
        case Provider.CLASSLINK:
            shares = await _list_classlink(hosts)
        case _:
            shares = []
    return [
        Share(share.external_id, _printable(share.name) or None)
        for share in shares
        if share.external_id and share.external_id.isprintable()
    ]


def _printable(name: str | None) -> str:
    return "".join(filter(str.isprintable, name or "")).strip()


async def _list_classlink(hosts: Hosts) -> list[Share]:
    async with Client(allow_private=hosts.allow_private, patience=hosts.patience) as client:
        applications = await read_applications(
            client, hosts.classlink_proxy_url, hosts.classlink_token or ""
        )
    return [
        Share(application.tenant_id, application.tenant_name)
        for application in usable_applications(applications)
    ]


async def _list_clever(hosts: Hosts) -> list[Share]:
    keys = ClientKeys(hosts.clever_client_id or "", hosts.clever_client_secret or "")
    async with Client(allow_private=hosts.allow_private, patience=hosts.patience) as client:
        tokens = await read_tokens(client, hosts.clever_oauth_url, keys=keys)
    # ISO times sort as texts: of several tokens of a district the latest counts.
    newest = {token.district_id: token for token in sorted(tokens, key=lambda one: one.created)}
    turns = asyncio.Semaphore(_NAMES_AT_ONCE)
    # A name is worth little: the next hour asks again.
    async with Client(
        allow_private=hosts.allow_private, patience=hosts.patience.hasty(), wait_hint=wait_hint
    ) as asking:

        async def share_of(token: Token) -> Share:
            async with turns:
                return Share(token.district_id, await _find_name(asking, hosts, token))

        return await asyncio.gather(*map(share_of, newest.values()))


async def _find_name(client: Client, hosts: Hosts, token: Token) -> str | None:
    """What the district is called; None where it cannot be asked now."""
    access = Access(hosts.clever_oauth_url, token.district_id, token.secret)
    try:
        districts = await Api(client, hosts.clever_api_url, access).districts()
    except SourceError as error:
        log.info("district_not_named", external_id=token.district_id, code=error.code)
        return None
    return next((one.name for one in districts if one.id == token.district_id), None)
