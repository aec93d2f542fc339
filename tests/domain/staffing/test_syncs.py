"""No sync touches who was imported: not the first, nor an archive, a revert or another provider."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain.clock import utc_now
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.secrets import KeyRing
from domain.staffing.layouts import PeopleKind
from domain.sync.models import SyncRunState
from tests.builders import small_district
from tests.domain.staffing.files import Office, counts, said, sheet
from tests.domain.sync.feeds import small_feed, student
from tests.domain.sync.matching import pull, take_over
from tests.domain.sync.reverts import revert
from tests.domain.sync.stories import Story, new_story, numbers
from tests.domain.sync.test_provider_switch import after as later
from tests.domain.sync.test_provider_switch import before as former

pytestmark = pytest.mark.anyio

ADMINS = sheet(
    ("Ann", "Ann", "Fox", "ann@example.org", "district_admin", "", ""),
    ("kim", "Kim", "Day", "kim@example.org", "school_admin", "s1;s2", ""),
)
STAFF = sheet(("ida", "Ida", "May", "ida@example.org", "staff", "s2", "no"))


@pytest.fixture
async def story(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> Story:
    made = new_story(
        resources.database,
        worker_resources.database,
        superuser,
        folder=tmp_path / "alpha",
        keys=keys,
    )
    made.district = small_district()
    await made.begin("alpha")
    return made


def office_of(story: Story) -> Office:
    return Office(story.api, story.worker, story.see, story.tenant_id)


async def imported(story: Story) -> list[Any]:
    """Everything that is stored of them, to the last byte, and where it lies."""
    rows = await story.see.fetch(
        "SELECT u.ctid::text, u.xmin::text, to_jsonb(u)::text, array(SELECT to_jsonb(a)::text"
        "  FROM school_affiliations a WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id"
        "  ORDER BY a.position)"
        " FROM users u WHERE u.tenant_id = $1 AND u.origin = 'IMPORT' ORDER BY u.username",
        story.tenant_id,
    )
    return [tuple(row) for row in rows]


async def test_nights_archives_and_a_revert_leave_them_as_they_are(story: Story) -> None:
    office = office_of(story)
    await story.night()
    await office.apply(ADMINS.replace("Ann,Ann", "Eve,Eve"))
    await office.apply(STAFF, PeopleKind.STAFF)
    before = await imported(story)
    assert len(before) == 3
    story.district.users.change("ann", familyName="Drake")
    story.district.user("pat", "pat", orgSourcedIds="s1")
    updated = await story.night()
    assert numbers(updated, RecordType.USER) == {"created": 1, "updated": 1, "unchanged": 3}
    story.district.users.take("pat")
    archived = await story.night()
    assert numbers(archived, RecordType.USER) == {"archived": 1, "unchanged": 4}
    reverted = await revert(story, archived)
    assert reverted.state is SyncRunState.SUCCEEDED
    assert await imported(story) == before


async def test_a_first_sync_does_not_take_their_usernames(story: Story) -> None:
    """Whoever the feed calls so too is told of, and comes with a username of their own."""
    office = office_of(story)
    await office.apply(sheet(
        ("Ann", "Ann", "Fox", "ann@example.org", "district_admin", "", ""),
    ))  # fmt: skip
    before = await imported(story)
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    assert numbers(run, RecordType.USER) == {"created": 3, "rejected": 1}
    assert ("USER_LOGIN_CASE_CLASH", "ann") in await story.errors()
    assert await imported(story) == before
    story.district.users.change("ann", username="ann.archer")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 1, "unchanged": 3}
    assert await imported(story) == before


@pytest.mark.parametrize("policy", ["REPLACE", "MATCH_USERNAME", "MATCH_KEYS"])
async def test_what_becomes_of_legacy_people_does_not_become_of_them(
    story: Story, policy: str
) -> None:
    await story.connect_to(Provider.ONEROSTER)
    office = office_of(story)
    await office.apply(sheet(
        ("ann", "Ann", "Archer", "ann@example.org", "district_admin", "", ""),
        ("kim", "Kim", "Day", "kim@example.org", "district_admin", "", ""),
    ))  # fmt: skip
    await story.see.execute("UPDATE integrations SET existing_accounts = $1", policy)
    before = await imported(story)
    feed = small_feed()
    feed.change("ann", email="ann@example.org")
    await pull(story, feed)
    assert await imported(story) == before
    assert ("USER_LOGIN_TAKEN", "ann") in await story.errors()


async def test_another_provider_does_not_take_them_over(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    office = office_of(story)
    await pull(story, former())
    await office.apply(ADMINS.replace("Ann,Ann", "Eve,Eve").replace("s1;s2", "school-1;school-2"))
    await office.apply(STAFF.replace("s2", "100"), PeopleKind.STAFF)
    before = await imported(story)
    async with story.api.transaction(story.tenant_id) as session:
        await configure_integration(
            session,
            tenant_id=story.tenant_id,
            configuration=Configuration(
                Provider.CLEVER, settings={}, credentials={"token": "secret"}
            ),
            keys=story.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    feed = later()
    feed.records.append(
        student("8ida", username="ida", email="ida@example.org", school_source_ids=("5f1",))
    )
    await take_over(story, feed)
    assert await imported(story) == before
    assert (await story.user("8tea"))["archived_at"] is None
    assert ("USER_LOGIN_TAKEN", "8ida") in await story.errors()


async def test_somebody_of_the_feed_is_not_taken_over_by_a_file(story: Story) -> None:
    await story.night()
    office = office_of(story)
    bob = await story.user("bob")
    report = await office.apply(
        sheet(("BOB", "Bob", "Fox", "bob@example.org", "district_admin", "", "")),
        skip_errors=True,
    )
    [(line, column, words)] = said(report)
    assert (line, column, counts(report)) == (2, "username", {})
    assert "is rostered by the provider" in words
    assert await story.user("bob") == bob
