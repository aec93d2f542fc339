"""Why somebody cannot sign in: what decides it, one by one, and what they have tried."""

from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import select

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import ApiError, ErrorCode
from api.graphql.node import ById, Node
from domain.clock import utc_now
from domain.people.models import Identity, SignInAttempt, SignInMethodName, SignInOutcome
from domain.signing_in import why
from domain.signing_in.refusals import RefusalReason, explain_to_administrator
from domain.signing_in.why import MOST_ATTEMPTS, Check, why_cannot_sign_in

describe(
    Check,
    "What decides whether somebody gets in.",
    name="SignInCheck",
    TENANT="Whether the tenant is in use.",
    ROSTER="Whether the person is in the roster.",
    ACCOUNT="Whether the roster says that the account is enabled.",
    ROLE="Whether the person has a role.",
    LICENCE="Whether a student has a licence.",
    ELIGIBILITY="Whether a student takes part.",
    GO_LIVE="Whether the day of going live has come, or the person is an administrator.",
    METHOD="Whether there is a way of signing in that fits the person.",
)
describe(SignInOutcome, "How it ended.", SIGNED_IN="They were in.", REFUSED="They were not.")
describe(
    RefusalReason,
    "Why somebody was not let in. More reasons may come.",
    name="SignInRefusal",
    **{reason.name: explain_to_administrator(reason) for reason in RefusalReason},
)


@strawberry.type(description="One thing that decides whether somebody gets in.")
class SignInFinding:
    check: Check = strawberry.field(description="What was looked at.")
    is_ok: bool = strawberry.field(description="Whether it lets them in.")
    message: str = strawberry.field(
        description="What is so and, where it stands in the way, who can mend it and how."
    )


@strawberry.type(description="A time that somebody signed in, or tried to.")
class SignInTry:
    created_at: datetime = strawberry.field(description="When.")
    method: SignInMethodName = strawberry.field(description="In which way.")
    outcome: SignInOutcome = strawberry.field(description="How it ended.")
    reason: RefusalReason | None = strawberry.field(
        description="Why they were refused; null where they were not."
    )
    message: str | None = strawberry.field(
        description="The same in words, for administrators; null where they were not."
    )

    @classmethod
    def of(cls, row: SignInAttempt) -> "SignInTry":
        reason = RefusalReason(row.reason) if row.reason else None
        return cls(
            created_at=row.created_at,
            method=row.method,
            outcome=row.outcome,
            reason=reason,
            message=explain_to_administrator(reason) if reason else None,
        )


@strawberry.type(description="An account at Google or Microsoft that is a person's.")
class SignInIdentity:
    method: SignInMethodName = strawberry.field(description="Where.")
    created_at: datetime = strawberry.field(description="When they signed in with it first.")
    last_used_at: datetime = strawberry.field(description="When they signed in with it last.")


@strawberry.type(description="Whether somebody can sign in, and if not, why.")
class SignInHelp:
    can_sign_in: bool = strawberry.field(description="Whether nothing stands in the way.")
    findings: list[SignInFinding] = strawberry.field(description="What decides it, one by one.")
    attempts: list[SignInTry] = strawberry.field(
        description=f"What they have tried, the latest first, at most {MOST_ATTEMPTS}. What was "
        "tried under a name that is nobody's is in the audit log only."
    )
    identities: list[SignInIdentity] = strawberry.field(
        description="The accounts elsewhere that are theirs; identityForget takes one away."
    )


async def sign_in_help_of(parent: strawberry.Parent[Node], info: Info) -> SignInHelp:
    """Whoever sees the person is told all that decides, holds and accounts among it.

    Those the policies hide from people who see a part of a tenant: so this reads beyond their
    reach, of this one person, after it was asked whether they see them.
    """
    context, tenant_id, user_id = info.context, parent.tenant_id, parent.key
    if await context.loaders.of(ById(type(parent))).load((tenant_id, user_id)) is None:
        raise ApiError(ErrorCode.NOT_FOUND, "There is no such person.")
    async with context.database.within(None).read(tenant_id) as session:
        found = await why_cannot_sign_in(
            session, tenant_id=tenant_id, user_id=user_id, now=utc_now()
        )
        identities = await session.scalars(
            select(Identity)
            .where(Identity.tenant_id == tenant_id, Identity.user_id == user_id)
            .order_by(Identity.method)
        )
        return _help(found, identities.all())


def _help(found: why.SignInHelp, identities: Any) -> SignInHelp:
    return SignInHelp(
        can_sign_in=found.can_sign_in,
        findings=[
            SignInFinding(check=finding.check, is_ok=finding.is_ok, message=finding.message)
            for finding in found.findings
        ],
        attempts=[SignInTry.of(attempt) for attempt in found.attempts],
        identities=[
            SignInIdentity(
                method=identity.method,
                created_at=identity.created_at,
                last_used_at=identity.last_used_at,
            )
            for identity in identities
        ],
    )
