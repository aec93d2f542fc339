"""The sections of a school and the memberships in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from api.generator.district import GRADES, District, School, grade_of
from api.generator.keys import Keys, source_id

STUDENTS_PER_COHORT = 12
SECTIONS_PER_AIDE = 3
# Every so many sections of a whole year enrol their students once for each semester.
SPLIT_EVERY = 40
ROOMS_PER_FLOOR = 40
PERIODS = 8
# Coprime to most cohort sizes, so that no two courses of a cohort have the same classmates.
STRIDES = (1, 7, 11, 13, 17, 19)
SLOTS = 16
VARIANTS = 4
SECTIONS_PER_SCHOOL = 1 << 16
POSITIONS = 1 << 10
# The numbers of enrollments that belong to a section start above those that belong to a student.
FIRST_SECTION_NUMBER = 1 << 52


class Offer(NamedTuple):
    """What every student of a cohort takes, in sections of about `size`."""

    number: int
    code: str
    subject: str
    size: int
    is_homeroom: bool = False
    is_semester: bool = False


ELEMENTARY_OFFERS = (
    Offer(0, "HR", "Homeroom", 20, is_homeroom=True),
    Offer(1, "READ", "Reading", 7),
    Offer(2, "MATH", "Mathematics", 10),
    Offer(3, "KEYB", "Keyboarding", 20),
)
SECONDARY_OFFERS = (
    Offer(4, "ADV", "Advisory", 15, is_homeroom=True),
    Offer(5, "ENG", "English", 10),
    Offer(6, "MAT", "Mathematics", 10),
    Offer(7, "SCI", "Science", 10),
    Offer(8, "SOC", "Social Studies", 10),
    Offer(9, "TYPE", "Typing and Computing", 10, is_semester=True),
)
ELEMENTARY_GRADES = GRADES[:6]


class Course(NamedTuple):
    source_id: str
    year_id: str
    title: str
    code: str
    grade: str
    org_id: str
    subject: str


class Section(NamedTuple):
    """A class: `number` counts the sections of one offer in one cohort."""

    source_id: str
    school_id: str
    ordinal: int
    cohort: int
    number: int
    offer: Offer
    title: str
    code: str
    grades: tuple[str, ...]
    course_id: str
    term_ids: tuple[str, ...]
    spans: tuple[tuple[str, str], ...]
    teacher: int
    room: str
    period: str


class Span(NamedTuple):
    source_id: str
    begin: str
    end: str
    is_primary: bool


class Membership(NamedTuple):
    """A user in a section with a role; each span is a row of enrollments.csv."""

    user_id: str
    section_id: str
    school_id: str
    role: str
    spans: tuple[Span, ...]


class Cohort(NamedTuple):
    """Students of neighbouring ranks who take the same offers; `firsts` are section ordinals."""

    first_rank: int
    students: int
    grades: tuple[str, ...]
    offers: tuple[Offer, ...]
    firsts: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timetable:
    school: School
    cohorts: tuple[Cohort, ...]
    sections: tuple[Section, ...]

    def cohort_number(self, rank: int) -> int:
        return rank * len(self.cohorts) // self.school.students

    def ordinals(self, rank: int) -> list[int]:
        """The sections of the student of this rank, one for each slot."""
        cohort = self.cohorts[self.cohort_number(rank)]
        place = rank - cohort.first_rank
        students = cohort.students
        taken = []
        for slot, count in enumerate(cohort.counts):
            stride = STRIDES[slot] if students % STRIDES[slot] else 1
            taken.append(cohort.firsts[slot] + place * stride % students * count // students)
        return taken

    def cohort_of_grade(self, grade: str) -> Cohort:
        """The cohort of a grade, or the nearest when the school does not have the grade."""
        wanted = GRADES.index(grade)
        return min(
            self.cohorts,
            key=lambda cohort: min(abs(GRADES.index(has) - wanted) for has in cohort.grades),
        )

    def aides_of(self, section: Section) -> Iterator[int]:
        """The aides who help in a section, by their number in the school."""
        for aide in range(self.school.aides):
            first = aide * len(self.sections) // self.school.aides
            if first <= section.ordinal < first + SECTIONS_PER_AIDE:
                yield aide


def courses(district: District) -> Iterator[Course]:
    for offer in (*ELEMENTARY_OFFERS, *SECONDARY_OFFERS):
        is_elementary = offer in ELEMENTARY_OFFERS
        for grade in GRADES:
            if (grade in ELEMENTARY_GRADES) == is_elementary:
                yield Course(
                    course_id(district.keys, offer, grade),
                    district.terms.year.source_id,
                    _title(offer, grade),
                    f"{offer.code}-{grade}",
                    grade,
                    district.org.source_id,
                    offer.subject,
                )


def course_id(keys: Keys, offer: Offer, grade: str) -> str:
    return source_id(keys.course, offer.number * len(GRADES) + GRADES.index(grade))


def section_number(school: School, ordinal: int) -> int:
    return school.number * SECTIONS_PER_SCHOOL + ordinal


def timetable_of(district: District, school: School) -> Timetable:
    cohorts = tuple(_cohorts(school))
    total = sum(sum(cohort.counts) for cohort in cohorts)
    sections = tuple(
        section_of(district, school, cohort, slot, place=(number, index, total))
        for number, cohort in enumerate(cohorts)
        for slot, count in enumerate(cohort.counts)
        for index in range(count)
    )
    return Timetable(school, cohorts, sections)


def section_of(
    district: District, school: School, cohort: Cohort, slot: int, *, place: tuple[int, int, int]
) -> Section:
    """The section of a slot; its place is cohort, number within the offer, sections in all."""
    cohort_number, number, total = place
    ordinal = cohort.firsts[slot] + number
    offer = cohort.offers[slot]
    grade = cohort.grades[0]
    term_ids, spans = _calendar(district, offer, ordinal, number)
    return Section(
        source_id=source_id(district.keys.section, section_number(school, ordinal)),
        school_id=school.source_id,
        ordinal=ordinal,
        cohort=cohort_number,
        number=number,
        offer=offer,
        title=f"{_title(offer, grade)} {number + 1}",
        code=f"{offer.code}-{grade}-{number + 1:02d}",
        grades=cohort.grades,
        course_id=course_id(district.keys, offer, grade),
        term_ids=term_ids,
        spans=spans,
        teacher=ordinal * school.teachers // total,
        room=f"Room {100 * (1 + ordinal // ROOMS_PER_FLOOR) + ordinal % ROOMS_PER_FLOOR}",
        period=f"{ordinal % PERIODS + 1}",
    )


def student_membership(
    keys: Keys, section: Section, *, number: int, user_id: str, slot: int, variant: int = 0
) -> Membership:
    """A student in a section; a variant other than 0 is a later enrollment in the same slot."""
    first = (number * SLOTS + slot) * VARIANTS + variant
    spans = tuple(
        Span(source_id(keys.enrollment, first + index), begin, end, is_primary=False)
        for index, (begin, end) in enumerate(section.spans)
    )
    return Membership(user_id, section.source_id, section.school_id, "student", spans)


def section_membership(
    keys: Keys, school: School, section: Section, *, user_id: str, position: int, role: str
) -> Membership:
    """A membership numbered by its position in the section; the teacher's is the first."""
    base = section_number(school, section.ordinal) * POSITIONS + position * VARIANTS
    first = FIRST_SECTION_NUMBER + base
    is_student = role == "student"
    dates = section.spans if is_student else ((section.spans[0][0], section.spans[-1][1]),)
    spans = tuple(
        Span(source_id(keys.enrollment, first + index), begin, end, is_primary=position == 0)
        for index, (begin, end) in enumerate(dates)
    )
    return Membership(user_id, section.source_id, section.school_id, role, spans)


