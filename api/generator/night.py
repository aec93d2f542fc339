"""The changes of the next night: which student, which section, and what happens to each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import NamedTuple

from api.generator.district import SMALLEST_WITH_TWO_SCHOOLS, District, School
from api.generator.keys import draw, source_id
from api.generator.people import TWO_SCHOOLS_EVERY
from api.generator.timetable import Section, Timetable, section_number

SMALLEST_CHANGE_WITH_EVERY_KIND = 0.01
NEW_SECTION_STUDENTS = 8


class Kind(StrEnum):
    """What can happen. A student meets with one kind at most, so that nothing counts twice."""

    LEAVE = auto()
    SUCCEED = auto()  # leaves, and a new student is given the username
    MOVE = auto()
    ROLE_UNKNOWN = auto()
    NAME_MISSING = auto()
    SWITCH = auto()  # goes to another section of the same school
    END_EARLIER = auto()
    REISSUE = auto()  # an enrollment has a new identifier
    ROW_TWICE = auto()  # an enrollment's row is there twice
    USER_UNKNOWN = auto()  # a row enrols nobody
    SECTION_UNKNOWN = auto()  # a row enrols in nothing
    RENAME = auto()
    SWAP = auto()  # two students exchange their usernames; counted in pairs
    REKEY = auto()
    DISABLE = auto()
    PERSON_TWICE = auto()  # a second row has the same identifier and another name
    JOIN = auto()
    CLOSE = auto()
    OPEN = auto()
    RETITLE = auto()


# Of each hundred changed students so many meet with a kind; sections change in proportion.
SHARES: Mapping[Kind, float] = {
    Kind.LEAVE: 0.10,
    Kind.SUCCEED: 0.02,
    Kind.MOVE: 0.10,
    Kind.ROLE_UNKNOWN: 0.01,
    Kind.NAME_MISSING: 0.01,
    Kind.SWITCH: 0.20,
    Kind.END_EARLIER: 0.10,
    Kind.REISSUE: 0.06,
    Kind.ROW_TWICE: 0.02,
    Kind.USER_UNKNOWN: 0.02,
    Kind.SECTION_UNKNOWN: 0.02,
    Kind.RENAME: 0.10,
    Kind.SWAP: 0.02,
    Kind.REKEY: 0.04,
    Kind.DISABLE: 0.04,
    Kind.PERSON_TWICE: 0.02,
    Kind.JOIN: 0.10,
    Kind.CLOSE: 0.02,
    Kind.OPEN: 0.02,
    Kind.RETITLE: 0.20,
}
NOT_OF_STUDENTS = frozenset({Kind.JOIN, Kind.CLOSE, Kind.OPEN, Kind.RETITLE})
OF_STUDENTS = tuple(kind for kind in Kind if kind not in NOT_OF_STUDENTS)
# A section must keep a student whom the engine accepts: these kinds take one away from it.
TAKING_AWAY = frozenset({Kind.LEAVE, Kind.SUCCEED, Kind.MOVE, Kind.ROLE_UNKNOWN, Kind.NAME_MISSING})
OF_ONE_SCHOOL = frozenset({Kind.MOVE, Kind.ROLE_UNKNOWN})
OF_ONE_SLOT = frozenset(
    {Kind.END_EARLIER, Kind.REISSUE, Kind.ROW_TWICE, Kind.USER_UNKNOWN, Kind.SECTION_UNKNOWN}
)


class Change(NamedTuple):
    """What happens to a student: in which slot, to which section, with which other number.

    The other is the rank of the student to swap with, or the number of the one who succeeds.
    """

    kind: Kind
    slot: int = 0
    section: int = 0
    other: int = 0


class Opened(NamedTuple):
    section: Section
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happens in one school."""

    students: Mapping[int, Change] = field(default_factory=dict)
    closed: frozenset[int] = frozenset()
    retitled: frozenset[int] = frozenset()
    opened: tuple[Opened, ...] = ()
    joining: range = range(0)


