"""The next page of a collection asked for, in whichever way the server accepts."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import blake2s
from http import HTTPStatus
from operator import lt
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from domain.providers.http.answer import Answer
from domain.providers.http.client import Client
from domain.providers.http.failures import Refused
from domain.providers.http.pagesize import PageSize
from domain.providers.oneroster.drafts import Rules
from domain.providers.oneroster_rest.access import Endpoint
from domain.providers.oneroster_rest.objects import Collection, PageDecoder, Row
from domain.providers.oneroster_rest.paging import Sight, Walk, has_next_link, total_of
from domain.providers.vocabulary import is_usable_id
from domain.roster.records import RecordType

REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""How servers refuse a parameter."""
_BEHIND_THE_END: Final = REFUSALS | {HTTPStatus.NOT_FOUND}
_SMALLER_LIMITS: Final = (1_000, 100)
"""Asked for where a larger limit is refused. The last is the standard's own."""
_NUL: Final = b"\\u0000"


@dataclass(slots=True)
class Reading:
    """One pass over a server. What it learns of the server holds for what follows.

    `since` are the times that deltas begin at, by record type; none at all is a full pull.
    `only` is a clause that the rows have to meet: without it nothing is asked for.
    """

    client: Client
    endpoint: Endpoint
    rules: Rules
    since: Mapping[RecordType, str] = field(default_factory=dict)
    only: str | None = None
    most_rows: int = 5_000
    can_sort: bool = True
    can_filter: bool = True

    def wants_filter(self, record_type: RecordType) -> bool:
        """Of deltas never for organisations: the types of all are needed, and there are few."""
        is_delta = record_type is not RecordType.SCHOOL and record_type in self.since
        return self.only is not None or is_delta


class Answered(NamedTuple):
    """`mark` is what the page is recognised by. `has_nul`: some text holds what cannot be kept.

    So many rows are `copies`: their ids came before on the same page.
    """

    rows: Sequence[Row]
    ids: AbstractSet[object]
    headers: Mapping[str, str]
    mark: str
    has_nul: bool
    copies: int = 0
    ends: tuple[str, str] | None = None


class _Way(NamedTuple):
    """How a collection is asked for."""

    is_filtered: bool
    size: int
    is_sorted: bool


def begin_walk(reading: Reading, collection: Collection) -> Walk:
    return Walk(
        collection.name,
        size=min(collection.size, reading.most_rows),
        is_sorted=reading.can_sort,
        is_filtered=reading.can_filter and reading.wants_filter(collection.record_type),
    )


async def take_page(
    reading: Reading, collection: Collection, *, walk: Walk, decoder: PageDecoder
) -> Answered:
    """The page that the walk has come to, which goes on behind it."""
    if walk.offset:
        answered = await _ask_on(reading, collection, walk, decoder)
    else:
        answered = await _ask_first(reading, collection, walk, decoder)
    reading.endpoint.watch(answered.headers)
    walk.take(
        Sight(
            count=len(answered.rows),
            ids=answered.ids,
            mark=answered.mark,
            total=total_of(answered.headers),
            has_next=has_next_link(answered.headers),
            copies=answered.copies,
            ends=answered.ends,
        )
    )
    return answered


async def _ask_first(
    reading: Reading, collection: Collection, walk: Walk, decoder: PageDecoder
) -> Answered:
    """In ever simpler ways, until the server accepts one: it is remembered."""
    refusal: Refused | None = None
    for way in _ways(walk, must_filter=reading.only is not None):
        walk.is_filtered, walk.size, walk.is_sorted = way
        try:
            answered = await _ask(reading, collection, walk, decoder)
        except Refused as refused:
            if refused.status not in REFUSALS:
                raise
            refusal = refusal or refused
            continue
        reading.can_sort = way.is_sorted
        if refusal:
            reading.most_rows = way.size
        reading.can_filter = way.is_filtered or not reading.wants_filter(collection.record_type)
        return answered
    raise refusal or AssertionError("there is always a way")


def _ways(walk: Walk, *, must_filter: bool) -> list[_Way]:
    sizes = [walk.size, *(size for size in _SMALLER_LIMITS if size < walk.size)]
    return [
        _Way(is_filtered, size, is_sorted)
        for is_filtered in _filters(walk, must_filter=must_filter)
        for size in sizes
        for is_sorted in ((True, False) if walk.is_sorted else (False,))
    ]


def _filters(walk: Walk, *, must_filter: bool) -> tuple[bool, ...]:
    if not walk.is_filtered:
        return (False,)
    return (True,) if must_filter else (True, False)


async def _ask_on(
    reading: Reading, collection: Collection, walk: Walk, decoder: PageDecoder
) -> Answered:
    try:
        return await _ask(reading, collection, walk, decoder)
    except Refused as refused:
        # Some servers refuse to look behind the last row, where the standard has an empty page.
        if refused.status in _BEHIND_THE_END and walk.is_all_told:
            return Answered((), frozenset(), {}, "", has_nul=False)
        raise


async def _ask(
    reading: Reading, collection: Collection, walk: Walk, decoder: PageDecoder
) -> Answered:
    page_size = PageSize(walk.size)
    answered = await reading.client.get(
        _address(reading, collection, walk),
        authorizer=reading.endpoint.authorizer,
        decode=lambda answer: _decode(decoder, answer),
        page_size=page_size,
    )
    walk.size = page_size.size
    return answered


def _address(reading: Reading, collection: Collection, walk: Walk) -> Callable[[int], str]:
    """The address by the limit. Everything in it is escaped: it is signed as it is sent."""
    options = f"&offset={walk.offset}"
    if walk.is_sorted:
        options += "&sort=sourcedId&orderBy=asc"
    if walk.is_filtered:
        # No status: `active` would hide what was deleted since.
        clause = reading.only or f"dateLastModified>='{reading.since[collection.record_type]}'"
        options += f"&filter={quote(clause, safe='')}"
    address = f"{reading.endpoint.base_url}/{collection.name}"
    return lambda limit: f"{address}?limit={limit}{options}"


def _decode(decoder: PageDecoder, answer: Answer) -> Answered:
    rows = decoder.decode(answer.body)
    ids = [row.sourcedId for row in rows]
    different, copies = _different(ids)
    mark = str(ids[0]).strip() if rows and isinstance(ids[0], str | int) else ""
    if not is_usable_id(mark):
        mark = ""  # a checkpoint could not be stored with it
    return Answered(
        rows,
        different,
        answer.headers,
        mark or blake2s(answer.body, digest_size=16).hexdigest(),
        has_nul=b"\\" in answer.body and _NUL in answer.body,
        copies=copies,
        ends=_ends(ids),
    )


def _different(ids: Sequence[object]) -> tuple[AbstractSet[object], int]:
    """Those that can be ids, and how many copies of them there are besides."""
    try:
        different: AbstractSet[object] = set(ids)
    except TypeError:
        different = {None}
    if {type(source_id) for source_id in different} <= {str, int}:
        return different, len(ids) - len(different)
    usable = [source_id for source_id in ids if isinstance(source_id, str | int)]
    different = set(usable)
    return different, len(usable) - len(different)


def _ends(ids: Sequence[Any]) -> tuple[str, str] | None:
    """The first and the last, if each is a text and greater than the one before it."""
    try:
        is_ascending = all(map(lt, ids, ids[1:]))
    except TypeError:
        return None
    if not ids or not is_ascending or not isinstance(ids[0], str) or not is_usable_id(ids[-1]):
        return None
    return ids[0], ids[-1]
