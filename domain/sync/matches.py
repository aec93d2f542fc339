"""Deciding matches: what an administrator says of a record that may be a stored one again."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.service import find_integration, forget_cursors
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import MatchCandidate


class MatchDecision(StrEnum):
    LINK = "LINK"
    CREATE = "CREATE"
    IGNORE = "IGNORE"


class MatchResolution(StrEnum):
    """GONE is said by a run: there is nothing to be decided any more."""

    LINK = "LINK"
    CREATE = "CREATE"
    IGNORE = "IGNORE"
    GONE = "GONE"


class Decision(NamedTuple):
    """`user_id` is the chosen person of a LINK."""

    resolution: MatchDecision
    user_id: UUID | None = None


async def resolve_match(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    match_id: UUID,
    decision: Decision,
    caller: Caller,
    now: datetime,
) -> MatchCandidate:
    """Record what is decided; the next run does it (domain.sync.waiting).

    Raises NotFound, Conflict where it was decided already, and InvalidInput.
    """
    match: MatchCandidate | None = await session.scalar(
        select(MatchCandidate)
        .where(MatchCandidate.tenant_id == tenant_id, MatchCandidate.id == match_id)
        .with_for_update()
    )
    if match is None:
        raise NotFound("match candidate", match_id)
    _require_undecided(match, decision)
    chosen = _chosen(match, decision)
    if chosen is not None:
        match.candidate_ids = [chosen]
    match.resolution = decision.resolution.value
    match.resolved_at = now
    integration = await find_integration(session, tenant_id=tenant_id)
    if integration is not None:
        # A delta would not name again who waited.
        forget_cursors(integration)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="matchCandidateResolve",
        target=str(match.id),
        details={"resolution": decision.resolution.value, "user_id": chosen},
    )
    await session.flush()
    return match


def _require_undecided(match: MatchCandidate, decision: Decision) -> None:
    """Of all decisions only IGNORE has changed nothing, and so can be taken back."""
    is_ignored = match.resolution == MatchResolution.IGNORE.value
    if match.resolution is None or (is_ignored and decision.resolution is not MatchDecision.IGNORE):
        return
    raise Conflict(f"This match is closed already, with {match.resolution}.")


def _chosen(match: MatchCandidate, decision: Decision) -> str | None:
    if decision.resolution is not MatchDecision.LINK:
        if decision.user_id is not None:
            raise InvalidInput("userId", "A person is chosen for LINK only.")
        return None
    if decision.user_id is None or str(decision.user_id) not in match.candidate_ids:
        raise InvalidInput("userId", "Choose one of the candidates of this match.")
    return str(decision.user_id)
