"""What runs did, counted from what the caller sees: for those who see a part of a tenant.

The numbers that are stored with a run are of the whole tenant, and would tell of other schools.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CTE,
    Select,
    String,
    Uuid,
    case,
    cast,
    column,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.change_parts import ROWS
from api.graphql.run_parts import SyncCount
from domain.roster.records import RecordType
from domain.sync.models import ChangeAction, SyncChange
from domain.sync.spans import RunSpan
from domain.validation.codes import Severity
from domain.validation.models import ValidationError

_KINDS: Final = (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
"""Terms and courses are nobody's: how many a tenant has is not for its schools."""
_NUMBERS: Final[Mapping[str, str]] = {
    ChangeAction.CREATE.value: "created",
    ChangeAction.UPDATE.value: "updated",
    ChangeAction.ARCHIVE.value: "archived",
    ChangeAction.RESTORE.value: "restored",
}

Counts = defaultdict[tuple[UUID, str], Counter[str]]


async def counts_of_runs(
    session: AsyncSession, tenant_id: UUID, spans: Sequence[RunSpan]
) -> Mapping[RunSpan, list[SyncCount]]:
    counts: Counts = defaultdict(Counter)
    for run_id, kind, name, number in await session.execute(_counted(tenant_id, spans)):
        counts[run_id, kind][_NUMBERS.get(name, name)] += number
    return {span: _present(counts, span.run_id) for span in spans}


def _present(counts: Counts, run_id: UUID) -> list[SyncCount]:
    return [
        SyncCount.visible(kind, counts[run_id, kind.value])
        for kind in _KINDS
        if (run_id, kind.value) in counts
    ]


def _counted(tenant_id: UUID, spans: Sequence[RunSpan]) -> Select[Any]:
    """A run, a kind of record, what was done to it, and how many times."""
    unnested = func.unnest(
        *(literal([span[place] for span in spans], ARRAY(Uuid)) for place in range(3))
    ).table_valued(
        column("run_id", Uuid), column("first", Uuid), column("last", Uuid), name="unnested"
    )
    runs = select(unnested.render_derived()).cte("runs")
    parts = [
        _changes(tenant_id, runs),
        _rejected(tenant_id, runs),
        *(_created(tenant_id, runs, kind) for kind in _KINDS),
    ]
    counted = union_all(*parts).subquery("counted")
    return select(counted).where(counted.c.number > 0)


def _changes(tenant_id: UUID, runs: CTE) -> Select[Any]:
    row = SyncChange
    kind = cast(row.record_type, String)
    name = case((row.held_by.is_not(None), "held"), else_=cast(row.action, String))
    return (
        select(row.run_id, kind.label("kind"), name.label("name"), func.count().label("number"))
        .where(row.tenant_id == tenant_id, row.run_id.in_(select(runs.c.run_id)))
        .group_by(row.run_id, kind, name)
    )


def _rejected(tenant_id: UUID, runs: CTE) -> Select[Any]:
    row: Any = ValidationError
    return (
        select(row.last_seen_run_id, row.record_type, literal("rejected", String), func.count())
        .where(
            row.tenant_id == tenant_id,
            row.last_seen_run_id.in_(select(runs.c.run_id)),
            row.severity == Severity.ERROR,
        )
        .group_by(row.last_seen_run_id, row.record_type)
    )


def _created(tenant_id: UUID, runs: CTE, kind: RecordType) -> Select[Any]:
    """A create has no row among the changes: the record itself names the run that made it."""
    row: Any = ROWS[kind]
    number = (
        select(func.count())
        .where(
            row.tenant_id == tenant_id,
            row.id.between(runs.c.first, runs.c.last),
            row.created_by_run_id == runs.c.run_id,
        )
        .scalar_subquery()
    )
    return select(runs.c.run_id, literal(kind.value, String), literal("created", String), number)
