"""Runs the migrations as homerow_owner, after making sure that the three roles exist.

The connection comes from api.migrate; its login must be able to create roles, once.
"""

from alembic import context
from sqlalchemy import Connection, text

from domain.models import metadata

OLDEST = 180000
"""PostgreSQL 18, as in server_version_num."""
ROLES = ("homerow_owner", "homerow_api", "homerow_worker")


def prepare_roles(connection: Connection) -> None:
    """Roles belong to the cluster, not to the database: another database may have made them."""
    for role in ROLES:
        connection.execute(
            text(
                f"DO $$ BEGIN CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS; "
                "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
        )
        connection.execute(
            text(
                f"DO $$ BEGIN IF NOT pg_has_role(current_user, '{role}', 'SET') THEN "
                f"EXECUTE format('GRANT {role} TO %I', current_user); END IF; END $$"
            )
        )
    connection.execute(text("GRANT USAGE, CREATE ON SCHEMA public TO homerow_owner"))
    connection.execute(
        text(
            "DO $$ BEGIN EXECUTE format("
            "'GRANT CREATE ON DATABASE %I TO homerow_owner', current_database()); END $$"
        )
    )
    connection.execute(text("GRANT USAGE ON SCHEMA public TO homerow_api, homerow_worker"))


def run(connection: Connection) -> None:
    if (
        connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
        < OLDEST
    ):
        raise SystemExit("Homerow needs PostgreSQL 18 or newer.")
    # Two processes that start at once migrate one after the other.
    connection.execute(text("SELECT pg_advisory_lock(hashtext('homerow migrations'))"))
    prepare_roles(connection)
    connection.execute(text("SET ROLE homerow_owner"))
    connection.commit()
    try:
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("RESET ROLE"))
        connection.execute(text("SELECT pg_advisory_unlock(hashtext('homerow migrations'))"))
        connection.commit()


run(context.config.attributes["connection"])
