"""The ASGI application: GraphQL, the doors beside it, the sign-in pages, and how we are."""

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from api.cors import Cors
from api.exports import export_routes
from api.graphql.sockets import Sockets
from api.graphql.view import GraphQLView
from api.hosts import OwnHost
from api.request_ids import RequestIds
from api.security_headers import SecurityHeaders
from api.signing_in.routes import sign_in_routes
from api.signing_in.site import SignInSettings, Site
from api.training import training_routes
from api.uploads import upload_route
from api.web_settings import WebSettings
from domain.resources import Resources

READY_SECONDS = 2


def create_app(resources: Resources, settings: SignInSettings) -> Starlette:
    """The resources are the caller's: opened before, closed after."""
    web = settings.web
    view = GraphQLView(resources, web=web)

    async def ready(_: Request) -> Response:
        database, queue = await asyncio.gather(_answers(resources), _is_reachable(resources))
        found = {"database": database, "queue": queue}
        answer = {name: "ok" if is_there else "missing" for name, is_there in found.items()}
        return JSONResponse(answer, status_code=200 if all(found.values()) else 503)

    return Starlette(
        routes=[
            Route("/graphql", view.respond, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", Sockets(view.engine).serve),
            *export_routes(resources.database),
            upload_route(resources.database),
            *training_routes(resources.database),
            *sign_in_routes(Site(resources, settings)),
            Route("/healthz", _health),
            Route("/readyz", ready),
        ],
        middleware=_middleware(web),
    )


def _middleware(web: WebSettings) -> list[Middleware]:
    """The outermost first."""
    around = [Middleware(RequestIds), Middleware(SecurityHeaders, web=web)]
    if web.public_url and not web.is_local:
        around.append(Middleware(OwnHost, public_url=web.public_url))
    if web.cors_origins:
        around.append(Middleware(Cors, origins=web.cors_origins))
    return around


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
