"""The roster as pages: list after list, and where a reading can go on behind each of them."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple

from domain.providers.clever import objects
from domain.providers.clever.api import Api, Wanted
from domain.providers.clever.listings import Slice, read_list, read_optional_list
from domain.providers.clever.mapping import map_course, map_school, map_term
from domain.providers.clever.people import WORDS, Rules
from domain.providers.clever.plain_people import kind_of, user_reader
from domain.providers.clever.rows import COLLECTIONS, Draft, ReadRows, place_of, row_reader
from domain.providers.clever.sections import read_groups, read_members, with_members
from domain.providers.http.ahead import ahead
from domain.providers.http.pagesize import PageSize
from domain.roster.records import RecordType
from domain.roster.source import Checkpoint, Page, Problem, RosterMoved
from domain.validation.codes import Code

PAGE_SIZES: Final[Mapping[str, int]] = {
    "schools": 1000,
    "terms": 1000,
    "courses": 2000,
    "users": 2000,
    "sections": 1000,
}
"""Clever allows 10,000, and its servers do not always live to see the end of such a page."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One list, or one role's part of the users."""

    record_type: RecordType
    role: str | None = None

    @property
    def wanted(self) -> Wanted:
        return Wanted(COLLECTIONS[self.record_type], self.role)

    @property
    def name(self) -> str:
        return f"{self.wanted.collection}/{self.role}" if self.role else self.wanted.collection

    def is_optional(self, rules: Rules) -> bool:
        """Contacts, as long as nobody wants them: then a district need not share them."""
        return self.role == WORDS[-1] and rules.role_map[self.role] is None


STAGES: Final = (
    Stage(RecordType.SCHOOL),
    Stage(RecordType.TERM),
    Stage(RecordType.COURSE),
    *(Stage(RecordType.USER, word) for word in WORDS),
    Stage(RecordType.GROUP),
)
_END: Final = "end"
_NAMES: Final = (*(stage.name for stage in STAGES), _END)


class Position(NamedTuple):
    """Where a reading stands. The groups of a page of sections come before its members.

    `read` counts what was read of a type; `fingerprint` is that of the beginning.
    """

    fingerprint: str
    stage: int = 0
    after: str = ""
    groups_after: str = ""
    has_all_groups: bool = False
    read: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Position":
        """Raises RosterMoved for a checkpoint of another kind: then all is read anew."""
        try:
            return cls(
                str(checkpoint["fingerprint"]),
                _NAMES.index(str(checkpoint["at"])),
                str(checkpoint["after"]),
                str(checkpoint["groups_after"]),
                bool(checkpoint["has_all_groups"]),
                int(checkpoint["read"]),
            )
        except (KeyError, ValueError):
            raise RosterMoved(
                Code.CONN_MOVED, "The reading that was begun is of another version of Homerow."
            ) from None

    @property
    def checkpoint(self) -> Checkpoint:
        return {
            "fingerprint": self.fingerprint,
            "at": _NAMES[self.stage],
            "after": self.after,
            "groups_after": self.groups_after,
            "has_all_groups": int(self.has_all_groups),
            "read": self.read,
        }

    @property
    def is_end(self) -> bool:
        return _NAMES[self.stage] == _END

    def behind(self, part: Slice, *, read: int) -> "Position":
        """Where the reading stands when all that a slice says was given out."""
        if not part.is_last:
            groups_after = max(self.groups_after, part.cursor)
            return self._replace(after=part.cursor, groups_after=groups_after, read=read)
        goes_on = self.stage + 1 < len(STAGES) and (
            STAGES[self.stage + 1].record_type is STAGES[self.stage].record_type
        )
        return Position(self.fingerprint, self.stage + 1, read=read if goes_on else 0)


