"""One request and its answer: bounded in time and size, sent byte for byte.

This is httpcore, the engine of httpx, without httpx around it. That would rewrite URLs, keep
cookies, write whole URLs to the log, and leave no say in which address a name leads to.
"""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Final, NamedTuple

import httpcore2

from domain.providers.http.address import Address
from domain.providers.http.answer import Answer
from domain.providers.http.failures import Setback
from domain.providers.http.guard import PublicNetwork
from domain.providers.http.patience import Patience
from domain.providers.http.table import Action, Step, action_of
from domain.providers.http.wide import WideNetwork
from domain.validation.codes import Code

_KEPT_ALIVE: Final = 30.0
_CONNECTIONS: Final = 20
_GZIP: Final = zlib.MAX_WBITS | 16
_PIECE: Final = 1 << 16  # at once it would take twice as long: large blocks are new memory


class Call(NamedTuple):
    method: str
    address: Address
    headers: Mapping[str, str]
    content: bytes | None = None


def open_pool(
    *,
    allow_private: bool,
    network: httpcore2.AsyncNetworkBackend | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpcore2.AsyncConnectionPool:
    """Connections that are kept alive; none to what is not public, unless that is allowed."""
    inner = WideNetwork(network or httpcore2.AnyIOBackend())
    return httpcore2.AsyncConnectionPool(
        ssl_context=tls or _trusted(),
        max_connections=_CONNECTIONS,
        keepalive_expiry=_KEPT_ALIVE,
        network_backend=inner if allow_private else PublicNetwork(inner),
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Once for all: reading the certificate authorities takes longer than a request."""
    return httpcore2.default_ssl_context()


async def exchange(
    pool: httpcore2.AsyncConnectionPool, call: Call, *, patience: Patience, largest_body: int
) -> Answer:
    """The answer; its body is read only if it is one to take. Raises a Setback without an answer.

    `largest_body` is the size unpacked.
    """
    with _setbacks():
        async with (
            asyncio.timeout(patience.request),
            pool.stream(
                call.method,
                _url(call.address),
                headers=_encoded(call.headers),
                content=call.content,
                extensions={"timeout": _timeouts(patience)},
            ) as response,
        ):
            headers = _decoded(response.headers)
            body = b""
            if action_of(response.status).step is Step.TAKE:
                packed = await _read(response, headers, largest_body)
                body = await _unpack(packed, headers.get("content-encoding", ""), largest_body)
    return Answer(response.status, headers, body, call.address.url)


def _url(address: Address) -> httpcore2.URL:
    """From its parts: then nothing is parsed, and nothing can be normalised."""
    return httpcore2.URL(
        scheme=address.origin.scheme,
        host=address.origin.host,
        port=address.origin.port,
        target=address.target,
    )


def _timeouts(patience: Patience) -> dict[str, float | None]:
    return {
        "connect": patience.connect,
        "read": patience.read,
        "write": patience.read,
        "pool": None,  # the attempt as a whole is limited
    }


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    encoded = []
    for name, padded in headers.items():
        value = padded.strip()
        # Something pasted with a line end, say. The library's own error would show it.
        if not (value.isascii() and value.isprintable()):
            raise Setback(
                Action(Step.REFUSE, Code.CONN_AUTH_REJECTED),
                "was not asked: the credentials have characters that cannot be sent",
            )
        encoded.append((name.encode("ascii"), value.encode("ascii")))
    return encoded


def _decoded(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case. A header that is there several times is one list, as HTTP has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _read(
    response: httpcore2.Response, headers: Mapping[str, str], largest_body: int
) -> bytes:
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > largest_body:
        raise _too_large(largest_body)
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_stream():
        size += len(part)
        if size > largest_body:
            raise _too_large(largest_body)
        parts.append(part)
    return b"".join(parts)


async def _unpack(packed: bytes, encoding: str, largest_body: int) -> bytes:
    match encoding.strip().lower():
        case "" | "identity":
            return packed
        case "gzip" | "x-gzip":
            # In a thread, so that the database is served meanwhile: zlib lets go of the lock.
            return await asyncio.to_thread(_gunzip, packed, largest_body)
        case _:
            raise _unreadable("answered in an encoding that was not asked for")


def _gunzip(packed: bytes, largest_body: int) -> bytes:
    try:
        body = unzip(packed, largest_body + 1)
    except EOFError as error:
        raise Setback(
            Action(Step.RETRY, Code.CONN_INTERRUPTED), "sent a body that is cut off"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _unreadable("sent a body that cannot be unpacked") from error
    if len(body) > largest_body:
        raise _too_large(largest_body)
    return body


def unzip(packed: bytes, most: int) -> bytes:
    """At most so many bytes of what was packed; EOFError if its end is missing."""
    unpacking = zlib.decompressobj(_GZIP)
    parts: list[bytes] = []
    room = most
    for start in range(0, len(packed), _PIECE):
        part = unpacking.decompress(packed[start : start + _PIECE], room)
        parts.append(part)
        room -= len(part)
        if room == 0:
            break
        if unpacking.eof and (unpacking.unused_data or start + _PIECE < len(packed)):
            # Packed in several members: rare, and slower.
            with gzip.GzipFile(fileobj=BytesIO(packed)) as members:
                return members.read(most)
    if packed and room and not unpacking.eof:
        raise EOFError
    return b"".join(parts)


def _unreadable(what: str) -> Setback:
    return Setback(Action(Step.RETRY, Code.CONN_BAD_PAYLOAD), what)


def _too_large(largest_body: int) -> Setback:
    return Setback(Action(Step.SHRINK, Code.CONN_TOO_LARGE), f"sent more than {largest_body} bytes")


@contextmanager
def _setbacks() -> Iterator[None]:
    """What the network does, as a Setback. The order matters: a time-out is an OSError, too."""
    try:
        yield
    except httpcore2.ConnectTimeout as error:
        raise Setback(
            Action(Step.RETRY, Code.CONN_TIMEOUT), "did not take the connection in time"
        ) from error
    except (httpcore2.TimeoutException, TimeoutError) as error:
        raise Setback(
            Action(Step.RETRY_SMALLER, Code.CONN_TIMEOUT), "did not answer in time"
        ) from error
    except httpcore2.ConnectError as error:
        raise Setback(
            Action(Step.RETRY, Code.CONN_UNREACHABLE), f"cannot be reached{_reason(error)}"
        ) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        raise Setback(Action(Step.RETRY, Code.CONN_INTERRUPTED), "broke off its answer") from error


def _reason(error: BaseException) -> str:
    """What an administrator can do something about: a certificate, mostly."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f" safely ({cause.verify_message})"
    return " safely (TLS failed)" if cause else ""
