"""Legacy import: what is taken over, what a second time changes, and what is refused."""

from datetime import UTC, datetime

import pytest

from domain.clock import new_id, utc_now
from domain.errors import Conflict, InvalidInput
from domain.files.imports import require_applied
from tests.api.graphql.seed import add_integration, add_user
from tests.domain.legacy.files import SMALL, Desk, numbers, said, zipped

pytestmark = pytest.mark.anyio


async def test_everything_is_taken_over_and_the_preview_said_so(desk: Desk) -> None:
    before = await desk.stored()
    preview = await desk.look(SMALL)
    assert await desk.stored() == before
    assert numbers(preview) == {
        "schools": (2, 2, 0, 0, 0),
        "groups": (2, 2, 0, 0, 0),
        "people": (3, 3, 0, 0, 0),
        "memberships": (3, 3, 0, 0, 0),
        "settings": (3, 3, 0, 0, 0),
        "progress": (2, 2, 0, 0, 0),
    }
    assert (preview["settings"], preview["progress"]) == (3, 2)
    assert (preview["errors"], preview["error_count"], preview["warnings"]) == ([], 0, [])
    assert preview["files"][0]["samples"] == ["s1, North School, 0410", "s2, South School"]
    report = await desk.apply(SMALL)
    assert report == preview | {"is_applied": True}
    assert await desk.rows("SELECT name, number, origin FROM schools ORDER BY name") == [
        ("North School", "0410", "LEGACY"),
        ("South School", None, "LEGACY"),
    ]
    assert await desk.rows(
        "SELECT g.name, g.code, g.grades, s.name, g.origin FROM groups g"
        " JOIN schools s ON s.id = g.school_id ORDER BY 1"
    ) == [
        ("Typing 1", "TYP1", ["03", "04"], "North School", "LEGACY"),
        ("Typing 2", None, [], "South School", "LEGACY"),
    ]
    assert await desk.rows(
        "SELECT u.username, u.given_name, u.email, u.number, u.roles, u.is_enabled, u.origin,"
        " u.source_id, array_agg(s.number ORDER BY a.position) FROM users u"
        " JOIN school_affiliations a ON a.user_id = u.id JOIN schools s ON s.id = a.school_id"
        " GROUP BY u.tenant_id, u.id ORDER BY 1"
    ) == [
        ("ann.fox", "Ann", "ann@example.org", None, ["TEACHER", "STAFF"], True, "LEGACY", None,
         ["0410"]),
        ("mia.lee", "Mia", "mia@example.org", "104233", ["STUDENT"], True, "LEGACY", None,
         ["0410"]),
        ("tom.ray", "Tom", None, "104234", ["STUDENT"], True, "LEGACY", None, [None, "0410"]),
    ]  # fmt: skip


async def test_memberships_settings_and_progress_come_along(desk: Desk) -> None:
    await desk.apply(SMALL)
    assert await desk.rows(
        "SELECT u.username, g.name, m.role, m.origin, m.archived_at FROM memberships m"
        " JOIN users u ON u.id = m.user_id JOIN groups g ON g.id = m.group_id ORDER BY 1"
    ) == [
        ("ann.fox", "Typing 1", "TEACHER", "LEGACY", None),
        ("mia.lee", "Typing 1", "STUDENT", "LEGACY", None),
        ("tom.ray", "Typing 2", "STUDENT", "LEGACY", None),
    ]
    assert await desk.rows(
        "SELECT g.name, u.username, t.speed_target, t.accuracy_target, t.keyboard_layout,"
        " t.has_avatars, t.age_group FROM training_settings t"
        " LEFT JOIN groups g ON g.id = t.group_id LEFT JOIN users u ON u.id = t.user_id"
        " ORDER BY t.speed_target"
    ) == [
        (None, None, 20, 90, "us", True, None),
        ("Typing 1", None, 25, None, None, False, "ELEMENTARY"),
        (None, "mia.lee", None, 99, "us(dvorak)", None, None),
    ]
    assert await desk.rows(
        "SELECT u.username, p.lessons, p.seconds, p.best_speed, p.last_active_at FROM progress p"
        " JOIN users u ON u.id = p.user_id ORDER BY 1"
    ) == [
        ("mia.lee", 42, 12600, 31, datetime(2025, 6, 30, 12, 5, tzinfo=UTC)),
        ("tom.ray", 0, 0, None, None),
    ]
    assert await desk.rows("SELECT record_type, kind, value FROM external_keys ORDER BY value") == [
        *[("GROUP", "legacy_id", key) for key in ("g1", "g2")],
        *[("USER", "legacy_id", key) for key in ("p1", "p2", "p3")],
        *[("SCHOOL", "legacy_id", key) for key in ("s1", "s2")],
    ]


