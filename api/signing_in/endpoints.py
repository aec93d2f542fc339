"""What all pages have in common: how forms come in, and what happens when something goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from api.browsers import is_of_same_origin
from api.graphql.errors import log_failure
from api.request_ids import request_id_of
from api.signing_in.pages import ELSEWHERE, Link, message
from api.signing_in.site import Site
from domain.one_time import OneTimeUnavailable
from domain.throttle import ThrottleUnavailable

Act = Callable[[Site, Request], Awaitable[Response]]
LARGEST_FORM: Final = 16 << 10
_SECONDS: Final = 10
_MOST_FIELDS: Final = 20
_FORM: Final = "application/x-www-form-urlencoded"


class Wrong(Exception):
    """A request ends with a page that says one thing."""

    def __init__(self, status: int, title: str, text: str, *links: Link) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.text = text
        self.links = links or (ELSEWHERE,)


def route(site: Site, path: str, act: Act, *, posts: Act | None = None) -> Route:
    """`act` answers GET; `posts` the forms of our own pages, and of nobody else's."""

    async def respond(request: Request) -> Response:
        request_id = request_id_of(request.scope)
        try:
            response = await _answer(site, request, act, posts)
        except Wrong as wrong:
            response = message(
                wrong.title, wrong.text, *wrong.links, status=wrong.status, is_alarm=True
            )
        except (OneTimeUnavailable, ThrottleUnavailable):
            response = message(
                "This does not work for the moment",
                "A part of this site does not answer. Try again in a minute.",
                ELSEWHERE,
                status=503,
                is_alarm=True,
            )
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - nothing may get out but a reference
            log_failure(error, request_id=request_id)
            response = message(
                "Something went wrong here",
                f"It is our fault. If you ask for help, give the reference {request_id}.",
                ELSEWHERE,
                status=500,
                is_alarm=True,
            )
        response.headers["X-Request-Id"] = request_id
        return response

    return Route(path, respond, methods=["GET", "POST"] if posts else ["GET"])


async def _answer(site: Site, request: Request, act: Act, posts: Act | None) -> Response:
    if request.method != "POST" or posts is None:
        return await act(site, request)
    if not is_of_same_origin(request, site.web.public_origin):
        raise Wrong(
            403,
            "This form is not from here",
            "The form was sent by another site, or your browser does not say which site it is"
            " from. Open the page here and try again.",
        )
    return await posts(site, request)


async def read_form(request: Request) -> Mapping[str, str]:
    """Each field once. Raises Wrong."""
    essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await _read(request) if essence == _FORM else None
    try:
        pairs = parse_qsl(
            (body or b"").decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        body, pairs = None, []
    fields = dict(pairs)
    if body is None or len(fields) < len(pairs) or any("\x00" in text for text in fields.values()):
        raise Wrong(400, "This form cannot be read", "Go back, and send the form once more.")
    return fields


async def _read(request: Request) -> bytes | None:
    """None for more than a form of ours has."""
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_FORM:
                    return None
    except TimeoutError:
        return None
    return bytes(body)


def address_of(request: Request) -> str:
    """Where a request comes from, for counting; behind a proxy, what the server was told of it."""
    return request.client.host if request.client else ""
