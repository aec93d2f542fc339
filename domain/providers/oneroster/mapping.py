"""Rows as records: organisations, academic sessions, courses, classes and enrollments."""

from typing import Final

from domain.providers.oneroster.cells import Cells
from domain.providers.oneroster.drafts import Rules
from domain.providers.vocabulary import (
    CLASS_TYPES,
    MEMBERSHIP_ROLES,
    ORG_TYPES,
    SESSION_TYPES,
    is_extension,
    normalise_grade,
    parse_boolean,
)
from domain.roster.records import Course, Enrollment, Group, MembershipRole, School, Term
from domain.roster.source import Ignored
from domain.validation.codes import Code

_GRADE_WORDS: Final = "a CEDS grade: 01 to 13, KG, PK, TK, PR, IT, PS, UG, Other"
_ROLE_WORDS: Final = "student, teacher, administrator, proctor or aide"


def map_org(cells: Cells, rules: Rules) -> School | Ignored:
    """A school; every other kind of organisation is only remembered by its type."""
    word = cells.required("type")
    kind = word if is_extension(word) else ORG_TYPES.get(word.lower())
    if kind is None:
        cells.reject(Code.FIELD_ENUM, "type", ", ".join(ORG_TYPES.values()), word)
    rules.org_types.setdefault(cells.source_id, kind)
    if kind != "school":
        return Ignored(cells.source_id, kind)
    return School(
        source_id=cells.source_id,
        name=cells.required("name"),
        number=cells.optional("identifier"),
        parent_source_id=cells.reference("parentSourcedId"),
    )


def map_session(cells: Cells) -> Term:
    name = cells.required("title")
    word = cells.text("type")
    kind = SESSION_TYPES.get(word.lower())
    if kind is None:
        cells.warn(Code.FIELD_ENUM, "type", ", ".join(SESSION_TYPES.values()), word)
    starts_on, ends_on = cells.span("startDate", "endDate")
    return Term(
        source_id=cells.source_id,
        name=name,
        kind=kind or "term",
        starts_on=starts_on,
        ends_on=ends_on,
        parent_source_id=cells.reference("parentSourcedId"),
    )


def map_course(cells: Cells) -> Course:
    return Course(
        source_id=cells.source_id,
        name=cells.required("title"),
        code=cells.optional("courseCode"),
        subjects=cells.listed("subjects"),
    )


def map_class(cells: Cells, rules: Rules) -> Group:
    school = cells.required("schoolSourcedId")
    kind_of_org = rules.org_types.get(school, "school")
    if kind_of_org != "school":
        cells.reject(
            Code.ORG_TYPE_WRONG, "schoolSourcedId", "a school", f"{school} ({kind_of_org})"
        )
    return Group(
        source_id=cells.source_id,
        name=cells.short("title"),
        school_source_id=school,
        course_source_id=cells.reference("courseSourcedId"),
        term_source_ids=cells.listed("termSourcedIds"),
        code=cells.optional("classCode"),
        kind=_class_kind(cells),
        period=", ".join(cells.listed("periods")) or None,
        grades=map_grades(cells, Code.CLASS_GRADE_UNMAPPED),
        subjects=cells.listed("subjects"),
    )


def _class_kind(cells: Cells) -> str | None:
    word = cells.optional("classType")
    if word is None or is_extension(word):
        return word
    kind = CLASS_TYPES.get(word.lower())
    if kind is None:
        cells.warn(Code.FIELD_ENUM, "classType", ", ".join(CLASS_TYPES.values()), word)
    return kind


def map_grades(cells: Cells, code: Code) -> tuple[str, ...]:
    """The grades that are known; the others are left out, with one warning for all of them."""
    words = cells.listed("grades")
    grades = [normalise_grade(word) for word in words]
    unknown = [word for word, grade in zip(words, grades, strict=True) if grade is None]
    if unknown:
        cells.warn(code, "grades", _GRADE_WORDS, ", ".join(unknown))
    return tuple(dict.fromkeys(filter(None, grades)))


def map_enrollment(cells: Cells) -> Enrollment | Ignored:
    word = cells.text("role")
    if word.lower() not in MEMBERSHIP_ROLES:
        cells.reject(Code.ENR_ROLE_INVALID, "role", _ROLE_WORDS, word)
    role = MEMBERSHIP_ROLES[word.lower()]
    if role is None:
        return Ignored(cells.source_id, word.lower())
    user = _required_reference(cells, "userSourcedId")
    group = _required_reference(cells, "classSourcedId")
    begins_on, ends_on = cells.span("beginDate", "endDate")
    return Enrollment(
        source_id=cells.source_id,
        user_source_id=user,
        group_source_id=group,
        role=role.value,
        is_primary=role is MembershipRole.TEACHER and _is_primary(cells),
        begins_on=begins_on,
        ends_on=ends_on,
    )


def _required_reference(cells: Cells, column: str) -> str:
    text = cells.text(column)
    if not text:
        cells.reject(Code.FIELD_REQUIRED, column, "an id", "")
    return text


def _is_primary(cells: Cells) -> bool:
    text = cells.text("primary")
    is_primary = parse_boolean(text)
    if text and is_primary is None:
        cells.warn(Code.FIELD_TYPE, "primary", "true or false", text)
    return bool(is_primary)
