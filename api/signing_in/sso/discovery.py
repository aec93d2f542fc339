"""What providers publish about themselves: their addresses, and the keys of their id_tokens."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from api.signing_in.sso.failures import Fault, ProviderFailed
from api.signing_in.sso.outbound import get_json
from api.signing_in.sso.providers import Provider
from domain.people.models import SignInMethodName

LIFETIME: Final = timedelta(hours=1)
REFETCH_EVERY: Final = timedelta(minutes=1)
"""Whoever sends keys' names that nobody knows must not have us ask without end."""
ALGORITHMS: Final = ("RS256", "PS256", "ES256")
"""Those that we verify at all. All of them are asymmetric."""
_USUAL: Final = ("RS256",)


@dataclass(frozen=True, slots=True)
class Metadata:
    authorize_url: str
    token_url: str
    jwks_url: str
    algorithms: tuple[str, ...]
    sends_issuer: bool


@dataclass(slots=True)
class _Known:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    metadata: Metadata | None = None
    metadata_at: datetime | None = None
    keys: tuple[Mapping[str, Any], ...] = ()
    keys_at: datetime | None = None


class Directory:
    """Kept in this process for an hour at most. All methods raise ProviderFailed."""

    def __init__(self) -> None:
        self._known = {method: _Known() for method in SignInMethodName}

    async def metadata(
        self, client: AsyncOAuth2Client, provider: Provider, *, now: datetime
    ) -> Metadata:
        known = self._known[provider.method]
        async with known.lock:
            if known.metadata is None or _is_over(known.metadata_at, LIFETIME, now):
                found = await get_json(client, provider.discovery_url, fault=Fault.DISCOVERY)
                known.metadata, known.metadata_at = _read_metadata(found, provider), now
            return known.metadata

    async def keys(
        self, client: AsyncOAuth2Client, provider: Provider, *, kid: str | None, now: datetime
    ) -> tuple[Mapping[str, Any], ...]:
        """All that are published. An unknown kid has them fetched again, once a minute at most."""
        url = (await self.metadata(client, provider, now=now)).jwks_url
        known = self._known[provider.method]
        async with known.lock:
            is_known = kid is None or any(key.get("kid") == kid for key in known.keys)
            if _is_over(known.keys_at, LIFETIME if is_known else REFETCH_EVERY, now):
                found = (await get_json(client, url, fault=Fault.DISCOVERY)).get("keys")
                if not isinstance(found, list):
                    raise ProviderFailed(Fault.DISCOVERY, place=provider.discovery_url)
                known.keys = tuple(key for key in found if isinstance(key, dict))
                known.keys_at = now
            return known.keys


def _is_over(since: datetime | None, lifetime: timedelta, now: datetime) -> bool:
    return since is None or now - since >= lifetime


def _read_metadata(found: Mapping[str, Any], provider: Provider) -> Metadata:
    """The document has to be that issuer's, which we were told of: it names where secrets go."""
    if found.get("issuer") != provider.issuer:
        raise ProviderFailed(Fault.DISCOVERY, place=provider.discovery_url)
    said = found.get("id_token_signing_alg_values_supported", _USUAL)
    algorithms = tuple(
        name for name in ALGORITHMS if isinstance(said, list | tuple) and name in said
    )
    if not algorithms:
        raise ProviderFailed(Fault.DISCOVERY, place=provider.discovery_url)
    return Metadata(
        authorize_url=_url(found, "authorization_endpoint", provider),
        token_url=_url(found, "token_endpoint", provider),
        jwks_url=_url(found, "jwks_uri", provider),
        algorithms=algorithms,
        sends_issuer=found.get("authorization_response_iss_parameter_supported") is True,
    )


def _url(found: Mapping[str, Any], name: str, provider: Provider) -> str:
    url = found.get(name)
    schemes = {"https", "http"} if provider.allows_http else {"https"}
    try:
        is_usable = isinstance(url, str) and urlsplit(url).scheme in schemes
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ProviderFailed(Fault.DISCOVERY, place=provider.discovery_url)
    return str(url)
