"""Carrying what students have earned to their new group, and undoing that."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import ById
from api.graphql.permissions import Permitted
from api.graphql.progress import ProgressCarry
from api.graphql.roster import Group, User
from api.graphql.targets import INPUT, node_of
from domain.errors import DomainError, InvalidInput
from domain.people.callers import Caller
from domain.training.carrying import MOST_PEOPLE, Carrying, carry_over, undo_carries
from domain.training.models import CarryMode

SHOWN = 100
"""How many carries a payload shows."""
_REFUSED = "Why nothing was changed; empty where it was."


@strawberry.input(description="Whose progress is carried from which group to which other one.")
class ProgressCarryOverInput:
    from_group_id: strawberry.ID = strawberry.field(description="The group where it was earned.")
    to_group_id: strawberry.ID = strawberry.field(
        description="The group that is to have it: the students are in it now."
    )
    user_ids: list[strawberry.ID] | None = strawberry.field(
        default=None,
        description=f"The students, at most {MOST_PEOPLE}. Left out: all who have left the one "
        "group and are in the other.",
    )
    mode: CarryMode = strawberry.field(
        default=CarryMode.MOVE, description="Whether it is copied or moved."
    )


@strawberry.input(description="Which carries are to be undone.")
class ProgressCarryUndoInput:
    carry_ids: list[strawberry.ID] = strawberry.field(
        description=f"Their ids, at most {MOST_PEOPLE}; all of one tenant."
    )


@strawberry.type(description="The carries that were made, one for each student.")
class ProgressCarryOverPayload:
    carries: list[ProgressCarry] = strawberry.field(
        default_factory=list, description=f"The carries, at most {SHOWN} of them."
    )
    count: int = strawberry.field(default=0, description="How many they are.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


@strawberry.type(description="The carries that were undone.")
class ProgressCarryUndoPayload:
    carries: list[ProgressCarry] = strawberry.field(
        default_factory=list, description=f"The carries as they are now, at most {SHOWN} of them."
    )
    count: int = strawberry.field(default=0, description="How many they are.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


def _asked(input: ProgressCarryOverInput, caller: Caller) -> tuple[UUID, Carrying]:
    source = node_of(input.from_group_id, Group, "fromGroupId", caller)
    tenant_id = source.tenant_id
    target = node_of(input.to_group_id, Group, "toGroupId", caller, tenant_id=tenant_id)
    keys = None
    if input.user_ids is not None:
        found = [
            node_of(user_id, User, "userIds", caller, tenant_id=tenant_id)
            for user_id in input.user_ids[: MOST_PEOPLE + 1]
        ]
        keys = [one.key for one in found]
    return tenant_id, Carrying(source.key, target.key, keys, input.mode)


async def _shown(info: Info, tenant_id: UUID, ids: Sequence[UUID]) -> list[ProgressCarry]:
    keys = [(tenant_id, carry_id) for carry_id in ids[:SHOWN]]
    found = await info.context.loaders.of(ById(ProgressCarry)).load_many(keys)
    return [carry for carry in found if isinstance(carry, ProgressCarry)]


@strawberry.type
class ProgressCarryMutation:
    @strawberry.mutation(
        description="Carries what students have earned in a group to another one that they are in. "
        "It can be undone.",
        permission_classes=[Permitted],
    )
    async def progress_carry_over(
        self, info: Info, input: Annotated[ProgressCarryOverInput, INPUT]
    ) -> ProgressCarryOverPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id, asked = _asked(input, context.caller)
            async with context.database.transaction(tenant_id) as session:
                ids = await carry_over(session, tenant_id, asked, context.caller)
        except DomainError as error:
            return ProgressCarryOverPayload(user_errors=user_errors(error))
        return ProgressCarryOverPayload(carries=await _shown(info, tenant_id, ids), count=len(ids))

    @strawberry.mutation(
        description="Undoes carries, the newest first. What was earned since stays where it was "
        "earned.",
        permission_classes=[Permitted],
    )
    async def progress_carry_undo(
        self, info: Info, input: Annotated[ProgressCarryUndoInput, INPUT]
    ) -> ProgressCarryUndoPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id, ids = _carries(input.carry_ids, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await undo_carries(session, tenant_id, ids, context.caller)
        except DomainError as error:
            return ProgressCarryUndoPayload(user_errors=user_errors(error))
        return ProgressCarryUndoPayload(carries=await _shown(info, tenant_id, ids), count=len(ids))


def _carries(carry_ids: Sequence[str], caller: Caller) -> tuple[UUID, list[UUID]]:
    if not 1 <= len(carry_ids) <= MOST_PEOPLE:
        raise InvalidInput("carryIds", f"Name 1 to {MOST_PEOPLE} carries.")
    first, *_ = found = [node_of(one, ProgressCarry, "carryIds", caller) for one in carry_ids]
    if any(one.tenant_id != first.tenant_id for one in found):
        raise InvalidInput("carryIds", "All have to be of one tenant.")
    return first.tenant_id, list(dict.fromkeys(one.key for one in found))
