"""Typing Pal's "replace": ClassLink takes over; what was there is archived and never merged."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.local import LocalServers
from domain.clock import utc_now
from domain.secrets import KeyRing
from tests.api.graphql.telling import Office, Servers, counted, open_office
from tests.builders import CsvDistrict
from tests.contract.providers import Opening, by_partner

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BEFORE = {
    "schools.csv": "id,name\ns1,North School\n",
    "groups.csv": "id,school_id,name\ng1,s1,Typing 1\n",
    "people.csv": (
        "id,username,given_name,family_name,roles,school_ids\n"
        "p1,mia.lee,Mia,Lee,student,s1\np2,tom.ray,Tom,Ray,student,s1\n"
        "p3,ann.fox,Ann,Fox,teacher,s1\n"
    ),
    "memberships.csv": "person_id,group_id,role\np1,g1,student\np2,g1,student\np3,g1,teacher\n",
    "settings.csv": "level,id,speed_target\nperson,p1,35\ngroup,g1,25\n",
    "progress.csv": "person_id,group_id,lessons\np1,g1,42\np2,g1,7\n",
}
LOCAL = (
    "SELECT p::text FROM progress p WHERE tenant_id = $1 UNION ALL"
    " SELECT t::text FROM training_settings t WHERE tenant_id = $1 ORDER BY 1"
)
PREFLIGHT = """existingUsers { policy created ambiguous byOrigin { origin matched archived kept } }
    schools { shared } classes { shared } usernames { legacySame legacyDifferent }
    localData { outcome recordType count } wouldHold { code }"""


def springfield() -> CsvDistrict:
    """Mia and Tom have the usernames that they had before; Zoe is new."""
    district = CsvDistrict()
    district.school("north", "North School")
    district.term("year", "2026-08-01", "2099-06-30")
    for source_id, title in (("c1", "Typing 1"), ("c2", "Typing 2")):
        district.group(source_id, title, school="north", termSourcedIds="year")
    district.user("t-ann", "ann.fox", role="teacher", orgSourcedIds="north")
    for source_id, username in (("s-mia", "mia.lee"), ("s-tom", "tom.ray"), ("s-zoe", "zoe.kim")):
        district.user(source_id, username, orgSourcedIds="north", grades="04")
        district.enroll(f"e-{source_id}", source_id, "c1")
    district.enroll("e-ann-1", "t-ann", "c1", role="teacher")
    district.enroll("e-ann-2", "t-ann", "c2", role="teacher")
    return district


@pytest.fixture
async def classlink(tmp_path: Path) -> AsyncGenerator[Opening]:
    with by_partner(springfield().write(tmp_path / "classlink")) as opening:
        yield opening


@pytest.fixture
async def office(
    classlink: Opening,
    local_servers: LocalServers,
    database_url: dict[str, str],
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> AsyncGenerator[Office]:
    servers = Servers(local_servers, database_url, keys, superuser, tmp_path)
    async with open_office(servers, classlink.hosts, "springfield", "Springfield USD") as opened:
        yield opened


async def states(office: Office) -> dict[str, str]:
    data = await office.show("onboarding { steps { name state } }")
    return {step["name"]: step["state"] for step in data["onboarding"]["steps"]}


async def test_classlink_replaces_the_accounts_of_a_district(
    office: Office, classlink: Opening, tmp_path: Path
) -> None:
    old = await a_subscription_has_accounts(office)
    before = await office.rows(LOCAL)
    await classlink_is_connected(office, classlink)
    preflight = await what_it_will_do_is_known_before(office)
    assert await office.people("origin") == old
    await nothing_is_taken_over_unasked(office)
    assert await office.people("origin") == old
    await office.do("onboardingApprove", syncRunId=preflight)
    first = await office.sync()
    assert first["state"].startswith("SUCCEEDED")
    assert counted(first, "USER") == {"created": 4, "archived": 3}
    await the_accounts_are_classlinks_now(office, old)
    assert await office.rows(LOCAL) == before
    await a_move_between_groups_keeps_progress(office, tmp_path)
    await the_summary_says_when(office)


async def a_subscription_has_accounts(office: Office) -> Any:
    """And what they have earned; and a super administrator, who is never managed in ClassLink."""
    imported = await office.import_legacy(BEFORE)
    assert (imported["settings"], imported["progress"], imported["errorCount"]) == (2, 2, 0)
    await office.see.execute(
        "INSERT INTO users (tenant_id, origin, username, given_name, family_name, roles, grades,"
        " is_enabled) SELECT id, 'IMPORT', 'super', 'Sue', 'Admin', '{DISTRICT_ADMIN}', '{}', true"
        " FROM tenants"
    )
    people = await office.people("origin")
    assert {name: person["origin"] for name, person in people.items()} == {
        "mia.lee": "LEGACY", "tom.ray": "LEGACY", "ann.fox": "LEGACY", "super": "IMPORT"
    }  # fmt: skip
    return people


async def classlink_is_connected(office: Office, classlink: Opening) -> None:
    """ClassLink is authorised to share, and our team sets provisioning up."""
    await office.of_the_product().do(
        "integrationConfigure",
        provider="CLASSLINK",
        classLink={"tenantId": classlink.settings["tenant_id"]},
    )
    tested = await office.do("integrationTest", "steps { ok message }")
    assert tested["steps"]
    assert all(step["ok"] for step in tested["steps"])
    refused = await office.ask("syncRunStart", mode="PREFLIGHT")
    assert [error["field"] for error in refused["userErrors"]] == [["input", "existingAccounts"]]
    await office.do("existingAccountsSet", policy="REPLACE")


async def what_it_will_do_is_known_before(office: Office) -> str:
    """The preflight's id."""
    report = await office.preflight(PREFLIGHT)
    assert report["existingUsers"] == {
        "policy": "REPLACE", "created": 4, "ambiguous": 0,
        "byOrigin": [
            {"origin": "LEGACY", "matched": 0, "archived": 3, "kept": 0},
            {"origin": "PROVIDER", "matched": 0, "archived": 0, "kept": 0},
            {"origin": "IMPORT", "matched": 0, "archived": 0, "kept": 1},
        ],
    }  # fmt: skip
    assert (report["schools"], report["classes"]) == ({"shared": 1}, {"shared": 2})
    assert (report["usernames"]["legacySame"], report["wouldHold"]) == (3, [])
    assert report["localData"] == [
        {"outcome": "KEPT_WITH_ARCHIVED", "recordType": "GROUP", "count": 1},
        {"outcome": "KEPT_WITH_ARCHIVED", "recordType": "USER", "count": 2},
    ]
    return str(report["id"])


