"""An application on a port, and who listens to it: by WebSocket and by server-sent events."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect

from api.serve import config_of

PROTOCOL = "graphql-transport-ws"
FOLLOW = "subscription ($id: ID!) { syncRunProgress(id: $id) { state progress { read rate } } }"
SECONDS = 20.0


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """By the server of production; its address, without a scheme."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config_of(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


@dataclass
class Wire:
    """One WebSocket, as its client has it."""

    socket: ClientConnection

    async def say(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str) else json.dumps(message))

    async def hear(self) -> Any:
        async with asyncio.timeout(SECONDS):
            text = await self.socket.recv()
        assert isinstance(text, str)
        return json.loads(text)

    async def begin(self, secret: str | None = None) -> None:
        payload = {"Authorization": f"Bearer {secret}"} if secret else None
        await self.say({"type": "connection_init", "payload": payload})
        assert await self.hear() == {"type": "connection_ack"}

    async def subscribe(self, name: str, query: str = FOLLOW, **variables: Any) -> None:
        payload = {"query": query, "variables": variables}
        await self.say({"type": "subscribe", "id": name, "payload": payload})

    async def ended(self) -> int:
        """The code that the server closes it with; what comes before is left unread."""
        async with asyncio.timeout(SECONDS):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def wired(
    address: str,
    *,
    protocols: tuple[str, ...] = (PROTOCOL,),
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[Wire]:
    url = f"ws://{address}/graphql"
    async with connect(url, subprotocols=protocols, additional_headers=headers) as opened:
        yield Wire(opened)


async def streamed(
    address: str, secret: str | None, query: str = FOLLOW, **variables: Any
) -> AsyncIterator[tuple[str, Any]]:
    """The events with their data."""
    headers = {"Accept": "text/event-stream"}
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    content = {"query": query, "variables": variables}
    async with (
        httpx2.AsyncClient(timeout=SECONDS) as http,
        http.stream("POST", f"http://{address}/graphql", json=content, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        name = ""
        async for line in response.aiter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                yield name, json.loads(value)
