"""The files of admins and of staff: their columns, and what may stand in them. See docs/imports.md.

What is exported is read back as it was: `told` and `meant` undo each other.
"""

import csv
import io
import re
from enum import StrEnum
from typing import Final, NamedTuple

from domain.files.cells import Read, email, several_of, text_of, truth, word_of
from domain.files.exports import ExportKind
from domain.files.layouts import Column, Layout, Row
from domain.files.sheets import BOM, original_text
from domain.files.uploads import UploadPurpose
from domain.roster.records import Role

SCHOOLS: Final = "school_numbers"
STAGED: Final = "people_rows"
ADMIN_ROLES: Final = (Role.SCHOOL_ADMIN, Role.DISTRICT_ADMIN)
_MARKED = re.compile(r"^('*)#")
_UNMARKED = re.compile(r"^'('*)#")


class PeopleKind(StrEnum):
    """Whom a file has."""

    ADMINS = "ADMINS"
    STAFF = "STAFF"


def told(text: str) -> str:
    """The text as a cell that no reader takes for a comment."""
    return _MARKED.sub(r"'\1#", text)


def meant(cell: str) -> str:
    """What a cell of an export says, without what it was made harmless by."""
    return _UNMARKED.sub(r"\1#", original_text(cell))


def _check_admin(row: Row) -> tuple[str, str] | None:
    if row["role"] == Role.SCHOOL_ADMIN.value and not row[SCHOOLS]:
        return SCHOOLS, "A school admin needs a school here, by its number."
    return None


_NAME = text_of(200)


def _columns(role: Read, *, blank: Role | None = None) -> tuple[Column, ...]:
    return (
        Column("username", _NAME, is_required=True),
        Column("given_name", _NAME, is_required=True),
        Column("family_name", _NAME, is_required=True),
        Column("email", email, is_required=True),
        Column("role", role, is_required=blank is None, blank=blank),
        Column(SCHOOLS, several_of(text_of(200)), "text[]", blank=()),
        Column("is_enabled", truth, "boolean", blank=True),
    )


class People(NamedTuple):
    """One of the two files, with everything that depends on which it is.

    `is_one` is SQL for whether `u.roles` are those of somebody who belongs into it.
    """

    kind: PeopleKind
    layout: Layout
    purpose: UploadPurpose
    export: ExportKind
    action: str
    is_one: str


_IS_ADMIN: Final = "u.roles && '{SCHOOL_ADMIN,DISTRICT_ADMIN}'"
PEOPLE: Final = {
    PeopleKind.ADMINS: People(
        PeopleKind.ADMINS,
        Layout(
            file="admins.csv",
            staged=STAGED,
            columns=_columns(word_of(ADMIN_ROLES)),
            example=(
                *("ann.fox", "Ann", "Fox", "ann.fox@example.org"),
                *("school_admin", "0410;0420", "yes"),
            ),
            check=_check_admin,
            clean=meant,
        ),
        UploadPurpose.ADMINS_IMPORT,
        ExportKind.ADMINS,
        "adminsImport",
        _IS_ADMIN,
    ),
    PeopleKind.STAFF: People(
        PeopleKind.STAFF,
        Layout(
            file="staff.csv",
            staged=STAGED,
            columns=_columns(word_of((Role.STAFF,)), blank=Role.STAFF),
            example=("kim.day", "Kim", "Day", "kim.day@example.org", "staff", "0410", "yes"),
            clean=meant,
        ),
        UploadPurpose.STAFF_IMPORT,
        ExportKind.STAFF,
        "staffImport",
        f"('STAFF' = ANY (u.roles) AND NOT {_IS_ADMIN})",
    ),
}
HEADER: Final = tuple(column.name for column in PEOPLE[PeopleKind.ADMINS].layout.columns)
"""Of both files."""


def template_of(kind: PeopleKind) -> bytes:
    """An empty file with its header, and an example that is not read."""
    first, *others = PEOPLE[kind].layout.example
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(HEADER)
    writer.writerow([f"# {first}", *others])
    return BOM + buffer.getvalue().encode()
