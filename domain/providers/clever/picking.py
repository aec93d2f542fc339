"""Clever's records by name: each object is asked for alone. Enrollments are in their sections."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

from msgspec import Raw

from domain.providers.clever import objects
from domain.providers.clever.api import Api, Wanted
from domain.providers.clever.decoding import Odd, decode_row
from domain.providers.clever.listings import read_list
from domain.providers.clever.mapping import map_course, map_school, map_term
from domain.providers.clever.objects import Bystander, Members, Object, Section
from domain.providers.clever.people import WORDS, Rules, first_role
from domain.providers.clever.plain_people import kind_of, user_reader
from domain.providers.clever.rows import COLLECTIONS, Draft, ReadRows, row_reader, take_odd
from domain.providers.clever.sections import read_groups, read_members
from domain.providers.finds import Finds
from domain.providers.http.failures import Refused
from domain.providers.http.pagesize import PageSize
from domain.roster.records import RecordType
from domain.roster.source import Page, Picks

_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NO_NUMBERS: Final = "Clever does not look people up by their number: it takes their Clever id."
_NO_ID: Final = "It is no id of Clever's."
_SECTIONS_PER_PAGE: Final = 1000
_PARTS: Final = 3
"""Of the id that an enrollment is given: section, person, role."""
_READERS: Final[Mapping[RecordType, tuple[type[Object], ReadRows]]] = {
    RecordType.SCHOOL: (objects.School, row_reader(RecordType.SCHOOL, map_school)),
    RecordType.TERM: (objects.Term, row_reader(RecordType.TERM, map_term)),
    RecordType.COURSE: (objects.Course, row_reader(RecordType.COURSE, map_course)),
    RecordType.GROUP: (Section, read_groups),
}


async def picked_pages(api: Api, rules: Rules, picks: Picks) -> AsyncGenerator[Page]:
    picker = _Picker(api, rules)
    for record_type in RecordType:
        finds = Finds(record_type, picks.of(record_type))
        if record_type is RecordType.MEMBERSHIP:
            await picker.find_members(finds, picks)
        else:
            for number in picks.numbers if record_type is RecordType.USER else ():
                finds.give_up(number, _NO_NUMBERS)
            for source_id in finds.missing:
                await picker.find(finds, source_id)
        yield finds.page()


class _Picker:
    """Keeps the sections that it has seen: None are those that are gone."""

    def __init__(self, api: Api, rules: Rules) -> None:
        self._api = api
        self._rules = rules
        self._sections: dict[str, Section | Odd | None] = {}

    async def find(self, finds: Finds, source_id: str) -> None:
        try:
            raw = await self._api.single(COLLECTIONS[finds.record_type], source_id)
        except Refused as refused:
            _account(finds, source_id, refused)
            if finds.record_type is RecordType.GROUP and refused.status in _GONE:
                self._sections[source_id] = None
            return
        if finds.record_type is RecordType.USER:
            finds.take_all(self._read_user(raw))
            return
        kind, read_rows = _READERS[finds.record_type]
        row = decode_row(raw, kind)
        if isinstance(row, Section | Odd) and kind is Section:
            self._sections[source_id] = row
        finds.take_all(read_rows([row]))

    def _read_user(self, raw: Raw) -> Draft:
        """By the pull in which a full reading would find them."""
        bystander = decode_row(raw, Bystander)
        if isinstance(bystander, Odd):
            draft = Draft()
            take_odd(draft, bystander, RecordType.USER)
            return draft
        word = first_role(bystander) or WORDS[0]
        return user_reader(word, self._rules)([decode_row(raw, kind_of(word, self._rules))])

    async def find_members(self, finds: Finds, picks: Picks) -> None:
        for user in picks.memberships_of.get(RecordType.USER, ()):
            await self._find_memberships_of_user(finds, user)
        for group in picks.memberships_of.get(RecordType.GROUP, ()):
            finds.take_all(_members_of(await self._section(group)))
        for source_id in finds.missing:
            parts = source_id.split("/")
            if len(parts) != _PARTS:
                finds.give_up(source_id, "Clever has no enrollments of their own.")
                continue
            finds.take(_members_of(await self._section(parts[0])))
            if source_id in finds.missing and parts[0] in self._sections:
                finds.miss(source_id)
            elif source_id in finds.missing:
                finds.give_up(source_id, _NO_ID)

    async def _find_memberships_of_user(self, finds: Finds, user: str) -> None:
        try:
            sections = await self._list_sections(user)
        except Refused as refused:
            if refused.status not in _GONE | {HTTPStatus.BAD_REQUEST}:
                raise
            return  # nobody is there, which is told with the people
        for section in sections:
            self._sections[section.id] = section
            draft = _members_of(section)
            draft.records = [
                record
                for record in draft.records
                if getattr(record, "user_source_id", None) == user
            ]
            draft.problems = []
            finds.take_all(draft)

    async def _list_sections(self, user: str) -> list[Section | Odd]:
        wanted = Wanted(COLLECTIONS[RecordType.GROUP], user=user)
        sizes = PageSize(_SECTIONS_PER_PAGE)
        found: list[Section | Odd] = []
        async with aclosing(
            read_list(self._api, wanted, Section, after="", page_size=sizes)
        ) as parts:
            async for part in parts:
                found += [row for row in part.rows if isinstance(row, Section | Odd)]
        return found

    async def _section(self, source_id: str) -> Section | Odd | None:
        if source_id not in self._sections:
            await self.find(Finds(RecordType.GROUP), source_id)
        return self._sections.get(source_id)


def _account(finds: Finds, source_id: str, refused: Refused) -> None:
    """The token opens the district: what is not found there is deleted, or not shared any more."""
    if refused.status in _GONE:
        finds.miss(source_id)
    elif refused.status == HTTPStatus.BAD_REQUEST:
        finds.give_up(source_id, _NO_ID)
    else:
        raise refused


def _members_of(section: Section | Odd | None) -> Draft:
    members = section.members if isinstance(section, Odd) else section
    return read_members([members]) if isinstance(members, Members) else Draft()
