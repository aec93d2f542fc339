"""The onboarding checklist (T3): from a district's request to its tile, read off from what is so.

Nothing of it is stored but the two steps that happen elsewhere, which somebody ticks off.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import SYSTEM, Caller
from domain.roster.source import Provider
from domain.sync.basis import DIGEST, VALID
from domain.tenants.models import OnboardingStep


class StepName(StrEnum):
    """In their order."""

    REQUESTED = "REQUESTED"
    CREDENTIALS = "CREDENTIALS"
    PREFLIGHT = "PREFLIGHT"
    APPROVED = "APPROVED"
    LIVE = "LIVE"
    TILE = "TILE"


class StepState(StrEnum):
    OPEN = "OPEN"
    DONE = "DONE"
    LAPSED = "LAPSED"


TICKED = frozenset({StepName.REQUESTED, StepName.TILE})
"""What happens outside of Homerow: somebody says that it is done."""


class Step(NamedTuple):
    """`message` says what to do next, or what has been done."""

    name: StepName
    state: StepState
    message: str
    at: datetime | None = None
    by: str | None = None


class Facts(NamedTuple):
    """What the checklist is read off from; the columns of `_FACTS`."""

    time_zone: str
    go_live_on: date | None
    ticks: Mapping[str, Sequence[str]]
    integration_id: UUID | None
    provider: str | None
    configured_at: datetime | None
    configured_by: str | None
    shared_at: datetime | None
    preflight_id: UUID | None
    preflight_at: datetime | None
    preflight_by: str | None
    preflight_basis: str | None
    approved_run_id: UUID | None
    approved_at: datetime | None
    approved_by: str | None
    approved_basis: str | None
    basis: str | None
    rostered_at: datetime | None
    expectations: dict[str, Any] | None


class Checklist(NamedTuple):
    """`approved_run_id` and `lapses_at` only as long as the approval holds."""

    steps: Sequence[Step]
    preflight_id: UUID | None = None
    approved_run_id: UUID | None = None
    lapses_at: datetime | None = None
    expectations: dict[str, Any] | None = None

    @property
    def following(self) -> Step | None:
        """What is to be done next."""
        return next((step for step in self.steps if step.state is not StepState.DONE), None)


_FACTS = f"""
SELECT t.time_zone, s.go_live_on,
  coalesce((SELECT jsonb_object_agg(o.step, jsonb_build_array(o.done_at, o.done_by))
    FROM onboarding_steps o WHERE o.tenant_id = t.id AND o.done_at IS NOT NULL), '{{}}') AS ticks,
  g.id AS integration_id, g.provider, coalesce(c.updated_at, g.created_at) AS configured_at,
  (SELECT a.actor FROM audit_log a WHERE a.tenant_id = t.id AND a.action = 'integrationConfigure'
    AND a.target = CAST(g.id AS text) ORDER BY a.created_at DESC LIMIT 1) AS configured_by,
  (SELECT h.first_seen_at FROM find_share(g.provider, coalesce(
    g.settings ->> 'district_id', g.settings ->> 'tenant_id')) AS h) AS shared_at,
  p.id AS preflight_id, p.finished_at AS preflight_at, p.requested_by AS preflight_by,
  p.basis AS preflight_basis,
  g.approved_run_id, g.approved_at, g.approved_by, g.approved_basis,
  ({DIGEST.format(tenant_id="t.id", integration_id="g.id")}) AS basis,
  g.rostered_at, g.expectations
FROM tenants t
LEFT JOIN subscriptions s ON s.tenant_id = t.id
LEFT JOIN integrations g ON g.tenant_id = t.id AND g.status <> 'DISCONNECTED'
LEFT JOIN integration_credentials c ON c.tenant_id = t.id AND c.integration_id = g.id
LEFT JOIN LATERAL (SELECT r.id, r.finished_at, r.requested_by, r.basis FROM sync_runs r
  WHERE r.tenant_id = t.id AND r.integration_id = g.id AND r.mode = 'PREFLIGHT'
    AND starts_with(r.state, 'SUCCEEDED')
    AND coalesce(jsonb_typeof(r.sharing_rules), 'null') = 'null'
  ORDER BY r.id DESC LIMIT 1) p ON true
