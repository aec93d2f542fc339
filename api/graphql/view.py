"""GraphQL over HTTP: a request comes in, an answer goes out, and nothing else gets out."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html

from api.graphql.engine import SECONDS, Asked, Engine
from api.graphql.errors import MASK, OF_DOCUMENTS, ErrorCode, Refused, log_failure, present
from api.graphql.event_streams import EventStream
from api.graphql.requests import (
    EVENT_STREAM,
    AnswerForm,
    answer_form,
    browser_secret,
    know,
    read_operation,
)
from api.request_ids import HEADER, request_id_of
from api.security_headers import GRAPHIQL_POLICY
from api.web_settings import WebSettings
from domain.metrics import GRAPHQL_REFUSED
from domain.people.callers import Caller
from domain.resources import Resources

log = structlog.get_logger()


class GraphQLView:
    """One for a process."""

    def __init__(self, resources: Resources, *, web: WebSettings, seconds: float = SECONDS) -> None:
        self.engine = Engine(resources, web=web, seconds=seconds)

    async def respond(self, request: Request) -> Response:
        if request.method != "POST":
            return self._page(request)
        request_id, form = request_id_of(request.scope), answer_form(request)
        answer: Mapping[str, Any] | Response
        status, headers = 200, {HEADER: request_id}
        try:
            answer = await self._answer(request, form, request_id)
        except Refused as refused:
            # Whoever is not known gets the same bytes every time.
            GRAPHQL_REFUSED.labels(refused.code.value).inc()
            is_known = refused.code is not ErrorCode.UNAUTHENTICATED
            answer = {"errors": refused.present(request_id if is_known else None)}
            is_ok = form.is_older and refused.code in OF_DOCUMENTS
            status, headers = 200 if is_ok else refused.status, headers | refused.headers
        except Exception as error:  # noqa: BLE001 - nothing may get out but the mask
            log_failure(error, request_id=request_id)
            failed = Refused(500, ErrorCode.INTERNAL_SERVER_ERROR, MASK)
            answer, status = {"errors": failed.present(request_id)}, failed.status
        if isinstance(answer, Response):
            return answer
        return Response(
            orjson.dumps(answer),
            status_code=status,
            headers=headers,
            media_type=form.media_type,
        )

    async def _answer(
        self, request: Request, form: AnswerForm, request_id: str
    ) -> Mapping[str, Any] | Response:
        """Raises Refused for what is not executed."""
        began, engine = time.perf_counter(), self.engine
        async with engine.deadline():
            secret = browser_secret(request, public_origin=engine.web.public_origin)
            caller = await know(secret, engine.resources.database)
        operation = await read_operation(request)
        try:
            asked = engine.prepare(
                operation, public_url=str(request.base_url), request_id=request_id
            )
            if asked.document.is_subscription(operation.name):
                _demand_stream(form)
                return EventStream(engine, secret, asked)
            return await self._execute(asked, caller)
        finally:
            log.info(
                "graphql_request",
                request_id=request_id,
                actor=caller.actor,
                document=hashlib.sha256(operation.query.encode()).hexdigest()[:16],
                milliseconds=round((time.perf_counter() - began) * 1000),
            )

    async def _execute(self, asked: Asked, caller: Caller) -> Mapping[str, Any]:
        extensions = await self.engine.spend(caller, asked)
        result = await self.engine.execute(asked, caller)
        answer = {"data": result.data, "extensions": extensions}
        if not result.errors:
            return answer
        if result.data is None and not any(error.path for error in result.errors):
            raise Refused.because(ErrorCode.BAD_USER_INPUT, result.errors)
        return answer | {"errors": present(result.errors, request_id=asked.request_id)}

    def _page(self, request: Request) -> Response:
        """GraphiQL, for a browser on a developer's machine. Queries come by POST only."""
        if self.engine.web.is_local and "text/html" in request.headers.get("accept", ""):
            page = get_graphql_ide_html(graphql_ide="graphiql")
            return HTMLResponse(page, headers={"Content-Security-Policy": GRAPHIQL_POLICY})
        return Response(status_code=405, headers={"Allow": "POST"})


def _demand_stream(form: AnswerForm) -> None:
    if not form.is_stream:
        raise Refused(
            406,
            ErrorCode.BAD_REQUEST,
            f"A subscription is followed with the header Accept: {EVENT_STREAM}, or by WebSocket.",
        )
