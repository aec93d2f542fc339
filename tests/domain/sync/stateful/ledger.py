"""The model: what should be stored after a night, in plain Python, from what the product says.

Nothing here was written from the SQL. A record is known by its type and the provider's id; what
it holds are the values that a test can see. See `waiting` for what of a night waits.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.roster.records import (
    RECORD_CLASSES,
    Course,
    Enrollment,
    Group,
    Record,
    RecordType,
    School,
    Term,
    User,
)
from domain.sync.models import ChangeAction
from tests.domain.sync.feeds import Feed

SCHOOL, TERM, COURSE = RecordType.SCHOOL, RecordType.TERM, RecordType.COURSE
GROUP, USER, MEMBERSHIP = RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP
CREATE, UPDATE = ChangeAction.CREATE, ChangeAction.UPDATE
ARCHIVE, RESTORE = ChangeAction.ARCHIVE, ChangeAction.RESTORE


class Key(NamedTuple):
    """Of a membership, `name` is (user, group, role)."""

    type: RecordType
    name: str | tuple[str, str, str]


class NameValues(NamedTuple):
    """Of a school, a term or a course."""

    name: str


class GroupValues(NamedTuple):
    """Without the terms and the course that are not there."""

    name: str
    school: str
    terms: tuple[str, ...]
    course: str | None


class UserValues(NamedTuple):
    username: str
    given_name: str
    roles: tuple[str, ...]
    schools: tuple[str, ...]
    number: str | None

    @property
    def is_student(self) -> bool:
        return "STUDENT" in self.roles


class MembershipValues(NamedTuple):
    enrollments: frozenset[str]


Values = NameValues | GroupValues | UserValues | MembershipValues
Roster = Mapping[Key, Values]


class Row(NamedTuple):
    values: Values
    is_archived: bool = False


class Change(NamedTuple):
    """`old` None: nothing was stored. Of an archive `new` is `old`."""

    action: ChangeAction
    old: Values | None
    new: Values

    def is_shown_as(self, shown: "Change") -> bool:
        """Whether it would do what was shown: the same act, and the same new values."""
        if self.action is not shown.action:
            return False
        return self.action in (CREATE, ARCHIVE) or self.differing == shown.differing

    @property
    def differing(self) -> dict[str, object]:
        old = self.old._asdict() if self.old else {}
        new = self.new._asdict()
        return {name: value for name, value in new.items() if old.get(name) != value}


Plan = dict[Key, Change]
Links = Mapping[Key, Key]
"""Who the feed speaks of by another id than is stored: the id of the feed to the stored one."""


@dataclass(frozen=True)
class Ledger:
    """What is stored of the provider's roster."""

    rows: Mapping[Key, Row] = field(default_factory=dict)

    def live(self, record_type: RecordType) -> dict[Key, Values]:
        return {
            key: row.values
            for key, row in self.rows.items()
            if key.type is record_type and not row.is_archived
        }

    def find(self, key: Key) -> Values | None:
        """What is live of it."""
        row = self.rows.get(key)
        return None if row is None or row.is_archived else row.values

    def after(self, plan: Plan) -> "Ledger":
        rows = dict(self.rows)
        for key, change in plan.items():
            if change.action is ARCHIVE:
                rows[key] = rows[key]._replace(is_archived=True)
            else:
                rows[key] = Row(change.new)
        return Ledger(rows)

    def without(self, plan: Plan) -> "Ledger":
        """As it was before the plan was carried out; what came with it stays, archived."""
        rows = dict(self.rows)
        for key, change in plan.items():
            if change.action is CREATE:
                rows[key] = rows[key]._replace(is_archived=True)
            elif change.old is not None:
                rows[key] = Row(change.old, is_archived=change.action is RESTORE)
        return Ledger(rows)

    def renamed(self, links: Links) -> "Ledger":
        """The same records as the feed calls them; what they hold is as it was."""
        return Ledger({renamed(key, links): row for key, row in self.rows.items()})

    def pointing(self, links: Links) -> "Ledger":
        """The same where what is stored names its schools as they are called now."""
        names = {str(old.name): str(new.name) for new, old in links.items() if new.type is SCHOOL}
        return Ledger(
            {
                key: row._replace(values=_pointing(row.values, names))
                for key, row in self.rows.items()
            }
        )


