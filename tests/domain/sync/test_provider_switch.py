"""Another provider: the same people under other ids, recognised by what both know of them."""

from typing import Any

import pytest

from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput
from domain.integrations.models import Integration
from domain.integrations.service import Configuration, configure_integration, get_integration
from domain.people.callers import COMMAND_LINE
from domain.roster.records import Course, Enrollment, Group, RecordType, School, Term
from domain.roster.source import Provider
from domain.sync.matches import MatchDecision
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from tests.domain.sync.feeds import Feed, student
from tests.domain.sync.matching import (
    NOTHING,
    approve,
    candidates,
    decide,
    links,
    pull,
    take_over,
)
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio


def before() -> Feed:
    """What the OneRoster server gives: the ids are those of the student information system."""
    return Feed([
        School("school-1", "North High", number="100"), School("school-2", "South"),
        Term("t1", "Fall", "term"), Course("c1", "Mathematics"),
        Group("class-1", "Algebra", "school-1", "c1", ("t1",)),
        Group("class-2", "Biology", "school-2", None, ("t1",), code="BIO"),
        student("tea", roles=("TEACHER",), school_source_ids=("school-1",), grades=(),
                username="tess", given_name="Tess", email="tess@example.org"),
        student("ann", school_source_ids=("school-1",), number="71"),
        student("bob", school_source_ids=("school-1",), keys=("SIS:b-1",)),
        student("cid", school_source_ids=("school-2",)),
        student("dee", school_source_ids=("school-2",), given_name="Dee"),
        Enrollment("e1", "ann", "class-1", "STUDENT"),
        Enrollment("e2", "bob", "class-1", "STUDENT"),
        Enrollment("e3", "cid", "class-2", "STUDENT"),
        Enrollment("e4", "tea", "class-1", "TEACHER"),
    ])  # fmt: skip


def after() -> Feed:
    """The same at Clever, where everything has an id of Clever's own."""
    return Feed([
        School("5f1", "North", number="100"), School("5f2", "SOUTH"),
        Term("6t1", "Fall 1", "term"), Course("6c1", "Maths"),
        Group("7g1", "Algebra - Tess - 1", "5f1", "6c1", ("6t1",), keys=("sis_id:class-1",)),
        Group("7g2", "Biology - Cox - 2", "5f2", None, ("6t1",), code="bio"),
        student("8tea", roles=("TEACHER",), school_source_ids=("5f1",), grades=(),
                username="8tea", given_name="T.", email="TESS@example.org"),
        student("8ann", school_source_ids=("5f1",), number="71", given_name="Anna"),
        student("8bob", school_source_ids=("5f1",), keys=("sis_id:b-1",), given_name="Robert"),
        student("8cid", school_source_ids=("5f2",), keys=("sis_id:cid",), given_name="C."),
        student("8dee", school_source_ids=("5f2",), given_name="Dee"),
        Enrollment("9e1", "8ann", "7g1", "STUDENT"),
        Enrollment("9e2", "8bob", "7g1", "STUDENT"),
        Enrollment("9e3", "8cid", "7g2", "STUDENT"),
        Enrollment("9e4", "8tea", "7g1", "TEACHER"),
    ])  # fmt: skip


SAME = {
    "school-1": "5f1", "school-2": "5f2", "class-1": "7g1", "class-2": "7g2", "tea": "8tea",
    "ann": "8ann", "bob": "8bob", "cid": "8cid", "dee": "8dee",
}  # fmt: skip


@pytest.fixture
async def rostered(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, before())
    return story


