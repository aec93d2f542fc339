"""What the files of a night hold, record by record, and what a sync makes of each."""

from collections.abc import Iterator
from dataclasses import dataclass

from api.generator.district import District, School, grade_of, next_school
from api.generator.expected import Action, Entry, Problem
from api.generator.keys import draw, source_id
from api.generator.names import other_family
from api.generator.night import (
    Change,
    Changes,
    Kind,
    Night,
    changes_of,
    closed_sections,
)
from api.generator.people import (
    NOBODY,
    REKEYED,
    User,
    aide_id,
    guardian,
    school_staff,
    student,
    teacher_id,
)
from api.generator.timetable import (
    Membership,
    Section,
    Timetable,
    section_membership,
    student_membership,
    timetable_of,
)

# A second enrollment in the same slot, and a row that enrols nobody or in nothing.
LATER = 2
FIRST_OPENED_POSITION = 16
EARLIER_END = {"2026-12-18": "2026-12-11", "2027-05-28": "2027-05-21"}
UNKNOWN_ROLE = "wizard"
USER_PROBLEMS = {
    Kind.DISABLE: Problem.USER_DISABLED,
    Kind.ROLE_UNKNOWN: Problem.USER_ROLE_UNKNOWN,
    Kind.NAME_MISSING: Problem.USER_NAME_MISSING,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where newcomers are put: a school and the sections it no longer has."""

    timetable: Timetable
    closed: frozenset[int]


@dataclass(frozen=True, slots=True)
class SchoolNight:
    """One school on one night; `usual` is what becomes of a record to which nothing happens."""

    district: District
    place: Place
    changes: Changes
    usual: Action
    destination: Place | None = None

    @property
    def school(self) -> School:
        return self.place.timetable.school


def first_night(district: District, school: School) -> SchoolNight:
    place = Place(timetable_of(district, school), frozenset())
    return SchoolNight(district, place, Changes(), Action.CREATED)


def next_night(night: Night, school: School) -> SchoolNight:
    district = night.district
    timetable = timetable_of(district, school)
    changes = changes_of(night, timetable)
    destination = None
    if any(change.kind is Kind.MOVE for change in changes.students.values()):
        other = timetable_of(district, next_school(district, school))
        destination = Place(other, closed_sections(night, other))
    place = Place(timetable, changes.closed)
    return SchoolNight(district, place, changes, Action.UNCHANGED, destination)


def sections(at: SchoolNight) -> Iterator[Entry[Section]]:
    for section in at.place.timetable.sections:
        if section.ordinal in at.changes.closed:
            yield Entry(Action.ARCHIVED, None)
        elif section.ordinal in at.changes.retitled:
            title = f"{section.title} (Block A)"
            yield Entry(Action.UPDATED, section._replace(title=title))
        else:
            yield Entry(at.usual, section)
    for opened in at.changes.opened:
        yield Entry(Action.CREATED, opened.section)


def users(at: SchoolNight) -> Iterator[Entry[User]]:
    for member in school_staff(at.district, at.school):
        yield Entry(at.usual, member)
    for rank in range(at.school.students):
        change = at.changes.students.get(rank)
        base = _student(at, rank)
        if change is None:
            yield Entry(at.usual, base)
            yield from _guardian(at, base)
        else:
            yield from _changed_user(at, base, change)
    for user in _joining(at):
        yield from _new_user(at, user)


def memberships(at: SchoolNight) -> Iterator[Entry[Membership]]:
    yield from _staff_memberships(at)
    for rank in range(at.school.students):
        yield from _student_memberships(at, rank)
    for user in _joining(at):
        yield from _placed(at, at.place, user)
    yield from _opened_memberships(at)


def _student(at: SchoolNight, rank: int) -> User:
    school = at.school
    return student(at.district, school, school.first_student + rank, grade_of(school, rank))


def _joining(at: SchoolNight) -> Iterator[User]:
    grades = at.school.level.grades
    for ordinal in at.changes.joining:
        number = at.district.students + ordinal
        yield student(at.district, at.school, number, grades[ordinal % len(grades)])


def _successor(at: SchoolNight, base: User, change: Change) -> User:
    """The new student who is given the username of the one who left."""
    user = student(at.district, at.school, change.other, base.grade)
    return user._replace(username=base.username, email=base.email)


def _guardian(at: SchoolNight, child: User) -> Iterator[Entry[User]]:
    found = guardian(at.district, child)
    if found is not None:
        yield Entry(Action.IGNORED, found)


def _new_user(at: SchoolNight, user: User) -> Iterator[Entry[User]]:
    yield Entry(Action.CREATED, user)
    yield from _guardian(at, user)


def _changed_user(at: SchoolNight, base: User, change: Change) -> Iterator[Entry[User]]:
    if change.kind in {Kind.LEAVE, Kind.SUCCEED}:
        yield Entry(Action.ARCHIVED, None)
        if change.kind is Kind.SUCCEED:
            yield from _new_user(at, _successor(at, base, change))
        return
    if change.kind is Kind.REKEY:
        # Nobody is doubled: the new record waits for a decision, the stored one stays.
        rekeyed = base._replace(source_id=_rekeyed_id(at, base))
        yield Entry(Action.REJECTED, rekeyed, Problem.USER_ID_CHANGED)
    elif change.kind is Kind.PERSON_TWICE:
        yield Entry(at.usual, base)
        second = base._replace(family=_other_family(at, base))
        yield Entry(Action.REJECTED, second, Problem.ID_DUPLICATE)
    else:
        yield _rewritten_user(at, base, change)
    yield from _guardian(at, base)


def _rewritten_user(at: SchoolNight, base: User, change: Change) -> Entry[User]:
    user = base
    match change.kind:
        case Kind.MOVE if at.destination is not None:
            user = base._replace(org_ids=(at.destination.timetable.school.source_id,))
        case Kind.RENAME:
            user = base._replace(family=_other_family(at, base))
        case Kind.SWAP:
            other = _student(at, change.other)
            user = base._replace(username=other.username, email=other.email)
        case Kind.DISABLE:
            user = base._replace(is_enabled=False)
        case Kind.ROLE_UNKNOWN:
            user = base._replace(role=UNKNOWN_ROLE)
        case Kind.NAME_MISSING:
            user = base._replace(given="", family="")
        case _:
            pass
    problem = USER_PROBLEMS.get(change.kind)
    if problem is None or problem is Problem.USER_DISABLED:
        return Entry(at.usual if user is base else Action.UPDATED, user, problem)
    return Entry(Action.REJECTED, user, problem)


def _other_family(at: SchoolNight, base: User) -> str:
    return other_family(draw(at.district.keys.person, base.number)).text


def _rekeyed_id(at: SchoolNight, base: User) -> str:
    return source_id(at.district.keys.user, REKEYED + base.number)


def _staff_memberships(at: SchoolNight) -> Iterator[Entry[Membership]]:
    for section in at.place.timetable.sections:
        is_closed = section.ordinal in at.changes.closed
        for membership in _staff_of(at, section):
            yield Entry(Action.ARCHIVED, None) if is_closed else Entry(at.usual, membership)


def _staff_of(at: SchoolNight, section: Section) -> Iterator[Membership]:
    keys, school = at.district.keys, at.school
    teacher = teacher_id(at.district, school, section.teacher)
    yield section_membership(keys, school, section, user_id=teacher, position=0, role="teacher")
    # OneRoster knows no aide in an enrollment: who helps is a teacher, and not the primary one.
    for aide in at.place.timetable.aides_of(section):
        helper = aide_id(at.district, school, aide)
        yield section_membership(
            keys, school, section, user_id=helper, position=1 + aide, role="teacher"
        )


def _opened_memberships(at: SchoolNight) -> Iterator[Entry[Membership]]:
    keys, school = at.district.keys, at.school
    for section, ranks in at.changes.opened:
        teacher = teacher_id(at.district, school, section.teacher)
        people = [(teacher, 0, "teacher")]
        for index, rank in enumerate(ranks):
            user_id = source_id(keys.user, school.first_student + rank)
            people.append((user_id, FIRST_OPENED_POSITION + index, "student"))
        for user_id, position, role in people:
            membership = section_membership(
                keys, school, section, user_id=user_id, position=position, role=role
            )
            yield Entry(Action.CREATED, membership)


def _placed(at: SchoolNight, place: Place, user: User) -> Iterator[Entry[Membership]]:
    """The memberships of a student who is new in a school, one for each offer of the grade."""
    timetable = place.timetable
    cohort = timetable.cohort_of_grade(user.grade)
    for slot, count in enumerate(cohort.counts):
        ordinal = cohort.firsts[slot] + user.number % count
        section = timetable.sections[cohort.firsts[slot] if ordinal in place.closed else ordinal]
        membership = student_membership(
            at.district.keys,
            section,
            number=user.number,
            user_id=user.source_id,
            slot=slot,
            variant=LATER,
        )
        yield Entry(Action.CREATED, membership)


def _student_memberships(at: SchoolNight, rank: int) -> Iterator[Entry[Membership]]:
    number = at.school.first_student + rank
    user_id = source_id(at.district.keys.user, number)
    change = at.changes.students.get(rank)
    for slot, ordinal in enumerate(at.place.timetable.ordinals(rank)):
        membership = student_membership(
            at.district.keys,
            at.place.timetable.sections[ordinal],
            number=number,
            user_id=user_id,
            slot=slot,
        )
        if ordinal in at.changes.closed:
            yield Entry(Action.ARCHIVED, None)
        elif change is None:
            yield Entry(at.usual, membership)
        else:
            yield from _changed_membership(at, rank, change, slot, membership)
    if change is not None:
        yield from _new_memberships(at, rank, change)


def _new_memberships(at: SchoolNight, rank: int, change: Change) -> Iterator[Entry[Membership]]:
    if change.kind is Kind.MOVE and at.destination is not None:
        yield from _placed(at, at.destination, _student(at, rank))
    elif change.kind is Kind.SUCCEED:
        yield from _placed(at, at.place, _successor(at, _student(at, rank), change))


def _changed_membership(
    at: SchoolNight, rank: int, change: Change, slot: int, membership: Membership
) -> Iterator[Entry[Membership]]:
    """What becomes of a membership in an open section of a student to whom something happens."""
    if change.kind in {Kind.LEAVE, Kind.SUCCEED, Kind.MOVE}:
        yield Entry(Action.ARCHIVED, None)
    elif change.kind is Kind.REKEY:
        yield Entry(Action.UNCHANGED, None)
        new_id = _rekeyed_id(at, _student(at, rank))
        yield Entry(Action.IGNORED, membership._replace(user_id=new_id))
    elif slot == change.slot:
        yield from _rewritten_membership(at, rank, change, membership)
    else:
        yield Entry(at.usual, membership)


def _rewritten_membership(
    at: SchoolNight, rank: int, change: Change, membership: Membership
) -> Iterator[Entry[Membership]]:
    again = _later_enrollment(at, rank, change, membership)
    match change.kind:
        case Kind.SWITCH:
            yield Entry(Action.ARCHIVED, None)
            yield Entry(Action.CREATED, again)
        case Kind.END_EARLIER:
            *kept, last = membership.spans
            earlier = (*kept, last._replace(end=EARLIER_END[last.end]))
            yield Entry(Action.UPDATED, membership._replace(spans=earlier))
        case Kind.REISSUE:
            yield Entry(Action.UPDATED, again)
        case Kind.ROW_TWICE:
            yield Entry(at.usual, membership)
            twice = membership._replace(spans=membership.spans[:1])
            yield Entry(Action.REJECTED, twice, Problem.ID_DUPLICATE)
        case Kind.USER_UNKNOWN | Kind.SECTION_UNKNOWN:
            yield Entry(at.usual, membership)
            yield _dangling(at, change, again)
        case _:
            yield Entry(at.usual, membership)


def _later_enrollment(
    at: SchoolNight, rank: int, change: Change, membership: Membership
) -> Membership:
    """The student enrolled anew: in the other section of a switch, else in the same one."""
    timetable = at.place.timetable
    here = timetable.ordinals(rank)[change.slot]
    ordinal = change.section if change.kind is Kind.SWITCH else here
    return student_membership(
        at.district.keys,
        timetable.sections[ordinal],
        number=at.school.first_student + rank,
        user_id=membership.user_id,
        slot=change.slot,
        variant=LATER,
    )


def _dangling(at: SchoolNight, change: Change, membership: Membership) -> Entry[Membership]:
    """A row that names a user or a section which no file has."""
    keys, spans = at.district.keys, membership.spans[:1]
    if change.kind is Kind.USER_UNKNOWN:
        nobody = source_id(keys.user, NOBODY + int(membership.spans[0].source_id[:8], 16))
        dangling = membership._replace(user_id=nobody, spans=spans)
        return Entry(Action.REJECTED, dangling, Problem.ENR_USER_MISSING)
    nothing = source_id(keys.section, NOBODY + int(membership.spans[0].source_id[:8], 16))
    dangling = membership._replace(section_id=nothing, spans=spans)
    return Entry(Action.REJECTED, dangling, Problem.ENR_CLASS_MISSING)
