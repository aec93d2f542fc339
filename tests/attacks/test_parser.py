"""A: documents and bodies that cost much, or that nobody can read."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest
from graphql import GraphQLInputObjectType, get_named_type
from starlette.applications import Starlette

from api.graphql import requests
from api.graphql.documents import Documents
from api.graphql.errors import Refused
from api.graphql.schema import core
from domain.resources import Resources
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_school

pytestmark = pytest.mark.anyio

SEARCH: Final = """query ($s: String) { tenant(slug: "alpha") {
    schools(filter: {search: $s}) { totalCount nodes { name } } } }"""
LONGEST: Final = 2.0
"""Seconds of the processor: far more than any of these takes, and far less than an attack wants."""


def seconds_of(source: str) -> float:
    """How long it takes to take or to refuse a document."""
    began = time.process_time()
    try:
        Documents().prepare(source)
    except Refused as refused:
        assert refused.status == 400  # noqa: PT017 - either outcome will do
    return time.process_time() - began


async def test_a3_a_document_of_three_thousand_levels_is_refused(world: World) -> None:
    for source in ("{a" * 3000 + "}" * 3000, "query { a(x: " + "[" * 3000 + "]" * 3000 + ") }"):
        response = await world.alpha.post(source)
        assert response.status_code == 400
        assert "data" not in response.json()


@pytest.mark.parametrize(
    "source",
    [
        "{ viewer { " + "name " * 900 + "} }",
        "{ viewer { name " + "@nothing " * 400 + "} }",
        "{ viewer { name " + "@include(if: true) " * 120 + "} }",
        "{ " + "viewer { tenant { slug " * 60 + "} }" * 60 + " }",
    ],
)
def test_a5_what_is_repeated_is_measured_before_it_is_compared(source: str) -> None:
    assert seconds_of(source) < LONGEST


def test_a6_fields_that_overlap_in_forty_fragments_take_no_time() -> None:
    inner = "viewer { tenant { slug name id status timeZone createdAt } name }"
    fragments = " ".join(f"fragment F{n} on Query {{ {inner} }}" for n in range(18))
    spreads = " ".join(f"...F{n}" for n in range(18))
    assert seconds_of(f"{{ {spreads} }} {fragments}") < LONGEST
    nested = "slug " * 60
    fragments = " ".join(f"fragment F{n} on Tenant {{ {nested} }}" for n in range(25))
    spreads = " ".join(f"...F{n}" for n in range(25))
    assert seconds_of(f"{{ viewer {{ tenant {{ {spreads} }} }} }} {fragments}") < LONGEST


@pytest.mark.parametrize("size", ["101", "-1", "0", "2147483648", "-2147483649"])
@pytest.mark.parametrize("name", ["first", "last"])
async def test_a7_a_page_of_no_size_or_too_large_a_size_is_refused(
    name: str, size: str, world: World
) -> None:
    page = f'{{ tenant(slug: "alpha") {{ schools({name}: {size}) {{ totalCount }} }} }}'
    by_variable = (
        f"query ($n: Int = {size}) {{"
        f' tenant(slug: "alpha") {{ schools({name}: $n) {{ totalCount }} }} }}'
    )
    for query in (page, by_variable):
        [error] = (await world.alpha.post(query)).json()["errors"]
        assert error["extensions"]["code"] in {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}


async def test_a7_a_page_cannot_be_the_first_and_the_last_at_once(world: World) -> None:
    query = '{ tenant(slug: "alpha") { schools(first: 1, last: 1) { totalCount } } }'
    assert (await world.alpha.fail(query))["extensions"]["code"] == "BAD_USER_INPUT"


def test_a9_no_mutation_takes_a_password_or_a_code() -> None:
    """So none can be guessed by aliases: people sign in at pages, where tries are counted."""
    assert core.mutation_type
    for field in core.mutation_type.fields.values():
        given = get_named_type(field.args["input"].type)
        assert isinstance(given, GraphQLInputObjectType)
        assert not {"password", "token", "secret", "otp", "totp"} & set(given.fields)


async def test_a9_eleven_mutations_in_one_document_are_none(
    world: World, superuser: asyncpg.Connection
) -> None:
    acts = " ".join(
        f'a{n}: tenantCreate(input: {{slug: "t{n}", name: "T"}}) {{ tenant {{ id }} }}'
        for n in range(11)
    )
    assert (await world.operator.post(f"mutation {{ {acts} }}")).status_code == 400
    assert await superuser.fetchval("SELECT count(*) FROM tenants") == 2


async def test_a10_of_a_key_that_is_there_twice_the_last_is_meant(world: World) -> None:
    """By everybody who reads it: nothing in front of us reads another one."""
    content = b'{"query": "{ nothing }", "query": "{ viewer { name } }"}'
    headers = {"Content-Type": "application/json"}
    response = await world.alpha.http.post("/graphql", content=content, headers=headers)
    assert response.json()["data"] == {"viewer": {"name": "token of-alpha"}}


async def test_a10_numbers_that_no_column_has_are_bad_input(world: World) -> None:
    query = 'query ($n: Int) { tenant(slug: "alpha") { schools(first: $n) { totalCount } } }'
    for number in ("9" * 5000, "1e400", "-1e400", "1.5", str(2**63)):
        content = json.dumps({"query": query, "variables": {"n": 0}}).replace(
            '"n": 0', f'"n": {number}'
        )
        headers = {"Content-Type": "application/json"}
        response = await world.alpha.http.post("/graphql", content=content, headers=headers)
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] in {"BAD_REQUEST", "BAD_USER_INPUT"}


async def test_a11_a_text_means_itself_and_nothing_else(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_school(superuser, world.alpha_id, name="North")
    await add_school(superuser, world.alpha_id, name="100% of_all")

    async def found(search: str) -> list[str]:
        schools = (await world.alpha.run(SEARCH, s=search))["tenant"]["schools"]
        return [school["name"] for school in schools["nodes"]]

    for search in ("%", "_", "% of_"):
        assert await found(search) == ["100% of_all"]
    for search in ("'; --", "N_rth", "No%h", "\\", "\u202e", "\u202eNorth", "') OR true --"):
        assert await found(search) == []
    assert await found("north") == ["North"]


async def test_a11_a_text_of_a_mebibyte_is_refused(world: World) -> None:
    response = await world.alpha.post(SEARCH, s="x" * 1024 * 1024)
    assert response.status_code == 413


@pytest.mark.parametrize("sign", ["x", "%", "\\", "(a+)+", "\U0001f600"])
async def test_a12_a_search_of_ten_thousand_characters_is_not_begun(
    sign: str, world: World
) -> None:
    error = await world.alpha.fail(SEARCH, s=sign * 10_000)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "at most" in error["message"]


async def test_a13_who_sends_a_byte_now_and_then_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.05)

    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    headers = {"Content-Type": "application/json"}
    response = await world.alpha.http.post("/graphql", content=drops(), headers=headers)
    assert response.status_code == 408


async def test_a15_a_request_that_is_cancelled_gives_its_connection_back(
    world: World, resources: Resources, app: Starlette, superuser: asyncpg.Connection
) -> None:
    pool: Any = resources.database.engine.sync_engine.pool
    query = '{ tenant(slug: "alpha") { users { totalCount } } }'
    async with superuser.transaction():
        await superuser.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        waiting = [asyncio.create_task(world.alpha.post(query)) for _ in range(12)]
        while pool.checkedout() < 10:  # noqa: ASYNC110 - a pool tells nobody
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert pool.checkedout() == 0
    assert await world.alpha.run(query) == {"tenant": {"users": {"totalCount": 0}}}