async def switch(story: Story, provider: Provider = Provider.CLEVER, **values: Any) -> Integration:
    given = {"settings": {}, "credentials": {"token": "secret"}} | values
    async with story.api.transaction(story.tenant_id) as session:
        return await configure_integration(
            session,
            tenant_id=story.tenant_id,
            configuration=Configuration(provider, **given),
            keys=story.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def read_integration(story: Story) -> Integration:
    async with story.api.read(story.tenant_id) as session:
        return await get_integration(session, tenant_id=story.tenant_id)


async def reasons(story: Story, run: SyncRun) -> list[str]:
    found = await story.see.fetchval(
        "SELECT array_agg(DISTINCT r ->> 'code') FROM holds h, jsonb_array_elements(h.reasons) r"
        " WHERE h.run_id = $1",
        run.id,
    )
    return sorted(found or [])


async def held_people(story: Story, run: SyncRun, code: str) -> list[str]:
    rows = await story.see.fetch(
        "SELECT source_id FROM sync_changes WHERE run_id = $1 AND held_by = $2"
        " AND record_type = 'USER' ORDER BY source_id",
        run.id,
        code,
    )
    return [row["source_id"] for row in rows]


async def test_a_switch_forgets_what_was_said_of_the_former_provider(rostered: Story) -> None:
    await rostered.share(GRADE=["09"])
    await rostered.see.execute(
        "INSERT INTO role_maps SELECT tenant_id, id, 'captain', 'TEACHER' FROM integrations"
    )
    run_id = await rostered.see.fetchval("SELECT id FROM sync_runs")
    await rostered.see.execute(
        'UPDATE integrations SET cursors = \'{"USER": "2026"}\', sharing_preview_run_id = $1,'
        " approved_run_id = $1, approved_at = now(), approved_by = 'x', approved_basis = 'y',"
        " existing_accounts = 'REPLACE'",
        run_id,
    )
    id_before = (await read_integration(rostered)).id
    await switch(rostered)
    found = await read_integration(rostered)
    assert (found.id, found.provider, found.former_provider) == (
        id_before, Provider.CLEVER, Provider.ONEROSTER
    )  # fmt: skip
    assert (found.settings, found.cursors, found.rostered_at) == ({}, {}, None)
    assert found.sharing_preview_run_id is None
    assert (found.approved_run_id, found.approved_at, found.approved_by, found.approved_basis) == (
        None, None, None, None
    )  # fmt: skip
    assert await rostered.see.fetchval("SELECT count(*) FROM role_maps") == 0
    assert await rostered.see.fetchval("SELECT count(*) FROM integration_credentials") == 1
    assert await rostered.see.fetchval("SELECT count(*) FROM sharing_rules") == 1
    assert await rostered.see.fetchval("SELECT count(*) FROM sync_schedules") == 1


async def test_a_switch_needs_what_opens_the_new_provider(rostered: Story) -> None:
    await switch(rostered)
    with pytest.raises(InvalidInput) as refused:
        await switch(rostered, Provider.CLASSLINK, settings={"tenant_id": "9"}, credentials={})
    assert refused.value.field == "credentials"
    with pytest.raises(InvalidInput) as refused:
        await switch(rostered, Provider.CLASSLINK, settings=None)
    assert (await read_integration(rostered)).provider is Provider.CLEVER


async def test_a_switch_waits_for_the_sync_that_is_under_way(rostered: Story) -> None:
    await rostered.request()
    with pytest.raises(Conflict) as refused:
        await switch(rostered)
    assert refused.value.field == "provider"
    assert (await read_integration(rostered)).provider is Provider.ONEROSTER


async def test_what_waited_for_the_former_provider_cannot_be_approved(rostered: Story) -> None:
    await rostered.see.execute(
        "INSERT INTO holds (tenant_id, run_id, reasons) SELECT tenant_id, id, '[]' FROM sync_runs"
    )
    await switch(rostered)
    rows = await rostered.see.fetch("SELECT ended_by, ended_at IS NOT NULL FROM holds")
    assert [tuple(row) for row in rows] == [("switch to CLEVER", True)]


async def test_a_provider_of_whom_nothing_was_taken_over_is_no_former_one(
    rostered: Story,
) -> None:
    await switch(rostered)
    await switch(rostered, Provider.CLASSLINK, settings={"application_id": "a"})
    assert (await read_integration(rostered)).former_provider is Provider.ONEROSTER
    await switch(
        rostered,
        Provider.ONEROSTER,
        settings={"base_url": "https://sis.example.org/v1", "auth": "BEARER"},
    )
    assert (await read_integration(rostered)).former_provider is None


async def test_everybody_is_recognised_after_a_switch(rostered: Story) -> None:
    ids = {table: await rostered.ids(table) for table in ("schools", "groups", "users")}
    memberships = await rostered.membership_ids()
    roster = await rostered.roster()
    await switch(rostered)
    shown = await pull(rostered, after(), SyncMode.PREFLIGHT)
    assert shown.state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS)
    assert await rostered.roster() == roster
    held = await pull(rostered, after())
    assert held.state is SyncRunState.HELD
    assert await reasons(rostered, held) == ["HOLD_FIRST_SYNC"]
    assert await rostered.roster() == roster
    await approve(rostered, held, after())
    for table, former in ids.items():
        assert await rostered.ids(table) == {SAME[name]: key for name, key in former.items()}
    assert await rostered.membership_ids() == {
        (SAME[user], SAME[group], role): key for (user, group, role), key in memberships.items()
    }
    assert {(link[1], link[4]) for link in await links(rostered)} == {
        ("5f1", "KEYS"), ("5f2", "CONTENT"), ("7g1", "KEYS"), ("7g2", "CONTENT"),
        ("8tea", "CONTENT"), ("8ann", "KEYS"), ("8bob", "KEYS"), ("8cid", "KEYS"),
        ("8dee", "CONTENT"),
    }  # fmt: skip
    assert totals(await pull(rostered, after())) == NOTHING


