"""Who may use a field: what the permission matrix says. See api/matrix.py."""

from typing import Any

import strawberry
from strawberry.permission import BasePermission
from typing_extensions import override

from api.graphql.context import Context
from api.graphql.errors import ApiError, ErrorCode
from api.matrix import MATRIX
from domain.people.callers import Caller


class Permitted(BasePermission):
    """Asked once for a field, never awaited: the caller is known before anything is executed.

    It costs a look-up and a comparison, but takes a plain field out of the quick path of
    api/graphql/executing.py: what everybody may see goes without it.
    """

    @override
    def has_permission(
        self, source: Any, info: strawberry.Info[Context, None], **kwargs: Any
    ) -> bool:
        raw = info._raw_info  # noqa: SLF001 - the type as the schema names it, also of inherited fields
        check(info.context.caller, f"{raw.parent_type.name}.{raw.field_name}")
        return True


def check(caller: Caller, field: str) -> None:
    """Raises the caller's error."""
    refusal = MATRIX[field].refusal(caller)
    if refusal:
        raise ApiError(ErrorCode.FORBIDDEN, refusal)
