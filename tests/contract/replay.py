"""Servers that answer with what real ones answered, as if that were the whole."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.roster.source import Provider
from tests.contract.providers import Opening
from tests.fakes.serving import serve
from tests.sources import HOSTS

Objects = Sequence[Mapping[str, Any]]

DEMO_DISTRICT: Final = "58da8a43cc70ab00017a1a87"
CLEVER_LISTS: Final = ("districts", "schools", "terms", "courses", "users", "sections")
_TOKEN: Final = "recorded"  # noqa: S105 - of a server that takes any


def recorded_list(path: Path) -> list[dict[str, Any]]:
    """The objects of a list in Clever's double envelope."""
    return [item["data"] for item in json.loads(path.read_bytes())["data"]]


@contextmanager
def replayed_clever(
    lists: Mapping[str, Objects], *, is_naive: bool = False, has_next: bool = False
) -> Generator[Opening]:
    """A naive one looks at the path only. `has_next`: it says that there is more, always."""

    async def answer(request: Request) -> Response:
        app.state.asked.append(str(request.url.path))
        name = request.url.path.rpartition("/")[2]
        if "count" in request.query_params or name not in lists:
            return JSONResponse({"message": "Resource not found"}, 404)
        shown = lists[name] if is_naive else _asked_for(lists[name], request.query_params)
        links = [{"rel": "self", "uri": f"/v3.0/{name}"}]
        if has_next and shown:
            cursor = shown[-1]["id"]
            links.append({"rel": "next", "uri": f"/v3.0/{name}?starting_after={cursor}"})
        data = [{"data": item, "uri": f"/v3.0/{name}/{item['id']}"} for item in shown]
        return JSONResponse({"data": data, "links": links})

    app = Starlette(routes=[Route("/{path:path}", answer)])
    app.state.asked = []
    with serve(app) as served:
        hosts = replace(HOSTS, clever_api_url=served.url, clever_oauth_url=served.url)
        settings = {"district_id": DEMO_DISTRICT}
        yield Opening(Provider.CLEVER, settings, {"token": _TOKEN}, hosts, served)


def _asked_for(items: Objects, query: Mapping[str, str]) -> Objects:
    return [
        item
        for item in items
        if ("role" not in query or query["role"] in item["roles"])
        and item["id"] > query.get("starting_after", "")
    ]


@contextmanager
def replayed_oneroster(
    bodies: Mapping[str, Objects], *, is_naive: bool = False, has_total: bool = False
) -> Generator[Opening]:
    """OneRoster 1.1; a naive one has the same page at every offset."""

    async def answer(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        app.state.asked.append(name)
        if name not in bodies:
            return JSONResponse({"imsx_codeMajor": "failure"}, 404)
        offset = 0 if is_naive else int(request.query_params.get("offset", "0"))
        total = {"X-Total-Count": str(len(bodies[name]))} if has_total else {}
        return JSONResponse({name: list(bodies[name][offset:])}, headers=total)

    app = Starlette(routes=[Route("/{path:path}", answer)])
    app.state.asked = []
    with serve(app) as served:
        settings = {"base_url": f"{served.url}/ims/oneroster/v1p1", "auth": "BEARER"}
        yield Opening(Provider.ONEROSTER, settings, {"token": _TOKEN}, served=served)
