"""What the training application reads: people, their groups and what holds for them."""

from datetime import date
from typing import Any

import pytest

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.resources import Resources
from tests.api.graphql.client import counted_statements
from tests.api.training.trainer import PATH, Trainer, set_at

pytestmark = pytest.mark.anyio


async def test_a_person_is_shown_with_groups_places_and_what_holds_for_them(
    trainer: Trainer,
) -> None:
    for level, values in (
        ("", "25, NULL, 'us', NULL, NULL"),
        ("g1", "30, 95, NULL, NULL, 'MIDDLE'"),
        ("ann", "NULL, NULL, NULL, false, NULL"),
    ):
        await set_at(trainer, level, values)
    ids = trainer.ids
    user = await trainer.get(f"/{ids['ann']}")
    groups = user.pop("groups")
    settings = user.pop("settings")
    assert user == {
        "id": ids["ann"],
        "sourceId": "ann",
        "username": "ann",
        "givenName": "Ann",
        "familyName": "Archer",
        "roles": ["STUDENT"],
        "isEnabled": True,
        "isEligible": True,
        "isArchived": False,
        "mergedIntoId": None,
        "schoolIds": [ids["s1"]],
        "defaultGroup": {"id": ids["g1"], "source": "ONLY_ONE"},
        "defaultSchool": {"id": ids["s1"], "source": "PRIMARY"},
    }
    [group] = groups
    in_group = group.pop("settings")
    assert group == {
        "id": ids["g1"],
        "name": "Algebra",
        "schoolId": ids["s1"],
        "roles": ["STUDENT"],
        "startsOn": "2026-08-17",
        "endsOn": "2026-12-19",
        "visibleOn": "2026-08-03",
        "ageGroup": "MIDDLE",
    }
    assert settings == {
        "speedTarget": {"value": 30, "level": "GROUP"},
        "accuracyTarget": {"value": 95, "level": "GROUP"},
        "keyboardLayout": {"value": "us", "level": "TENANT"},
        "hasAvatars": {"value": False, "level": "USER"},
    }
    assert in_group == settings
    page = await trainer.get()
    assert page["next"] is None
    [same] = [one for one in page["users"] if one["id"] == ids["ann"]]
    assert same == {**user, "groups": [{**group, "settings": in_group}], "settings": settings}


async def test_settings_differ_by_group_and_those_of_a_person_are_where_they_land(
    trainer: Trainer,
) -> None:
    await set_at(trainer, "g1", "30, NULL, NULL, NULL, NULL")
    await set_at(trainer, "g2", "40, NULL, NULL, NULL, NULL")
    await set_at(trainer, "s2", "20, 90, NULL, NULL, NULL")
    bob = await trainer.get(f"/{trainer.ids['bob']}")
    algebra, biology = [group["settings"] for group in bob["groups"]]
    nobody = {"value": None, "level": "DEFAULT"}
    assert (algebra["speedTarget"], algebra["accuracyTarget"]) == (
        {"value": 30, "level": "GROUP"}, nobody,
    )  # fmt: skip
    school = {"value": 90, "level": "SCHOOL"}
    assert (biology["speedTarget"], biology["accuracyTarget"]) == (
        {"value": 40, "level": "GROUP"}, school,
    )  # fmt: skip
    assert bob["defaultGroup"]["id"] is None
    assert (bob["settings"]["speedTarget"], bob["settings"]["accuracyTarget"]) == (
        {"value": 20, "level": "SCHOOL"}, school,
    )  # fmt: skip


async def test_names_are_those_that_a_person_wants_to_be_called_by(trainer: Trainer) -> None:
    await trainer.story.see.execute(
        "UPDATE users SET preferred_given_name = 'Nan' WHERE source_id = 'ann'"
    )
    user = await trainer.get(f"/{trainer.ids['ann']}")
    assert (user["givenName"], user["familyName"]) == ("Nan", "Archer")


async def test_nothing_but_what_a_training_application_shows_is_given_out(
    trainer: Trainer,
) -> None:
    await trainer.story.see.execute("UPDATE users SET email = 'x@example.org', number = '4711'")
    response = await trainer.http.get(PATH)
    assert "example.org" not in response.text
    assert "4711" not in response.text


async def test_a_teacher_has_all_their_groups_and_is_asked(trainer: Trainer) -> None:
    trainer.story.district.enroll("e9", "bob", "g2")
    await trainer.story.night()
    bob = await trainer.get(f"/{trainer.ids['bob']}")
    assert [(group["name"], group["roles"]) for group in bob["groups"]] == [
        ("Algebra", ["TEACHER"]),
        ("Biology", ["STUDENT", "TEACHER"]),
    ]
    assert bob["defaultGroup"] == {"id": None, "source": "ASK"}
    assert bob["schoolIds"] == [trainer.ids["s2"], trainer.ids["s1"]]
    assert bob["groups"][1]["visibleOn"] is None


