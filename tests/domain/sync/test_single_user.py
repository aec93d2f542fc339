"""One person on demand: read by name, judged and stored like a night's, each step explained."""

import pytest

from domain.clock import new_id
from domain.errors import Conflict, InvalidInput, NotFound
from domain.roster.records import Enrollment, Group, RecordType, School
from domain.roster.source import Provider
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.run import work
from tests.domain.sync.feeds import small_feed, student
from tests.domain.sync.picking import ask_for, outcomes_of, read_person, steps_of
from tests.domain.sync.stories import Story, numbers, read_places, totals
from tests.sources import open_source

pytestmark = pytest.mark.anyio

PASSED, WARNING, STOPPED, SKIPPED = "PASSED", "WARNING", "STOPPED", "SKIPPED"


@pytest.fixture
async def rostered(story: Story) -> Story:
    await story.night()
    return story


async def test_somebody_who_is_as_stored_is_left_as_they_are(rostered: Story) -> None:
    before = await read_places(rostered.see)
    run = await read_person(rostered, source_id="ann")
    assert run.state is SyncRunState.SUCCEEDED
    assert await read_places(rostered.see) == before
    assert steps_of(run) == {
        "FETCHED": (PASSED, "ONEROSTER_CSV has this person as ann, in 1 enrollment."),
        "IN_SCOPE": (PASSED, "No sharing rule leaves this person out."),
        "VALID": (PASSED, "Nothing is wrong with the record."),
        "MATCHED": (PASSED, "Stored already under this id."),
        "LICENSED": (PASSED, "Takes a licence."),
        "CHANGED": (PASSED, "Everything is stored as the provider has it."),
    }


async def test_what_changed_of_one_person_is_taken_over_and_nobody_else_is(
    rostered: Story,
) -> None:
    district = rostered.district
    district.users.change("ann", givenName="Anna", grades="10")
    district.users.change("cid", givenName="Cedric")
    district.enrollments.take_where(sourcedId="e1")
    district.enroll("e6", "ann", "g2")
    district.write(rostered.folder)
    run = await read_person(rostered, source_id="ann")
    assert totals(run) == {"created": 1, "updated": 1, "archived": 1, "restored": 0}
    assert (await rostered.user("ann"))["given_name"] == "Anna"
    assert (await rostered.user("cid"))["given_name"] == "Cid"
    assert steps_of(run)["CHANGED"] == (
        PASSED,
        "The person was changed: given_name, grades. 1 membership archived. 1 membership created.",
    )
    night = await rostered.run()
    assert numbers(night, RecordType.USER)["updated"] == 1


async def test_a_new_student_comes_with_the_class_school_and_term(rostered: Story) -> None:
    district = rostered.district
    district.school("s3", "West")
    district.term("t2", "2027-01-04", "2027-06-05")
    district.group("g3", "Choir", school="s3", termSourcedIds="t2")
    district.user("eve", "eve", orgSourcedIds="s3", identifier="105")
    district.user("fay", "fay", orgSourcedIds="s3")
    district.enroll("e6", "eve", "g3")
    district.enroll("e7", "fay", "g3")
    district.write(rostered.folder)
    run = await read_person(rostered, number="105")
    assert {name: numbers(run, name).get("created") for name in RecordType} == {
        RecordType.SCHOOL: 1, RecordType.TERM: 1, RecordType.COURSE: None,
        RecordType.GROUP: 1, RecordType.USER: 1, RecordType.MEMBERSHIP: 1,
    }  # fmt: skip
    assert outcomes_of(run) == [PASSED] * 6
    assert steps_of(run)["MATCHED"] == (PASSED, "Like nobody who is stored.")
    assert steps_of(run)["CHANGED"] == (PASSED, "The person was created. 1 membership created.")
    assert await rostered.user("fay") is None


async def test_who_is_gone_is_archived_with_the_memberships(rostered: Story) -> None:
    rostered.district.users.take("ann")
    rostered.district.enrollments.take_where(userSourcedId="ann")
    rostered.district.write(rostered.folder)
    ann = (await rostered.ids("users"))["ann"]
    run = await read_person(rostered, user_id=ann)
    assert (await rostered.user("ann"))["archived_at"] is not None
    assert totals(run) == {"created": 0, "updated": 0, "archived": 2, "restored": 0}
    assert steps_of(run)["FETCHED"] == (
        WARNING,
        "ONEROSTER_CSV no longer has ann, or does not share them.",
    )
    assert steps_of(run)["CHANGED"][1].startswith("The person was archived.")


