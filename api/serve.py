"""Serves the API over HTTP. As a program, `python -m api.serve FD`, it is a part of `homerow up`.

It does without the rest of the command line, which would take a second more to import.
"""

import asyncio
import socket
import sys
from contextlib import AbstractAsyncContextManager, suppress

import uvicorn
import uvloop
from starlette.types import ASGIApp

from api.app import create_app
from api.graphql.socket_talk import MAX_MESSAGE
from api.signals import stop_on_signals
from api.signing_in.site import SignInSettings
from domain.collector import calm_collector
from domain.database import DatabaseRole
from domain.figures import serving_metrics
from domain.logs import configure_logs
from domain.providers.hosts import Hosts
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from domain.settings import Settings, read_settings

GRACE_SECONDS = 5  # for requests that are under way


def serve(
    opening: AbstractAsyncContextManager[Resources],
    listener: socket.socket,
    *,
    settings: Settings,
) -> None:
    """Until a signal ends it."""
    calm_collector()
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(opening, listener, settings))


def config_of(app: ASGIApp) -> uvicorn.Config:
    """Messages are not compressed: what takes little room would take much here."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


async def _serve(
    opening: AbstractAsyncContextManager[Resources],
    listener: socket.socket,
    settings: Settings,
) -> None:
    async with opening as resources:
        config = config_of(create_app(resources, SignInSettings.of(settings)))
        with serving_metrics(
            resources.database, host=settings.metrics_host, port=settings.metrics_port
        ):
            await uvicorn.Server(config).serve(sockets=[listener])


def main() -> None:
    """Everything is in the environment, as for the worker."""
    stop_on_signals()
    configure_logs()
    settings = read_settings()
    if settings.database_url is None or settings.redis_url is None or settings.secret_keys is None:
        raise SystemExit("The servers and the keys are not in the environment: use `homerow api`.")
    opening = open_resources(
        database_url=settings.database_url.get_secret_value(),
        redis_url=settings.redis_url.get_secret_value(),
        keys=KeyRing.parse(settings.secret_keys.get_secret_value()),
        hosts=Hosts.of(settings),
        role=DatabaseRole.API,
    )
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        serve(opening, listener, settings=settings)


if __name__ == "__main__":
    main()
