"""OAuth 2 client credentials: a token is asked for, kept while it holds, and renewed once."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import Final
from urllib.parse import quote_plus

import msgspec

from domain.providers.http.answer import Answer, BadPayload
from domain.providers.http.client import Client
from domain.providers.http.failures import Refused
from domain.roster.source import CredentialsRejected
from domain.validation.codes import Code

_MARGIN: Final = 60.0
"""Seconds before its end that a token is not used any more: a page takes its time."""
_UNTOLD: Final = 3_600.0
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_REFUSALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """`in_body`: key and secret go into the form instead of an HTTP Basic header."""

    url: str
    key: str
    secret: str = field(repr=False)
    scopes: Sequence[str] = ()
    in_body: bool = False


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: int | float | str | None = None


class ClientCredentials:
    """An Authorizer that asks for its tokens itself."""

    def __init__(self, client: Client, request: TokenRequest) -> None:
        self._client = client
        self._request = request
        self._token = ""
        self._good_until = 0.0
        self._asking = asyncio.Lock()

    async def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002
        async with self._asking:
            if not self._token or monotonic() >= self._good_until:
                await self._ask()
        return {"Authorization": f"Bearer {self._token}"}

    async def renew(self) -> bool:
        self._token = ""
        return True

    async def _ask(self) -> None:
        """Some servers take key and secret as they are, where the standard wants them escaped."""
        *others, last = _proofs(self._request)
        for headers, form in others:
            try:
                return await self._ask_with(headers, form)
            except CredentialsRejected:
                continue
        await self._ask_with(*last)
        return None

    async def _ask_with(self, headers: Mapping[str, str], form: Mapping[str, str]) -> None:
        asked_at = monotonic()
        try:
            token = await self._client.post_form(
                self._request.url, form=form, headers=headers, decode=_decode
            )
        except Refused as refused:
            if refused.status not in _REFUSALS:
                raise
            scopes = ", ".join(self._request.scopes)
            raise CredentialsRejected(
                Code.CONN_AUTH_REJECTED,
                f"{refused} No token was given out: check the token address, key and secret, and"
                f" that the application is granted the scopes that are asked for ({scopes}).",
                place=refused.place,
            ) from refused
        self._token = token.access_token
        lasts = _seconds(token.expires_in)
        self._good_until = asked_at + max(lasts - _MARGIN, lasts / 2)


def _proofs(request: TokenRequest) -> list[tuple[Mapping[str, str], Mapping[str, str]]]:
    """The headers and forms to ask with, one after the other."""
    form = {"grant_type": "client_credentials"}
    if request.scopes:
        form["scope"] = " ".join(request.scopes)
    if request.in_body:
        return [({}, {**form, "client_id": request.key, "client_secret": request.secret})]
    escaped = f"{quote_plus(request.key)}:{quote_plus(request.secret)}"
    plain = f"{request.key}:{request.secret}"
    return [
        ({"Authorization": f"Basic {b64encode(pair.encode()).decode('ascii')}"}, form)
        for pair in dict.fromkeys((escaped, plain))
    ]


def _decode(answer: Answer) -> _TokenAnswer:
    try:
        token = msgspec.json.decode(answer.body, type=_TokenAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload("there is no access_token in it") from error
    if not _TOKEN.fullmatch(token.access_token):
        raise BadPayload("its access_token cannot be sent")
    return token


def _seconds(value: float | str | None) -> float:
    """How long a token holds; some servers write the number as a text, some nothing."""
    try:
        seconds = float(value) if value is not None else _UNTOLD
    except ValueError:
        return _UNTOLD
    return seconds if 0 < seconds < float("inf") else _UNTOLD