def _title(offer: Offer, grade: str) -> str:
    return f"{'Kindergarten' if grade == 'KG' else f'Grade {int(grade)}'} {offer.subject}"


def _cohorts(school: School) -> Iterator[Cohort]:
    """One cohort for each grade, or fewer where the grades are too small to fill a class."""
    students = school.students
    total = min(len(school.level.grades), max(1, students // STUDENTS_PER_COHORT))
    ordinal = 0
    for number in range(total):
        first = -(-number * students // total)
        end = -(-(number + 1) * students // total)
        grades = tuple(dict.fromkeys(grade_of(school, rank) for rank in range(first, end)))
        is_elementary = grades[0] in ELEMENTARY_GRADES
        offers = ELEMENTARY_OFFERS if is_elementary else SECONDARY_OFFERS
        counts = tuple(max(1, (end - first + offer.size // 2) // offer.size) for offer in offers)
        firsts = tuple(ordinal + sum(counts[:slot]) for slot in range(len(counts)))
        ordinal += sum(counts)
        yield Cohort(first, end - first, grades, offers, firsts, counts)


def _calendar(
    district: District, offer: Offer, ordinal: int, number: int
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The terms of a section and the dates of an enrollment in it."""
    year, fall, spring = district.terms
    if offer.is_semester:
        term = spring if number % 2 else fall
        return (term.source_id,), ((term.begin, term.end),)
    both = (fall.source_id, spring.source_id)
    if ordinal % SPLIT_EVERY == SPLIT_EVERY - 1:
        return both, ((fall.begin, fall.end), (spring.begin, spring.end))
    return both, ((year.begin, year.end),)
