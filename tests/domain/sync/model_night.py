"""What is in the files of a night, for the model: rows, and what can be read of them.

Nothing is judged here but each row alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from domain.roster.records import RecordType

ROLES = {"student": "STUDENT", "teacher": "TEACHER"}
GUARDIANS = {"guardian"}
GRADES = {"1": "01", "01": "01", "K": "KG", "12": "12"}


class SchoolRow(NamedTuple):
    source_id: str
    name: str


class ClassRow(NamedTuple):
    source_id: str
    title: str
    school: str
    grades: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class UserRow(NamedTuple):
    source_id: str
    username: str
    family_name: str
    role: str
    orgs: tuple[str, ...]
    grades: tuple[str, ...]
    number: str = ""


class EnrollmentRow(NamedTuple):
    source_id: str
    user: str
    group: str
    role: str
    begins: date | None
    ends: date | None


class Night(NamedTuple):
    schools: list[SchoolRow]
    classes: list[ClassRow]
    users: list[UserRow]
    enrollments: list[EnrollmentRow]


class GroupValues(NamedTuple):
    title: str
    school: str
    grades: tuple[str, ...]
    subjects: tuple[str, ...]


class UserValues(NamedTuple):
    username: str
    family_name: str
    role: str
    grades: tuple[str, ...]
    schools: tuple[str, ...]
    number: str


SharingRules = Mapping[str, list[str]]
"""The values of each subject."""
Key = tuple[str, str, str]
Span = tuple[str, date | None, date | None]


@dataclass(frozen=True)
class Stored:
    """Live records by id (spans by membership), and the same of what is archived."""

    live: Mapping[RecordType, Mapping[Any, Any]] = field(default_factory=dict)
    archived: Mapping[RecordType, Mapping[Any, Any]] = field(default_factory=dict)

    def of(self, record_type: RecordType) -> dict[Any, Any]:
        return dict(self.live.get(record_type, {}))


@dataclass
class Taken:
    """What a night makes of one type: the records to be live, and the numbers.

    `kept` are those that stay as stored because what came of them cannot be taken. `refused` has
    an id for each time that something of it was refused.
    """

    records: dict[Any, Any] = field(default_factory=dict)
    kept: set[Any] = field(default_factory=set)
    refused: list[Any] = field(default_factory=list)
    ignored: int = 0

    def refuse(self, source_id: str) -> None:
        self.records.pop(source_id, None)
        self.refused.append(source_id)

    def keep(self, before: Mapping[Any, Any]) -> None:
        """The last good state of what was refused, unless a record of it was taken."""
        for key in self.refused:
            if key in before and key not in self.records:
                self.records[key] = before[key]
                self.kept.add(key)

    def leave_out(self, source_ids: Iterable[str]) -> set[str]:
        """Without a word of what was wrong with them."""
        gone = set(source_ids)
        self.records = {key: value for key, value in self.records.items() if key not in gone}
        self.refused = [key for key in self.refused if key not in gone]
        return gone


@dataclass
class Read:
    """What was read of a night, before anything is judged but the rows alone.

    Of enrollments there are all rows, with the id that each has, and what is stored of refused
    ones. `left_out` are ids by type.
    """

    schools: Taken
    groups: Taken
    users: Taken
    guardians: set[str]
    memberships: Taken
    rows: list[tuple[Key, Span, bool]]
    left_out: dict[RecordType, set[str]] = field(default_factory=dict)
    unknown_schools: int = 0


def read_night(stored: Stored, night: Night) -> Read:
    schools = read_schools(stored.of(RecordType.SCHOOL), night.schools)
    users, guardians = read_users(stored.of(RecordType.USER), night.users)
    memberships = Taken()
    rows = read_enrollments(stored.of(RecordType.MEMBERSHIP), night.enrollments, memberships)
    return Read(schools, read_groups(night.classes), users, guardians, memberships, rows)


def read_schools(before: Mapping[str, str], rows: Sequence[SchoolRow]) -> Taken:
    taken = Taken(ignored=1)
    for row in rows:
        if not row.name or row.source_id in taken.records:
            taken.refused.append(row.source_id)
        else:
            taken.records[row.source_id] = row.name
    taken.keep(before)
    return taken


def read_groups(rows: Sequence[ClassRow]) -> Taken:
    """The first row of an id speaks for it, even where it then cannot be taken."""
    taken = Taken()
    for row in rows:
        if row.source_id in taken.records:
            taken.refused.append(row.source_id)
        else:
            grades = tuple(dict.fromkeys(GRADES[grade] for grade in row.grades))
            taken.records[row.source_id] = GroupValues(row.title, row.school, grades, row.subjects)
    return taken


def read_users(before: Mapping[str, UserValues], rows: Sequence[UserRow]) -> tuple[Taken, set[str]]:
    """Also the ids of those who are left out on purpose."""
    taken, guardians = Taken(), set()
    for row in rows:
        if row.role in GUARDIANS:
            taken.ignored += 1
            guardians.add(row.source_id)
            continue
        is_readable = row.role in ROLES and row.username and row.family_name
        if not is_readable or row.source_id in taken.records:
            taken.refused.append(row.source_id)
        else:
            grades = tuple(dict.fromkeys(GRADES[grade] for grade in row.grades if grade in GRADES))
            taken.records[row.source_id] = UserValues(
                row.username, row.family_name, ROLES[row.role], grades, row.orgs, row.number
            )
    taken.keep(before)
    return taken, guardians


def read_enrollments(
    before: Mapping[Key, frozenset[Span]], rows: Sequence[EnrollmentRow], taken: Taken
) -> list[tuple[Key, Span, bool]]:
    """The rows that can be read; and what is stored of the others, if nothing else has its id."""
    found: list[tuple[Key, Span, bool]] = []
    for row in rows:
        if row.role in GUARDIANS:
            taken.ignored += 1
        elif row.role not in ROLES:
            taken.refused.append(row.source_id)
        else:
            is_reversed = row.begins and row.ends and row.ends <= row.begins
            begins, ends = (None, None) if is_reversed else (row.begins, row.ends)
            key = (row.user, row.group, ROLES[row.role])
            found.append((key, (row.source_id, begins, ends), False))
    ids = {span[0] for _, span, _ in found}
    wanted = set(taken.refused) - ids
    found += [
        (key, span, True) for key, spans in before.items() for span in spans if span[0] in wanted
    ]
    return found
