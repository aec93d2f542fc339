"""Random nights of small districts: what is stored and counted is what the model says."""

import itertools
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.roster.records import RecordType
from domain.sync.models import SyncRun, SyncRunState
from tests.builders import CsvDistrict
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.model import next_night
from tests.domain.sync.model_night import (
    ClassRow,
    EnrollmentRow,
    Night,
    SchoolRow,
    SharingRules,
    Stored,
    UserRow,
)
from tests.domain.sync.stories import NUMBERS, Story, read_places

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IS_SOAK = settings.get_current_profile_name() == "soak"
SETTINGS = settings(
    max_examples=400 if IS_SOAK else 12,
    derandomize=not IS_SOAK,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TYPES = (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
WAITING = (SyncRunState.HELD, SyncRunState.SUCCEEDED_WITH_HOLD)
_slugs = itertools.count(1)


def ids(letter: str, most: int) -> st.SearchStrategy[str]:
    return st.integers(1, most).map(lambda number: f"{letter}{number}")


def mostly(usual: st.SearchStrategy[Any], *rare: Any) -> st.SearchStrategy[Any]:
    """One time in eight something rare."""
    return st.integers(0, 7).flatmap(lambda n: usual if n else st.sampled_from(rare))


days = st.none() | st.integers(1, 28).map(lambda day: date(2026, 11, day))
usernames = st.tuples(st.sampled_from(["al", "bo", "cy", "di", "ed", "fi"]), st.booleans()).map(
    lambda pair: pair[0].upper() if pair[1] else pair[0]
)
own_usernames = st.integers(1, 12).map(lambda number: f"own{number}")
schools = st.builds(SchoolRow, ids("s", 3), mostly(st.sampled_from(["North", "South"]), ""))
classes = st.builds(
    ClassRow,
    ids("c", 5),
    mostly(st.sampled_from(["Algebra", "Biology"]), ""),
    ids("s", 4),
    st.lists(st.sampled_from(["1", "12"]), max_size=2, unique=True).map(tuple),
    st.lists(st.sampled_from(["Sums", "Letters"]), max_size=2, unique=True).map(tuple),
)
users = st.builds(
    UserRow,
    ids("u", 12),
    mostly(usernames | own_usernames | own_usernames, ""),
    mostly(st.sampled_from(["Archer", "Baker"]), ""),
    mostly(st.sampled_from(["student", "teacher"]), "guardian", "wizard"),
    st.lists(ids("s", 4), max_size=3, unique=True).map(tuple),
    st.lists(st.sampled_from(["1", "01", "K", "12", "99"]), max_size=2, unique=True).map(tuple),
    mostly(st.integers(1, 14).map(str), ""),
)
# Most tenants require nothing: it keeps too many out for anything else to be tried.
requirements = mostly(
    st.just(()),
    ("GRADE_REQUIRED",),
    ("UNIQUE_NUMBER_REQUIRED",),
    ("GRADE_REQUIRED", "UNIQUE_NUMBER_REQUIRED"),
)
enrollments = st.builds(
    EnrollmentRow,
    ids("e", 30),
    ids("u", 13),
    ids("c", 6),
    mostly(st.sampled_from(["student", "teacher"]), "guardian", "captain"),
    days,
    days,
)
# Most nights have no rules: they leave so much out that little else would be tried.
rules_of_a_night = mostly(
    st.none(),
    {},
    {"SCHOOL": ["s1", "S2"]},
    {"SCHOOL": ["north"]},
    {"SCHOOL": ["s1", "s2", "s3"], "GRADE": ["01", "KG"]},
    {"GRADE": ["12", "01"]},
    {"SUBJECT": ["sums", "LETTERS"]},
    {"SCHOOL": ["s1", "s3"], "GRADE": ["01"], "SUBJECT": ["Sums"]},
)
ROWS: tuple[st.SearchStrategy[Any], ...] = (schools, classes, users, enrollments)
FIRST = Night(
    [SchoolRow(f"s{number}", "North") for number in range(1, 4)],
    [
        ClassRow(f"c{number}", "Algebra", f"s{number % 3 + 1}", (), ("Sums",))
        for number in range(1, 6)
    ],
    [
        UserRow(f"u{n}", f"own{n}", "Archer", "student" if n > 3 else "teacher",
                (f"s{n % 3 + 1}",), ("1",), str(n))
        for n in range(1, 13)
    ],
    [
        EnrollmentRow(f"e{n}", f"u{n % 12 + 1}", f"c{n % 5 + 1}",
                      "teacher" if n % 12 < 3 else "student", None, None)
        for n in range(1, 21)
    ],
)  # fmt: skip


def edit(draw: st.DrawFn, file: int, rows: list[Any], former: list[Any]) -> None:
    """One thing of a file is another: a value, a row more or less, a row that was there before."""
    fresh, place = draw(ROWS[file]), draw(st.integers(0, max(len(rows) - 1, 0)))
    act = draw(st.sampled_from(["value"] * 5 + ["take"] * 2 + ["put", "put", "back", "back"]))
    if act == "put" or not rows:
        rows.insert(place, fresh)
    elif act == "take":
        del rows[place]
    elif act == "back":
        present = {row.source_id for row in rows}
        gone = [row for row in former if row.source_id not in present]
        rows.append(draw(st.sampled_from(gone or former)))
    else:
        name = draw(st.sampled_from(fresh._fields[1:]))
        rows[place] = rows[place]._replace(**{name: getattr(fresh, name)})


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Night, SharingRules]]:
    """Nights of which each is the one before with some edits; once in a while a file is empty.

    Each with the sharing rules that are saved then: mostly those of the night before.
    """
    history = [FIRST]
    rules: list[SharingRules] = [draw(rules_of_a_night) or {}]
    for _ in range(draw(st.integers(3, 5))):
        night = Night._make([*file] for file in history[-1])
        for _ in range(draw(st.integers(0, 10))):
            file = draw(st.sampled_from([0, 1, 1, 2, 2, 2, 3, 3, 3]))
            edit(draw, file, night[file], [row for past in history for row in past[file]])
        if draw(st.integers(0, 40)) == 27:
            night[draw(st.integers(0, 3))].clear()
        history.append(night)
        changed = draw(rules_of_a_night)
        rules.append(rules[-1] if changed is None else changed)
    return list(zip(history, rules, strict=True))[draw(st.integers(0, 1)) :]


