"""Learning Ally's "validate, review, revalidate, live date": mended before anybody sees it."""

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
from tests.contract.providers import Opening, by_direct

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BEFORE = {
    "schools.csv": "id,name\n1,Willow High\n",
    "people.csv": (
        "id,username,given_name,family_name,roles,school_ids,email,number,is_eligible\n"
        "1,ivy,Ivy,Ash,student,1,,5001,no\n"
        "2,teach,Theo,Teach,teacher,1,theo@willow.example.org,,\n"
    ),
}
GROUPS = """validationErrorGroups { code cause count weight owner remedy
    example { sourceId field found record firstSeenAt runs } }"""
ERRORS = """query ($slug: String!, $filter: ValidationErrorFilter) { tenant(slug: $slug) {
    validationErrors(first: 50, filter: $filter) {
    nodes { id code sourceId severity state owner runs record acceptedNote } } } }"""


def willow() -> CsvDistrict:
    """Kim and Lou share an address, Max has no number, Ned no grade, and a class no school."""
    district = CsvDistrict()
    district.users.columns.append("metadata.audiobooks")
    district.school("willow", "Willow High")
    district.term("year", "2026-08-01", "2099-06-30")
    district.group("c1", "English 9", school="willow", termSourcedIds="year")
    district.group("c2", "English 10", school="oldtown", termSourcedIds="year")
    for name, number, grade in (
        ("ivy", "5001", "09"), ("kim", "5002", "09"), ("lou", "5003", "09"), ("max", "", "09"),
        ("ned", "5005", ""),
    ):  # fmt: skip
        district.user(
            name, f"{name}@willow", orgSourcedIds="willow", grades=grade, identifier=number,
            email=f"{name}@willow.example.org", **{"metadata.audiobooks": "yes"},
        )  # fmt: skip
        district.enroll(f"e-{name}", name, "c1")
    district.enroll("e-kim-2", "kim", "c2")
    district.enroll("e-ivy-2", "ivy", "c2")
    district.users.change("lou", email="kim@willow.example.org")
    district.user(
        "theo", "theo", role="teacher", orgSourcedIds="willow,closed",
        email="theo@willow.example.org",
        **{"metadata.audiobooks": ""},
    )  # fmt: skip
    for group in ("c1", "c2"):
        district.enroll(f"e-theo-{group}", "theo", group, role="teacher")
    return district


@pytest.fixture
async def classlink(tmp_path: Path) -> AsyncGenerator[Opening]:
    with by_direct(willow().write(tmp_path / "classlink")) as opening:
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
    async with open_office(servers, classlink.hosts, "willow", "Willow") as opened:
        yield opened


async def test_errors_are_reviewed_and_mended_before_the_live_date(
    office: Office, classlink: Opening, tmp_path: Path
) -> None:
    old = await an_existing_customer_answers_the_questions(office, classlink)
    await what_passes_is_created(office, old)
    await what_does_not_pass_is_reviewed(office)
    await one_record_is_mended_and_revalidated(office, tmp_path)
    await the_rest_is_mended_and_revalidated(office, tmp_path)
    await a_warning_is_accepted_until_it_changes(office, tmp_path)
    await the_live_date_comes(office)


async def an_existing_customer_answers_the_questions(office: Office, classlink: Opening) -> Any:
    await office.import_legacy(BEFORE)
    await office.of_the_product().do("tenantUpdate", displayName="Willow USD, Willow, KS")
    live_on = utc_now().date() + timedelta(days=14)
    await office.of_the_product().do("tenantUpdate", goLiveOn=str(live_on))
    await office.do(
        "integrationConfigure",
        provider="CLASSLINK",
        classLink={"baseUrl": classlink.settings["base_url"]},
        credentials=dict(classlink.credentials),
        eligibility={"field": "audiobooks", "values": ["yes"]},
        studentEmails=True,
    )
    await office.do("existingAccountsSet", policy="MATCH_KEYS", matchKeys=["NUMBER", "EMAIL"])
    names = ("GRADE_REQUIRED", "UNIQUE_EMAIL_REQUIRED", "UNIQUE_NUMBER_REQUIRED")
    required = [{"name": name, "isEnabled": True} for name in names]
    await office.do("requirementsSet", requirements=required)
    return await office.people("origin")


async def what_passes_is_created(office: Office, old: Any) -> None:
    """Existing accounts are connected by number or address, and stay as eligible as they were."""
    report = await office.preflight("existingUsers { byOrigin { origin matched archived } }")
    assert report["existingUsers"]["byOrigin"][0] == {
        "origin": "LEGACY", "matched": 2, "archived": 0
    }  # fmt: skip
    await office.do("onboardingApprove", syncRunId=report["id"])
    first = await office.sync()
    assert first["state"] == "SUCCEEDED_WITH_ERRORS"
    assert counted(first, "USER") == {"created": 1, "updated": 2, "rejected": 3}
    people = await office.people("isEligible")
    assert {name: person["isEligible"] for name, person in people.items()} == {
        "ivy@willow": False, "kim@willow": True, "theo": True
    }  # fmt: skip
    assert people["ivy@willow"]["id"] == old["ivy"]["id"]
    assert people["theo"]["id"] == old["teach"]["id"]


