"""A username belongs to one live person: who gets it, who keeps what they had, and who is told."""

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.domain.sync.stories import Story, numbers, totals

pytestmark = pytest.mark.anyio


async def usernames(story: Story) -> dict[str, str]:
    rows = await story.see.fetch(
        "SELECT source_id, username FROM users"
        " WHERE tenant_id = $1 AND archived_at IS NULL AND origin = 'PROVIDER'",
        story.tenant_id,
    )
    return {row["source_id"]: row["username"] for row in rows}


def rename(story: Story, **names: str) -> None:
    for source_id, username in names.items():
        story.district.users.change(source_id, username=username)


async def import_user(story: Story, username: str) -> None:
    await story.see.execute(
        "INSERT INTO users (tenant_id, origin, username, given_name, family_name, roles, grades,"
        " is_enabled) VALUES ($1, 'IMPORT', $2, 'Ida', 'Import', '{STAFF}', '{}', true)",
        story.tenant_id,
        username,
    )


async def test_two_people_swap_their_usernames_in_one_night(story: Story) -> None:
    await story.night()
    ids = await story.ids("users")
    rename(story, ann="cid", cid="ann")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"updated": 2, "unchanged": 2}
    assert await usernames(story) == {"ann": "cid", "bob": "bob", "cid": "ann", "dee": "dee"}
    assert await story.ids("users") == ids


async def test_usernames_go_round_in_a_circle_of_four(story: Story) -> None:
    await story.night()
    rename(story, ann="bob", bob="cid", cid="dee", dee="ann")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"updated": 4}
    assert await usernames(story) == {"ann": "bob", "bob": "cid", "cid": "dee", "dee": "ann"}


async def test_a_newcomer_takes_the_username_of_a_leaver(story: Story) -> None:
    await story.night()
    story.district.users.take("dee")
    story.district.user("eve", "DEE")
    story.district.enrollments.change("e5", userSourcedId="eve")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"created": 1, "archived": 1, "unchanged": 3}
    assert (await usernames(story))["eve"] == "DEE"
    assert (await story.user("dee"))["username"] == "dee"


async def test_a_leaver_comes_back_when_the_username_is_taken(story: Story) -> None:
    await story.night()
    dee = story.district.users.take("dee")
    story.district.user("eve", "dee")
    await story.night()
    story.district.users.put(dee)
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"unchanged": 4, "rejected": 1}
    assert (await story.user("dee"))["archived_at"] is not None
    assert ("USER_LOGIN_TAKEN", "dee") in await story.errors()
    story.district.users.take("eve")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"restored": 1, "archived": 1, "unchanged": 3}


async def test_a_username_of_an_imported_person_is_refused(story: Story) -> None:
    await story.night()
    await import_user(story, "ida")
    rename(story, ann="ida")
    story.district.user("eve", "IDA")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 2}
    assert (await usernames(story))["ann"] == "ann"
    assert await story.errors() == [
        ("USER_LOGIN_CASE_CLASH", "eve"),
        ("USER_LOGIN_TAKEN", "ann"),
    ]
    assert numbers(run, RecordType.MEMBERSHIP) == {"unchanged": 5}


async def test_an_archived_imported_person_keeps_no_username(story: Story) -> None:
    await import_user(story, "ann")
    await story.see.execute("UPDATE users SET archived_at = now() WHERE origin = 'IMPORT'")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 4}


async def test_usernames_that_differ_by_case_alone_clash(story: Story) -> None:
    await story.night()
    rename(story, cid="ANN")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 1}
    assert (await usernames(story))["cid"] == "cid"
    [(code, found)] = await story.errors("code", "found")
    assert (code, found) == ("USER_LOGIN_CASE_CLASH", "ANN, which belongs to ann as ann")


@pytest.mark.parametrize(
    ("one", "other"),
    [("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("Ǆ", "ǆ")],
    ids=["sharp s", "sigma", "digraph"],
)
async def test_case_is_folded_as_unicode_folds_it(story: Story, one: str, other: str) -> None:
    rename(story, ann=one, cid=other)
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 3, "rejected": 1}
    assert ("USER_LOGIN_CASE_CLASH", "cid") in await story.errors()


async def test_the_holder_keeps_a_username_that_somebody_earlier_in_the_feed_wants(
    story: Story,
) -> None:
    await story.night()
    rename(story, ann="dee")
    story.district.users.change("dee", familyName="Drake")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 2, "rejected": 1}
    assert await usernames(story) == {"ann": "ann", "bob": "bob", "cid": "cid", "dee": "dee"}
    assert (await story.user("dee"))["family_name"] == "Drake"


async def test_a_refused_username_refuses_those_who_counted_on_it(story: Story) -> None:
    """Ann wants cid's, cid wants dee's, and dee wants what an imported person has."""
    await story.night()
    before = await story.roster()
    await import_user(story, "ida")
    rename(story, ann="cid", cid="dee", dee="ida")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"unchanged": 1, "rejected": 3}
    assert await usernames(story) == {"ann": "ann", "bob": "bob", "cid": "cid", "dee": "dee"}
    assert [row for row in (await story.roster())["users"] if row[0]] == before["users"]
    assert await story.errors("source_id", "found") == [
        ("ann", "cid, which belongs to cid as cid"),
        ("cid", "dee, which belongs to dee as dee"),
        ("dee", "ida, which belongs to " + await imported_id(story) + " as ida"),
    ]
    await story.see.execute("UPDATE users SET archived_at = now() WHERE origin = 'IMPORT'")
    freed = await story.night()
    assert numbers(freed, RecordType.USER) == {"updated": 3, "unchanged": 1}
    assert totals(freed, "rejected") == {"rejected": 0}


async def imported_id(story: Story) -> str:
    return str(await story.see.fetchval("SELECT id FROM users WHERE origin = 'IMPORT'"))


async def test_a_newcomer_cannot_take_the_name_of_someone_whose_record_is_broken(
    story: Story,
) -> None:
    await story.night()
    story.district.users.change("dee", givenName="", familyName="", username="other")
    story.district.user("eve", "Dee")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 2}
    assert await story.errors() == [
        ("USER_LOGIN_CASE_CLASH", "eve"),
        ("USER_NAME_MISSING", "dee"),
    ]
