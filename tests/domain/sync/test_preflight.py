"""The report of a preflight: six questions, each with numbers and the list behind them."""

import json
from typing import Any

import pytest

from domain.sync.models import SyncRun, SyncRunState
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_user,
    insert,
)
from tests.domain.sync.stories import Story

pytestmark = pytest.mark.anyio


async def expect(story: Story, **expectations: Any) -> None:
    await story.see.execute(
        "UPDATE integrations SET expectations = $2 WHERE tenant_id = $1",
        story.tenant_id,
        json.dumps(expectations),
    )


async def items(story: Story, run: SyncRun, topic: str) -> list[tuple[Any, ...]]:
    """(outcome, record type, source id, name) in the order of the list."""
    rows = await story.see.fetch(
        "SELECT outcome, record_type, source_id, name FROM preflight_items"
        " WHERE tenant_id = $1 AND run_id = $2 AND topic = $3 ORDER BY id",
        story.tenant_id,
        run.id,
        topic,
    )
    return [tuple(row) for row in rows]


async def details(story: Story, run: SyncRun, topic: str, name: str) -> dict[str, Any]:
    found = await story.see.fetchval(
        "SELECT details FROM preflight_items"
        " WHERE tenant_id = $1 AND run_id = $2 AND topic = $3 AND name = $4",
        story.tenant_id,
        run.id,
        topic,
        name,
    )
    return dict(json.loads(found))


def answer(run: SyncRun, topic: str) -> Any:
    assert run.state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS), run.state
    assert run.report is not None
    return run.report[topic]


async def test_schools_are_told_beside_those_that_were_expected(story: Story) -> None:
    story.district.school("s3", "Annex")
    story.district.school("s4", "Extra")
    await expect(story, schools=["17", " annex ", "East"])
    await story.share(SCHOOL=["s1", "s2", "s3"])
    run = await story.preview()
    assert await items(story, run, "SCHOOLS") == [
        ("LEFT_OUT", "SCHOOL", "s4", "Extra"),
        ("SHARED_AND_EXPECTED", "SCHOOL", "s3", "Annex"),
        ("SHARED_AND_EXPECTED", "SCHOOL", "s1", "North"),
        ("SHARED_NOT_EXPECTED", "SCHOOL", "s2", "South"),
        ("EXPECTED_NOT_SHARED", "SCHOOL", None, "East"),
    ]
    assert answer(run, "schools") == {
        "expected": 3,
        "shared": 3,
        "shared_and_expected": 2,
        "shared_not_expected": 1,
        "expected_not_shared": 1,
        "left_out": 1,
    }
    assert await details(story, run, "SCHOOLS", "North") == {
        "number": "17",
        "classes": 1,
        "students": 2,
        "teachers": 1,
    }


async def test_where_nothing_was_expected_nothing_is_missing(story: Story) -> None:
    run = await story.preview()
    assert await items(story, run, "SCHOOLS") == [
        ("SHARED", "SCHOOL", "s1", "North"),
        ("SHARED", "SCHOOL", "s2", "South"),
    ]
    for topic, shared in (("schools", 2), ("classes", 2)):
        numbers = answer(run, topic)
        assert (numbers["expected"], numbers["expected_not_shared"]) == (None, None)
        assert numbers["shared"] == shared
    assert await items(story, run, "CLASSES") == []


async def test_classes_are_told_that_differ_or_lack_somebody(story: Story) -> None:
    story.district.classes.change("g2", classCode="BIO-1")
    story.district.group("g3", "Chemistry", school="s1")
    story.district.enroll("e9", "ann", "g3")
    story.district.group("g4", "Dance", school="s3")
    story.district.school("s3", "Far")
    await expect(story, classes=["bio-1", "Geometry"])
    await story.share(SCHOOL=["s1", "s2"])
    run = await story.preview()
    assert await items(story, run, "CLASSES") == [
        ("SHARED_NOT_EXPECTED", "GROUP", "g1", "Algebra"),
        ("SHARED_NOT_EXPECTED", "GROUP", "g3", "Chemistry"),
        ("EXPECTED_NOT_SHARED", "GROUP", None, "Geometry"),
        ("WITHOUT_TEACHER", "GROUP", "g3", "Chemistry"),
    ]
    assert answer(run, "classes") == {
        "expected": 2,
        "shared": 3,
        "shared_and_expected": 1,
        "shared_not_expected": 2,
        "expected_not_shared": 1,
        "left_out": 1,
        "without_teacher": 1,
        "empty": 0,
    }


