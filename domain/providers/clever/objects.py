"""Clever's objects as far as they are taken over: what is not named here is never decoded.

Written for v3.0; what v3.1 adds is let lie, but for preferred names.
"""

from functools import lru_cache
from typing import Any, cast

from msgspec import Struct, defstruct

Text = str | None
"""Clever writes a missing value as "", as null or not at all: all three mean the same."""


class Part(Struct, frozen=True, gc=False, omit_defaults=True):
    """Or the whole of an object. None of them can be part of a cycle, so none is looked for."""


class Object(Part, frozen=True, gc=False, omit_defaults=True):
    id: str = ""


class District(Object, frozen=True, gc=False, omit_defaults=True):
    """`error` is written for people: what state the district is in says `state` alone."""

    name: Text = None
    state: Text = None
    error: Text = None
    last_sync: Text = None
    pause_start: Text = None
    pause_end: Text = None


class School(Object, frozen=True, gc=False, omit_defaults=True):
    name: Text = None
    school_number: Text = None
    sis_id: Text = None


class Term(Object, frozen=True, gc=False, omit_defaults=True):
    """Ends on `end_date`, which is the last day that is in it."""

    name: Text = None
    start_date: Text = None
    end_date: Text = None


class Course(Object, frozen=True, gc=False, omit_defaults=True):
    name: Text = None
    number: Text = None


class Members(Object, frozen=True, gc=False, omit_defaults=True):
    """Of a section. `teacher` is the primary one of `teachers`."""

    students: tuple[str, ...] | None = None
    teacher: Text = None
    teachers: tuple[str, ...] | None = None


class Section(Members, frozen=True, gc=False, omit_defaults=True):
    name: Text = None
    school: Text = None
    course: Text = None
    term_id: Text = None
    section_number: Text = None
    period: Text = None
    grade: Text = None
    subject: Text = None
    sis_id: Text = None


class Name(Part, frozen=True, gc=False, omit_defaults=True):
    first: Text = None
    last: Text = None


class Credentials(Part, frozen=True, gc=False, omit_defaults=True):
    district_username: Text = None


class RolePart(Part, frozen=True, gc=False, omit_defaults=True):
    """What every role of a person has. The state's ids are not taken: nothing here needs them."""

    sis_id: Text = None
    legacy_id: Text = None
    credentials: Credentials | None = None
    school: Text = None
    schools: tuple[str, ...] | None = None


class Student(RolePart, frozen=True, gc=False, omit_defaults=True):
    student_number: Text = None
    grade: Text = None
    preferred_name: Name | None = None


class Teacher(RolePart, frozen=True, gc=False, omit_defaults=True):
    teacher_number: Text = None


class Staff(RolePart, frozen=True, gc=False, omit_defaults=True):
    staff_id: Text = None


class Roles(Part, frozen=True, gc=False, omit_defaults=True):
    """In the order in which a person's roles are asked for: the first one held takes them."""

    student: Student | None = None
    teacher: Teacher | None = None
    staff: Staff | None = None
    district_admin: RolePart | None = None
    contact: RolePart | None = None


class User(Object, frozen=True, gc=False, omit_defaults=True):
    name: Name | None = None
    roles: Roles | None = None


class UserWithEmail(User, frozen=True, gc=False, omit_defaults=True):
    email: Text = None


class HeldRole(Part, frozen=True, gc=False, omit_defaults=True):
    """That it is held is all that is read of it."""


class HeldRoles(Part, frozen=True, gc=False, omit_defaults=True):
    student: HeldRole | None = None
    teacher: HeldRole | None = None
    staff: HeldRole | None = None
    district_admin: HeldRole | None = None
    contact: HeldRole | None = None


class Bystander(Object, frozen=True, gc=False, omit_defaults=True):
    """Somebody who is left out and counted: a contact."""

    roles: HeldRoles | None = None


_OPTIONS: dict[str, Any] = {"frozen": True, "gc": False, "omit_defaults": True}


@lru_cache(maxsize=64)
def user_type(*, with_email: bool, ext_field: str | None) -> type[User]:
    """A user with or without what tenants decide about: the email, one extension field."""
    base = UserWithEmail if with_email else User
    if ext_field is None:
        return base
    ext = defstruct("Ext", [("value", Any, None)], rename={"value": ext_field}, **_OPTIONS)
    student = defstruct("StudentWithExt", [("ext", ext | None, None)], bases=(Student,), **_OPTIONS)
    roles = defstruct(
        "RolesWithExt", [("student", student | None, None)], bases=(Roles,), **_OPTIONS
    )
    user = defstruct("UserWithExt", [("roles", roles | None, None)], bases=(base,), **_OPTIONS)
    return cast("type[User]", user)


def ext_value(student: Student) -> object:
    """What stands in the extension field that the user's type was made for."""
    return getattr(getattr(student, "ext", None), "value", None)
