"""Every sign-in and every refusal, for the audit log and for whoever asks why."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import SignInAttempt, SignInMethodName, SignInOutcome
from domain.signing_in.refusals import RefusalReason

NOBODY = Caller(actor="nobody", name="Somebody who is not known")


def record_attempt(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    method: SignInMethodName,
    user_id: UUID | None = None,
    account_id: UUID | None = None,
    reason: RefusalReason | None = None,
) -> None:
    """`reason` None: they are in. Who is not known is nobody; what they typed is not kept."""
    outcome = SignInOutcome.REFUSED if reason else SignInOutcome.SIGNED_IN
    session.add(
        SignInAttempt(
            tenant_id=tenant_id,
            user_id=user_id,
            account_id=account_id,
            method=method,
            outcome=outcome,
            reason=reason.value if reason else None,
        )
    )
    details = {"method": method.value} | ({"reason": reason.value} if reason else {})
    record_act(
        session,
        tenant_id=tenant_id,
        caller=actor_of(tenant_id, user_id=user_id, account_id=account_id),
        action="signInRefused" if reason else "signIn",
        target=str(user_id or account_id) if user_id or account_id else None,
        details=details,
    )


def actor_of(tenant_id: UUID, *, user_id: UUID | None, account_id: UUID | None) -> Caller:
    """Who signs in, as the audit log names them."""
    if user_id is None and account_id is None:
        return NOBODY
    label = f"user {user_id}" if user_id else f"account {account_id}"
    return Caller(actor=label, name=label, tenant_id=tenant_id)
