"""What mails say of a run, read from the tenant's rows. No name of a person is among it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.global_ids import RUN_CODE, encode_global_id
from domain.notifications.links import Links
from domain.notifications.runs import Cause, Counted, Failure, RunFacts
from domain.roster.records import RecordType
from domain.sync.hold_words import count_nouns
from domain.sync.models import Hold, SyncRun
from domain.tenants.models import Tenant
from domain.tenants.service import check_time_zone
from domain.validation.codes import RULES, Code, Severity
from domain.watch.times import words_of

_NOUNS: Final = {
    RecordType.SCHOOL: "Schools",
    RecordType.TERM: "Terms",
    RecordType.COURSE: "Courses",
    RecordType.GROUP: "Classes",
    RecordType.USER: "People",
    RecordType.MEMBERSHIP: "Memberships",
}
_MENDED: Final = {Severity.FATAL, Severity.HOLD, Severity.ERROR}
_CAUSES: Final = text(
    "SELECT code, severity, count(*) AS errors, count(DISTINCT cause) AS causes"
    " FROM validation_errors WHERE tenant_id = :tenant_id AND state = 'OPEN'"
    " GROUP BY code, severity ORDER BY count(*) DESC, code"
)


async def read_facts(
    session: AsyncSession,
    *,
    tenant: Tenant,
    runs: Sequence[SyncRun],
    next_due_at: datetime | None,
    links: Links,
) -> list[RunFacts]:
    """Of runs of one tenant. What is open is so now, whichever run it was found in."""
    zone = check_time_zone(tenant.time_zone)
    causes, warnings = await _read_errors(session, tenant.id)
    holds = await _read_holds(session, tenant.id, [run.id for run in runs])
    return [
        RunFacts(
            tenant=tenant.display_name,
            ended_at=_ended(run, zone),
            url=links.of_tenant(tenant.slug, encode_global_id(RUN_CODE, tenant.id, run.id)),
            counted=_counted(run.counts),
            causes=causes,
            warnings=warnings,
            waiting=[describe(reason) for reason in holds.get(run.id, ())],
            failure=_failure(run.failure_code),
            next_sync=words_of(next_due_at, zone) if next_due_at else None,
        )
        for run in runs
    ]


def _ended(run: SyncRun, zone: ZoneInfo) -> str:
    return words_of(run.finished_at or run.requested_at, zone)


def _counted(counts: Mapping[str, Mapping[str, int]]) -> list[Counted]:
    named = Counted._fields[1:]
    return [
        Counted(noun, *(counts[name].get(field, 0) for field in named))
        for name, noun in _NOUNS.items()
        if name in counts
    ]


def _failure(code: str | None) -> Failure | None:
    """Without the run's own message, which may quote what was read."""
    if code is None:
        return None
    rule = RULES[Code(code)]
    return Failure(code, rule.title, rule.effect, rule.remedy)


async def _read_errors(session: AsyncSession, tenant_id: UUID) -> tuple[list[Cause], int]:
    """What is to be mended, and how many warnings there are."""
    causes, warnings = [], 0
    for row in await session.execute(_CAUSES, {"tenant_id": tenant_id}):
        if Severity(row.severity) in _MENDED:
            rule = RULES[Code(row.code)]
            cause = Cause(row.code, rule.title, row.errors, row.causes, rule.effect, rule.remedy)
            causes.append(cause)
        elif row.severity == Severity.WARNING:
            warnings += row.errors
    return causes, warnings


async def _read_holds(
    session: AsyncSession, tenant_id: UUID, run_ids: Sequence[UUID]
) -> dict[UUID, list[Any]]:
    found = await session.execute(
        select(Hold.run_id, Hold.reasons).where(
            Hold.tenant_id == tenant_id, Hold.run_id.in_(run_ids)
        )
    )
    return {row.run_id: row.reasons for row in found}


def describe(reason: Mapping[str, Any]) -> str:
    """Without the value, which may be a name or an id of the district's making."""
    rule = RULES[Code(reason["code"])]
    numbers = ""
    if reason.get("count") is not None and reason.get("record_type"):
        concerned = count_nouns(RecordType(reason["record_type"]), reason["count"])
        numbers = f": {concerned} of {reason['of']:,}"
    return f"{rule.title}{numbers}. {rule.remedy}"
