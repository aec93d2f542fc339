"""Errors looked at again by their records: what is mended is resolved, the rest stays."""

from uuid import UUID

import pytest

from domain.clock import new_id
from domain.errors import Conflict, InvalidInput, NotFound
from domain.roster.records import Enrollment, Group, RecordType
from domain.roster.source import Provider
from domain.sync import targets
from domain.sync.models import SyncRunState
from domain.validation.codes import Code
from tests.domain.sync.feeds import small_feed, student
from tests.domain.sync.picking import ask_again, revalidate, steps_of
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio


@pytest.fixture
async def faulty(story: Story) -> Story:
    """Two students without a username, and an enrollment in a class that is not there."""
    await story.night()
    story.district.users.change("ann", username="")
    story.district.users.change("cid", username="")
    story.district.enroll("e9", "bob", "g9", role="teacher")
    await story.night()
    assert await story.errors() == [
        ("ENR_CLASS_MISSING", "e9"),
        ("USER_LOGIN_MISSING", "ann"),
        ("USER_LOGIN_MISSING", "cid"),
    ]
    return story


async def error_id(story: Story, source_id: str) -> UUID:
    found = await story.see.fetchval(
        "SELECT id FROM validation_errors WHERE tenant_id = $1 AND source_id = $2",
        story.tenant_id,
        source_id,
    )
    assert isinstance(found, UUID)
    return found


async def runs_of_errors(story: Story) -> dict[str, tuple[str, int]]:
    rows = await story.see.fetch(
        "SELECT source_id, state, runs FROM validation_errors WHERE tenant_id = $1",
        story.tenant_id,
    )
    return {row["source_id"]: (row["state"], row["runs"]) for row in rows}


async def test_what_is_mended_is_resolved_and_nothing_else_is_looked_at(faulty: Story) -> None:
    faulty.district.users.change("ann", username="ann", givenName="Anna")
    faulty.district.users.change("cid", username="cid")
    faulty.district.write(faulty.folder)
    run = await revalidate(faulty, await error_id(faulty, "ann"))
    assert run.state is SyncRunState.SUCCEEDED
    assert totals(run) == {"created": 0, "updated": 1, "archived": 0, "restored": 0}
    assert (await faulty.user("ann"))["given_name"] == "Anna"
    assert await runs_of_errors(faulty) == {
        "ann": ("RESOLVED", 1), "cid": ("OPEN", 1), "e9": ("OPEN", 1),
    }  # fmt: skip
    assert steps_of(run) == {
        "FETCHED": ("PASSED", "1 record asked for."),
        "VALID": ("PASSED", "1 error resolved."),
    }


async def test_what_is_not_mended_counts_one_run_more(faulty: Story) -> None:
    faulty.district.users.change("ann", username="ann")
    faulty.district.write(faulty.folder)
    run = await revalidate(faulty, code=Code.USER_LOGIN_MISSING)
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    assert await runs_of_errors(faulty) == {
        "ann": ("RESOLVED", 1), "cid": ("OPEN", 2), "e9": ("OPEN", 1),
    }  # fmt: skip


async def test_a_missing_class_is_asked_for_with_its_enrollment(faulty: Story) -> None:
    faulty.district.group("g9", "Drama", school="s2")
    faulty.district.write(faulty.folder)
    run = await revalidate(faulty, await error_id(faulty, "e9"))
    assert totals(run, "created") == {"created": 2}
    assert (await runs_of_errors(faulty))["e9"] == ("RESOLVED", 1)


async def test_all_errors_are_looked_at_together(faulty: Story) -> None:
    faulty.district.users.change("ann", username="ann")
    faulty.district.users.change("cid", username="cid")
    faulty.district.enrollments.take("e9")
    faulty.district.write(faulty.folder)
    await revalidate(faulty, is_all=True)
    assert await faulty.errors() == []


async def test_an_accepted_error_stays_accepted_until_it_is_mended(faulty: Story) -> None:
    await faulty.see.execute(
        "UPDATE validation_errors SET state = 'ACCEPTED' WHERE tenant_id = $1 AND source_id = 'e9'",
        faulty.tenant_id,
    )
    await revalidate(faulty, await error_id(faulty, "e9"))
    assert (await runs_of_errors(faulty))["e9"] == ("ACCEPTED", 2)


