"""The pages of one collection: its file read to the end, checkpoint after checkpoint."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

from domain.providers.oneroster.drafts import Draft, Rules
from domain.providers.oneroster.mapping import map_course, map_org, map_session
from domain.providers.oneroster_csv.enrollments import enrollment_reader
from domain.providers.oneroster_csv.layouts import ROLES_LAYOUT, Layout, collections_of
from domain.providers.oneroster_csv.manifest import Manifest
from domain.providers.oneroster_csv.package import Package
from domain.providers.oneroster_csv.plain_classes import class_reader
from domain.providers.oneroster_csv.plain_users import user_reader, user_with_roles_reader
from domain.providers.oneroster_csv.roles import RoleStore, open_role_store
from domain.providers.oneroster_csv.rows import ReadPage, Sheet, row_reader
from domain.providers.oneroster_csv.table import open_table
from domain.roster.records import RecordType
from domain.roster.source import Checkpoint, Completeness, Page, Problem, RosterUnreadable
from domain.validation.codes import Code

_TO_THE_END: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Reading:
    """One pass over an opened package."""

    package: Package
    manifest: Manifest
    rules: Rules
    page_size: int


class _Opened(NamedTuple):
    """A file about to be read, and what is wrong with it as a file."""

    sheet: Sheet
    read_page: ReadPage
    problems: Sequence[Problem]


async def all_pages(reading: Reading, after: Checkpoint | None) -> AsyncGenerator[Page, None]:
    """Every page behind the checkpoint."""
    layouts = list(collections_of(reading.manifest.version, reading.rules.eligibility).values())
    begin, given = _position_of(after, layouts)
    if begin:
        # The types of the organisations are needed again; their pages were given out.
        async with aclosing(collection_pages(reading, layouts[0], given=_TO_THE_END)) as pages:
            async for _ in pages:
                pass
    for layout in layouts[begin:]:
        async with aclosing(collection_pages(reading, layout, given=given)) as pages:
            async for page in pages:
                yield page
        given = None


async def collection_pages(
    reading: Reading, layout: Layout, *, given: int | None
) -> AsyncGenerator[Page, None]:
    """The pages of one file, without those that cover the rows that were given out before.

    A page is held back until the next one is read, since only then is it known to be the last.
    """
    completeness = reading.manifest.modes.get(layout.file)
    if completeness is None:
        if given is None:
            yield _absent_page(reading, layout)
        return
    with ExitStack() as stack:
        opened = await _open(reading, layout, stack)
        done, records_read, held = 0, 0, None
        while (draft := _draft(opened, reading, done, given)).rows or not done:
            done += draft.rows
            records_read += draft.read
            if given is None or done > given:
                if held:
                    yield held
                held = _page(draft, layout, completeness, done)
            await asyncio.sleep(0)
            if not done:
                break
        reading.package.require_unchanged()
        _require_reached(layout, done, given)
        if held:
            is_empty = not records_read and completeness is Completeness.FULL
            remark = [_empty_file(layout)] if is_empty else []
            yield replace(held, is_last=True, problems=[*held.problems, *remark])


def _draft(opened: _Opened, reading: Reading, done: int, given: int | None) -> Draft:
    """The next page. Pages that were given out end where the checkpoint is, whatever their size."""
    draft = Draft()
    if not done:
        draft.problems.extend(opened.problems)
    left = given - done if given is not None and given > done else reading.page_size
    opened.read_page(draft, min(left, reading.page_size))
    return draft


def _page(draft: Draft, layout: Layout, completeness: Completeness, done: int) -> Page:
    return Page(
        record_type=layout.record_type,
        records=draft.records,
        problems=draft.problems,
        ignored=draft.ignored,
        deleted=draft.deleted,
        read=draft.read,
        completeness=completeness,
        checkpoint={"file": layout.file, "rows": done},
    )


def _absent_page(reading: Reading, layout: Layout) -> Page:
    """Nothing was said about this collection, so nothing of it is gone.

    That is remarked upon in a bulk package: one of changes has only the files that changed.
    """
    remarks = package_problems(reading.package, layout.record_type)
    if set(reading.manifest.modes.values()) == {Completeness.FULL}:
        remarks.append(
            Problem(
                Code.FILE_SET_CHANGED,
                layout.record_type,
                expected=layout.file,
                found="no such file",
                place=layout.file,
            )
        )
    return Page(
        record_type=layout.record_type,
        problems=remarks,
        completeness=Completeness.DELTA,
        is_last=True,
        checkpoint={"file": layout.file, "rows": 0},
    )


def package_problems(package: Package, record_type: RecordType) -> list[Problem]:
    """What is strange about the package as such: told once, with the schools."""
    if record_type is not RecordType.SCHOOL:
        return []
    return [
        Problem(Code.FILE_UNKNOWN, record_type, expected="OneRoster files", found=name, place=name)
        for name in package.unknown
    ]


async def _open(reading: Reading, layout: Layout, stack: ExitStack) -> _Opened:
    is_delta = reading.manifest.modes[layout.file] is Completeness.DELTA
    table = stack.enter_context(open_table(reading.package, layout, is_delta=is_delta))
    sheet = Sheet(table, is_delta=is_delta)
    problems = [*package_problems(reading.package, layout.record_type), *table.problems]
    if layout.record_type is RecordType.USER and reading.manifest.version != "1.1":
        store = stack.enter_context(open_role_store())
        problems.extend(await _load_roles(reading, store))
        return _Opened(sheet, user_with_roles_reader(sheet, reading.rules, store), problems)
    return _Opened(sheet, reader_of(sheet, reading.rules), problems)


def reader_of(sheet: Sheet, rules: Rules) -> ReadPage:
    match sheet.table.record_type:
        case RecordType.SCHOOL:
            return row_reader(sheet, partial(map_org, rules=rules))
        case RecordType.TERM:
            return row_reader(sheet, map_session)
        case RecordType.COURSE:
            return row_reader(sheet, map_course)
        case RecordType.GROUP:
            return class_reader(sheet, rules)
        case RecordType.USER:
            return user_reader(sheet, rules)
        case RecordType.MEMBERSHIP:
            return enrollment_reader(sheet)


async def _load_roles(reading: Reading, store: RoleStore) -> list[Problem]:
    is_delta = reading.manifest.modes[ROLES_LAYOUT.file] is Completeness.DELTA
    with open_table(reading.package, ROLES_LAYOUT, is_delta=is_delta) as table:
        sheet, count = Sheet(table, is_delta=is_delta), 0
        while added := store.add(sheet, reading.page_size):
            count += added
            await asyncio.sleep(0)
        problems = [*table.problems, *store.problems(sheet)]
    store.index()
    return problems if count or is_delta else [*problems, _empty_file(ROLES_LAYOUT)]


def _empty_file(layout: Layout) -> Problem:
    return Problem(Code.FILE_EMPTY, layout.record_type, expected="rows", place=layout.file)


def _position_of(after: Checkpoint | None, layouts: Sequence[Layout]) -> tuple[int, int | None]:
    """The file of a checkpoint, and how many of its rows were given out."""
    if after is None:
        return 0, None
    for index, layout in enumerate(layouts):
        if layout.file == after.get("file"):
            return index, int(after.get("rows", 0))
    raise RosterUnreadable(Code.FILE_CHANGED, "The reading that was begun was of another package.")


def _require_reached(layout: Layout, done: int, given: int | None) -> None:
    if given is not None and done < given < _TO_THE_END:
        raise RosterUnreadable(
            Code.FILE_CHANGED,
            f"{layout.file} has fewer rows than when its reading began.",
            place=layout.file,
        )
