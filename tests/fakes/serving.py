"""A fake behind a real port, in a thread of this process or as the process itself."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Generator
from typing import Any, Final, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.types import Scope
from typing_extensions import override

_HOST: Final = "127.0.0.1"
_TICK_SECONDS = 0.01
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_RESET_AT_ONCE: Final = struct.pack("ii", 1, 0)


class Served(NamedTuple):
    """`url` has no slash at its end."""

    url: str
    app: Starlette

    @property
    def state(self) -> Any:
        """`plan`, `log`, `fake`: see the app's `create_app`."""
        return self.app.state


def listen(port: int = 0) -> socket.socket:
    # asyncio spares only sockets that say so the wait of Nagle's algorithm.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    return f"http://{_HOST}:{listener.getsockname()[1]}"


class _Server(uvicorn.Server):
    """Looks more often whether it is to stop: tests start and stop very many."""

    @override
    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            await asyncio.sleep(_TICK_SECONDS)


def server_of(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    app.state.server = server
    return server


@contextlib.contextmanager
def serve(app: Starlette, *, port: int = 0) -> Generator[Served]:
    """The app in a thread, for as long as entered."""
    with listen(port) as listener:
        server = server_of(app)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="fake provider", daemon=True
        )
        thread.start()
        try:
            _await_start(server, thread)
            yield Served(url_of(listener), app)
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The fake provider does not start.")
        time.sleep(0.005)


def reset_connection(scope: Scope) -> None:
    """Break the connection of a request off, as a host that goes down would."""
    server = getattr(scope["app"].state, "server", None)
    connections: set[Any] = server.server_state.connections if server else set()
    for connection in connections:
        if connection.client == tuple(scope["client"]):
            peer = connection.transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
            connection.transport.abort()
            return
    raise ConnectionResetError("told to reset")
