"""Nodes: objects with a global id, made from rows.

A global id is opaque: a type code, the tenant's id and the row's id. The tenant in it is checked
against the caller before anything is read.
"""

import base64
import binascii
import dataclasses
import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, cast
from uuid import UUID

import strawberry
from sqlalchemy import ARRAY, CollectionAggregate, Select, Uuid, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from strawberry import Private
from typing_extensions import override

from api.graphql import enums  # noqa: F401 - described before any type shows one
from api.graphql.context import Info
from api.graphql.errors import bad_input
from api.graphql.loaders import Loaded
from api.matrix import MATRIX
from domain.global_ids import encode_global_id

_ALPHABET = re.compile(r"[A-Za-z0-9_-]{44}")


TENANT_CODE = "T"


class GlobalId(NamedTuple):
    code: str
    tenant_id: UUID
    key: UUID


def encode_id(code: str, tenant_id: UUID, key: UUID) -> strawberry.ID:
    return strawberry.ID(encode_global_id(code, tenant_id, key))


def find_id(text: str) -> GlobalId | None:
    """None for what this server never gave out."""
    if not _ALPHABET.fullmatch(text):
        return None
    try:
        raw = base64.urlsafe_b64decode(text)
        found = GlobalId(raw[:1].decode("ascii"), UUID(bytes=raw[1:17]), UUID(bytes=raw[17:]))
    except (binascii.Error, UnicodeDecodeError):
        return None
    return found if encode_id(*found) == text else None


def read_id(text: str, code: str) -> GlobalId:
    """An id of one type, in a query's argument. Raises the caller's error."""
    found = find_id(text)
    if found is None or found.code != code:
        raise bad_input("The id is not one of this kind of object.", reason="INVALID_ID")
    return found


_TYPES: "dict[str, type[Node]]" = {}
"""Every type that has an id, by the code that stands for it in ids."""


@strawberry.interface(description="An object with a global id.")
class Node:
    """A type of the API names its fields as its row names its columns.

    So a field is written twice, as a column and as an API field, and never a third time: `of`
    copies what has the same name. What is `derived` comes from `derive`, which finds the columns
    `sources` in the row as well. `type_code` stands for the type in ids and must never change.
    """

    type_code: ClassVar[str]
    row: ClassVar[type[Any]]
    derived: ClassVar[tuple[str, ...]] = ()
    sources: ClassVar[tuple[str, ...]] = ()
    guard: ClassVar[str | None] = None
    """The field whose rule says who finds objects of the type by their ids; None: whoever may
    use `node`."""
    _copied: ClassVar[tuple[str, ...]]

    id: strawberry.ID = strawberry.field(
        description="The global id: opaque, and the same for as long as the object exists."
    )
    tenant_id: Private[UUID]
    key: Private[UUID]

    @override
    def __init_subclass__(cls) -> None:
        if "type_code" in cls.__dict__:
            assert cls.type_code not in _TYPES
            _TYPES[cls.type_code] = cls

    @classmethod
    def of(cls, row: Any) -> Self:
        """From a row that has at least `columns`, or an object with those attributes."""
        names = cls.copied()
        tenant_id, key, *values = attrgetter("tenant_id", "id", *names)(row)
        make = cast("Any", cls)
        node = make(
            id=encode_id(cls.type_code, tenant_id, key),
            tenant_id=tenant_id,
            key=key,
            **dict(zip(names, values, strict=True)),
            **cls.derive(row),
        )
        return cast("Self", node)

    @classmethod
    def copied(cls) -> tuple[str, ...]:
        """The fields that are copied from the row: all that are neither resolvers nor derived."""
        if "_copied" not in cls.__dict__:
            own = {"id", "tenant_id", "key", *cls.derived}
            fields = dataclasses.fields(cast("Any", cls))
            cls._copied = tuple(
                field.name for field in fields if field.init and field.name not in own
            )
        return cls._copied

    @classmethod
    def derive(cls, row: Any) -> Mapping[str, Any]:
        """What the columns do not say by themselves."""
        del row
        return {}

    @classmethod
    def columns(cls) -> list[InstrumentedAttribute[Any]]:
        """What a statement has to select for `of`."""
        names = dict.fromkeys(("tenant_id", "id", *cls.copied(), *cls.sources))
        return [getattr(cls.row, name) for name in names]

    @classmethod
    def statement(cls, tenant_id: UUID) -> Select[Any]:
        """All of a tenant's rows of this type, as `of` takes them."""
        return select(*cls.columns()).where(cls.row.tenant_id == tenant_id)


NodeType = TypeVar("NodeType", bound=Node)


def any_of(ids: Sequence[UUID]) -> CollectionAggregate[Any]:
    """One array; `in_` would make a parameter and a cast for each of a hundred ids."""
    return any_(literal(list(ids), ARRAY(Uuid)))


@dataclasses.dataclass(frozen=True, slots=True)
class ById:
    """The batch that reads rows of a type by their ids."""

    node: type[Node]

    async def __call__(
        self, session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]
    ) -> Mapping[UUID, Node]:
        rows = await session.execute(
            self.node.statement(tenant_id).where(self.node.row.id == any_of(ids))
        )
        return {found.id: self.node.of(found) for found in rows}


async def load(info: Info, node: type[NodeType], tenant_id: UUID, key: UUID) -> NodeType | None:
    found = await info.context.loaders.of(ById(node)).load((tenant_id, key))
    return cast("NodeType | None", found)


def loaded(info: Info, node: type[NodeType], tenant_id: UUID, key: UUID) -> Loaded[NodeType | None]:
    return Loaded(info.context.loaders.of(ById(node)).load((tenant_id, key)))


async def find_node(info: Info, found: GlobalId) -> Node | None:
    """None for what does not exist and for what is another's, without telling which."""
    node, caller = _TYPES.get(found.code), info.context.caller
    if node is None or not caller.may_see(found.tenant_id):
        return None
    if node.guard is not None and MATRIX[node.guard].refusal(caller):
        return None
    return await load(info, node, found.tenant_id, found.key)
