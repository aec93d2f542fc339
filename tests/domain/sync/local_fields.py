"""Every field that the training product owns, at each level, as a table of cases; set and read."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from domain.roster.ownership import LOCAL_TABLES, OWNERS, FieldOwner
from domain.roster.records import RecordType
from domain.training.effective import (
    effective_of_groups,
    effective_of_schools,
    effective_of_tenant,
    effective_of_users,
)
from domain.training.eligibility import is_eligible
from domain.training.places import Place, places_of_users
from tests.domain.sync.stories import Story

TABLES: Final = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.GROUP: "groups",
    RecordType.USER: "users",
    RecordType.MEMBERSHIP: "memberships",
}
LEVELS: Final = {
    "training_settings": ("tenant", "school", "group", "user"),
    "default_places": ("user",),
    "eligibility_overrides": ("user",),
    "progress": ("user+group",),
    "schools": ("school",),
}
NARROWED: Final = {("training_settings", "age_group"): ("group",)}
OWNER_COLUMNS: Final = {
    "training_settings": ("school_id", "group_id", "user_id"),
    "default_places": ("user_id",),
    "eligibility_overrides": ("user_id",),
    "progress": ("user_id", "group_id"),
    "schools": ("id",),
}


_ELIGIBLE: Final = (
    f"SELECT {is_eligible('u', user_id='u.id', tenant_id=':tenant_id')}"  # noqa: S608 - our own SQL
    " FROM users u WHERE u.tenant_id = :tenant_id AND u.id = :user_id"
)


class Case(NamedTuple):
    """A field of a table, and whose: a level, which is the one that a life happens to."""

    table: str
    level: str
    field: str


Snapshot = dict[Case, Any]


class Subjects(NamedTuple):
    """Whom it happens to: a person with two classes, the first class, and its school."""

    user: UUID
    group: UUID
    other_group: UUID
    school: UUID
    other_school: UUID

    def label(self, row_id: object) -> str:
        named = {str(value): name for name, value in self._asdict().items()}
        return named.get(str(row_id), str(row_id))


def all_cases() -> list[Case]:
    """From the table that says who owns a field: a new one of ours has its cases by itself."""
    local = dict(LOCAL_TABLES)
    for record_type, owners in OWNERS.items():
        own = tuple(name for name, owner in owners.items() if owner is FieldOwner.LOCAL)
        if own:
            local[TABLES[record_type]] = own
    return [
        Case(table, level, field)
        for table, fields in local.items()
        for field in fields
        for level in NARROWED.get((table, field), LEVELS[table])
    ]


CASES: Final = all_cases()


def is_set(value: Any) -> bool:
    return isinstance(value, bool) or value not in (None, 0, "")


async def find_subjects(story: Story) -> Subjects:
    async def one(table: str, column: str, value: str) -> UUID:
        found: UUID = await story.see.fetchval(
            f"SELECT id FROM {table} WHERE tenant_id = $1 AND lower({column}) = $2",  # noqa: S608 - our own tables
            story.tenant_id,
            value,
        )
        return found

    return Subjects(
        user=await one("users", "username", "ann"),
        group=await one("groups", "name", "algebra"),
        other_group=await one("groups", "name", "biology"),
        school=await one("schools", "name", "north"),
        other_school=await one("schools", "name", "south"),
    )


async def read_local(story: Story, subjects: Subjects) -> Snapshot:
    """Every column of every row of ours, whoever's it is; of the roster's tables our columns."""
    found: Snapshot = {}
    for table in dict.fromkeys(case.table for case in CASES):
        rows = await story.see.fetch(
            f"SELECT to_jsonb(r) AS row FROM {table} r WHERE tenant_id = $1",  # noqa: S608 - our own tables
            story.tenant_id,
        )
        for row in (json.loads(row["row"]) for row in rows):
            owners = [row[column] for column in OWNER_COLUMNS[table] if row[column]]
            level = "+".join(map(subjects.label, owners)) or "tenant"
            ours = LOCAL_TABLES.keys() >= {table}
            fields = row if ours else [case.field for case in CASES if case.table == table]
            found.update({Case(table, level, field): row[field] for field in fields})
    return found


def differing(before: Snapshot, after: Snapshot) -> list[tuple[Case, Any, Any]]:
    """What is not what it was, by name."""
    return [
        (case, before.get(case), after.get(case))
        for case in sorted(before.keys() | after.keys())
        if case not in before or case not in after or before[case] != after[case]
    ]


async def read_settings(story: Story, subjects: Subjects) -> dict[tuple[str, str], Any]:
    """What counts at each level, by its name, with the level that it comes from."""
    tenant_id = story.tenant_id
    member = (subjects.user, subjects.group)
    async with story.api.read(tenant_id) as session:
        found = {
            "tenant": (await effective_of_tenant(session, tenant_id, [tenant_id]))[tenant_id],
            "school": (await effective_of_schools(session, tenant_id, [subjects.school]))[
                subjects.school
            ],
            "group": (await effective_of_groups(session, tenant_id, [subjects.group]))[
                subjects.group
            ],
            "user": (await effective_of_users(session, tenant_id, [member]))[member],
        }
    settings = {
        (level, name): getattr(effective, name)
        for level, effective in found.items()
        for name in LOCAL_TABLES["training_settings"]
    }
    return {
        key: (setting.value, setting.level.value)
        for key, setting in settings.items()
        if setting.value is not None
    }


async def read_effective(story: Story, subjects: Subjects) -> Mapping[str, Any]:
    """What the person gets of it, with what it comes from."""
    async with story.api.read(story.tenant_id) as session:
        found = await places_of_users(session, story.tenant_id, [subjects.user])
        eligible = await session.scalar(
            text(_ELIGIBLE), {"tenant_id": story.tenant_id, "user_id": subjects.user}
        )
    places = found[subjects.user]
    return {
        "group": (_named(subjects, places.group), places.group.source.value),
        "school": (_named(subjects, places.school), places.school.source.value),
        "is_eligible": eligible,
    }


def _named(subjects: Subjects, place: Place) -> str | None:
    return None if place.id is None else subjects.label(place.id)
