"""Generates a package: a district's files for one night, and beside them the expected counts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from api.generator import entries, files
from api.generator.district import District, district_of, orgs
from api.generator.entries import SchoolNight
from api.generator.expected import Action, Entry, Expected, Problem, RecordType
from api.generator.files import Package, Row, Version
from api.generator.keys import Keys, source_id
from api.generator.night import night_of
from api.generator.people import User, district_administrator
from api.generator.timetable import Membership, courses

RecordT = TypeVar("RecordT")

# So many role identifiers are kept for a user: one for each school.
ROLES_OF_A_USER = 2


def generate(
    folder: Path, *, students: int, seed: int, change: float = 0.0, version: str = "1.1"
) -> Expected:
    """Write the first night of a district, or with a change the night that follows it.

    The same arguments give the same bytes. Both nights are worked out from the seed: the second
    does not read the first. The expected counts go to `<folder>.expected.json`.
    """
    district = district_of(seed=seed, students=students)
    nights = _nights(district, change)
    usual = Action.UNCHANGED if change else Action.CREATED
    expected = Expected()
    with Package(folder, Version(version)) as package:
        _write_district(package, expected, district, usual)
        for night in nights:
            _write_school(package, expected, night)
    expected.write(expected_path(folder))
    return expected


def expected_path(folder: Path) -> Path:
    folder = folder.absolute()
    return folder.with_name(f"{folder.name}.expected.json")


def _nights(district: District, change: float) -> Iterator[SchoolNight]:
    """Each school of the night, made when its turn comes; a wrong change is refused at once."""
    if not change:
        return (entries.first_night(district, school) for school in district.schools)
    night = night_of(district, change)
    return (entries.next_night(night, school) for school in district.schools)


def _write_district(
    package: Package, expected: Expected, district: District, usual: Action
) -> None:
    every_org = [
        Entry(usual if org.type == "school" else Action.IGNORED, org) for org in orgs(district)
    ]
    every_course = (Entry(usual, course) for course in courses(district))
    every_term = (Entry(usual, term) for term in district.terms)
    schools = _records(expected, RecordType.SCHOOL, every_org)
    package.write("orgs", map(files.org_row, schools))
    terms = _records(expected, RecordType.TERM, every_term)
    package.write("academicSessions", map(files.term_row, terms))
    taught = _records(expected, RecordType.COURSE, every_course)
    package.write("courses", map(files.course_row, taught))
    administrator = Entry(usual, district_administrator(district))
    _write_users(package, expected, district.keys, [administrator])


def _write_school(package: Package, expected: Expected, at: SchoolNight) -> None:
    groups = _records(expected, RecordType.GROUP, entries.sections(at))
    package.write("classes", map(files.section_row, groups))
    _write_users(package, expected, at.district.keys, entries.users(at))
    package.write("enrollments", _enrollment_rows(expected, entries.memberships(at)))


def _write_users(
    package: Package, expected: Expected, keys: Keys, users: Iterable[Entry[User]]
) -> None:
    users = _with_schools_counted(expected, users)
    if package.version is Version.V1_1:
        records = _records(expected, RecordType.USER, users)
        package.write("users", map(files.user_row_1_1, records))
        return
    for entry in users:
        for user in _records(expected, RecordType.USER, [entry]):
            package.write("users", [files.user_row_1_2(user)])
            if entry.problem is not Problem.ID_DUPLICATE:
                first = user.number * ROLES_OF_A_USER
                ids = [source_id(keys.role, first + index) for index in range(len(user.org_ids))]
                package.write("roles", files.role_rows(ids, user))


def _with_schools_counted(
    expected: Expected, users: Iterable[Entry[User]]
) -> Iterator[Entry[User]]:
    """A student of several schools is a problem beside whatever else becomes of the record."""
    for entry in users:
        user = entry.record
        if (
            user is not None
            and user.role == "student"
            and len(user.org_ids) > 1
            and entry.action is not Action.REJECTED
        ):
            expected.problems[Problem.STUDENT_MULTI_SCHOOL] += 1
        yield entry


def _enrollment_rows(expected: Expected, memberships: Iterable[Entry[Membership]]) -> Iterator[Row]:
    """The rows of one school."""
    first_sections: dict[str, str] = {}
    for entry in memberships:
        membership = entry.record
        if membership is None:
            expected.take(RecordType.MEMBERSHIP, entry)
        else:
            expected.take(RecordType.MEMBERSHIP, entry, rows=len(membership.spans))
            yield from files.membership_rows(membership)
            first = first_sections.setdefault(membership.user_id, membership.section_id)
            if membership.role == "student" and first != membership.section_id:
                expected.crowded_schools.add(membership.school_id)


def _records(
    expected: Expected, record_type: RecordType, found: Iterable[Entry[RecordT]]
) -> Iterator[RecordT]:
    """The records that are in the files, counted as they go by, with those that are not."""
    for entry in found:
        expected.take(record_type, entry)
        if entry.record is not None:
            yield entry.record