async def test_who_comes_back_is_restored(rostered: Story) -> None:
    taken = rostered.district.users.take("ann")
    rows = rostered.district.enrollments.take_where(userSourcedId="ann")
    await rostered.night()
    rostered.district.users.put(taken)
    rostered.district.enrollments.put(*rows)
    rostered.district.write(rostered.folder)
    run = await read_person(rostered, source_id="ann")
    assert totals(run) == {"created": 0, "updated": 0, "archived": 0, "restored": 2}
    assert (await rostered.user("ann"))["archived_at"] is None


async def test_a_sharing_rule_that_leaves_somebody_out_is_named(rostered: Story) -> None:
    await rostered.share(SCHOOL=["South"])
    run = await read_person(rostered, source_id="cid")
    assert steps_of(run)["IN_SCOPE"] == (
        STOPPED,
        "The sharing rule about the school leaves this person out.",
    )
    assert outcomes_of(run) == [PASSED, STOPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED]


async def test_a_role_that_is_left_out_is_named(rostered: Story) -> None:
    rostered.district.user("gus", "gus", role="guardian")
    rostered.district.write(rostered.folder)
    run = await read_person(rostered, source_id="gus")
    assert steps_of(run)["IN_SCOPE"] == (STOPPED, "Left out on purpose: guardian.")


async def test_a_record_that_is_rejected_says_why_and_stays_as_it_was(rostered: Story) -> None:
    rostered.district.users.change("ann", username="")
    rostered.district.write(rostered.folder)
    run = await read_person(rostered, source_id="ann")
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    outcome, message = steps_of(run)["VALID"]
    assert outcome == STOPPED
    assert "USER_LOGIN_MISSING, username" in message
    assert (await rostered.user("ann"))["username"] == "ann"
    assert await rostered.errors() == [("USER_LOGIN_MISSING", "ann")]


async def test_an_error_of_the_person_is_resolved(rostered: Story) -> None:
    rostered.district.users.change("ann", username="")
    rostered.district.users.change("cid", username="")
    await rostered.night()
    rostered.district.users.change("ann", username="ann")
    rostered.district.users.change("cid", username="cid")
    rostered.district.write(rostered.folder)
    await read_person(rostered, source_id="ann")
    assert await rostered.errors() == [("USER_LOGIN_MISSING", "cid")]


async def test_nobody_with_the_number_is_said(rostered: Story) -> None:
    before = await rostered.roster()
    run = await read_person(rostered, number="999")
    assert steps_of(run)["FETCHED"] == (STOPPED, "Nobody at ONEROSTER_CSV has the number 999.")
    assert outcomes_of(run) == [STOPPED, *[SKIPPED] * 5]
    assert await rostered.roster() == before


