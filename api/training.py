"""What the training application reads: people as JSON, with tags so that asking often is cheap."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.graphql.change_parts import TYPE_CODES
from api.graphql.errors import MASK, ErrorCode, Refused, log_failure
from api.graphql.node import encode_id, find_id
from api.graphql.requests import authenticate
from api.matrix import demand
from api.request_ids import request_id_of
from api.training_json import FORMAT, present_user
from domain.database import Database
from domain.errors import DomainError, Forbidden, InvalidInput, NotFound
from domain.roster.records import RecordType
from domain.tenants.service import find_tenant_id
from domain.training.application import MOST_USERS, Wanted, read_page, read_version

PAGE: Final = "/training/{slug}/users"
USER: Final = "/training/{slug}/users/{user_id}"
USER_CODE: Final = TYPE_CODES[RecordType.USER]
GROUP_CODE: Final = TYPE_CODES[RecordType.GROUP]
_CURSOR_CODE: Final = "+"
"""The code of no type: a cursor is no id, and no id is a cursor."""
_PARAMETERS: Final = frozenset({"limit", "after", "ids", "group"})

Answer = Callable[[Database, Request], Awaitable[Response]]


def training_routes(database: Database) -> list[Route]:
    return [
        Route(PAGE, _endpoint(database, _page), methods=["GET"]),
        Route(USER, _endpoint(database, _user), methods=["GET"]),
    ]


def _endpoint(database: Database, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        request_id = request_id_of(request.scope)
        try:
            response = await answer(database, request)
        except Refused as refused:
            response = _problem(refused.status, refused.code, str(refused), request_id)
            response.headers.update(refused.headers)
        except DomainError as error:
            response = _problem(*_status_of(error), str(error), request_id)
        except Exception as error:  # noqa: BLE001 - nothing may get out but the mask
            log_failure(error, request_id=request_id)
            response = _problem(500, ErrorCode.INTERNAL_SERVER_ERROR, MASK, request_id)
        response.headers["X-Request-Id"] = request_id
        if request.method == "HEAD":
            response.body = b""  # its headers stay as they are with GET
        return response

    return respond


async def _page(database: Database, request: Request) -> Response:
    tenant_id = await _admit(database, request, f"GET {PAGE}")
    wanted = _wanted(request.query_params, tenant_id)
    async with database.snapshot(tenant_id) as session:
        tag = _tag(request, await read_version(session, tenant_id))
        if _is_known(request, tag):
            return _unchanged(tag)
        page = await read_page(session, tenant_id, wanted)
    following = page.last_id and encode_id(_CURSOR_CODE, tenant_id, page.last_id)
    users = [present_user(tenant_id, user) for user in page.users]
    return _json({"users": users, "next": following}, tag)


async def _user(database: Database, request: Request) -> Response:
    tenant_id = await _admit(database, request, f"GET {USER}")
    _check_names(request.query_params, frozenset())
    asked = request.path_params["user_id"]
    found = find_id(asked)
    if found is None or (found.code, found.tenant_id) != (USER_CODE, tenant_id):
        raise NotFound("user", asked)
    async with database.snapshot(tenant_id) as session:
        tag = _tag(request, await read_version(session, tenant_id))
        if _is_known(request, tag):
            return _unchanged(tag)
        page = await read_page(session, tenant_id, Wanted(ids=[found.key]))
    if not page.users:
        raise NotFound("user", asked)
    return _json(present_user(tenant_id, page.users[0]), tag)


async def _admit(database: Database, request: Request, door: str) -> UUID:
    """Another tenant does not exist for a tenant's token, and that is said in the same words."""
    caller = await authenticate(request, database)
    demand(caller, door)
    slug = request.path_params["slug"]
    async with database.read() as session:
        tenant_id = await find_tenant_id(session, slug)
    if tenant_id is None or not caller.may_see(tenant_id):
        raise NotFound("tenant", slug)
    return tenant_id


def _wanted(parameters: QueryParams, tenant_id: UUID) -> Wanted:
    """Whatever is asked and not known is refused, never ignored. Raises InvalidInput."""
    _check_names(parameters, _PARAMETERS)
    for name in _PARAMETERS - {"ids"}:
        if len(parameters.getlist(name)) > 1:
            raise InvalidInput(name, f"{name} is given once.")
    after, group = parameters.get("after"), parameters.get("group")
    return Wanted(
        ids=_ids(parameters.getlist("ids"), tenant_id),
        group_id=None if group is None else _key("group", group, GROUP_CODE, tenant_id),
        after=None if after is None else _key("after", after, _CURSOR_CODE, tenant_id),
        most=_limit(parameters.get("limit")),
    )


def _check_names(parameters: QueryParams, known: frozenset[str]) -> None:
    if unknown := parameters.keys() - known:
        raise InvalidInput(min(unknown), f"There is no parameter {min(unknown)!r}.")


def _ids(given: Sequence[str], tenant_id: UUID) -> list[UUID] | None:
    """Several in one parameter with commas between them, or the parameter several times."""
    if not given:
        return None
    asked = {text for part in given for text in part.split(",")}
    if len(asked) > MOST_USERS:
        raise InvalidInput("ids", f"ids are at most {MOST_USERS}.")
    return [_key("ids", text, USER_CODE, tenant_id) for text in asked]


_WORDS: Final = {
    "ids": "is not the id of a user of this tenant.",
    "group": "is not the id of a group of this tenant.",
    "after": "is not a cursor of this tenant: take it from `next`.",
}


def _key(name: str, text: str, code: str, tenant_id: UUID) -> UUID:
    found = find_id(text)
    if found is None or (found.code, found.tenant_id) != (code, tenant_id):
        raise InvalidInput(name, f"{text[:60]!r} {_WORDS[name]}")
    return found.key


def _limit(text: str | None) -> int:
    if text is None:
        return MOST_USERS
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0  # noqa: PLR2004 - no number is longer
    if not 1 <= number <= MOST_USERS:
        raise InvalidInput("limit", f"limit is a number from 1 to {MOST_USERS}.")
    return number


def _tag(request: Request, version: Sequence[Any]) -> str:
    """Weak: it says that the answer means the same, and is known without making the answer."""
    asked = sorted(request.query_params.multi_items())
    parts = (FORMAT, request.url.path, asked, *version)
    digest = hashlib.sha256(orjson.dumps(parts, default=str)).hexdigest()
    return f'W/"{digest[:32]}"'


def _is_known(request: Request, tag: str) -> bool:
    """Compared weakly: a cache on the way may have dropped the W/."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return tag.removeprefix("W/") in {one.strip().removeprefix("W/") for one in given.split(",")}


def _kept(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers=_kept(tag))


def _json(content: Mapping[str, Any], tag: str) -> Response:
    return Response(orjson.dumps(content), headers=_kept(tag), media_type="application/json")


def _problem(status: int, code: ErrorCode, detail: str, request_id: str) -> Response:
    content = {"status": status, "code": code.value, "detail": detail, "requestId": request_id}
    return Response(orjson.dumps(content), status, media_type="application/problem+json")


def _status_of(error: DomainError) -> tuple[int, ErrorCode]:
    match error:
        case NotFound():
            return 404, ErrorCode.NOT_FOUND
        case Forbidden():
            return 403, ErrorCode.FORBIDDEN
        case _:
            return 400, ErrorCode.BAD_USER_INPUT
