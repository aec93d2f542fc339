"""A Clever that serves the objects it is given, and that a test can bend in any way."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.providers.clever.source import CleverSource
from domain.roster.source import Provider, SourceConfig
from tests.fakes.serving import serve
from tests.sources import HOSTS

DISTRICT = {
    "id": "d" * 24,
    "name": "Small Unified",
    "state": "success",
    "last_sync": "2026-09-01T10:00:00.000Z",
}


def hex_id(number):
    return f"58da8c63d7dc0ca0{number:08x}"


def student(number, **role):
    return user(number, student={"school": "s1", "grade": "3", **role})


def user(number, *, name=None, email="", **roles):
    return {
        "id": hex_id(number),
        "name": {"first": f"First{number}", "last": f"Last{number}"} if name is None else name,
        "email": email,
        "roles": roles,
    }


def section(number, **values):
    standard = {"id": hex_id(number), "name": f"Section {number}", "school": "s1", "students": []}
    return {**standard, **values}


def envelope(items, collection, following=None):
    links = [{"rel": "self", "uri": f"/v3.0/{collection}"}]
    if following:
        links.append({"rel": "next", "uri": following})
    path = f"/v3.0/{collection}"
    return {
        "data": [{"data": item, "uri": f"{path}/{item.get('id')}"} for item in items],
        "links": links,
    }


class Replay:
    """`most` rows to a page whatever is asked; `honours_role` false answers with everybody.

    `bend` is given the path, the query and the answer of each request, and may give another.
    """

    def __init__(self, *, most=10_000, honours_role=True, **lists):
        self.lists = {name: [] for name in ("schools", "terms", "courses", "users", "sections")}
        self.lists.update(lists)
        self.districts = [dict(DISTRICT)]
        self.most = most
        self.honours_role = honours_role
        self.asked = []
        self.bearers = []
        self.bend = lambda path, query, answer: answer

    def app(self):
        return Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request):
        query = dict(parse_qsl(request.url.query))
        path = request.url.path
        self.asked.append((path, query))
        self.bearers.append(request.headers.get("authorization"))
        answer = self.bend(path, query, self._listing(path.rpartition("/")[2], query))
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def _listing(self, collection, query):
        if collection == "districts":
            return envelope(self.districts, collection)
        if collection not in self.lists:
            return JSONResponse({"message": "Resource not found"}, 404)
        items = self.lists[collection]
        if query.get("count") == "true":
            return {"count": len(items)}
        if "role" in query and self.honours_role:
            items = [item for item in items if item["roles"].get(query["role"]) is not None]
        items = [item for item in items if item["id"] > query.get("starting_after", "")]
        shown = items[: min(int(query["limit"]), self.most)]
        following = None
        if len(shown) < len(items):
            role = f"&role={query['role']}" if "role" in query else ""
            limit = query["limit"]
            cursor = shown[-1]["id"]
            following = f"/v3.0/{collection}?limit={limit}{role}&starting_after={cursor}"
        return envelope(shown, collection, following)

    def times(self, collection):
        """How often a collection was asked for."""
        return sum(path.endswith(f"/{collection}") for path, _ in self.asked)


def config(*, settings=None, credentials=None, **changes):
    return SourceConfig(
        provider=Provider.CLEVER,
        settings=settings or {},
        today=date(2026, 9, 1),
        credentials={"token": "abc"} if credentials is None else credentials,
        **changes,
    )


def source_at(url, **changes):
    hosts = replace(HOSTS, clever_api_url=url, clever_oauth_url=url)
    return CleverSource(config(**changes), hosts)


@contextmanager
def replaying(replay, **changes):
    with serve(replay.app()) as served:
        yield source_at(served.url, **changes)


async def read(source, after=None):
    """Through JSON, as checkpoints are stored."""
    after = json.loads(json.dumps(after)) if after else None
    return [page async for page in source.pages(after)]


async def read_whole(replay, **changes):
    with replaying(replay, **changes) as source:
        return await read(source)


def of_type(pages, record_type):
    return [record for page in pages if page.record_type is record_type for record in page.records]


def problems_of(pages):
    return [problem for page in pages for problem in page.problems]


def ignored_of(pages):
    return [ignored for page in pages for ignored in page.ignored]
