"""Downloads: CSV by a one-time link, or with the caller's token. They stream as they are read."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from api.graphql.errors import MASK, ErrorCode, Refused, log_failure
from api.graphql.node import find_id
from api.graphql.requests import authenticate
from api.graphql.syncs import SyncRun
from api.graphql.validation import CHOICES_CAP
from api.matrix import demand
from api.request_ids import request_id_of
from domain.database import Database
from domain.errors import DomainError, Forbidden, InvalidInput, NotFound
from domain.files.downloads import Download, csv_of
from domain.files.exports import ExportKind, claim_export
from domain.people.callers import Caller
from domain.reach import Reach
from domain.roster.records import RecordType
from domain.staffing.exports import begin_people_download
from domain.staffing.layouts import PeopleKind, template_of
from domain.sync.downloads import Choice, begin_download
from domain.sync.exports import ChangeChoice, ErrorChoice
from domain.sync.models import ChangeAction
from domain.tenants.service import find_tenant_id
from domain.validation.codes import Code, Severity
from domain.validation.models import ErrorState

AT_ONCE = 4
"""Each holds a connection to the database for as long as its client takes."""
SECONDS = 900
"""The longest that a download may take, and that a snapshot of the database is held for it."""
BUSY_SECONDS = 10
ERRORS = "/tenants/{slug}/validation-errors.csv"
CHANGES = "/tenants/{slug}/sync-runs/{run_id}/changes.csv"

log = structlog.get_logger()

E_ = TypeVar("E_", bound=StrEnum)


Find = Callable[[Database, Request], Awaitable[Download]]
"""Raises Refused or a DomainError, before anything is sent."""


def export_routes(database: Database) -> list[Route]:
    slots = asyncio.Semaphore(AT_ONCE)
    ways: dict[str, Find] = {
        "/exports/{token}": by_ticket,
        ERRORS: errors_of_tenant,
        CHANGES: changes_of_run,
        **{_path_of(kind): partial(people_of_tenant, kind) for kind in PeopleKind},
    }
    return [
        *(
            Route(path, Downloads(database, slots, find), methods=["GET"])
            for path, find in ways.items()
        ),
        *(
            Route(f"/templates/{kind.value.lower()}.csv", partial(_send_template, kind))
            for kind in PeopleKind
        ),
    ]


def _path_of(kind: PeopleKind) -> str:
    return f"/tenants/{{slug}}/{kind.value.lower()}.csv"


async def _send_template(kind: PeopleKind, _: Request) -> Response:
    """There is nobody in it: everyone may have it."""
    disposition = {"Content-Disposition": f'attachment; filename="{kind.value.lower()}.csv"'}
    return Response(template_of(kind), headers=disposition, media_type="text/csv; charset=utf-8")


class Downloads:
    """An application of its own, so that a slot is held until the last byte is sent."""

    def __init__(self, database: Database, slots: asyncio.Semaphore, find: Find) -> None:
        self._database = database
        self._slots = slots
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method != "GET":
            # Whoever only looks whether a link is good must not use it up.
            refusal = PlainTextResponse("Use GET.", 405, {"Allow": "GET"})
            await refusal(scope, receive, send)
        elif self._slots.locked():
            headers = {"Retry-After": str(BUSY_SECONDS)}
            busy = PlainTextResponse("Too many downloads at once; try again soon.", 503, headers)
            await busy(scope, receive, send)
        else:
            async with self._slots:
                await self._answer(request, send)

    async def _answer(self, request: Request, send: Send) -> None:
        request_id = request_id_of(request.scope)
        response = await self._respond(request, request_id)
        response.headers["X-Request-Id"] = request_id
        try:
            async with asyncio.timeout(SECONDS):
                await response(request.scope, request.receive, send)
        except ClientDisconnect:
            log.info("download_left", request_id=request_id)
        except Exception as error:  # noqa: BLE001 - the file ends unfinished, which clients notice
            log_failure(error, request_id=request_id)

    async def _respond(self, request: Request, request_id: str) -> Response:
        try:
            download = await self._find(self._database, request)
        except Refused as refused:
            return PlainTextResponse(str(refused), refused.status, refused.headers)
        except DomainError as error:
            return PlainTextResponse(str(error), _status_of(error))
        except Exception as error:  # noqa: BLE001 - nothing may get out but the mask
            log_failure(error, request_id=request_id)
            return PlainTextResponse(MASK, 500)
        return CsvResponse(csv_of(self._database, download), download.file_name)


class CsvResponse(StreamingResponse):
    """However it ends, what it reads from is closed with it."""

    def __init__(self, chunks: AsyncGenerator[bytes], file_name: str) -> None:
        disposition = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        super().__init__(chunks, headers=disposition, media_type="text/csv; charset=utf-8")
        self._chunks = chunks

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._chunks):
            await super().__call__(scope, receive, send)


async def by_ticket(database: Database, request: Request) -> Download:
    async with database.transaction() as session:
        export = await claim_export(session, request.path_params["token"])
        if export is None:
            raise Refused(
                404,
                ErrorCode.NOT_FOUND,
                "This link has been used, or its ten minutes are over. Ask for a new one.",
            )
        tenant_id = export.tenant_id
        asker = Caller(
            actor=export.created_by,
            name=export.created_by,
            tenant_id=tenant_id,
            reach=Reach.read(export.reach),
        )
        choice: Choice
        match ExportKind(export.kind):
            case ExportKind.ADMINS | ExportKind.STAFF as people:
                return await begin_people_download(
                    session, tenant_id=tenant_id, kind=PeopleKind(people.value), caller=asker
                )
            case ExportKind.VALIDATION_ERRORS:
                choice = ErrorChoice.of(export.choice)
            case ExportKind.SYNC_CHANGES:
                choice = ChangeChoice.of(export.choice)
        return await begin_download(session, tenant_id=tenant_id, choice=choice, caller=asker)


async def errors_of_tenant(database: Database, request: Request) -> Download:
    asked = _Asked(request.query_params)
    caller, tenant_id = await _admit(database, request, f"GET {ERRORS}")
    choice = ErrorChoice(
        states=asked.several("state", ErrorState),
        severities=asked.several("severity", Severity),
        codes=asked.several("code", Code),
        cause=asked.one("cause"),
        record_type=asked.among("recordType", RecordType),
        source_id=asked.one("sourceId"),
    )
    asked.require_all_known()
    async with database.within(caller.reach).transaction(tenant_id) as session:
        return await begin_download(session, tenant_id=tenant_id, choice=choice, caller=caller)


async def changes_of_run(database: Database, request: Request) -> Download:
    asked = _Asked(request.query_params)
    caller, tenant_id = await _admit(database, request, f"GET {CHANGES}")
    choice = ChangeChoice(
        run_id=_run_of(request.path_params["run_id"], tenant_id),
        record_type=asked.among("recordType", RecordType),
        action=asked.among("action", ChangeAction),
        is_waiting=asked.either("isWaiting"),
    )
    asked.require_all_known()
    async with database.within(caller.reach).transaction(tenant_id) as session:
        return await begin_download(session, tenant_id=tenant_id, choice=choice, caller=caller)


async def people_of_tenant(kind: PeopleKind, database: Database, request: Request) -> Download:
    _Asked(request.query_params).require_all_known()
    caller, tenant_id = await _admit(database, request, f"GET {_path_of(kind)}")
    async with database.within(caller.reach).transaction(tenant_id) as session:
        return await begin_people_download(session, tenant_id=tenant_id, kind=kind, caller=caller)


async def _admit(database: Database, request: Request, door: str) -> tuple[Caller, UUID]:
    """Another tenant does not exist for a tenant's token, and that is said in the same words."""
    caller = await authenticate(request, database)
    demand(caller, door)
    slug = request.path_params["slug"]
    async with database.read() as session:
        tenant_id = await find_tenant_id(session, slug)
    if tenant_id is None or not caller.may_see(tenant_id):
        raise NotFound("tenant", slug)
    return caller, tenant_id


