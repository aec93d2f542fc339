"""Subscriptions, whatever way they have come by: whoever listens is asked for again and again."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import Any, Final, cast

import structlog
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLFormattedError,
    create_source_event_stream,
    execute_subscription_event,
)

from api.graphql.engine import Asked, Engine, is_awaitable, measured
from api.graphql.errors import ErrorCode, Refused, present
from api.graphql.executing import Executor
from api.graphql.listening import Listener
from api.graphql.requests import know
from api.graphql.schema import core
from domain.metrics import GRAPHQL_REFUSED, counted_open
from domain.people.callers import Caller
from domain.tally import Place, TooMany

MAX_SUBSCRIPTIONS: Final = 20
"""Of a caller at once, by all ways together."""

log = structlog.get_logger()

Answer = Mapping[str, Any]


async def follow(engine: Engine, secret: str | None, asked: Asked) -> AsyncGenerator[Answer, None]:
    """The answers, one for each event. Raises what it was refused for, or what went wrong."""
    caller = await know(secret, engine.resources.database)
    log.info("graphql_subscription", request_id=asked.request_id, actor=caller.actor)
    async with place_of(engine, caller, "subscriptions", MAX_SUBSCRIPTIONS) as place:
        again = partial(know, secret, engine.resources.database, is_again=True)
        listener = Listener(caller, again, place)
        extensions: Answer | None = await engine.spend(caller, asked)
        async with aclosing(await _events(engine, asked, listener)) as events:
            async for event in events:
                if extensions is None:
                    extensions = await engine.spend(listener.caller, asked)
                yield await _answer(engine, asked, listener, event) | {"extensions": extensions}
                extensions = None


@asynccontextmanager
async def place_of(
    engine: Engine, caller: Caller, kind: str, limit: int
) -> AsyncGenerator[Place, None]:
    """One of those that the caller may have of the kind. Raises Refused."""
    key = f"{kind} {caller.tenant_id} {caller.actor}"
    try:
        async with engine.resources.tally.place(key, limit) as place:
            with counted_open(kind):
                yield place
    except TooMany:
        raise Refused(
            429, ErrorCode.THROTTLED, f"There are {limit} {kind} open already: end one of them."
        ) from None


async def _events(engine: Engine, asked: Asked, listener: Listener) -> AsyncGenerator[Any, None]:
    """Raises Refused and GraphQLError."""
    async with engine.deadline() as deadline:
        context = engine.context(asked, listener.caller, deadline, listener)
        stream = create_source_event_stream(_executor(asked, context))
        opened = await stream if isawaitable(stream) else stream
    if isinstance(opened, ExecutionResult):
        raise (opened.errors or [GraphQLError("")])[0]
    return cast("AsyncGenerator[Any, None]", opened)


async def _answer(engine: Engine, asked: Asked, listener: Listener, event: Any) -> dict[str, Any]:
    """Executed as who listens is by now."""
    with measured(asked) as measure:
        async with engine.deadline() as deadline:
            context = engine.context(asked, listener.caller, deadline)
            pending = execute_subscription_event(_executor(asked, context, event))
            result = measure(await pending if isawaitable(pending) else pending)
    if not result.errors:
        return {"data": result.data}
    return {"data": result.data, "errors": present(result.errors, request_id=asked.request_id)}


def _executor(asked: Asked, context: Any, event: Any = None) -> Executor:
    """Raises Refused for variables that are wrong."""
    executor = Executor.build(
        core,
        asked.document.node,
        root_value=event,
        context_value=context,
        raw_variable_values=asked.operation.variables,
        operation_name=asked.operation.name,
        is_awaitable=is_awaitable,
        hide_suggestions=True,
    )
    if isinstance(executor, list):
        raise Refused.because(ErrorCode.BAD_USER_INPUT, executor)
    return cast("Executor", executor)


def errors_of(error: Exception, request_id: str) -> list[GraphQLFormattedError]:
    """What is said of what ended a subscription; nothing of what nobody expected."""
    if isinstance(error, Refused):
        GRAPHQL_REFUSED.labels(error.code.value).inc()
        return error.present(request_id)
    told = error if isinstance(error, GraphQLError) else GraphQLError("", original_error=error)
    return present([told], request_id=request_id)
