"""One night of a district as Clever's collections: ids ascend, each row's JSON is made once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from tests.fakes import clever_objects
from tests.fakes.clever_objects import Object
from tests.fakes.district import District
from tests.fakes.listings import Collection

COLLECTIONS: Final = ("districts", "schools", "terms", "courses", "users", "sections")
ROLES: Final = ("contact", "district_admin", "staff", "student", "teacher")

_MAKERS: Final[Mapping[str, Callable[[District], Iterable[Object]]]] = {
    "schools": clever_objects.schools,
    "terms": clever_objects.terms,
    "courses": clever_objects.courses,
    "sections": clever_objects.sections,
}
_encode = msgspec.json.Encoder().encode


class CleverRoster:
    """`moves` says how often the district was synced since its files changed."""

    def __init__(self, district: District, version: str, *, moves: Callable[[], int]) -> None:
        self.version = version
        self._district = district
        self._moves = moves
        self._made: dict[tuple[str, str | None], Collection] = {}

    def collection(self, name: str, role: str | None = None) -> Collection:
        if name == "districts":
            return self._make(name, None)
        found = self._made.get((name, role))
        if found is None:
            found = self._made[name, role] = self._make(name, role)
        return found

    def _make(self, name: str, role: str | None) -> Collection:
        if role is not None:
            everybody = self.collection(name)
            return everybody.picked(
                number for number, roles in enumerate(everybody.kinds) if role in roles
            )
        made = sorted(
            (item["id"], tuple(item.get("roles", ())), self._encoded(name, item))
            for item in self._with_side_file(name)
        )
        ids, kinds, rows = zip(*made, strict=True) if made else ((), (), ())
        return Collection(ids, rows, kinds)

    def _encoded(self, name: str, item: Object) -> bytes:
        return _encode({"data": item, "uri": f"/{self.version}/{name}/{item['id']}"})

    def _with_side_file(self, name: str) -> Iterable[Object]:
        """The rows, without those that the side file leaves out, changed and added to by it."""
        side: Mapping[str, Any] = self._district.side
        if not side or name == "districts":
            return self._objects(name)
        gone = set(side.get("without", {}).get(name, ()))
        objects = {item["id"]: item for item in self._objects(name) if item["id"] not in gone}
        for extra in side.get(name, ()):
            objects[extra["id"]] = {**objects.get(extra["id"], {}), **extra}
        return objects.values()

    def _objects(self, name: str) -> Iterable[Object]:
        if name == "districts":
            return [clever_objects.district_object(self._district, moves=self._moves())]
        if name == "users":
            return clever_objects.users(self._district, has_preferred_names=self.version != "v3.0")
        return _MAKERS[name](self._district)

    def single(self, name: str, source_id: str) -> Object | None:
        row = self.collection(name).row(source_id)
        if row is None:
            return None
        found: Object = msgspec.json.decode(row)["data"]
        return found

    def sections_of(self, user_id: str) -> Collection:
        """Those in which somebody learns or teaches."""
        sections = self.collection("sections")
        return sections.picked(
            number
            for number, row in enumerate(sections.rows)
            if _is_in(user_id, msgspec.json.decode(row)["data"])
        )


def _is_in(user_id: str, section: Object) -> bool:
    people = (*section.get("students", ()), *section.get("teachers", ()), section.get("teacher"))
    return user_id in people


_RELATED: Final[Mapping[str, tuple[str, ...]]] = {
    "districts": (),
    "schools": ("district", "sections", "terms", "courses", "users"),
    "terms": ("district", "schools", "sections"),
    "courses": ("district", "schools", "sections", "resources"),
    "sections": ("course", "district", "school", "term", "users", "resources"),
    "users": ("district", "sections", "schools"),
}


def links_of(version: str, collection: str, item: Object) -> list[dict[str, str]]:
    """Of a single object. Of what they lead to, only the sections of users are served here."""
    path = f"/{version}/{collection}/{item['id']}"
    related = list(_RELATED[collection])
    roles = item.get("roles", {})
    if "student" in roles:
        related += ["myContacts", "myTeachers"]
    if "teacher" in roles:
        related += ["myStudents"]
    return [
        {"rel": "self", "uri": path},
        *({"rel": rel, "uri": f"{path}/{rel}"} for rel in related),
    ]
