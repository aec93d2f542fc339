"""The records that a run names, as a source: what SINGLE_USER and REVALIDATION runs read.

First what is asked for, then, round after round, what that refers to and nobody has stored: the
classes of a new student, and the schools, courses and terms of those. A class that comes so comes
without the others who are in it: they come with the next full sync.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from typing_extensions import override

from domain.roster.records import Enrollment, Group, Record, RecordType, School, Term, User
from domain.roster.source import (
    Checkpoint,
    CheckStep,
    Completeness,
    Page,
    Picks,
    Provider,
    RosterMoved,
    RosterSource,
)
from domain.sync.context import RunContext
from domain.sync.lease import confirm
from domain.sync.models import SyncMode
from domain.sync.steps import Step, StepName, StepOutcome, count_of, store_steps
from domain.validation.codes import Code

MOST_PICKS: Final = 1_000
"""So many records may be asked for by name, and as many again that those refer to."""
_MOST_ROUNDS: Final = 5
_AT: Final = "picked"
_TABLES: Final = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.GROUP: "groups",
    RecordType.USER: "users",
}

Ids = dict[RecordType, set[str]]


def picks_of(target: Mapping[str, Any]) -> Picks:
    """What a run's target asks for: {user: {source_id, number}}, or {ids, memberships_of}."""
    user = target.get("user")
    if user is not None:
        ids = [source_id] if (source_id := user.get("source_id")) else []
        by_type = {RecordType.USER: ids}
        numbers = [number] if (number := user.get("number")) else []
        return Picks(by_type, numbers, by_type)
    return Picks(
        {RecordType(name): found for name, found in target["ids"].items()},
        (),
        {RecordType(name): found for name, found in target.get("memberships_of", {}).items()},
    )


@dataclass(slots=True)
class _Basket:
    """What was found so far: the pages of each type, and what was asked for."""

    pages: dict[RecordType, list[Page]] = field(default_factory=lambda: defaultdict(list))
    asked: Ids = field(default_factory=lambda: defaultdict(set))

    def records(self, record_type: RecordType) -> Iterator[Record]:
        return (record for page in self.pages[record_type] for record in page.records)

    def ids(self, record_type: RecordType) -> set[str]:
        """Those that are there, whether they could be taken or not."""
        found = {record.source_id for record in self.records(record_type)}
        for page in self.pages[record_type]:
            found.update(item.source_id for item in page.ignored)
            found.update(item.source_id for item in page.problems if item.source_id)
        return found

    @property
    def size(self) -> int:
        return sum(map(len, self.asked.values()))

    def page(self, record_type: RecordType, number: int) -> Page:
        """All that was found of a type. What came in two rounds is there once."""
        pages = self.pages[record_type]
        deleted = dict.fromkeys(name for page in pages for name in page.deleted)
        return Page(
            record_type=record_type,
            records=list(dict.fromkeys(self.records(record_type))),
            problems=[problem for page in pages for problem in page.problems],
            ignored=list(dict.fromkeys(item for page in pages for item in page.ignored)),
            deleted=list(deleted),
            unread=list(dict.fromkeys(item for page in pages for item in page.unread)),
            read=sum(page.read for page in pages),
            completeness=Completeness.DELTA,
            is_last=True,
            checkpoint={_AT: number},
        )