def _run_of(text: str, tenant_id: UUID) -> UUID:
    """The API's id of a run, or the UUID that the command line shows."""
    found = find_id(text)
    if found is not None and (found.code, found.tenant_id) == (SyncRun.type_code, tenant_id):
        return found.key
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("sync run", text) from None


def _status_of(error: DomainError) -> int:
    match error:
        case NotFound():
            return 404
        case Forbidden():
            return 403
        case _:
            return 400


class _Asked:
    """The conditions in an address. Whatever is asked and not known is refused, never ignored."""

    def __init__(self, parameters: QueryParams) -> None:
        self._parameters = parameters
        self._known: set[str] = set()

    def several(self, name: str, enumeration: type[E_]) -> tuple[E_, ...] | None:
        """Raises InvalidInput."""
        self._known.add(name)
        given = self._parameters.getlist(name)
        if len(given) > CHOICES_CAP:
            raise InvalidInput(name, f"{name} is given at most {CHOICES_CAP} times.")
        if unknown := set(given) - set(enumeration):
            raise InvalidInput(name, f"{name} cannot be {min(unknown)!r}.")
        return tuple(enumeration(text) for text in given) or None

    def one(self, name: str) -> str | None:
        self._known.add(name)
        given = self._parameters.getlist(name)
        if len(given) > 1:
            raise InvalidInput(name, f"{name} is given once.")
        if given and "\x00" in given[0]:
            raise InvalidInput(name, f"{name} has a character that no text has.")
        return given[0] if given else None

    def among(self, name: str, enumeration: type[E_]) -> E_ | None:
        text = self.one(name)
        if text is not None and text not in set(enumeration):
            raise InvalidInput(name, f"{name} cannot be {text!r}.")
        return enumeration(text) if text is not None else None

    def either(self, name: str) -> bool | None:
        text = self.one(name)
        if text not in {None, "true", "false"}:
            raise InvalidInput(name, f"{name} is true or false.")
        return text == "true" if text is not None else None

    def require_all_known(self) -> None:
        if unknown := self._parameters.keys() - self._known:
            raise InvalidInput(min(unknown), f"There is no condition {min(unknown)!r}.")
