"""Sharing rules: which part of what the provider shares is taken over, previewed and set."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id
from api.graphql.permissions import Permitted
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, tenant_of
from api.providers import sharing_rules_of
from api.sharing import VALID, preview_rules, save_rules
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.integrations import models
from domain.integrations.models import SharingSubject
from domain.integrations.sharing import MOST_VALUES, SharingRules
from domain.tenants.service import get_tenant

_RULES = (
    f"At most one for each subject, with at most {MOST_VALUES} values each. What no rule speaks of "
    "is taken over; no rules at all: everything is."
)


@strawberry.type(description="Only what has one of the values is taken over.")
class SharingRule:
    subject: SharingSubject = strawberry.field(description="What it speaks of.")
    values: list[str] = strawberry.field(description="What is taken over; grades as CEDS codes.")


async def rules_of_integrations(
    session: AsyncSession, tenant_id: UUID, integration_ids: Sequence[UUID]
) -> Mapping[UUID, list[SharingRule]]:
    row = models.SharingRule
    rows = await session.execute(
        select(row.integration_id, row.subject, row.values)
        .where(row.tenant_id == tenant_id, row.integration_id.in_(integration_ids))
        .order_by(row.integration_id, row.subject)
    )
    rules: dict[UUID, list[SharingRule]] = {}
    for integration_id, subject, values in rows:
        rules.setdefault(integration_id, []).append(SharingRule(subject=subject, values=values))
    return rules


@strawberry.input(description="Only what has one of the values is to be taken over.")
class SharingRuleInput:
    subject: SharingSubject = strawberry.field(description="What it speaks of.")
    values: list[str] = strawberry.field(
        description="What is taken over. Grades are read as people write them: K, 1, 01."
    )


@strawberry.input(description="Rules whose effects are to be seen before they are saved.")
class SharingRulesPreviewInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    rules: list[SharingRuleInput] = strawberry.field(description=_RULES)


@strawberry.type(description="The run that shows what the rules would do.")
class SharingRulesPreviewPayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None,
        description="A run of mode PREFLIGHT: once it has ended, its counts say what would be "
        "created and archived, and `leftOut` what each rule leaves out.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="The rules that take the place of all former ones.")
class SharingRulesSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    rules: list[SharingRuleInput] = strawberry.field(description=_RULES)
    preview_run_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The preview of exactly these rules, at most "
        f"{VALID.days} days old: what it showed as archived is not held. Without one, archives "
        "that the rules cause may wait for approval.",
    )


@strawberry.type(description="The rules as they are now.")
class SharingRulesSetPayload:
    rules: list[SharingRule] = strawberry.field(
        default_factory=list, description="The rules; empty where they were refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why they were refused; empty where they were not."
    )


def _rules_of(given: Sequence[SharingRuleInput]) -> SharingRules:
    return sharing_rules_of([(rule.subject, rule.values) for rule in given])


def _run_of(id: str | None, tenant_id: UUID) -> UUID | None:
    """Another tenant's run is answered like one that is not there."""
    if id is None:
        return None
    found = find_id(id)
    if found is None or found.code != SyncRun.type_code or found.tenant_id != tenant_id:
        raise InvalidInput("previewRunId", "There is no such run of this tenant.")
    return found.key


@strawberry.type
class SharingMutation:
    @strawberry.mutation(
        description="Starts a run that shows what sharing rules would add and archive. It changes "
        "nothing.",
        permission_classes=[Permitted],
    )
    async def sharing_rules_preview(
        self, info: Info, input: Annotated[SharingRulesPreviewInput, INPUT]
    ) -> SharingRulesPreviewPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            rules = _rules_of(input.rules)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                requested = await preview_rules(
                    session,
                    tenant_id=tenant_id,
                    rules=rules,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SharingRulesPreviewPayload(user_errors=user_errors(error))
        return SharingRulesPreviewPayload(sync_run=SyncRun.of(requested.run))

    @strawberry.mutation(
        description="Sets a tenant's sharing rules. They hold from the next sync on; preview them "
        "first.",
        permission_classes=[Permitted],
    )
    async def sharing_rules_set(
        self, info: Info, input: Annotated[SharingRulesSetInput, INPUT]
    ) -> SharingRulesSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            rules = _rules_of(input.rules)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await save_rules(
                    session,
                    tenant_id=tenant_id,
                    rules=rules,
                    preview_run_id=_run_of(input.preview_run_id, tenant_id),
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SharingRulesSetPayload(user_errors=user_errors(error))
        return SharingRulesSetPayload(
            rules=[
                SharingRule(subject=subject, values=list(values))
                for subject, values in sorted(rules.values.items())
            ]
        )
