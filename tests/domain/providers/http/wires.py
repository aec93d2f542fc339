"""A provider made of bytes: answers each request with what the test wrote down for it."""

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.providers.http.client import Client, FixedHeaders
from domain.providers.http.patience import Patience

QUICK = Patience(attempts=3, first_wait=0.001, longest_wait=0.002, longest_retry_after=1.0)
ANYBODY = FixedHeaders()
RESET = "reset"
CLOSE = "close"
Part = bytes | float | str
Reply = bytes | Sequence[Part]
"""Bytes are sent, numbers are seconds of silence; RESET and CLOSE end the connection."""


@dataclass
class Seen:
    line: bytes
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        return self.line.split(b" ")[1].decode()


@dataclass
class Provider:
    replies: Sequence[Reply]
    url: str = ""
    authority: str = ""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.seen]

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                self.seen.append(await read_request(reader))
                reply = self.replies[min(len(self.seen), len(self.replies)) - 1]
                if not await send(writer, reply):
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client is gone, or the test is over
        finally:
            writer.close()


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head[:-4].split(b"\r\n")
    headers = dict(text.decode().split(": ", 1) for text in fields)
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Seen(line, headers, body)


async def send(writer, reply):
    """False if the connection ends with it."""
    for part in [reply] if isinstance(reply, bytes) else reply:
        if part == RESET:
            hard = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
            writer.transport.abort()
            return False
        if part == CLOSE:
            return False
        if isinstance(part, float):
            await asyncio.sleep(part)
        else:
            writer.write(part)
            await writer.drain()
    return True


def reply(status=200, body=b"", **headers):
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Some\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    return head.encode() + body


def pack(body):
    """Always the same bytes: they are part of the names of tests."""
    return gzip.compress(body, mtime=0)


def zipped(body):
    return reply(200, pack(body), Content_Encoding="gzip")


@asynccontextmanager
async def provider(*replies, tls=None) -> AsyncGenerator[Provider]:
    """The last reply is given again and again."""
    served = Provider(replies or [reply(200, b"fine")])
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    served.authority = f"127.0.0.1:{port}"
    served.url = f"http://{served.authority}"
    serving = asyncio.all_tasks()
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
        left = [task for task in asyncio.all_tasks() - serving if _serves(task)]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _serves(task):
    return getattr(task.get_coro(), "__qualname__", "") == "Provider.serve"


def client(patience=QUICK, **options):
    return Client(allow_private=True, patience=patience, **options)


def text(answer):
    return answer.body.decode()


@asynccontextmanager
async def asking(*replies, patience=QUICK, **options):
    """A provider, and a client that asks it."""
    async with provider(*replies) as served, client(patience, **options) as asker:
        yield served, asker
