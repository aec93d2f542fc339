"""Summaries count each student once, against the target that counts for them in each group."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.resources import Resources
from domain.training.models import CarryMode
from domain.training.summaries import (
    Bucket,
    Reached,
    Summarised,
    Summary,
    nothing_in,
    summaries_of,
    this_school_year,
)
from tests.api.graphql.client import counted_statements
from tests.api.graphql.seed import add_group, add_school, insert
from tests.domain.training.classes import Classes, result

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = datetime(2026, 10, 1, tzinfo=UTC)
TENANT, SCHOOL, GROUP, USER = Summarised


async def target(classes: Classes, **values: Any) -> None:
    await insert(classes.see, "training_settings", tenant_id=classes.tenant_id, **values)


async def record(classes: Classes, user_id: UUID, group_id: UUID, **values: Any) -> None:
    given = {"occurred_at": DAY, **values}
    assert (await classes.record(result(user_id, group_id, **given), now=NOW)).counted == 1


async def summary(
    classes: Classes, level: Summarised, node_id: UUID, *, school_year: int = 2026
) -> Summary:
    async with classes.api.read(classes.tenant_id) as session:
        found = await summaries_of(
            session, classes.tenant_id, level, [node_id], school_year=school_year
        )
    return found[node_id]


async def test_where_nothing_was_earned_students_are_counted_all_the_same(
    classes: Classes,
) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    await classes.student(group, roles=["TEACHER"])
    await classes.student(group, archived_at=NOW)
    for level, node, students in (
        (TENANT, classes.tenant_id, 1),
        (SCHOOL, classes.school_id, 1),
        (GROUP, await classes.group(), 0),
        (USER, mia, 1),
    ):
        expected = nothing_in(2026)._replace(students=students)
        assert (level, await summary(classes, level, node)) == (level, expected)


async def test_a_student_of_two_groups_is_counted_once_in_the_tenant(classes: Classes) -> None:
    first, second = await classes.group(), await classes.group()
    mia, tom = await classes.student(first, second), await classes.student(first)
    await record(classes, mia, first, lessons=3, seconds=100, speed=20, accuracy=90)
    await record(classes, mia, second, lessons=1, seconds=50, speed=41, accuracy=96)
    await record(classes, tom, first, lessons=2, seconds=10, speed=12, accuracy=100)
    await target(classes, speed_target=30)
    whole = await summary(classes, TENANT, classes.tenant_id)
    assert whole == Summary(
        school_year=2026,
        students=2,
        with_progress=2,
        without_target=0,
        lessons=6,
        seconds=160,
        average_speed=Decimal("21.25"),
        average_accuracy=Decimal("96.5"),
        last_active_at=DAY,
        speed=Reached(1, 2),
        accuracy=Reached(0, 0),
        both=Reached(0, 0),
        speeds=[Bucket(10, 20, 1), Bucket(20, 30, 0), Bucket(30, 40, 1)],
        accuracies=[Bucket(90, 95, 1), Bucket(95, 100, 1)],
    )
    assert await summary(classes, SCHOOL, classes.school_id) == whole
    of_first = await summary(classes, GROUP, first)
    assert (of_first.students, of_first.lessons, of_first.speed) == (2, 5, Reached(0, 2))
    of_mia = await summary(classes, USER, mia)
    assert (of_mia.students, of_mia.lessons, of_mia.speed) == (1, 4, Reached(1, 1))
    assert (await summary(classes, TENANT, classes.tenant_id, school_year=2025)) == nothing_in(
        2025
    )._replace(students=2)


async def test_the_nearest_target_counts_for_each_row_by_itself(classes: Classes) -> None:
    elsewhere = await add_school(classes.see, classes.tenant_id, name="South")
    group, other = await classes.group(), await classes.group()
    south = await add_group(classes.see, classes.tenant_id, elsewhere)
    mia, tom = await classes.student(group, other, south), await classes.student(group)
    for who, where in ((mia, group), (mia, other), (mia, south), (tom, group)):
        await record(classes, who, where, speed=30, accuracy=90)

    async def reached() -> list[Reached]:
        nodes = ((GROUP, group), (GROUP, other), (GROUP, south), (USER, mia), (USER, tom))
        return [(await summary(classes, *node)).speed for node in nodes]

    none, no, yes = Reached(0, 0), Reached(0, 1), Reached(1, 1)
    both_no, both_yes, one = Reached(0, 2), Reached(2, 2), Reached(1, 2)
    assert await reached() == [none] * 5
    assert (await summary(classes, GROUP, group)).without_target == 2
    await target(classes, speed_target=40, accuracy_target=90)
    assert await reached() == [both_no, no, no, no, no]
    await target(classes, school_id=classes.school_id, speed_target=30)
    assert await reached() == [both_yes, yes, no, yes, yes]
    await target(classes, group_id=group, speed_target=31)
    assert await reached() == [both_no, yes, no, yes, no]
    await target(classes, user_id=tom, speed_target=10)
    assert await reached() == [one, yes, no, yes, yes]
    found = await summary(classes, GROUP, group)
    assert (found.accuracy, found.both, found.without_target) == (both_yes, one, 0)


async def test_both_targets_are_reached_in_one_group(classes: Classes) -> None:
    fast, exact = await classes.group(), await classes.group()
    mia = await classes.student(fast, exact)
    await target(classes, speed_target=30, accuracy_target=95)
    await record(classes, mia, fast, speed=50, accuracy=80)
    await record(classes, mia, exact, speed=10, accuracy=99)
    found = await summary(classes, USER, mia)
    assert (found.speed, found.accuracy, found.both) == (
        Reached(1, 1),
        Reached(1, 1),
        Reached(0, 1),
    )


async def test_copies_are_shown_in_their_group_and_count_once_beyond(classes: Classes) -> None:
    first, second = await classes.group(), await classes.group()
    mia = await classes.student(first, second)
    await record(classes, mia, first, lessons=5, seconds=100, speed=Decimal(40))
    await record(classes, mia, second, lessons=1, seconds=7, speed=Decimal(10))
    await classes.carry(first, second, [mia], CarryMode.COPY)
    for level, node, lessons, seconds, speed in (
        (TENANT, classes.tenant_id, 6, 107, 25),
        (USER, mia, 6, 107, 25),
        (GROUP, first, 5, 100, 40),
        (GROUP, second, 6, 107, 25),
    ):
        found = await summary(classes, level, node)
        shown = (level, found.lessons, found.seconds, found.average_speed)
        assert shown == (level, lessons, seconds, speed)


async def test_who_has_left_counts_no_more_but_in_what_is_archived_itself(
    classes: Classes,
) -> None:
    group = await classes.group()
    mia, tom = await classes.student(group), await classes.student(group)
    for who in (mia, tom):
        await record(classes, who, group, lessons=2)
    await classes.leave(mia, group)
    assert (await summary(classes, GROUP, group)).lessons == 2
    assert (await summary(classes, TENANT, classes.tenant_id)).lessons == 4
    await classes.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", tom)
    assert (await summary(classes, GROUP, group)).students == 0
    assert (await summary(classes, USER, tom)).lessons == 2
    assert (await summary(classes, TENANT, classes.tenant_id)).lessons == 2
    await classes.see.execute("UPDATE groups SET archived_at = now()")
    await classes.see.execute("UPDATE schools SET archived_at = now()")
    for level, node in ((GROUP, group), (SCHOOL, classes.school_id)):
        found = await summary(classes, level, node)
        assert (level, found.students, found.lessons) == (level, 2, 4)


async def test_the_first_and_the_last_buckets_take_everybody(classes: Classes) -> None:
    group = await classes.group()
    for speed, accuracy in ((0, 0), (999, 100), (240, 95), (239.99, 94.99)):
        student = await classes.student(group)
        await record(classes, student, group, speed=speed, accuracy=accuracy)
    found = await summary(classes, GROUP, group)
    assert found.speeds[0] == Bucket(0, 10, 1)
    assert found.speeds[-2:] == [Bucket(230, 240, 1), Bucket(240, None, 2)]
    assert len(found.speeds) == 25
    assert found.accuracies[0] == Bucket(0, 5, 1)
    assert found.accuracies[-2:] == [Bucket(90, 95, 1), Bucket(95, 100, 2)]
    assert len(found.accuracies) == 20


async def test_the_year_that_is_under_way_is_the_tenants(classes: Classes) -> None:
    await classes.see.execute("UPDATE tenants SET time_zone = 'Pacific/Auckland'")

    async def year(moment: datetime) -> int:
        async with classes.api.read(classes.tenant_id) as session:
            return await this_school_year(session, classes.tenant_id, now=moment)

    assert await year(datetime(2026, 6, 30, 11, 59, tzinfo=UTC)) == 2025
    assert await year(datetime(2026, 6, 30, 12, 0, tzinfo=UTC)) == 2026
    assert await year(datetime(2026, 12, 31, 23, 0, tzinfo=UTC)) == 2026


async def test_a_large_tenant_is_summarised_by_one_statement_in_seconds(
    classes: Classes, resources: Resources
) -> None:
    """A wall against plans that go row by row; how fast it is is for the benchmarks."""
    await _fill(classes)
    groups = [row[0] for row in await classes.see.fetch("SELECT id FROM groups LIMIT 100")]
    started = utc_now()
    for level, nodes, students in (
        (TENANT, [classes.tenant_id], 20_000),
        (SCHOOL, [classes.school_id], 20_000),
        (GROUP, groups, 1000),
    ):
        async with classes.api.read(classes.tenant_id) as session:
            with counted_statements(resources.database.engine.sync_engine) as statements:
                found = await summaries_of(
                    session, classes.tenant_id, level, nodes, school_year=2026
                )
        assert len(statements) == 1
        assert sum(one.with_progress for one in found.values()) == students
    assert (utc_now() - started).total_seconds() < 20


async def _fill(classes: Classes) -> None:
    """20,000 students in 2,000 groups, each with a target of the group or of their own."""
    tenant = f"'{classes.tenant_id}'"
    school = f"'{classes.school_id}'"
    await classes.see.execute(
        "INSERT INTO groups (tenant_id, school_id, name, origin, term_source_ids, grades, subjects)"  # noqa: S608
        f" SELECT {tenant}, {school}, 'g' || n, 'IMPORT', '{{}}', '{{}}', '{{}}'"
        " FROM generate_series(1, 2000) n;"
        "INSERT INTO users (tenant_id, username, given_name, family_name, origin, roles, grades,"
        f" is_enabled) SELECT {tenant}, 'u' || n, 'U', 'U', 'IMPORT', '{{STUDENT}}', '{{}}', true"
        " FROM generate_series(1, 20000) n;"
        "INSERT INTO school_affiliations (tenant_id, user_id, school_id, position)"
        f" SELECT tenant_id, id, {school}, 1 FROM users;"
        "INSERT INTO memberships (tenant_id, user_id, group_id, role, origin)"
        " SELECT u.tenant_id, u.id, g.id, 'STUDENT', 'IMPORT' FROM users u JOIN groups g"
        " ON g.name = 'g' || (substr(u.username, 2)::int % 2000 + 1);"
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons, speed_total,"
        " speed_count) SELECT tenant_id, user_id, group_id, 2026, 1, 30, 1 FROM memberships;"
        "INSERT INTO training_settings (tenant_id, group_id, speed_target)"
        " SELECT tenant_id, id, 30 FROM groups;"
        "INSERT INTO training_settings (tenant_id, user_id, speed_target)"
        " SELECT tenant_id, id, 31 FROM users WHERE username LIKE '%7';"
    )
    await classes.see.execute("ANALYZE")
