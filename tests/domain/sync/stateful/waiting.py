"""The model of holds: which changes of a night wait for an administrator, and for what.

From product.md S8 and T9 and peers.md 2.2: too many archives of a type in the tenant or in one
school, too many updates, an empty type, a vanished school, a student who becomes staff, licences;
and whatever needs something that waits.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain.roster.records import RecordType
from domain.validation.codes import Code
from tests.domain.sync.stateful.district import PAST
from tests.domain.sync.stateful.ledger import (
    ARCHIVE,
    COURSE,
    CREATE,
    GROUP,
    MEMBERSHIP,
    RESTORE,
    SCHOOL,
    TERM,
    UPDATE,
    USER,
    Change,
    GroupValues,
    Key,
    Ledger,
    Plan,
    UserValues,
    Values,
    ends_of,
)

WATCHED = (SCHOOL, GROUP, USER, MEMBERSHIP)


class Limits(NamedTuple):
    """Of each type alike: archives in number and in percent, updates in percent."""

    archive_count: int
    archive_percent: int
    update_percent: int

    def is_too_much(self, archived: int, stored: int) -> bool:
        return archived > self.archive_count and archived * 100 > self.archive_percent * stored

    def is_too_new(self, updated: int, stored: int) -> bool:
        return updated > self.archive_count and updated * 100 > self.update_percent * stored


class Terms(NamedTuple):
    """What a tenant has agreed to, and how a night is.

    `empty` are the collections that came out empty though something of them is stored.
    `seniority` is who was stored first. `is_unseen`: ids are new, and nobody has looked at it.
    """

    limits: Limits
    licences: int | None = None
    holds_everything: bool = False
    empty: AbstractSet[RecordType] = frozenset()
    seniority: Mapping[Key, UUID] = MappingProxyType({})
    is_unseen: bool = False


class Judgement(NamedTuple):
    """`goes_on` is done now, `waits` is shown; `codes` says why."""

    goes_on: Plan
    waits: Plan
    codes: Mapping[Key, Code]


def judge(stored: Ledger, plan: Plan, terms: Terms, approved: Mapping[Key, Change]) -> Judgement:
    """Approved is what was shown: the same number of others waits again."""
    found: dict[Key, Code] = {}
    for key, code in _find(stored, plan, terms):
        found.setdefault(key, code)
    holds_all = bool(
        terms.is_unseen or (terms.holds_everything and found) or terms.empty & {TERM, COURSE}
    )
    if holds_all:
        found = dict.fromkeys(plan, Code.HOLD_DEPENDS) | found
    for key, change in plan.items():
        if key in found and key in approved and change.is_shown_as(approved[key]):
            del found[key]
    if holds_all and approved:
        _come_along(plan, found)
    for key in _without_seats(stored, plan, terms, found) - approved.keys():
        found[key] = Code.LICENCE_LIMIT
    _add_dependents(stored, plan, found)
    _leave_nothing_behind(plan, found)
    return Judgement(
        {key: change for key, change in plan.items() if key not in found},
        {key: change for key, change in plan.items() if key in found},
        found,
    )


def _come_along(plan: Plan, waits: dict[Key, Code]) -> None:
    """New memberships come with the people and groups that were approved."""
    for key, change in plan.items():
        if key.type is MEMBERSHIP and change.action is CREATE and key in waits:
            ends = [end for end in ends_of(key) if end in plan and end not in waits]
            if any(not goes(plan[end]) for end in ends):
                del waits[key]


def _find(stored: Ledger, plan: Plan, terms: Terms) -> Iterator[tuple[Key, Code]]:
    for record_type in RecordType:
        yield from _of_type(stored, _only(plan, record_type), record_type, terms)
    yield from _of_roles(stored, plan)
    vanished = {key.name for key, change in plan.items() if key.type is SCHOOL and goes(change)}
    for key, change in plan.items():
        if goes(change) and key.type is not MEMBERSHIP and school_of(stored, key) in vanished:
            yield key, Code.SCHOOL_VANISHED
        if loses_student(change):
            yield key, Code.USER_ROLE_CHANGED
    for record_type in WATCHED:
        yield from _beyond_limits(stored, plan, record_type, terms)


def _only(plan: Plan, record_type: RecordType) -> Plan:
    return {key: change for key, change in plan.items() if key.type is record_type}


def _of_type(
    stored: Ledger, plan: Plan, record_type: RecordType, terms: Terms
) -> Iterator[tuple[Key, Code]]:
    if record_type in terms.empty:
        yield from ((k, Code.HOLD_TYPE_EMPTY) for k, change in plan.items() if goes(change))


def _of_roles(stored: Ledger, plan: Plan) -> Iterator[tuple[Key, Code]]:
    """All students or all teachers are gone, and nobody came: servers list them apart."""
    people = stored.live(USER)
    coming = [change.new for key, change in _only(plan, USER).items() if not goes(change)]
    for role in ("STUDENT", "TEACHER"):
        had = [key for key, values in people.items() if role in _roles(values)]
        are_gone = all(key in plan and goes(plan[key]) for key in had)
        if are_gone and not any(role in _roles(values) for values in coming):
            yield from ((key, Code.HOLD_TYPE_EMPTY) for key in had)


def _beyond_limits(
    stored: Ledger, plan: Plan, record_type: RecordType, terms: Terms
) -> Iterator[tuple[Key, Code]]:
    """Groups past their end date and their memberships do not count and do not wait."""
    mine, limits = _only(plan, record_type), terms.limits
    updated = [key for key, change in mine.items() if change.action is UPDATE]
    if limits.is_too_new(len(updated), len(stored.live(record_type))):
        yield from ((key, Code.HOLD_UPDATES) for key in updated)
    if record_type in terms.empty:
        return
    counted = [key for key, change in mine.items() if _counts(stored, plan, key, change)]
    present = [key for key in stored.live(record_type) if not has_ended(stored, key)]
    if limits.is_too_much(len(counted), len(present)):
        yield from ((key, Code.HOLD_DELETES) for key in counted)
    elif record_type is not SCHOOL:
        for school in stored.live(SCHOOL):
            of_school = _of_school(stored, counted, school)
            if limits.is_too_much(len(of_school), len(_of_school(stored, present, school))):
                yield from ((key, Code.HOLD_DELETES) for key in of_school)


def _counts(stored: Ledger, plan: Plan, key: Key, change: Change) -> bool:
    """A membership that goes with its person or group is not counted once more."""
    if not goes(change) or has_ended(stored, key):
        return False
    return key.type is not MEMBERSHIP or not any(
        end in plan and goes(plan[end]) for end in ends_of(key)
    )


def _of_school(stored: Ledger, keys: Iterable[Key], school: Key) -> list[Key]:
    return [key for key in keys if school_of(stored, key) == school.name]


def _roles(values: Values) -> tuple[str, ...]:
    return values.roles if isinstance(values, UserValues) else ()


def goes(change: Change) -> bool:
    return change.action is ARCHIVE


def loses_student(change: Change) -> bool:
    if not isinstance(change.old, UserValues) or not isinstance(change.new, UserValues):
        return False
    return change.old.is_student and not change.new.is_student


def school_of(stored: Ledger, key: Key) -> str | None:
    """As it is stored: a school itself, where a group is, a person's first, a membership's."""
    values = stored.rows[key].values
    if isinstance(values, UserValues):
        return next(iter(values.schools), None)
    if isinstance(values, GroupValues):
        return values.school
    return school_of(stored, ends_of(key)[1]) if key.type is MEMBERSHIP else str(key.name)


def has_ended(stored: Ledger, key: Key) -> bool:
    """A group past its end date, or a membership of one."""
    of = ends_of(key)[1] if key.type is MEMBERSHIP else key
    values = stored.rows[of].values
    return isinstance(values, GroupValues) and PAST in values.terms


def _without_seats(stored: Ledger, plan: Plan, terms: Terms, waits: Mapping[Key, Code]) -> set[Key]:
    """Nobody who is there loses a seat; then who was here before, then in the feed's order."""
    if terms.licences is None:
        return set()
    seated = {key for key, values in stored.live(USER).items() if "STUDENT" in _roles(values)}
    coming: dict[Key, Change] = {}
    for key, change in _only(plan, USER).items():
        if key in waits:
            continue
        if goes(change) or "STUDENT" not in _roles(change.new):
            seated.discard(key)
        elif key not in seated:
            coming[key] = change
    free = max(terms.licences - len(seated), 0)
    return set(sorted(coming, key=lambda key: _place(key, coming[key], terms))[free:])


