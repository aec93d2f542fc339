"""OneRoster 1.1 and 1.2 over a district's files, below any prefix and behind any kind of door.

`app.state.fake` is the `OneRosterFake`, `app.state.plan` says what goes wrong, `app.state.log`
what was asked. The token endpoint is `{prefix}/token`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.district import Folder
from tests.fakes.misbehaving import Misbehaving, raw_path
from tests.fakes.misbehaviour import Kind, Misbehaviour, Plan
from tests.fakes.oneroster_auth import Asked, Auth, Credentials, TokenGuard, guard_of
from tests.fakes.oneroster_roster import ENDPOINTS
from tests.fakes.oneroster_service import DEMOGRAPHICS, Habits, OneRosterService, refusal

PATHS: Final = {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}


@dataclass(frozen=True, slots=True)
class OneRosterOptions:
    """`versions` are those that are served, each at its own path, with one kind of credentials."""

    prefix: str = ""
    versions: tuple[str, ...] = ("1.1", "1.2")
    credentials: Credentials = field(default_factory=Credentials)
    habits: Habits = field(default_factory=Habits)


class Place(NamedTuple):
    """What a path names. `tail` keeps its escapes."""

    version: str
    tail: str

    @property
    def collection(self) -> str | None:
        name = self.tail.strip("/").partition("/")[0]
        return name if name in ENDPOINTS or name == DEMOGRAPHICS else None


class OneRosterFake:
    def __init__(self, folder: Path, options: OneRosterOptions) -> None:
        self.options = options
        self.guard = guard_of(options.credentials)
        self.service = OneRosterService(Folder(folder), habits=options.habits)

    def place(self, path: str) -> Place | None:
        for version in self.options.versions:
            base = self.options.prefix + PATHS[version]
            if path.startswith(f"{base}/"):
                return Place(version, path.removeprefix(base))
        return None

    @property
    def token_path(self) -> str:
        return f"{self.options.prefix}/token"

    def collection_of(self, path: str) -> str | None:
        if path == self.token_path:
            return "tokens"
        place = self.place(path)
        return place.collection if place else None


def create_app(
    folder: Path,
    *,
    misbehaviours: Iterable[Misbehaviour] = (),
    options: OneRosterOptions | None = None,
) -> Starlette:
    fake = OneRosterFake(folder, options or OneRosterOptions())
    plan = Plan(misbehaviours)
    app = Starlette(
        routes=[
            Route(fake.token_path, _token, methods=["POST"]),
            Route("/{path:path}", _data, methods=["GET"]),
        ],
        middleware=[
            Middleware(
                Misbehaving,
                plan=plan,
                collection_of=fake.collection_of,
                incidents={Kind.TOKEN_REVOKED: fake.guard.revoke},
            )
        ],
    )
    app.state.fake, app.state.plan, app.state.log = fake, plan, plan.log
    return app


async def _token(request: Request) -> Response:
    guard = request.app.state.fake.guard
    if not isinstance(guard, TokenGuard):
        return refusal(404, "unknownobject", "there are no tokens here")
    form = dict(parse_qsl((await request.body()).decode()))
    status, body = guard.answer(request.headers.get("authorization", ""), form)
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


async def _data(request: Request) -> Response:
    fake: OneRosterFake = request.app.state.fake
    place = fake.place(raw_path(request.scope))
    if place is None:
        return refusal(404, "unknownobject", "there is nothing at this path")
    if refused := fake.guard.refusal(asked_of(request, place.version)):
        code = "unauthorisedrequest" if refused.status == 401 else "forbidden"
        return refusal(refused.status, code, refused.message)
    return fake.service.answer(request, place.version, place.tail)


def asked_of(request: Request, version: str) -> Asked:
    query = request.scope["query_string"].decode("latin-1")
    address = f"{request.url.scheme}://{request.headers['host']}{raw_path(request.scope)}"
    return Asked(
        method=request.method,
        url=f"{address}?{query}" if query else address,
        authorization=request.headers.get("authorization", ""),
        version=version,
    )


def describe(url: str, fake: OneRosterFake) -> dict[str, Any]:
    """What must be set so that Homerow reads from a fake that is served there."""
    options = fake.options
    version = options.versions[0]
    door = options.credentials
    settings = {
        "base_url": url + options.prefix + PATHS[version],
        "version": version,
        "auth": door.auth.value,
    }
    if door.auth in {Auth.OAUTH2, Auth.OAUTH2_BODY}:
        settings["token_url"] = url + fake.token_path
    is_bearer = door.auth is Auth.BEARER
    return {
        "url": url,
        "environment": {"HOMEROW_ALLOW_PRIVATE_PROVIDERS": "true"},
        "provider": "ONEROSTER",
        "settings": settings,
        "credentials": {"token": door.token}
        if is_bearer
        else {"key": door.key, "secret": door.secret},
    }
