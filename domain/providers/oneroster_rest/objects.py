"""The collections that are read, and their answers decoded: what is mapped, and nothing else.

Servers write the same thing in many ways. Each field is decoded as any of the ways that are known,
for a whole page at once; only a page that does not fit is taken apart row by row.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import msgspec

from domain.providers.http.answer import BadPayload
from domain.roster.records import RecordType

Row = Any
"""A Struct with a field for each mapped column, or one that holds anything in them."""


class Kind(Enum):
    """What a field holds where it is written as the standard wants it."""

    TEXT = auto()
    LIST = auto()
    REFERENCE = auto()
    REFERENCES = auto()
    TYPED_IDS = auto()
    ROLES = auto()
    METADATA = auto()


class Field(NamedTuple):
    """`column` is what the CSV binding calls it, which is how it is mapped and reported."""

    column: str
    name: str
    kind: Kind


class Collection(NamedTuple):
    """`name` is its endpoint and the key of its answers. `size` is how many are asked for."""

    name: str
    record_type: RecordType
    size: int
    fields: tuple[Field, ...]

    @property
    def single(self) -> str:
        """The key of an answer with one object."""
        return "class" if self.name == "classes" else self.name.removesuffix("s")


_SMALL_ROWS: Final = 5_000
_LARGE_ROWS: Final = 2_000
"""Of a kilobyte and more."""
_BASE: Final = "sourcedId status dateLastModified"


def _fields(kind: Kind, words: str) -> list[Field]:
    """Of columns as words in one string; `column=name` where REST calls it otherwise."""
    pairs = (word.partition("=") for word in words.split())
    return [Field(column, name or column, kind) for column, _, name in pairs]


def _texts(words: str) -> list[Field]:
    return _fields(Kind.TEXT, f"{_BASE} {words}")


COLLECTIONS: Final[Mapping[RecordType, Collection]] = {
    collection.record_type: collection
    for collection in (
        Collection(
            "orgs",
            RecordType.SCHOOL,
            _SMALL_ROWS,
            (
                *_texts("name type identifier"),
                *_fields(Kind.REFERENCE, "parentSourcedId=parent"),
            ),
        ),
        Collection(
            "academicSessions",
            RecordType.TERM,
            _SMALL_ROWS,
            (
                *_texts("title type startDate endDate"),
                *_fields(Kind.REFERENCE, "parentSourcedId=parent"),
            ),
        ),
        Collection(
            "courses",
            RecordType.COURSE,
            _SMALL_ROWS,
            (*_texts("title courseCode"), *_fields(Kind.LIST, "subjects")),
        ),
        Collection(
            "classes",
            RecordType.GROUP,
            _LARGE_ROWS,
            (
                *_texts("title classCode classType"),
                *_fields(Kind.LIST, "grades subjects periods"),
                *_fields(Kind.REFERENCE, "schoolSourcedId=school courseSourcedId=course"),
                *_fields(Kind.REFERENCES, "termSourcedIds=terms"),
            ),
        ),
        Collection(
            "users",
            RecordType.USER,
            _LARGE_ROWS,
            (
                *_texts("enabledUser username givenName familyName role identifier email"),
                *_fields(
                    Kind.TEXT,
                    "preferredGivenName=preferredFirstName preferredFamilyName=preferredLastName",
                ),
                *_fields(Kind.LIST, "grades"),
                *_fields(Kind.REFERENCE, "primaryOrgSourcedId=primaryOrg"),
                *_fields(Kind.REFERENCES, "orgSourcedIds=orgs"),
                *_fields(Kind.TYPED_IDS, "userIds"),
                *_fields(Kind.ROLES, "roles"),
            ),
        ),
        Collection(
            "enrollments",
            RecordType.MEMBERSHIP,
            _SMALL_ROWS,
            (
                *_texts("role primary beginDate endDate"),
                *_fields(Kind.REFERENCE, "userSourcedId=user classSourcedId=class"),
            ),
        ),
    )
}
"""Parents first. The endpoints below a school or a class are often missing, and many."""

METADATA: Final = Field("metadata", "metadata", Kind.METADATA)

_SCALAR: Any = str | int | float | bool | None


def _struct(name: str, types: Mapping[str, Any]) -> Any:
    """A type that keeps what is named, and drops the rest of an object while it is decoded."""
    return msgspec.defstruct(name, [(key, kind, None) for key, kind in types.items()], gc=False)


def _list_of(kind: Any) -> Any:
    return list.__class_getitem__(kind)


_REF: Any = _struct("Reference", {"sourcedId": _SCALAR})
"""Only the id: hrefs lead to other hosts, and types are not what they should be."""
_REFERENCE: Any = _REF | list[Any] | str | int | None
_TYPED_ID: Any = _struct("TypedId", dict.fromkeys(("type", "identifier"), _SCALAR))
_ROLE: Any = _struct(
    "HeldRole",
    {
        **dict.fromkeys(("roleType", "role", "beginDate", "endDate"), _SCALAR),
        "org": _REFERENCE,
    },
)
_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.TEXT: _SCALAR,
    Kind.LIST: _list_of(_SCALAR) | str | int | None,
    Kind.REFERENCE: _REFERENCE,
    Kind.REFERENCES: _list_of(_REF | str | int | None) | _REF | str | int | None,
    Kind.TYPED_IDS: _list_of(_TYPED_ID | str | None) | _TYPED_ID | str | None,
    Kind.ROLES: _list_of(_ROLE | None) | _ROLE | None,
    Kind.METADATA: Any,
}
_ANYTHING: Final[Mapping[Kind, Any]] = dict.fromkeys(Kind, Any)
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PageDecoder:
    """Decodes the answers of one collection."""

    def __init__(self, collection: Collection, *, with_metadata: bool = False) -> None:
        fields = (*collection.fields, METADATA) if with_metadata else collection.fields
        row_type = _row_type(collection.name, fields, _TYPES)
        self._key = collection.name
        self._single = collection.single
        self._row = msgspec.json.Decoder(row_type)
        self._any_row_type = _row_type(collection.name, fields, _ANYTHING)
        self._any_row = msgspec.json.Decoder(self._any_row_type)
        envelope: Any = msgspec.defstruct(
            "Envelope",
            [("rows", _list_of(row_type) | msgspec.UnsetType, msgspec.UNSET)],
            rename={"rows": collection.name},
        )
        self._envelope = msgspec.json.Decoder(envelope)

    def decode(self, body: bytes) -> list[Row]:
        """The rows of an answer. One without an array is no answer, and never "no rows"."""
        try:
            rows = self._envelope.decode(body).rows
        except _UNDECODABLE:
            rows = msgspec.UNSET
        if rows is not msgspec.UNSET:
            return list(rows)
        return [self._decode_row(raw) for raw in _raw_rows(body, self._key)]

    def decode_single(self, body: bytes) -> Row:
        """The one object of an answer. Some servers give it as a list with one row."""
        try:
            envelope = _named.decode(body)
        except _UNDECODABLE as error:
            raise _no_json() from error
        envelope.pop("statusInfoSet", None)
        found = envelope.get(self._single)
        if found is None and self._key in envelope:
            found = envelope[self._key]
        if found is None and len(envelope) == 1:
            (found,) = envelope.values()
        if found is not None and bytes(found).lstrip().startswith(b"["):
            rows = _array(found, self._key)
            found = rows[0] if len(rows) == 1 else None
        if found is None:
            raise BadPayload(f"there is no {self._single} in it")
        return self._decode_row(found)

    def _decode_row(self, raw: msgspec.Raw) -> Row:
        try:
            return self._row.decode(raw)
        except _UNDECODABLE:
            pass
        try:
            return self._any_row.decode(raw)
        except msgspec.ValidationError:
            return self._any_row_type()  # no object: a row without anything
        except _UNDECODABLE as error:
            raise _no_json() from error


def _row_type(
    name: str, fields: Sequence[Field], types: Mapping[Kind, Any]
) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        f"{name}_row",
        [(field.column, types[field.kind], None) for field in fields],
        rename={field.column: field.name for field in fields},
        gc=False,
    )


_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[msgspec.Raw])
_named: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_arrays: Final = msgspec.json.Decoder(list[msgspec.Raw])


def _raw_rows(body: bytes, key: str) -> list[msgspec.Raw]:
    """What stands under the collection's key, else the only array there is."""
    try:
        envelope = _objects.decode(body)
    except msgspec.ValidationError as error:
        raise _no_array(key) from error
    except _UNDECODABLE as error:
        raise _no_json() from error
    if isinstance(envelope, list):
        return envelope
    if key in envelope:
        return _array(envelope[key], key)
    arrays = [
        raw
        for name, raw in envelope.items()
        if name != "statusInfoSet" and bytes(raw).lstrip().startswith(b"[")
    ]
    if len(arrays) != 1:
        raise _no_array(key)
    return _array(arrays[0], key)


def _array(raw: msgspec.Raw, key: str) -> list[msgspec.Raw]:
    try:
        return _arrays.decode(raw)
    except _UNDECODABLE as error:
        raise _no_array(key) from error


def _no_json() -> BadPayload:
    return BadPayload("it is not JSON, or was cut off")


def _no_array(key: str) -> BadPayload:
    return BadPayload(f"there is no array of {key} in it")
