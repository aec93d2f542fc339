"""What the four providers differ in, and what is at hand while one is asked about somebody."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from api.signing_in.site import Client
from api.signing_in.sso.failures import Fault
from api.signing_in.sso.outbound import get_json
from domain.people.models import SignInMethodName
from domain.signing_in.assertions import Assertion

TENANT_ID = "{tenantid}"
"""Stands in Microsoft's issuer for the tid of whoever signs in."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    authorize: str
    token: str


@dataclass(frozen=True, slots=True)
class Provider:
    """`issuer` is what discovery has to say; `endpoints` are those that do not come from there.

    `hint` is the parameter that takes a tenant's key to the provider's sign-in page. It spares
    people a choice and proves nothing.
    """

    method: SignInMethodName
    title: str
    client: Client
    issuer: str
    discovery_url: str
    identify: "Callable[[Conversation], Awaitable[Assertion]]"
    scope: str | None = None
    client_auth: str = "client_secret_post"
    has_pkce: bool = True
    endpoints: Endpoints | None = None
    info_url: str = ""
    hint: str | None = None

    @property
    def allows_http(self) -> bool:
        """Only where the settings name an unencrypted address, which production refuses."""
        return urlsplit(self.issuer).scheme == "http"

    def is_issuer(self, said: str) -> bool:
        """Whether a callback that says whose it is (RFC 9207) says that it is this provider's."""
        before, _, after = self.issuer.partition(TENANT_ID)
        is_it = said.startswith(before) and said.endswith(after)
        return is_it if TENANT_ID in self.issuer else said == self.issuer


@dataclass(frozen=True, slots=True)
class Conversation:
    """After the exchange of a code. `claims` are the id_token's, verified; None without one."""

    provider: Provider
    client: AsyncOAuth2Client = field(repr=False)
    claims: Mapping[str, Any] | None = field(repr=False)

    async def ask(self, url: str) -> dict[str, Any]:
        """With the access token."""
        return await get_json(self.client, url, fault=Fault.PROFILE, with_token=True)
