"""The ASGI application: GraphQL, and whether the process and its servers are well."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.exports import export_routes
from api.graphql.view import GraphQLView
from api.training import training_routes
from api.uploads import upload_route
from domain.resources import Resources
from domain.settings import Environment

READY_SECONDS = 2

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# GraphiQL's own page brings its scripts and styles from elsewhere; only a developer ever sees it.
_PAGE_POLICY = (
    "default-src 'none'; script-src https: 'unsafe-inline' 'unsafe-eval'; "
    "style-src https: 'unsafe-inline'; font-src https: data:; img-src https: data:; "
    "connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'"
)


class SecurityHeaders:
    """Every answer of the application has them. It may be kept only where it says so itself."""

    def __init__(self, app: ASGIApp, *, is_local: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if not is_local:
            self._headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_to(message)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add_to(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(scope=message)
        is_page = headers.get("content-type", "").startswith("text/html")
        headers.update(self._headers | {"Cache-Control": headers.get("cache-control", "no-store")})
        headers["Content-Security-Policy"] = _PAGE_POLICY if is_page else _POLICY


def create_app(resources: Resources, *, environment: Environment) -> Starlette:
    """The resources are the caller's: opened before, closed after."""
    is_local = environment is Environment.LOCAL
    view = GraphQLView(resources, has_page=is_local)

    async def ready(_: Request) -> Response:
        database, queue = await asyncio.gather(_answers(resources), _is_reachable(resources))
        found = {"database": database, "queue": queue}
        answer = {name: "ok" if is_there else "missing" for name, is_there in found.items()}
        return JSONResponse(answer, status_code=200 if all(found.values()) else 503)

    return Starlette(
        routes=[
            Route("/graphql", view.respond, methods=["GET", "POST"]),
            *export_routes(resources.database),
            upload_route(resources.database),
            *training_routes(resources.database),
            Route("/healthz", _health),
            Route("/readyz", ready),
        ],
        middleware=[Middleware(SecurityHeaders, is_local=is_local)],
    )


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _answers(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS), resources.database.read() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    return True


async def _is_reachable(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await resources.queue.is_reachable()
    except TimeoutError:
        return False
