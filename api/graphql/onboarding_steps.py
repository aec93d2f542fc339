"""Onboarding: the checklist of a tenant, what the district expects, and approving a preflight."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import Private

from api.graphql import enums  # noqa: F401 - described before any type shows one
from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id, load
from api.graphql.permissions import Permitted
from api.graphql.run_parts import Actor
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.integrations.expectations import (
    MOST_CLASSES,
    MOST_SCHOOLS,
    Expectations,
    set_expectations,
)
from domain.sync.basis import VALID
from domain.sync.checklist import Checklist, Step, StepName, StepState, get_checklist, set_step
from domain.sync.onboarding import approve_preflight
from domain.tenants.service import get_tenant


@strawberry.type(description="One step of the onboarding.")
class OnboardingStep:
    name: StepName = strawberry.field(description="Which one.")
    state: StepState = strawberry.field(description="How it stands.")
    at: datetime | None = strawberry.field(description="When it was done; null while it never was.")
    by: Actor | None = strawberry.field(description="Who did it, where that is known.")
    message: str = strawberry.field(
        description="What to do next, or what has been done; of a step that lapsed, why."
    )

    @classmethod
    def of(cls, step: Step) -> "OnboardingStep":
        return cls(
            name=step.name,
            state=step.state,
            at=step.at,
            by=Actor.of(step.by) if step.by else None,
            message=step.message,
        )


@strawberry.type(name="Expectations", description="What the district says that it shares.")
class ExpectationsNode:
    schools: list[str] | None = strawberry.field(
        description="Schools by id, number or name; null where that was not said."
    )
    classes: list[str] | None = strawberry.field(
        description="Classes by id, code or name; null where that was not said."
    )
    licences: int | None = strawberry.field(description="How many licences it will need.")
    starts_on: date | None = strawberry.field(description="When its schools will begin.")


@strawberry.type(description="How far a tenant is on its way from the request to the tile.")
class Onboarding:
    steps: list[OnboardingStep] = strawberry.field(description="The checklist, in its order.")
    next_step: OnboardingStep | None = strawberry.field(
        description="What is to be done next; null where all is done."
    )
    approval_lapses_at: datetime | None = strawberry.field(
        description="Until when the next sync may take over what was approved; null where nothing "
        "is approved, or the first sync has been applied."
    )
    expectations: ExpectationsNode | None = strawberry.field(
        description="What the district says that it shares; a preflight compares it."
    )
    tenant_id: Private[UUID]
    preflight_id: Private[UUID | None]
    approved_run_id: Private[UUID | None]

    @strawberry.field(
        description="The last preflight that succeeded.", permission_classes=[Permitted]
    )
    async def last_preflight(self, info: Info) -> SyncRun | None:
        return await _find_run(info, self.tenant_id, self.preflight_id)

    @strawberry.field(
        description="The preflight that is approved, as long as the approval holds.",
        permission_classes=[Permitted],
    )
    async def approved_preflight(self, info: Info) -> SyncRun | None:
        return await _find_run(info, self.tenant_id, self.approved_run_id)

    @classmethod
    def of(cls, tenant_id: UUID, checklist: Checklist) -> "Onboarding":
        following = checklist.following
        said = Expectations.of(checklist.expectations)
        return cls(
            steps=[OnboardingStep.of(step) for step in checklist.steps],
            next_step=OnboardingStep.of(following) if following else None,
            approval_lapses_at=checklist.lapses_at,
            expectations=ExpectationsNode(
                schools=said.schools,
                classes=said.classes,
                licences=said.licences,
                starts_on=said.starts_on,
            )
            if said
            else None,
            tenant_id=tenant_id,
            preflight_id=checklist.preflight_id,
            approved_run_id=checklist.approved_run_id,
        )


async def _find_run(info: Info, tenant_id: UUID, run_id: UUID | None) -> SyncRun | None:
    return None if run_id is None else await load(info, SyncRun, tenant_id, run_id)


async def checklists_of_tenants(
    session: AsyncSession, tenant_id: UUID, keys: Sequence[UUID]
) -> Mapping[UUID, Onboarding]:
    """The keys are the tenant's own id: each tenant's batch sees only itself."""
    checklist = await get_checklist(session, tenant_id=tenant_id, now=utc_now())
    return {key: Onboarding.of(tenant_id, checklist) for key in keys}


async def find_onboarding(info: Info, tenant_id: UUID) -> Onboarding:
    found = await info.context.loaders.of(checklists_of_tenants).load((tenant_id, tenant_id))
    assert found is not None
    return found


@strawberry.type
class _Payload:
    onboarding: Onboarding | None = strawberry.field(
        default=None, description="The onboarding as it is now; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type(description="The onboarding after an approval.")
class OnboardingApprovePayload(_Payload):
    pass


@strawberry.type(description="The onboarding after a step was ticked.")
class OnboardingStepSetPayload(_Payload):
    pass


@strawberry.type(description="The onboarding with what is expected.")
class ExpectationsSetPayload(_Payload):
    pass


@strawberry.input(description="Which preflight is approved.")
class OnboardingApproveInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    sync_run_id: strawberry.ID = strawberry.field(
        description=f"A preflight of the present settings, at most {VALID.days} days old."
    )


@strawberry.input(description="A step that happens outside of Homerow.")
class OnboardingStepSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    step: StepName = strawberry.field(description="REQUESTED or TILE.")
    is_done: bool = strawberry.field(default=True, description="Whether it is done.")


@strawberry.input(
    description="What the district says that it shares, in the place of what it said before. What "
    "is left out is not compared."
)
class ExpectationsSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    schools: list[str] | None = strawberry.field(
        default=None, description=f"Schools by id, number or name, at most {MOST_SCHOOLS}."
    )
    classes: list[str] | None = strawberry.field(
        default=None, description=f"Classes by id, code or name, at most {MOST_CLASSES}."
    )
    licences: int | None = strawberry.field(
        default=None, description="How many licences it will need."
    )
    starts_on: date | None = strawberry.field(
        default=None, description="When its schools will begin."
    )


def _run_of(id: str, tenant_id: UUID) -> UUID:
    """Another tenant's run is answered like one that is not there."""
    found = find_id(id)
    if found is None or found.code != SyncRun.type_code or found.tenant_id != tenant_id:
        raise InvalidInput("syncRunId", "There is no such run of this tenant.")
    return found.key