class PickedSource(RosterSource):
    """Gives out everything at once: nothing is asked of the database while pages are stored."""

    def __init__(self, context: RunContext, source: RosterSource) -> None:
        self._context = context
        self._source = source

    @override
    async def check(self) -> Sequence[CheckStep]:
        return await self._source.check()

    @override
    async def fingerprint(self) -> str:
        return await self._source.fingerprint()

    @override
    def pick(self, picks: Picks) -> AsyncIterator[Page]:
        return self._source.pick(picks)

    @override
    async def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
        if after is not None:
            if after.get(_AT) == len(RecordType):
                return
            raise RosterMoved(Code.CONN_MOVED, "Only a part of what was asked for was stored.")
        basket, step = await self._fill()
        async with self._context.transaction() as connection:
            await store_steps(self._context, connection, [step])
            await confirm(connection, self._context.lease)
        for number, record_type in enumerate(RecordType, 1):
            yield basket.page(record_type, number)

    async def _fill(self) -> tuple[_Basket, Step]:
        picks = picks_of(await self._target())
        basket = _Basket()
        await self._take(basket, picks)
        if self._context.mode is SyncMode.SINGLE_USER:
            people = basket.ids(RecordType.USER)
            if len(people) > 1:
                return _Basket(), _tell_several(people, picks)
            also = people.difference(picks.of(RecordType.USER))
            await self._take(basket, Picks(memberships_of={RecordType.USER: also}))
        for _ in range(_MOST_ROUNDS):
            missing = await self._missing(basket)
            if not any(missing.values()):
                break
            await self._take(basket, Picks(missing))
        if self._context.mode is SyncMode.SINGLE_USER:
            return basket, _tell_person(basket, picks, self._context.provider)
        return basket, _tell_records(basket, picks)

    async def _take(self, basket: _Basket, picks: Picks) -> None:
        """Of those whose memberships are wanted, each stored one is asked for by name as well.

        So one is gone only if the provider says so of it.
        """
        known = await self._known_memberships(picks.memberships_of)
        wanted = {**picks.ids, RecordType.MEMBERSHIP: {*picks.of(RecordType.MEMBERSHIP), *known}}
        for name, ids in wanted.items():
            basket.asked[name].update(ids)
        async for page in self._source.pick(replace(picks, ids=wanted)):
            basket.pages[page.record_type].append(page)

    async def _target(self) -> Mapping[str, Any]:
        async with self._context.transaction() as connection:
            target = await connection.fetchval(
                "SELECT target FROM sync_runs WHERE tenant_id = $1 AND id = $2",
                self._context.tenant_id,
                self._context.run_id,
            )
        found: Mapping[str, Any] = json.loads(target)
        return found

    async def _known_memberships(self, owners: Mapping[RecordType, Collection[str]]) -> list[str]:
        if not any(owners.values()):
            return []
        async with self._context.transaction() as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT sp.source_id FROM membership_spans sp"
                " JOIN memberships m ON m.tenant_id = sp.tenant_id AND m.id = sp.membership_id"
                " JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"
                " JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id"
                " WHERE sp.tenant_id = $1 AND m.origin = 'PROVIDER' AND m.archived_at IS NULL"
                "  AND (u.source_id = ANY ($2) OR g.source_id = ANY ($3))"
                "  AND sp.source_id IS NOT NULL",
                self._context.tenant_id,
                list(owners.get(RecordType.USER, ())),
                list(owners.get(RecordType.GROUP, ())),
            )
        return [row["source_id"] for row in rows]

    async def _missing(self, basket: _Basket) -> Ids:
        """What the records refer to, as far as it was not asked for and is not stored and live."""
        wanted: Ids = defaultdict(set)
        for record_type in RecordType:
            for name, source_id in _references(basket.records(record_type)):
                wanted[name].add(source_id)
        left = 2 * MOST_PICKS - basket.size
        missing: Ids = {}
        for name, ids in wanted.items():
            unasked = sorted(ids - basket.asked[name])
            found = sorted(set(unasked) - await self._live(name, unasked))[: max(left, 0)]
            left -= len(found)
            missing[name] = set(found)
        return missing

    async def _live(self, record_type: RecordType, ids: Sequence[str]) -> set[str]:
        async with self._context.transaction() as connection:
            rows = await connection.fetch(
                f"SELECT source_id FROM {_TABLES[record_type]} WHERE tenant_id = $1"
                " AND source_id = ANY ($2) AND origin = 'PROVIDER' AND archived_at IS NULL",
                self._context.tenant_id,
                ids,
            )
        return {row["source_id"] for row in rows}


def _references(records: Iterable[Record]) -> Iterator[tuple[RecordType, str]]:
    for record in records:
        match record:
            case Enrollment():
                yield RecordType.USER, record.user_source_id
                yield RecordType.GROUP, record.group_source_id
            case Group():
                yield RecordType.SCHOOL, record.school_source_id
                if record.course_source_id:
                    yield RecordType.COURSE, record.course_source_id
                yield from ((RecordType.TERM, name) for name in record.term_source_ids)
            case User():
                yield from ((RecordType.SCHOOL, name) for name in record.school_source_ids)
            case School() if record.parent_source_id:
                yield RecordType.SCHOOL, record.parent_source_id
            case Term() if record.parent_source_id:
                yield RecordType.TERM, record.parent_source_id


def _tell_several(people: Collection[str], picks: Picks) -> Step:
    """A number that several people have names none of them."""
    ids = ", ".join(sorted(people))
    message = f"{len(people)} people have the number {_shown(picks.numbers)}: {ids}. Ask by an id."
    return Step(StepName.FETCHED, StepOutcome.STOPPED, message)


def _tell_person(basket: _Basket, picks: Picks, provider: Provider) -> Step:
    page = basket.page(RecordType.USER, 0)
    present = basket.ids(RecordType.USER)
    unread = [item.reason for item in page.unread]
    gone = [name for name in page.deleted if name not in present]
    if present:
        (source_id,) = present
        members = count_of(len(basket.page(RecordType.MEMBERSHIP, 0).records), "enrollment")
        limits = [item.reason for item in basket.page(RecordType.MEMBERSHIP, 0).unread]
        told = [f"{provider.value} has this person as {source_id}, in {members}."]
        outcome = StepOutcome.WARNING if limits else StepOutcome.PASSED
        return Step(StepName.FETCHED, outcome, " ".join([*told, *dict.fromkeys(limits)]), source_id)
    if gone:
        message = f"{provider.value} no longer has {gone[0]}, or does not share them."
        return Step(StepName.FETCHED, StepOutcome.WARNING, message, gone[0])
    nobody = f"Nobody at {provider.value} has the number {_shown(picks.numbers)}."
    return Step(StepName.FETCHED, StepOutcome.STOPPED, unread[0] if unread else nobody)


def _tell_records(basket: _Basket, picks: Picks) -> Step:
    asked = sum(len(ids) for ids in picks.ids.values())
    unread = [item for name in RecordType for item in basket.page(name, 0).unread]
    if not unread:
        return Step(StepName.FETCHED, StepOutcome.PASSED, f"{count_of(asked, 'record')} asked for.")
    reasons = " ".join(dict.fromkeys(item.reason for item in unread))
    message = f"{count_of(asked, 'record')} asked for, {len(unread)} not read. {reasons}"
    return Step(StepName.FETCHED, StepOutcome.WARNING, message)


def _shown(numbers: Collection[str]) -> str:
    return ", ".join(sorted(numbers))
