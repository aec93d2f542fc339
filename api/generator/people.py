"""The people of a district: every user is worked out from a number and from nothing else."""

from collections.abc import Iterator
from typing import NamedTuple

from api.generator.district import District, School
from api.generator.keys import draw, source_id
from api.generator.names import person_name

# Each sort of person is numbered from another start, so that no two share an identifier.
REKEYED = 1 << 40
STAFF = 1 << 41
GUARDIANS = 1 << 42
NOBODY = 1 << 43

STUDENTS_PER_GUARDIAN = 2
# One student in so many goes to two schools.
TWO_SCHOOLS_EVERY = 47
GUARDIAN_ROLES = ("parent", "guardian", "parent", "relative")
IGNORED_ROLES = frozenset(GUARDIAN_ROLES)
FIRST_STUDENT_NUMBER = 100_000
MAIL_DOMAIN = "example.org"


class User(NamedTuple):
    number: int
    source_id: str
    role: str
    org_ids: tuple[str, ...]
    username: str
    given: str
    family: str
    identifier: str
    email: str
    grade: str = ""
    agent_id: str = ""
    is_enabled: bool = True


def student(district: District, school: School, number: int, grade: str) -> User:
    name = person_name(draw(district.keys.person, number))
    username = f"{name.given.ascii[0]}{name.family.ascii}{number + 1}"
    has_guardian = number % STUDENTS_PER_GUARDIAN == 0
    return User(
        number,
        source_id(district.keys.user, number),
        "student",
        _schools_of(district, school, number),
        username,
        name.given.text,
        name.family.text,
        f"{FIRST_STUDENT_NUMBER + number}",
        f"{username}@students.{MAIL_DOMAIN}",
        grade,
        source_id(district.keys.user, GUARDIANS + number) if has_guardian else "",
    )


def guardian(district: District, child: User) -> User | None:
    """The guardian of a student, where the district knows one; the family name is the child's."""
    if not child.agent_id:
        return None
    number = GUARDIANS + child.number
    given = person_name(draw(district.keys.person, number)).given
    family = person_name(draw(district.keys.person, child.number)).family
    username = f"{given.ascii[0]}{family.ascii}.home{child.number + 1}"
    return User(
        number,
        child.agent_id,
        GUARDIAN_ROLES[child.number // STUDENTS_PER_GUARDIAN % len(GUARDIAN_ROLES)],
        child.org_ids[:1],
        username,
        given.text,
        family.text,
        "",
        f"{username}@family.{MAIL_DOMAIN}",
    )


def district_administrator(district: District) -> User:
    return _staff(district, 0, role="districtAdministrator", org_id=district.org.source_id)


def school_staff(district: District, school: School) -> Iterator[User]:
    """The administrator of a school, its teachers and its aides."""
    yield _staff(district, school.first_staff, role="siteAdministrator", org_id=school.source_id)
    for index in range(school.teachers):
        number = school.first_staff + 1 + index
        yield _staff(district, number, role="teacher", org_id=school.source_id)
    for index in range(school.aides):
        number = school.first_staff + 1 + school.teachers + index
        yield _staff(district, number, role="aide", org_id=school.source_id)


def teacher_id(district: District, school: School, index: int) -> str:
    return source_id(district.keys.user, STAFF + school.first_staff + 1 + index)


def aide_id(district: District, school: School, index: int) -> str:
    return teacher_id(district, school, school.teachers + index)


def _staff(district: District, number: int, *, role: str, org_id: str) -> User:
    name = person_name(draw(district.keys.person, STAFF + number))
    username = f"{name.given.ascii}.{name.family.ascii}{number + 1}"
    return User(
        STAFF + number,
        source_id(district.keys.user, STAFF + number),
        role,
        (org_id,),
        username,
        name.given.text,
        name.family.text,
        f"T{number + 1}",
        f"{username}@{MAIL_DOMAIN}",
    )


def _schools_of(district: District, school: School, number: int) -> tuple[str, ...]:
    schools = district.schools
    if len(schools) == 1 or number % TWO_SCHOOLS_EVERY != TWO_SCHOOLS_EVERY - 1:
        return (school.source_id,)
    return (school.source_id, schools[(school.number + 1) % len(schools)].source_id)
