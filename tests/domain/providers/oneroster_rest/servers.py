"""OneRoster servers to read from: the fake over a small district, or answers as they are told."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.providers.oneroster_rest.source import OneRosterSource
from domain.roster.records import Record, RecordType
from domain.roster.source import (
    Checkpoint,
    CheckStep,
    Page,
    Provider,
    SourceConfig,
    SourceError,
)
from tests.domain.providers.oneroster_packages import TODAY
from tests.fakes.misbehaviour import Misbehaviour
from tests.fakes.oneroster import OneRosterOptions, create_app, describe
from tests.fakes.serving import Served, serve
from tests.sources import HOSTS

NAMES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments")
TYPES = dict(zip(NAMES, RecordType, strict=True))


class Server(NamedTuple):
    """A server and the configuration of an integration that reads from it."""

    served: Served
    config: SourceConfig

    def source(self, **changes: Any) -> OneRosterSource:
        return OneRosterSource(replace(self.config, **changes), HOSTS)

    def read(self, after: Checkpoint | None = None, **changes: Any) -> list[Page]:
        return asyncio.run(read_pages(self.source(**changes), after))

    def check(self) -> Sequence[CheckStep]:
        return asyncio.run(self.source().check())

    def refusal(self, **changes: Any) -> SourceError:
        with pytest.raises(SourceError) as caught:
            self.read(**changes)
        return caught.value

    def asked(self, collection: str) -> list[str]:
        """The queries that came for a collection."""
        return [item.query for item in self.served.state.log if item.collection == collection]


async def read_pages(source: OneRosterSource, after: Checkpoint | None = None) -> list[Page]:
    async with aclosing(source.pages(after)) as pages:
        return [page async for page in pages]


@contextmanager
def fake(
    folder: Path,
    *misbehaviours: Misbehaviour,
    options: OneRosterOptions | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Generator[Server]:
    with serve(create_app(folder, misbehaviours=misbehaviours, options=options)) as served:
        told = describe(served.url, served.state.fake)
        config = SourceConfig(
            Provider.ONEROSTER,
            {**told["settings"], **(settings or {})},
            TODAY,
            credentials=told["credentials"],
        )
        yield Server(served, config)


Answering = Callable[[Mapping[str, str]], Response]


@contextmanager
def telling(
    answers: Mapping[str, Answering | bytes | Iterable[Any]], *, version: str = "1.1"
) -> Generator[Server]:
    """A server that answers each collection as it is told: with a function, a body, or rows.

    A body or rows are the whole collection, and its total is said. Others are empty.
    """
    log: dict[str, list[str]] = defaultdict(list)

    async def collection(request: Request) -> Response:
        name = request.path_params["name"]
        log[name].append(request.url.query)
        answer = answers.get(name, [])
        if callable(answer):
            return answer(request.query_params)
        body = answer if isinstance(answer, bytes) else None
        if int(request.query_params["offset"]):
            body = msgspec.json.encode({name: []})
        return Response(body if body is not None else msgspec.json.encode({name: list(answer)}))

    path = {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}[version]
    app = Starlette(routes=[Route(path + "/{name}", collection)])
    app.state.log = log
    with serve(app) as served:
        settings = {"base_url": served.url + path, "auth": "BEARER"}
        config = SourceConfig(Provider.ONEROSTER, settings, TODAY, credentials={"token": "t"})
        yield Server(served, config)


def records_of(pages: Sequence[Page], record_type: RecordType) -> list[Record]:
    return [record for page in pages if page.record_type is record_type for record in page.records]


def last_page(pages: Sequence[Page], record_type: RecordType) -> Page:
    (page,) = [page for page in pages if page.record_type is record_type and page.is_last]
    return page