async def test_pages_show_everybody_once_in_their_order(trainer: Trainer) -> None:
    for number in range(5):
        trainer.story.district.user(f"u{number}", f"u{number}")
    trainer.story.district.users.take("cid")
    trainer.story.district.enrollments.take("e3")
    await trainer.story.night()
    seen: list[str] = []
    page: Any = {"next": None}
    while not seen or page["next"]:
        page = await trainer.get(limit=3, **({"after": page["next"]} if page["next"] else {}))
        assert len(page["users"]) <= 3
        seen += [user["sourceId"] for user in page["users"]]
    assert sorted(seen) == ["ann", "bob", "dee", "u0", "u1", "u2", "u3", "u4"]
    assert seen == await trainer.named()


async def test_people_are_asked_for_by_id_and_by_group(trainer: Trainer) -> None:
    ids = trainer.ids
    assert sorted(await trainer.named(group=ids["g1"])) == ["ann", "bob", "cid"]
    assert sorted(await trainer.named(ids=f"{ids['ann']},{ids['dee']}")) == ["ann", "dee"]
    assert await trainer.named(ids=[ids["ann"], ids["dee"]], group=ids["g2"]) == ["dee"]
    absent = encode_id("U", trainer.story.tenant_id, new_id())
    assert await trainer.named(ids=absent) == []
    assert await trainer.named(group=encode_id("G", trainer.story.tenant_id, new_id())) == []


async def test_who_is_archived_is_shown_to_whoever_asks_for_them(trainer: Trainer) -> None:
    trainer.story.district.users.take("ann")
    trainer.story.district.enrollments.take("e1")
    await trainer.story.night()
    assert sorted(await trainer.named()) == ["bob", "cid", "dee"]
    user = await trainer.get(f"/{trainer.ids['ann']}")
    assert (user["isArchived"], user["groups"]) == (True, [])
    assert user["defaultGroup"] == {"id": None, "source": "ASK"}
    assert (await trainer.get(ids=trainer.ids["ann"]))["users"] == [user]


async def test_eligibility_that_was_set_here_is_the_one_that_is_shown(trainer: Trainer) -> None:
    await trainer.write(
        "INSERT INTO eligibility_overrides (tenant_id, user_id, is_eligible, set_by)"
        " VALUES (:tenant_id, :user_id, false, 'x')",
        user_id=trainer.keys["ann"],
    )
    shown = {user["sourceId"]: user["isEligible"] for user in (await trainer.get())["users"]}
    assert shown == {"ann": False, "bob": True, "cid": True, "dee": True}


async def test_a_page_costs_the_same_for_one_and_for_many(
    trainer: Trainer, resources: Resources
) -> None:
    counts = []
    for limit in (1, 4):
        with counted_statements(resources.database.engine.sync_engine) as statements:
            assert len((await trainer.get(limit=limit))["users"]) == limit
        counts.append(len(statements))
    # Who asks, which tenant, the snapshot, the version, and five for what is shown.
    assert counts == [11, 11]


async def test_answers_may_be_kept_by_their_reader_alone(trainer: Trainer) -> None:
    response = await trainer.http.get(PATH)
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["vary"] == "Authorization"
    assert response.headers["content-type"] == "application/json"
    refused = await trainer.http.get(f"{PATH}?limit=0")
    assert refused.headers["cache-control"] == "no-store"


async def test_head_answers_as_get_without_the_body(trainer: Trainer) -> None:
    for path in ("", f"/{trainer.ids['ann']}"):
        got = await trainer.http.get(PATH + path)
        head = await trainer.http.head(PATH + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == got.headers["etag"]
        assert head.headers["content-length"] == str(len(got.content))
        known = {"If-None-Match": got.headers["etag"]}
        assert (await trainer.http.head(PATH + path, headers=known)).status_code == 304
    assert (await trainer.http.post(PATH)).status_code == 405


async def test_a_group_of_the_year_1_is_shown(trainer: Trainer) -> None:
    """Some write it for no day, and there is none before it."""
    write = "UPDATE groups SET starts_on = $1 WHERE source_id = 'g1'"
    for starts_on, visible_on in (
        (date(1, 1, 1), "0001-01-01"),
        (date(1, 1, 2), "0001-01-02"),
        (None, None),
    ):
        await trainer.story.see.execute(write, starts_on)
        [group] = (await trainer.get(f"/{trainer.ids['ann']}"))["groups"]
        assert group["visibleOn"] == visible_on
        found = await trainer.operator.run(
            "query ($id: ID!) { node(id: $id) { ... on Group { visibleOn } } }", id=group["id"]
        )
        assert found == {"node": {"visibleOn": visible_on}}
