"""What is really stored of a tenant, in the words of the model; and what is nobody's but ours."""

import json
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from domain.roster.records import RecordType
from domain.sync.models import ChangeAction
from tests.domain.sync.stateful.ledger import (
    GROUP,
    MEMBERSHIP,
    USER,
    GroupValues,
    Key,
    MembershipValues,
    NameValues,
    Row,
    UserValues,
    Values,
)

_NAMED = {RecordType.SCHOOL: "schools", RecordType.TERM: "terms", RecordType.COURSE: "courses"}
_GROUPS = (
    "SELECT r.id, r.source_id, r.archived_at IS NOT NULL, r.name, s.source_id,"
    " r.term_source_ids, c.source_id FROM groups r"
    " JOIN schools s ON s.tenant_id = $1 AND s.id = r.school_id"
    " LEFT JOIN courses c ON c.tenant_id = $1 AND c.id = r.course_id"
    " WHERE r.tenant_id = $1 AND r.origin = 'PROVIDER'"
)
_USERS = (
    "SELECT r.id, r.source_id, r.archived_at IS NOT NULL, r.username, r.given_name, r.roles,"
    " ARRAY(SELECT s.source_id FROM school_affiliations a"
    "  JOIN schools s ON s.tenant_id = $1 AND s.id = a.school_id"
    "  WHERE a.tenant_id = $1 AND a.user_id = r.id ORDER BY a.position), r.number"
    " FROM users r WHERE r.tenant_id = $1 AND r.origin = 'PROVIDER'"
)
_MEMBERSHIPS = (
    "SELECT m.id, m.archived_at IS NOT NULL, u.source_id, g.source_id, m.role,"
    " ARRAY(SELECT p.source_id FROM membership_spans p"
    "  WHERE p.tenant_id = $1 AND p.membership_id = m.id) FROM memberships m"
    " JOIN users u ON u.tenant_id = $1 AND u.id = m.user_id"
    " JOIN groups g ON g.tenant_id = $1 AND g.id = m.group_id"
    " WHERE m.tenant_id = $1 AND m.origin = 'PROVIDER'"
)
_LOCAL = {
    "training settings": "SELECT t::text FROM training_settings t WHERE tenant_id = $1",
    "progress": "SELECT p::text FROM progress p WHERE tenant_id = $1",
    "display names": (
        "SELECT id::text || display_name FROM schools"
        " WHERE tenant_id = $1 AND display_name IS NOT NULL"
    ),
}
_PLACES = (
    "schools", "terms", "courses", "groups", "users", "school_affiliations", "memberships",
    "membership_spans", "training_settings", "progress", "external_keys",
)  # fmt: skip


class Observed(NamedTuple):
    rows: dict[Key, Row]
    ids: dict[Key, UUID]


async def observe(see: asyncpg.Connection, tenant_id: UUID) -> Observed:
    found = [one async for one in _read(see, tenant_id)]
    return Observed(
        {key: Row(values, is_archived) for key, _, is_archived, values in found},
        {key: row_id for key, row_id, _, _ in found},
    )


async def _read(see: asyncpg.Connection, tenant_id: UUID) -> Any:
    values: Values
    for record_type, table in _NAMED.items():
        for row in await see.fetch(
            f"SELECT id, source_id, archived_at IS NOT NULL, name FROM {table}"  # noqa: S608 - our own table
            " WHERE tenant_id = $1 AND origin = 'PROVIDER'",
            tenant_id,
        ):
            yield Key(record_type, row[1]), row[0], row[2], NameValues(row[3])
    for row in await see.fetch(_GROUPS, tenant_id):
        values = GroupValues(row[3], row[4], tuple(row[5]), row[6])
        yield Key(GROUP, row[1]), row[0], row[2], values
    for row in await see.fetch(_USERS, tenant_id):
        values = UserValues(row[3], row[4], tuple(row[5]), tuple(row[6]), row[7])
        yield Key(USER, row[1]), row[0], row[2], values
    for row in await see.fetch(_MEMBERSHIPS, tenant_id):
        key = Key(MEMBERSHIP, (row[2], row[3], row[4]))
        yield key, row[0], row[1], MembershipValues(frozenset(row[5]))


async def observe_local(see: asyncpg.Connection, tenant_id: UUID) -> dict[str, list[str]]:
    """What no sync ever changes, byte for byte."""
    return {
        name: sorted(row[0] for row in await see.fetch(sql, tenant_id))
        for name, sql in _LOCAL.items()
    }


async def observe_places(see: asyncpg.Connection, tenant_id: UUID) -> dict[str, list[str]]:
    """Where each row lies and who wrote it: the same only if nobody wrote."""
    return {
        table: sorted(
            row[0]
            for row in await see.fetch(
                f"SELECT ctid::text || ' ' || xmin::text FROM {table} WHERE tenant_id = $1",  # noqa: S608 - our own table
                tenant_id,
            )
        )
        for table in _PLACES
    }


async def observe_waiting(
    see: asyncpg.Connection, tenant_id: UUID, run_id: UUID
) -> set[tuple[RecordType, ChangeAction, str]]:
    """What a run shows as waiting, memberships left out: these are known by their ends."""
    rows = await see.fetch(
        "SELECT record_type, action, source_id FROM sync_changes WHERE tenant_id = $1"
        " AND run_id = $2 AND held_by IS NOT NULL AND record_type <> 'MEMBERSHIP'",
        tenant_id,
        run_id,
    )
    return {(RecordType(row[0]), ChangeAction(row[1]), row[2]) for row in rows}


async def observe_reasons(see: asyncpg.Connection, run_id: UUID) -> list[dict[str, Any]] | None:
    """Of the hold of a run that has not ended; None: there is none."""
    found = await see.fetchval(
        "SELECT reasons FROM holds WHERE run_id = $1 AND ended_at IS NULL", run_id
    )
    return None if found is None else list(json.loads(found))
