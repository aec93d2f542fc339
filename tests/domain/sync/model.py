"""What a night should leave behind, worked out in plain Python from what the codes say.

It knows schools, classes, people and enrollments; it was not written from the SQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from domain.roster.records import RecordType

ROLES = {"student": "STUDENT", "teacher": "TEACHER"}
GUARDIANS = {"guardian"}
GRADES = {"1": "01", "01": "01", "K": "KG", "12": "12"}
FEW = 10


class SchoolRow(NamedTuple):
    source_id: str
    name: str


class ClassRow(NamedTuple):
    source_id: str
    title: str
    school: str


class UserRow(NamedTuple):
    source_id: str
    username: str
    family_name: str
    role: str
    orgs: tuple[str, ...]
    grades: tuple[str, ...]


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


class UserValues(NamedTuple):
    username: str
    family_name: str
    role: str
    grades: tuple[str, ...]
    schools: tuple[str, ...]


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

    `kept` are those that stay as stored because what came of them cannot be taken.
    """

    records: dict[Any, Any] = field(default_factory=dict)
    kept: set[Any] = field(default_factory=set)
    rejected: int = 0
    ignored: int = 0


def next_night(stored: Stored, night: Night) -> tuple[Stored, dict[RecordType, dict[str, int]]]:
    """What is stored after the night, and what it counts. A held night leaves `stored` itself."""
    schools = take_schools(stored.of(RecordType.SCHOOL), night.schools)
    groups = take_groups(stored.of(RecordType.GROUP), night.classes, schools)
    users, guardians = take_users(stored.of(RecordType.USER), night.users, schools)
    memberships = take_memberships(
        stored.of(RecordType.MEMBERSHIP), night.enrollments, users, guardians, groups
    )
    taken = {
        RecordType.SCHOOL: schools,
        RecordType.GROUP: groups,
        RecordType.USER: users,
        RecordType.MEMBERSHIP: memberships,
    }
    counts = {name: count(stored, name, item) for name, item in taken.items()}
    if is_hold(stored, counts):
        return stored, counts
    live = {name: item.records for name, item in taken.items()}
    archived = {
        name: {
            key: value
            for key, value in {
                **stored.archived.get(name, {}), **stored.live.get(name, {})
            }.items()
            if key not in item.records
        }
        for name, item in taken.items()
    }  # fmt: skip
    return replace(stored, live=live, archived=archived), counts


def is_hold(stored: Stored, counts: Mapping[RecordType, Mapping[str, int]]) -> bool:
    """Whether a type of more than a few records would lose all and gain none."""
    sizes = {name: len(stored.of(name)) for name in counts}
    return any(
        sizes[name] > FEW
        and numbers["archived"] == sizes[name]
        and not numbers["created"] + numbers["restored"]
        for name, numbers in counts.items()
    )


def count(stored: Stored, record_type: RecordType, taken: Taken) -> dict[str, int]:
    before, archived = stored.of(record_type), stored.archived.get(record_type, {})
    new = [key for key in taken.records if key not in before]
    updated = [k for k, value in taken.records.items() if k in before and before[k] != value]
    gone = [key for key in before if key not in taken.records]
    changed = set(new) | set(updated)
    if record_type is RecordType.MEMBERSHIP:
        unchanged = len(before) - len(updated) - len(gone)
    else:
        unchanged = len([k for k in taken.records if k not in changed and k not in taken.kept])
    return {
        "created": len([key for key in new if key not in archived]),
        "restored": len([key for key in new if key in archived]),
        "updated": len(updated),
        "archived": len(gone),
        "unchanged": unchanged,
        "rejected": taken.rejected,
        "ignored": taken.ignored,
    }


def keep(taken: Taken, before: Mapping[Any, Any], refused: set[str]) -> None:
    """The last good state of what was refused, unless a record of it was taken."""
    for key in refused:
        if key in before and key not in taken.records:
            taken.records[key] = before[key]
            taken.kept.add(key)


def take_schools(before: Mapping[str, str], rows: Sequence[SchoolRow]) -> Taken:
    taken, refused = Taken(ignored=1), set()
    for row in rows:
        if not row.name or row.source_id in taken.records:
            refused.add(row.source_id)
            taken.rejected += 1
        else:
            taken.records[row.source_id] = row.name
    keep(taken, before, refused)
    return taken