async def test_progress_is_of_the_school_year_in_which_it_was_trained_last(desk: Desk) -> None:
    """In the tenant's time zone, and by the days that were declared; else it is of this year."""
    await desk.see.execute("UPDATE tenants SET time_zone = 'America/Los_Angeles'")
    await desk.see.execute(
        "INSERT INTO year_rollovers (tenant_id, rolls_on, days_before, days_after,"
        " archive_percent, update_percent, declared_by) SELECT id, '2024-08-15', 0, 0, 0, 0, 'x'"
        " FROM tenants"
    )
    now = utc_now()
    files = SMALL | {
        "progress.csv": (
            "person_id,group_id,lessons,last_active_at\n"
            "p1,g1,1,2024-08-15T06:59:00Z\np1,g2,2,2024-08-15T07:00:00Z\n"
            f"p2,g1,3,2024-07-01\np2,g2,4,\np3,g1,5,{now.isoformat()}\n"
        )
    }
    years = "SELECT lessons, school_year FROM progress ORDER BY 1"
    await desk.apply(files)
    *declared, without, of_now = await desk.rows(years)
    assert declared == [(1, 2023), (2, 2024), (3, 2023)]
    assert (without[1], of_now[1]) == (of_now[1], of_now[1])
    await desk.see.execute("UPDATE progress SET school_year = 2019 WHERE lessons = 4")
    report = await desk.apply(files)
    assert report["progress"] == 0
    assert len(await desk.rows(years)) == 5


async def test_who_was_not_eligible_is_not_made_so(desk: Desk) -> None:
    people = SMALL | {
        "people.csv": (
            "id,username,given_name,family_name,roles,school_ids,is_eligible\n"
            "p1,mia,Mia,Lee,student,s1,no\np2,tom,Tom,Ray,student,s2,yes\n"
            "p3,ann,Ann,Fox,teacher,s1,\n"
        )
    }
    await desk.apply(people)
    assert await desk.rows("SELECT username, is_eligible FROM users ORDER BY 1") == [
        ("ann", True), ("mia", False), ("tom", True),
    ]  # fmt: skip


async def test_the_same_files_again_write_nothing(desk: Desk) -> None:
    await desk.apply(SMALL)
    before = await desk.places()
    report = await desk.apply(SMALL)
    assert await desk.places() == before
    assert numbers(report)["people"] == (3, 0, 3, 0, 0)
    assert [(file["new"], file["changed"]) for file in report["files"]] == [(0, 0)] * 6
    assert (report["settings"], report["progress"]) == (0, 0)


