"""Requests to the providers that people sign in with: few, small, quick and never redirected."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any, Final, cast

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from typing_extensions import override

from api.signing_in.sso.failures import CodeSpent, Fault, ProviderFailed

CONVERSATION_SECONDS: Final = 10.0
"""All that is asked of a provider while one person waits."""
LARGEST_BODY: Final = 256 << 10
_CONNECT_SECONDS: Final = 5.0


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Answers come whole, as JSON and from where they were asked for, or not at all."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, allows_http: bool) -> None:
        self._inner = inner
        self._allows_http = allows_http

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        place = f"{request.url.netloc.decode('ascii')}{request.url.path}"
        if request.url.scheme != "https" and not self._allows_http:
            raise ProviderFailed(Fault.ADDRESS_REFUSED, place=place)
        # What is not packed cannot be much more than it seems to be.
        request.headers["Accept-Encoding"] = "identity"
        request.headers["Accept"] = "application/json"
        answer = await self._inner.handle_async_request(request)
        try:
            fault = _fault_of(answer)
            body = b"" if fault else await _read(answer)
        finally:
            await answer.aclose()
        if fault or body is None:
            raise ProviderFailed(fault or Fault.TOO_LARGE, place=place, status=answer.status_code)
        return httpx2.Response(
            answer.status_code,
            headers={"Content-Type": "application/json"},
            content=body,
            request=request,
        )

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


def _fault_of(answer: httpx2.Response) -> Fault | None:
    status = answer.status_code
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Fault.REDIRECT
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fault.STATUS
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    is_plain = answer.headers.get("content-encoding", "identity").strip().lower() == "identity"
    return None if is_json and is_plain else Fault.NOT_JSON


async def _read(answer: httpx2.Response) -> bytes | None:
    """None for more than we take."""
    body = bytearray()
    # The bytes as they came: nothing is unpacked.
    async for part in cast("httpx2.AsyncByteStream", answer.stream):
        body += part
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)


@cache
def _trusted() -> ssl.SSLContext:
    """Once for all: reading the certificate authorities takes longer than a request."""
    return httpx2.create_ssl_context()


def open_client(*, allows_http: bool, **options: Any) -> AsyncOAuth2Client:
    """A client for one conversation; the caller closes it. The options are authlib's."""
    transport = httpx2.AsyncHTTPTransport(verify=_trusted(), trust_env=False)
    return AsyncOAuth2Client(
        **options,
        transport=BoundedTransport(transport, allows_http=allows_http),
        timeout=httpx2.Timeout(CONVERSATION_SECONDS, connect=_CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "Homerow"},
    )


@contextmanager
def network_faults() -> Iterator[None]:
    """What the network does, as a ProviderFailed. The order matters: a time-out is an OSError."""
    try:
        yield
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise ProviderFailed(Fault.TIMEOUT) from error
    except (httpx2.TransportError, OSError) as error:
        raise ProviderFailed(Fault.UNREACHABLE) from error


async def get_json(
    client: AsyncOAuth2Client, url: str, *, fault: Fault, with_token: bool = False
) -> dict[str, Any]:
    """The object there; `fault` is what is raised for an answer that has none."""
    answer = await client.request("GET", url, withhold_token=not with_token)
    found = _object_of(answer) if answer.status_code == HTTPStatus.OK else None
    if found is None:
        place = f"{answer.url.host}{answer.url.path}"
        raise ProviderFailed(fault, place=place, status=answer.status_code)
    return found


def _object_of(answer: httpx2.Response) -> dict[str, Any] | None:
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def exchange(
    client: AsyncOAuth2Client, url: str, *, code: str, code_verifier: str | None
) -> dict[str, str]:
    """What the token endpoint gives for a code: an access token, which the client then has, too.

    Raises CodeSpent. authlib reads only what has been looked at: it would stumble over the rest.
    """

    def looked_at(answer: httpx2.Response) -> httpx2.Response:
        return httpx2.Response(HTTPStatus.OK, json=_tokens_of(answer), request=answer.request)

    client.register_compliance_hook("access_token_response", looked_at)
    return dict(
        await client.fetch_token(
            url, code=code, code_verifier=code_verifier, grant_type="authorization_code"
        )
    )


def _tokens_of(answer: httpx2.Response) -> dict[str, str]:
    place, found = f"{answer.url.host}{answer.url.path}", _object_of(answer) or {}
    if found.get("error") == "invalid_grant":
        raise CodeSpent
    tokens = {
        name: found[name]
        for name in ("access_token", "token_type", "id_token")
        if isinstance(found.get(name), str) and found[name].isascii() and found[name].isprintable()
    }
    is_bearer = tokens.get("token_type", "bearer").lower() == "bearer"
    if answer.status_code != HTTPStatus.OK or "error" in found or not is_bearer:
        raise ProviderFailed(Fault.TOKEN_REFUSED, place=place, status=answer.status_code)
    if not tokens.get("access_token"):
        raise ProviderFailed(Fault.TOKEN_MISSING, place=place)
    return tokens
