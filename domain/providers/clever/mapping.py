"""Clever's schools, terms and courses as records, and its words for grades."""

from datetime import date, timedelta
from typing import Final

from domain.providers.clever import objects
from domain.providers.clever.rows import Remarks, keys_of, trimmed
from domain.providers.vocabulary import normalise_grade, parse_date
from domain.roster.records import Course, School, Term
from domain.validation.codes import Code

GRADE_WORDS: Final = (
    "a grade of Clever's: InfantToddler, Preschool, PreKindergarten, TransitionalKindergarten,"
    " Kindergarten, 1 to 13, PostGraduate, Ungraded, Other"
)
_GRADES: Final = {
    "infanttoddler": "IT",
    "preschool": "PR",
    "prekindergarten": "PK",
    "transitionalkindergarten": "TK",
    "kindergarten": "KG",
    "postgraduate": "PS",
    "ungraded": "UG",
    "other": "Other",
}
_TERM: Final = "term"


def map_school(school: objects.School, remarks: Remarks) -> School:
    return School(
        source_id=remarks.require_usable_id(),
        name=remarks.required("name", school.name),
        number=remarks.optional("school_number", school.school_number),
        keys=keys_of(("sis_id", school.sis_id)),
    )


def map_term(term: objects.Term, remarks: Remarks) -> Term:
    """Clever makes terms out of sections, so that some have no name: their days tell them apart."""
    source_id = remarks.require_usable_id()
    name = remarks.short("name", term.name)
    starts_on, last_day = _span(term, remarks)
    days = " to ".join(day.isoformat() for day in (starts_on, last_day) if day)
    return Term(
        source_id=source_id,
        name=name or days or source_id,
        kind=_TERM,
        starts_on=starts_on,
        ends_on=_day_after(last_day),
    )


def _span(term: objects.Term, remarks: Remarks) -> tuple[date | None, date | None]:
    starts_on = _day(remarks, "start_date", term.start_date)
    last_day = _day(remarks, "end_date", term.end_date)
    if starts_on and last_day and last_day < starts_on:
        expected = f"a day not before start_date {starts_on}"
        remarks.warn(Code.DATES_REVERSED, "end_date", expected, last_day.isoformat())
        return None, None
    return starts_on, last_day


def _day(remarks: Remarks, field: str, value: str | None) -> date | None:
    text = trimmed(value)
    day = parse_date(text)
    if text and day is None:
        remarks.warn(Code.FIELD_TYPE, field, "a date as YYYY-MM-DD", text)
    return day


def _day_after(last_day: date | None) -> date | None:
    """Clever's terms end on a day that is in them. The last day of all means no end."""
    if last_day is None or last_day == date.max:
        return None
    return last_day + timedelta(days=1)


def map_course(course: objects.Course, remarks: Remarks) -> Course:
    source_id = remarks.require_usable_id()
    number = remarks.optional("number", course.number)
    return Course(
        source_id=source_id,
        name=remarks.short("name", course.name) or number or source_id,
        code=number,
    )


def map_grade(remarks: Remarks, field: str, value: str | None, code: Code) -> tuple[str, ...]:
    text = trimmed(value)
    if not text:
        return ()
    grade = grade_of(text)
    if grade is None:
        remarks.warn(code, field, GRADE_WORDS, text)
        return ()
    return (grade,)


def grade_of(word: str) -> str | None:
    """The CEDS code of a grade of Clever's."""
    return _GRADES.get(word.lower()) or normalise_grade(word)