async def test_what_says_something_else_now_is_changed_but_not_what_was_earned(desk: Desk) -> None:
    await desk.apply(SMALL)
    ids = await desk.rows("SELECT id FROM users ORDER BY id")
    kept = await desk.rows("SELECT number FROM users ORDER BY id")
    later = {
        # Their usernames are swapped, and one has another school; there is no column `number`.
        "people.csv": (
            "id,username,given_name,family_name,roles,school_ids\n"
            "p1,tom.ray,Mia,Lee,student,s2\np2,mia.lee,Tom,Ray,student,s2;s1\n"
        ),
        "groups.csv": "id,school_id,name\ng1,s2,Typing 1\n",
        "progress.csv": "person_id,group_id,lessons\np1,g1,1\n",
        "settings.csv": "level,id,speed_target\ntenant,,99\n",
    }
    report = await desk.apply(later)
    assert numbers(report) == {
        "groups": (1, 0, 1, 1, 0),
        "people": (2, 0, 2, 2, 0),
        "settings": (1, 0, 1, 1, 0),
        "progress": (1, 0, 1, 1, 0),
    }
    assert await desk.rows("SELECT id FROM users ORDER BY id") == ids
    assert await desk.rows("SELECT number FROM users ORDER BY id") == kept
    assert await desk.rows(
        "SELECT u.username, array_agg(s.name ORDER BY a.position) FROM users u"
        " JOIN school_affiliations a ON a.user_id = u.id JOIN schools s ON s.id = a.school_id"
        " WHERE u.given_name IN ('Mia', 'Tom') GROUP BY 1 ORDER BY 1"
    ) == [("mia.lee", ["South School", "North School"]), ("tom.ray", ["South School"])]
    assert await desk.rows("SELECT lessons FROM progress ORDER BY 1") == [(0,), (42,)]
    assert await desk.rows("SELECT speed_target FROM training_settings ORDER BY 1") == [
        (20,), (25,), (None,),
    ]  # fmt: skip


async def test_every_wrong_row_is_told_with_its_line_and_its_column(desk: Desk) -> None:
    await add_user(desk.see, desk.tenant_id, username="Kim.Day", origin="IMPORT")
    files = {
        "schools.csv": "id,name\ns1,North\n\ns1,Again\ns2,\n",
        "groups.csv": "id,school_id,name\ng1,s1,One\ng2,s2,Two\ng3,s1\n",
        "people.csv": (
            "id,username,given_name,family_name,roles,school_ids\n"
            'p1,mia,Mia,"Le\ne",student,s1\n'
            "p2,tom,Tom,Ray,student,s1\n"
            "p3,TOM,Tim,Ray,student,s1\n"
            "p4,kim.day,Kim,Day,student,s1\n"
            "p5,eva,Eva,May,pupil,s1\n"
            "p6,ida,Ida,Fay,student,s2\n"
        ),
        "memberships.csv": "person_id,group_id,role\np2,g1,student\np2,g1,student\np1,g1,student\n",
        "settings.csv": (
            "level,id,speed_target,accuracy_target\ntenant,x,1,1\nschool,,1,1\nperson,p2,251,101\n"
            "group,g1,,\ngroup,g9,1,0\nschool,s1,250,100\ngroup,s1,5,5\n"
        ),
        "progress.csv": "person_id,group_id,lessons,last_active_at\np2,g1,-1,soon\np2,g1,1_0,\n",
    }
    report = await desk.look(files)
    assert said(report) == [
        ("schools.csv", 4, "id"),
        ("schools.csv", 5, "name"),
        ("groups.csv", 3, "school_id"),
        ("groups.csv", 4, None),
        ("people.csv", 2, "family_name"),
        ("people.csv", 5, "username"),
        ("people.csv", 6, "username"),
        ("people.csv", 7, "roles"),
        ("people.csv", 8, "school_ids"),
        ("memberships.csv", 3, None),
        ("memberships.csv", 4, "person_id"),
        ("settings.csv", 2, "id"),
        ("settings.csv", 3, "id"),
        ("settings.csv", 4, "accuracy_target"),
        ("settings.csv", 4, "speed_target"),
        ("settings.csv", 5, "level"),
        ("settings.csv", 6, "id"),
        ("settings.csv", 8, "id"),
        ("progress.csv", 2, "last_active_at"),
        ("progress.csv", 2, "lessons"),
        ("progress.csv", 3, "lessons"),
    ]
    words = {(error["file"], error["line"]): error["message"] for error in report["errors"]}
    assert words["people.csv", 5] == (
        "This is on line 4 already, as 'tom': upper and lower case are the same."
    )
    assert words["people.csv", 6] == "Somebody here has the username 'Kim.Day' already."
    assert words["groups.csv", 3] == "There is no school 's2' that could be imported."
    assert words["settings.csv", 4] == "'251' is not a whole number from 1 to 250."
    assert numbers(report)["settings"] == (7, 1, 0, 0, 6)
    assert report["error_count"] == 21


