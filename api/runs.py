"""A sync run as seen from the outside: asked for, worked on here, followed to its end, reported."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from api import preflights
from domain.clock import utc_now
from domain.database import Database
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.roster.records import RecordType
from domain.sync.models import SyncMode, SyncRun, SyncTrigger
from domain.sync.run import work
from domain.sync.service import Requested, get_run, request_run
from domain.sync.targets import PersonWanted, request_user_run
from domain.sync.year_limits import request_year_preflight
from domain.validation.codes import RULES, Code
from domain.validation.models import ValidationError

COUNTED = (
    "fetched",
    "created",
    "updated",
    "archived",
    "restored",
    "unchanged",
    "rejected",
    "ignored",
    "held",
)
_POLL_SECONDS = 0.25

Show = Callable[[SyncRun], None]
"""Is told how the run stands, a few times a second."""


@dataclass(frozen=True, slots=True)
class Report:
    """`errors`: how many problems of each code the run saw."""

    run: SyncRun
    errors: Mapping[str, int]

    @property
    def read(self) -> int:
        return int(self.run.progress.get("read", 0))

    @property
    def seconds(self) -> float:
        if self.run.started_at is None or self.run.finished_at is None:
            return 0.0
        return (self.run.finished_at - self.run.started_at).total_seconds()

    @property
    def failure(self) -> tuple[str, str, str] | None:
        """Code, message and remedy."""
        code = self.run.failure_code
        if code is None:
            return None
        remedy = RULES[Code(code)].remedy if code in set(Code) else ""
        return code, self.run.failure_message or "", remedy

    def count(self, record_type: RecordType, name: str) -> int:
        return int(self.run.counts.get(record_type.value, {}).get(name, 0))


def chain(*shows: Show) -> Show:
    """Tells all of them in turn; one may raise to end the waiting."""

    def show(run: SyncRun) -> None:
        for each in shows:
            each(run)

    return show


class NextYear(NamedTuple):
    """A preflight for the next turn of the school year is wanted."""


Wanted = SyncMode | PersonWanted | NextYear


async def request(database: Database, *, tenant_id: UUID, wanted: Wanted) -> Requested:
    async with database.transaction(tenant_id) as session:
        if isinstance(wanted, NextYear):
            return await request_year_preflight(
                session, tenant_id=tenant_id, caller=COMMAND_LINE, now=utc_now()
            )
        if isinstance(wanted, PersonWanted):
            return await request_user_run(
                session, tenant_id=tenant_id, wanted=wanted, caller=COMMAND_LINE, now=utc_now()
            )
        return await request_run(
            session,
            tenant_id=tenant_id,
            mode=wanted,
            trigger=SyncTrigger.MANUAL,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def follow(database: Database, *, tenant_id: UUID, run_id: UUID, show: Show) -> None:
    """Until the run is finished, whoever works on it."""
    while True:
        run = await _read_run(database, tenant_id=tenant_id, run_id=run_id)
        show(run)
        if run.finished_at is not None:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def work_here(resources: Resources, *, tenant_id: UUID, run_id: UUID, show: Show) -> None:
    """Do a worker's part until the run is finished; what waits before it is done as well."""
    database = resources.database
    following = asyncio.create_task(follow(database, tenant_id=tenant_id, run_id=run_id, show=show))
    try:
        while (await _read_run(database, tenant_id=tenant_id, run_id=run_id)).finished_at is None:
            if await work(database, resources.open_source, resources.keys) is None:
                # Another worker has it, and we take over only once that one falls silent.
                await asyncio.sleep(_POLL_SECONDS)
        await following
    finally:
        following.cancel()


async def report(database: Database, *, tenant_id: UUID, run_id: UUID) -> Report:
    run = await _read_run(database, tenant_id=tenant_id, run_id=run_id)
    async with database.read(tenant_id) as session:
        rows = await session.execute(
            select(ValidationError.code, func.count())
            .where(
                ValidationError.tenant_id == tenant_id,
                ValidationError.last_seen_run_id == run_id,
            )
            .group_by(ValidationError.code)
            .order_by(ValidationError.code)
        )
        return Report(run, {row[0]: row[1] for row in rows})


async def _read_run(database: Database, *, tenant_id: UUID, run_id: UUID) -> SyncRun:
    async with database.read(tenant_id) as session:
        return await get_run(session, tenant_id=tenant_id, run_id=run_id)


def as_json(of: Report) -> dict[str, Any]:
    """With the names that the GraphQL API has for the same things."""
    # strawberry takes half a second to import, which only this has to wait for.
    from api.graphql.node import encode_id  # noqa: PLC0415
    from api.graphql.roster import School  # noqa: PLC0415
    from api.graphql.syncs import SyncRun as SyncRunNode  # noqa: PLC0415

    run = of.run
    failure = of.failure
    return {
        "id": encode_id(SyncRunNode.type_code, run.tenant_id, run.id),
        "mode": run.mode.value,
        "state": run.state.value,
        "requestedAt": _said(run.requested_at),
        "startedAt": _said(run.started_at),
        "finishedAt": _said(run.finished_at),
        "counts": [
            {"recordType": kind.value, **{name: of.count(kind, name) for name in COUNTED}}
            for kind in RecordType
            if kind.value in run.counts
        ],
        "errors": dict(of.errors),
        "steps": [
            {name: step[name] for name in ("name", "outcome", "message")} for step in run.steps
        ],
        "preflight": run.report
        and preflights.as_json(
            run.report, encode_school=partial(encode_id, School.type_code, run.tenant_id)
        ),
        "failure": failure and dict(zip(("code", "message", "remedy"), failure, strict=True)),
    }


def _said(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