async def test_two_people_with_one_address_are_looked_at_together(story: Story) -> None:
    await story.night()
    story.district.users.change("bob", email="both@example.org")
    story.district.user("eve", "eve", role="teacher", email="both@example.org")
    await story.night()
    assert ("USER_EMAIL_DUPLICATE", "bob") in await story.errors()
    story.district.users.change("eve", email="eve@example.org")
    story.district.write(story.folder)
    await revalidate(story, await error_id(story, "bob"))
    assert await story.errors() == []


async def test_whoever_had_the_username_is_looked_at_too(story: Story) -> None:
    await story.night()
    story.district.user("eve", "CID")
    await story.night()
    assert await story.errors() == [("USER_LOGIN_CASE_CLASH", "eve")]
    story.district.users.change("cid", username="cedric")
    story.district.write(story.folder)
    await revalidate(story, await error_id(story, "eve"))
    assert await story.errors() == []
    assert (await story.user("eve"))["username"] == "CID"


async def test_an_empty_class_is_looked_at_with_its_members(story: Story) -> None:
    story.district.group("g3", "Choir", school="s1")
    await story.night()
    assert await story.errors() == [("CLASS_EMPTY", "g3"), ("CLASS_NO_TEACHER", "g3")]
    story.district.user("eve", "eve")
    story.district.enroll("e8", "eve", "g3")
    story.district.enroll("e9", "bob", "g3", role="teacher")
    story.district.write(story.folder)
    run = await revalidate(story, code=Code.CLASS_EMPTY)
    assert totals(run, "created") == {"created": 3}
    assert await story.errors() == []


async def test_errors_of_no_record_need_a_full_sync(faulty: Story) -> None:
    await faulty.see.execute(
        "UPDATE validation_errors SET source_id = NULL WHERE tenant_id = $1", faulty.tenant_id
    )
    done = await ask_again(faulty, is_all=True)
    assert done == (None, "3 of the errors are of no record that can be asked for by its id.")


async def test_too_many_records_need_a_full_sync(
    faulty: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "MOST_PICKS", 2)
    done = await ask_again(faulty, is_all=True)
    assert done.requested is None
    assert done.reason is not None
    assert done.reason.startswith("The errors are of 5 records, and 2 are the most")


async def test_errors_have_to_be_chosen_in_one_way(faulty: Story) -> None:
    with pytest.raises(InvalidInput, match="give one of ids, code and all"):
        await ask_again(faulty)
    with pytest.raises(InvalidInput, match="give one of ids, code and all"):
        await ask_again(faulty, code=Code.CLASS_EMPTY, is_all=True)
    with pytest.raises(NotFound):
        await ask_again(faulty, new_id())
    with pytest.raises(NotFound):
        await ask_again(faulty, code=Code.CLASS_EMPTY)


async def test_nothing_is_asked_for_before_the_first_sync(faulty: Story) -> None:
    await faulty.see.execute(
        "UPDATE integrations SET rostered_at = NULL WHERE tenant_id = $1", faulty.tenant_id
    )
    with pytest.raises(Conflict, match="first sync has not been applied"):
        await ask_again(faulty, is_all=True)


async def test_clevers_enrollments_are_asked_for_by_their_sections(story: Story) -> None:
    await story.connect_to(Provider.CLEVER)
    feed = small_feed()
    await story.run(opener=feed.open)
    feed.records.append(Enrollment("g7/ann/student", "ann", "g7", "STUDENT"))
    await story.run(opener=feed.open)
    assert ("ENR_CLASS_MISSING", "g7/ann/student") in await story.errors()
    feed.records.append(Group("g7", "Drama", "s1"))
    feed.records.append(student("zoe"))
    run = await revalidate(story, code=Code.ENR_CLASS_MISSING, opener=feed.open)
    assert run.counts[RecordType.USER.value]["created"] == 0
    assert run.counts[RecordType.GROUP.value]["created"] == 1
    assert ("ENR_CLASS_MISSING", "g7/ann/student") not in await story.errors()
