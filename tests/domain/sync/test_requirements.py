"""What a tenant requires of its students: who falls short stays as they were until it is mended."""

import pytest

from domain.integrations.requirements import RequirementName
from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.domain.sync.stories import Story, numbers, totals

pytestmark = pytest.mark.anyio

GRADE = RequirementName.GRADE_REQUIRED
EMAIL = RequirementName.UNIQUE_EMAIL_REQUIRED
NUMBER = RequirementName.UNIQUE_NUMBER_REQUIRED
NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}
TOLD = ("code", "source_id", "severity", "field", "found")


async def take_emails(story: Story) -> None:
    await story.see.execute(
        "UPDATE integrations SET with_student_email = true WHERE tenant_id = $1", story.tenant_id
    )


async def test_a_student_without_a_grade_is_taken_unless_one_is_required(story: Story) -> None:
    story.district.users.change("ann", grades="")
    story.district.users.change("cid", grades="99")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    told = [("USER_GRADE_MISSING", name, "WARNING", "grades", "") for name in ("ann", "cid")]
    unmapped = ("USER_GRADE_UNMAPPED", "cid", "WARNING", "grades", "99")
    assert await story.errors(*TOLD) == [*told, unmapped]
    before = await story.roster()
    await story.require(GRADE)
    story.district.users.change("ann", familyName="Baker")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    assert numbers(run, RecordType.USER) == {"unchanged": 2, "rejected": 2}
    assert await story.roster() == before
    told = [("USER_GRADE_MISSING", name, "ERROR", "grades", "") for name in ("ann", "cid")]
    assert await story.errors(*TOLD) == [*told, unmapped]
    story.district.users.change("ann", grades="9")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 2, "rejected": 1}
    assert (await story.user("ann"))["family_name"] == "Baker"
    await story.require()
    assert (await story.night()).state is SyncRunState.SUCCEEDED
    assert await story.errors(*TOLD) == [
        ("USER_GRADE_MISSING", "cid", "WARNING", "grades", ""),
        unmapped,
    ]


async def test_a_newcomer_who_falls_short_is_not_stored_until_mended(story: Story) -> None:
    await story.require(GRADE, NUMBER)
    for number, name in enumerate(("ann", "cid", "dee")):
        story.district.users.change(name, identifier=str(100 + number), grades="9")
    story.district.users.change("cid", identifier="")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 3, "rejected": 1}
    assert await story.errors(*TOLD) == [
        ("ENR_USER_MISSING", "e3", "WARNING", "userSourcedId", "cid"),
        ("FIELD_REQUIRED", "cid", "ERROR", "identifier", ""),
    ]
    story.district.users.change("cid", identifier="101")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 1, "unchanged": 3}
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 1, "unchanged": 4}
    assert await story.errors() == []


async def test_who_is_stored_with_a_number_keeps_it(story: Story) -> None:
    await story.require(NUMBER)
    for number, name in enumerate(("ann", "cid", "dee")):
        story.district.users.change(name, identifier=str(100 + number))
    await story.night()
    before = await story.roster()
    story.district.users.change("ann", identifier="102")
    story.district.user("eve", "eve", identifier="101")
    # A number of somebody of the staff is of another row.
    story.district.users.change("bob", identifier="101")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 2, "rejected": 2}
    after = await story.roster()
    assert [row for row in after["users"] if row[0] != "bob"] == [
        row for row in before["users"] if row[0] != "bob"
    ]
    taken = [
        ("USER_SECOND_ID_TAKEN", "ann", "ERROR", "identifier", "102, which is also that of dee"),
        ("USER_SECOND_ID_TAKEN", "eve", "ERROR", "identifier", "101, which is also that of cid"),
    ]
    assert await story.errors(*TOLD) == taken
    assert totals(await story.night()) == NOTHING
    assert await story.errors(*TOLD) == taken
    await story.require()
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 1, "updated": 1, "unchanged": 3}
    shared = [("ann", "102"), ("cid", "101"), ("dee", "102"), ("eve", "101")]
    assert await story.errors(*TOLD) == [
        ("USER_SECOND_ID_TAKEN", name, "WARNING", "identifier", number) for name, number in shared
    ]


async def test_numbers_are_swapped_and_a_refused_number_is_not_given_away(story: Story) -> None:
    await story.require(NUMBER)
    for number, name in enumerate(("ann", "cid", "dee")):
        story.district.users.change(name, identifier=str(100 + number))
    await story.night()
    story.district.users.change("ann", identifier="101")
    story.district.users.change("cid", identifier="100")
    assert numbers(await story.night(), RecordType.USER) == {"updated": 2, "unchanged": 2}
    # dee cannot be taken and keeps 102, which ann was about to have; so ann keeps 101 …
    story.district.users.change("dee", username="", identifier="103")
    story.district.users.change("ann", identifier="102")
    # … which cid was about to have.
    story.district.users.change("cid", identifier="101")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"unchanged": 1, "rejected": 3}
    assert [(await story.user(name))["number"] for name in ("ann", "cid", "dee")] == [
        "101", "100", "102",
    ]  # fmt: skip


async def test_an_address_must_be_nobody_elses(story: Story) -> None:
    await story.require(EMAIL)
    await story.night()
    # Addresses are not taken over: then nobody could have one, and the requirement rests.
    assert await story.errors() == []
    await take_emails(story)
    for name in ("ann", "cid", "dee"):
        story.district.users.change(name, email=f"{name}@example.org")
    story.district.users.change("cid", email="Bob@example.org")
    story.district.users.change("dee", email="")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 1, "rejected": 2}
    found = "bob@example.org, which is also that of bob"
    assert await story.errors(*TOLD) == [
        ("FIELD_REQUIRED", "dee", "ERROR", "email", ""),
        ("USER_EMAIL_DUPLICATE", "cid", "ERROR", "email", found),
    ]


async def test_addresses_of_other_domains_are_told(story: Story) -> None:
    await story.see.execute(
        "UPDATE integrations SET email_domains = '{example.org}' WHERE tenant_id = $1",
        story.tenant_id,
    )
    for name, domain in (("eve", "it.example.org"), ("fay", "notexample.org")):
        story.district.user(name, name, role="teacher", email=f"{name}@{domain}")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert await story.errors("code", "found", "cause", "severity") == [
        ("USER_EMAIL_DOMAIN", "fay@notexample.org", "DOMAIN notexample.org", "WARNING")
    ]
    assert (await story.user("fay"))["email"] == "fay@notexample.org"
