"""ClassLink: the partner's list of applications, its proxy, and a district's server directly.

`app.state.fake` is the `ClassLinkFake`, whose methods make things happen; `app.state.plan` says
what goes wrong, `app.state.log` what was asked. An application's id is part of the paths as it
is listed, escapes and all: decoded or escaped once more it leads nowhere.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.classlink_state import BASE, DIRECT, ClassLinkFake, ClassLinkOptions, Tenant
from tests.fakes.listings import window_by_offset
from tests.fakes.misbehaving import Misbehaving, raw_path
from tests.fakes.misbehaviour import Faults, Kind, Misbehaviour, Plan, faults_of
from tests.fakes.oneroster import asked_of
from tests.fakes.oneroster_queries import BadQuery, parse_query
from tests.fakes.oneroster_service import refusal

_APPLICATIONS: Final = "/applications"


def create_app(
    folder: Path,
    *,
    misbehaviours: Iterable[Misbehaviour] = (),
    options: ClassLinkOptions | None = None,
) -> Starlette:
    fake = ClassLinkFake(folder, options or ClassLinkOptions())
    plan = Plan(misbehaviours)
    app = Starlette(
        routes=[Route("/{path:path}", _answer, methods=["GET"])],
        middleware=[
            Middleware(
                Misbehaving,
                plan=plan,
                collection_of=fake.collection_of,
                incidents={
                    Kind.TOKEN_REVOKED: fake.rotate_bearer,
                    Kind.ROSTER_MOVED: fake.move_roster,
                },
            )
        ],
    )
    app.state.fake, app.state.plan, app.state.log = fake, plan, plan.log
    return app


async def _answer(request: Request) -> Response:
    fake: ClassLinkFake = request.app.state.fake
    path = raw_path(request.scope)
    if path.startswith(f"{DIRECT}{BASE}/"):
        response = _direct(request, fake, path)
    elif path == _APPLICATIONS or path.startswith(f"{_APPLICATIONS}/"):
        response = _partner(request, fake, path)
    else:
        response = _proxied(request, fake, path)
    response.headers["x-request-id"] = uuid4().hex
    return response


def _direct(request: Request, fake: ClassLinkFake, path: str) -> Response:
    """The district's own server: its key and secret sign each request."""
    if refused := fake.guard.refusal(asked_of(request, "1.1")):
        return refusal(refused.status, "unauthorisedrequest", refused.message)
    return fake.service.answer(request, "1.1", path.removeprefix(DIRECT + BASE))


def _proxied(request: Request, fake: ClassLinkFake, path: str) -> Response:
    """The application's id is compared byte by byte."""
    application, base, tail = path[1:].partition(BASE)
    tenant = fake.tenant_at(application)
    if tenant is None or not base:
        return JSONResponse({"status": 0, "message": "Application not found"}, 404)
    if not tenant.is_usable or _bearer(request) != tenant.bearer:
        return JSONResponse({"status": 0, "message": "Unauthorized"}, 401)
    return fake.service.answer(request, "1.1", tail)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def _partner(request: Request, fake: ClassLinkFake, path: str) -> Response:
    if _bearer(request) != fake.options.partner_token:
        return JSONResponse({"status": 0, "message": "Unauthorized"}, 401)
    if path == _APPLICATIONS:
        return _applications(request, fake, faults_of(request.scope))
    application, _, what = path.removeprefix(f"{_APPLICATIONS}/").partition("/")
    tenant = fake.tenant_at(application)
    if tenant is None or what != "server":
        return JSONResponse({"status": 0, "message": "Application not found"}, 404)
    server = {
        "endpoint_url": f"{str(request.base_url).rstrip('/')}{DIRECT}",
        "client_id": fake.options.key,
        "client_secret": fake.options.secret,
    }
    return JSONResponse({"server": server})


def _applications(request: Request, fake: ClassLinkFake, faults: Faults) -> Response:
    """Nothing says how many there are."""
    try:
        query = parse_query(request.scope["query_string"].decode("latin-1"), file="orgs")
    except BadQuery as fault:
        return JSONResponse({"status": 0, "message": str(fault)}, 400)
    tenants = [] if Kind.EMPTY in faults else fake.tenants
    window = window_by_offset(len(tenants), offset=query.offset, limit=query.limit, faults=faults)
    shown = tenants[window.start : window.stop]
    headers = {
        "access-control-expose-headers": "x-total-count",
        "x-page-generation-time-ms": "9",
        "x-host-name": "undefined",
    }
    body = {"status": 1, "applications": [_application(tenant) for tenant in shown]}
    return JSONResponse(body, headers=headers)


def _application(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": tenant.tenant_id * 10,
        "application_id": tenant.tenant_id * 10 + 1,
        "tenant_id": tenant.tenant_id,
        "bearer": tenant.bearer,
        "tenant_name": tenant.name,
        "enabled": tenant.enabled,
        "tenant_status": tenant.status,
        "oneroster_application_id": tenant.application,
        "name": "Homerow",
        "version": "",
    }


def describe(url: str, fake: ClassLinkFake) -> dict[str, Any]:
    """What must be set so that Homerow reads from a fake that is served there."""
    return {
        "url": url,
        "environment": {
            "HOMEROW_CLASSLINK_PROXY_URL": url,
            "HOMEROW_CLASSLINK_TOKEN": fake.options.partner_token,
            "HOMEROW_ALLOW_PRIVATE_PROVIDERS": "true",
        },
        "provider": "CLASSLINK",
        "settings": {"tenant_id": str(fake.tenants[0].tenant_id)},
        "credentials": {},
    }
