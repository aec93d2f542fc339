"""The HTTP side of a request: who asks, what is in the body, in which form the answer goes."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request

from api.browsers import CSRF_HEADER, SESSION_COOKIE, is_of_same_origin, read_cookie
from api.graphql.documents import check_text
from api.graphql.errors import ErrorCode, Refused
from domain.clock import utc_now
from domain.database import Database
from domain.people import sessions
from domain.people.callers import Caller
from domain.people.credentials import find_caller, look_again

MAX_BODY = 1024 * 1024
"""As much as the largest batch of results takes; see progressRecord."""
BODY_SECONDS = 10
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"


class Operation(NamedTuple):
    """What a request wants executed."""

    query: str
    variables: dict[str, Any]
    name: str | None


async def authenticate(request: Request, database: Database) -> Caller:
    """By a bearer token: an API token, or that of a session. Raises Refused.

    A missing, unknown, expired and revoked token get the same answer.
    """
    return await know(bearer_of(request.headers), database)


async def authenticate_browser(
    request: Request, database: Database, *, public_origin: str | None
) -> Caller:
    """As `authenticate`, or by the cookie of a browser, whose requests must be our own pages'.

    With a token beside it the cookie is ignored. Raises Refused.
    """
    return await know(browser_secret(request, public_origin=public_origin), database)


def browser_secret(request: Request, *, public_origin: str | None) -> str | None:
    """The token, or that of the cookie. Raises Refused."""
    secret = bearer_of(request.headers)
    if "authorization" not in request.headers:
        secret = read_cookie(request, SESSION_COOKIE)
        # An API token has no business in a browser: the cookie is a session's alone.
        secret = secret if secret and secret.startswith(sessions.PREFIX) else None
        if secret and not (
            request.headers.get(CSRF_HEADER) and is_of_same_origin(request, public_origin)
        ):
            raise Refused(
                403,
                ErrorCode.FORBIDDEN,
                "A request with a cookie comes from a page of this site, with the header"
                f" {CSRF_HEADER}.",
            )
    return secret


def bearer_of(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def know(secret: str | None, database: Database, *, is_again: bool = False) -> Caller:
    """Whose it is; `is_again`: that they listen on counts as no use. Raises Refused."""
    find = look_again if is_again else find_caller
    caller = await find(database, secret, now=utc_now()) if secret else None
    if caller is None:
        raise Refused(
            401,
            ErrorCode.UNAUTHENTICATED,
            "Sign in, or send a valid token.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


class AnswerForm(NamedTuple):
    """`is_older`: the caller names application/json only; `is_stream`: a stream of events will do.

    By the older convention every status but 200 is a failure of the transport: a wrong document is
    answered with 200.
    """

    media_type: str
    is_older: bool
    is_stream: bool


def answer_form(request: Request) -> AnswerForm:
    accepted = request.headers.get("accept", "")
    names = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    is_newer = GRAPHQL_JSON in names
    return AnswerForm(
        media_type=f"{GRAPHQL_JSON if is_newer else JSON}; charset=utf-8",
        is_older=JSON in names and not is_newer,
        is_stream=EVENT_STREAM in names,
    )


async def read_operation(request: Request) -> Operation:
    """Raises Refused."""
    _check_headers(request)
    return _read_json(await _read_body(request))


def _check_headers(request: Request) -> None:
    essence, *parameters = request.headers.get("content-type", "").lower().split(";")
    named = dict(parameter.strip().partition("=")[::2] for parameter in parameters)
    charset = named.get("charset", "utf-8").strip('"')
    encoding = request.headers.get("content-encoding", "identity").lower()
    if essence.strip() != JSON or charset not in {"utf-8", "utf8"} or encoding != "identity":
        raise Refused(415, ErrorCode.BAD_REQUEST, f"Send {JSON} in UTF-8, not compressed.")


async def _read_body(request: Request) -> bytes:
    """Stops at the limit, whatever length was announced."""
    length = request.headers.get("content-length", "0")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            if length.isdigit() and int(length) <= MAX_BODY:
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY:
                        break
                else:
                    return bytes(body)
    except TimeoutError:
        raise Refused(408, ErrorCode.BAD_REQUEST, "The request did not arrive in time.") from None
    raise Refused(413, ErrorCode.BAD_REQUEST, f"A request has at most {MAX_BODY} bytes.")


def _read_json(body: bytes) -> Operation:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused(400, ErrorCode.BAD_REQUEST, "The body is not JSON.") from None
    return operation_of(content)


def operation_of(content: Any) -> Operation:
    """From what a body, or a message, has in it. Raises Refused."""
    match content:
        case {"query": str() as query}:
            variables, name = content.get("variables"), content.get("operationName")
        case _:
            raise Refused(
                400, ErrorCode.BAD_REQUEST, "The body is not an object with a text `query`."
            )
    if not isinstance(variables, dict | None) or not isinstance(name, str | None):
        raise Refused(
            400,
            ErrorCode.BAD_REQUEST,
            "`variables` is an object and `operationName` a text, where they are given.",
        )
    if not isinstance(content.get("extensions"), dict | None):
        raise Refused(400, ErrorCode.BAD_REQUEST, "`extensions` is an object, where it is given.")
    check_text(variables)
    return Operation(query, variables or {}, name)
