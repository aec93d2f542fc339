"""The model of a district: its schools, terms and courses, and who works and learns where."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from api.generator.keys import Keys, draw, keys_of, source_id
from api.generator.names import FIRST_WORDS, SECOND_WORDS, place_name

GRADES = ("KG", *(f"{grade:02d}" for grade in range(1, 13)))
STUDENTS_PER_SCHOOL = 708
STUDENTS_PER_TEACHER = 17.2
TEACHERS_PER_AIDE = 10
# From this size on a district has a second school, and every kind of change has room in it.
SMALLEST_WITH_TWO_SCHOOLS = 200


class Level(NamedTuple):
    """A kind of school; the weight is its size against the others'."""

    name: str
    grades: tuple[str, ...]
    weight: int


ELEMENTARY = Level("Elementary School", GRADES[:6], 10)
MIDDLE = Level("Middle School", GRADES[6:9], 15)
HIGH = Level("High School", GRADES[9:], 20)
LOWER = Level("Elementary School", GRADES[:9], 45)
WHOLE = Level("Community School", GRADES, 65)
# Of ten schools six are elementary: with the weights above every grade is then equally large.
CYCLE = (
    ELEMENTARY,
    MIDDLE,
    HIGH,
    ELEMENTARY,
    ELEMENTARY,
    MIDDLE,
    ELEMENTARY,
    HIGH,
    ELEMENTARY,
    ELEMENTARY,
)


class School(NamedTuple):
    number: int
    source_id: str
    name: str
    level: Level
    first_student: int
    students: int
    first_staff: int
    teachers: int
    aides: int


class Org(NamedTuple):
    source_id: str
    name: str
    type: str
    identifier: str
    parent_id: str


class Term(NamedTuple):
    source_id: str
    title: str
    type: str
    begin: str
    end: str
    parent_id: str


class Terms(NamedTuple):
    year: Term
    fall: Term
    spring: Term


@dataclass(frozen=True, slots=True)
class District:
    keys: Keys
    students: int
    org: Org
    schools: tuple[School, ...]
    terms: Terms


def district_of(*, seed: int, students: int) -> District:
    if students < 1:
        raise ValueError("A district has at least one student.")
    keys = keys_of(seed)
    place = place_name(draw(keys.org, 0))
    org = Org(source_id(keys.org, 0), f"{place} Unified School District", "district", "1000", "")
    return District(keys, students, org, tuple(_schools(keys, students)), _terms(keys))


def orgs(district: District) -> Iterator[Org]:
    yield district.org
    for school in district.schools:
        identifier = f"{1001 + school.number}"
        yield Org(school.source_id, school.name, "school", identifier, district.org.source_id)


def next_school(district: District, school: School) -> School:
    """Another school for a student: of the same level where there is one."""
    count = len(district.schools)
    others = [district.schools[(school.number + step) % count] for step in range(1, count)]
    alike = (other for other in others if other.level is school.level)
    return next(alike, others[0])


def grade_of(school: School, rank: int) -> str:
    """The grade of a school's student: ranks go up through the grades."""
    grades = school.level.grades
    return grades[rank * len(grades) // school.students]


def _schools(keys: Keys, students: int) -> Iterator[School]:
    levels = _levels(students)
    whole = sum(level.weight for level in levels)
    name_offset = draw(keys.org, 0) % (len(FIRST_WORDS) * len(SECOND_WORDS))
    weight = first_student = 0
    first_staff = 1
    for number, level in enumerate(levels):
        weight += level.weight
        end = students * weight // whole
        size = end - first_student
        teachers = max(1, round(size / STUDENTS_PER_TEACHER))
        aides = round(teachers / TEACHERS_PER_AIDE)
        name = f"{place_name(name_offset + number + 1)} {level.name}"
        school_id = source_id(keys.org, number + 1)
        yield School(
            number, school_id, name, level, first_student, size, first_staff, teachers, aides
        )
        first_student = end
        first_staff += 1 + teachers + aides


def _levels(students: int) -> tuple[Level, ...]:
    if students < SMALLEST_WITH_TWO_SCHOOLS:
        return (WHOLE,)
    count = round(students / STUDENTS_PER_SCHOOL)
    if count < len((ELEMENTARY, MIDDLE, HIGH)):
        return (LOWER, HIGH)
    return tuple(CYCLE[number % len(CYCLE)] for number in range(count))


def _terms(keys: Keys) -> Terms:
    ids = [source_id(keys.term, number) for number in range(3)]
    return Terms(
        Term(ids[0], "2026-2027", "schoolYear", "2026-08-17", "2027-05-28", ""),
        Term(ids[1], "Fall 2026", "semester", "2026-08-17", "2026-12-18", ids[0]),
        Term(ids[2], "Spring 2027", "semester", "2027-01-05", "2027-05-28", ids[0]),
    )
