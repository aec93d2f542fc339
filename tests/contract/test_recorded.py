"""What real servers answered, read by the real sources and synced as if it were the whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.contract.conftest import Connect
from tests.contract.providers import by_files, read_pages
from tests.contract.replay import (
    CLEVER_LISTS,
    Objects,
    recorded_list,
    replayed_clever,
    replayed_oneroster,
)
from tests.contract.rosters import read_stored
from tests.contract.tenants import night
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio

UNTOUCHED: Final = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


# Clever.


@pytest.fixture
def demo(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    """Clever's demo district: all schools and terms, the first hundred of everything else."""
    names = {"courses": "courses_page1", "users": "users_page1", "sections": "sections_page1"}
    return {
        name: recorded_list(shared_data / "clever" / f"{names.get(name, name)}.json")
        for name in CLEVER_LISTS
    }


def missing_people(demo: Mapping[str, Objects]) -> set[str]:
    """Those whom sections name, and who are not among the recorded users."""
    named = {
        person
        for section in demo["sections"]
        for person in (*section["students"], *section["teachers"])
    }
    return named - {user["id"] for user in demo["users"]}


async def causes(story: Story, code: str) -> set[str]:
    rows = await story.see.fetch("SELECT cause FROM validation_errors WHERE code = $1", code)
    return {row["cause"] for row in rows}


async def test_the_demo_district_syncs_as_if_it_were_the_whole(
    tenant_of: Connect, demo: dict[str, list[dict[str, Any]]]
) -> None:
    users = {user["id"] for user in demo["users"]}
    members = {
        (person, section["id"])
        for section in demo["sections"]
        for person in (*section["students"], *section["teachers"])
    }
    with replayed_clever(demo) as opening:
        story = await tenant_of("alpha", opening)
        run = await night(story, opening)
        assert (run.state, run.failure_message) == (SyncRunState.SUCCEEDED, None)
        stored = await read_stored(story.see, story.tenant_id)
        assert {table: set(rows) for table, rows in stored.items() if table != "memberships"} == {
            "schools": {item["id"] for item in demo["schools"]},
            "terms": {item["id"] for item in demo["terms"]},
            "courses": {item["id"] for item in demo["courses"]},
            "groups": {item["id"] for item in demo["sections"]},
            "users": users,
        }
        assert {key[:2] for key in stored["memberships"]} == {
            member for member in members if member[0] in users
        }
        assert len(stored["users"]) == 100
        assert {tuple(row["roles"]) for row in stored["users"].values()} == {("STUDENT",)}
        missing = missing_people(demo)
        assert len(missing) == 635
        assert await causes(story, "ENR_USER_MISSING") == {f"USER {person}" for person in missing}
        assert numbers(run, RecordType.MEMBERSHIP)["rejected"] == len(
            [member for member in members if member[0] in missing]
        )
        before = await read_places(story.see)
        again = await night(story, opening)
        assert totals(again) == UNTOUCHED
        assert await read_places(story.see) == before


async def test_a_clever_that_looks_at_paths_only_doubles_nobody(
    tenant_of: Connect, demo: dict[str, list[dict[str, Any]]]
) -> None:
    """Each role is asked for and everybody comes, five times over."""
    with replayed_clever(demo) as opening:
        story = await tenant_of("alpha", opening)
        await night(story, opening)
        proper = await read_stored(story.see, story.tenant_id)
    with replayed_clever(demo, is_naive=True) as opening:
        story = await tenant_of("beta", opening)
        run = await night(story, opening)
        naive = await read_stored(story.see, story.tenant_id)
        assert opening.served is not None
        asked = opening.served.state.asked
    assert run.failure_message is None
    assert naive == proper
    assert run.counts["USER"]["fetched"] == 100
    assert asked.count("/v3.0/users") == 5


async def test_a_clever_that_always_has_more_is_not_followed_for_ever(
    tenant_of: Connect, demo: dict[str, list[dict[str, Any]]]
) -> None:
    """The recorded first pages to the letter: their links lead to themselves."""
    with replayed_clever(demo, is_naive=True, has_next=True) as opening:
        story = await tenant_of("alpha", opening)
        run = await night(story, opening)
        assert opening.served is not None
        asked = opening.served.state.asked
    assert (run.state, run.failure_code) == (SyncRunState.FAILED, "CONN_PAGINATION_BROKEN")
    assert asked.count("/v3.0/schools") == 2
    assert not (await read_stored(story.see, story.tenant_id))["schools"]


