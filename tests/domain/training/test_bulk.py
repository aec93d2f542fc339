"""Settings of many people at once: who is meant, what is told meanwhile, and all or nothing."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from domain.clock import new_id
from domain.database import Database
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.errors import InvalidInput, NotFound
from domain.people.callers import COMMAND_LINE, Caller
from domain.resources import Resources
from domain.roster.records import Role
from domain.training import bulk
from domain.training.bulk import Selection, check_bulk
from domain.training.effective import SettingsLevel
from domain.training.settings import Owner, set_settings
from tests.domain.training.classes import Classes

pytestmark = pytest.mark.anyio

ADA = Caller(actor="token ada", name="Ada")


@pytest.fixture
def worker(worker_resources: Resources) -> Database:
    return worker_resources.database


async def ask(classes: Classes, selection: Selection, **values: Any) -> UUID:
    async with classes.api.transaction(classes.tenant_id) as session:
        asked = await check_bulk(session, classes.tenant_id, selection, values)
        return await request_errand(
            session,
            tenant_id=classes.tenant_id,
            kind=ErrandKind.SETTINGS_BULK,
            asked=asked,
            caller=ADA,
        )


async def change(
    classes: Classes, worker: Database, selection: Selection, **values: Any
) -> Mapping[str, Any] | None:
    errand_id = await ask(classes, selection, **values)
    assert await perform_errand(worker)
    return await wait_for_errand(
        classes.api, tenant_id=classes.tenant_id, errand_id=errand_id, seconds=1
    )


async def put(classes: Classes, user_id: UUID, **values: Any) -> None:
    async with classes.api.transaction(classes.tenant_id) as session:
        await set_settings(
            session,
            tenant_id=classes.tenant_id,
            owner=Owner(SettingsLevel.USER, user_id),
            values=values,
            version=None,
            caller=COMMAND_LINE,
        )


async def speeds(classes: Classes) -> dict[UUID, tuple[int | None, int, str]]:
    rows = await classes.see.fetch(
        "SELECT user_id, speed_target, version, updated_by FROM training_settings"
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def add_students(classes: Classes, count: int, *, grade: str = "03") -> None:
    await classes.see.execute(
        "INSERT INTO users (tenant_id, username, given_name, family_name, origin, roles, grades,"
        " is_enabled) SELECT $1, 'many-' || n, 'A', 'B', 'PROVIDER', '{STUDENT}', ARRAY[$3], true"
        " FROM generate_series(1, $2::int) AS n",
        classes.tenant_id,
        count,
        grade,
    )


async def test_those_who_fit_all_of_it_are_set_and_nobody_else(
    classes: Classes, worker: Database
) -> None:
    group_id = await classes.group()
    both = await classes.student(group_id, grades=["03"])
    other_grade = await classes.student(group_id, grades=["04"])
    other_group = await classes.student(grades=["03", "04"])
    gone, archived = [await classes.student(group_id, grades=["03"]) for _ in range(2)]
    await classes.leave(gone, group_id)
    await classes.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", archived)
    teacher = await classes.student(group_id, grades=["03"], roles=["TEACHER"])
    asked = Selection(school_id=classes.school_id, group_id=group_id, grade="03")
    assert await change(classes, worker, asked, speed_target=30) == {"matched": 1, "changed": 1}
    assert await speeds(classes) == {both: (30, 1, "token ada")}
    teachers = Selection(group_id=group_id, roles=(Role.TEACHER, Role.STAFF))
    assert await change(classes, worker, teachers, speed_target=60) == {"matched": 1, "changed": 1}
    of_grade = Selection(grade="04")
    assert await change(classes, worker, of_grade, speed_target=40) == {"matched": 2, "changed": 2}
    assert {key: row[0] for key, row in (await speeds(classes)).items()} == {
        both: 30,
        teacher: 60,
        other_grade: 40,
        other_group: 40,
    }


async def test_only_what_is_another_is_changed_and_nobody_gets_a_row_without_need(
    classes: Classes, worker: Database
) -> None:
    group_id = await classes.group()
    same, other, none = [await classes.student(group_id) for _ in range(3)]
    await put(classes, same, speed_target=30, has_avatars=True)
    await put(classes, other, speed_target=20)
    whose = Selection(group_id=group_id)
    taken = await change(classes, worker, whose, has_avatars=None)
    assert taken == {"matched": 3, "changed": 1}
    assert await speeds(classes) == {same: (30, 2, "token ada"), other: (20, 1, "command line")}
    assert await change(classes, worker, whose, speed_target=30) == {"matched": 3, "changed": 2}
    assert await speeds(classes) == {
        same: (30, 2, "token ada"),
        other: (30, 2, "token ada"),
        none: (30, 1, "token ada"),
    }
    assert await change(classes, worker, whose, speed_target=30) == {"matched": 3, "changed": 0}
    acts = await classes.see.fetch(
        "SELECT actor, details FROM audit_log WHERE action = 'trainingSettingsSetBulk' ORDER BY id"
    )
    assert [row["actor"] for row in acts] == ["token ada"] * 3
    told = json.loads(acts[1]["details"])
    assert (told["values"], told["matched"], told["changed"]) == ({"speed_target": 30}, 3, 2)


async def test_what_cannot_be_is_refused_before_anybody_waits(classes: Classes) -> None:
    with pytest.raises(InvalidInput, match="1 to 250"):
        await ask(classes, Selection(grade="03"), speed_target=251)
    with pytest.raises(InvalidInput, match="null"):
        await ask(classes, Selection(grade="03"))
    with pytest.raises(InvalidInput, match="role"):
        await ask(classes, Selection(grade="03", roles=()), speed_target=20)
    with pytest.raises(NotFound, match="group"):
        await ask(classes, Selection(group_id=new_id()), speed_target=20)
    assert await classes.see.fetchval("SELECT count(*) FROM errands") == 0


async def test_a_large_one_tells_how_far_it_is_and_is_seen_at_once(
    classes: Classes, worker: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 1_000)
    await add_students(classes, 3_500)
    seen: list[Any] = []
    stored: list[int] = []

    async def look() -> None:
        while True:
            found = await classes.see.fetchrow(
                "SELECT progress, (SELECT count(*) FROM training_settings) AS written FROM errands"
            )
            if found and found["progress"] and json.loads(found["progress"]) not in seen:
                seen.append(json.loads(found["progress"]))
            stored.append(found["written"] if found else 0)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    done = await change(classes, worker, Selection(grade="03"), speed_target=30)
    looking.cancel()
    await asyncio.wait([looking])
    assert done == {"matched": 3_500, "changed": 3_500}
    assert {progress["total"] for progress in seen} == {3_500}
    assert {progress["done"] for progress in seen} & {1_000, 2_000, 3_000}
    # Nobody sees a part of it.
    assert set(stored) <= {0, 3_500}
    row = await classes.see.fetchrow("SELECT state, progress FROM errands")
    assert (row["state"], json.loads(row["progress"])) == ("DONE", {"done": 3_500, "total": 3_500})


async def test_what_fails_in_the_middle_changes_nobody(
    classes: Classes, worker: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 10)
    await add_students(classes, 20)
    await classes.see.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF (SELECT count(*) FROM training_settings) > 10 THEN RAISE 'no more'; END IF;"
        " RETURN NULL; END $$;"
        "CREATE TRIGGER refuse AFTER INSERT ON training_settings EXECUTE FUNCTION refuse()"
    )
    errand_id = await ask(classes, Selection(grade="03"), speed_target=30)
    assert await perform_errand(worker)
    state = await classes.see.fetchval("SELECT state FROM errands WHERE id = $1", errand_id)
    assert state == "REFUSED"
    assert await speeds(classes) == {}


async def test_whoever_sets_one_person_meanwhile_waits_and_neither_is_lost(
    classes: Classes, worker: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both count up the tenant's version: without one order they would wait for each other."""
    monkeypatch.setattr(bulk, "CHUNK", 1)
    users = [await classes.student(grades=["03"]) for _ in range(8)]
    for user_id in users:
        await put(classes, user_id, accuracy_target=80)
    await asyncio.gather(
        change(classes, worker, Selection(grade="03"), speed_target=30),
        *(put(classes, user_id, accuracy_target=90) for user_id in reversed(users)),
    )
    rows = await classes.see.fetch("SELECT speed_target, accuracy_target FROM training_settings")
    assert [tuple(row) for row in rows] == [(30, 90)] * 8
