"""A tenant that leaves its provider and comes back: the same people, with what is the product's."""

import json
from typing import Any

import asyncpg
import pytest

from domain.clock import utc_now
from domain.errors import Conflict, NotFound
from domain.integrations.disconnection import activate, disconnect
from domain.integrations.models import IntegrationStatus
from domain.integrations.service import (
    Configuration,
    configure_integration,
    find_integration,
    get_integration,
)
from domain.people.callers import COMMAND_LINE
from domain.roster.source import Provider
from domain.sync.due import start_due_runs
from tests.domain.sync.matching import NOTHING, pull, take_over
from tests.domain.sync.stories import Story, totals
from tests.domain.sync.test_provider_switch import SAME, after, before

pytestmark = pytest.mark.anyio

SERVER = {"base_url": "https://sis.example.org/v1", "auth": "BEARER"}


async def leave(story: Story) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await disconnect(session, tenant_id=story.tenant_id, caller=COMMAND_LINE, now=utc_now())


async def return_(story: Story) -> IntegrationStatus:
    async with story.api.transaction(story.tenant_id) as session:
        found = await activate(
            session,
            tenant_id=story.tenant_id,
            keys=story.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
        return found.status


async def connect(story: Story, provider: Provider, **settings: Any) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await configure_integration(
            session,
            tenant_id=story.tenant_id,
            configuration=Configuration(provider, settings, {"token": "secret"}),
            keys=story.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def schedule(story: Story) -> asyncpg.Record:
    return await story.see.fetchrow(
        "SELECT integration_id, every_days, next_due_at > now() AS is_due FROM sync_schedules"
    )


async def test_a_tenant_that_leaves_keeps_everybody_and_starts_nothing(story: Story) -> None:
    await story.night()
    roster = await story.roster()
    await leave(story)
    assert await story.roster() == roster
    async with story.api.read(story.tenant_id) as session:
        assert await find_integration(session, tenant_id=story.tenant_id) is None
    with pytest.raises(NotFound):
        await story.request()
    assert (await schedule(story))["is_due"] is None
    assert await start_due_runs(story.worker, now=utc_now()) == 0
    with pytest.raises(NotFound):
        await leave(story)


async def test_whoever_comes_back_goes_on_with_its_schedule_and_changes_nothing(
    story: Story,
) -> None:
    await story.night()
    await story.see.execute("UPDATE sync_schedules SET every_days = 3")
    former = await schedule(story)
    await leave(story)
    assert await return_(story) is IntegrationStatus.ACTIVE
    assert await schedule(story) == former
    assert totals(await story.run()) == NOTHING
    told = await story.see.fetchval(
        "SELECT array_agg(action ORDER BY id) FROM audit_log WHERE action LIKE 'integration%'"
    )
    assert told == ["integrationConfigure", "integrationDisconnect", "integrationConfigure"]


async def test_what_is_in_use_stays_as_it_is_and_what_is_paused_is_to_be_resumed(
    story: Story,
) -> None:
    assert await return_(story) is IntegrationStatus.ACTIVE
    await story.see.execute("UPDATE integrations SET status = 'PAUSED'")
    with pytest.raises(Conflict, match="resume it"):
        await return_(story)


async def test_credentials_are_forgotten_and_asked_for_again(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, before())
    await story.see.execute("UPDATE integrations SET settings = $1", json.dumps(SERVER))
    await leave(story)
    assert await story.see.fetchval("SELECT count(*) FROM integration_credentials") == 0
    with pytest.raises(Conflict, match="ONEROSTER needs credentials"):
        await return_(story)
    await connect(story, Provider.ONEROSTER, **SERVER)
    assert totals(await pull(story, before())) == NOTHING


async def test_everybody_is_recognised_where_a_tenant_comes_back_with_another_provider(
    story: Story,
) -> None:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, before())
    ids = await story.ids("users")
    await leave(story)
    await connect(story, Provider.CLEVER)
    async with story.api.read(story.tenant_id) as session:
        found = await get_integration(session, tenant_id=story.tenant_id)
    assert (found.provider, found.former_provider) == (Provider.CLEVER, Provider.ONEROSTER)
    await take_over(story, after())
    assert await story.ids("users") == {SAME[name]: one for name, one in ids.items()}


async def test_nobody_leaves_while_a_sync_waits(story: Story) -> None:
    await story.request()
    with pytest.raises(Conflict, match="Cancel it or wait"):
        await leave(story)


async def test_what_was_held_ends_with_the_connection(story: Story) -> None:
    await story.night()
    await story.see.execute(
        "INSERT INTO holds (tenant_id, run_id, reasons) SELECT tenant_id, id, '[]' FROM sync_runs"
    )
    await leave(story)
    assert await story.see.fetchval("SELECT ended_by FROM holds") == "disconnection"
