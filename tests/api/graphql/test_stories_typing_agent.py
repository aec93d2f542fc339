"""Typing Agent's "soft delete, match, roster": Clever, and people who keep what they had."""

from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from api.local import LocalServers
from domain.secrets import KeyRing
from tests.api.graphql.telling import Office, Servers, counted, open_office
from tests.builders import CsvDistrict
from tests.contract.providers import Opening, by_clever
from tests.fakes.district import clever_id

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BEFORE = {
    "schools.csv": "id,name\n1,Oak Elementary\n2,Elm Elementary\n",
    "groups.csv": "id,school_id,name\n1,1,Typing 3A\n2,2,Typing 5B\n",
    "people.csv": (
        "id,username,given_name,family_name,roles,school_ids\n"
        "1,amy.ash,Amy,Ash,student,1\n"
        "2,cy.dale,Cy,Dale,student,1\n"
        "3,old.timer,Olive,Timer,student,2\n"
        "4,tess.tutor,Tess,Tutor,teacher,1\n"
    ),
    "memberships.csv": "person_id,group_id,role\n1,1,student\n2,1,student\n3,2,student\n",
    "settings.csv": "level,id,speed_target\nperson,1,35\nperson,3,20\n",
    "progress.csv": "person_id,group_id,lessons\n1,1,42\n3,2,7\n",
}
LOCAL = (
    "SELECT p::text FROM progress p WHERE tenant_id = $1 UNION ALL"
    " SELECT t::text FROM training_settings t WHERE tenant_id = $1 ORDER BY 1"
)
SIX_QUESTIONS = """
    schools { expected shared sharedAndExpected sharedNotExpected expectedNotShared leftOut }
    classes { expected shared leftOut }
    existingUsers { policy created ambiguous byOrigin { origin matched archived kept } }
    licences { limit needed shortBy expected }
    usernames { same caseClashes legacySame legacyDifferent taken }
    localData { outcome recordType count } wouldHold { code count }
    items(first: 50) { nodes { topic outcome name details { name value } } }"""


def shared_in_clever() -> CsvDistrict:
    """Two schools and a third that nobody has ordered; Amy and Cy have the usernames they had."""
    district = CsvDistrict()
    district.school("oak", "Oak Elementary")
    district.school("elm", "Elm Elementary")
    district.school("pine", "Pine High")
    district.term("year", "2026-08-01", "2099-06-30")
    for source_id, title, school in (
        ("c3", "Grade 3", "oak"), ("c5", "Grade 5", "elm"), ("c9", "Grade 9", "pine")
    ):  # fmt: skip
        district.group(source_id, title, school=school, termSourcedIds="year")
    for name, username, school, grade, group in (
        ("amy", "amy.ash", "oak", "03", "c3"),
        ("cy", "Cy.Dale", "oak", "03", "c3"),
        ("dot", "dot.elk", "elm", "05", "c5"),
        ("eli", "eli.fir", "elm", "05", "c5"),
        ("fay", "fay.gum", "elm", "08", "c5"),
        ("gus", "gus.hay", "pine", "09", "c9"),
    ):
        email = f"{name}@students.example.org"
        district.user(name, username, orgSourcedIds=school, grades=grade, email=email)
        district.enroll(f"e-{name}", name, group)
    district.user("tess", "tess.tutor", role="teacher", orgSourcedIds="oak,elm")
    district.enroll("e-tess-3", "tess", "c3", role="teacher")
    district.enroll("e-tess-5", "tess", "c5", role="teacher")
    district.user("ada", "ada.admin", role="administrator", orgSourcedIds="d1")
    return district


@pytest.fixture
async def clever(tmp_path: Path) -> AsyncGenerator[Opening]:
    with by_clever(shared_in_clever().write(tmp_path / "clever")) as opening:
        yield opening


