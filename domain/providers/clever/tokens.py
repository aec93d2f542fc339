"""Clever's district-app tokens: entered by the tenant, or looked up by the district's id.

Clever may exchange a district's token at any time, so one that is refused is looked up again.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from domain.providers.hosts import Hosts
from domain.providers.http.answer import Answer, BadPayload
from domain.providers.http.client import Client, FixedHeaders
from domain.providers.http.failures import Refused
from domain.roster.source import CredentialsRejected, RosterUnreadable, SourceConfig
from domain.validation.codes import Code

TOKENS_PATH: Final = "/oauth/tokens"
_MOST_PAGES: Final = 1000


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """Of an application that is registered at Clever."""

    client_id: str
    secret: str = field(repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        pair = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}"}


class Token(NamedTuple):
    district_id: str
    created: str
    secret: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Access:
    """What an integration is opened with: a token of its own, or keys to look one up."""

    oauth_url: str
    district_id: str | None
    token: str | None = field(default=None, repr=False)
    keys: ClientKeys | None = None

    @classmethod
    def of(cls, config: SourceConfig, hosts: Hosts) -> "Access":
        """The tenant's own credentials, or else the platform's keys.

        Never both: with a token that is no good and another district's id a tenant could have the
        platform look up that district's.
        """
        own = _keys(config.credentials.get("key"), config.credentials.get("secret"))
        platform = _keys(hosts.clever_client_id, hosts.clever_client_secret)
        return cls(
            hosts.clever_oauth_url,
            district_id=str(config.settings.get("district_id") or "").strip() or None,
            token=(config.credentials.get("token") or "").strip() or None,
            keys=own or (None if config.credentials else platform),
        )


def _keys(client_id: str | None, secret: str | None) -> ClientKeys | None:
    client_id, secret = (client_id or "").strip(), (secret or "").strip()
    return ClientKeys(client_id, secret) if client_id and secret else None


class DistrictToken:
    """An Authorizer: the bearer of one district. Looks up nothing before it is needed."""

    def __init__(self, client: Client, access: Access) -> None:
        self._client = client
        self._access = access
        self._secret = access.token
        self._listed: Token | None = None

    async def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002
        if self._secret is None:
            self._secret = (await self.look_up()).secret
        return {"Authorization": f"Bearer {self._secret}"}

    async def renew(self) -> bool:
        """True if Clever lists another token for the district than the one that was refused."""
        if self._access.keys is None or self._access.district_id is None:
            return False
        refused = self._secret
        self._secret = (await self.look_up()).secret
        return self._secret != refused

    @property
    def listed(self) -> Token | None:
        """What the list says of the token in use; None for one that the tenant entered."""
        return self._listed

    async def look_up(self) -> Token:
        """Raises CredentialsRejected if there is none."""
        access = self._access
        if access.keys is None:
            raise CredentialsRejected(
                Code.CONN_AUTH_REJECTED,
                "The integration has neither a district's token nor a client id and secret.",
            )
        if access.district_id is None:
            raise CredentialsRejected(
                Code.CONN_AUTH_REJECTED,
                "The integration names no district, so no token can be looked up for it.",
            )
        tokens = await read_tokens(
            self._client, access.oauth_url, keys=access.keys, district_id=access.district_id
        )
        if not tokens:
            raise CredentialsRejected(
                Code.CONN_DISCONNECTED,
                f"Clever lists no token for the district {access.district_id}:"
                " it does not share with this application.",
                place=TOKENS_PATH,
            )
        self._listed = max(tokens, key=lambda token: token.created)
        return self._listed


async def read_tokens(
    client: Client, oauth_url: str, *, keys: ClientKeys, district_id: str | None = None
) -> Sequence[Token]:
    """Every token of the application's, or of one district."""
    base = f"{TOKENS_PATH}?owner_type=district"
    path: str | None = f"{base}&district={quote(district_id, safe='')}" if district_id else base
    asked: list[str] = []
    tokens: list[Token] = []
    while path is not None:
        if path in asked or len(asked) >= _MOST_PAGES:
            raise RosterUnreadable(
                Code.CONN_PAGINATION_BROKEN,
                "Clever's list of tokens does not come to its end.",
                place=TOKENS_PATH,
            )
        asked.append(path)
        page = await _read_page(client, f"{oauth_url}{path}", keys)
        tokens += page.tokens
        path = page.next_path
    return [token for token in tokens if district_id in {None, token.district_id}]


class _Owner(msgspec.Struct):
    id: str = ""
    type: str = ""


class _Listed(msgspec.Struct):
    owner: _Owner
    access_token: str = ""
    created: str | None = None
    scopes: list[str] | None = None


class _Link(msgspec.Struct):
    rel: str = ""
    uri: str = ""


class _TokenList(msgspec.Struct):
    data: list[_Listed]
    links: list[_Link] | None = None


class _TokenPage(NamedTuple):
    tokens: list[Token]
    next_path: str | None


async def _read_page(client: Client, url: str, keys: ClientKeys) -> _TokenPage:
    try:
        return await client.get(url, authorizer=FixedHeaders(keys.headers), decode=decode_tokens)
    except Refused as refused:
        if refused.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}:
            raise
        raise CredentialsRejected(
            Code.CONN_AUTH_REJECTED,
            f"Clever refused the client id and secret. {refused}",
            place=refused.place,
        ) from refused


def decode_tokens(answer: Answer) -> _TokenPage:
    try:
        found = msgspec.json.decode(answer.body, type=_TokenList)
    except ValueError:
        raise BadPayload("a list of tokens was expected") from None
    tokens = [
        Token(row.owner.id, row.created or "", row.access_token, frozenset(row.scopes or ()))
        for row in found.data
        if row.access_token and row.owner.type in {"", "district"}
    ]
    uri = next((link.uri for link in found.links or () if link.rel == "next"), None)
    return _TokenPage(tokens, None if uri is None else _own_path(uri))


def _own_path(uri: str) -> str:
    """The client's secret goes to no other place than the one that was asked."""
    if not uri.startswith(f"{TOKENS_PATH}?"):
        raise BadPayload("the link to the next tokens leads elsewhere")
    return uri


class _TokenInfo(msgspec.Struct):
    scopes: list[str]


async def read_scopes(client: Client, access: Access, token: DistrictToken) -> frozenset[str]:
    """What a token may read, as Clever tells whoever has it."""
    url = f"{access.oauth_url}/oauth/tokeninfo"
    return await client.get(url, authorizer=token, decode=decode_scopes)


def decode_scopes(answer: Answer) -> frozenset[str]:
    try:
        return frozenset(msgspec.json.decode(answer.body, type=_TokenInfo).scopes)
    except ValueError:
        raise BadPayload("the scopes of a token were expected") from None
