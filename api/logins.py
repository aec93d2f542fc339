"""What the login of the database's URL may do, whatever role a process takes with it."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


@dataclass(frozen=True, slots=True)
class Login:
    """What it may do by a role that it can take counts as its own."""

    name: str
    is_superuser: bool = False
    bypasses_policies: bool = False
    owns_tables: bool = False


_LOGIN = text("""
    WITH taken AS (
        SELECT oid, rolsuper, rolbypassrls FROM pg_roles
        WHERE rolname = session_user OR pg_has_role(session_user, oid, 'SET')
    )
    SELECT
        session_user::text,
        EXISTS (SELECT FROM taken WHERE rolsuper),
        EXISTS (SELECT FROM taken WHERE rolbypassrls),
        EXISTS (
            SELECT FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN taken ON taken.oid = c.relowner
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
        )
""")


async def read_login(url: str) -> Login:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return Login(*(await connection.execute(_LOGIN)).one())
    finally:
        await engine.dispose()
