"""Records of a OneRoster server by name: each is asked for alone, and read like those of a page.

A server that does not find an id may be one that finds none at all: that a record is gone has to
be confirmed by its collection. What a filter gives is looked at, since many servers ignore them.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from domain.providers.finds import Finds
from domain.providers.http.answer import Answer
from domain.providers.http.failures import Refused
from domain.providers.oneroster.drafts import Draft
from domain.providers.oneroster_rest import objects
from domain.providers.oneroster_rest.objects import COLLECTIONS, PageDecoder, Row
from domain.providers.oneroster_rest.pages import collection_pages
from domain.providers.oneroster_rest.requests import (
    REFUSALS,
    Reading,
    begin_walk,
    take_page,
)
from domain.providers.oneroster_rest.rows import Reader, read_rows, reader_of
from domain.roster.records import RecordType
from domain.roster.source import Page, Picks, RosterMoved
from domain.validation.codes import Code

_NOT_BY_ID: Final = REFUSALS | {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
}
_NUL: Final = b"\\u0000"
_OWNERS: Final = {
    RecordType.USER: ("user.sourcedId", "userSourcedId", "person"),
    RecordType.GROUP: ("class.sourcedId", "classSourcedId", "class"),
}
"""Of whom enrollments can be listed: how a filter names them, the column, and what they are."""


async def picked_pages(reading: Reading, picks: Picks) -> AsyncGenerator[Page, None]:
    for record_type, collection in COLLECTIONS.items():
        finds = Finds(record_type, picks.of(record_type))
        if record_type is RecordType.SCHOOL:
            await _pick_orgs(reading, picks, finds)
        elif picks.wants(record_type):
            picker = Picker.of(reading, collection, finds)
            if record_type is RecordType.USER:
                await picker.find_numbers(picks.numbers)
            if record_type is RecordType.MEMBERSHIP:
                for owner, ids in picks.memberships_of.items():
                    await picker.list_memberships(owner, ids)
            for source_id in finds.missing:
                await picker.find(source_id)
        yield finds.page()


async def _pick_orgs(reading: Reading, picks: Picks, finds: Finds) -> None:
    """Out of all organisations, whose types the classes and people are read by anyway."""
    if not any(map(picks.wants, (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER))):
        return
    orgs = COLLECTIONS[RecordType.SCHOOL]
    async with aclosing(collection_pages(reading, orgs, None)) as pages:
        async for page in pages:
            finds.take(page)
    for source_id in finds.missing:
        finds.miss(source_id)


@dataclass(frozen=True, slots=True)
class Picker:
    """Asks for records of one collection."""

    reading: Reading
    collection: objects.Collection
    finds: Finds
    reader: Reader
    decoder: PageDecoder

    @classmethod
    def of(cls, reading: Reading, collection: objects.Collection, finds: Finds) -> "Picker":
        is_1_2 = reading.endpoint.base_url.endswith("v1p2")
        reader = reader_of(collection, reading.rules, has_unborn=is_1_2)
        decoder = PageDecoder(collection, with_metadata=reader.judged is not None)
        return cls(reading, collection, finds, reader, decoder)

    async def find(self, source_id: str) -> None:
        """By id; where the server cannot, or does not find it, by a filter."""
        try:
            row, has_nul = await self._ask(source_id)
        except Refused as refused:
            if refused.status == HTTPStatus.GONE:
                self.finds.miss(source_id)
                return
            if refused.status not in _NOT_BY_ID:
                raise
            await self._confirm(source_id, refused)
            return
        if _said(row.sourcedId) != source_id:
            self.finds.give_up(source_id, "The server answers with another record.")
            return
        self._take([row], has_nul=has_nul)

    async def _ask(self, source_id: str) -> tuple[Row, bool]:
        endpoint = self.reading.endpoint

        def decode(answer: Answer) -> tuple[Row, bool]:
            endpoint.watch(answer.headers)
            return self.decoder.decode_single(answer.body), _NUL in answer.body

        return await self.reading.client.get(
            f"{endpoint.base_url}/{self.collection.name}/{quote(source_id, safe='')}",
            authorizer=endpoint.authorizer,
            decode=decode,
        )

    async def _confirm(self, source_id: str, refused: Refused) -> None:
        draft = await self._where("sourcedId", "sourcedId", source_id)
        if draft is None or (refused.status != HTTPStatus.NOT_FOUND and not draft.read):
            self.finds.give_up(
                source_id,
                f"The server gives no {self.collection.single} by its id (it answered"
                f" {refused.status}).",
            )
        elif draft.read:
            self.finds.take_all(draft)
        else:
            self.finds.miss(source_id)

    async def find_numbers(self, numbers: Collection[str]) -> None:
        for number in numbers:
            draft = await self._where("identifier", "identifier", number)
            if draft is None:
                self.finds.give_up(number, "The server does not look people up by their number.")
            else:
                self.finds.take_all(draft)

    async def list_memberships(self, owner: RecordType, source_ids: Collection[str]) -> None:
        filtered, column, word = _OWNERS[owner]
        for source_id in source_ids:
            draft = await self._where(filtered, column, source_id)
            if draft is None:
                self.finds.give_up(
                    source_id,
                    f"The server does not list the enrollments of one {word}: new ones come with"
                    " the next full sync.",
                )
            else:
                self.finds.take_all(draft)

    async def _where(self, filtered: str, column: str, value: str) -> Draft | None:
        """The rows with a value in a field; None if the server does not filter by it."""
        if "'" in value:
            return None  # the standard has no way to write it
        narrowed = replace(self.reading, only=f"{filtered}='{value}'")
        walk = begin_walk(narrowed, self.collection)
        draft, names = Draft(), set()
        while not walk.is_over:
            try:
                answered = await take_page(
                    narrowed, self.collection, walk=walk, decoder=self.decoder
                )
            except Refused as refused:
                if refused.status not in _NOT_BY_ID:
                    raise
                return None
            if any(_said(getattr(row, column)) != value for row in answered.rows):
                return None
            names |= {_said(row.sourcedId) for row in answered.rows}
            _add(draft, read_rows(self.reader, answered.rows, offset=0, has_nul=answered.has_nul))
        if walk.expected is not None and len(names) < walk.expected:
            raise RosterMoved(
                Code.CONN_INTERRUPTED,
                f"The server says that there are {walk.expected} {self.collection.name} with this"
                f" {filtered}, and gave {len(names)}.",
                place=self.collection.name,
            )
        self.reading.can_sort = narrowed.can_sort
        return draft

    def _take(self, rows: Sequence[Row], *, has_nul: bool) -> None:
        self.finds.take_all(read_rows(self.reader, rows, offset=0, has_nul=has_nul))


def _add(draft: Draft, more: Draft) -> None:
    draft.records += more.records
    draft.problems += more.problems
    draft.ignored += more.ignored
    draft.deleted += more.deleted
    draft.rejected += more.rejected


def _said(value: Any) -> str:
    """A text or the id of what is referred to, in any of the ways in which servers write it."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("sourcedId")
    value = getattr(value, "sourcedId", value)
    return "" if value is None else str(value).strip()
