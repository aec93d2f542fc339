"""Documents that nobody would write, made from the schema: valid, and odd in everything else.

The schema's own generator knows no ids. It writes which id is meant, and the test puts one in that
its database has: see `filled`.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import hypothesis_graphql
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    IntValueNode,
    ObjectFieldNode,
    StringValueNode,
    Visitor,
    print_ast,
    print_schema,
    visit,
)
from hypothesis import strategies as st
from hypothesis_graphql import nodes

from api.graphql.schema import core
from tests.fuzz.target import Rows

Documents = st.SearchStrategy[str]
PAGING: Final = frozenset({"first", "last", "after", "before"})
_MEANT: Final = re.compile("<(seen|hidden|foreign) ([A-Z]) ([A-Za-z]*)>")
_ROOTS: Final = {"tenant": "T", "syncRun": "R", "syncRunProgress": "R"}
_PARTS: Final = st.sampled_from(["seen", "foreign", "hidden"])
_CODES: Final = st.sampled_from("TSGUMIRECP")
_WELL_MEANT: Final = st.builds("<{} {} >".format, _PARTS, _CODES)
_IDS: Final = st.one_of(_WELL_MEANT, _WELL_MEANT, _WELL_MEANT, _WELL_MEANT, st.text(max_size=60))
_SCALARS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "ID": _IDS.map(nodes.String),
    "Date": st.dates().map(str).map(nodes.String),
    "DateTime": st.one_of(
        st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"), st.text(max_size=30)
    ).map(nodes.String),
    "Time": st.times().map(str).map(nodes.String),
    "JSON": st.one_of(
        st.integers().map(nodes.Int),
        st.booleans().map(nodes.Boolean),
        st.text(max_size=20).map(nodes.String),
    ),
}


class _Sense(Visitor):
    """Brings a document nearer to what is there, or hardly anything would ever be found."""

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode:
        """Made-up cursors are refused, and with them all that is beside them."""
        sizes = [
            ArgumentNode(name=each.name, value=nodes.Int(1 + int(each.value.value) % 100))
            for each in node.arguments or ()
            if each.name.value in PAGING and isinstance(each.value, IntValueNode)
        ]
        others = {
            each.name.value: each for each in node.arguments or () if each.name.value not in PAGING
        }
        if "slug" in others and isinstance(others["slug"].value, StringValueNode):
            others.pop("id", None)  # a tenant is asked for by one of the two
        return FieldNode(
            name=node.name,
            alias=node.alias,
            directives=node.directives,
            arguments=(*others.values(), *sizes[:1]),
            selection_set=node.selection_set,
        )

    def enter_argument(
        self, node: ArgumentNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]
    ) -> ArgumentNode | None:
        if node.name.value == "slug" and isinstance(node.value, StringValueNode):
            slug = "beta" if len(node.value.value) % 3 == 2 else "alpha"
            return ArgumentNode(name=node.name, value=nodes.String(slug))
        if node.name.value == "id" and isinstance(node.value, StringValueNode) and ancestors:
            owner = ancestors[-1]
            code = _ROOTS.get(owner.name.value) if isinstance(owner, FieldNode) else None
            if code:
                meant = re.sub("(?<= )[A-Z] >", f"{code} >", node.value.value)
                return ArgumentNode(name=node.name, value=nodes.String(meant))
        return None

    def leave_object_field(self, node: ObjectFieldNode, *_: Any) -> ObjectFieldNode | None:
        if not (isinstance(node.value, StringValueNode) and _MEANT.match(node.value.value)):
            return None
        meant = node.value.value.replace(" >", f" {node.name.value}>")
        return ObjectFieldNode(name=node.name, value=nodes.String(meant))


def _written(document: DocumentNode) -> str:
    return print_ast(visit(document, _Sense()))


def _made_by(make: Callable[..., Documents], schema: GraphQLSchema) -> Documents:
    """Made when first asked for: studying the schema takes seconds of every collecting process."""
    return st.deferred(
        lambda: make(
            print_schema(schema), custom_scalars=_SCALARS, print_ast=_written, allow_x00=False
        )
    )


QUERIES: Final = _made_by(hypothesis_graphql.queries, core)
MUTATIONS: Final = _made_by(hypothesis_graphql.mutations, core)
# The generator makes no subscriptions, but queries of a schema whose root is theirs.
SUBSCRIPTIONS: Final = _made_by(
    hypothesis_graphql.queries,
    GraphQLSchema(query=core.subscription_type, types=list(core.type_map.values())),
).map(lambda document: document.replace("{", "subscription {", 1))


def filled(document: str, rows: Rows) -> str:
    """With ids of rows in the place of those that are meant."""

    def id_of(found: re.Match[str]) -> str:
        part, code, name = found.groups()
        return rows.part(part).id_of(name) if name else rows.part(part).id(code)

    return _MEANT.sub(id_of, document)