def take_groups(
    before: Mapping[str, tuple[str, str]], rows: Sequence[ClassRow], schools: Taken
) -> Taken:
    """The first row of an id speaks for it, even where it then cannot be taken."""
    taken, seen = Taken(), set()
    refused = set()
    for row in rows:
        is_good = bool(row.title) and row.school in schools.records
        if row.source_id in seen or not is_good:
            refused.add(row.source_id)
            taken.rejected += 1
        else:
            taken.records[row.source_id] = (row.title, row.school)
        seen.add(row.source_id)
    keep(taken, before, refused)
    return taken


def take_users(
    before: Mapping[str, UserValues], rows: Sequence[UserRow], schools: Taken
) -> tuple[Taken, set[str]]:
    """Also the ids of those who are left out on purpose."""
    taken, refused, guardians, seen = Taken(), set(), set(), set()
    for row in rows:
        if row.role in GUARDIANS:
            taken.ignored += 1
            guardians.add(row.source_id)
            continue
        is_readable = row.role in ROLES and row.username and row.family_name
        values = user_values(row, schools)
        if not is_readable or row.source_id in seen or not values.schools:
            refused.add(row.source_id)
            taken.rejected += 1
        else:
            taken.records[row.source_id] = values
        if is_readable:
            seen.add(row.source_id)
    keep(taken, before, refused)
    settle_usernames(taken, before)
    return taken, guardians


def user_values(row: UserRow, schools: Taken) -> UserValues:
    return UserValues(
        row.username,
        row.family_name,
        ROLES.get(row.role, ""),
        tuple(dict.fromkeys(GRADES[grade] for grade in row.grades if grade in GRADES)),
        tuple(org for org in row.orgs if org in schools.records),
    )


def settle_usernames(taken: Taken, before: Mapping[str, UserValues]) -> None:
    """Who stays as stored keeps the name, else who has it, else the first in the feed."""
    losers = {""}
    while losers:
        wanting: dict[str, list[tuple[bool, bool, int, str]]] = {}
        for number, (source_id, values) in enumerate(taken.records.items()):
            name = values.username.casefold()
            has_it = source_id in before and before[source_id].username.casefold() == name
            claim = (source_id not in taken.kept, not has_it, number, source_id)
            wanting.setdefault(name, []).append(claim)
        losers = {claim[-1] for claims in wanting.values() for claim in sorted(claims)[1:]}
        for source_id in losers:
            del taken.records[source_id]
            taken.rejected += 1
        keep(taken, before, losers)


def take_memberships(
    before: Mapping[Key, frozenset[Span]],
    rows: Sequence[EnrollmentRow],
    users: Taken,
    guardians: set[str],
    groups: Taken,
) -> Taken:
    taken = Taken()
    spans, refused = read_enrollments(rows, taken)
    # What is stored of a refused enrollment stays, if nothing else came with its id.
    kept = [
        (key, span)
        for key, stored in before.items()
        for span in stored
        if span[0] in refused and span[0] not in spans
    ]
    found: dict[Key, set[Span]] = {}
    for key, span in [*spans.values(), *kept]:
        if key[0] in users.records and key[1] in groups.records:
            found.setdefault(key, set()).add(span)
        elif (key, span) in kept:
            continue
        elif key[0] not in users.records and key[0] in guardians:
            taken.ignored += 1
        else:
            taken.rejected += 1
    taken.records = {key: frozenset(of_key) for key, of_key in found.items()}
    return taken


def read_enrollments(
    rows: Sequence[EnrollmentRow], taken: Taken
) -> tuple[dict[str, tuple[Key, Span]], set[str]]:
    """The rows that can be read, by id, and the ids of those that cannot."""
    spans: dict[str, tuple[Key, Span]] = {}
    refused: set[str] = set()
    for row in rows:
        if row.role in GUARDIANS:
            taken.ignored += 1
        elif row.role not in ROLES or row.source_id in spans:
            refused.add(row.source_id)
            taken.rejected += 1
        else:
            is_reversed = row.begins and row.ends and row.ends <= row.begins
            begins, ends = (None, None) if is_reversed else (row.begins, row.ends)
            key = (row.user, row.group, ROLES[row.role])
            spans[row.source_id] = (key, (row.source_id, begins, ends))
    return spans, refused
