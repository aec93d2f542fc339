"""A provider that answers at once, as a process of its own: a fake whose answers are made once.

`python -m tests.benchmarks.answering clever|oneroster <folder>` prints one line of JSON when it is
ready: {"url": …, "token": …, "district_id": …}. It ends when its standard input does.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.fakes import clever, oneroster
from tests.fakes.oneroster import OneRosterOptions
from tests.fakes.oneroster_auth import Auth, Credentials


class AtOnce:
    """The app's answer to the first request of an address is its answer to all that follow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: dict[tuple[str, bytes], list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = (scope["path"], scope["query_string"])
        messages = self._answers.get(address)
        if messages is None:
            messages = await self._ask(scope, receive)
        for message in messages:
            await send(message)

    async def _ask(self, scope: Scope, receive: Receive) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        if messages[0]["status"] == 200:
            self._answers[scope["path"], scope["query_string"]] = messages
        return messages


def _open(provider: str, folder: Path) -> tuple[Starlette, dict[str, str]]:
    if provider == "clever":
        app = clever.create_app(folder)
        fake = app.state.fake
        return app, {"token": fake.token, "district_id": fake.district_id}
    credentials = Credentials(Auth.BEARER)
    app = oneroster.create_app(folder, options=OneRosterOptions(credentials=credentials))
    return app, {"token": credentials.token}


def main() -> None:
    app, told = _open(sys.argv[1], Path(sys.argv[2]))
    config = uvicorn.Config(
        AtOnce(app), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    # With the protocol named asyncio sends small answers without waiting for what follows them.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sys.stdout.write(json.dumps({"url": url, **told}) + "\n")
        sys.stdout.flush()
        asyncio.run(server.serve(sockets=[listener]))


def _end_with_parent(server: uvicorn.Server) -> None:
    # The bare descriptor: a thread that waits inside sys.stdin would block our own exit.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True


if __name__ == "__main__":
    main()
