"""Progress goes to another group and back; what was earned since stays where it was earned."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id
from domain.database import DatabaseRole
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.resources import Resources
from domain.training.models import CarryMode
from tests.api.graphql.seed import add_membership
from tests.conftest import dsn
from tests.domain.training.classes import Classes, new_classes, result

pytestmark = pytest.mark.anyio

COPY, MOVE = CarryMode.COPY, CarryMode.MOVE
EARLY = datetime(2026, 9, 1, 8, 0, 0, 123456, tzinfo=UTC)
LATE = datetime(2026, 10, 1, 8, 0, 0, 654321, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


async def moved_student(classes: Classes) -> tuple[UUID, UUID, UUID]:
    """Mia has left the first group, in which she was fast, and is in the second."""
    first, second = await classes.group(), await classes.group()
    mia = await classes.student(first, second)
    await classes.leave(mia, first)
    await classes.record(
        result(mia, first, lessons=4, speed=40, accuracy=90, occurred_at=LATE),
        result(mia, first, lessons=1, occurred_at=datetime(2025, 11, 1, tzinfo=UTC)),
        result(mia, second, lessons=2, speed=30, accuracy=95, occurred_at=EARLY),
        now=NOW,
    )
    return mia, first, second


async def everything(classes: Classes) -> dict[tuple[UUID, int], dict[str, Any]]:
    rows = await classes.see.fetch("SELECT * FROM progress")
    return {(row["group_id"], row["school_year"]): dict(row) for row in rows}


@pytest.mark.parametrize("mode", CarryMode)
async def test_an_undo_gives_everything_back_to_the_last_byte(
    classes: Classes, mode: CarryMode
) -> None:
    mia, first, second = await moved_student(classes)
    before = await classes.rows()
    carry_ids = await classes.carry(first, second, [mia], mode)
    assert await classes.rows() != before
    await classes.undo(*carry_ids)
    assert await classes.rows() == before


async def test_what_is_moved_joins_what_is_there_year_by_year(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    await classes.carry(first, second, [mia], MOVE)
    found = await everything(classes)
    assert set(found) == {(second, 2025), (second, 2026)}
    joined = found[second, 2026]
    assert (joined["lessons"], joined["seconds"], joined["last_active_at"]) == (6, 600, LATE)
    assert (joined["best_speed"], joined["speed_total"], joined["speed_count"]) == (40, 70, 2)
    assert (joined["best_accuracy"], joined["accuracy_total"], joined["accuracy_count"]) == (
        95, 185, 2,
    )  # fmt: skip
    assert (joined["copied_lessons"], joined["copied_seconds"]) == (0, 0)


async def test_a_copy_stays_where_it_was_and_says_how_much_of_it_counts_there(
    classes: Classes,
) -> None:
    mia, first, second = await moved_student(classes)
    await classes.carry(first, second, [mia], COPY)
    found = await everything(classes)
    assert set(found) == {(first, 2025), (first, 2026), (second, 2025), (second, 2026)}
    joined = found[second, 2026]
    assert (joined["lessons"], joined["copied_lessons"], joined["copied_seconds"]) == (6, 4, 300)
    total = sum(row["lessons"] - row["copied_lessons"] for row in found.values())
    assert total == 7


async def test_what_was_earned_since_stays_where_it_was_earned(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    carry_ids = await classes.carry(first, second, [mia], MOVE)
    await classes.record(
        result(mia, second, lessons=7, speed=55, occurred_at=NOW),
        result(mia, first, lessons=3, occurred_at=NOW),
        now=NOW,
    )
    await classes.undo(*carry_ids)
    found = await everything(classes)
    assert {key: row["lessons"] for key, row in found.items()} == {
        (first, 2025): 1,
        (first, 2026): 4 + 3,
        (second, 2026): 2 + 7,
    }
    assert found[second, 2026]["best_speed"] == Decimal(55)
    assert found[second, 2026]["last_active_at"] == NOW


async def test_all_who_have_left_are_those_with_progress_who_are_in_the_other(
    classes: Classes,
) -> None:
    first, second = await classes.group(), await classes.group()
    left, stays = await classes.student(first, second), await classes.student(first, second)
    elsewhere, idle = await classes.student(first), await classes.student(first, second)
    for who in (left, elsewhere, idle):
        await classes.leave(who, first)
    await classes.record(*(result(who, first) for who in (left, stays, elsewhere)))
    await classes.carry(first, second, None, COPY)
    assert set(await classes.totals()) == {
        (left, first), (left, second), (stays, first), (elsewhere, first),
    }  # fmt: skip
    with pytest.raises(Conflict, match="Nobody has left"):
        await classes.carry(first, second, None, COPY)


async def refused(classes: Classes, *asked: Any) -> DomainError:
    before = await classes.rows()
    with pytest.raises((Conflict, InvalidInput, NotFound)) as refusal:
        await classes.carry(*asked)
    assert await classes.rows() == before
    return refusal.value


async def test_what_cannot_be_carried_is_refused_with_words(
    classes: Classes, resources: Resources
) -> None:
    mia, first, second = await moved_student(classes)
    third, closed = await classes.group(), await classes.group(archived_at=NOW)
    other = await new_classes(resources.database, classes.see, "beta")
    foreign, stranger = await other.group(), await other.student()
    idle = await classes.student(second)
    for words, *asked in (
        ("the same group", first, first, [mia]),
        ("is archived", first, closed, [mia]),
        (f"no group '{foreign}'", first, foreign, [mia]),
        (f"no group '{foreign}'", foreign, second, [mia]),
        ("is not in the group", first, third, [mia]),
        ("has no progress", first, second, [idle]),
        (f"no person '{stranger}'", first, second, [stranger]),
        ("Name 1 to 1000", first, second, []),
    ):
        assert words in str(await refused(classes, *asked))


async def test_a_copy_is_not_made_or_brought_back_a_second_time(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    carry_ids = await classes.carry(first, second, [mia], COPY)
    await classes.see.execute("UPDATE memberships SET archived_at = NULL")
    for asked in ((first, second), (second, first)):
        for mode in CarryMode:
            assert "count twice" in str(await refused(classes, *asked, [mia], mode))
    await classes.undo(*carry_ids)
    await classes.carry(first, second, [mia], MOVE)


@pytest.mark.parametrize("mode", CarryMode)
async def test_what_was_carried_on_does_not_come_to_the_same_group_a_second_time(
    classes: Classes, mode: CarryMode
) -> None:
    first, second, third = [await classes.group() for _ in range(3)]
    mia = await classes.student(first, second, third)
    await classes.record(result(mia, first, lessons=4))
    await classes.carry(first, second, [mia], COPY)
    await classes.carry(second, third, [mia], mode)
    assert "count twice" in str(await refused(classes, first, third, [mia], COPY))
    assert (await classes.totals("lessons"))[mia, third] == (4,)


async def test_what_is_earned_after_all_was_moved_away_may_follow(classes: Classes) -> None:
    first, second, third = [await classes.group() for _ in range(3)]
    mia = await classes.student(first, second, third)
    await classes.record(result(mia, first, lessons=4))
    await classes.carry(first, second, [mia], COPY)
    await classes.carry(first, third, [mia], MOVE)
    await classes.record(result(mia, first, lessons=3))
    await classes.carry(first, second, [mia], COPY)
    assert await classes.totals("lessons", "copied_lessons") == {
        (mia, first): (3, 0),
        (mia, second): (7, 7),
        (mia, third): (4, 0),
    }


async def test_moves_from_group_to_group_are_undone_at_once(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    third = await classes.group()
    await add_membership(classes.see, classes.tenant_id, mia, third)
    before = await classes.rows()
    to_second = await classes.carry(first, second, [mia], MOVE)
    to_third = await classes.carry(second, third, [mia], MOVE)
    await classes.undo(*to_second, *to_third)
    assert await classes.rows() == before


async def refused_undo(classes: Classes, *carry_ids: UUID) -> str:
    before = await classes.rows()
    with pytest.raises((Conflict, InvalidInput, NotFound)) as refusal:
        await classes.undo(*carry_ids)
    assert await classes.rows() == before
    return str(refusal.value)


async def test_the_newest_carry_is_undone_first_or_all_of_them_at_once(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    third = await classes.group()
    other = await classes.student(first, second)
    await classes.record(result(other, first))
    await classes.see.execute(
        "INSERT INTO memberships (tenant_id, user_id, group_id, role, origin)"
        " VALUES ($1, $2, $3, 'STUDENT', 'IMPORT')",
        classes.tenant_id,
        mia,
        third,
    )
    before = await classes.rows()
    of_both = await classes.carry(first, second, [mia, other], MOVE)
    on = await classes.carry(second, third, [mia], COPY)
    assert "carried on since" in await refused_undo(classes, *of_both)
    await classes.undo(*of_both, *on)
    assert await classes.rows() == before
    assert "undone already" in await refused_undo(classes, *on)
    assert "no carry" in await refused_undo(classes, new_id())


async def test_an_undo_is_refused_while_the_person_is_one_with_another(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    twin = await classes.student()
    carry_ids = await classes.carry(first, second, [mia], MOVE)
    await classes.see.execute(
        "INSERT INTO people_merges (tenant_id, kept_id, merged_id, created_by)"
        " VALUES ($1, $2, $3, 'x')",
        classes.tenant_id,
        twin,
        mia,
    )
    assert "made one with another" in await refused_undo(classes, *carry_ids)
    await classes.see.execute("UPDATE people_merges SET undone_at = now()")
    await classes.undo(*carry_ids)


async def test_an_undo_is_refused_where_nothing_is_left_of_it(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    carry_ids = await classes.carry(first, second, [mia], MOVE)
    await classes.see.execute("UPDATE progress SET lessons = 1 WHERE school_year = 2026")
    assert "not there any more" in await refused_undo(classes, *carry_ids)


async def test_carries_are_audited_with_ids_alone(classes: Classes) -> None:
    mia, first, second = await moved_student(classes)
    carry_ids = await classes.carry(first, second, [mia], MOVE)
    await classes.undo(*carry_ids)
    rows = await classes.see.fetch(
        "SELECT action, target, details::jsonb ->> 'carry_ids', details::jsonb ->> 'mode'"
        " FROM audit_log ORDER BY id"
    )
    named = f'["{carry_ids[0]}"]'
    assert [tuple(row) for row in rows] == [
        ("progressCarryOver", str(second), named, "MOVE"),
        ("progressCarryUndo", None, named, None),
    ]


async def test_the_functions_are_the_apis_and_of_one_tenant(
    classes: Classes, database_url: dict[str, str]
) -> None:
    calls = (
        ("SELECT carry_progress($1, ARRAY[$2::uuid])", []),
        ("SELECT undo_carry($1, $2, $3)", ["x"]),
    )
    for role, tenant_id, words in (
        (DatabaseRole.WORKER, classes.tenant_id, "permission denied"),
        (DatabaseRole.API, new_id(), "another tenant's"),
    ):
        connection = await asyncpg.connect(
            dsn(database_url[role]), server_settings={"role": role.value}
        )
        try:
            await connection.execute(
                "SELECT set_config('homerow.tenant_id', $1, false)", str(tenant_id)
            )
            for call, more in calls:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match=words):
                    await connection.execute(call, classes.tenant_id, new_id(), *more)
        finally:
            await connection.close()
