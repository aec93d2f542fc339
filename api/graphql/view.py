"""GraphQL over HTTP: a request comes in, one answer goes out, and nothing else gets out."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
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
from api.graphql.requests import Operation, answer_form, authenticate, read_operation
from api.graphql.schema import core
from api.providers import platform_of
from domain.clock import new_id
from domain.people.callers import Caller
from domain.resources import Resources

SECONDS = 10

log = structlog.get_logger()


_is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


class GraphQLView:
    """One for a process: it keeps the documents that it has seen."""

    def __init__(self, resources: Resources, *, has_page: bool, seconds: float = SECONDS) -> None:
        self._resources = resources
        self._seconds = seconds
        self._has_page = has_page
        self._documents = Documents()
        self._cursors = CursorSigner.of(resources.keys)
        self._platform = platform_of(resources.hosts)

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
        caller = await authenticate(request, self._resources.database)
        operation = await read_operation(request)
        try:
            result = await self._execute(operation, caller, request_id)
        finally:
            log.info(
                "graphql_request",
                request_id=request_id,
                actor=caller.actor,
                document=hashlib.sha256(operation.query.encode()).hexdigest()[:16],
                milliseconds=round((time.perf_counter() - began) * 1000),
            )
        if not result.errors:
            return {"data": result.data}
        if result.data is None and not any(error.path for error in result.errors):
            raise Refused.because(ErrorCode.BAD_USER_INPUT, result.errors)
        return {"data": result.data, "errors": present(result.errors, request_id=request_id)}

    async def _execute(
        self, operation: Operation, caller: Caller, request_id: str
    ) -> ExecutionResult:
        document = self._documents.prepare(operation.query)
        document.check_cost(operation.name, operation.variables)
        resources = self._resources
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                context = Context(
                    caller=caller,
                    database=resources.database,
                    loaders=Loaders(resources.database),
                    keys=resources.keys,
                    cursors=self._cursors,
                    platform=self._platform,
                    deadline=deadline,
                    request_id=request_id,
                )
                if document.is_query(operation.name):
                    with suppress(Unusual):
                        return await _run(QueryExecutor, document, operation, context)
                return await _run(Executor, document, operation, context)
        except TimeoutError:
            raise Refused(
                503, ErrorCode.TIMEOUT, f"This took longer than {self._seconds} seconds."
            ) from None

    def _page(self, request: Request) -> Response:
        """GraphiQL, for a browser on a developer's machine. Queries come by POST only."""
        if self._has_page and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(get_graphql_ide_html(graphql_ide="graphiql"))
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