async def test_progress_and_settings_are_kept_through_there_and_back(rostered: Story) -> None:
    users, groups = await rostered.ids("users"), await rostered.ids("groups")
    await rostered.see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year)"
        " VALUES ($1, $2, $3, 2026)",
        rostered.tenant_id,
        users["ann"],
        groups["class-1"],
    )
    await rostered.see.execute(
        "INSERT INTO training_settings (tenant_id, user_id) VALUES ($1, $2)",
        rostered.tenant_id,
        users["ann"],
    )
    kept = await local_rows(rostered)
    await switch(rostered)
    await take_over(rostered, after())
    await switch(
        rostered,
        Provider.ONEROSTER,
        settings={"base_url": "https://sis.example.org/v1", "auth": "BEARER"},
    )
    await take_over(rostered, before())
    assert await rostered.ids("users") == users
    assert await rostered.ids("groups") == groups
    assert await local_rows(rostered) == kept


async def local_rows(story: Story) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for table in ("progress", "training_settings")
        for row in await story.see.fetch(f"SELECT * FROM {table}")  # noqa: S608 - our own table
    ]


async def test_who_is_not_found_is_told_and_stays_until_approved(rostered: Story) -> None:
    feed = after().without("8dee")
    await switch(rostered)
    held = await pull(rostered, feed)
    assert "PROVIDER_SWITCH_UNMATCHED" in await reasons(rostered, held)
    assert await held_people(rostered, held, "PROVIDER_SWITCH_UNMATCHED") == ["dee"]
    assert await rostered.user("dee") is not None
    await approve(rostered, held, feed)
    assert (await rostered.user("dee"))["archived_at"] is not None
    assert (await rostered.user("8ann"))["archived_at"] is None


async def test_who_is_not_found_stays_on_later_nights_too(rostered: Story) -> None:
    feed = after().without("8dee")
    await switch(rostered)
    held = await pull(rostered, feed)
    await rostered.see.execute("UPDATE integrations SET rostered_at = now()")
    for _ in range(2):
        night = await pull(rostered, feed)
        assert await held_people(rostered, night, "PROVIDER_SWITCH_UNMATCHED") == ["dee"]
        assert (await rostered.user("dee"))["archived_at"] is None
    assert held.state is SyncRunState.HELD


async def test_who_is_like_several_waits(rostered: Story) -> None:
    """Two of the new provider have the number of one who is stored."""
    feed = after()
    feed.records.append(student("8twin", school_source_ids=("5f1",), number="71"))
    ann = (await rostered.user("ann"))["id"]
    await switch(rostered)
    await take_over(rostered, feed)
    assert await candidates(rostered) == [
        (name, ["ann"], "USER_SOURCE_DUPLICATE", None, False) for name in ("8ann", "8twin")
    ]
    assert (await rostered.user("ann"))["archived_at"] is None
    await decide(rostered, MatchDecision.LINK, "ann", of="8ann")
    await pull(rostered, feed)
    assert (await rostered.user("8ann"))["id"] == ann
    assert (await rostered.user("8twin"))["id"] != ann


async def test_the_same_ids_at_the_new_provider_change_nothing(rostered: Story) -> None:
    """Two servers of one student information system."""
    await switch(rostered, Provider.CLASSLINK, settings={"application_id": "a"})
    held = await pull(rostered, before())
    assert totals(held) == NOTHING
    assert await links(rostered) == []
    assert held.counts[RecordType.USER.value]["unchanged"] == 5


async def test_who_has_changed_since_the_approval_is_not_doubled_by_the_next_night(
    rostered: Story,
) -> None:
    people, groups = await rostered.ids("users"), await rostered.ids("groups")
    await switch(rostered)
    held = await pull(rostered, after())
    feed = after()
    feed.change("8dee", preferred_given_name="D")
    feed.change("7g2", name="Biology - Fox - 2")
    first = await approve(rostered, held, feed)
    assert [first.counts[name]["held"] for name in ("USER", "GROUP")] == [1, 1]
    later = await pull(rostered, feed)
    assert later.state is SyncRunState.HELD
    assert (await approve(rostered, later, feed)).state is SyncRunState.SUCCEEDED
    assert await rostered.ids("users") == {SAME[name]: one for name, one in people.items()}
    assert await rostered.ids("groups") == {SAME[name]: one for name, one in groups.items()}
