"""What is said to a provider: where to send somebody, and who it was that came back."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from api.signing_in.sso.discovery import Directory, Metadata
from api.signing_in.sso.id_tokens import Expected, read_header, verify
from api.signing_in.sso.outbound import (
    CONVERSATION_SECONDS,
    exchange,
    network_faults,
    open_client,
)
from api.signing_in.sso.providers import Conversation, Provider
from api.signing_in.sso.transactions import Transaction
from domain.signing_in.assertions import Assertion


@dataclass(frozen=True, slots=True)
class Door:
    """A provider as it is set up here. `redirect_uri` is known to it, letter by letter."""

    provider: Provider
    directory: Directory
    redirect_uri: str

    async def metadata(self, client: AsyncOAuth2Client, now: datetime) -> Metadata:
        return await self.directory.metadata(client, self.provider, now=now)


async def authorize_url(
    door: Door, transaction: Transaction, *, state: str, hint: str | None, now: datetime
) -> str:
    """Where the browser goes to sign in. Raises ProviderFailed if the provider does not say."""
    provider = door.provider
    async with _talk(door) as client:
        if provider.endpoints:
            url = provider.endpoints.authorize
        else:
            url = (await door.metadata(client, now)).authorize_url
        made, _ = client.create_authorization_url(
            url,
            state=state,
            code_verifier=transaction.code_verifier if provider.has_pkce else None,
            nonce=transaction.nonce,
            **({provider.hint: hint} if provider.hint and hint else {}),
        )
    return str(made)


async def identify(door: Door, transaction: Transaction, *, code: str, now: datetime) -> Assertion:
    """Whom the provider vouches for. Raises ProviderFailed, CodeSpent or NotOfDistrict."""
    provider = door.provider
    async with _talk(door) as client:
        if provider.endpoints:
            url = provider.endpoints.token
        else:
            url = (await door.metadata(client, now)).token_url
        verifier = transaction.code_verifier if provider.has_pkce else None
        tokens = await exchange(client, url, code=code, code_verifier=verifier)
        claims = None
        if "id_token" in tokens:
            token, nonce = tokens["id_token"], transaction.nonce
            claims = await _read_id_token(door, client, token, nonce=nonce, now=now)
        return await provider.identify(Conversation(provider, client, claims))


async def _read_id_token(
    door: Door, client: AsyncOAuth2Client, token: str, *, nonce: str, now: datetime
) -> Mapping[str, Any]:
    provider = door.provider
    algorithms = (await door.metadata(client, now)).algorithms
    kid = read_header(token, algorithms).kid
    keys = await door.directory.keys(client, provider, kid=kid, now=now)
    expected = Expected(provider.issuer, provider.client.id, nonce, algorithms)
    return verify(token, keys, expected, now=now)


async def sends_issuer(door: Door, *, now: datetime) -> bool:
    """Whether its callbacks have to say whose they are (RFC 9207)."""
    if door.provider.endpoints:
        return False
    async with _talk(door) as client:
        return (await door.metadata(client, now)).sends_issuer


@asynccontextmanager
async def _talk(door: Door) -> AsyncGenerator[AsyncOAuth2Client]:
    with network_faults():
        async with (
            asyncio.timeout(CONVERSATION_SECONDS),
            open_client(
                allows_http=door.provider.allows_http,
                client_id=door.provider.client.id,
                client_secret=door.provider.client.secret,
                token_endpoint_auth_method=door.provider.client_auth,
                scope=door.provider.scope,
                redirect_uri=door.redirect_uri,
                code_challenge_method="S256",
            ) as client,
        ):
            yield client
