"""Who may use a field: one class for each sentence. Every root field has one."""

from typing import Any, NoReturn

import strawberry
from strawberry.permission import BasePermission
from typing_extensions import override

from api.graphql.context import Context
from api.graphql.errors import ApiError, ErrorCode
from domain.people.callers import Caller, Scope


class _Sentence(BasePermission):
    """Asked once for a field, never awaited: the caller is known before anything is executed."""

    message: str

    def allows(self, caller: Caller) -> bool:
        raise NotImplementedError

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

    @override
    def allows(self, caller: Caller) -> bool:
        return True


class MayReadRosters(_Sentence):
    message = f"This needs a token with the scope {Scope.ROSTER_READ.value}."

    @override
    def allows(self, caller: Caller) -> bool:
        return Scope.ROSTER_READ in caller.scopes


class MayRunSyncs(_Sentence):
    message = f"This needs a token with the scope {Scope.SYNC_RUN.value}."

    @override
    def allows(self, caller: Caller) -> bool:
        return Scope.SYNC_RUN in caller.scopes


class MayAdminister(_Sentence):
    message = f"This needs a token with the scope {Scope.TENANT_ADMIN.value}."

    @override
    def allows(self, caller: Caller) -> bool:
        return Scope.TENANT_ADMIN in caller.scopes


class IsOperator(_Sentence):
    message = "Only an operator may do this."

    @override
    def allows(self, caller: Caller) -> bool:
        return caller.is_operator
