"""The records that every provider yields: immutable, and the only shape that is ever staged.

A record is a tuple in the order of its staging table's columns, so that a page goes to COPY as
it is. Only what is mapped here is decoded, kept or shown; passwords, birth dates, telephone
numbers and the like never leave a provider's decoder.
"""

from datetime import date
from enum import StrEnum
from typing import NamedTuple


class RecordType(StrEnum):
    """What is counted. A MEMBERSHIP is staged as Enrollments, one or more for each."""

    SCHOOL = "SCHOOL"
    TERM = "TERM"
    COURSE = "COURSE"
    GROUP = "GROUP"
    USER = "USER"
    MEMBERSHIP = "MEMBERSHIP"


class Role(StrEnum):
    """What a person is in the tenant (product.md P10). A person may have several."""

    STUDENT = "STUDENT"
    TEACHER = "TEACHER"
    STAFF = "STAFF"
    SCHOOL_ADMIN = "SCHOOL_ADMIN"
    DISTRICT_ADMIN = "DISTRICT_ADMIN"


class MembershipRole(StrEnum):
    """What a person is in a group."""

    STUDENT = "STUDENT"
    TEACHER = "TEACHER"
    STAFF = "STAFF"


class School(NamedTuple):
    """`keys`: see User."""

    source_id: str
    name: str
    number: str | None = None
    parent_source_id: str | None = None
    keys: tuple[str, ...] = ()


class Term(NamedTuple):
    """`ends_on` is the first day that is no longer in the term (OneRoster: exclusive)."""

    source_id: str
    name: str
    kind: str
    starts_on: date | None = None
    ends_on: date | None = None
    parent_source_id: str | None = None


class Course(NamedTuple):
    source_id: str
    name: str
    code: str | None = None
    subjects: tuple[str, ...] = ()


class Group(NamedTuple):
    """Clever's section, OneRoster's class. A blank `name` is a problem only of a new group.

    `keys`: see User.
    """

    source_id: str
    name: str
    school_source_id: str
    course_source_id: str | None = None
    term_source_ids: tuple[str, ...] = ()
    code: str | None = None
    kind: str | None = None
    period: str | None = None
    grades: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class User(NamedTuple):
    """`roles` as Role values, sorted; `school_source_ids` with the primary one first.

    `number` is the student or staff number (OneRoster: identifier). `email` is None where the
    tenant does not take it over. `grades` are CEDS codes, two digits where they are numbers.
    `keys` are other ids of the person, each as "kind:value", sorted: what a new source id of the
    same person is recognised by. `is_eligible` is what the tenant's metadata field says (P9).
    """

    source_id: str
    username: str
    given_name: str
    family_name: str
    roles: tuple[str, ...]
    school_source_ids: tuple[str, ...] = ()
    preferred_given_name: str | None = None
    preferred_family_name: str | None = None
    email: str | None = None
    number: str | None = None
    grades: tuple[str, ...] = ()
    is_enabled: bool = True
    keys: tuple[str, ...] = ()
    is_eligible: bool = True


class Enrollment(NamedTuple):
    """One stay of a user in a group. `ends_on` is exclusive. `role` is a MembershipRole value."""

    source_id: str
    user_source_id: str
    group_source_id: str
    role: str
    is_primary: bool = False
    begins_on: date | None = None
    ends_on: date | None = None


Record = School | Term | Course | Group | User | Enrollment

RECORD_CLASSES: dict[RecordType, type[Record]] = {
    RecordType.SCHOOL: School,
    RecordType.TERM: Term,
    RecordType.COURSE: Course,
    RecordType.GROUP: Group,
    RecordType.USER: User,
    RecordType.MEMBERSHIP: Enrollment,
}
"""Every record type with its class, parents before children."""
