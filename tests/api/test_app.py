"""The application around GraphQL: whether it is well, and the headers of every answer."""

import dataclasses
from typing import cast

import httpx2
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from api.app import create_app
from api.signing_in.site import SignInSettings
from api.web_settings import WebSettings
from domain.queue import ArqQueue
from domain.resources import Resources

pytestmark = pytest.mark.anyio


class UnreachableQueue:
    async def is_reachable(self) -> bool:
        return False


async def get(
    resources: Resources, path: str, settings: SignInSettings | None = None
) -> httpx2.Response:
    transport = httpx2.ASGITransport(create_app(resources, settings or SignInSettings()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://homerow.test") as http:
        return await http.get(path)


async def test_the_process_is_well(resources: Resources) -> None:
    response = await get(resources, "/healthz")
    assert (response.status_code, response.text) == (200, "ok")


async def test_the_servers_are_well(resources: Resources) -> None:
    response = await get(resources, "/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "queue": "ok"}


async def test_it_is_said_which_server_is_missing(resources: Resources) -> None:
    queue = cast("ArqQueue", UnreachableQueue())
    without_queue = dataclasses.replace(resources, queue=queue)
    response = await get(without_queue, "/readyz")
    assert response.status_code == 503
    assert response.json() == {"database": "ok", "queue": "missing"}

    engine = create_async_engine(make_url(resources.database.url).set(database="nowhere"))
    database = dataclasses.replace(resources.database, engine=engine)
    without_database = dataclasses.replace(resources, database=database)
    response = await get(without_database, "/readyz")
    assert response.status_code == 503
    assert response.json() == {"database": "missing", "queue": "ok"}
    response = await get(without_database, "/healthz")
    assert response.status_code == 200
    await engine.dispose()


async def test_every_answer_has_security_headers(resources: Resources) -> None:
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/graphql", 405), ("/none", 404)):
        response = await get(resources, path)
        assert response.status_code == status
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["strict-transport-security"].startswith("max-age=")


async def test_a_developers_machine_is_not_bound_to_https(resources: Resources) -> None:
    local = SignInSettings(WebSettings(is_local=True))
    response = await get(resources, "/healthz", local)
    assert "strict-transport-security" not in response.headers
