"""A stored problem: opened by a run, counted by the next ones, resolved when it is gone."""

import pytest

from tests.domain.sync.stories import Story

pytestmark = pytest.mark.anyio


async def state_of(story: Story, source_id: str) -> list[tuple[object, ...]]:
    rows = await story.see.fetch(
        "SELECT code, runs, state, resolved_at IS NULL FROM validation_errors"
        " WHERE tenant_id = $1 AND source_id = $2",
        story.tenant_id,
        source_id,
    )
    return [tuple(row) for row in rows]


async def accept(story: Story, source_id: str) -> None:
    await story.see.execute(
        "UPDATE validation_errors SET state = 'ACCEPTED' WHERE source_id = $1", source_id
    )


async def test_an_error_is_opened_counted_resolved_and_opened_again(story: Story) -> None:
    story.district.users.change("ann", username="")
    first = await story.night()
    row = await story.see.fetchrow("SELECT * FROM validation_errors WHERE source_id = 'ann'")
    assert (row["first_seen_run_id"], row["last_seen_run_id"]) == (first.id, first.id)
    assert (row["severity"], row["field"], row["found"]) == ("ERROR", "username", "")
    assert row["place"] == "users.csv line 3"
    again = await story.night()
    assert await state_of(story, "ann") == [("USER_LOGIN_MISSING", 2, "OPEN", True)]
    story.district.users.change("ann", username="ann")
    await story.night()
    assert await state_of(story, "ann") == [("USER_LOGIN_MISSING", 2, "RESOLVED", False)]
    story.district.users.change("ann", username="")
    story.district.users.put(story.district.users.take("ann"))
    back = await story.night()
    assert await state_of(story, "ann") == [("USER_LOGIN_MISSING", 3, "OPEN", True)]
    row = await story.see.fetchrow("SELECT * FROM validation_errors WHERE source_id = 'ann'")
    assert row["place"] == "users.csv line 5"
    assert row["first_seen_run_id"] == first.id
    assert row["last_seen_run_id"] == back.id
    assert back.id != again.id


async def test_an_accepted_error_stays_accepted_while_it_lasts(story: Story) -> None:
    story.district.users.change("ann", username="")
    await story.night()
    await accept(story, "ann")
    await story.night()
    assert await state_of(story, "ann") == [("USER_LOGIN_MISSING", 2, "ACCEPTED", True)]
    story.district.users.change("ann", username="ann")
    await story.night()
    assert await state_of(story, "ann") == [("USER_LOGIN_MISSING", 2, "RESOLVED", False)]


async def test_another_wrong_value_is_another_error(story: Story) -> None:
    story.district.users.change("ann", role="wizard")
    await story.night()
    await accept(story, "ann")
    story.district.users.change("ann", role="witch")
    await story.night()
    assert sorted(await state_of(story, "ann")) == [
        ("USER_ROLE_UNKNOWN", 1, "OPEN", True),
        ("USER_ROLE_UNKNOWN", 1, "RESOLVED", False),
    ]


async def test_a_failed_run_resolves_nothing(story: Story) -> None:
    story.district.users.change("ann", username="")
    await story.night()
    (story.folder / "users.csv").unlink()
    await story.run()
    assert await state_of(story, "ann") == [("USER_LOGIN_MISSING", 1, "OPEN", True)]


async def test_several_problems_of_one_record_are_several_errors(story: Story) -> None:
    story.district.users.change("bob", email="nowhere", grades="99", enabledUser="maybe")
    await story.night()
    assert await story.errors("code", "field", "found") == [
        ("FIELD_TYPE", "enabledUser", "maybe"),
        ("USER_EMAIL_INVALID", "email", "nowhere"),
        ("USER_GRADE_UNMAPPED", "grades", "99"),
    ]