def _place(key: Key, change: Change, terms: Terms) -> tuple[bool, int]:
    """Those who are all new stay in the order of the feed."""
    is_new = change.action is CREATE
    return is_new, 0 if is_new else terms.seniority[key].int


def _add_dependents(stored: Ledger, plan: Plan, waits: dict[Key, Code]) -> None:
    while True:
        names = _kept_usernames(stored, plan, waits)
        more = [
            key
            for key, change in plan.items()
            if key not in waits
            and (
                _comes_in_vain(key, change, plan, waits, names)
                or _stays_with_others(stored, key, change, plan, waits)
            )
        ]
        if not more:
            return
        waits.update(dict.fromkeys(more, Code.HOLD_DEPENDS))


def _leave_nothing_behind(plan: Plan, waits: dict[Key, Code]) -> None:
    """Who goes takes their memberships along, whatever those waited for; so does a group."""
    going = {key for key, change in plan.items() if goes(change) and key not in waits}
    for key, change in plan.items():
        if key.type is MEMBERSHIP and goes(change) and going & set(ends_of(key)):
            waits.pop(key, None)


def _kept_usernames(stored: Ledger, plan: Plan, waits: Mapping[Key, Code]) -> dict[str, Key]:
    """Those of people who keep them because their change waits."""
    return {
        values.username.casefold(): key
        for key, values in stored.live(USER).items()
        if key in waits and key in plan and isinstance(values, UserValues)
    }