CLEVER_FILES: Final = {
    "districts.json": ("districts", RecordType.SCHOOL, 0),
    "schools.json": ("schools", RecordType.SCHOOL, 4),
    "schools_limit3_page1.json": ("schools", RecordType.SCHOOL, 3),
    "schools_limit3_page2_last.json": ("schools", RecordType.SCHOOL, 1),
    "terms.json": ("terms", RecordType.TERM, 5),
    "courses_page1.json": ("courses", RecordType.COURSE, 100),
    "users_page1.json": ("users", RecordType.USER, 100),
    "sections_page1.json": ("sections", RecordType.GROUP, 100),
    "teacher_user_district_token.json": ("users", RecordType.USER, 1),
    "teacher_user_sso.json": ("users", RecordType.USER, 1),
}


@pytest.mark.parametrize("name", CLEVER_FILES)
async def test_every_recorded_answer_of_clever_is_read_whole(
    shared_data: Path, demo: dict[str, list[dict[str, Any]]], name: str
) -> None:
    collection, record_type, count = CLEVER_FILES[name]
    found = json.loads((shared_data / "clever" / name).read_bytes())["data"]
    objects = [item["data"] for item in found] if isinstance(found, list) else [found]
    lists: dict[str, Objects] = dict.fromkeys(CLEVER_LISTS, ())
    lists |= {"districts": demo["districts"], collection: objects}
    with replayed_clever(lists) as opening:
        pages = await read_pages(opening, opening.config)
    records = [
        record for page in pages for record in page.records if page.record_type is record_type
    ]
    assert len(records) == count
    assert {problem.code for page in pages for problem in page.problems} <= {"CONN_EMPTY"}


async def test_recorded_contacts_are_counted_and_left_out(
    shared_data: Path, demo: dict[str, list[dict[str, Any]]]
) -> None:
    contacts = recorded_list(shared_data / "clever" / "contact_list.json")
    with replayed_clever({**demo, "users": [*demo["users"], *contacts]}) as opening:
        pages = await read_pages(opening, opening.config)
    ignored = [item for page in pages for item in page.ignored]
    assert [(item.source_id, item.reason) for item in ignored] == [(contacts[0]["id"], "contact")]


async def test_recorded_events_hold_objects_that_are_read(
    shared_data: Path, demo: dict[str, list[dict[str, Any]]]
) -> None:
    """They are the same objects as those of the lists; of some there are several states."""
    by_list: dict[str, dict[str, dict[str, Any]]] = {"schools": {}, "users": {}}
    for event in recorded_list(shared_data / "clever" / "events_page1.json"):
        collection = event["type"].partition(".")[0]
        if collection in by_list:
            item = event["data"]["object"]
            by_list[collection][item["id"]] = item
    lists: dict[str, Objects] = dict.fromkeys(CLEVER_LISTS, ())
    lists |= {
        name: sorted(found.values(), key=lambda item: item["id"]) for name, found in by_list.items()
    }
    lists |= {"districts": demo["districts"]}
    with replayed_clever(lists) as opening:
        pages = await read_pages(opening, opening.config)
    read_ids = {item.source_id for page in pages for item in (*page.records, *page.ignored)}
    assert read_ids == set(by_list["schools"]) | set(by_list["users"])


# OneRoster.

