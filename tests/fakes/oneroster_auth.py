"""Who may read from a OneRoster fake: OAuth 1.0a, OAuth 2 client credentials, a static bearer."""

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote_plus

from tests.fakes.oauth1 import Verifier


class Auth(StrEnum):
    OAUTH1_SHA1 = "OAUTH1_SHA1"
    OAUTH1_SHA256 = "OAUTH1_SHA256"
    OAUTH2 = "OAUTH2"
    OAUTH2_BODY = "OAUTH2_BODY"
    BEARER = "BEARER"


def scope_of(version: str, name: str) -> str:
    return f"https://purl.imsglobal.org/spec/or/v{version.replace('.', 'p')}/scope/{name}"


CORE_SCOPES: Final = frozenset(
    scope_of(version, f"{name}.readonly")
    for version in ("1.1", "1.2")
    for name in ("roster-core", "roster")
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """`scopes` are those that a client may be granted; `expires_in` is of a token's life."""

    auth: Auth = Auth.OAUTH2
    key: str = "fake-oneroster-key"
    secret: str = "fake-oneroster-secret"  # noqa: S105 - of a fake
    token: str = "fake-oneroster-token"  # noqa: S105 - of a fake
    scopes: frozenset[str] = CORE_SCOPES
    expires_in: int = 3600
    clock: Callable[[], float] = time.time


class Asked(NamedTuple):
    """`url` is the request's, to the byte. `version` is of the OneRoster path."""

    method: str
    url: str
    authorization: str
    version: str


class Refusal(NamedTuple):
    status: int
    message: str


class Guard(Protocol):
    def refusal(self, asked: Asked) -> Refusal | None: ...

    def revoke(self) -> None:
        """Refuse from now on what was given out before."""
        ...


def guard_of(credentials: Credentials) -> Guard:
    match credentials.auth:
        case Auth.OAUTH1_SHA1 | Auth.OAUTH1_SHA256:
            return SignatureGuard(credentials)
        case Auth.OAUTH2 | Auth.OAUTH2_BODY:
            return TokenGuard(credentials)
        case Auth.BEARER:
            return BearerGuard(credentials)


class SignatureGuard:
    def __init__(self, credentials: Credentials) -> None:
        is_sha1 = credentials.auth is Auth.OAUTH1_SHA1
        self._verifier: Verifier | None = Verifier(
            key=credentials.key,
            secret=credentials.secret,
            method="HMAC-SHA1" if is_sha1 else "HMAC-SHA256",
            clock=credentials.clock,
        )

    def refusal(self, asked: Asked) -> Refusal | None:
        if self._verifier is None:
            return Refusal(401, "the key was withdrawn")
        fault = self._verifier.fault(asked.method, asked.url, asked.authorization)
        return Refusal(401, fault) if fault else None

    def revoke(self) -> None:
        self._verifier = None


class BearerGuard:
    def __init__(self, credentials: Credentials) -> None:
        self.token = credentials.token

    def refusal(self, asked: Asked) -> Refusal | None:
        is_known = asked.authorization == f"Bearer {self.token}"
        return None if is_known else Refusal(401, "the bearer is unknown")

    def revoke(self) -> None:
        """Another bearer is valid from now on: `token`."""
        self.token = f"{self.token.partition('~')[0]}~{secrets.token_hex(4)}"


class Issued(NamedTuple):
    expires_at: float
    scopes: frozenset[str]


class TokenGuard:
    """Gives tokens out, and takes them while they live."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._issued: dict[str, Issued] = {}

    def refusal(self, asked: Asked) -> Refusal | None:
        scheme, _, token = asked.authorization.partition(" ")
        issued = self._issued.get(token)
        if scheme != "Bearer" or issued is None:
            return Refusal(401, "the token is unknown")
        if self._credentials.clock() >= issued.expires_at:
            return Refusal(401, "the token has expired")
        names = ("roster-core.readonly", "roster.readonly")
        if not issued.scopes & {scope_of(asked.version, name) for name in names}:
            return Refusal(403, "the token has no scope for this")
        return None

    def revoke(self) -> None:
        self._issued.clear()

    def answer(
        self, authorization: str, form: Mapping[str, str]
    ) -> tuple[int, Mapping[str, object]]:
        """Status and body of the answer to a token request."""
        if not self._is_client(authorization, form):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        scopes = frozenset(form.get("scope", "").split())
        if not scopes <= self._credentials.scopes:
            return 400, {"error": "invalid_scope"}
        token = secrets.token_urlsafe(24)
        lives = self._credentials.expires_in
        self._issued[token] = Issued(self._credentials.clock() + lives, scopes)
        return 200, {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": lives,
            "scope": " ".join(sorted(scopes)),
        }

    def _is_client(self, authorization: str, form: Mapping[str, str]) -> bool:
        if self._credentials.auth is Auth.OAUTH2_BODY:
            given = (form.get("client_id", ""), form.get("client_secret", ""))
        else:
            given = _basic(authorization)
        return given == (self._credentials.key, self._credentials.secret)


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 section 2.3.1: both are form-encoded before they are joined."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (unquote_plus(key), unquote_plus(secret)) if scheme == "Basic" else ("", "")