@dataclass(frozen=True, slots=True)
class Night:
    """The night after the first: how often each kind happens in the whole district."""

    district: District
    totals: Mapping[Kind, int]

    def quota(self, kind: Kind, school: School) -> range:
        """The ones of a kind that fall to a school: over all schools they are the total.

        Each kind starts counting at another student, so that rare kinds are in different schools.
        """
        students = self.district.students
        start = students * list(Kind).index(kind) // len(Kind)
        first = self.totals[kind] * school.first_student + start
        last = first + self.totals[kind] * school.students
        return range(first // students, last // students)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What is known while the students of a school are chosen."""

    district: District
    timetable: Timetable
    closed: frozenset[int]
    spare: list[int]  # of each section, how many students it can lose


def night_of(district: District, change: float) -> Night:
    if not 0 < change <= 1:
        raise ValueError("The share that changes is more than 0 and not more than 1.")
    has_every_kind = (
        district.students >= SMALLEST_WITH_TWO_SCHOOLS and change >= SMALLEST_CHANGE_WITH_EVERY_KIND
    )
    totals = {
        kind: max(int(has_every_kind), round(change * district.students * share))
        for kind, share in SHARES.items()
    }
    if len(district.schools) == 1:
        totals[Kind.MOVE] = 0
    return Night(district, totals)


def changes_of(night: Night, timetable: Timetable) -> Changes:
    closed = closed_sections(night, timetable)
    students, untouched = _chosen(night, timetable, closed)
    return Changes(
        students,
        closed,
        _drawn_sections(night, timetable, Kind.RETITLE, number=0),
        tuple(_opened(night, timetable, untouched)),
        night.quota(Kind.JOIN, timetable.school),
    )


def closed_sections(night: Night, timetable: Timetable) -> frozenset[int]:
    """Only second sections close: the first of each offer stays and can take newcomers."""
    return _drawn_sections(night, timetable, Kind.CLOSE, number=1)


def _drawn_sections(
    night: Night, timetable: Timetable, kind: Kind, *, number: int
) -> frozenset[int]:
    key, school = night.district.keys.night, timetable.school
    ordinals = [section.ordinal for section in timetable.sections if section.number == number]
    ordinals.sort(key=lambda ordinal: draw(key, -1 - section_number(school, ordinal)))
    return frozenset(ordinals[: len(night.quota(kind, school))])


def _opened(night: Night, timetable: Timetable, untouched: list[int]) -> Iterator[Opened]:
    """New sections, each like one that is there, with students to whom nothing else happens."""
    school, keys = timetable.school, night.district.keys
    for index in range(len(night.quota(Kind.OPEN, school)) if untouched else 0):
        ordinal = len(timetable.sections) + index
        cohort = timetable.cohorts[draw(keys.night, ordinal) % len(timetable.cohorts)]
        template = timetable.sections[cohort.firsts[ordinal % len(cohort.firsts)]]
        classmates = [
            rank for rank in untouched if timetable.cohort_number(rank) == template.cohort
        ]
        section = template._replace(
            source_id=source_id(keys.section, section_number(school, ordinal)),
            ordinal=ordinal,
            title=f"{template.title} (new {index + 1})",
            code=f"{template.code}-N{index + 1}",
        )
        yield Opened(section, tuple((classmates or untouched)[:NEW_SECTION_STUDENTS]))


def _chosen(
    night: Night, timetable: Timetable, closed: frozenset[int]
) -> tuple[dict[int, Change], list[int]]:
    """The students to whom something happens, and the others."""
    school, key = timetable.school, night.district.keys.night
    spare = [-1] * len(timetable.sections)
    for rank in range(school.students):
        for ordinal in timetable.ordinals(rank):
            spare[ordinal] += 1
    desk = _Desk(night.district, timetable, closed, spare)
    waiting = sorted(
        range(school.students), key=lambda rank: draw(key, school.first_student + rank)
    )
    chosen: dict[int, Change] = {}
    for kind in OF_STUDENTS:
        quota = night.quota(kind, school)
        if quota:
            taken = _take(desk, kind, waiting, wanted=len(quota))
            chosen.update(_completed(night, kind, quota, taken))
            waiting = [rank for rank in waiting if rank not in taken]
    return chosen, waiting


def _take(desk: _Desk, kind: Kind, waiting: list[int], *, wanted: int) -> dict[int, Change]:
    taken: dict[int, Change] = {}
    wanted *= 2 if kind is Kind.SWAP else 1
    for rank in waiting:
        if len(taken) == wanted:
            break
        change = _suited(desk, kind, rank)
        if change is not None:
            taken[rank] = change
    if kind is Kind.SWAP and len(taken) % 2:
        taken.popitem()
    return taken


def _completed(
    night: Night, kind: Kind, quota: range, taken: dict[int, Change]
) -> dict[int, Change]:
    """The changes with the others they refer to: partners of a swap, those who succeed."""
    ranks = list(taken)
    if kind is Kind.SWAP:
        return {rank: Change(kind, other=ranks[index ^ 1]) for index, rank in enumerate(ranks)}
    if kind is Kind.SUCCEED:
        first = night.district.students + night.totals[Kind.JOIN] + quota.start
        return {rank: Change(kind, other=first + index) for index, rank in enumerate(ranks)}
    return taken


def _suited(desk: _Desk, kind: Kind, rank: int) -> Change | None:
    """The change of this kind for a student, if it can happen to this one."""
    number = desk.timetable.school.first_student + rank
    if kind in OF_ONE_SCHOOL and number % TWO_SCHOOLS_EVERY == TWO_SCHOOLS_EVERY - 1:
        return None
    ordinals = desk.timetable.ordinals(rank)
    if kind is Kind.SWITCH:
        return _switched(desk, rank, ordinals)
    if kind in OF_ONE_SLOT:
        slots = (slot for slot, ordinal in enumerate(ordinals) if ordinal not in desk.closed)
        slot = next(slots, None)
        return None if slot is None else Change(kind, slot)
    if kind in TAKING_AWAY:
        if not all(desk.spare[ordinal] for ordinal in ordinals):
            return None
        for ordinal in ordinals:
            desk.spare[ordinal] -= 1
    return Change(kind)


def _switched(desk: _Desk, rank: int, ordinals: list[int]) -> Change | None:
    """From a section that can lose a student to the next that is open to this one."""
    total = len(desk.timetable.sections)
    unsuitable = desk.closed | set(ordinals)
    start = rank % len(ordinals)
    for slot in (*range(start, len(ordinals)), *range(start)):
        ordinal = ordinals[slot]
        if ordinal in desk.closed or not desk.spare[ordinal]:
            continue
        others = ((ordinal + step) % total for step in range(1, total))
        target = next((other for other in others if other not in unsuitable), None)
        if target is None:
            return None
        desk.spare[ordinal] -= 1
        return Change(Kind.SWITCH, slot, target)
    return None