async def roster_pages(api: Api, rules: Rules, begin: Position) -> AsyncGenerator[Page]:
    """Every page behind a position, with the next one on its way while one is in use."""
    position = begin
    readers = [_reader(stage, rules) for stage in STAGES]
    async with aclosing(ahead(_slices(api, rules, begin))) as slices:
        async for part in slices:
            stage, read_rows = STAGES[position.stage], readers[position.stage]
            if stage.record_type is RecordType.GROUP:
                for page in _section_pages(part, position):
                    yield page
                    position = Position.of(page.checkpoint)
            else:
                draft = read_rows(part.rows)
                reached = position.behind(part, read=position.read + draft.read)
                is_last = part.is_last and (
                    STAGES[reached.stage].record_type is not stage.record_type
                )
                problems = _emptiness(
                    stage.record_type, position.read + draft.read, is_last=is_last
                )
                yield _page(stage.record_type, draft, reached, is_last=is_last, also=problems)
                position = reached


async def _slices(api: Api, rules: Rules, begin: Position) -> AsyncGenerator[Slice]:
    sizes = {collection: PageSize(size) for collection, size in PAGE_SIZES.items()}
    after = begin.after
    for stage in STAGES[begin.stage :]:
        read = read_optional_list if stage.is_optional(rules) else read_list
        parts = read(
            api,
            stage.wanted,
            _kind(stage, rules),
            after=after,
            page_size=sizes[stage.wanted.collection],
        )
        async with aclosing(parts):
            async for part in parts:
                yield part
        after = ""


def _section_pages(part: Slice, begin: Position) -> Iterator[Page]:
    """First the groups of a slice, then who is in them."""
    is_again = begin.groups_after > begin.after
    rows = [row for row in part.rows if row.id > begin.groups_after] if is_again else part.rows
    draft = read_groups(rows)
    position = begin._replace(
        groups_after=max(begin.groups_after, part.cursor),
        has_all_groups=begin.has_all_groups or part.is_last,
        read=begin.read + draft.read,
    )
    if rows or not is_again or (part.is_last and not begin.has_all_groups):
        is_last = part.is_last and not begin.has_all_groups
        empty = _emptiness(RecordType.GROUP, position.read, is_last=is_last)
        yield _page(RecordType.GROUP, draft, position, is_last=is_last, also=empty)
    yield from _member_pages(part, position)


def _member_pages(part: Slice, position: Position) -> Iterator[Page]:
    portions = list(with_members(part.rows))
    for number, portion in enumerate(portions, 1):
        draft = read_members(portion)
        if number == len(portions):
            reached = position.behind(part, read=position.read)
            yield _page(RecordType.MEMBERSHIP, draft, reached, is_last=part.is_last)
        else:
            position = position._replace(after=portion[-1].id or position.after)
            yield _page(RecordType.MEMBERSHIP, draft, position, is_last=False)


def _kind(stage: Stage, rules: Rules) -> type[objects.Object]:
    match stage.record_type:
        case RecordType.SCHOOL:
            return objects.School
        case RecordType.TERM:
            return objects.Term
        case RecordType.COURSE:
            return objects.Course
        case RecordType.USER if stage.role:
            return kind_of(stage.role, rules)
    return objects.Section


def _reader(stage: Stage, rules: Rules) -> ReadRows:
    match stage.record_type:
        case RecordType.SCHOOL:
            return row_reader(RecordType.SCHOOL, map_school)
        case RecordType.TERM:
            return row_reader(RecordType.TERM, map_term)
        case RecordType.COURSE:
            return row_reader(RecordType.COURSE, map_course)
        case RecordType.USER if stage.role:
            return user_reader(stage.role, rules)
    return read_groups


def _page(
    record_type: RecordType,
    draft: Draft,
    reached: Position,
    *,
    is_last: bool,
    also: Sequence[Problem] = (),
) -> Page:
    return Page(
        record_type,
        records=draft.records,
        problems=[*draft.problems, *also],
        ignored=draft.ignored,
        read=draft.read,
        is_last=is_last,
        checkpoint=reached.checkpoint,
    )


def _emptiness(record_type: RecordType, read: int, *, is_last: bool) -> list[Problem]:
    if read or not is_last:
        return []
    place = place_of(record_type, "")
    return [Problem(Code.CONN_EMPTY, record_type, expected="at least one record", place=place)]
