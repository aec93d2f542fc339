"""What executes operations, whatever way they have come by: the same limits for all of them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from inspect import isawaitable
from typing import Any, NamedTuple, TypeGuard, cast

from graphql import ExecutionResult, execute
from strawberry.execution import optimized_is_awaitable

from api.graphql.context import Context
from api.graphql.cursors import CursorSigner
from api.graphql.documents import Document, Documents
from api.graphql.errors import ErrorCode, Refused
from api.graphql.executing import Executor, QueryExecutor, Unusual
from api.graphql.listening import Listener
from api.graphql.loaders import Loaders
from api.graphql.requests import Operation
from api.graphql.schema import core
from api.graphql.throttling import Throttling
from api.providers import platform_of
from api.web_settings import WebSettings
from domain.metrics import GRAPHQL_SECONDS
from domain.people.callers import Caller
from domain.resources import Resources

SECONDS = 10


is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


class Asked(NamedTuple):
    """An operation with what has come along with it. `public_url` is where people reach us."""

    operation: Operation
    document: Document
    cost: int
    public_url: str
    request_id: str


class Engine:
    """One for a process: it keeps the documents that it has seen."""

    def __init__(self, resources: Resources, *, web: WebSettings, seconds: float = SECONDS) -> None:
        self.resources = resources
        self.web = web
        self._seconds = seconds
        self._documents = Documents()
        self._cursors = CursorSigner.of(resources.keys)
        self._platform = platform_of(resources.hosts)
        self._throttling = Throttling(resources.throttle)

    def prepare(self, operation: Operation, *, public_url: str, request_id: str) -> Asked:
        """Raises Refused for what is not valid, or over a limit."""
        document = self._documents.prepare(operation.query)
        cost = document.check_cost(operation.name, operation.variables)
        return Asked(operation, document, cost, self.web.public_url or public_url, request_id)

    async def spend(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """The points that it costs; the answer's `extensions`. Raises Refused."""
        return await self._throttling.spend(caller, asked.cost)

    async def execute(self, asked: Asked, caller: Caller) -> ExecutionResult:
        """A query or a mutation."""
        with measured(asked) as measure:
            async with self.deadline() as deadline:
                context = self.context(asked, caller, deadline)
                return measure(await self._execute(asked, context))

    async def _execute(self, asked: Asked, context: Context) -> ExecutionResult:
        if asked.document.is_query(asked.operation.name):
            with suppress(Unusual):
                return await _run(QueryExecutor, asked, context)
        return await _run(Executor, asked, context)

    def context(
        self,
        asked: Asked,
        caller: Caller,
        deadline: asyncio.Timeout,
        listener: Listener | None = None,
    ) -> Context:
        database = self.resources.database.within(caller.reach)
        return Context(
            caller=caller,
            database=database,
            loaders=Loaders(database),
            keys=self.resources.keys,
            cursors=self._cursors,
            platform=self._platform,
            public_url=asked.public_url,
            deadline=deadline,
            request_id=asked.request_id,
            news=self.resources.news,
            listener=listener,
        )

    @asynccontextmanager
    async def deadline(self) -> AsyncGenerator[asyncio.Timeout]:
        """Raises Refused where it is missed."""
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                yield deadline
        except TimeoutError:
            raise Refused(
                503, ErrorCode.TIMEOUT, f"This took longer than {self._seconds} seconds."
            ) from None


@contextmanager
def measured(asked: Asked) -> Generator[Callable[[ExecutionResult], ExecutionResult]]:
    """How long it takes, and how the result that is passed through what is yielded looks."""
    began, outcome = time.perf_counter(), "failed"

    def measure(result: ExecutionResult) -> ExecutionResult:
        nonlocal outcome
        outcome = "errors" if result.errors else "ok"
        return result

    try:
        yield measure
    finally:
        kind, field = asked.document.described(asked.operation.name)
        GRAPHQL_SECONDS.labels(kind, field, outcome).observe(time.perf_counter() - began)


async def _run(executor: type[Executor], asked: Asked, context: Context) -> ExecutionResult:
    result = execute(
        core,
        asked.document.node,
        context_value=context,
        variable_values=asked.operation.variables,
        operation_name=asked.operation.name,
        executor_class=executor,
        is_awaitable=is_awaitable,
        hide_suggestions=True,
    )
    return await result if isawaitable(result) else result
