"""The short way of plain classes and enrollments, which is most of what a server sends.

Written for speed: many fields at once, one look for each into what is known. Whatever is odd
raises an OddError, or an AttributeError or TypeError where a value is of another type.
"""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from operator import attrgetter
from typing import Any

from domain.providers.oneroster.drafts import Memo, OddError, Rules
from domain.providers.oneroster.standings import plain_grades
from domain.providers.oneroster_rest.objects import Row
from domain.providers.vocabulary import (
    CLASS_TYPES,
    ID_LENGTH,
    MEMBERSHIP_ROLES,
    TEXT_LENGTH,
    parse_boolean,
    parse_date,
)
from domain.roster.records import Enrollment, Group, MembershipRole, Record
from domain.roster.source import Ignored

TakePlain = Callable[[Row], Record | Ignored]
TakeAllPlain = Callable[[Sequence[Row]], Sequence[Record]]
"""Takes many rows at once, or none of them: one that is not plain raises an error."""


def plain_enrollments() -> TakeAllPlain:
    """Column by column, without a function of Python's own for a row."""
    pick_id = attrgetter("sourcedId")
    pick_user = attrgetter("userSourcedId.sourcedId")
    pick_group = attrgetter("classSourcedId.sourcedId")
    pick_stay = attrgetter("status", "role", "primary", "beginDate", "endDate")
    stays = Memo(_stay)
    make = partial(tuple.__new__, Enrollment)

    def take(rows: Sequence[Row]) -> Sequence[Enrollment]:
        source_ids, users, groups = (
            list(map(pick, rows)) for pick in (pick_id, pick_user, pick_group)
        )
        joined = "".join(("".join(source_ids), "".join(users), "".join(groups)))
        if (
            not (all(source_ids) and all(users) and all(groups))
            or " " in joined
            or not joined.isprintable()
            or max(map(len, source_ids)) > ID_LENGTH
        ):
            raise OddError
        alike = zip(*map(stays.__getitem__, map(pick_stay, rows)), strict=True)
        return list(map(make, zip(source_ids, users, groups, *alike, strict=True)))

    return take


_Stay = tuple[str, bool, date | None, date | None]


def _stay(values: tuple[Any, ...]) -> _Stay:
    """What many enrollments have in common: role, primary, begin and end."""
    status, word, primary, begin, end = values
    require_active(status)
    role = MEMBERSHIP_ROLES.get(word.strip().lower())
    begins_on, ends_on = _day(begin), _day(end)
    if role is None or (begins_on and ends_on and ends_on <= begins_on):
        raise OddError
    is_primary = flag_of(primary)
    if role is not MembershipRole.TEACHER:
        return role.value, False, begins_on, ends_on
    if primary not in (None, "") and is_primary is None:
        raise OddError
    return role.value, bool(is_primary), begins_on, ends_on


def _day(value: Any) -> date | None:
    text = "" if value is None else value.strip()
    day = parse_date(text)
    if text and day is None:
        raise OddError
    return day


def require_active(status: Any) -> None:
    """Without a status a row may be one that is not active yet."""
    if status.strip().lower() != "active":
        raise OddError


def flag_of(value: Any) -> bool | None:
    """A boolean, which some servers write as a text."""
    if isinstance(value, bool):
        return value
    return None if value is None else parse_boolean(str(value))


def plain_class(rules: Rules) -> TakePlain:
    pick_texts = attrgetter("sourcedId", "title", "schoolSourcedId.sourcedId", "classCode")
    pick_common = attrgetter("status", "classType")
    pick_course = attrgetter("courseSourcedId")
    pick_lists = attrgetter("periods", "grades", "subjects")
    pick_terms = attrgetter("termSourcedIds")
    kinds, listed = Memo(_kind), Memo(_listed)
    grades_of = Memo(plain_grades)
    make = partial(tuple.__new__, Group)

    def take(row: Row) -> Group:
        texts = tuple(map(plain_text, pick_texts(row)))
        source_id, title, school, code = texts
        course = pick_course(row)
        course_id = plain_text(course.sourcedId) if course else ""
        if (
            not source_id
            or max(map(len, texts)) > TEXT_LENGTH
            or not source_id.isprintable()
            or not school
            or rules.org_types.get(school, "school") != "school"
        ):
            raise OddError
        periods, grades, subjects = (listed[plain_list(values)] for values in pick_lists(row))
        return make(
            (
                source_id,
                title,
                school,
                course_id or None,
                listed[plain_ids(pick_terms(row))],
                code or None,
                kinds[pick_common(row)],
                ", ".join(periods) or None,
                grades_of[grades],
                subjects,
                (),
            )
        )

    return take


def _kind(values: tuple[Any, Any]) -> str | None:
    status, word = values
    require_active(status)
    text = plain_text(word)
    kind = CLASS_TYPES.get(text.lower())
    if text and kind is None:
        raise OddError
    return kind


def plain_text(value: Any) -> str:
    text: str = "" if value is None else value.strip()
    return text


def plain_list(values: Any) -> tuple[Any, ...]:
    if values is None:
        return ()
    if type(values) is not list:
        raise OddError
    return tuple(values)


def plain_ids(references: Any) -> tuple[Any, ...]:
    if references is None:
        return ()
    if type(references) is not list:
        raise OddError
    return tuple([reference.sourcedId for reference in references])


def _listed(values: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(str.strip, values))))