async def test_everybody_who_is_here_is_told_what_becomes_of_them(story: Story) -> None:
    await story.night()
    await add_user(story.see, story.tenant_id, username="old", origin="IMPORT", given_name="Old")
    story.district.users.take("cid")
    await story.night()
    cid = story.district.users
    cid.add("cid", username="cid", givenName="Cid", familyName="Archer", role="student",
            enabledUser="true", orgSourcedIds="s1", grades="9")  # fmt: skip
    story.district.users.take("dee")
    story.district.user("eve", "eve")
    run = await story.preview()
    assert await items(story, run, "EXISTING_USERS") == [
        ("ARCHIVED", "USER", "dee", "Dee Archer"),
        ("REVIVED", "USER", "cid", "Cid Archer"),
    ]
    nobody = {"matched": 0, "revived": 0, "archived": 0, "unmatched": 0, "kept": 0}
    assert answer(run, "users") == {
        "policy": None,
        "created": 1,
        "ambiguous": 0,
        "by_origin": {
            "LEGACY": nobody,
            "PROVIDER": nobody | {"revived": 1, "archived": 1, "kept": 2},
            "IMPORT": nobody | {"kept": 1},
        },
    }


async def test_licences_are_counted_as_if_all_of_it_were_applied(story: Story) -> None:
    await story.night()
    await story.see.execute(
        "UPDATE subscriptions SET licence_limit = 4 WHERE tenant_id = $1", story.tenant_id
    )
    await expect(story, licences=3)
    story.district.users.change("dee", enabledUser="false")
    for name in ("eve", "fay", "gus"):
        story.district.user(name, name)
    run = await story.preview()
    assert answer(run, "licences") == {
        "limit": 4,
        "order": "CREATED",
        "used": 3,
        "needed": 5,
        "short_by": 1,
        "expected": 3,
    }
    assert await items(story, run, "LICENCES") == [("WITHOUT_LICENCE", "USER", "gus", "Gus Archer")]
    [reason] = answer(run, "would_hold")
    assert (reason["code"], reason["count"], reason["of"]) == ("LICENCE_LIMIT", 1, 4)
    assert answer(run, "held")["USER"] == 1


async def test_who_goes_without_a_licence_is_told_in_the_order_of_the_schools(
    story: Story,
) -> None:
    await story.night()
    south = (await story.ids("schools"))["s2"]
    await story.see.execute(
        "UPDATE subscriptions SET licence_limit = 4, licence_order = 'SCHOOL_PRIORITY',"
        " licence_school_ids = $2 WHERE tenant_id = $1",
        story.tenant_id,
        [south],
    )
    story.district.user("eve", "eve")
    story.district.user("fay", "fay")
    story.district.user("gus", "gus", orgSourcedIds="s2")
    run = await story.preview()
    assert await items(story, run, "LICENCES") == [
        ("WITHOUT_LICENCE", "USER", "eve", "Eve Archer"),
        ("WITHOUT_LICENCE", "USER", "fay", "Fay Archer"),
    ]


async def test_usernames_are_compared(story: Story) -> None:
    await story.night()
    await add_user(story.see, story.tenant_id, username="Eve", origin="IMPORT", given_name="Eva")
    await add_user(story.see, story.tenant_id, username="imp", origin="IMPORT", given_name="Imp")
    story.district.users.change("ann", username="ann.archer")
    story.district.users.change("dee", username="DEE")
    story.district.user("eve", "eve")
    story.district.user("fay", "imp")
    run = await story.preview()
    assert await items(story, run, "USERNAMES") == [
        ("WOULD_CHANGE", "USER", "ann", "Ann Archer"),
        ("WOULD_CHANGE", "USER", "dee", "Dee Archer"),
        ("CASE_CLASH", "USER", "eve", "Eve Archer"),
        ("TAKEN", "USER", "fay", "Fay Archer"),
    ]
    assert await details(story, run, "USERNAMES", "Ann Archer") == {
        "old": "ann",
        "new": "ann.archer",
    }
    assert await details(story, run, "USERNAMES", "Dee Archer") == {
        "old": "dee",
        "new": "DEE",
        "only_case": True,
    }
    assert answer(run, "usernames") == {
        "same": 2,
        "would_change": 2,
        "taken": 1,
        "case_clashes": 1,
        "legacy_same": 0,
        "legacy_different": 0,
    }


async def test_what_people_have_here_is_told_where_they_go_or_come_back(story: Story) -> None:
    await story.night()
    see, tenant_id = story.see, story.tenant_id
    users, groups = await story.ids("users"), await story.ids("groups")
    for user, group, lessons in (("ann", "g1", 3), ("cid", "g1", 5), ("dee", "g2", 7)):
        await see.execute(
            "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
            " VALUES ($1, $2, $3, 2026, $4)",
            tenant_id,
            users[user],
            groups[group],
            lessons,
        )
    await insert(see, "training_settings", tenant_id=tenant_id, user_id=users["cid"])
    story.district.users.take("cid")
    await story.night()
    story.district.user("cid", "cid")
    story.district.enrollments.take("e1")
    story.district.users.take("dee")
    story.district.classes.take("g2")
    run = await story.preview()
    assert await items(story, run, "LOCAL_DATA") == [
        ("COMES_BACK", "USER", "cid", "Cid Archer"),
        ("KEPT_WITH_ARCHIVED", "USER", "dee", "Dee Archer"),
        ("KEPT_WITH_ARCHIVED", "GROUP", "g2", "Biology"),
        ("STAYS_BEHIND", "MEMBERSHIP", None, "Ann Archer"),
    ]
    assert await details(story, run, "LOCAL_DATA", "Cid Archer") == {
        "lessons": 5,
        "has_settings": True,
    }
    assert await details(story, run, "LOCAL_DATA", "Ann Archer") == {
        "lessons": 3,
        "group": "Algebra",
    }
    assert answer(run, "local_data") == [
        {"outcome": "COMES_BACK", "record_type": "USER", "count": 1},
        {"outcome": "KEPT_WITH_ARCHIVED", "record_type": "GROUP", "count": 1},
        {"outcome": "KEPT_WITH_ARCHIVED", "record_type": "USER", "count": 1},
        {"outcome": "STAYS_BEHIND", "record_type": "MEMBERSHIP", "count": 1},
    ]


