"""One night of a district as OneRoster's collections: each row's JSON is made once."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tests.fakes.district import District, Row, standing_of
from tests.fakes.listings import Collection
from tests.fakes.oneroster_objects import Dialect, Object, Shapes
from tests.fakes.oneroster_queries import Clauses, Order

_CACHED_SELECTIONS = 32


class Endpoint(NamedTuple):
    """`kind`: only rows of that type or role."""

    key: str
    single_key: str
    file: str
    kind: str | None = None


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "orgs": Endpoint("orgs", "org", "orgs"),
    "schools": Endpoint("orgs", "org", "orgs", "school"),
    "academicSessions": Endpoint("academicSessions", "academicSession", "academicSessions"),
    "terms": Endpoint("academicSessions", "academicSession", "academicSessions", "term"),
    "gradingPeriods": Endpoint(
        "academicSessions", "academicSession", "academicSessions", "gradingPeriod"
    ),
    "courses": Endpoint("courses", "course", "courses"),
    "classes": Endpoint("classes", "class", "classes"),
    "users": Endpoint("users", "user", "users"),
    "students": Endpoint("users", "user", "users", "student"),
    "teachers": Endpoint("users", "user", "users", "teacher"),
    "enrollments": Endpoint("enrollments", "enrollment", "enrollments"),
}

_encode = msgspec.json.Encoder().encode


class OneRosterRoster:
    def __init__(self, district: District, dialect: Dialect) -> None:
        self._district = district
        self._shapes = Shapes(district, dialect)
        self._made: dict[tuple[str, str | None], Collection] = {}
        self._selected: dict[object, Collection] = {}

    def collection(self, name: str) -> Collection:
        endpoint = ENDPOINTS[name]
        return self._collection(endpoint.file, endpoint.kind)

    def _collection(self, file: str, kind: str | None) -> Collection:
        found = self._made.get((file, kind))
        if found is None:
            found = self._made[file, kind] = self._make(file, kind)
        return found

    def _make(self, file: str, kind: str | None) -> Collection:
        if kind is not None:
            everything = self._collection(file, None)
            return everything.picked(
                number for number, of in enumerate(everything.kinds) if of == kind
            )
        shape = self._makers[file]
        ids, rows, kinds = [], [], []
        for row in self._district.rows(file):
            ids.append(row.get("sourcedId", ""))
            rows.append(_encode(shape(row)))
            kinds.append(self._kind(file, row))
        return Collection(ids, rows, kinds)

    @property
    def _makers(self) -> Mapping[str, Callable[[Row], Object]]:
        return {
            "orgs": self._shapes.org,
            "academicSessions": self._shapes.session,
            "courses": self._shapes.course,
            "classes": self._shapes.class_,
            "users": self._shapes.user,
            "enrollments": self._shapes.enrollment,
        }

    def _kind(self, file: str, row: Row) -> str:
        return standing_of(self._district, row).role if file == "users" else row.get("type", "")

    def selected(self, name: str, clauses: Clauses | None, order: Order | None) -> Collection:
        """Filtered and sorted; the latest selections are kept for the pages that follow."""
        if clauses is None and order is None:
            return self.collection(name)
        key = (name, clauses, order)
        found = self._selected.get(key)
        if found is None:
            if len(self._selected) >= _CACHED_SELECTIONS:
                self._selected.clear()
            found = self._selected[key] = self._select(self.collection(name), clauses, order)
        return found

    def _select(
        self, collection: Collection, clauses: Clauses | None, order: Order | None
    ) -> Collection:
        numbers = list(range(len(collection)))
        if clauses is not None:
            kept = (clauses.matches(item) for item in _decoded(collection))
            numbers = [number for number, is_kept in zip(numbers, kept, strict=True) if is_kept]
        if order is not None:
            numbers.sort(key=_sort_key(collection, order.field), reverse=order.is_descending)
        return collection.picked(numbers)


def _decoded(collection: Collection) -> Iterator[Object]:
    decode = msgspec.json.Decoder().decode
    return map(decode, collection.rows)


def _sort_key(collection: Collection, field: str) -> Callable[[int], Any]:
    if field == "sourcedId":
        return collection.ids.__getitem__
    values = [str(item.get(field, "")) for item in _decoded(collection)]
    return values.__getitem__