async def test_keyboards_and_age_groups_are_known_ones_whatever_their_case(desk: Desk) -> None:
    header = "level,id,speed_target,keyboard_layout,age_group\n"
    good = "tenant,,20,GB,\ngroup,g1,,Us(Dvorak),High\nperson,p1,,FR,\n"
    wrong = (
        "tenant,,20,,high\nschool,s1,20,,early\nperson,p1,20,,adult\n"
        "group,g1,20,,primary\ngroup,g2,20,azerty,\nschool,s2,20,us(dvorac),\n"
    )
    report = await desk.look(SMALL | {"settings.csv": header + wrong})
    assert said(report) == [
        ("settings.csv", 2, "age_group"),
        ("settings.csv", 3, "age_group"),
        ("settings.csv", 4, "age_group"),
        ("settings.csv", 5, "age_group"),
        ("settings.csv", 6, "keyboard_layout"),
        ("settings.csv", 7, "keyboard_layout"),
    ]
    words = {error["line"]: error["message"] for error in report["errors"]}
    assert words[2] == "Only a group has an age group: leave it blank here."
    assert words[5] == "'primary' is none of: EARLY, ELEMENTARY, MIDDLE, HIGH, ADULT."
    assert words[6].startswith("There is no keyboard layout 'azerty'.")
    assert "us(dvorak)" in words[7]
    require_applied(await desk.apply(SMALL | {"settings.csv": header + good}))
    assert await desk.rows(
        "SELECT keyboard_layout, age_group FROM training_settings ORDER BY 1"
    ) == [("fr", None), ("gb", None), ("us(dvorak)", "HIGH")]


async def test_nothing_is_imported_beside_errors_unless_they_are_to_be_skipped(desk: Desk) -> None:
    files = SMALL | {"schools.csv": "id,name\ns1,North School\ns2,\n"}
    upload_id = await desk.upload(zipped(files))
    before = await desk.stored()
    report = await desk.ask(upload_id, apply=True)
    assert await desk.stored() == before
    with pytest.raises(Conflict, match=r"there are errors \(7\)"):
        require_applied(report)
    # The school, its group, its person; and in two rows neither of these is known.
    assert report["error_count"] == 7
    report = await desk.ask(upload_id, apply=True, skip=True)
    require_applied(report)
    assert await desk.rows("SELECT username FROM users ORDER BY 1") == [("ann.fox",), ("mia.lee",)]
    assert await desk.rows("SELECT count(*) FROM progress") == [(1,)]


async def test_whoever_keeps_a_username_keeps_it_from_those_who_follow(desk: Desk) -> None:
    people = "id,username,given_name,family_name,roles\n{}"
    await desk.apply({"people.csv": people.format("p1,a,A,A,staff\np2,b,B,B,staff\n")})
    # p2 leaves b to p3 and takes a; but p1, who has it, gets a role that there is not.
    rows = "p1,c,A,A,boss\np2,a,B,B,staff\np3,b,C,C,staff\n"
    report = await desk.look({"people.csv": people.format(rows)})
    assert said(report) == [
        ("people.csv", 2, "roles"), ("people.csv", 3, "username"), ("people.csv", 4, "username"),
    ]  # fmt: skip


async def test_only_the_first_hundred_errors_are_listed_and_all_are_counted(desk: Desk) -> None:
    rows = "".join(f"s{n},\n" for n in range(250))
    report = await desk.look({"schools.csv": f"id,name\n{rows}"})
    assert (len(report["errors"]), report["error_count"]) == (100, 250)
    assert report["errors"][99]["line"] == 101


async def test_it_is_refused_once_a_roster_has_been_applied(desk: Desk) -> None:
    upload_id = await desk.upload(zipped(SMALL))
    integration_id = await add_integration(desk.see, desk.tenant_id)
    assert (await desk.ask(upload_id))["error_count"] == 0
    await desk.see.execute(
        "UPDATE integrations SET rostered_at = $1 WHERE id = $2", utc_now(), integration_id
    )
    with pytest.raises(Conflict, match="before the first sync"):
        await desk.ask(upload_id, apply=True)
    # A switch of the provider begins anew, but the people of the former one are still there.
    await desk.see.execute("UPDATE integrations SET rostered_at = NULL")
    await add_user(desk.see, desk.tenant_id, origin="PROVIDER", source_id="u1")
    with pytest.raises(Conflict, match="before the first sync"):
        await desk.ask(upload_id, apply=True)


