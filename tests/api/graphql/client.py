"""A caller of the API, by HTTP as everybody else."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import Engine, event
from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Client:
    http: httpx2.AsyncClient

    async def post(self, query: str, **variables: Any) -> httpx2.Response:
        return await self.http.post("/graphql", json={"query": query, "variables": variables})

    async def run(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        response = await self.post(query, **variables)
        answer = response.json()
        assert response.status_code == 200, answer
        assert "errors" not in answer, answer
        return answer["data"]

    async def fail(self, query: str, **variables: Any) -> Any:
        """The only error of an answer that has one."""
        [error] = (await self.post(query, **variables)).json()["errors"]
        return error


@asynccontextmanager
async def connected(app: ASGIApp, secret: str | None) -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://homerow.test", headers=headers
    ) as http:
        yield Client(http)


@contextmanager
def counted_statements(engine: Engine) -> Generator[list[str]]:
    """Every statement that is executed meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@dataclass(frozen=True, slots=True)
class World:
    """Two tenants, and who may see what."""

    operator: Client
    alpha: Client
    beta: Client
    alpha_id: UUID
    beta_id: UUID
