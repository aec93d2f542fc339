"""Records of a package by name: its files are read through, and only those are kept."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Final

from domain.providers.finds import Finds
from domain.providers.oneroster_csv.layouts import Layout, collections_of
from domain.providers.oneroster_csv.pages import Reading, collection_pages
from domain.roster.records import Enrollment, RecordType, User
from domain.roster.source import Completeness, Page, Picks

_NOT_NAMED: Final = "The file has only what has changed since the one before it, and not this."
_AlsoWanted = Callable[[Page], Iterator[str]]


async def picked_pages(reading: Reading, picks: Picks) -> AsyncGenerator[Page, None]:
    layouts = collections_of(reading.manifest.version, reading.rules.eligibility)
    for record_type, layout in layouts.items():
        finds = Finds(record_type, picks.of(record_type))
        if picks.wants(record_type) or (
            # Classes and people are read by the types of the organisations.
            record_type is RecordType.SCHOOL
            and (picks.wants(RecordType.GROUP) or picks.wants(RecordType.USER))
        ):
            await _look_through(reading, layout, finds, _also_wanted(record_type, picks))
        yield finds.page()


async def _look_through(
    reading: Reading, layout: Layout, finds: Finds, also_wanted: _AlsoWanted
) -> None:
    async with aclosing(collection_pages(reading, layout, given=None)) as pages:
        async for page in pages:
            finds.want(also_wanted(page))
            finds.take(page)
    is_whole = reading.manifest.modes.get(layout.file) is Completeness.FULL
    for source_id in finds.missing:
        if is_whole:
            finds.miss(source_id)
        else:
            finds.give_up(source_id, _NOT_NAMED)


def _also_wanted(record_type: RecordType, picks: Picks) -> _AlsoWanted:
    """The ids of what is wanted for something else that it says."""
    match record_type:
        case RecordType.USER:
            return partial(_with_numbers, frozenset(picks.numbers))
        case RecordType.MEMBERSHIP:
            wanted = picks.memberships_of
            users = frozenset(wanted.get(RecordType.USER, ()))
            return partial(_members, users, frozenset(wanted.get(RecordType.GROUP, ())))
        case _:
            return lambda _: iter(())


def _with_numbers(numbers: frozenset[str], page: Page) -> Iterator[str]:
    if not numbers:
        return
    for record in page.records:
        if isinstance(record, User) and record.number in numbers:
            yield record.source_id
    for problem in page.problems:
        if problem.source_id and problem.record and problem.record.get("identifier") in numbers:
            yield problem.source_id


def _members(users: frozenset[str], groups: frozenset[str], page: Page) -> Iterator[str]:
    if not users and not groups:
        return
    for record in page.records:
        if isinstance(record, Enrollment) and (
            record.user_source_id in users or record.group_source_id in groups
        ):
            yield record.source_id
    for problem in page.problems:
        if problem.source_id and problem.record:
            cells = problem.record
            if cells.get("userSourcedId") in users or cells.get("classSourcedId") in groups:
                yield problem.source_id
