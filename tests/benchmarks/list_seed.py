"""What the training product has of a district: settings of every level, choices, progress."""

from uuid import UUID

import asyncpg

from tests.benchmarks.workshop import as_dsn

# Every tenth user, every third group, every second school, and half of the people's defaults.
_OF_TENANT = (
    "INSERT INTO training_settings (tenant_id, speed_target, accuracy_target, keyboard_layout,"
    " has_avatars) VALUES ($1, 30, 90, 'US', true)"
)
_OF_SCHOOLS = (
    "INSERT INTO training_settings (tenant_id, school_id, speed_target)"
    " SELECT $1, id, 35 FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM schools"
    " WHERE tenant_id = $1) s WHERE n % 2 = 0"
)
_OF_GROUPS = (
    "INSERT INTO training_settings (tenant_id, group_id, accuracy_target, age_group)"
    " SELECT $1, id, 95, 'MIDDLE' FROM (SELECT id, row_number() OVER (ORDER BY id) AS n"
    " FROM groups WHERE tenant_id = $1) g WHERE n % 3 = 0"
)
_OF_USERS = (
    "INSERT INTO training_settings (tenant_id, user_id, has_avatars)"
    " SELECT $1, id, false FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM users"
    " WHERE tenant_id = $1) u WHERE n % 10 = 0"
)
_DEFAULTS = (
    "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at, group_set_by)"
    " SELECT $1, user_id, min(group_id::text)::uuid, now(), 'benchmark' FROM memberships"
    " WHERE tenant_id = $1 AND archived_at IS NULL GROUP BY user_id"
    " HAVING substr(user_id::text, 36) < '8'"
)
_PROGRESS = (
    "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons, seconds)"
    " SELECT DISTINCT $1::uuid, user_id, group_id, 2026, 12, 3600 FROM memberships"
    " WHERE tenant_id = $1 AND role = 'STUDENT' AND archived_at IS NULL"
)


async def seed_training(url: str, tenant_id: UUID) -> None:
    """By the superuser, whom no trigger asks whose rows they are. `url` as SQLAlchemy spells it."""
    connection = await asyncpg.connect(as_dsn(url))
    try:
        for statement in (_OF_TENANT, _OF_SCHOOLS, _OF_GROUPS, _OF_USERS, _DEFAULTS, _PROGRESS):
            await connection.execute(statement, tenant_id)
    finally:
        await connection.close()
