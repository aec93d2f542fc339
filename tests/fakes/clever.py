"""Clever: `/oauth/tokens` and the Data API v3.0 and v3.1, over a district's files.

`app.state.fake` is the `CleverFake`, whose methods make things happen; `app.state.plan` says
what goes wrong, `app.state.log` what was asked.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.fakes.clever_roster import COLLECTIONS, ROLES, CleverRoster, links_of
from tests.fakes.clever_state import CleverFake, CleverOptions
from tests.fakes.listings import Collection, total_of, window_by_cursor
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.misbehaviour import Misbehaviour, Plan, faults_of

DEFAULT_LIMIT: Final = 100
MOST_ROWS: Final = 10_000

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_VERSIONS: Final = ("v3.0", "v3.1")
_NOT_FOUND = "<!DOCTYPE html>\n<html><body><pre>Cannot GET {}</pre></body></html>\n"


def create_app(
    folder: Path,
    *,
    misbehaviours: Iterable[Misbehaviour] = (),
    options: CleverOptions | None = None,
) -> Starlette:
    fake = CleverFake(folder, options or CleverOptions())
    plan = Plan(misbehaviours)
    app = Starlette(
        routes=[
            Route("/oauth/tokens", _tokens),
            Route("/oauth/tokeninfo", _tokeninfo),
            Route("/{path:path}", _data, methods=["GET"]),
        ],
        middleware=[
            Middleware(
                Misbehaving, plan=plan, collection_of=_collection_of, incidents=fake.incidents
            )
        ],
    )
    app.state.fake, app.state.plan, app.state.log = fake, plan, plan.log
    return app


def _collection_of(path: str) -> str | None:
    parts = path.strip("/").split("/")
    if parts[0] == "oauth":
        return parts[1] if parts[1:] and parts[1] in {"tokens", "tokeninfo"} else None
    is_known = len(parts) > 1 and parts[0] in _VERSIONS and parts[1] in COLLECTIONS
    return parts[1] if is_known else None


async def _tokens(request: Request) -> Response:
    fake: CleverFake = request.app.state.fake
    if not _is_client(request, fake.options):
        return JSONResponse({"error": "invalid_client", "error_description": "who is this?"}, 401)
    if request.query_params.get("owner_type", "district") != "district":
        return JSONResponse({"error": "invalid_request", "error_description": "owner_type"}, 400)
    asked = request.query_params.get("district")
    tokens = [token for token in fake.tokens() if asked in {None, token["owner"]["id"]}]
    link = f"/oauth/tokens?{request.scope['query_string'].decode('latin-1')}"
    return JSONResponse({"data": tokens, "links": [{"rel": "self", "uri": link}]})


def _is_client(request: Request, options: CleverOptions) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return scheme == "Basic" and given == f"{options.client_id}:{options.client_secret}"


async def _tokeninfo(request: Request) -> Response:
    fake: CleverFake = request.app.state.fake
    if not fake.accepts(_bearer(request)):
        return JSONResponse({"error": "invalid_token", "error_description": "unknown"}, 401)
    return JSONResponse(
        {"client_id": fake.options.client_id, "scopes": sorted(fake.options.scopes)}
    )


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


async def _data(request: Request) -> Response:
    """Every answer tells of the limits, the refusals too."""
    fake: CleverFake = request.app.state.fake
    bearer = _bearer(request)
    headers = fake.rate.take(bearer)
    if headers.is_over:
        response: Response = JSONResponse({"error": "Rate limit exceeded"}, 429)
    elif _collection_of(request.url.path) is None:
        response = HTMLResponse(_NOT_FOUND.format(request.url.path), 404)
    elif not fake.accepts(bearer):
        response = JSONResponse({"message": "Unauthorized"}, 401)
    else:
        response = _roster_answer(request, fake)
    response.headers.update(headers.named)
    response.headers["Cache-Control"] = "no-store"
    response.headers["x-request-id"] = uuid4().hex
    response.headers["ETag"] = f'W/"{len(response.body):x}-{zlib.crc32(response.body):x}"'
    return response


def _roster_answer(request: Request, fake: CleverFake) -> Response:
    version, collection, *rest = request.url.path.strip("/").split("/")
    if collection != "districts" and not fake.has_secure_sync:
        return JSONResponse({"message": "Resource not in token's scopes"}, 403)
    roster = fake.roster(version)
    query = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
    if len(rest) == 1:
        return _single(roster, collection, rest[0])
    if rest:
        return _related(request, roster, (collection, *rest), query)
    if query.get("count") == "true":
        faults = faults_of(request.scope)
        total = len(roster.collection(collection).spoilt(faults))
        return JSONResponse({"count": total_of(total, 0, faults)})
    role = query.get("role") if collection == "users" else None
    return _refusal(query) or _list(request, roster.collection(collection, role), query)


def _related(
    request: Request, roster: CleverRoster, path: tuple[str, ...], query: Mapping[str, str]
) -> Response:
    """Only the sections of a user; nothing else is asked for."""
    match path:
        case ("users", user_id, "sections"):
            if roster.single("users", user_id) is None:
                return JSONResponse({"message": "Resource not found"}, 404)
            return _refusal(query) or _list(request, roster.sections_of(user_id), query)
    return HTMLResponse(_NOT_FOUND.format(request.url.path), 404)


def _single(roster: CleverRoster, collection: str, source_id: str) -> Response:
    found = roster.single(collection, source_id)
    if found is None:
        return JSONResponse({"message": "Resource not found"}, 404)
    return JSONResponse({"data": found, "links": links_of(roster.version, collection, found)})


def _list(request: Request, rows: Collection, query: Mapping[str, str]) -> Response:
    faults = faults_of(request.scope)
    listing = rows.spoilt(faults)
    window = window_by_cursor(
        listing.ids,
        after=query.get("starting_after"),
        before=query.get("ending_before"),
        limit=int(query.get("limit", DEFAULT_LIMIT)),
        faults=faults,
    )
    shown = listing.ids[window.start : window.stop]
    is_paged = "starting_after" in query or "ending_before" in query
    links = [_link(request, "self", {})]
    if shown and (window.stop < len(listing) or "ending_before" in query):
        links.append(_link(request, "next", {"starting_after": shown[-1]}))
    if shown and is_paged:
        links.append(_link(request, "prev", {"ending_before": shown[0]}))
    rows = b",".join(listing.rows[window.start : window.stop])
    body = b'{"data":[%b],"links":[%b]}' % (rows, ",".join(links).encode())
    return Response(body, media_type="application/json; charset=utf-8")


def _refusal(query: Mapping[str, str]) -> Response | None:
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if not limit.isascii() or not limit.isdigit() or int(limit) < 1:
        return JSONResponse({"message": "limit must be a positive number"}, 400)
    if int(limit) > MOST_ROWS:
        return JSONResponse({"error": "Request entity too large"}, 413)
    cursors = [query[name] for name in ("starting_after", "ending_before") if name in query]
    if len(cursors) > 1 or not all(map(_OBJECT_ID.fullmatch, cursors)):
        return JSONResponse({"message": "the cursor must be one id"}, 400)
    if query.get("role", "student") not in ROLES:
        return JSONResponse({"message": "role is not one of the known"}, 400)
    return None


def _link(request: Request, rel: str, cursor: Mapping[str, str]) -> str:
    """A link is a path with the query of the request; `self` is that query to the letter."""
    text = request.scope["query_string"].decode("latin-1")
    if cursor:
        pairs = [
            (name, value)
            for name, value in parse_qsl(text, keep_blank_values=True)
            if name not in {"starting_after", "ending_before"}
        ]
        text = urlencode([*pairs, *cursor.items()])
    uri = f"{request.url.path}?{text}" if text else request.url.path
    return f'{{"rel":"{rel}","uri":"{_escaped(uri)}"}}'


def _escaped(uri: str) -> str:
    return uri.replace("\\", "\\\\").replace('"', '\\"')


def describe(url: str, fake: CleverFake) -> dict[str, Any]:
    """What must be set so that Homerow reads from a fake that is served there."""
    return {
        "url": url,
        "environment": {
            "HOMEROW_CLEVER_API_URL": url,
            "HOMEROW_CLEVER_OAUTH_URL": url,
            "HOMEROW_CLEVER_CLIENT_ID": fake.options.client_id,
            "HOMEROW_CLEVER_CLIENT_SECRET": fake.options.client_secret,
            "HOMEROW_ALLOW_PRIVATE_PROVIDERS": "true",
        },
        "provider": "CLEVER",
        "settings": {"district_id": fake.district_id},
        "credentials": {},
    }