async def nothing_is_taken_over_unasked(office: Office) -> None:
    unasked = await office.sync()
    assert unasked["state"] == "HELD"
    assert unasked["hold"]["reasons"][0]["code"] == "HOLD_FIRST_SYNC"
    assert (await states(office))["APPROVED"] == "OPEN"


async def the_accounts_are_classlinks_now(office: Office, old: Any) -> None:
    """The former ones are archived with all that is theirs: nobody was merged with anybody."""
    new = await office.people("origin")
    assert {name: person["origin"] for name, person in new.items()} == {
        "mia.lee": "PROVIDER", "tom.ray": "PROVIDER", "ann.fox": "PROVIDER",
        "zoe.kim": "PROVIDER", "super": "IMPORT",
    }  # fmt: skip
    assert new.pop("super") == old.pop("super")
    former = {person["id"] for person in old.values()}
    assert not former & {person["id"] for person in new.values()}
    assert {person["id"] for person in (await office.people(archived=True)).values()} == former


async def a_move_between_groups_keeps_progress(office: Office, tmp_path: Path) -> None:
    """The page warns that it is lost: here it is not."""
    await office.see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
        " SELECT u.tenant_id, u.id, g.id, 2026, 11 FROM users u JOIN groups g USING (tenant_id)"
        " WHERE u.source_id = 's-zoe' AND g.source_id = 'c1'"
    )
    earned = await office.rows(LOCAL)
    groups = "groups { name } memberships(first: 5, filter: {archived: null}) { totalCount }"
    district = springfield()
    district.enrollments.change("e-s-zoe", classSourcedId="c2")
    district.write(tmp_path / "classlink")
    moved = await office.sync()
    assert counted(moved, "MEMBERSHIP") == {"created": 1, "archived": 1, "unchanged": 4}
    zoe = (await office.people(groups))["zoe.kim"]
    assert (zoe["groups"], zoe["memberships"]["totalCount"]) == ([{"name": "Typing 2"}], 2)
    assert await office.rows(LOCAL) == earned
    springfield().write(tmp_path / "classlink")
    returned = await office.sync()
    assert counted(returned, "MEMBERSHIP") == {"restored": 1, "archived": 1, "unchanged": 4}
    zoe = (await office.people(groups))["zoe.kim"]
    assert zoe["groups"] == [{"name": "Typing 1"}]
    assert await office.rows(LOCAL) == earned


async def the_summary_says_when(office: Office) -> None:
    """When the last synchronization was, and when the next one comes: within a day."""
    data = await office.show(
        "subscriptionSummary { lastSync { state finishedAt } nextSyncAt }"
        " integration { schedule { everyDays nextDueAt } }"
    )
    summary = data["subscriptionSummary"]
    assert summary["lastSync"]["state"].startswith("SUCCEEDED")
    assert data["integration"]["schedule"] == {
        "everyDays": 1, "nextDueAt": summary["nextSyncAt"]
    }  # fmt: skip
    assert list((await states(office)).values()) == ["DONE", "DONE", "DONE", "DONE", "OPEN", "OPEN"]
    yesterday = utc_now().date() - timedelta(days=1)
    await office.of_the_product().do("tenantUpdate", goLiveOn=str(yesterday))
    await office.do("onboardingStepSet", step="TILE")
    assert set((await states(office)).values()) == {"DONE"}
