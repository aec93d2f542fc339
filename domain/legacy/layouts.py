"""The files of a legacy import: their columns, and what may stand in them. See docs/legacy.md."""

from enum import StrEnum
from typing import Final

from domain.errors import InvalidInput
from domain.files.cells import moment, number_of, several_of, text_of, truth, word_of
from domain.files.layouts import Column, Layout, Row
from domain.roster.records import MembershipRole, RecordType, Role
from domain.training.layouts import get_layout
from domain.training.models import AgeGroup
from domain.training.settings import ACCURACY, SPEED


class Level(StrEnum):
    """Whose settings a row of settings.csv has."""

    TENANT = "TENANT"
    SCHOOL = "SCHOOL"
    GROUP = "GROUP"
    PERSON = "PERSON"


def _check_settings(row: Row) -> tuple[str, str] | None:
    is_of_tenant = row["level"] == Level.TENANT.value
    if is_of_tenant and row["id"] is not None:
        return "id", "The tenant's own settings have no id."
    if not is_of_tenant and row["id"] is None:
        return "id", "Say whose settings these are."
    if row["age_group"] is not None and row["level"] != Level.GROUP.value:
        return "age_group", "Only a group has an age group: leave it blank here."
    if all(row[name] is None for name in SETTINGS_FIELDS):
        return "level", "The row sets nothing."
    return None


def _keyboard_layout(cell: str) -> str:
    try:
        return get_layout(cell).layout_id
    except InvalidInput as refusal:
        raise ValueError(str(refusal)) from None


_ID = text_of(200)
_NAME = text_of(200)
_WORDS = several_of(text_of(100))
SETTINGS_FIELDS: Final = (
    "speed_target",
    "accuracy_target",
    "keyboard_layout",
    "has_avatars",
    "age_group",
)
PROGRESS_FIELDS: Final = ("lessons", "seconds", "best_speed", "last_active_at")

SCHOOLS: Final = Layout(
    file="schools.csv",
    staged="legacy_schools",
    columns=(
        Column("id", _ID, is_required=True),
        Column("name", _NAME, is_required=True, field="name"),
        Column("number", _ID, field="number"),
    ),
    example=("s1", "North School", "0410"),
    record_type=RecordType.SCHOOL,
    stored="schools",
)
GROUPS: Final = Layout(
    file="groups.csv",
    staged="legacy_groups",
    columns=(
        Column("id", _ID, is_required=True),
        Column("school_id", _ID, is_required=True),
        Column("name", _NAME, is_required=True, field="name"),
        Column("code", _ID, field="code"),
        Column("period", _NAME, field="period"),
        Column("grades", _WORDS, "text[]", blank=(), field="grades"),
        Column("subjects", _WORDS, "text[]", blank=(), field="subjects"),
    ),
    example=("g1", "s1", "Typing 1", "TYP1", "2", "03;04", "Computers"),
    record_type=RecordType.GROUP,
    stored="groups",
)
PEOPLE: Final = Layout(
    file="people.csv",
    staged="legacy_people",
    columns=(
        Column("id", _ID, is_required=True),
        Column("username", _NAME, is_required=True, field="username"),
        Column("given_name", _NAME, is_required=True, field="given_name"),
        Column("family_name", _NAME, is_required=True, field="family_name"),
        Column(
            "roles", several_of(word_of(Role)), "text[]", is_required=True, blank=(), field="roles"
        ),
        Column("school_ids", several_of(_ID), "text[]", blank=()),
        Column("preferred_given_name", _NAME, field="preferred_given_name"),
        Column("preferred_family_name", _NAME, field="preferred_family_name"),
        Column("email", text_of(254), field="email"),
        Column("number", _ID, field="number"),
        Column("grades", _WORDS, "text[]", blank=(), field="grades"),
        Column("is_enabled", truth, "boolean", blank=True, field="is_enabled"),
        Column("is_eligible", truth, "boolean", blank=True, field="is_eligible"),
    ),
    example=(
        *("p1", "mia.lee", "Mia", "Lee", "student", "s1"),
        *("", "", "", "104233", "03", "yes", "yes"),
    ),
    record_type=RecordType.USER,
    stored="users",
)
MEMBERSHIPS: Final = Layout(
    file="memberships.csv",
    staged="legacy_memberships",
    columns=(
        Column("person_id", _ID, is_required=True),
        Column("group_id", _ID, is_required=True),
        Column("role", word_of(MembershipRole), is_required=True),
    ),
    example=("p1", "g1", "student"),
)
SETTINGS: Final = Layout(
    file="settings.csv",
    staged="legacy_settings",
    columns=(
        Column("level", word_of(Level), is_required=True),
        Column("id", _ID),
        Column("speed_target", number_of(*SPEED), "int"),
        Column("accuracy_target", number_of(*ACCURACY), "int"),
        Column("keyboard_layout", _keyboard_layout),
        Column("has_avatars", truth, "boolean"),
        Column("age_group", word_of(AgeGroup)),
    ),
    example=("group", "g1", "25", "95", "us", "yes", "elementary"),
    check=_check_settings,
)
PROGRESS: Final = Layout(
    file="progress.csv",
    staged="legacy_progress",
    columns=(
        Column("person_id", _ID, is_required=True),
        Column("group_id", _ID, is_required=True),
        Column("lessons", number_of(0, 1_000_000), "int", blank=0),
        Column("seconds", number_of(0, 1_000_000_000), "int", blank=0),
        Column("best_speed", number_of(0, 500), "int"),
        Column("last_active_at", moment, "timestamptz"),
    ),
    example=("p1", "g1", "42", "12600", "31", "2025-06-30T14:05:00Z"),
)

LAYOUTS: Final = (SCHOOLS, GROUPS, PEOPLE, MEMBERSHIPS, SETTINGS, PROGRESS)
"""Each refers only to those before it."""