async def test_people_from_before_are_told_as_matched_or_archived(story: Story) -> None:
    """As the policy says that was chosen: here by their usernames."""
    see, tenant_id = story.see, story.tenant_id
    school = await add_school(see, tenant_id, name="Old School", origin="LEGACY")
    group = await add_group(see, tenant_id, school, name="Old Class", origin="LEGACY")
    ann = await add_user(see, tenant_id, username="ANN", origin="LEGACY", schools=[school])
    await add_user(see, tenant_id, username="old", origin="LEGACY", given_name="Olaf")
    await add_membership(see, tenant_id, ann, group, origin="LEGACY")
    await see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
        " VALUES ($1, $2, $3, 2026, 2)",
        tenant_id,
        ann,
        group,
    )
    await see.execute(
        "UPDATE integrations SET existing_accounts = 'MATCH_USERNAME' WHERE tenant_id = $1",
        tenant_id,
    )
    run = await story.preview()
    users = answer(run, "users")
    assert users["policy"] == "MATCH_USERNAME"
    assert users["by_origin"]["LEGACY"] == {
        "matched": 1,
        "revived": 0,
        "archived": 1,
        "unmatched": 0,
        "kept": 0,
    }
    assert await items(story, run, "EXISTING_USERS") == [
        ("ARCHIVED", "USER", None, "Olaf Lee"),
        ("MATCHED", "USER", None, "Mia Lee"),
    ]
    assert await details(story, run, "EXISTING_USERS", "Mia Lee") == {
        "username": "ANN",
        "origin": "LEGACY",
        "by": "USERNAME",
    }
    numbers = answer(run, "usernames")
    assert (numbers["legacy_same"], numbers["legacy_different"]) == (1, 1)
    assert numbers["would_change"] == 1
    assert {"outcome": "CARRIED_OVER", "record_type": "USER", "count": 1} in answer(
        run, "local_data"
    )


async def test_who_fits_several_accounts_is_to_be_decided(story: Story) -> None:
    see, tenant_id = story.see, story.tenant_id
    for name in ("old1", "old2"):
        await add_user(see, tenant_id, username=name, origin="LEGACY", number="100")
    await see.execute(
        "UPDATE integrations SET existing_accounts = 'MATCH_KEYS' WHERE tenant_id = $1", tenant_id
    )
    run = await story.preview()
    assert await items(story, run, "EXISTING_USERS") == [("AMBIGUOUS", "USER", "ann", "Ann Archer")]
    users = answer(run, "users")
    assert (users["ambiguous"], users["by_origin"]["LEGACY"]["kept"]) == (1, 2)
    found = await details(story, run, "EXISTING_USERS", "Ann Archer")
    assert found["code"] == "USER_MATCH_AMBIGUOUS"
    assert await see.fetchval("SELECT count(*) FROM match_candidates") == 0


async def test_who_is_not_found_at_a_new_provider_is_named(story: Story) -> None:
    story.district.users.change("ann", identifier="100")
    await story.night()
    await story.see.execute(
        "UPDATE integrations SET former_provider = 'CLEVER', rostered_at = NULL"
        " WHERE tenant_id = $1",
        story.tenant_id,
    )
    story.district.users.take("dee")
    run = await story.preview()
    assert await items(story, run, "EXISTING_USERS") == [("UNMATCHED", "USER", "dee", "Dee Archer")]
    origins = answer(run, "users")["by_origin"]
    assert (origins["PROVIDER"]["unmatched"], origins["PROVIDER"]["archived"]) == (1, 0)


async def test_a_preflight_changes_nothing_that_is_stored(story: Story) -> None:
    await story.night()
    before = await story.roster()
    story.district.users.take("ann")
    story.district.user("eve", "eve")
    await story.preview()
    assert await story.roster() == before


async def test_a_full_run_has_no_report(story: Story) -> None:
    run = await story.night()
    assert run.report is None
    assert await story.see.fetchval("SELECT count(*) FROM preflight_items") == 0
