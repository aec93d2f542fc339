"""A tag changes with what is shown, whatever changed it, and with nothing else."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api import training
from domain.clock import new_id, utc_now
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.staffing.layouts import PeopleKind
from domain.sync.models import SyncMode, SyncRunState
from domain.training.application import read_page
from domain.training.defaults import set_default_group, set_default_school
from domain.training.rollover import USUAL, cancel_rollover, set_rollover
from tests.api.graphql.client import counted_statements
from tests.api.graphql.seed import add_tenant
from tests.api.training.trainer import PATH, Trainer, set_at
from tests.domain.staffing.files import STAFF, Office

pytestmark = pytest.mark.anyio


async def test_an_answer_that_is_known_is_not_made_again(
    trainer: Trainer, resources: Resources
) -> None:
    for path in ("", f"/{trainer.ids['ann']}"):
        tag = await trainer.tag(path)
        for known in (tag, f'"other", {tag}', tag.removeprefix("W/")):
            headers = {"If-None-Match": known}
            with counted_statements(resources.database.engine.sync_engine) as statements:
                response = await trainer.http.get(PATH + path, headers=headers)
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == tag
            assert response.headers["cache-control"] == "private, no-cache"
            # Who asks, which tenant, and the version: each but the last in two statements.
            assert len(statements) == 6
            assert not any("FROM users" in statement for statement in statements)
        for other in ('W/"other"', "*", ""):
            response = await trainer.http.get(PATH + path, headers={"If-None-Match": other})
            assert response.status_code == 200


async def test_a_tag_is_of_what_was_asked(trainer: Trainer) -> None:
    tags = [
        await trainer.tag(),
        await trainer.tag(limit=2),
        await trainer.tag(limit=3),
        await trainer.tag(group=trainer.ids["g1"]),
        await trainer.tag(f"/{trainer.ids['ann']}"),
        await trainer.tag(f"/{trainer.ids['cid']}"),
    ]
    assert len(set(tags)) == len(tags)
    assert all(tag.startswith('W/"') for tag in tags)


async def choose_group(trainer: Trainer) -> None:
    async with trainer.story.api.transaction(trainer.story.tenant_id) as session:
        await set_default_group(
            session,
            tenant_id=trainer.story.tenant_id,
            user_id=trainer.keys["bob"],
            group_id=trainer.keys["g2"],
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def choose_school(trainer: Trainer) -> None:
    async with trainer.story.api.transaction(trainer.story.tenant_id) as session:
        await set_default_school(
            session,
            tenant_id=trainer.story.tenant_id,
            user_id=trainer.keys["bob"],
            school_id=trainer.keys["s1"],
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def declare(trainer: Trainer, *, days: int = 0) -> None:
    """A school year that begins so many days from now."""
    async with trainer.story.api.transaction(trainer.story.tenant_id) as session:
        await set_rollover(
            session,
            tenant_id=trainer.story.tenant_id,
            rolls_on=await today(trainer) + timedelta(days=days),
            window=USUAL,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def today(trainer: Trainer) -> date:
    found: date = await trainer.story.see.fetchval(
        "SELECT (now() AT TIME ZONE time_zone)::date FROM tenants WHERE id = $1",
        trainer.story.tenant_id,
    )
    return found


async def do_errand(trainer: Trainer, kind: ErrandKind, **asked: Any) -> None:
    story = trainer.story
    async with story.api.transaction(story.tenant_id) as session:
        errand_id = await request_errand(
            session, tenant_id=story.tenant_id, kind=kind, asked=asked, caller=COMMAND_LINE
        )
    assert await perform_errand(story.worker)
    result = await wait_for_errand(story.api, tenant_id=story.tenant_id, errand_id=errand_id)
    assert result is not None


async def import_staff(trainer: Trainer, *, apply: bool = True) -> None:
    story = trainer.story
    office = Office(story.api, story.worker, story.see, story.tenant_id)
    await office.look(STAFF, PeopleKind.STAFF, apply=apply)


async def rename(trainer: Trainer) -> None:
    trainer.story.district.users.change("ann", givenName="Anne")
    await trainer.story.night()


async def move(trainer: Trainer) -> None:
    trainer.story.district.enrollments.take("e1")
    trainer.story.district.enroll("e9", "ann", "g2")
    await trainer.story.night()


async def rename_group(trainer: Trainer) -> None:
    trainer.story.district.classes.change("g1", title="Geometry")
    await trainer.story.night()


async def move_term(trainer: Trainer) -> None:
    trainer.story.district.terms.change("t1", startDate="2026-08-18")
    await trainer.story.night()


async def set_lead(trainer: Trainer) -> None:
    await trainer.story.see.execute("UPDATE integrations SET group_lead_days = 3")


SETTING = "25, 95, 'us', true, NULL"
CHANGES: dict[str, Callable[[Trainer], Awaitable[None]]] = {
    "settings of the tenant": lambda trainer: set_at(trainer, "", SETTING),
    "settings of a school": lambda trainer: set_at(trainer, "s1", SETTING),
    "settings of a group": lambda trainer: set_at(trainer, "g1", SETTING),
    "settings of a user": lambda trainer: set_at(trainer, "ann", SETTING),
    "a default group": choose_group,
    "a default school": choose_school,
    "eligibility": lambda trainer: trainer.write(
        "INSERT INTO eligibility_overrides (tenant_id, user_id, is_eligible, set_by)"
        " SELECT :tenant_id, id, false, 'x' FROM users WHERE source_id = 'ann'"
    ),
    "a renamed person": rename,
    "a person who moves": move,
    "a renamed group": rename_group,
    "a term that moves": move_term,
    "an import": import_staff,
    "a school year that begins": declare,
    "the days before a group is seen": set_lead,
}


async def test_what_changes_what_is_shown_changes_the_tag(
    trainer: Trainer, subtests: pytest.Subtests
) -> None:
    for name, change in CHANGES.items():
        before, one = await trainer.tag(), await trainer.tag(f"/{trainer.ids['ann']}")
        await change(trainer)
        with subtests.test(change=name):
            assert await trainer.tag() != before
            assert await trainer.tag(f"/{trainer.ids['ann']}") != one


async def test_a_merge_changes_the_tag(trainer: Trainer) -> None:
    """Cid is no more in the feed: he is Ann."""
    trainer.story.district.users.take("cid")
    trainer.story.district.enrollments.take("e3")
    await trainer.story.night()
    before = await trainer.tag()
    kept, merged = str(trainer.keys["ann"]), str(trainer.keys["cid"])
    await do_errand(trainer, ErrandKind.PEOPLE_MERGE, kept_id=kept, merged_id=merged)
    assert await trainer.tag() != before
    cid = await trainer.get(f"/{trainer.ids['cid']}")
    assert (cid["isArchived"], cid["mergedIntoId"]) == (True, trainer.ids["ann"])


async def test_taking_something_back_changes_the_tag_again(trainer: Trainer) -> None:
    tags = [await trainer.tag()]
    await set_at(trainer, "s1", SETTING)
    tags.append(await trainer.tag())
    await trainer.write("UPDATE training_settings SET speed_target = 26, version = 2")
    tags.append(await trainer.tag())
    await rename(trainer)
    tags.append(await trainer.tag())
    trainer.story.district.users.change("ann", givenName="Ann")
    await trainer.story.night()
    tags.append(await trainer.tag())
    assert len(set(tags)) == len(tags)


async def test_a_school_year_changes_the_tag_on_its_day_and_not_before(trainer: Trainer) -> None:
    before = await trainer.tag()
    await declare(trainer, days=20)
    assert await trainer.tag() == before
    await trainer.story.see.execute("UPDATE year_rollovers SET rolls_on = rolls_on - 21")
    begun = await trainer.tag()
    assert begun != before
    async with trainer.story.api.transaction(trainer.story.tenant_id) as session:
        await cancel_rollover(
            session,
            tenant_id=trainer.story.tenant_id,
            rolls_on=await today(trainer) - timedelta(days=1),
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    assert await trainer.tag() == before


async def earn(trainer: Trainer) -> None:
    await trainer.write(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
        " VALUES (:tenant_id, :user_id, :group_id, 2026, 3)",
        user_id=trainer.keys["ann"],
        group_id=trainer.keys["g1"],
    )


async def same_night(trainer: Trainer) -> None:
    assert (await trainer.story.night()).state is SyncRunState.SUCCEEDED


async def preflight(trainer: Trainer) -> None:
    """It would rename her."""
    trainer.story.district.users.change("ann", givenName="Anne")
    trainer.story.district.write(trainer.story.folder)
    assert (await trainer.story.run(SyncMode.PREFLIGHT)).state is SyncRunState.SUCCEEDED


async def failed_night(trainer: Trainer) -> None:
    for file in trainer.story.folder.iterdir():
        file.unlink()
    assert (await trainer.story.run()).state is SyncRunState.FAILED


async def refused_errand(trainer: Trainer) -> None:
    story = trainer.story
    async with story.api.transaction(story.tenant_id) as session:
        await request_errand(
            session,
            tenant_id=story.tenant_id,
            kind=ErrandKind.PEOPLE_MERGE,
            asked={"kept_id": str(new_id()), "merged_id": str(new_id())},
            caller=COMMAND_LINE,
        )
    assert await perform_errand(story.worker)
    assert await story.see.fetchval("SELECT max(state) FROM errands") == "REFUSED"


async def look_at_import(trainer: Trainer) -> None:
    await import_staff(trainer, apply=False)


async def other_tenant(trainer: Trainer) -> None:
    beta_id = await add_tenant(trainer.story.see, "beta")
    async with trainer.story.api.transaction(beta_id) as session:
        await session.execute(
            text("INSERT INTO training_settings (tenant_id, speed_target) VALUES (:id, 30)"),
            {"id": beta_id},
        )


NOTHING: dict[str, Callable[[Trainer], Awaitable[None]]] = {
    "a result": earn,
    "a night without changes": same_night,
    "a preflight": preflight,
    "a night that fails": failed_night,
    "an errand that is refused": refused_errand,
    "a look at a file to import": look_at_import,
    "another tenant's settings": other_tenant,
}


async def test_what_changes_nothing_that_is_shown_leaves_the_tag(
    trainer: Trainer, subtests: pytest.Subtests
) -> None:
    before, page = await trainer.tag(), await trainer.get()
    for name, change in NOTHING.items():
        await change(trainer)
        with subtests.test(change=name):
            assert await trainer.tag() == before
            assert await trainer.get() == page


async def test_no_tag_is_newer_than_what_it_is_given_with(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody renames her between the version and the page: both are from before."""
    before = await trainer.tag()

    async def read_late(*arguments: Any) -> Any:
        monkeypatch.undo()
        await set_at(trainer, "s1", SETTING)
        await rename(trainer)
        return await read_page(*arguments)

    monkeypatch.setattr(training, "read_page", read_late)
    response = await trainer.http.get(PATH)
    assert response.headers["etag"] == before
    assert "Anne" not in response.text
    after = await trainer.http.get(PATH, headers={"If-None-Match": before})
    assert after.status_code == 200
    assert "Anne" in after.text
