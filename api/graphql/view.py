"""GraphQL over HTTP: a request comes in, one answer goes out, and nothing else gets out."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from inspect import isawaitable
from typing import Any, TypeGuard, cast

import orjson
import structlog
from graphql import ExecutionResult, execute
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from strawberry.execution import optimized_is_awaitable
from strawberry.http.ides import get_graphql_ide_html

from api.graphql.context import Context
from api.graphql.cursors import CursorSigner
from api.graphql.documents import Document, Documents
from api.graphql.errors import MASK, OF_DOCUMENTS, ErrorCode, Refused, log_failure, present
from api.graphql.executing import Executor, QueryExecutor, Unusual
from api.graphql.loaders import Loaders
from api.graphql.requests import Operation, answer_form, authenticate_browser, read_operation
from api.graphql.schema import core
from api.graphql.throttling import Throttling
from api.providers import platform_of
from api.security_headers import GRAPHIQL_POLICY
from api.web_settings import WebSettings
from domain.clock import new_id
from domain.people.callers import Caller
from domain.resources import Resources

SECONDS = 10

log = structlog.get_logger()


_is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


class GraphQLView:
    """One for a process: it keeps the documents that it has seen."""

    def __init__(self, resources: Resources, *, web: WebSettings, seconds: float = SECONDS) -> None:
        self._resources = resources
        self._seconds = seconds
        self._web = web
        self._documents = Documents()
        self._cursors = CursorSigner.of(resources.keys)
        self._platform = platform_of(resources.hosts)
        self._throttling = Throttling(resources.throttle)

    async def respond(self, request: Request) -> Response:
        if request.method != "POST":
            return self._page(request)
        request_id, form = str(new_id()), answer_form(request)
        answer: Mapping[str, Any]
        status, headers = 200, {"X-Request-Id": request_id}
        try:
            answer = await self._answer(request, request_id)
        except Refused as refused:
            # Whoever is not known gets the same bytes every time.
            is_known = refused.code is not ErrorCode.UNAUTHENTICATED
            answer = {"errors": refused.present(request_id if is_known else None)}
            is_ok = form.is_older and refused.code in OF_DOCUMENTS
            status, headers = 200 if is_ok else refused.status, headers | refused.headers
        except Exception as error:  # noqa: BLE001 - nothing may get out but the mask
            log_failure(error, request_id=request_id)
            failed = Refused(500, ErrorCode.INTERNAL_SERVER_ERROR, MASK)
            answer, status = {"errors": failed.present(request_id)}, failed.status
        return Response(
            orjson.dumps(answer),
            status_code=status,
            headers=headers,
            media_type=form.media_type,
        )

    async def _answer(self, request: Request, request_id: str) -> Mapping[str, Any]:
        """Raises Refused for what is not executed."""
        began = time.perf_counter()
        async with self._deadline():
            caller = await authenticate_browser(
                request, self._resources.database, public_origin=self._web.public_origin
            )
        operation = await read_operation(request)
        try:
            document = self._documents.prepare(operation.query)
            cost = document.check_cost(operation.name, operation.variables)
            extensions = await self._throttling.spend(caller, cost)
            public_url = self._web.public_url or str(request.base_url)
            result = await self._execute(
                document, operation, caller, public_url=public_url, request_id=request_id
            )
        finally:
            log.info(
                "graphql_request",
                request_id=request_id,
                actor=caller.actor,
                document=hashlib.sha256(operation.query.encode()).hexdigest()[:16],
                milliseconds=round((time.perf_counter() - began) * 1000),
            )
        answer = {"data": result.data, "extensions": extensions}
        if not result.errors:
            return answer
        if result.data is None and not any(error.path for error in result.errors):
            raise Refused.because(ErrorCode.BAD_USER_INPUT, result.errors)
        return answer | {"errors": present(result.errors, request_id=request_id)}

    async def _execute(
        self,
        document: Document,
        operation: Operation,
        caller: Caller,
        *,
        public_url: str,
        request_id: str,
    ) -> ExecutionResult:
        resources = self._resources
        database = resources.database.within(caller.reach)
        async with self._deadline() as deadline:
            context = Context(
                caller=caller,
                database=database,
                loaders=Loaders(database),
                keys=resources.keys,
                cursors=self._cursors,
                platform=self._platform,
                public_url=public_url,
                deadline=deadline,
                request_id=request_id,
            )
            if document.is_query(operation.name):
                with suppress(Unusual):
                    return await _run(QueryExecutor, document, operation, context)
            return await _run(Executor, document, operation, context)

    @asynccontextmanager
    async def _deadline(self) -> AsyncGenerator[asyncio.Timeout]:
        """Raises Refused where it is missed."""
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                yield deadline
        except TimeoutError:
            raise Refused(
                503, ErrorCode.TIMEOUT, f"This took longer than {self._seconds} seconds."
            ) from None

    def _page(self, request: Request) -> Response:
        """GraphiQL, for a browser on a developer's machine. Queries come by POST only."""
        if self._web.is_local and "text/html" in request.headers.get("accept", ""):
            page = get_graphql_ide_html(graphql_ide="graphiql")
            return HTMLResponse(page, headers={"Content-Security-Policy": GRAPHIQL_POLICY})
        return Response(status_code=405, headers={"Allow": "POST"})


async def _run(
    executor: type[Executor], document: Document, operation: Operation, context: Context
) -> ExecutionResult:
    result = execute(
        core,
        document.node,
        context_value=context,
        variable_values=operation.variables,
        operation_name=operation.name,
        executor_class=executor,
        is_awaitable=_is_awaitable,
        hide_suggestions=True,
    )
    return await result if isawaitable(result) else result