def _pointing(values: Values, names: Mapping[str, str]) -> Values:
    if isinstance(values, GroupValues):
        return values._replace(school=names.get(values.school, values.school))
    if isinstance(values, UserValues):
        return values._replace(schools=tuple(names.get(one, one) for one in values.schools))
    return values


def renamed(key: Key, links: Links) -> Key:
    names = {former: following for following, former in links.items()}
    if not isinstance(key.name, tuple):
        return names.get(key, key)
    user, group = (names.get(end, end) for end in ends_of(key))
    return Key(MEMBERSHIP, (str(user.name), str(group.name), key.name[2]))


def read_feed(feed: Feed) -> dict[Key, Values]:
    found: dict[Key, Values] = {}
    for record in feed.records:
        key = key_of(record)
        if isinstance(record, Enrollment):
            former = found.get(key, MembershipValues(frozenset()))
            found[key] = MembershipValues(frozenset({*former[0], record.source_id}))
        else:
            found[key] = _read(record)
    return found


def key_of(record: Record) -> Key:
    if isinstance(record, Enrollment):
        return Key(MEMBERSHIP, (record.user_source_id, record.group_source_id, record.role))
    return Key(next(n for n, kind in RECORD_CLASSES.items() if type(record) is kind),
               record.source_id)  # fmt: skip


def _read(record: School | Term | Course | Group | User) -> Values:
    if isinstance(record, Group):
        return GroupValues(
            record.name, record.school_source_id, record.term_source_ids, record.course_source_id
        )
    if isinstance(record, User):
        return UserValues(
            record.username,
            record.given_name,
            record.roles,
            record.school_source_ids,
            record.number,
        )
    return NameValues(record.name)


def take(feed: Feed, stored: Ledger) -> dict[Key, Values]:
    """What of a feed can be taken over: what cannot stays as it is stored (product.md S7)."""
    found = read_feed(feed)
    taken: dict[Key, Values] = {}
    for key, values in found.items():
        if key.type is MEMBERSHIP:
            is_good = set(ends_of(key)) <= taken.keys()
            good = values if is_good else None
        else:
            good = _good(values, taken) or stored.find(key)
        if good is not None:
            taken[key] = good
    return taken


def _good(values: Values, taken: Roster) -> Values | None:
    """Without references to what is not there; None: it is nowhere then.

    A person in several schools who only learns is of the first (product.md P8).
    """
    if isinstance(values, GroupValues):
        if Key(SCHOOL, values.school) not in taken:
            return None
        terms = tuple(name for name in values.terms if Key(TERM, name) in taken)
        is_there = Key(COURSE, values.course or "") in taken
        return values._replace(terms=terms, course=values.course if is_there else None)
    if isinstance(values, UserValues):
        there = tuple(name for name in values.schools if Key(SCHOOL, name) in taken)
        only_learns = values.roles == ("STUDENT",)
        return values._replace(schools=there[: 1 if only_learns else None]) if there else None
    return values


def ends_of(membership: Key) -> tuple[Key, Key]:
    """The person and the group."""
    assert isinstance(membership.name, tuple)
    user, group, _ = membership.name
    return Key(USER, user), Key(GROUP, group)


def plan_night(stored: Ledger, taken: Roster, linked: Collection[Key] = ()) -> Plan:
    """What is `linked` gets another id at least."""
    return dict(_changes(stored, taken, linked))


def _changes(
    stored: Ledger, taken: Roster, linked: Collection[Key]
) -> Iterator[tuple[Key, Change]]:
    for key, values in taken.items():
        row = stored.rows.get(key)
        if row is None:
            yield key, Change(CREATE, None, values)
        elif row.is_archived:
            yield key, Change(RESTORE, row.values, values)
        elif row.values != values or key in linked:
            yield key, Change(UPDATE, row.values, values)
    for key, row in stored.rows.items():
        if not row.is_archived and key not in taken:
            yield key, Change(ARCHIVE, row.values, row.values)