def district_of(night: Night) -> CsvDistrict:
    district = CsvDistrict()
    for school in night.schools:
        district.school(school.source_id, school.name)
    for row in night.classes:
        district.group(
            row.source_id, row.title, school=row.school,
            grades=",".join(row.grades), subjects=",".join(row.subjects),
        )  # fmt: skip
    for user in night.users:
        district.user(
            user.source_id, user.username, givenName="", familyName=user.family_name,
            role=user.role, orgSourcedIds=",".join(user.orgs), grades=",".join(user.grades),
            identifier=user.number,
        )  # fmt: skip
    for item in night.enrollments:
        district.enroll(
            item.source_id, item.user, item.group, role=item.role,
            beginDate=str(item.begins or ""), endDate=str(item.ends or ""),
        )  # fmt: skip
    return district


def as_rows(stored: Stored) -> dict[str, list[tuple[Any, ...]]]:
    """What the model has, in the shape in which it is read from the database."""
    both: dict[RecordType, list[tuple[Any, Any, bool]]] = {
        name: [(key, value, False) for key, value in stored.live.get(name, {}).items()]
        + [(key, value, True) for key, value in stored.archived.get(name, {}).items()]
        for name in TYPES
    }
    rows: dict[str, list[tuple[Any, ...]]] = {
        "schools": [(key, value, is_archived) for key, value, is_archived in both[TYPES[0]]],
        "groups": [(key, *value, is_archived) for key, value, is_archived in both[TYPES[1]]],
        "users": [
            (key, *value[:4], value.number, is_archived)
            for key, value, is_archived in both[TYPES[2]]
        ],
        "schools of users": [
            (key, school, place)
            for key, value, _ in both[TYPES[2]]
            for place, school in enumerate(value.schools, 1)
        ],
        "memberships": [(*key, is_archived) for key, _, is_archived in both[TYPES[3]]],
        "spans": [(*key, *span) for key, value, _ in both[TYPES[3]] for span in value],
    }
    return {name: sorted(found, key=str) for name, found in rows.items()}


async def read_rows(story: Story) -> dict[str, list[tuple[Any, ...]]]:
    roster = await story.roster()
    rows: dict[str, list[tuple[Any, ...]]] = {
        "schools": [(row[0], row[1], row[4]) for row in roster["schools"]],
        "groups": [
            (row[0], row[3], row[1], tuple(row[10]), tuple(row[11]), row[12])
            for row in roster["groups"]
        ],
        "users": [
            (row[0], row[1], row[4], ", ".join(row[9]), tuple(row[10]), row[8] or "", row[12])
            for row in roster["users"]
        ],
        "schools of users": roster["school_affiliations"],
        "memberships": roster["memberships"],
        "spans": [row[:6] for row in roster["membership_spans"]],
    }
    return {name: sorted(found, key=str) for name, found in rows.items()}


async def read_ids(story: Story) -> dict[Any, UUID]:
    found: dict[Any, UUID] = {}
    for table in ("schools", "groups", "users"):
        found |= {(table, key): value for key, value in (await story.ids(table)).items()}
    return found | await story.membership_ids()


def counted(run: SyncRun) -> Mapping[RecordType, Mapping[str, int]]:
    return {name: {n: run.counts[name.value][n] for n in NUMBERS} for name in TYPES}


@SETTINGS
@given(history=histories(), required=requirements)
async def test_every_night_leaves_what_the_model_says(
    tell: TellStory, history: list[tuple[Night, SharingRules]], required: tuple[str, ...]
) -> None:
    story = await tell(f"tenant-{next(_slugs)}")
    await story.require(*required)
    stored, known = Stored(), await read_ids(story)
    for night, rules in history:
        story.district = district_of(night)
        await story.share(**rules)
        run = await story.night()
        assert run.failure_message is None
        stored, counts = next_night(stored, night, rules, required)
        if run.state in WAITING:
            approved = await story.approve(run)
            assert approved.failure_message is None
        else:
            assert counted(run) == counts
        assert await read_rows(story) == as_rows(stored)
        found = await read_ids(story)
        assert {key: found[key] for key in known} == known
        known = found
    places = await read_places(story.see)
    again = await story.night()
    assert again.failure_message is None
    numbers = ("created", "updated", "archived", "restored")
    assert all(c[n] == 0 for c in counted(again).values() for n in numbers)
    assert await read_places(story.see) == places