async def test_a_number_that_several_have_at_the_provider_is_nobodys(rostered: Story) -> None:
    rostered.district.user("eve", "eve", identifier="105")
    rostered.district.user("fay", "fay", identifier="105")
    rostered.district.write(rostered.folder)
    run = await read_person(rostered, number="105")
    assert steps_of(run)["FETCHED"] == (
        STOPPED,
        "2 people have the number 105: eve, fay. Ask by an id.",
    )
    assert totals(run) == {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def test_a_number_that_several_stored_people_have_is_refused(rostered: Story) -> None:
    rostered.district.users.change("cid", identifier="100")
    await rostered.night()
    with pytest.raises(InvalidInput, match="2 people have this number: ann, cid"):
        await ask_for(rostered, number="100")


async def test_somebody_has_to_be_named_in_one_way(rostered: Story) -> None:
    for given in ({}, {"source_id": "ann", "number": "100"}):
        with pytest.raises(InvalidInput, match="give one of id, sourceId and number"):
            await ask_for(rostered, **given)
    with pytest.raises(InvalidInput, match="one line of 1 to 255"):
        await ask_for(rostered, source_id="  ")
    with pytest.raises(NotFound):
        await ask_for(rostered, user_id=new_id())


async def test_single_people_come_after_the_first_sync(story: Story) -> None:
    story.district.write(story.folder)
    with pytest.raises(Conflict, match="first sync has not been applied"):
        await ask_for(story, source_id="ann")


async def test_runs_of_different_people_do_not_join(rostered: Story) -> None:
    first = await ask_for(rostered, source_id="ann")
    again = await ask_for(rostered, source_id="ann")
    assert (again.run.id, again.joined) == (first.run.id, True)
    with pytest.raises(Conflict, match="SINGLE_USER is already waiting"):
        await ask_for(rostered, source_id="cid")


async def test_neither_cursors_nor_holds_move(rostered: Story) -> None:
    cursors = "SELECT cursors FROM integrations WHERE tenant_id = $1"
    before = await rostered.see.fetchval(cursors, rostered.tenant_id)
    other = await rostered.run()
    await rostered.see.execute(
        "INSERT INTO holds (tenant_id, run_id, reasons) VALUES ($1, $2, '[]')",
        rostered.tenant_id,
        other.id,
    )
    await read_person(rostered, source_id="ann")
    assert await rostered.see.fetchval(cursors, rostered.tenant_id) == before
    held = "SELECT count(*) FROM holds WHERE tenant_id = $1 AND ended_at IS NULL"
    assert await rostered.see.fetchval(held, rostered.tenant_id) == 1


async def test_a_student_who_becomes_a_teacher_waits_here_too(rostered: Story) -> None:
    rostered.district.users.change("ann", role="teacher")
    rostered.district.write(rostered.folder)
    run = await read_person(rostered, source_id="ann")
    assert run.state is SyncRunState.HELD
    outcome, message = steps_of(run)["CHANGED"]
    assert outcome == STOPPED
    assert "USER_ROLE_CHANGED" in message
    assert (await rostered.user("ann"))["roles"] == ["STUDENT"]


async def test_who_finds_no_licence_is_told(rostered: Story) -> None:
    await rostered.see.execute(
        "INSERT INTO subscriptions (tenant_id, kind, licence_limit) VALUES ($1, 'PAID', 3)"
        " ON CONFLICT (tenant_id) DO UPDATE SET licence_limit = 3",
        rostered.tenant_id,
    )
    rostered.district.user("eve", "eve")
    rostered.district.write(rostered.folder)
    run = await read_person(rostered, source_id="eve")
    assert steps_of(run)["LICENSED"] == (STOPPED, "There is no licence left for this student.")
    assert await rostered.user("eve") is None


async def test_a_provider_that_cannot_be_read_is_told_as_a_step(rostered: Story) -> None:
    requested = await ask_for(rostered, source_id="ann")
    (rostered.folder / "users.csv").unlink()
    assert await work(rostered.worker, open_source, rostered.keys) == requested.run.id
    run = await rostered.read_run(requested.run.id)
    assert run.state is SyncRunState.FAILED
    assert outcomes_of(run) == [STOPPED]
    assert steps_of(run)["FETCHED"][1] == run.failure_message


async def test_clever_needs_an_id_where_nobody_is_stored_with_the_number(
    rostered: Story,
) -> None:
    await rostered.connect_to(Provider.CLEVER)
    with pytest.raises(InvalidInput, match="give the Clever id"):
        await ask_for(rostered, number="999")
    requested = await ask_for(rostered, number="100")
    assert requested.run.target == {"user": {"source_id": "ann", "number": None}}
    assert requested.run.mode is SyncMode.SINGLE_USER


async def test_only_what_is_not_stored_is_asked_for_besides(story: Story) -> None:
    await story.connect_to(Provider.CLEVER)
    feed = small_feed()
    await story.run(opener=feed.open)
    feed.records += [
        School("s9", "East"), Group("g9", "Drama", "s9"), student("eve", school_source_ids=("s1",)),
        Enrollment("e9", "eve", "g9", "STUDENT"), Enrollment("e8", "eve", "g1", "STUDENT"),
    ]  # fmt: skip
    run = await read_person(story, source_id="eve", opener=feed.open)
    asked = [
        {name.value: set(ids) for name, ids in picks.ids.items() if ids} for picks in feed.picked
    ]
    assert [entry for entry in asked if entry] == [
        {"USER": {"eve"}}, {"GROUP": {"g9"}}, {"SCHOOL": {"s9"}},
    ]  # fmt: skip
    assert totals(run, "created") == {"created": 5}


async def test_nobody_comes_alone_where_the_first_sync_was_undone_meanwhile(
    rostered: Story,
) -> None:
    rostered.district.user("eve", "eve", identifier="105")
    rostered.district.write(rostered.folder)
    asked = await ask_for(rostered, number="105")
    await rostered.see.execute("UPDATE integrations SET rostered_at = NULL")
    assert await work(rostered.worker, open_source, rostered.keys) == asked.run.id
    assert (await rostered.read_run(asked.run.id)).state is SyncRunState.HELD
    assert await rostered.user("eve") is None
