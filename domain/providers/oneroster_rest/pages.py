"""The pages of a OneRoster server: collection after collection, each to its end."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from operator import attrgetter
from typing import Final

from domain.providers.oneroster.drafts import Draft
from domain.providers.oneroster_rest.cells import metadata_value
from domain.providers.oneroster_rest.moments import latest
from domain.providers.oneroster_rest.objects import COLLECTIONS, Collection, PageDecoder, Row
from domain.providers.oneroster_rest.paging import Walk
from domain.providers.oneroster_rest.requests import Reading, begin_walk, take_page
from domain.providers.oneroster_rest.rows import Reader, read_rows, reader_of
from domain.roster.source import Checkpoint, Completeness, Page, Problem, RosterUnreadable
from domain.validation.codes import Code

_TO_THE_END: Final = 1 << 62
_modified_of = attrgetter("dateLastModified")


async def all_pages(reading: Reading, after: Checkpoint | None) -> AsyncGenerator[Page, None]:
    """Every page behind the checkpoint."""
    orgs, *others = COLLECTIONS.values()
    walk = Walk.at(after) if after else None
    if walk is None or (walk.collection == orgs.name and not walk.is_over):
        given = walk.offset if walk else 0
        async with aclosing(collection_pages(reading, orgs, None, given=given)) as pages:
            async for page in pages:
                yield page
        walk = None
    else:
        await _learn_org_types(reading, orgs)
    if walk is not None:
        reading.can_sort = walk.is_sorted
        names = [collection.name for collection in (orgs, *others)]
        others = others[max(names.index(walk.collection) - 1 + walk.is_over, 0) :]
    for collection in others:
        is_begun = walk is not None and walk.collection == collection.name
        begun = walk if is_begun else None
        async with aclosing(collection_pages(reading, collection, begun)) as pages:
            async for page in pages:
                yield page


async def _learn_org_types(reading: Reading, orgs: Collection) -> None:
    """Their pages were given out; what the organisations are is needed again."""
    async with aclosing(collection_pages(reading, orgs, None, given=_TO_THE_END)) as pages:
        async for _ in pages:
            pass


async def collection_pages(
    reading: Reading, collection: Collection, walk: Walk | None, *, given: int = 0
) -> AsyncGenerator[Page, None]:
    """The pages of one collection, without the rows that were given out before."""
    walk = walk or begin_walk(reading, collection)
    is_1_2 = reading.endpoint.base_url.endswith("v1p2")
    reader = reader_of(collection, reading.rules, has_unborn=is_1_2)
    decoder = PageDecoder(collection, with_metadata=reader.judged is not None)
    while not walk.is_over:
        offset = walk.offset
        answered = await take_page(reading, collection, walk=walk, decoder=decoder)
        rows, has_nul = answered.rows, answered.has_nul
        walk.has_field = walk.has_field or _has_field(reader, rows)
        known = max(0, min(given - offset, len(rows)))
        if known:
            read_rows(reader, rows[:known], offset=offset, has_nul=has_nul)
            rows = rows[known:]
        if rows or walk.is_over:
            draft = read_rows(reader, rows, offset=offset + known, has_nul=has_nul)
            yield _page(reading, reader, walk, rows=rows, draft=draft)


def _has_field(reader: Reader, rows: Sequence[Row]) -> bool:
    column = reader.judged
    return column is not None and any(
        metadata_value(row.metadata, column) is not None for row in rows
    )


def _page(
    reading: Reading, reader: Reader, walk: Walk, *, rows: Sequence[Row], draft: Draft
) -> Page:
    record_type = reader.collection.record_type
    # Asked in vain to filter, the server gave all that there is.
    is_whole = reading.wants_filter(record_type) and not walk.is_filtered
    is_full = is_whole or not reading.since
    if walk.is_over and is_full:
        _require_field(reader, walk)
        if not walk.offset:
            draft.problems.append(_nothing(reader.collection))
    return Page(
        record_type=record_type,
        records=draft.records,
        problems=draft.problems,
        ignored=draft.ignored,
        deleted=draft.deleted,
        read=draft.read,
        completeness=Completeness.FULL if is_full else Completeness.DELTA,
        is_last=walk.is_over,
        checkpoint=walk.checkpoint(),
        expected=walk.expected if walk.is_over else None,
        modified=latest(map(_modified_of, rows), today=reading.rules.today),
    )


def _nothing(collection: Collection) -> Problem:
    return Problem(
        Code.CONN_EMPTY,
        collection.record_type,
        expected="records",
        found="none",
        place=collection.name,
    )


def _require_field(reader: Reader, walk: Walk) -> None:
    """Where nobody has the field that says who is eligible, it is not shared: not "nobody is"."""
    if reader.judged is not None and walk.offset and not walk.has_field:
        raise RosterUnreadable(
            Code.CONN_FORBIDDEN_SCOPE,
            f"None of the {walk.offset} users has {reader.judged}, which says who is eligible."
            " Have the provider send it, or correct the name of the field.",
            place=walk.collection,
        )