def _comes_in_vain(
    key: Key,
    change: Change,
    plan: Plan,
    waits: Mapping[Key, Code],
    names: Mapping[str, Key],
) -> bool:
    """What it belongs to is not there yet, or its username belongs to somebody else."""
    if goes(change):
        return False
    parents: list[Key] = []
    if isinstance(change.new, UserValues):
        if names.get(change.new.username.casefold(), key) != key:
            return True
        parents = [Key(SCHOOL, name) for name in change.new.schools]
    elif isinstance(change.new, GroupValues):
        parents = [Key(SCHOOL, change.new.school), Key(COURSE, change.new.course or "")]
    elif key.type is MEMBERSHIP:
        parents = [*ends_of(key)]
        if _is_of_changed_role(key, plan, waits):
            return True
    return any(one in waits and plan[one].action in (CREATE, RESTORE) for one in parents)


def _stays_with_others(
    stored: Ledger, key: Key, change: Change, plan: Plan, waits: Mapping[Key, Code]
) -> bool:
    """A school whose group waits, and what somebody who waits has; but not in what does go."""
    if not goes(change):
        return False
    if key.type is SCHOOL:
        groups = [one for one in waits if isinstance(stored.find(one), GroupValues)]
        return any(school_of(stored, one) == key.name for one in groups)
    if key.type is not MEMBERSHIP:
        return False
    ends = [one for one in ends_of(key) if one in plan and goes(plan[one])]
    if ends:
        return all(one in waits for one in ends)
    return _is_of_changed_role(key, plan, waits)


def _is_of_changed_role(key: Key, plan: Plan, waits: Mapping[Key, Code]) -> bool:
    """Who stays a student for now does so in their classes too."""
    user = ends_of(key)[0]
    return user in waits and loses_student(plan[user])


def count(plan: Plan) -> dict[RecordType, dict[str, int]]:
    names = {CREATE: "created", UPDATE: "updated", ARCHIVE: "archived", RESTORE: "restored"}
    found = {name: dict.fromkeys(names.values(), 0) for name in RecordType}
    for key, change in plan.items():
        found[key.type][names[change.action]] += 1
    return found
