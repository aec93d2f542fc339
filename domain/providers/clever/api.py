"""Requests to Clever's Data API: one district, its lists page by page, their counts."""

import hashlib
import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from msgspec import Raw

from domain.providers.clever.decoding import ListPage, Odd, decode_list, decode_single
from domain.providers.clever.objects import District, Object
from domain.providers.clever.rate import RateLimit
from domain.providers.clever.tokens import Access, DistrictToken
from domain.providers.http.answer import Answer, BadPayload
from domain.providers.http.client import Client, Url
from domain.providers.http.pagesize import PageSize
from domain.roster.source import CredentialsRejected, RosterUnreadable
from domain.validation.codes import Code

T = TypeVar("T")

VERSION: Final = "v3.0"
NOT_READY: Final = "pending"
_LIST_PATH: Final = re.compile(r"/v3\.\d+(/.+?)/?", re.ASCII)


class Wanted(NamedTuple):
    """A list, or the part of it that belongs to a role, or to the user with this id."""

    collection: str
    role: str | None = None
    user: str | None = None

    @property
    def tail(self) -> str:
        above = "" if self.user is None else f"/users/{quote(self.user, safe='')}"
        return f"{above}/{self.collection}"

    @property
    def path(self) -> str:
        return f"/{VERSION}{self.tail}"


class Answered(NamedTuple):
    """A page, how many rows were asked for, and where the next one begins (None: nowhere)."""

    page: ListPage[Object]
    asked: int
    next_cursor: str | None


class Api:
    """Open for as long as its client is."""

    def __init__(self, client: Client, api_url: str, access: Access) -> None:
        self.client = client
        self.access = access
        self.token = DistrictToken(client, access)
        self._url = api_url
        self._rate = RateLimit()

    async def districts(self) -> list[District]:
        """Those that the token opens: one, in practice."""
        return await self._get(f"{self._url}/{VERSION}/districts", _decode_districts)

    def own(self, found: list[District]) -> District:
        """The tenant's. Raises a SourceError if it is not there, or has no data yet."""
        district = _own_district(found, self.access.district_id)
        _require_ready(district)
        return district

    async def page(
        self, wanted: Wanted, kind: type[Object], *, after: str, page_size: PageSize
    ) -> Answered:
        asked = 0

        def url(size: int) -> str:
            nonlocal asked
            asked = size
            return f"{self._url}{wanted.path}?{_query(wanted, size, after)}"

        page = await self._get(url, lambda answer: decode_list(answer, kind), page_size)
        return Answered(page, asked, self._next_cursor(page.next_uri, wanted))

    async def single(self, collection: str, source_id: str) -> Raw:
        """One object by its id, as it was sent. Raises Refused if there is none."""
        url = f"{self._url}/{VERSION}/{collection}/{quote(source_id, safe='')}"
        return await self._get(url, decode_single)

    def _next_cursor(self, uri: str | None, wanted: Wanted) -> str | None:
        """Out of the link to the next page nothing else is taken: it may say anything."""
        if uri is None:
            return None
        cursor = _cursor_of(uri.removeprefix(self._url), wanted)
        if cursor is None:
            raise RosterUnreadable(
                Code.CONN_PAGINATION_BROKEN,
                "Clever's link to the next page leads elsewhere.",
                place=wanted.path,
            )
        return cursor

    async def count(self, collection: str) -> int | None:
        """How many there are; None where Clever answers something else than a count."""
        return await self._get(f"{self._url}/{VERSION}/{collection}?count=true", _decode_count)

    async def _get(
        self, url: Url, decode: Callable[[Answer], T], page_size: PageSize | None = None
    ) -> T:
        def note_and_decode(answer: Answer) -> T:
            self._rate.note(answer.headers)
            return decode(answer)

        await self._rate.pause()
        return await self.client.get(
            url, authorizer=self.token, decode=note_and_decode, page_size=page_size
        )


def fingerprint_of(district: District) -> str:
    """Another one after each sync from the district to Clever, whatever that sync changed."""
    return hashlib.sha256(f"{district.id}\n{district.last_sync or ''}".encode()).hexdigest()


def _require_ready(district: District) -> None:
    """Before a district's first upload its lists are empty, which says nothing about it."""
    if (district.state or "").strip().casefold() == NOT_READY:
        raise RosterUnreadable(
            Code.CONN_DISTRICT_NOT_READY,
            f"Clever has no data of {district.name or district.id} yet (state {NOT_READY}).",
            place=f"/{VERSION}/districts/{district.id}",
        )


def _own_district(found: list[District], wanted: str | None) -> District:
    place = f"/{VERSION}/districts"
    if not found:
        raise CredentialsRejected(
            Code.CONN_DISCONNECTED, "The token opens no district at Clever.", place=place
        )
    own = [district for district in found if wanted in {None, district.id}]
    if len(own) != 1:
        opened = ", ".join(district.id for district in found)
        raise RosterUnreadable(
            Code.CONN_WRONG_DISTRICT,
            f"The token opens {opened}, and the integration is for {wanted or 'one district'}.",
            place=place,
        )
    return own[0]


def _decode_districts(answer: Answer) -> list[District]:
    districts = decode_list(answer, District).rows
    if any(isinstance(district, Odd) or not district.id for district in districts):
        raise BadPayload("a list of districts was expected")
    return [district for district in districts if isinstance(district, District)]


def _query(wanted: Wanted, size: int, after: str) -> str:
    parts = [f"limit={size}"]
    if wanted.role is not None:
        parts.append(f"role={wanted.role}")
    if after:
        parts.append(f"starting_after={quote(after, safe='')}")
    return "&".join(parts)


def _cursor_of(uri: str, wanted: Wanted) -> str | None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = _LIST_PATH.fullmatch(parts.path)
    if parts.netloc or path is None or path[1] != wanted.tail:
        return None
    return next(iter(parse_qs(parts.query).get("starting_after", ())), None)


class _Count(msgspec.Struct):
    count: int


def _decode_count(answer: Answer) -> int | None:
    try:
        return msgspec.json.decode(answer.body, type=_Count).count
    except msgspec.ValidationError:
        return None
    except ValueError:
        raise BadPayload("a count was expected") from None
