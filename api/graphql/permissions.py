"""Who may use a field: one class for each sentence. Every root field has one."""

from typing import Any, ClassVar, NoReturn

import strawberry
from strawberry.permission import BasePermission
from typing_extensions import override

from api.graphql.context import Context
from api.graphql.errors import ApiError, ErrorCode
from domain.people.callers import Caller, Scope


class _Sentence(BasePermission):
    """Asked once for a field, never awaited: the caller is known before anything is executed."""

    message: str
    scope: ClassVar[Scope | None] = None

    def allows(self, caller: Caller) -> bool:
        return self.scope is None or self.scope in caller.scopes

    @override
    def has_permission(
        self, source: Any, info: strawberry.Info[Context, None], **kwargs: Any
    ) -> bool:
        return self.allows(info.context.caller)

    @override
    def on_unauthorized(self) -> NoReturn:
        raise ApiError(ErrorCode.FORBIDDEN, self.message)


class IsSignedIn(_Sentence):
    """Any valid token: the transport has refused everybody else."""

    message = "Sign in with a valid token."


class MayReadRosters(_Sentence):
    scope = Scope.ROSTER_READ
    message = f"This needs a token with the scope {scope.value}."


class MayRunSyncs(_Sentence):
    scope = Scope.SYNC_RUN
    message = f"This needs a token with the scope {scope.value}."


class MayRecordProgress(_Sentence):
    scope = Scope.PROGRESS_WRITE
    message = f"This needs a token with the scope {scope.value}."


class MayAdminister(_Sentence):
    scope = Scope.TENANT_ADMIN
    message = f"This needs a token with the scope {scope.value}."


class MayChoosePlaces(_Sentence):
    """The training application does so for the person who chooses."""

    message = (
        f"This needs a token with the scope {Scope.TRAINING_WRITE.value}"
        f" or {Scope.TENANT_ADMIN.value}."
    )

    @override
    def allows(self, caller: Caller) -> bool:
        return not caller.scopes.isdisjoint({Scope.TRAINING_WRITE, Scope.TENANT_ADMIN})


class IsOperator(_Sentence):
    message = "Only an operator may do this."

    @override
    def allows(self, caller: Caller) -> bool:
        return caller.is_operator
