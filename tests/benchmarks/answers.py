"""A provider's answers as a bare client reads them, each with the decoder that it is for."""

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from domain.providers.clever import objects
from domain.providers.clever.decoding import Link
from domain.providers.clever.pages import PAGE_SIZES
from domain.providers.clever.people import DEFAULT_ROLE_MAP, WORDS, Rules
from domain.providers.clever.plain_people import kind_of
from domain.providers.oneroster_rest.objects import COLLECTIONS, PageDecoder
from tests.benchmarks.targets import Target, Way

T = TypeVar("T")

_LINKS = b'"links":'


class Decoder(Protocol):
    def decode(self, body: bytes, /) -> Any: ...


class Answer(NamedTuple):
    body: bytes
    decoder: Decoder


class Item(Struct, Generic[T], frozen=True, gc=False):
    data: T


class Listing(Struct, Generic[T], frozen=True, gc=False):
    """A list of Clever's: as the source has it, but without what looks for oddities."""

    data: list[Item[T]]
    links: list[Link]


def read_answers(target: Target) -> list[Answer]:
    """Every page of every collection, one after the other."""
    parts = urlsplit(target.url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    read = _clever_answers if target.way is Way.CLEVER else _oneroster_answers
    try:
        return list(read(connection, target))
    finally:
        connection.close()


def _get(
    connection: HTTPConnection, target: Target, address: str
) -> tuple[bytes, Mapping[str, str]]:
    connection.request("GET", address, headers=dict(target.headers))
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{address} was answered with {response.status}")
    return body, {name.lower(): value for name, value in response.headers.items()}


def _clever_answers(connection: HTTPConnection, target: Target) -> Iterator[Answer]:
    for collection, size in PAGE_SIZES.items():
        for role in WORDS if collection == "users" else ("",):
            decoder = msgspec.json.Decoder(cast("Any", Listing)[_kind(collection, role)])
            of_role = f"&role={role}" if role else ""
            address: str | None = f"/v3.0/{collection}?limit={size}{of_role}"
            while address:
                body, _ = _get(connection, target, address)
                yield Answer(body, decoder)
                address = _next_address(body)


def _next_address(body: bytes) -> str | None:
    """Without decoding the rows, which is not what is timed here."""
    links = json.loads(body[body.rindex(_LINKS) + len(_LINKS) : -1])
    return next((link["uri"] for link in links if link["rel"] == "next"), None)


def _kind(collection: str, role: str) -> type[objects.Object]:
    match collection:
        case "schools":
            return objects.School
        case "terms":
            return objects.Term
        case "courses":
            return objects.Course
        case "sections":
            return objects.Section
        case _:
            return kind_of(role, Rules(DEFAULT_ROLE_MAP))


def _oneroster_answers(connection: HTTPConnection, target: Target) -> Iterator[Answer]:
    base = urlsplit(target.settings["base_url"]).path
    for collection in COLLECTIONS.values():
        decoder = PageDecoder(collection)
        offset, total = 0, 1
        while offset < total:
            options = f"limit={collection.size}&offset={offset}&sort=sourcedId&orderBy=asc"
            body, headers = _get(connection, target, f"{base}/{collection.name}?{options}")
            yield Answer(body, decoder)
            offset, total = offset + collection.size, int(headers["x-total-count"])