@pytest.fixture
async def office(
    clever: Opening,
    local_servers: LocalServers,
    database_url: dict[str, str],
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> AsyncGenerator[Office]:
    servers = Servers(local_servers, database_url, keys, superuser, tmp_path)
    async with open_office(servers, clever.hosts, "maple", "Maple District") as opened:
        yield opened


async def test_clever_takes_over_and_people_keep_what_they_had(
    office: Office, clever: Opening, tmp_path: Path
) -> None:
    old = await a_district_has_accounts(office)
    before = await office.rows(LOCAL)
    await clever_is_connected(office, clever)
    await what_is_ordered_is_stated(office)
    await the_six_questions_are_answered(office)
    assert await office.people("origin") == old
    preflight = await there_are_licences_enough_now(office)
    await office.do("onboardingApprove", syncRunId=preflight)
    first = await office.sync()
    assert first["state"].startswith("SUCCEEDED")
    assert counted(first, "USER") == {"created": 3, "updated": 3, "archived": 1}
    await everybody_is_who_they_were(office, old)
    assert await office.rows(LOCAL) == before
    await a_student_too_many_waits(office, tmp_path)
    await the_next_sync_is_at_nine_in_los_angeles(office)


async def a_district_has_accounts(office: Office) -> Any:
    await office.import_legacy(BEFORE)
    return await office.people("origin")


async def what_is_ordered_is_stated(office: Office) -> None:
    """By mail to the account representative: the schools, grades, licences and the start."""
    product = office.of_the_product()
    await product.do("licencesSet", limit=3)
    await office.do(
        "expectationsSet",
        schools=["Oak Elementary", "Elm Elementary", "Birch Elementary"],
        classes=["Grade 3", "Grade 5"],
        licences=3,
        startsOn="2026-09-01",
    )


async def clever_is_connected(office: Office, clever: Opening) -> None:
    settings = {"districtId": clever.settings["district_id"]}
    await office.of_the_product().do("integrationConfigure", provider="CLEVER", clever=settings)
    await office.do("existingAccountsSet", policy="MATCH_USERNAME")
    rules = [
        {"subject": "SCHOOL", "values": ["Oak Elementary", "Elm Elementary"]},
        {"subject": "GRADE", "values": ["03", "04", "05"]},
    ]
    await office.do("sharingRulesSet", rules=rules)


async def the_six_questions_are_answered(office: Office) -> None:
    report = await office.preflight(SIX_QUESTIONS)
    lines = {
        (item["topic"], item["outcome"], item["name"]): item["details"]
        for item in report["items"]["nodes"]
    }
    # 1. Do the schools match? One of those that were ordered is not shared.
    assert report["schools"] == {
        "expected": 3, "shared": 2, "sharedAndExpected": 2, "sharedNotExpected": 0,
        "expectedNotShared": 1, "leftOut": 1,
    }  # fmt: skip
    assert ("SCHOOLS", "EXPECTED_NOT_SHARED", "Birch Elementary") in lines
    # 2. Do the classrooms match?
    assert report["classes"] == {"expected": 2, "shared": 2, "leftOut": 1}
    # 3. Does the account have existing users?
    users = report["existingUsers"]
    assert (users["policy"], users["ambiguous"]) == ("MATCH_USERNAME", 0)
    assert users["byOrigin"][0] == {
        "origin": "LEGACY", "matched": 3, "archived": 1, "kept": 0
    }  # fmt: skip
    # 4. Does it have the right number of licences? It names who would get none.
    assert report["licences"] == {"limit": 3, "needed": 4, "shortBy": 1, "expected": 3}
    assert ("LICENCES", "WITHOUT_LICENCE", "Eli Archer") in lines
    assert report["wouldHold"] == [{"code": "LICENCE_LIMIT", "count": 1}]
    # 5. Do the usernames match? Cy's differs in its case only.
    assert (report["usernames"]["legacySame"], report["usernames"]["legacyDifferent"]) == (3, 1)
    details = {one["name"]: one["value"] for one in lines["USERNAMES", "WOULD_CHANGE", "Cy Dale"]}
    assert details == {"old": "cy.dale", "new": "Cy.Dale", "onlyCase": True}
    # 6. What happens to the data that is there now?
    local = {(one["outcome"], one["recordType"]): one["count"] for one in report["localData"]}
    assert local == {
        ("CARRIED_OVER", "USER"): 1,
        ("KEPT_WITH_ARCHIVED", "USER"): 1,
        ("KEPT_WITH_ARCHIVED", "GROUP"): 2,
    }


async def there_are_licences_enough_now(office: Office) -> str:
    """Another preflight says so; its id."""
    await office.of_the_product().do("licencesSet", limit=4)
    report = await office.preflight(SIX_QUESTIONS)
    assert (report["licences"]["shortBy"], report["wouldHold"]) == (0, [])
    return str(report["id"])


async def everybody_is_who_they_were(office: Office, old: Any) -> None:
    """Matched by username, with another spelling too; who is not in Clever is soft deleted."""
    people = await office.people("id origin email groups { name }")
    ada = clever_id("user", "ada")
    assert set(people) == {"amy.ash", "Cy.Dale", "dot.elk", "eli.fir", "tess.tutor", ada}
    assert {person["origin"] for person in people.values()} == {"PROVIDER"}
    for former, now in (("amy.ash", "amy.ash"), ("cy.dale", "Cy.Dale"), ("tess.tutor",) * 2):
        assert people[now]["id"] == old[former]["id"]
    assert people["amy.ash"]["groups"] == [{"name": "Grade 3"}]
    assert [person["email"] for name, person in people.items() if name != ada] == [None] * 5
    gone = await office.people(archived=True)
    assert {name: person["id"] for name, person in gone.items()} == {
        "old.timer": old["old.timer"]["id"]
    }
    schools = await office.show("schools(first: 9) { nodes { name origin } }")
    assert schools["schools"]["nodes"] == [
        {"name": "Elm Elementary", "origin": "PROVIDER"},
        {"name": "Oak Elementary", "origin": "PROVIDER"},
    ]


async def a_student_too_many_waits(office: Office, tmp_path: Path) -> None:
    """Nobody who is there loses a licence; everything else of the night goes on."""
    district = shared_in_clever()
    district.user("hal", "hal.ivy", orgSourcedIds="oak", grades="04")
    district.enroll("e-hal", "hal", "c3")
    district.users.change("amy", familyName="Aster")
    district.write(tmp_path / "clever")
    run = await office.sync()
    assert run["state"] == "SUCCEEDED_WITH_HOLD"
    assert counted(run, "USER") == {"updated": 1, "unchanged": 5, "held": 1}
    assert run["hold"]["reasons"] == [{"code": "LICENCE_LIMIT", "count": 1, "of": 4}]
    people = await office.people("familyName")
    assert people["amy.ash"]["familyName"] == "Aster"
    assert "hal.ivy" not in people
    await office.of_the_product().do("licencesSet", limit=5)
    assert (await office.sync())["state"].startswith("SUCCEEDED")
    assert "hal.ivy" in await office.people()


async def the_next_sync_is_at_nine_in_los_angeles(office: Office) -> None:
    await office.see.execute("UPDATE sync_schedules SET local_time = '21:00'")
    await office.of_the_product().do("tenantUpdate", timeZone="America/Los_Angeles")
    data = await office.show(
        "subscriptionSummary { nextSyncAt } integration { schedule { timeZone } }"
    )
    due = datetime.fromisoformat(data["subscriptionSummary"]["nextSyncAt"])
    assert due.astimezone(ZoneInfo("America/Los_Angeles")).hour == 21