async def what_does_not_pass_is_reviewed(office: Office) -> None:
    """By cause, the worst first and then what weighs most, with who can mend it and how."""
    groups = (await office.show(GROUPS))["validationErrorGroups"]
    assert [(group["code"], group["cause"], group["weight"]) for group in groups[:5]] == [
        ("CLASS_SCHOOL_MISSING", "SCHOOL oldtown", 4),
        ("FIELD_REQUIRED", "USER max", 2),
        ("USER_EMAIL_DUPLICATE", "EMAIL kim@willow.example.org", 2),
        ("USER_GRADE_MISSING", "USER ned", 2),
        ("ENR_CLASS_MISSING", "GROUP c2", 3),
    ]
    assert {group["owner"] for group in groups} == {"DISTRICT"}
    assert all(group["remedy"] for group in groups)
    example = groups[2]["example"]
    assert (example["sourceId"], example["field"], example["runs"]) == ("lou", "email", 1)
    assert example["record"]["number"] == "5003"


async def one_record_is_mended_and_revalidated(office: Office, tmp_path: Path) -> None:
    """Without a whole sync: nobody else is read."""
    district = willow()
    district.users.change("max", identifier="5004")
    district.users.change("kim", familyName="Unread")
    district.write(tmp_path / "classlink")
    [found] = await errors(office, code=["FIELD_REQUIRED"])
    run = await office.end_of(
        await office.do(
            "validationErrorsRevalidate", "syncRun { id } fullFetchNeeded", ids=[found["id"]]
        )
    )
    assert run["mode"] == "REVALIDATION"
    assert counted(run, "USER") == {"created": 1}
    assert await errors(office, code=["FIELD_REQUIRED"], state=["OPEN"]) == []
    people = await office.people("familyName groups { name }")
    assert set(people) == {"theo", "ivy@willow", "kim@willow", "max@willow"}
    assert people["max@willow"]["groups"] == [{"name": "English 9"}]
    assert people["kim@willow"]["familyName"] == "Archer"


def mended() -> CsvDistrict:
    district = willow()
    district.users.change("max", identifier="5004")
    district.users.change("lou", email="lou@willow.example.org")
    district.users.change("ned", grades="10")
    district.classes.change("c2", schoolSourcedId="willow")
    return district


async def the_rest_is_mended_and_revalidated(office: Office, tmp_path: Path) -> None:
    mended().write(tmp_path / "classlink")
    answer = await office.do(
        "validationErrorsRevalidate", "syncRun { id } fullFetchNeeded fullFetchReason", all=True
    )
    # That there are no courses is nothing that can be asked for by its id.
    assert answer["fullFetchNeeded"] is True
    assert answer["fullFetchReason"]
    run = await office.end_of(answer)
    assert (counted(run, "USER")["created"], counted(run, "GROUP")["created"]) == (2, 1)
    assert {error["code"] for error in await errors(office, state=["OPEN"])} == {
        "CONN_EMPTY", "STUDENT_MULTI_GROUP", "USER_SCHOOL_MISSING"
    }  # fmt: skip
    people = await office.people("groups { name }")
    assert set(people) == {
        "theo",
        *(f"{name}@willow" for name in ("ivy", "kim", "lou", "max", "ned")),
    }
    for name, groups in (("kim", {"English 9", "English 10"}), ("max", {"English 9"})):
        assert {group["name"] for group in people[f"{name}@willow"]["groups"]} == groups


async def a_warning_is_accepted_until_it_changes(office: Office, tmp_path: Path) -> None:
    ids = [error["id"] for error in await errors(office, state=["OPEN"])]
    await office.do("validationErrorAccept", "count", ids=ids, note="So it is meant.")
    for _ in range(2):
        night = await office.sync()
        assert night["state"] == "SUCCEEDED"
        assert await errors(office, state=["OPEN"]) == []
    district = mended()
    district.users.change("theo", orgSourcedIds="willow,renamed")
    district.write(tmp_path / "classlink")
    await office.sync()
    [warning] = await errors(office, state=["OPEN"])
    assert (warning["code"], warning["sourceId"]) == ("USER_SCHOOL_MISSING", "theo")
    accepted = await errors(office, state=["ACCEPTED"])
    assert {error["code"] for error in accepted} == {"CONN_EMPTY", "STUDENT_MULTI_GROUP"}
    assert {error["acceptedNote"] for error in accepted} == {"So it is meant."}


async def the_live_date_comes(office: Office) -> None:
    """Until then the data is sorted out behind the scenes."""
    for days, state in ((14, "OPEN"), (-1, "DONE")):
        on = utc_now().date() + timedelta(days=days)
        await office.of_the_product().do("tenantUpdate", goLiveOn=str(on))
        data = await office.show(
            "displayName onboarding { steps { name state } } subscriptionSummary { goLiveOn }"
        )
        steps = {step["name"]: step["state"] for step in data["onboarding"]["steps"]}
        assert (steps["LIVE"], data["subscriptionSummary"]["goLiveOn"]) == (state, str(on))
        assert data["displayName"] == "Willow USD, Willow, KS"


async def errors(office: Office, **filters: Any) -> Any:
    data = await office.district.run(ERRORS, slug=office.slug, filter=filters)
    return data["tenant"]["validationErrors"]["nodes"]
