"""Clever's sections: each is a group, and the list of those who are in it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from typing import Final, NamedTuple

from domain.providers.clever.decoding import Odd
from domain.providers.clever.mapping import grade_of, map_grade
from domain.providers.clever.objects import Members, Object, Section
from domain.providers.clever.rows import (
    Draft,
    OddError,
    Remarks,
    keys_of,
    listed,
    take_odd,
    take_row,
    trimmed,
)
from domain.providers.vocabulary import ID_LENGTH, TEXT_LENGTH, is_usable_id
from domain.roster.records import Enrollment, Group, MembershipRole, RecordType
from domain.validation.codes import Code

MEMBERS_PER_PAGE: Final = 10_000
_HOMEROOM: Final = {"homeroom/advisory": "homeroom"}
_STUDENT: Final = MembershipRole.STUDENT.value
_TEACHER: Final = MembershipRole.TEACHER.value
_MEMBERS: Final = ("students", "teacher", "teachers")
_LONGEST_PLAIN: Final = (ID_LENGTH - len("//teacher")) // 2
_make = partial(tuple.__new__, Enrollment)
_make_group = partial(tuple.__new__, Group)
_texts = attrgetter(
    "id",
    "name",
    "school",
    "course",
    "term_id",
    "section_number",
    "period",
    "grade",
    "subject",
    "sis_id",
)


class _Commons(NamedTuple):
    """What many sections have in common."""

    grades: tuple[str, ...]
    subjects: tuple[str, ...]
    kind: str | None


def map_section(section: Section, remarks: Remarks) -> Group:
    """Clever does not say what kind of class it is, unless its subject is the homeroom."""
    remarks.hide(*_MEMBERS)
    subject = remarks.optional("subject", section.subject)
    return Group(
        source_id=remarks.require_usable_id(),
        name=remarks.short("name", section.name),
        school_source_id=remarks.required("school", section.school),
        course_source_id=remarks.optional("course", section.course),
        term_source_ids=listed((section.term_id or "",)),
        code=remarks.optional("section_number", section.section_number),
        kind=_HOMEROOM.get((subject or "").lower()),
        period=remarks.optional("period", section.period),
        grades=map_grade(remarks, "grade", section.grade, Code.CLASS_GRADE_UNMAPPED),
        subjects=(subject,) if subject else (),
        keys=keys_of(("sis_id", section.sis_id)),
    )


def read_groups(rows: Sequence[Object | Odd]) -> Draft:
    """Plain ones take a short way, others that of `map_section`; both lead to the same group."""
    draft = Draft()
    keep = draft.records.append
    for row in rows:
        if isinstance(row, Section):
            try:
                keep(_plain_group(row))
            except OddError:
                take_row(draft, row, RecordType.GROUP, map_section)
        elif isinstance(row, Odd):
            take_odd(draft, row, RecordType.GROUP)
    return draft


def _plain_group(section: Section) -> Group:
    source_id, name, school, course, term, number, period, grade, subject, sis_id = _texts(section)
    joined = f"|{source_id}|{name}|{school}|{course}|{term}|{number}|{period}|{subject}|{sis_id}|"
    if (
        not source_id
        or not school
        or len(joined) > TEXT_LENGTH
        or " |" in joined
        or "| " in joined
        or not joined.isprintable()
    ):
        raise OddError
    grades, subjects, kind = _commons(grade, subject)
    return _make_group(
        (
            source_id,
            name or "",
            school,
            course or None,
            (term,) if term else (),
            number or None,
            kind,
            period or None,
            grades,
            subjects,
            (f"sis_id:{sis_id}",) if sis_id else (),
        )
    )


@lru_cache(maxsize=1000)
def _commons(grade: str | None, subject: str | None) -> _Commons:
    found = grade_of(grade) if grade else None
    if grade and found is None:
        raise OddError
    return _Commons(
        (found,) if found else (),
        (subject,) if subject else (),
        _HOMEROOM.get((subject or "").lower()),
    )


def with_members(rows: Sequence[Object | Odd]) -> Iterator[list[Members]]:
    """The sections in portions whose members make a page. There is one at least."""
    portion: list[Members] = []
    size = 0
    for row in rows:
        members = row.members if isinstance(row, Odd) else row
        if isinstance(members, Members):
            portion.append(members)
            size += len(members.students or ()) + len(members.teachers or ())
        if size >= MEMBERS_PER_PAGE:
            yield portion
            portion, size = [], 0
    yield portion


def read_members(sections: Sequence[Members]) -> Draft:
    """Most of what Clever sends are these: plain ones are made without a look at each."""
    draft = Draft()
    for section in sections:
        group, teacher = section.id, section.teacher
        students, teachers = section.students or (), section.teachers or ()
        if teacher and teacher not in teachers:
            teachers = (teacher, *teachers)
        ids = (group, *students, *teachers)
        if not _are_plain(ids):
            _read_odd_members(draft, section)
            continue
        draft.records += [
            _make((f"{group}/{user}/student", user, group, _STUDENT, False, None, None))
            for user in dict.fromkeys(students)
        ]
        draft.records += [
            _make((f"{group}/{user}/teacher", user, group, _TEACHER, user == teacher, None, None))
            for user in dict.fromkeys(teachers)
        ]
    return draft


def _are_plain(ids: tuple[str, ...]) -> bool:
    joined = "".join(ids)
    return (
        all(ids)
        and " " not in joined
        and joined.isprintable()
        and len(max(ids, key=len)) <= _LONGEST_PLAIN
    )


def _read_odd_members(draft: Draft, section: Members) -> None:
    group = section.id.strip()
    if not group or not is_usable_id(group):
        return  # told with the groups
    teacher = trimmed(section.teacher)
    for user in listed(section.students):
        _take_member(draft, section, Enrollment("", user, group, _STUDENT))
    for user in listed((teacher, *(section.teachers or ()))):
        _take_member(draft, section, Enrollment("", user, group, _TEACHER, user == teacher))


def _take_member(draft: Draft, section: Members, enrollment: Enrollment) -> None:
    user, group = enrollment.user_source_id, enrollment.group_source_id
    source_id = f"{group}/{user}/{enrollment.role.lower()}"
    if is_usable_id(source_id):
        draft.take(enrollment._replace(source_id=source_id))
        return
    remarks = Remarks(RecordType.MEMBERSHIP, section)
    remarks.hide(*_MEMBERS)
    field = "teachers" if enrollment.role == _TEACHER else "students"
    problem = remarks.problem(Code.ID_INVALID, field, "an id that can be stored", user)
    draft.reject(problem._replace(source_id=None, rejects=True))
