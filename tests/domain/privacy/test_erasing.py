"""Who is erased is gone from every table, and nobody else is touched."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id, utc_now
from domain.errors import Conflict, NotFound
from domain.models import metadata
from domain.people.callers import COMMAND_LINE
from domain.privacy.erasing import delete_tenant, erase_person, purge
from domain.privacy.inventory import PLACES
from domain.privacy.persons import export_person
from domain.resources import Resources
from domain.tenants.closing import close_tenant
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_tenant,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

LONG_AGO = timedelta(days=400)


async def add_everything(see: asyncpg.Connection, tenant_id: UUID, **values: Any) -> UUID:
    """Somebody about whom there is something in every table of the inventory."""
    school_id = await add_school(see, tenant_id)
    group_id = await add_group(see, tenant_id, school_id)
    other_id = await add_group(see, tenant_id, school_id)
    user_id = await add_user(
        see, tenant_id, schools=[school_id], source_id=f"u-{new_id()}", **values
    )
    merged_id = await add_user(see, tenant_id, archived_at=utc_now(), merged_into_id=user_id)
    membership_id = await add_membership(see, tenant_id, user_id, group_id)
    integration_id = await see.fetchval(
        "SELECT id FROM integrations WHERE tenant_id = $1", tenant_id
    )
    if integration_id is None:
        integration_id = await add_integration(see, tenant_id)
    run_id = await add_run(see, tenant_id, integration_id)
    await add_sign_in(see, tenant_id, user_id)
    await add_history(see, tenant_id, user_id, merged_id, run_id)
    await add_training(see, tenant_id, user_id, group_id, other_id)
    await see.execute(
        "INSERT INTO membership_spans (tenant_id, membership_id, source_id, is_primary)"
        " VALUES ($1, $2, 's', true) ON CONFLICT DO NOTHING",
        tenant_id,
        membership_id,
    )
    return user_id


async def add_sign_in(see: asyncpg.Connection, tenant_id: UUID, user_id: UUID) -> None:
    now = utc_now()
    of_tenant: dict[str, Any] = {"tenant_id": tenant_id}
    of_user = of_tenant | {"user_id": user_id}
    account_id = await insert(
        see, "accounts", tenant_id=tenant_id, user_id=user_id, created_by="test"
    )
    await insert(
        see,
        "account_links",
        **of_tenant,
        account_id=account_id,
        kind="RESET",
        token_hash=new_id().bytes,
        expires_at=now,
    )
    await insert(
        see,
        "sessions",
        **of_user,
        token_hash=new_id().bytes,
        method="GOOGLE",
        last_seen_at=now,
        expires_at=now,
    )
    await insert(see, "identities", **of_user, method="GOOGLE", subject=str(new_id()))
    await insert(see, "sign_in_attempts", **of_user, method="GOOGLE", outcome="SIGNED_IN")
    await insert(
        see,
        "api_tokens",
        **of_tenant,
        name="dashboard",
        token_hash=new_id().bytes,
        scopes=["roster:read"],
        created_by_user_id=user_id,
    )
    await insert(
        see, "audit_log", **of_tenant, actor=f"user {user_id}", action="signIn", details={}
    )


async def add_history(
    see: asyncpg.Connection, tenant_id: UUID, user_id: UUID, merged_id: UUID, run_id: UUID
) -> None:
    of_tenant: dict[str, Any] = {"tenant_id": tenant_id}
    of_record = of_tenant | {"record_type": "USER", "record_id": user_id}
    source_id = await see.fetchval("SELECT source_id FROM users WHERE id = $1", user_id)
    await insert(see, "external_keys", **of_record, kind="STUDENT_NUMBER", value="1")
    await insert(
        see,
        "identity_links",
        **of_record,
        source_id="s",
        former_origin="LEGACY",
        reason="KEY",
        run_id=run_id,
    )
    await insert(
        see,
        "people_merges",
        **of_tenant,
        kept_id=user_id,
        merged_id=merged_id,
        undo={},
        created_by="test",
    )
    await insert(
        see,
        "match_candidates",
        **of_tenant,
        record_type="USER",
        source_id=f"new-{new_id()}",
        candidate_ids=[str(user_id)],
        reason="SEVERAL",
    )
    await insert(
        see,
        "sync_changes",
        **of_record,
        run_id=run_id,
        action="UPDATE",
        old_values={"given_name": "Mia"},
        new_values={},
    )
    await insert(
        see,
        "preflight_items",
        **of_record,
        run_id=run_id,
        topic="USERS",
        outcome="CREATE",
        details={},
    )
    await add_error(see, tenant_id, run_id, source_id=source_id)
    await add_error(
        see,
        tenant_id,
        run_id,
        source_id="e",
        record_type="MEMBERSHIP",
        record={"user_source_id": source_id},
    )


async def add_training(
    see: asyncpg.Connection, tenant_id: UUID, user_id: UUID, group_id: UUID, other_id: UUID
) -> None:
    of_user: dict[str, Any] = {"tenant_id": tenant_id, "user_id": user_id}
    await insert(see, "training_settings", **of_user, speed_target=30)
    await insert(
        see,
        "progress_carries",
        **of_user,
        from_group_id=group_id,
        to_group_id=other_id,
        mode="COPY",
        created_by="test",
    )
    await see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year)"
        " VALUES ($1, $2, $3, 2026)",
        tenant_id,
        user_id,
        group_id,
    )
    await see.execute(
        "INSERT INTO default_places (tenant_id, user_id, group_id) VALUES ($1, $2, $3)",
        tenant_id,
        user_id,
        group_id,
    )
    await see.execute(
        "INSERT INTO eligibility_overrides (tenant_id, user_id, is_eligible, set_by)"
        " VALUES ($1, $2, true, 'test')",
        tenant_id,
        user_id,
    )


async def tables_that_know(see: asyncpg.Connection, *texts: str) -> set[str]:
    """The tables with a row in which one of the texts is to be found."""
    found = set()
    for table in metadata.sorted_tables:
        for text in texts:
            if await see.fetchval(
                f"SELECT true FROM {table.name} t WHERE t::text LIKE $1 LIMIT 1",  # noqa: S608 - our own
                f"%{text}%",
            ):
                found.add(table.name)
    return found


async def test_an_export_has_something_of_every_table_and_no_secret(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id = await add_tenant(superuser, "alpha")
    user_id = await add_everything(superuser, tenant_id)
    async with resources.database.transaction(tenant_id) as session:
        document = await export_person(
            session, tenant_id=tenant_id, user_id=user_id, caller=COMMAND_LINE
        )
    assert set(document) == {"format", "userId"} | {place.table for place in PLACES}
    for place in PLACES:
        for row in document[place.table]:
            assert not set(row) & set(place.hidden)
    assert (
        await superuser.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'personExport' AND target = $1",
            str(user_id),
        )
        == 1
    )


async def test_nobody_is_exported_who_is_another_tenants(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id = await add_tenant(superuser, "alpha")
    user_id = await add_everything(superuser, await add_tenant(superuser, "beta"))
    async with resources.database.transaction(tenant_id) as session:
        with pytest.raises(NotFound):
            await export_person(session, tenant_id=tenant_id, user_id=user_id, caller=COMMAND_LINE)


async def test_who_is_erased_is_nowhere_any_more(
    worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id = await add_tenant(superuser, "alpha")
    user_id = await add_everything(superuser, tenant_id, archived_at=utc_now())
    source_id = await superuser.fetchval("SELECT source_id FROM users WHERE id = $1", user_id)
    kept = {place.table for place in PLACES if place.is_kept}
    assert await tables_that_know(superuser, str(user_id)) >= kept
    async with worker_resources.database.transaction(tenant_id) as session:
        counts = await erase_person(
            session, tenant_id=tenant_id, user_id=user_id, caller=COMMAND_LINE
        )
    assert await tables_that_know(superuser, str(user_id), source_id) == {"audit_log"}
    assert set(counts) == {place.table for place in PLACES} - kept
    assert (counts["users"], counts["validation_errors"]) == (2, 2)
    row = await superuser.fetchrow("SELECT slug, kind, requested_by, counts FROM removals")
    assert tuple(row)[:3] == ("alpha", "PERSON", "command line")
    assert await superuser.fetchval("SELECT revoked_at IS NOT NULL FROM api_tokens")


async def test_who_is_in_the_roster_is_not_erased(
    worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id = await add_tenant(superuser, "alpha")
    user_id = await add_everything(superuser, tenant_id)
    async with worker_resources.database.transaction(tenant_id) as session:
        with pytest.raises(Conflict, match="not archived"):
            await erase_person(session, tenant_id=tenant_id, user_id=user_id, caller=COMMAND_LINE)


async def test_a_purge_erases_who_was_archived_long_ago_in_every_tenant(
    worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    now = utc_now()
    gone, stays = [], []
    for slug in ("alpha", "beta"):
        tenant_id = await add_tenant(superuser, slug)
        gone.append(await add_everything(superuser, tenant_id, archived_at=now - LONG_AGO))
        stays.append(await add_everything(superuser, tenant_id, archived_at=now - LONG_AGO / 2))
        stays.append(await add_everything(superuser, tenant_id))
    counts = await purge(worker_resources.database, now=now)
    assert counts["users"] == 4  # with those who were merged into them
    left = {
        row[0]
        for row in await superuser.fetch("SELECT id FROM users WHERE id = ANY ($1)", gone + stays)
    }
    assert left == set(stays)
    assert await purge(worker_resources.database, now=now) == {}
    rows = await superuser.fetch("SELECT slug, kind, requested_by FROM removals ORDER BY slug")
    assert [tuple(row) for row in rows] == [
        ("alpha", "PURGE", "system"),
        ("beta", "PURGE", "system"),
    ]


async def test_a_purge_waits_for_a_sync(
    worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    now = utc_now()
    tenant_id = await add_tenant(superuser, "alpha")
    await add_everything(superuser, tenant_id, archived_at=now - LONG_AGO)
    await superuser.execute("UPDATE sync_runs SET state = 'FETCHING', finished_at = NULL")
    assert await purge(worker_resources.database, now=now) == {}
    await superuser.execute("UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = now()")
    assert (await purge(worker_resources.database, now=now))["users"] == 2


async def test_a_purge_takes_old_traces_along(
    worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    now = utc_now()
    tenant_id = await add_tenant(superuser, "alpha")
    for moment in (now, now - LONG_AGO):
        await insert(
            superuser,
            "mail_outbox",
            tenant_id=tenant_id,
            kind="RESET",
            recipient="a@example.org",
            subject="",
            body_text="",
            body_html="",
            created_at=moment,
        )
    await purge(worker_resources.database, now=now)
    assert await superuser.fetchval("SELECT count(*) FROM mail_outbox") == 1


async def test_a_closed_tenant_is_deleted_whole_with_a_report(
    resources: Resources,
    owner_resources: Resources,
    superuser: asyncpg.Connection,
) -> None:
    alpha_id = await add_tenant(superuser, "alpha")
    beta_id = await add_tenant(superuser, "beta")
    for tenant_id in (alpha_id, beta_id):
        await add_everything(superuser, tenant_id)
    async with owner_resources.database.transaction(alpha_id) as session:
        with pytest.raises(Conflict, match="not closed"):
            await delete_tenant(session, tenant_id=alpha_id, caller=COMMAND_LINE)
    async with resources.database.transaction(alpha_id) as session:
        await close_tenant(session, tenant_id=alpha_id, caller=COMMAND_LINE, now=utc_now())
    before = await tables_that_know(superuser, str(beta_id))
    async with owner_resources.database.transaction(alpha_id) as session:
        counts = await delete_tenant(session, tenant_id=alpha_id, caller=COMMAND_LINE)
    assert await tables_that_know(superuser, str(alpha_id)) == {"removals"}
    assert await tables_that_know(superuser, str(beta_id)) == before
    row = await superuser.fetchrow("SELECT slug, kind FROM removals")
    assert tuple(row) == ("alpha", "TENANT")
    assert (counts["tenants"], counts["users"]) == (1, 2)
