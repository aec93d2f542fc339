"""Hold limits: how much a run may change unasked."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.errors import DomainError
from domain.integrations.hold_limits import LimitSetting, list_hold_limits, set_hold_limits
from domain.integrations.service import get_integration
from domain.roster.records import RecordType
from domain.sync.decide import DEFAULT_LIMITS, WATCHED
from domain.tenants.service import get_tenant

_COUNT = "Archives wait when they are more than this many"
_PERCENT = "and more than this percentage of the live records, in the tenant or in one school"
_UPDATES = "Updates wait when they concern more than this percentage of the live records"


@strawberry.type(description="How much a run may change unasked, of one kind of record.")
class HoldLimit:
    record_type: RecordType = strawberry.field(description="The kind of record.")
    archive_count: int = strawberry.field(description=f"{_COUNT}.")
    archive_percent: int = strawberry.field(description=f"… {_PERCENT}.")
    update_percent: int = strawberry.field(description=f"{_UPDATES}.")


def limits_of(settings: Sequence[LimitSetting]) -> list[HoldLimit]:
    """Every kind that is watched, with what the tenant has set or else the usual."""
    known = {setting.record_type: setting for setting in settings}
    return [
        HoldLimit(
            record_type=record_type,
            **{
                name: usual if (own := getattr(known.get(record_type), name, None)) is None else own
                for name, usual in DEFAULT_LIMITS._asdict().items()
            },
        )
        for record_type in WATCHED
    ]


@strawberry.input(description="Limits of one kind of record; what is left out is as usual.")
class HoldLimitInput:
    record_type: RecordType = strawberry.field(description="The kind of record.")
    archive_count: int | None = strawberry.field(default=None, description=f"{_COUNT}.")
    archive_percent: int | None = strawberry.field(default=None, description=f"… {_PERCENT}.")
    update_percent: int | None = strawberry.field(default=None, description=f"{_UPDATES}.")


@strawberry.input(description="What a tenant sets of its hold limits.")
class HoldLimitsSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    limits: list[HoldLimitInput] = strawberry.field(
        description="All limits that are not as usual: they take the place of the former ones."
    )
    holds_everything: bool | None = strawberry.field(
        default=None,
        description="Whether a plan of which something would wait waits as a whole. If left out, "
        "it stays as it is.",
    )


@strawberry.type(description="The hold limits as they are now.")
class HoldLimitsSetPayload:
    limits: list[HoldLimit] = strawberry.field(
        default_factory=list, description="Every limit; empty where it was refused."
    )
    holds_everything: bool | None = strawberry.field(
        default=None, description="Whether a plan waits as a whole; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class HoldLimitMutation:
    @strawberry.mutation(
        description="Sets how much a run may change unasked. It holds from the next sync on.",
        permission_classes=[Permitted],
    )
    async def hold_limits_set(
        self, info: Info, input: Annotated[HoldLimitsSetInput, INPUT]
    ) -> HoldLimitsSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await set_hold_limits(
                    session,
                    tenant_id=tenant_id,
                    limits=[LimitSetting(**vars(limit)) for limit in input.limits],
                    holds_everything=input.holds_everything,
                    caller=context.caller,
                )
                integration = await get_integration(session, tenant_id=tenant_id)
                settings = await list_hold_limits(session, tenant_id, [integration.id])
        except DomainError as error:
            return HoldLimitsSetPayload(user_errors=user_errors(error))
        return HoldLimitsSetPayload(
            limits=limits_of(settings[integration.id]),
            holds_everything=integration.holds_everything,
        )
