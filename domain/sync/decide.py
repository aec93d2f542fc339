"""Decide: a pure function from what a plan would do to what of it waits for an administrator."""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from domain.roster.records import RecordType, Role
from domain.validation.codes import Code


class Limits(NamedTuple):
    """What a run may do unasked to the records of one type, of a tenant or of one school.

    Archives wait when they are more than `archive_count` and more than `archive_percent` of what
    is live; updates beyond `update_percent`, and more than `archive_count`.
    """

    archive_count: int = 10
    archive_percent: int = 10
    update_percent: int = 75

    def is_beyond(self, archived: int, stored: int) -> bool:
        return archived > max(self.archive_count, self.archive_percent * stored / 100)

    def is_updated_beyond(self, updated: int, stored: int) -> bool:
        return updated > max(self.archive_count, self.update_percent * stored / 100)


DEFAULT_LIMITS = Limits()


class TypeCounts(NamedTuple):
    """Of one record type: what is live now, and how many records a plan adds and takes away.

    `left_out` of the archived are in the feed, and nobody has seen that the sharing rules would
    archive them. `is_empty`: the provider said that there is none at all. `watched` are those
    archived that count against the limits, out of `watched_of`; None: all of them.
    """

    stored: int
    arriving: int
    archived: int
    left_out: int = 0
    is_empty: bool = False
    updated: int = 0
    watched: int | None = None
    watched_of: int | None = None

    @property
    def counted(self) -> tuple[int, int]:
        """How many archives count, out of how many records."""
        watched = self.archived if self.watched is None else self.watched
        return watched, self.stored if self.watched_of is None else self.watched_of


class SchoolCounts(NamedTuple):
    """The same of one school, by its id."""

    school_id: str
    stored: int
    archived: int


class Churn(NamedTuple):
    """So many of a type are `gone`, and `alike` of them have come back under another id."""

    record_type: RecordType
    gone: int
    alike: int


class Facts(NamedTuple):
    """What is unusual about a plan, beside its numbers.

    `roles` are those whose people would all go. `vanished_schools` are ids; `changed_roles` is
    how many students would become staff. `is_first`: nothing was approved, and something must be.
    """

    roles: Mapping[Role, TypeCounts] = MappingProxyType({})
    unknown_schools: Sequence[str] = ()
    schools: Mapping[RecordType, Sequence[SchoolCounts]] = MappingProxyType({})
    vanished_schools: Sequence[str] = ()
    changed_roles: int = 0
    churn: Sequence[Churn] = ()
    unmatched: int = 0
    is_first: bool = False


NO_FACTS = Facts()


class Reason(NamedTuple):
    """Why something waits: `archived` of the `stored` live records would go, or be changed.

    `value` is what a sharing rule says and the feed does not have, or the role of the people who
    would go. `school_id` where it is about one school.
    """

    code: Code
    record_type: RecordType
    archived: int
    stored: int
    value: str | None = None
    school_id: str | None = None

    def as_dict(self) -> dict[str, str | int]:
        told: dict[str, str | int] = {
            "code": self.code.value,
            "record_type": self.record_type.value,
            "count": self.archived,
            "of": self.stored,
        }
        more = {"value": self.value, "school_id": self.school_id}
        return told | {name: value for name, value in more.items() if value is not None}


class Verdict(NamedTuple):
    """`holds_all`: nothing at all may be applied, but what was approved."""

    reasons: tuple[Reason, ...] = ()
    holds_all: bool = False

    @property
    def is_held(self) -> bool:
        return bool(self.reasons)

    def as_json(self) -> str:
        return json.dumps([reason.as_dict() for reason in self.reasons])