@strawberry.type
class OnboardingMutation:
    @strawberry.mutation(
        description="Approves what a preflight showed: the first sync takes over these records and "
        f"no others. The approval lapses after {VALID.days} days, and when rules, policy or "
        "credentials change.",
        permission_classes=[Permitted],
    )
    async def onboarding_approve(
        self, info: Info, input: Annotated[OnboardingApproveInput, INPUT]
    ) -> OnboardingApprovePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await approve_preflight(
                    session,
                    tenant_id=tenant_id,
                    run_id=_run_of(input.sync_run_id, tenant_id),
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return OnboardingApprovePayload(user_errors=user_errors(error))
        return OnboardingApprovePayload(onboarding=await find_onboarding(info, tenant_id))

    @strawberry.mutation(
        description="Ticks a step of the onboarding off that happens elsewhere, or takes the tick "
        "away.",
        permission_classes=[Permitted],
    )
    async def onboarding_step_set(
        self, info: Info, input: Annotated[OnboardingStepSetInput, INPUT]
    ) -> OnboardingStepSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await set_step(
                    session,
                    tenant_id=tenant_id,
                    step=input.step,
                    is_done=input.is_done,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return OnboardingStepSetPayload(user_errors=user_errors(error))
        return OnboardingStepSetPayload(onboarding=await find_onboarding(info, tenant_id))

    @strawberry.mutation(
        description="Sets what the district says that it shares. It changes no sync: a preflight "
        "compares it with what is shared.",
        permission_classes=[Permitted],
    )
    async def expectations_set(
        self, info: Info, input: Annotated[ExpectationsSetInput, INPUT]
    ) -> ExpectationsSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await set_expectations(
                    session,
                    tenant_id=tenant_id,
                    expectations=Expectations(
                        schools=input.schools,
                        classes=input.classes,
                        licences=input.licences,
                        starts_on=input.starts_on,
                    ),
                    caller=context.caller,
                )
        except DomainError as error:
            return ExpectationsSetPayload(user_errors=user_errors(error))
        return ExpectationsSetPayload(onboarding=await find_onboarding(info, tenant_id))