async def test_an_applied_file_is_kept_no_longer_and_the_act_is_audited(desk: Desk) -> None:
    upload_id = await desk.upload(zipped(SMALL))
    await desk.ask(upload_id)
    await desk.ask(upload_id, apply=True)
    assert await desk.rows("SELECT content FROM uploads") == [(None,)]
    with pytest.raises(Conflict, match="used already"):
        await desk.ask(upload_id, apply=True)
    assert await desk.rows(
        "SELECT actor, action, details->>'people.csv' FROM audit_log"
        " WHERE target = (SELECT id::text FROM uploads) ORDER BY id"
    ) == [("command line", "uploadCreate", None), ("command line", "legacyImport", "3")]


async def test_an_upload_of_another_tenant_does_not_exist(desk: Desk) -> None:
    await desk.see.execute(
        "INSERT INTO tenants (id, slug, name, display_name, time_zone, status)"
        " VALUES ($1, 'beta', 'B', 'B', 'UTC', 'ACTIVE')",
        (other := new_id()),
    )
    theirs = Desk(desk.api, desk.worker, desk.see, other)
    upload_id = await theirs.upload(zipped(SMALL))
    with pytest.raises(InvalidInput, match="no such upload"):
        await desk.ask(upload_id)


async def test_a_file_can_come_alone_and_refers_to_what_is_stored(desk: Desk) -> None:
    await desk.apply(SMALL)
    progress = "\ufeffperson_id,group_id,lessons\np3,g2,7\n"
    upload_id = await desk.upload(progress.encode())
    report = await desk.ask(upload_id, apply=True)
    assert numbers(report) == {"progress": (1, 1, 0, 0, 0)}
    assert await desk.rows("SELECT lessons FROM progress ORDER BY 1") == [(0,), (7,), (42,)]


async def test_columns_that_are_not_known_are_told_and_never_stored(desk: Desk) -> None:
    files = {
        "Export/People.csv": (
            "id,username,given_name,family_name,roles,password,birth_date\n"
            "p1,mia,Mia,Lee,student,hunter2,2014-05-01\n# p2,tom,Tom,Ray,student,x,y\n"
        ),
        "Export/readme.txt": "Read me.",
    }
    report = await desk.apply(files)
    assert report["warnings"] == [
        "Export/readme.txt is not read.",
        "people.csv: the column 'password' is not read.",
        "people.csv: the column 'birth_date' is not read.",
    ]
    assert numbers(report) == {"people": (1, 1, 0, 0, 0)}
    stored = str(await desk.stored()) + str(await desk.rows("SELECT result::text FROM errands"))
    assert "hunter2" not in stored
    assert "2014" not in stored


async def test_memberships_of_whoever_was_archived_here_come_archived(desk: Desk) -> None:
    await desk.apply(SMALL)
    await desk.see.execute("UPDATE users SET archived_at = now() WHERE username = 'mia.lee'")
    more = {
        "people.csv": SMALL["people.csv"].replace("Mia,", "Mio,"),
        "memberships.csv": "person_id,group_id,role\np1,g2,student\np2,g1,student\n",
    }
    report = await desk.apply(more)
    assert numbers(report) == {"people": (3, 0, 3, 0, 0), "memberships": (2, 2, 0, 0, 0)}
    assert await desk.rows("SELECT count(*) FROM users WHERE given_name = 'Mio'") == [(0,)]
    assert await desk.rows(
        "SELECT u.username, m.archived_at IS NULL FROM memberships m"
        " JOIN users u ON u.id = m.user_id JOIN groups g ON g.id = m.group_id"
        " WHERE (u.username, g.name) IN (('mia.lee', 'Typing 2'), ('tom.ray', 'Typing 1'))"
        " ORDER BY 1"
    ) == [("mia.lee", False), ("tom.ray", True)]
