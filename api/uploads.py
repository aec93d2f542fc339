"""Uploads: a file is put to the url of a ticket. Whoever has the ticket needs nothing else."""

import asyncio
from typing import Any

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from api.graphql.errors import MASK, ErrorCode, Refused, log_failure
from api.request_ids import request_id_of
from domain.clock import utc_now
from domain.database import Database
from domain.files.uploads import MAX_SIZE, Place, find_place, receive_upload

AT_ONCE = 4
"""Each is held in memory until it is there."""
SECONDS = 300
BUSY_SECONDS = 10
METHODS = ("PUT", "POST")

_GONE = "This address has been used, or its hour is over. Ask for a new one."

log = structlog.get_logger()


def upload_route(database: Database) -> Route:
    return Route("/uploads/{token}", Uploads(database).respond, methods=list(METHODS))


class Uploads:
    def __init__(self, database: Database, *, most_bytes: int = MAX_SIZE) -> None:
        self._database = database
        self._most_bytes = most_bytes
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def respond(self, request: Request) -> Response:
        request_id = request_id_of(request.scope)
        answer: dict[str, Any]
        status, headers = 201, {"X-Request-Id": request_id}
        try:
            answer = {"bytes": await self._receive(request)}
        except Refused as refused:
            answer = {"errors": refused.present(request_id)}
            status, headers = refused.status, headers | refused.headers
        except ClientDisconnect:
            log.info("upload_left", request_id=request_id)
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - nothing may get out but the mask
            log_failure(error, request_id=request_id)
            failed = Refused(500, ErrorCode.INTERNAL_SERVER_ERROR, MASK)
            answer, status = {"errors": failed.present(request_id)}, failed.status
        return Response(
            orjson.dumps(answer),
            status_code=status,
            headers=headers,
            media_type="application/json; charset=utf-8",
        )

    async def _receive(self, request: Request) -> int:
        """How many bytes were stored. Raises Refused; then the ticket can still be used."""
        self._check_headers(request)
        async with self._database.read() as session:
            place = await find_place(session, request.path_params["token"])
        if place is None:
            raise Refused(404, ErrorCode.NOT_FOUND, _GONE)
        if self._slots.locked():
            headers = {"Retry-After": str(BUSY_SECONDS)}
            words = "Too many uploads at once; try again soon."
            raise Refused(503, ErrorCode.TIMEOUT, words, headers=headers)
        async with self._slots:
            content = await self._read(request)
            await self._store(place, content)
        return len(content)

    def _check_headers(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._most_bytes:
            raise self._too_large()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, ErrorCode.BAD_REQUEST, "Send the file as it is, not encoded.")
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise Refused(415, ErrorCode.BAD_REQUEST, "Send the file itself, not as a form.")

    def _too_large(self) -> Refused:
        words = f"A file has at most {self._most_bytes} bytes."
        return Refused(413, ErrorCode.BAD_REQUEST, words)

    async def _read(self, request: Request) -> bytes:
        """Stops at the limit, whatever length was announced."""
        content = bytearray()
        try:
            async with asyncio.timeout(SECONDS):
                async for chunk in request.stream():
                    content += chunk
                    if len(content) > self._most_bytes:
                        raise self._too_large()
        except TimeoutError:
            words = "The file did not arrive in time."
            raise Refused(408, ErrorCode.BAD_REQUEST, words) from None
        if not content:
            raise Refused(400, ErrorCode.BAD_REQUEST, "The file is empty.")
        return bytes(content)

    async def _store(self, place: Place, content: bytes) -> None:
        async with self._database.transaction(place.tenant_id) as session:
            is_first = await receive_upload(session, place, content=content, now=utc_now())
        if not is_first:
            raise Refused(404, ErrorCode.NOT_FOUND, _GONE)
