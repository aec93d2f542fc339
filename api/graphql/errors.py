"""What is said when something is refused: to whom, in which words, and what is never said."""

import traceback
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import strawberry
import structlog
from graphql import GraphQLError, GraphQLFormattedError

from api.graphql import enums  # noqa: F401 - described before any type shows one
from api.graphql.described import describe
from domain.errors import (
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    ProviderManaged,
    SignInAgain,
)
from domain.roster.source import Provider

log = structlog.get_logger()

_ROOT = Path(__file__).resolve().parents[2]
MASK = "Something went wrong here."


class ErrorCode(StrEnum):
    """`extensions.code` of a top-level error."""

    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    MAX_COST_EXCEEDED = "MAX_COST_EXCEEDED"
    THROTTLED = "THROTTLED"
    BAD_REQUEST = "BAD_REQUEST"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    TIMEOUT = "TIMEOUT"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


OF_DOCUMENTS = frozenset(
    {
        ErrorCode.GRAPHQL_PARSE_FAILED,
        ErrorCode.GRAPHQL_VALIDATION_FAILED,
        ErrorCode.MAX_COST_EXCEEDED,
        ErrorCode.BAD_USER_INPUT,
    }
)
"""The request was understood; its document or its variables are wrong."""


class ApiError(GraphQLError):
    """An error in our own words, which the caller may read."""

    def __init__(self, code: ErrorCode, message: str, *, reason: str | None = None) -> None:
        extensions: dict[str, Any] = {"code": code.value}
        if reason:
            extensions["reason"] = reason
        super().__init__(message, extensions=extensions)


class Refused(Exception):
    """A request that is not executed at all."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.errors: Sequence[GraphQLError] = [GraphQLError(message)]
        self.headers = dict(headers or {})

    @classmethod
    def because(cls, code: ErrorCode, errors: Sequence[GraphQLError]) -> Self:
        """For the errors of a document or its variables, with their places in it."""
        refused = cls(400, code, "The document cannot be executed.")
        refused.errors = errors
        return refused

    def present(self, request_id: str | None) -> list[GraphQLFormattedError]:
        extensions = {"code": self.code.value}
        if request_id:
            extensions["requestId"] = request_id
        return [
            {"message": error.message, **_locations(error), "extensions": extensions}
            for error in self.errors
        ]


def _locations(error: GraphQLError) -> GraphQLFormattedError:
    if not error.locations:
        return {}
    return {"locations": [location.formatted for location in error.locations]}


def bad_input(message: str, *, reason: str | None = None) -> ApiError:
    return ApiError(ErrorCode.BAD_USER_INPUT, message, reason=reason)


class UserErrorCode(StrEnum):
    INVALID = "INVALID"
    CONFLICT = "CONFLICT"
    PROVIDER_MANAGED = "PROVIDER_MANAGED"
    NOT_FOUND = "NOT_FOUND"
    SIGN_IN_AGAIN = "SIGN_IN_AGAIN"


describe(
    UserErrorCode,
    "Why a mutation did not do what it was asked to.",
    INVALID="A value of the input is wrong.",
    CONFLICT="The input is well formed, but the present state forbids it.",
    PROVIDER_MANAGED="The provider manages it: it is changed there, as the message says.",
    NOT_FOUND="What the input names does not exist, or not for this caller.",
    SIGN_IN_AGAIN="It is done soon after signing in only: sign in again, and repeat it.",
)


@strawberry.type(description="One thing that the caller can mend, said about one field.")
class UserError:
    field: list[str] | None = strawberry.field(
        description="The path into the arguments; null where no single field is to blame."
    )
    code: UserErrorCode = strawberry.field(description="What kind of problem it is.")
    message: str = strawberry.field(description="The problem in a sentence, to be shown.")
    managed_by: Provider | None = strawberry.field(
        default=None, description="For PROVIDER_MANAGED: the provider that manages it."
    )


def user_errors(error: DomainError) -> list[UserError]:
    """What a mutation's payload says. Raises what is not the caller's to mend.

    A field inside of another one is written with a dot between them.
    """
    name: str | None
    provider = Provider(error.provider) if isinstance(error, ProviderManaged) else None
    match error:
        case InvalidInput():
            code, name = UserErrorCode.INVALID, error.field
        case ProviderManaged():
            code, name = UserErrorCode.PROVIDER_MANAGED, error.field
        case SignInAgain():
            code, name = UserErrorCode.SIGN_IN_AGAIN, error.field
        case Conflict():
            code, name = UserErrorCode.CONFLICT, error.field
        case NotFound():
            code, name = UserErrorCode.NOT_FOUND, "tenantId" if "tenant" in error.what else None
        case _:
            raise error
    path = ["input", *name.split(".")] if name else None
    return [UserError(field=path, code=code, message=str(error), managed_by=provider)]


def present(errors: Sequence[GraphQLError], *, request_id: str) -> list[GraphQLFormattedError]:
    """The errors as the caller sees them. What is not meant for callers is masked and logged."""
    return [_present(error, request_id) for error in errors]


def _present(error: GraphQLError, request_id: str) -> GraphQLFormattedError:
    cause = error.original_error or error
    formatted = GraphQLFormattedError(message=MASK, **_locations(error))
    extensions: dict[str, Any] = {"code": ErrorCode.INTERNAL_SERVER_ERROR.value}
    if isinstance(cause, ApiError):
        formatted["message"] = error.message
        extensions = dict(cause.extensions or {})
    elif isinstance(cause, DomainError):
        formatted["message"] = str(cause)
        extensions = {"code": _code_of(cause).value}
    else:
        log_failure(cause, request_id=request_id, path=error.path)
    if error.path:
        formatted["path"] = list(error.path)
    formatted["extensions"] = {**extensions, "requestId": request_id}
    return formatted


def _code_of(error: DomainError) -> ErrorCode:
    match error:
        case Forbidden():
            return ErrorCode.FORBIDDEN
        case NotFound():
            return ErrorCode.NOT_FOUND
        case _:
            return ErrorCode.BAD_USER_INPUT


def log_failure(
    error: BaseException, *, request_id: str, path: Sequence[str | int] | None = None
) -> None:
    """Where it happened and what kind it was. The text stays out: it may quote a person's data."""
    frames = traceback.extract_tb(error.__traceback__)
    log.error(
        "request_failed",
        request_id=request_id,
        error=type(error).__name__,
        path=".".join(str(part) for part in path or ()),
        frames=[f"{_relative(frame.filename)}:{frame.lineno}" for frame in frames],
    )


def _relative(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name
