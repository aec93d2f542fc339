"""People who are signed in: rows of sessions and accounts for tests."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import utc_now
from domain.people.tokens import hash_token
from tests.api.graphql.seed import insert


async def add_session(
    connection: asyncpg.Connection, tenant_id: UUID, secret: str, **values: Any
) -> UUID:
    """Of a `user_id` or an `account_id`; the token begins with hrs_. Begun just now."""
    now = utc_now()
    row = {
        "method": "PASSWORD",
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + timedelta(hours=8),
    }
    hashed = hash_token(secret)
    return await insert(
        connection, "sessions", tenant_id=tenant_id, token_hash=hashed, **row | values
    )


async def add_super_admin(connection: asyncpg.Connection, tenant_id: UUID, **values: Any) -> UUID:
    row = {"name": "Ada Root", "email": "ada@example.org", "created_by": "system"}
    return await insert(connection, "accounts", tenant_id=tenant_id, **row | values)