WHERE t.id = :tenant_id
"""
_WHERE_TO_SHARE = {
    Provider.CLEVER: "in the Clever dashboard",
    Provider.CLASSLINK: "in ClassLink's Roster Server",
}
_CHANGED = "Rules, policy or credentials have changed since then; start another preflight."
_OLD = f"It is older than {VALID.days} days; start another preflight."


async def get_checklist(session: AsyncSession, *, tenant_id: UUID, now: datetime) -> Checklist:
    row = (await session.execute(text(_FACTS), {"tenant_id": tenant_id})).one_or_none()
    if row is None:
        raise NotFound("tenant", tenant_id)
    return list_steps(Facts(*row), now=now)


def list_steps(facts: Facts, *, now: datetime) -> Checklist:
    approved = _approved(facts, now)
    is_valid = approved.state is StepState.DONE and facts.rostered_at is None
    return Checklist(
        steps=(
            _requested(facts),
            _credentials(facts),
            _preflight(facts, now),
            approved,
            _live(facts, now),
            _ticked(
                facts,
                StepName.TILE,
                "Have the tile added to the LaunchPad or the Portal, then tick this.",
            ),
        ),
        preflight_id=facts.preflight_id,
        approved_run_id=facts.approved_run_id if is_valid else None,
        lapses_at=facts.approved_at + VALID if is_valid and facts.approved_at else None,
        expectations=facts.expectations,
    )


def _ticked(facts: Facts, name: StepName, message: str) -> Step:
    tick = facts.ticks.get(name)
    if tick is None:
        return Step(name, StepState.OPEN, message)
    at, by = tick
    return Step(name, StepState.DONE, "Ticked off.", datetime.fromisoformat(at), by)


def _requested(facts: Facts) -> Step:
    """A provider that lists its districts tells; and who connects a tenant was asked to."""
    name = StepName.REQUESTED
    step = _ticked(
        facts, name, "Ask the district to share its roster with this product, then tick this."
    )
    if step.state is StepState.DONE:
        return step
    if facts.shared_at is not None:
        said = "The provider lists the district."
        return Step(name, StepState.DONE, said, facts.shared_at, SYSTEM.actor)
    if facts.integration_id is not None:
        said = "The tenant is connected."
        return Step(name, StepState.DONE, said, facts.configured_at, facts.configured_by)
    return step


def _credentials(facts: Facts) -> Step:
    """An integration is not stored without what opens its provider."""
    if facts.integration_id is None:
        return Step(
            StepName.CREDENTIALS,
            StepState.OPEN,
            "Connect the tenant to its provider: integrationConfigure, or"
            " `homerow integration set`.",
        )
    return Step(
        StepName.CREDENTIALS,
        StepState.DONE,
        f"The tenant is connected to {facts.provider}.",
        facts.configured_at,
        facts.configured_by,
    )


def _preflight(facts: Facts, now: datetime) -> Step:
    name, at, by = StepName.PREFLIGHT, facts.preflight_at, facts.preflight_by
    if facts.rostered_at is not None:
        said = "The first sync has been applied."
        return Step(name, StepState.DONE, said, at or facts.rostered_at, by)
    if at is None:
        share = _WHERE_TO_SHARE.get(Provider(facts.provider)) if facts.provider else None
        said = (
            "Start a preflight: syncRunStart with the mode PREFLIGHT, or"
            " `homerow sync SLUG --mode preflight`."
        )
        if share is not None:
            said += f" The district must have shared its data {share}."
        return Step(name, StepState.OPEN, said)
    lapsed = _lapsed(facts.preflight_basis, at, facts, now)
    if lapsed is not None:
        return Step(name, StepState.LAPSED, lapsed, at, by)
    return Step(name, StepState.DONE, "It shows what the first sync would do.", at, by)


def _approved(facts: Facts, now: datetime) -> Step:
    name, at, by = StepName.APPROVED, facts.approved_at, facts.approved_by
    if facts.rostered_at is not None:
        said = "The first sync has been applied."
        return Step(name, StepState.DONE, said, at or facts.rostered_at, by)
    if at is None:
        said = (
            "Look through the preflight and approve it: onboardingApprove, or"
            " `homerow onboarding approve SLUG`."
        )
        return Step(name, StepState.OPEN, said)
    lapsed = _lapsed(facts.approved_basis, at, facts, now)
    if lapsed is not None:
        return Step(name, StepState.LAPSED, f"{lapsed} Then approve it.", at, by)
    said = f"The next sync takes over what was shown. The approval lapses on {at + VALID:%F}."
    return Step(name, StepState.DONE, said, at, by)


def _lapsed(basis: str | None, at: datetime, facts: Facts, now: datetime) -> str | None:
    """Why what was true `at` that time is not true any more."""
    if basis != facts.basis:
        return _CHANGED
    return _OLD if at <= now - VALID else None


def _live(facts: Facts, now: datetime) -> Step:
    name, on = StepName.LIVE, facts.go_live_on
    if on is None:
        said = "Set the day from which people may sign in: tenantUpdate with goLiveOn."
        return Step(name, StepState.OPEN, said)
    begins_at = datetime.combine(on, time(), ZoneInfo(facts.time_zone)).astimezone(UTC)
    if begins_at > now:
        said = f"Until {on} nobody but administrators signs in."
        return Step(name, StepState.OPEN, said)
    if facts.rostered_at is None:
        said = f"The go-live day was {on}, and no sync has been applied yet."
        return Step(name, StepState.OPEN, said)
    said = f"People may sign in since {on}."
    return Step(name, StepState.DONE, said, max(begins_at, facts.rostered_at))


async def set_step(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    step: StepName,
    is_done: bool,
    caller: Caller,
    now: datetime,
) -> None:
    """Tick a step off, or take the tick away. Raises InvalidInput for what Homerow sees itself."""
    if step not in TICKED:
        raise InvalidInput("step", f"{step.value} follows from what is done; it is not ticked.")
    if is_done:
        values = {"tenant_id": tenant_id, "step": step, "done_at": now, "done_by": caller.actor}
        # Who ticked it first has done it.
        await session.execute(insert(OnboardingStep).values(values).on_conflict_do_nothing())
    else:
        await session.execute(
            delete(OnboardingStep).where(
                OnboardingStep.tenant_id == tenant_id, OnboardingStep.step == step
            )
        )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="onboardingStepSet",
        details={"step": step.value, "is_done": is_done},
    )
    await session.flush()
