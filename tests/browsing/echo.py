"""A site that says what it was asked, by whatever name it is called."""

import json
from typing import Any, Final

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.browser import Browser

SHOP: Final = "https://shop.example"
SISTER: Final = "https://sister.shop.example"
OTHER: Final = "https://other.test"
PLAIN: Final = "http://plain.test"
FORM: Final = '<form method="post" action="{}"><input name="word" value="w"></form>'


async def echo(request: Request) -> Response:
    """Says what it was asked; `set` in the query is a cookie, `answer` a header to be set."""
    response = JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        }
    )
    for text in request.query_params.getlist("set"):
        response.headers.append("Set-Cookie", text)
    for text in request.query_params.getlist("answer"):
        name, _, value = text.partition(": ")
        response.headers[name] = value
    return response


async def away(request: Request) -> Response:
    """To where the query says; without that, here again."""
    query = request.query_params
    return RedirectResponse(query.get("to", "/away"), int(query.get("status", "302")))


APP: Final = Starlette(
    routes=[
        Route("/away", away, methods=["GET", "POST"]),
        Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "OPTIONS"]),
    ]
)


def said(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(browser.page.text)
    return found


def cookie(browser: Browser) -> str | None:
    found: str | None = said(browser)["headers"].get("cookie")
    return found


async def set_cookie(browser: Browser, url: str, text: str) -> None:
    await browser.get(str(httpx2.URL(url).copy_merge_params({"set": text})))


def fetch_headers(headers: dict[str, str]) -> dict[str, str]:
    names = ("site", "mode", "dest", "user")
    found = {name: headers.get(f"sec-fetch-{name}") for name in names}
    return {name: value for name, value in found.items() if value is not None}
