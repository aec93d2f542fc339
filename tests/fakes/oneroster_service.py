"""OneRoster's collections and single objects over HTTP, whoever may read them and wherever."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes.district import Folder
from tests.fakes.listings import Collection, Window, total_of, window_by_offset
from tests.fakes.misbehaviour import Faults, faults_of
from tests.fakes.oneroster_objects import Dialect
from tests.fakes.oneroster_queries import BadQuery, Query, parameters_of, parse_query
from tests.fakes.oneroster_roster import ENDPOINTS, Endpoint, OneRosterRoster

DEMOGRAPHICS: Final = "demographics"

_SUCCESS: Final = b',"statusInfoSet":[{"imsx_codeMajor":"success","imsx_severity":"status"}]'


@dataclass(frozen=True, slots=True)
class Habits:
    """What servers differ in. `refuses_larger`: a limit above `largest_page` is a 400.

    `filters_references`: enrollments can be asked for by their user or class. `has_singles`:
    objects can be asked for by their ids.
    """

    largest_page: int = 10_000
    refuses_larger: bool = False
    has_total: bool = True
    has_links: bool = True
    refuses_sort: bool = False
    ignores_filter: bool = False
    filters_references: bool = True
    has_singles: bool = True
    is_sloppy: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a collection. `total` is what is said, not always what is so."""

    query: Query
    rows: Collection
    window: Window
    total: int | None


def no_headers(_shown: int) -> Mapping[str, str]:
    return {}


class OneRosterService:
    """`vendor_headers` are a vendor's own, of a page with so many rows."""

    def __init__(
        self,
        folder: Folder,
        *,
        habits: Habits,
        has_text_booleans: bool = False,
        vendor_headers: Callable[[int], Mapping[str, str]] = no_headers,
    ) -> None:
        self._folder = folder
        self._habits = habits
        self._has_text_booleans = has_text_booleans
        self._vendor_headers = vendor_headers
        self._rosters: dict[tuple[str, str], OneRosterRoster] = {}

    def _roster(self, version: str) -> OneRosterRoster:
        district = self._folder.current()
        key = (version, district.revision)
        if key not in self._rosters:
            self._rosters = {
                made: roster for made, roster in self._rosters.items() if made[1] == key[1]
            }
            dialect = Dialect(version, self._has_text_booleans, self._habits.is_sloppy)
            self._rosters[key] = OneRosterRoster(district, dialect)
        return self._rosters[key]

    def answer(self, request: Request, version: str, tail: str) -> Response:
        """`tail` is the path behind the base, with its escapes."""
        name, *rest = tail.strip("/").split("/")
        if name == DEMOGRAPHICS:
            return refusal(403, "forbidden", "demographics are not shared")
        if name not in ENDPOINTS or len(rest) > 1:
            return refusal(404, "unknownobject", "there is no such collection")
        try:
            if rest:
                return self._single(version, name, unquote(rest[0]))
            return self._page(request, version, name)
        except BadQuery as fault:
            return refusal(400, fault.code, str(fault))

    def _single(self, version: str, name: str, source_id: str) -> Response:
        row = self._roster(version).collection(name).row(source_id)
        if row is None or not self._habits.has_singles:
            return refusal(404, "unknownobject", "there is no such object")
        body = b'{"%b":%b}' % (ENDPOINTS[name].single_key.encode(), row)
        return Response(body, media_type="application/json")

    def _page(self, request: Request, version: str, name: str) -> Response:
        raw = request.scope["query_string"].decode("latin-1")
        endpoint = ENDPOINTS[name]
        parsed = parse_query(
            raw, file=endpoint.file, with_references=self._habits.filters_references
        )
        query = self._habitual(parsed, parameters_of(raw))
        rows = self._roster(version).selected(name, query.clauses, query.order)
        listed = _listed(query, rows, faults_of(request.scope))
        response = Response(self._body(endpoint, listed), media_type="application/json")
        response.headers.update(self._headers(request, listed))
        return response

    def _habitual(self, query: Query, given: Mapping[str, str]) -> Query:
        if self._habits.refuses_sort and "sort" in given:
            raise BadQuery("invalid_sort_field", "this server does not sort")
        if self._habits.ignores_filter:
            query = query._replace(clauses=None)
        if query.limit > self._habits.largest_page:
            if self._habits.refuses_larger:
                raise BadQuery("invaliddata", f"limit is {self._habits.largest_page} at most")
            query = query._replace(limit=self._habits.largest_page)
        return query

    def _body(self, endpoint: Endpoint, listed: Listed) -> bytes:
        rows = listed.rows.rows[listed.window.start : listed.window.stop]
        if listed.query.fields:
            rows = [_with_fields(row, listed.query.fields) for row in rows]
        status = _SUCCESS if self._habits.is_sloppy else b""
        return b'{"%b":[%b]%b}' % (endpoint.key.encode(), b",".join(rows), status)

    def _headers(self, request: Request, listed: Listed) -> Mapping[str, str]:
        headers = dict(self._vendor_headers(listed.window.stop - listed.window.start))
        if self._habits.has_total and listed.total is not None:
            headers["X-Total-Count"] = str(listed.total)
        if self._habits.has_links:
            headers["Link"] = _links(request, listed)
        return headers


def _listed(query: Query, rows: Collection, faults: Faults) -> Listed:
    rows = rows.spoilt(faults)
    window = window_by_offset(len(rows), offset=query.offset, limit=query.limit, faults=faults)
    shown = window.stop - window.start
    return Listed(query, rows, window, total_of(len(rows), shown, faults))


def _with_fields(row: bytes, fields: tuple[str, ...]) -> bytes:
    """Where one of the fields is not known, all are given: so the specification wants it."""
    item: dict[str, Any] = msgspec.json.decode(row)
    if not set(fields) <= item.keys():
        return row
    return msgspec.json.encode({name: value for name, value in item.items() if name in fields})


def _links(request: Request, listed: Listed) -> str:
    limit, total = listed.query.limit, len(listed.rows)
    offsets = {"first": 0, "last": max(0, (total - 1) // limit * limit)}
    if listed.window.stop < total:
        offsets["next"] = listed.window.stop
    if listed.window.start > 0:
        offsets["prev"] = max(0, listed.window.start - limit)
    given = parameters_of(request.scope["query_string"].decode("latin-1"))
    address = str(request.url.replace(query=""))
    return ", ".join(
        f'<{address}?{urlencode({**given, "limit": limit, "offset": offset})}>; rel="{rel}"'
        for rel, offset in offsets.items()
    )


def refusal(status: int, code: str, message: str) -> Response:
    """As OneRoster wants an error to look."""
    minor = {"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": code}
    body = {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": message,
        "imsx_CodeMinor": {"imsx_codeMinorField": [minor]},
    }
    return JSONResponse(body, status)
