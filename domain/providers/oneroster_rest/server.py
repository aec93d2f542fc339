"""A OneRoster server as an integration's settings and credentials say how to reach it."""

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from domain.providers.http.client import Authorizer, Client
from domain.providers.oneroster_rest.access import Endpoint
from domain.providers.oneroster_rest.auth.bearer import bearer
from domain.providers.oneroster_rest.auth.oauth1 import OAuth1, SignatureMethod
from domain.providers.oneroster_rest.auth.oauth2 import ClientCredentials, TokenRequest
from domain.roster.source import CredentialsRejected, SourceConfig
from domain.validation.codes import Code

_PATHS: Final = {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}
_VERSIONED: Final = re.compile(r"/v1p(\d)$")
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


class Auth(StrEnum):
    """How a server wants to be asked: independent of its version."""

    OAUTH2 = "OAUTH2"
    OAUTH2_BODY = "OAUTH2_BODY"
    OAUTH1_SHA1 = "OAUTH1_SHA1"
    OAUTH1_SHA256 = "OAUTH1_SHA256"
    BEARER = "BEARER"


SIGNATURE_METHODS: Final[Mapping[Auth, SignatureMethod]] = {
    Auth.OAUTH1_SHA1: SignatureMethod.HMAC_SHA1,
    Auth.OAUTH1_SHA256: SignatureMethod.HMAC_SHA256,
}


def version_of(settings: Mapping[str, Any]) -> str:
    """The version that is set, else the one that the address ends in, else 1.2."""
    version = _text(settings, "version")
    if version and version not in _PATHS:
        raise _unusable(f"its version is {version}; 1.1 and 1.2 can be read")
    versioned = _VERSIONED.search(_text(settings, "base_url").rstrip("/"))
    return version or (f"1.{versioned[1]}" if versioned else "1.2")


def base_url_of(settings: Mapping[str, Any]) -> str:
    """The whole address; the path of the version is added where it lacks one."""
    address = _text(settings, "base_url").rstrip("/")
    if not address:
        raise _unusable("it has no base_url")
    if "?" in address or "#" in address:
        raise _unusable("its base_url has a query; it is the address in front of /orgs")
    return address if _VERSIONED.search(address) else address + _PATHS[version_of(settings)]


def auth_of(settings: Mapping[str, Any]) -> Auth:
    word = _text(settings, "auth") or Auth.OAUTH2.value
    try:
        return Auth(word)
    except ValueError:
        raise _unusable(f"its auth is {word}; there are {', '.join(Auth)}") from None


def core_scope(version: str) -> str:
    """The scope that opens all collections that are read."""
    minor = version.partition(".")[2]
    return f"https://purl.imsglobal.org/spec/or/v1p{minor}/scope/roster-core.readonly"


class ServerAccess:
    """An Access. What the settings lack is told when it is opened."""

    def __init__(self, config: SourceConfig) -> None:
        self._settings = config.settings
        self._credentials = config.credentials

    async def fingerprint(self, client: Client) -> str:  # noqa: ARG002 - the settings tell it
        """Constant: what changes at the server meanwhile is seen by its totals."""
        told = f"{base_url_of(self._settings)} {version_of(self._settings)}"
        return hashlib.sha256(told.encode()).hexdigest()

    async def open(self, client: Client) -> Endpoint:
        return Endpoint(base_url_of(self._settings), self._authorizer(client))

    def _authorizer(self, client: Client) -> Authorizer:
        auth = auth_of(self._settings)
        if auth is Auth.BEARER:
            return bearer(self._credential("token"))
        key, secret = self._credential("key"), self._credential("secret")
        if auth in SIGNATURE_METHODS:
            return OAuth1(key, secret, SIGNATURE_METHODS[auth])
        request = TokenRequest(
            url=self._token_url(),
            key=key,
            secret=secret,
            scopes=self._scopes(),
            in_body=auth is Auth.OAUTH2_BODY,
        )
        return ClientCredentials(client, request)

    def _token_url(self) -> str:
        """The standard has none, so it must be told."""
        address = _text(self._settings, "token_url")
        if not address:
            raise _unusable("it has no token_url, which OAuth 2 needs")
        return address

    def _scopes(self) -> tuple[str, ...]:
        """Only what is granted: one that is not may cost the token. An empty list asks for none."""
        scopes = self._settings.get("scopes")
        if scopes is None:
            return (core_scope(version_of(self._settings)),)
        listed = scopes.split() if isinstance(scopes, str) else scopes
        return tuple(str(scope) for scope in listed)

    def _credential(self, name: str) -> str:
        value = self._credentials.get(name, "").strip()
        if not value:
            raise CredentialsRejected(
                Code.CONN_AUTH_REJECTED, f"The integration has no {name} for its server."
            )
        if name == "token" and not _SENDABLE.fullmatch(value):
            raise CredentialsRejected(
                Code.CONN_AUTH_REJECTED, "The token has characters that cannot be sent."
            )
        return value


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    return "" if value is None else str(value).strip()


def _unusable(why: str) -> CredentialsRejected:
    return CredentialsRejected(
        Code.CONN_ADDRESS_REFUSED, f"The integration does not say how to reach its server: {why}."
    )
