"""A row of an answer as the cells of the CSV binding: the same mapping reads both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from typing_extensions import override

from domain.providers.oneroster.cells import Cells
from domain.providers.oneroster.people import RoleRow
from domain.providers.oneroster_rest.objects import Collection, Kind, Row
from domain.providers.vocabulary import split_list, typed_ids
from domain.validation.codes import Code

_ROLE_MODEL: Final[Mapping[bool, frozenset[str]]] = {
    True: frozenset({"role", "orgSourcedIds", "roles"}),
    False: frozenset({"primaryOrgSourcedId", "roles"}),
}
"""The columns that users do not have: with and without a list of roles."""


class Place(NamedTuple):
    """Where a row stands, for one that has no id."""

    offset: int
    row: int


class _Misfit(NamedTuple):
    """A value that is not what its field holds."""

    column: str
    expected: str
    found: str


class ObjectCells(Cells):
    """Reads the whole row at once, so that everything odd about it is told once."""

    __slots__ = ("_lists", "_name", "_pairs", "_place", "_texts", "mapped_columns", "roles")

    def __init__(
        self, collection: Collection, row: Row, place: Place, *, judged: str | None = None
    ) -> None:
        super().__init__(collection.record_type)
        self._name = collection.name
        self._place = place
        self._texts: dict[str, str] = {}
        self._lists: dict[str, tuple[str, ...]] = {}
        self._pairs: list[tuple[str, str]] = []
        self.roles: list[RoleRow] = []
        misfits: list[_Misfit] = []
        for field in collection.fields:
            self._read(field.column, field.kind, getattr(row, field.column), misfits)
        if judged is not None:
            found = metadata_value(row.metadata, judged)
            self._read(judged, Kind.TEXT, found, misfits)
        unused = _ROLE_MODEL[bool(self.roles)]
        self.mapped_columns = [name for name in self._texts if name not in unused]
        self.source_id = self.text("sourcedId")
        self._report(misfits)

    def _read(self, column: str, kind: Kind, value: Any, misfits: list[_Misfit]) -> None:
        match kind:
            case Kind.TEXT:
                allow = column != "sourcedId"
                self._texts[column] = _text(column, value, misfits, allow_boolean=allow)
            case Kind.REFERENCE:
                self._texts[column] = _reference(column, value, misfits)
            case Kind.LIST:
                self._keep_list(column, _elements(column, value, misfits))
            case Kind.REFERENCES:
                self._keep_list(column, _references(column, value, misfits))
            case Kind.TYPED_IDS:
                self._texts[column] = ""
                self._pairs = list(id_pairs(value))
            case Kind.ROLES:
                roles = [_role(item, misfits) for item in _listed(value)]
                self.roles = [role for role in roles if any(role)]
            case Kind.METADATA:
                pass

    def _keep_list(self, column: str, values: Iterable[str]) -> None:
        kept = tuple(dict.fromkeys(filter(None, values)))
        self._lists[column] = kept
        self._texts[column] = ", ".join(kept)

    def _report(self, misfits: Sequence[_Misfit]) -> None:
        of_id = next((misfit for misfit in misfits if misfit.column == "sourcedId"), None)
        if of_id:
            self.reject(Code.ID_INVALID, "sourcedId", "a text or a whole number", of_id.found)
        self._require_usable_id()
        for column, expected, found in misfits:
            self.warn(Code.FIELD_TYPE, column, expected, found)

    @override
    def text(self, column: str) -> str:
        return self._texts[column]

    @override
    def listed(self, column: str) -> tuple[str, ...]:
        return self._lists[column]

    @override
    def pairs(self, column: str) -> Iterable[tuple[str, str]]:
        return self._pairs

    @property
    @override
    def mapped(self) -> Sequence[str]:
        return self.mapped_columns

    @property
    @override
    def place(self) -> str:
        if self.source_id:
            return f"{self._name}/{self.source_id}"
        return f"{self._name} offset {self._place.offset} row {self._place.row}"

    @override
    def place_of_role(self, line: int) -> str:
        return self.place


def metadata_value(metadata: Any, column: str) -> Any:
    """What stands under a key, however it is cased. Metadata may be an empty array."""
    if not isinstance(metadata, dict):
        return None
    name = column.partition(".")[2]
    if name in metadata:
        return metadata[name]
    return next((value for key, value in metadata.items() if key.lower() == name.lower()), None)


def id_pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Types and values of `userIds`, also where they are written as in CSV."""
    for item in _listed(value):
        if isinstance(item, str):
            yield from typed_ids(item)
        else:
            pair = _scalar(_member(item, "type")), _scalar(_member(item, "identifier"))
            if pair[0] and pair[1]:
                yield pair[0], pair[1]


def _scalar(value: Any, *, allow_boolean: bool = False) -> str | None:
    """A text, or None for what is none. PostgreSQL cannot store NUL."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").strip()
    if isinstance(value, bool):
        return str(value).lower() if allow_boolean else None
    return str(value) if isinstance(value, int) else None


def _listed(value: Any) -> list[Any]:
    """One thing is a list of one; null, nothing and an empty text are no things."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if item not in (None, "", [], {})]


def _member(value: Any, name: str) -> Any:
    """A member of an object, whether it was decoded as a struct or as anything."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _text(column: str, value: Any, misfits: list[_Misfit], *, allow_boolean: bool) -> str:
    items = _listed(value)
    if not items:
        return ""
    text = _scalar(items[0], allow_boolean=allow_boolean) if len(items) == 1 else None
    if text is None:
        misfits.append(_Misfit(column, "a text", _described(value)))
    return text or ""


def _reference(column: str, value: Any, misfits: list[_Misfit]) -> str:
    items = _listed(value)
    if not items:
        return ""
    if len(items) > 1:
        misfits.append(_Misfit(column, "one reference", f"{len(items)} references"))
        return ""
    return _id_of(column, items[0], misfits)


def _references(column: str, value: Any, misfits: list[_Misfit]) -> list[str]:
    if isinstance(value, str):
        return list(split_list(value))
    return [_id_of(column, item, misfits) for item in _listed(value)]


def _id_of(column: str, item: Any, misfits: list[_Misfit]) -> str:
    found = item if isinstance(item, str | int) else _member(item, "sourcedId")
    if found is None or found == "":
        return ""
    text = _scalar(found)
    if text is None:
        misfits.append(_Misfit(column, "a reference by its sourcedId", _described(found)))
    return text or ""


def _elements(column: str, value: Any, misfits: list[_Misfit]) -> list[str]:
    if isinstance(value, str):
        return list(split_list(value))
    texts = [_scalar(item) for item in _listed(value)]
    if None in texts:
        misfits.append(_Misfit(column, "a list of texts", _described(value)))
    return [text for text in texts if text is not None]


def _role(item: Any, misfits: list[_Misfit]) -> RoleRow:
    def text(name: str) -> str:
        return _text("role", _member(item, name), misfits, allow_boolean=False)

    return RoleRow(
        role_type=text("roleType"),
        role=text("role"),
        org_source_id=_reference("role", _member(item, "org"), misfits),
        begins=text("beginDate"),
        ends=text("endDate"),
    )


def _described(value: Any) -> str:
    """Without its content: in the wrong place there may be anything."""
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "a list" if isinstance(value, list) else "an object"
