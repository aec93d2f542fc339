"""The three ways into a district's Roster Server."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.providers.classlink.applications import (
    Application,
    find_application,
    read_applications,
)
from domain.providers.hosts import Hosts
from domain.providers.http.client import Authorizer, Client
from domain.providers.oneroster_rest.access import Access, Endpoint
from domain.providers.oneroster_rest.auth.bearer import bearer
from domain.providers.oneroster_rest.auth.oauth1 import OAuth1, SignatureMethod
from domain.providers.oneroster_rest.server import base_url_of
from domain.roster.source import CredentialsRejected, RosterMoved, SourceConfig
from domain.validation.codes import Code

_BINDING: Final = "/ims/oneroster/v1p1"
# What may stand between two slashes of a path. Anything else would make it another path.
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")


def access_of(config: SourceConfig, hosts: Hosts) -> Access:
    """Raises CredentialsRejected if the integration says too little for any of the ways."""
    tenant_id = str(config.settings.get("tenant_id") or "").strip()
    path_id = str(config.settings.get("application_id") or "").strip()
    base_url = str(config.settings.get("base_url") or "").strip()
    own, secret = config.credentials.get("token", ""), config.credentials.get("secret", "")
    partner = own or hosts.classlink_token or ""
    if base_url and secret:
        return _direct(base_url, config.credentials.get("key", ""), secret)
    if path_id and own:
        return FixedAccess(_proxy_base_url(hosts.classlink_proxy_url, path_id), bearer(own))
    if tenant_id and partner:
        return PartnerAccess(hosts.classlink_proxy_url, partner, tenant_id)
    raise CredentialsRejected(
        Code.CONN_AUTH_REJECTED,
        "The integration does not say how to reach ClassLink: it takes a tenant id and the"
        " partner's token, or an application id and the district's token, or a base URL with key"
        " and secret.",
    )


def _direct(base_url: str, key: str, secret: str) -> Access:
    """ClassLink's own libraries sign with SHA-256, most others with SHA-1: servers take either."""
    address = base_url_of({"base_url": base_url, "version": "1.1"})
    return FixedAccess(address, OAuth1(key, secret, SignatureMethod.HMAC_SHA256, may_change=True))


def _proxy_base_url(proxy_url: str, path_id: str) -> str:
    """The id is escaped already; escaping it again would make it another's."""
    if not _SEGMENT.fullmatch(path_id):
        raise CredentialsRejected(
            Code.CONN_ADDRESS_REFUSED,
            "The application id must be given as ClassLink shows it, with its percent signs.",
        )
    return f"{proxy_url}/{path_id}{_BINDING}"


@dataclass(slots=True)
class PartnerAccess:
    """Through the proxy, with what ClassLink's list says of the district.

    The list is read once: after that, a refused bearer tells that it is outdated.
    """

    proxy_url: str
    token: str = field(repr=False)
    tenant_id: str
    application: Application | None = None

    async def list_applications(self, client: Client) -> Sequence[Application]:
        return await read_applications(client, self.proxy_url, self.token)

    def choose(self, applications: Sequence[Application]) -> Application:
        """Raises CredentialsRejected if none of them can be used."""
        self.application = find_application(applications, self.tenant_id)
        return self.application

    async def find(self, client: Client) -> Application:
        return self.application or self.choose(await self.list_applications(client))

    async def fingerprint(self, client: Client) -> str:
        application = await self.find(client)
        return f"{self.proxy_url}/{application.path_id}"

    async def open(self, client: Client) -> Endpoint:
        application = await self.find(client)
        base_url = _proxy_base_url(self.proxy_url, application.path_id)
        return Endpoint(base_url, ListedBearer(self, client))


@dataclass(frozen=True, slots=True)
class ListedBearer:
    """The district's bearer from the list, which ClassLink may exchange at any time."""

    access: PartnerAccess
    client: Client

    async def headers(self, method: str, url: str) -> Mapping[str, str]:
        application = await self.access.find(self.client)
        return await bearer(application.bearer).headers(method, url)

    async def renew(self) -> bool:
        """Raises CredentialsRejected if the list has no other bearer to offer."""
        refused = await self.access.find(self.client)
        listed = self.access.choose(await self.access.list_applications(self.client))
        if listed.path_id != refused.path_id:
            raise RosterMoved(
                Code.CONN_MOVED,
                "ClassLink gave the district another application while its roster was read.",
            )
        if listed.bearer != refused.bearer:
            return True
        raise CredentialsRejected(
            Code.CONN_AUTH_REJECTED,
            "ClassLink refuses the district's bearer token and lists no other:"
            " the district has switched sharing off.",
        )


@dataclass(frozen=True, slots=True)
class FixedAccess:
    """With credentials that somebody copied from ClassLink's portal.

    The authorizer is one for all readings: it remembers how the server wants to be asked.
    """

    base_url: str
    authorizer: Authorizer = field(repr=False)

    async def fingerprint(self, client: Client) -> str:  # noqa: ARG002 - there is nothing to ask
        return self.base_url

    async def open(self, client: Client) -> Endpoint:  # noqa: ARG002 - there is nothing to ask
        return Endpoint(self.base_url, self.authorizer)