REFERENCE: Final = {
    "orgs": ("getAllOrgs", "orgs"),
    "academicSessions": ("getAllAcademicSessions", "academicSessions"),
    "courses": ("getAllCourses", "courses"),
    "classes": ("getAllClasses", "classes"),
    "users": ("getAllUsers", "users"),
    "enrollments": ("getAllEnrollments", "enrollments"),
}
NOTHING: Final[Mapping[str, Objects]] = dict.fromkeys(REFERENCE, ())
SINGLE: Final = {
    "getAcademicSession": "academicSessions",
    "getClass": "classes",
    "getCourse": "courses",
    "getEnrollment": "enrollments",
    "getGradingPeriod": "academicSessions",
    "getSchool": "orgs",
    "getStudent": "users",
    "getTeacher": "users",
    "getTerm": "academicSessions",
    "getUser": "users",
}
LISTS: Final = {
    "or-ri-v1p1-capture/getAllGradingPeriods": "academicSessions",
    "or-ri-v1p1-capture/getAllTerms": "academicSessions",
    "or-ri-v1p1-capture/getAllSchools": "orgs",
    "or-ri-v1p1-capture/getAllStudents": "users",
    "or-ri-v1p1-capture/getAllTeachers": "users",
    "classlink-capture/class-students": "users",
    "classlink-capture/class-teachers": "users",
    "classlink-capture/teacher-classes": "classes",
    **{f"or-ri-v1p1-capture/{file}": name for name, (file, _) in REFERENCE.items()},
    **{f"or-ri-v1p1-capture/{file}": name for file, name in SINGLE.items()},
}


def recorded_objects(path: Path) -> list[dict[str, Any]]:
    """Of a list, or of one object; `statusInfoSet` is about the request."""
    envelope = json.loads(path.read_bytes())
    (found,) = [value for name, value in envelope.items() if name != "statusInfoSet"]
    return found if isinstance(found, list) else [found]


@pytest.fixture
def reference(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    folder = shared_data / "oneroster" / "or-ri-v1p1-capture"
    return {
        name: recorded_objects(folder / f"{file}.json") for name, (file, _) in REFERENCE.items()
    }


@pytest.mark.parametrize("name", LISTS)
async def test_every_recorded_answer_of_oneroster_is_read(shared_data: Path, name: str) -> None:
    objects = recorded_objects(shared_data / "oneroster" / f"{name}.json")
    with replayed_oneroster({**NOTHING, LISTS[name]: objects}) as opening:
        pages = await read_pages(opening, opening.config)
    read_ids = [item.source_id for page in pages for item in (*page.records, *page.ignored)]
    assert read_ids == [item["sourcedId"] for item in objects]
    assert not [problem for page in pages for problem in page.problems if problem.rejects]


async def test_the_reference_implementation_syncs_as_if_it_were_the_whole(
    tenant_of: Connect, reference: dict[str, list[dict[str, Any]]]
) -> None:
    with replayed_oneroster(reference) as opening:
        story = await tenant_of("alpha", opening)
        run = await night(story, opening)
        assert run.failure_message is None
        stored = await read_stored(story.see, story.tenant_id)
        assert {table: len(rows) for table, rows in stored.items()} == {
            "schools": 1, "terms": 4, "courses": 2, "groups": 2, "users": 33, "memberships": 33,
        }  # fmt: skip
        before = await read_places(story.see)
        assert totals(await night(story, opening)) == UNTOUCHED
        assert await read_places(story.see) == before


@pytest.mark.parametrize("has_total", [False, True])
async def test_a_server_that_looks_at_paths_only_doubles_nobody(
    tenant_of: Connect, reference: dict[str, list[dict[str, Any]]], has_total: bool
) -> None:
    """Its total says that all is there; without one, the same page again is no end."""
    with replayed_oneroster(reference, is_naive=True, has_total=has_total) as opening:
        story = await tenant_of("alpha", opening)
        run = await night(story, opening)
        assert opening.served is not None
        asked = opening.served.state.asked
    stored = await read_stored(story.see, story.tenant_id)
    assert max(map(asked.count, asked)) == 2
    if has_total:
        assert run.failure_message is None
        assert (len(stored["users"]), len(stored["memberships"])) == (33, 33)
        assert totals(run, "rejected") == {"rejected": 0}
    else:
        assert (run.state, run.failure_code) == (SyncRunState.FAILED, "CONN_PAGINATION_BROKEN")
        assert not stored["schools"]


# Files.


async def test_the_recorded_package_syncs(tenant_of: Connect, shared_data: Path) -> None:
    folder = shared_data / "oneroster" / "edfi-lms-toolkit-v1p1"
    with by_files(folder) as opening:
        story = await tenant_of("alpha", opening)
        run = await night(story, opening)
        assert run.failure_message is None
        stored = await read_stored(story.see, story.tenant_id)
    spans = [span for row in stored["memberships"].values() for span in row["spans"]]
    assert (len(stored["users"]), len(stored["memberships"]), len(spans)) == (10, 12, 24)
