"""Rows for tests, put in by the superuser: it sees every tenant."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import new_id, utc_now
from domain.people.callers import ALL_SCOPES, Scope
from domain.people.tokens import hash_token


async def insert(connection: asyncpg.Connection, table: str, **values: Any) -> UUID:
    """A row with an id of its own unless it is given; dicts and lists of dicts go in as JSON."""
    values.setdefault("id", new_id())
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    given = [json.dumps(value) if _is_json(value) else value for value in values.values()]
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *given)  # noqa: S608
    return UUID(str(values["id"]))


def _is_json(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )


async def add_tenant(connection: asyncpg.Connection, slug: str, **values: Any) -> UUID:
    row = {
        "name": slug.title(),
        "display_name": slug.title(),
        "time_zone": "America/Chicago",
        "status": "ACTIVE",
    }
    tenant_id = await insert(connection, "tenants", slug=slug, **row | values)
    await connection.execute(
        "INSERT INTO subscriptions (tenant_id, kind, licence_limit) VALUES ($1, 'PAID', 500)",
        tenant_id,
    )
    return tenant_id


async def add_token(
    connection: asyncpg.Connection,
    secret: str,
    tenant_id: UUID | None = None,
    *,
    scopes: Sequence[Scope] = tuple(ALL_SCOPES),
    **values: Any,
) -> str:
    """The secret itself, for the Authorization header."""
    row = {
        "name": f"token {secret}",
        "scopes": [scope.value for scope in scopes],
        "expires_at": utc_now() + timedelta(days=1),
        "last_used_at": utc_now(),
    }
    hashed = hash_token(secret)
    await insert(connection, "api_tokens", tenant_id=tenant_id, token_hash=hashed, **row | values)
    return secret


async def add_school(connection: asyncpg.Connection, tenant_id: UUID, **values: Any) -> UUID:
    row = {"name": "North School", "origin": "PROVIDER"}
    return await insert(connection, "schools", tenant_id=tenant_id, **row | values)


async def add_group(
    connection: asyncpg.Connection, tenant_id: UUID, school_id: UUID, **values: Any
) -> UUID:
    row = {
        "name": "Typing 1",
        "origin": "PROVIDER",
        "term_source_ids": [],
        "grades": [],
        "subjects": [],
    }
    return await insert(
        connection, "groups", tenant_id=tenant_id, school_id=school_id, **row | values
    )


async def add_user(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    *,
    schools: Sequence[UUID] = (),
    **values: Any,
) -> UUID:
    row = {
        "username": f"user-{new_id()}",
        "given_name": "Mia",
        "family_name": "Lee",
        "origin": "PROVIDER",
        "roles": ["STUDENT"],
        "grades": [],
        "is_enabled": True,
    }
    user_id = await insert(connection, "users", tenant_id=tenant_id, **row | values)
    for position, school_id in enumerate(schools):
        await connection.execute(
            "INSERT INTO school_affiliations (tenant_id, user_id, school_id, position)"
            " VALUES ($1, $2, $3, $4)",
            tenant_id,
            user_id,
            school_id,
            position,
        )
    return user_id


async def add_membership(
    connection: asyncpg.Connection, tenant_id: UUID, user_id: UUID, group_id: UUID, **values: Any
) -> UUID:
    row = {"role": "STUDENT", "origin": "PROVIDER"}
    membership_id = await insert(
        connection,
        "memberships",
        tenant_id=tenant_id,
        user_id=user_id,
        group_id=group_id,
        **row | values,
    )
    await connection.execute(
        "INSERT INTO membership_spans (tenant_id, membership_id, source_id, is_primary)"
        " VALUES ($1, $2, $3, false)",
        tenant_id,
        membership_id,
        f"enrollment-{membership_id}",
    )
    return membership_id


async def add_integration(connection: asyncpg.Connection, tenant_id: UUID, **values: Any) -> UUID:
    row = {"provider": "ONEROSTER_CSV", "status": "ACTIVE", "settings": {"path": "/nowhere"}}
    return await insert(connection, "integrations", tenant_id=tenant_id, **row | values)


async def add_run(
    connection: asyncpg.Connection, tenant_id: UUID, integration_id: UUID, **values: Any
) -> UUID:
    """A full run that succeeded just now."""
    now = utc_now()
    row = {
        "mode": "FULL",
        "trigger": "MANUAL",
        "state": "SUCCEEDED",
        "requested_by": "system",
        "requested_at": now,
        "started_at": now,
        "finished_at": now,
    }
    return await insert(
        connection,
        "sync_runs",
        tenant_id=tenant_id,
        integration_id=integration_id,
        **row | values,
    )


async def add_error(
    connection: asyncpg.Connection, tenant_id: UUID, run_id: UUID, **values: Any
) -> UUID:
    now = utc_now()
    row = {
        "state": "OPEN",
        "code": "USER_NO_SCHOOL",
        "severity": "ERROR",
        "record_type": "USER",
        "cause": "USER u1",
        "fingerprint": new_id(),
        "first_seen_run_id": run_id,
        "first_seen_at": now,
        "last_seen_run_id": run_id,
        "last_seen_at": now,
        "runs": 1,
    }
    return await insert(connection, "validation_errors", tenant_id=tenant_id, **row | values)
