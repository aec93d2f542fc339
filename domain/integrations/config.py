"""What a source is opened with, read for a worker: credentials are unsealed here and only here."""

import hashlib
import json
from datetime import datetime
from uuid import UUID

import asyncpg

from domain.integrations.service import credentials_context
from domain.roster.records import RecordType, Role
from domain.roster.source import Eligibility, Provider, SourceConfig
from domain.secrets import KeyRing
from domain.tenants.service import check_time_zone

_READ = (
    "SELECT i.provider, i.settings, i.with_student_email, i.eligibility, i.cursors, t.time_zone,"
    " (SELECT coalesce(jsonb_object_agg(m.provider_role, m.role), '{}') FROM role_maps m"
    "  WHERE m.tenant_id = i.tenant_id AND m.integration_id = i.id) AS role_map,"
    " c.sealed, c.updated_at AS sealed_at"
    " FROM integrations i JOIN tenants t ON t.id = i.tenant_id"
    " LEFT JOIN integration_credentials c"
    "  ON c.tenant_id = i.tenant_id AND c.integration_id = i.id"
    " WHERE i.tenant_id = $1 AND i.id = $2"
)


async def read_source_config(
    connection: asyncpg.Connection,
    *,
    tenant_id: UUID,
    integration_id: UUID,
    keys: KeyRing,
    now: datetime,
    is_delta: bool = False,
) -> SourceConfig:
    """Within a transaction of the tenant's, as the worker's role: no other may read `sealed`."""
    row = await connection.fetchrow(_READ, tenant_id, integration_id)
    credentials = {}
    if row["sealed"] is not None:
        context = credentials_context(tenant_id, integration_id)
        credentials = json.loads(keys.open(row["sealed"], context=context))
    eligibility = json.loads(row["eligibility"]) if row["eligibility"] else None
    return SourceConfig(
        provider=Provider(row["provider"]),
        settings=json.loads(row["settings"]),
        today=now.astimezone(check_time_zone(row["time_zone"])).date(),
        credentials=credentials,
        role_map={
            word: Role(role) if role else None for word, role in json.loads(row["role_map"]).items()
        },
        with_student_email=row["with_student_email"],
        eligibility=Eligibility(
            eligibility["field"], frozenset(value.casefold() for value in eligibility["values"])
        )
        if eligibility
        else None,
        since={RecordType(name): text for name, text in json.loads(row["cursors"]).items()}
        if is_delta
        else {},
        version=_version(row),
    )


def _version(row: asyncpg.Record) -> str:
    """Of secrets only when they were changed: a digest of them would be stored with the run."""
    decided = ("provider", "settings", "with_student_email", "eligibility", "role_map", "sealed_at")
    return hashlib.sha256(repr([row[name] for name in decided]).encode()).hexdigest()
