"""Clever's lists: the whole page at once where it is as promised, row by row where it is not."""

import re
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from domain.providers.clever.objects import Members, Object, Section
from domain.providers.http.answer import Answer, BadPayload

T = TypeVar("T")
R = TypeVar("R", bound=Object)

_PROMISE: Final = "a list in Clever's envelope was expected"
_MISFIT: Final = re.compile(r"Expected `([a-z]+)[^`]*`, got `([^`]+)`(?: - at `\$\.?([^`]*)`)?")
_KINDS: Final = {
    "str": "a text",
    "array": "a list",
    "object": "an object",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
}
_NUL: Final = rb"\u0000"
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>u0000)|.)",
    re.DOTALL,
)


class Link(Struct, frozen=True, gc=False):
    rel: str = ""
    uri: str = ""


class _Item(Struct, Generic[T], frozen=True, gc=False):
    data: T


class _List(Struct, Generic[T], frozen=True, gc=False):
    data: list[_Item[T]]
    links: list[Link]


class Odd(NamedTuple):
    """An object that is not what Clever's API says. `field` is the path of what is not.

    Who is in a section is known all the same: without its members all would seem to have left.
    """

    id: str
    field: str | None
    expected: str | None
    found: str | None
    members: Members | None = None


class _Single(Struct, frozen=True, gc=False):
    data: Raw


class ListPage(NamedTuple, Generic[R]):
    """`next_uri` is as it was sent; None on the last page."""

    rows: list[R | Odd]
    next_uri: str | None


def decode_list(answer: Answer, kind: type[R]) -> ListPage[R]:
    """Raises BadPayload for what is no list of objects."""
    body = answer.body
    # Almost no answer has a backslash, and to look for one costs next to nothing.
    if b"\\" in body and _NUL in body:
        body = _storable(body)
    try:
        return _page(body, kind)
    except RecursionError:
        raise BadPayload(_PROMISE) from None
    except ValueError:
        pass
    try:
        return _page(_storable(body), kind)
    except (ValueError, RecursionError):
        raise BadPayload(_PROMISE) from None


def decode_single(answer: Answer) -> Raw:
    """Raises BadPayload for what is no object in its envelope. `decode_row` reads it."""
    try:
        return msgspec.json.decode(_storable(answer.body), type=_Single).data.copy()
    except (ValueError, RecursionError):
        raise BadPayload("an object in Clever's envelope was expected") from None


def _page(body: bytes, kind: type[R]) -> ListPage[R]:
    try:
        found = _decoder(kind).decode(body)
    except msgspec.ValidationError:
        raw = _raw_decoder().decode(body)
        return ListPage([decode_row(item.data, kind) for item in raw.data], _next_uri(raw.links))
    return ListPage([item.data for item in found.data], _next_uri(found.links))


@lru_cache(maxsize=64)
def _decoder(kind: type[R]) -> "msgspec.json.Decoder[_List[R]]":
    return msgspec.json.Decoder(cast("Any", _List)[kind])


@lru_cache(maxsize=1)
def _raw_decoder() -> "msgspec.json.Decoder[_List[Raw]]":
    return msgspec.json.Decoder(_List[Raw])


def _next_uri(links: list[Link]) -> str | None:
    return next((link.uri for link in links if link.rel == "next"), None)


def decode_row(raw: Raw, kind: type[R]) -> R | Odd:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        pass
    found = msgspec.json.decode(raw)
    if not isinstance(found, dict):
        raise BadPayload(_PROMISE)
    plain = _plain(found)
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        odd = _odd(plain, error)
    return odd._replace(members=_members(plain)) if issubclass(kind, Section) else odd


def _plain(value: Any) -> Any:
    """Without the missing values, which are written in three ways; numbers as texts."""
    match value:
        case dict():
            return {name: _plain(item) for name, item in value.items() if item not in ("", None)}
        case list():
            return [_plain(item) for item in value if item not in ("", None)]
        case bool():
            return value
        case int() | float():
            return str(value)
        case _:
            return value


def _members(plain: dict[str, Any]) -> Members:
    found = {name: plain[name] for name in Members.__struct_fields__ if name in plain}
    try:
        return msgspec.convert(found, Members)
    except msgspec.ValidationError:
        raise BadPayload("the members of a section cannot be read") from None


def _odd(plain: dict[str, Any], error: msgspec.ValidationError) -> Odd:
    source_id = plain.get("id")
    misfit = _MISFIT.search(str(error))
    expected, found, field = misfit.groups() if misfit else (None, None, None)
    return Odd(
        source_id if isinstance(source_id, str) else "",
        field or None,
        _KINDS.get(expected or "", expected),
        _KINDS.get(found or "", found),
    )


def _storable(body: bytes) -> bytes:
    """Without what no database can store and no decoder takes: NUL, and half a surrogate pair."""
    text = body.decode("utf-8", errors="replace").encode("utf-8")
    return _ESCAPE.sub(_storable_escape, text)


def _storable_escape(escape: re.Match[bytes]) -> bytes:
    if escape["nul"]:
        return b""
    return rb"\ufffd" if escape["half"] else escape[0]