WATCHED = (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
FEW = 10
"""A type with no more live records than this may end: a last class closes in summer. And a
sharing rule may archive so many unseen."""
MOST_LEFT_OUT = 0.1
"""Or this share of what is live."""
_PARENTS = (RecordType.TERM, RecordType.COURSE)
"""Without these the rest of a feed is not what it seems."""


def decide(
    counts: Mapping[RecordType, TypeCounts],
    facts: Facts = NO_FACTS,
    *,
    limits: Mapping[RecordType, Limits] = MappingProxyType({}),
    holds_everything: bool = False,
) -> Verdict:
    """What of a plan waits, and why. `holds_everything`: the tenant wants all or nothing."""
    found = (
        *_of_first_syncs(counts, facts),
        *_of_unknown_schools(counts, facts),
        *_of_types(counts),
        *_of_roles(counts, facts),
        *_of_schools(counts, facts),
        *_of_limits(counts, facts, limits),
    )
    reasons = tuple(dict.fromkeys(found))
    holds_all = any(
        reason.code in (Code.HOLD_FIRST_SYNC, Code.ID_CHURN, Code.CONN_SCHOOL_NOT_FOUND)
        or (reason.code is Code.HOLD_TYPE_EMPTY and reason.record_type in _PARENTS)
        for reason in reasons
    )
    return Verdict(reasons, holds_all=bool(reasons) and (holds_all or holds_everything))


def _numbers(counts: Mapping[RecordType, TypeCounts], record_type: RecordType) -> TypeCounts:
    return counts.get(record_type, TypeCounts(0, 0, 0))


def _of_first_syncs(counts: Mapping[RecordType, TypeCounts], facts: Facts) -> Iterator[Reason]:
    """A first sync takes over what was approved; new ids for old records are asked about."""
    users = _numbers(counts, RecordType.USER)
    if facts.is_first:
        yield Reason(Code.HOLD_FIRST_SYNC, RecordType.USER, users.arriving, users.stored)
    for churn in facts.churn:
        stored = _numbers(counts, churn.record_type).stored
        yield Reason(Code.ID_CHURN, churn.record_type, churn.alike, stored)
    if facts.unmatched:
        yield Reason(Code.PROVIDER_SWITCH_UNMATCHED, RecordType.USER, facts.unmatched, users.stored)


def _of_unknown_schools(counts: Mapping[RecordType, TypeCounts], facts: Facts) -> Iterator[Reason]:
    """A school that a rule names and the feed does not have is more likely misspelt than gone."""
    schools = _numbers(counts, RecordType.SCHOOL)
    for value in facts.unknown_schools:
        yield Reason(
            Code.CONN_SCHOOL_NOT_FOUND, RecordType.SCHOOL, schools.archived, schools.stored, value
        )


def _of_types(counts: Mapping[RecordType, TypeCounts]) -> Iterator[Reason]:
    """No district loses all its people at once, but exports do come out empty."""
    for record_type, numbers in counts.items():
        if _is_left_empty(record_type, numbers):
            yield Reason(Code.HOLD_TYPE_EMPTY, record_type, numbers.archived, numbers.stored)
        if numbers.left_out > max(FEW, MOST_LEFT_OUT * numbers.stored):
            yield Reason(Code.HOLD_SHARING_CHANGE, record_type, numbers.left_out, numbers.stored)


def _of_roles(counts: Mapping[RecordType, TypeCounts], facts: Facts) -> Iterator[Reason]:
    users = _numbers(counts, RecordType.USER)
    if facts.changed_roles:
        yield Reason(Code.USER_ROLE_CHANGED, RecordType.USER, facts.changed_roles, users.stored)
    if _is_left_empty(RecordType.USER, users):
        return
    for role, numbers in facts.roles.items():
        if _is_left_empty(RecordType.USER, numbers):
            yield Reason(
                Code.HOLD_TYPE_EMPTY,
                RecordType.USER,
                numbers.archived,
                numbers.stored,
                role.value,
            )


def _of_schools(counts: Mapping[RecordType, TypeCounts], facts: Facts) -> Iterator[Reason]:
    schools = _numbers(counts, RecordType.SCHOOL)
    for school_id in facts.vanished_schools:
        yield Reason(
            Code.SCHOOL_VANISHED,
            RecordType.SCHOOL,
            schools.watched or len(facts.vanished_schools),
            schools.stored,
            school_id=school_id,
        )


def _of_limits(
    counts: Mapping[RecordType, TypeCounts],
    facts: Facts,
    limits: Mapping[RecordType, Limits],
) -> Iterator[Reason]:
    """The whole tenant first: where its limit is passed, no school needs to be named."""
    for record_type in WATCHED:
        numbers = _numbers(counts, record_type)
        allowed = limits.get(record_type, DEFAULT_LIMITS)
        if allowed.is_updated_beyond(numbers.updated, numbers.stored):
            yield Reason(Code.HOLD_UPDATES, record_type, numbers.updated, numbers.stored)
        if _is_left_empty(record_type, numbers):
            continue
        if allowed.is_beyond(*numbers.counted):
            yield Reason(Code.HOLD_DELETES, record_type, *numbers.counted)
            continue
        for school in facts.schools.get(record_type, ()):
            if allowed.is_beyond(school.archived, school.stored):
                yield Reason(
                    Code.HOLD_DELETES,
                    record_type,
                    school.archived,
                    school.stored,
                    school_id=school.school_id,
                )


def _is_left_empty(record_type: RecordType, numbers: TypeCounts) -> bool:
    if numbers.is_empty:
        return numbers.stored > 0
    return (
        record_type in WATCHED
        and numbers.stored > FEW
        and numbers.archived == numbers.stored
        and numbers.arriving == 0
    )


def seats_short(*, limit: int | None, staying: int, arriving: int) -> int:
    """How many of the students who arrive get no licence. Nobody who is there loses one."""
    if limit is None:
        return 0
    return min(arriving, max(staying + arriving - limit, 0))
