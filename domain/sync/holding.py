"""Hold: what of a plan waits for an administrator, marked in the work tables.

The numbers are taken from the database, what they mean is decided purely (domain.sync.decide),
and the records that it concerns are marked with the reason's code. What was approved is released
again, record by record (domain.sync.approvals), and what cannot go without a held record waits
with it (domain.sync.dependents).
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import asyncpg

from domain.roster.records import RecordType
from domain.sync.approvals import find_approval, release
from domain.sync.context import RunContext
from domain.sync.decide import Limits, Reason, TypeCounts, Verdict, decide
from domain.sync.dependents import hold_dependents
from domain.sync.facts import gather_facts, watch
from domain.sync.licences import hold_beyond_seats
from domain.sync.marks import concerned
from domain.sync.models import SyncMode
from domain.sync.year_limits import find_year_limits
from domain.validation.codes import Code

LEADING = (
    Code.HOLD_FIRST_SYNC,
    Code.ID_CHURN,
    Code.CONN_SCHOOL_NOT_FOUND,
    Code.HOLD_TYPE_EMPTY,
)
"""What is told with a record that waits because everything does."""


class Policy(NamedTuple):
    """What the tenant has said about holds, around the turn of a year with wider limits."""

    limits: Mapping[RecordType, Limits]
    holds_everything: bool


async def hold(
    context: RunContext, connection: asyncpg.Connection, counts: Mapping[RecordType, TypeCounts]
) -> None:
    approval = await find_approval(context, connection)
    policy = await _read_policy(context, connection)
    numbers = await watch(context, connection, counts, is_first=approval.is_first)
    facts = await gather_facts(
        context, connection, numbers, limits=policy.limits, approval=approval
    )
    verdict = decide(numbers, facts, limits=policy.limits, holds_everything=policy.holds_everything)
    await _mark(context, connection, verdict)
    if approval.run_ids:
        await release(context, connection, approval, holds_all=verdict.holds_all)
    # First, since whoever waits anyway takes no licence, and gives none back; and again for those
    # who are left without one.
    if verdict.is_held:
        await hold_dependents(context, connection)
    licences = await hold_beyond_seats(context, connection, approval)
    if licences:
        await hold_dependents(context, connection)
    await _store(context, connection, verdict, [*licences])


async def _read_policy(context: RunContext, connection: asyncpg.Connection) -> Policy:
    rows = await connection.fetch(
        "SELECT record_type, archive_count, archive_percent, update_percent FROM hold_limits"
        " WHERE tenant_id = $1",
        context.tenant_id,
    )
    limits: dict[RecordType, Limits] = {}
    for row in rows:
        given = {name: row[name] for name in Limits._fields if row[name] is not None}
        limits[RecordType(row["record_type"])] = Limits(**given)
    year = await find_year_limits(context, connection)
    if year is not None:
        limits = year.widen(limits)
    holds_everything = await connection.fetchval(
        "SELECT holds_everything FROM integrations WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.integration_id,
    )
    return Policy(limits, bool(holds_everything))


async def _mark(context: RunContext, connection: asyncpg.Connection, verdict: Verdict) -> None:
    """The reason that comes first is the one that is told with a record."""
    for reason in verdict.reasons:
        for record_type, condition in concerned(context, reason).items():
            await connection.execute(
                f"UPDATE {context.staging.work(record_type)} w SET held_by = $2"
                " WHERE w.held_by IS NULL AND w.action <> 'REHASH'"
                f" AND $1::uuid IS NOT NULL AND ({condition})",
                context.tenant_id,
                reason.code.value,
            )
    if verdict.holds_all:
        leading = next(
            (reason.code for reason in verdict.reasons if reason.code in LEADING),
            Code.HOLD_DEPENDS,
        )
        for record_type in RecordType:
            await connection.execute(
                f"UPDATE {context.staging.work(record_type)} SET held_by = $1"
                " WHERE held_by IS NULL AND action <> 'REHASH'",
                leading.value,
            )


async def _store(
    context: RunContext,
    connection: asyncpg.Connection,
    verdict: Verdict,
    licences: list[Reason],
) -> None:
    """The hold with the reasons for which something waits; none, if nothing does.

    A rule that names a school which is not there is told in any case.
    """
    waiting = " UNION ".join(
        f"SELECT DISTINCT held_by FROM {context.staging.work(name)} WHERE held_by IS NOT NULL"
        for name in RecordType
    )
    codes = {row["held_by"] for row in await connection.fetch(waiting)}
    told = [
        reason.as_dict()
        for reason in (*verdict.reasons, *licences)
        if reason.code is Code.CONN_SCHOOL_NOT_FOUND
        or reason.code.value in codes
        or (verdict.holds_all and codes)
    ]
    if context.mode is SyncMode.PREFLIGHT:
        context.would_hold = told
    elif told:
        await connection.execute(
            "INSERT INTO holds (tenant_id, run_id, reasons) VALUES ($1, $2, $3)",
            context.tenant_id,
            context.run_id,
            json.dumps(told),
        )
