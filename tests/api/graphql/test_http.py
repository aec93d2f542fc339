"""GraphQL over HTTP: who is let in, what is a request, and what never gets out."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from structlog.testing import capture_logs

from api.app import create_app
from api.graphql.view import GraphQLView
from api.signing_in.site import SignInSettings
from api.web_settings import WebSettings
from domain.clock import utc_now
from domain.resources import Resources
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_token

pytestmark = pytest.mark.anyio

VIEWER = {"query": "{ viewer { name } }"}
NOT_KNOWN = {
    "errors": [
        {"message": "Sign in, or send a valid token.", "extensions": {"code": "UNAUTHENTICATED"}}
    ]
}
MALFORMED = (
    b"", b"1", b'"x"', b"null", b"[]", b'[{"query": "{ viewer { name } }"}]', b"{}", b"{",
    b'{"query": 1}', b'{"query": null}', b'{"query": "{ viewer { name } }", "variables": []}',
    b'{"query": "{ viewer { name } }", "variables": "x"}',
    b'{"query": "{ viewer { name } }", "operationName": 1}',
    b'{"query": "{ viewer { name } }", "extensions": []}',
    b"[" * 100_000, b'{"variables": ' * 15_000, b'{"query": ' + b"9" * 5000 + b"}",
    b'{"query": "\xff"}', b'{"query": NaN}', b'{"query": "\\ud800"}',
)  # fmt: skip
NOT_JSON = (
    "", "text/plain", "application/x-www-form-urlencoded", "text/plain,application/json",
    "text/plain application/json", "xapplication/jsonx", "application/json; charset=utf-16",
    "multipart/form-data; boundary=x",
)  # fmt: skip
NOT_EXECUTED = {
    "{": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query A { viewer { name } } query B { viewer { name } }": "BAD_USER_INPUT",
    "query ($id: ID!) { node(id: $id) { id } }": "BAD_USER_INPUT",
    "subscription { viewer { name } }": "GRAPHQL_VALIDATION_FAILED",
}
MISSPELT = (
    "{ viewr { name } }",
    "{ viewer { nam } }",
    '{ node(idd: "x") { id } }',
    "{ tenants(filter: {serch: 1}) { totalCount } }",
    "query ($x: TenantFiltr) { tenants(filter: $x) { totalCount } }",
    "{ viewer { ...on Viewr { name } } }",
    "{ tenants(orderBy: {field: NAM}) { totalCount } }",
)


async def test_whoever_is_not_known_is_told_nothing(
    world: World, superuser: asyncpg.Connection, app: Starlette, subtests: pytest.Subtests
) -> None:
    now = utc_now()
    await add_token(superuser, "of-past", expires_at=now - timedelta(seconds=1))
    await add_token(superuser, "of-revoked", revoked_at=now)
    for header in (
        None, "Bearer", "Bearer ", "Bearer unknown", "Bearer of-past", "Bearer of-revoked",
        "Basic of-operator", "of-operator", "Bearer of-operator2",
    ):  # fmt: skip
        with subtests.test(header=header):
            async with connected(app, None) as nobody:
                headers = {"Authorization": header} if header else {}
                response = await nobody.http.post("/graphql", json=VIEWER, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json() == NOT_KNOWN


async def test_introspection_is_for_known_callers(world: World, app: Starlette) -> None:
    query = "{ __schema { queryType { name } } }"
    assert await world.alpha.run(query) == {"__schema": {"queryType": {"name": "Query"}}}
    async with connected(app, None) as nobody:
        assert (await nobody.post(query)).status_code == 401


async def test_a_malformed_body_is_a_bad_request(world: World, subtests: pytest.Subtests) -> None:
    headers = {"Content-Type": "application/json"}
    for body in MALFORMED:
        with subtests.test(body=body[:40]):
            response = await world.alpha.http.post("/graphql", content=body, headers=headers)
            assert response.status_code == 400
            [error] = response.json()["errors"]
            assert error["extensions"]["code"] == "BAD_REQUEST"
            assert "data" not in response.json()


async def test_only_json_is_read(world: World, subtests: pytest.Subtests) -> None:
    content = json.dumps(VIEWER).encode()
    for content_type in NOT_JSON:
        with subtests.test(content_type=content_type):
            headers = {"Content-Type": content_type}
            response = await world.alpha.http.post("/graphql", content=content, headers=headers)
            assert response.status_code == 415


async def test_json_is_read_however_it_is_spelled(world: World) -> None:
    content = json.dumps(VIEWER).encode()
    for content_type in ("application/json", "Application/JSON; Charset=UTF-8"):
        headers = {"Content-Type": content_type}
        response = await world.alpha.http.post("/graphql", content=content, headers=headers)
        assert response.json()["data"] == {"viewer": {"name": "token of-alpha"}}


async def test_a_compressed_body_is_refused(world: World) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = await world.alpha.http.post("/graphql", content=b"\x1f\x8b", headers=headers)
    assert response.status_code == 415


async def test_a_body_has_a_limit(world: World) -> None:
    query = VIEWER["query"]
    room = 1024 * 1024 - len(json.dumps({"query": query, "extensions": {"x": ""}}).encode())
    for length, status in ((room, 200), (room + 1, 413)):
        content = json.dumps({"query": query, "extensions": {"x": "x" * length}}).encode()
        headers = {"Content-Type": "application/json"}
        response = await world.alpha.http.post("/graphql", content=content, headers=headers)
        assert response.status_code == status


async def test_a_body_without_an_end_is_cut_at_the_limit(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    response = await world.alpha.http.post("/graphql", content=endless(), headers=headers)
    assert response.status_code == 413


async def test_queries_come_by_post_only(world: World, subtests: pytest.Subtests) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
        with subtests.test(method=method):
            response = await world.alpha.http.request(method, "/graphql", params=VIEWER)
            assert response.status_code == 405
            assert "POST" in response.headers["allow"]


async def test_the_page_for_developers_is_there_on_their_machines_only(
    resources: Resources, app: Starlette
) -> None:
    headers = {"Accept": "text/html"}
    local = create_app(resources, SignInSettings(WebSettings(is_local=True)))
    for served, status in ((local, 200), (app, 405)):
        async with connected(served, None) as browser:
            response = await browser.http.get("/graphql", headers=headers)
        assert response.status_code == status
    async with connected(local, None) as browser:
        response = await browser.http.get("/graphql", params=VIEWER)
    assert response.status_code == 405


async def test_the_answer_has_the_media_type_that_is_asked_for(
    world: World, subtests: pytest.Subtests
) -> None:
    newer, older = "application/graphql-response+json", "application/json"
    for accept, answered in (
        (newer, newer),
        (f"{newer}, {older};q=0.9", newer),
        (older, older),
        ("*/*", older),
    ):
        with subtests.test(accept=accept):
            headers = {"Accept": accept}
            response = await world.alpha.http.post("/graphql", json=VIEWER, headers=headers)
            assert response.headers["content-type"] == f"{answered}; charset=utf-8"


async def test_what_is_not_executed_is_a_bad_request_without_data(
    world: World, subtests: pytest.Subtests
) -> None:
    for query, code in NOT_EXECUTED.items():
        with subtests.test(query=query):
            response = await world.alpha.post(query)
            assert response.status_code == 400
            assert "data" not in response.json()
            assert {e["extensions"]["code"] for e in response.json()["errors"]} == {code}


async def test_whoever_names_the_older_type_only_gets_200_for_a_wrong_document(
    world: World, subtests: pytest.Subtests
) -> None:
    headers = {"Accept": "application/json"}
    for query, code in NOT_EXECUTED.items():
        with subtests.test(query=query):
            content = {"query": query}
            response = await world.alpha.http.post("/graphql", json=content, headers=headers)
            assert response.status_code == 200
            assert "data" not in response.json()
            assert {e["extensions"]["code"] for e in response.json()["errors"]} == {code}
    response = await world.alpha.http.post("/graphql", json={"query": 1}, headers=headers)
    assert response.status_code == 400


async def test_nothing_is_suggested(world: World, subtests: pytest.Subtests) -> None:
    for query in MISSPELT:
        with subtests.test(query=query):
            response = await world.alpha.post(query)
            assert response.status_code == 400
            assert "did you mean" not in response.text.lower()


async def test_nothing_is_suggested_for_variables(world: World) -> None:
    query = "query ($order: TenantOrder) { tenants(orderBy: $order) { totalCount } }"
    response = await world.alpha.post(query, order={"field": "NAM"})
    assert response.status_code == 400
    assert "did you mean" not in response.text.lower()


async def test_a_nul_character_is_bad_input(world: World, subtests: pytest.Subtests) -> None:
    cases: list[tuple[str, dict[str, object]]] = [
        ('{ tenant(slug: "a\\u0000b") { id } }', {}),
        ('{ tenant(slug: "a\\u{0}b") { id } }', {}),
        ("query ($s: String) { tenant(slug: $s) { id } }", {"s": "a\x00b"}),
        ("query ($f: TenantFilter) { tenants(filter: $f) { totalCount } }",
         {"f": {"search": "\x00"}}),
    ]  # fmt: skip
    for query, variables in cases:
        with subtests.test(query=query):
            response = await world.operator.post(query, **variables)
            assert response.status_code == 400
            [error] = response.json()["errors"]
            assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_what_goes_wrong_here_is_masked_and_logged_without_its_text(
    world: World, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("ALTER TABLE users RENAME COLUMN username TO secret_name")
    query = "query ($s: String) { tenant(slug: $s) { users(filter: {search: $s}) { totalCount } } }"
    with capture_logs() as logs:
        response = await world.alpha.post(query, s="alpha")
    await superuser.execute("ALTER TABLE users RENAME COLUMN secret_name TO username")
    [error] = response.json()["errors"]
    request_id = response.headers["x-request-id"]
    assert error["message"] == "Something went wrong here."
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    assert error["path"] == ["tenant", "users"]
    assert response.json()["data"] == {"tenant": None}
    [failure] = [entry for entry in logs if entry["event"] == "request_failed"]
    assert failure["request_id"] == request_id
    assert failure["error"] == "ProgrammingError"
    for text in (response.text, str(logs)):
        assert "username" not in text
        assert "SELECT" not in text
        assert "alpha" not in text.replace('"alpha"', "")


async def test_a_failure_before_execution_is_masked_too(
    world: World, superuser: asyncpg.Connection
) -> None:
    function = "FUNCTION find_api_token(bytea)"
    await superuser.execute(f"REVOKE EXECUTE ON {function} FROM homerow_api")
    response = await world.alpha.post(VIEWER["query"])
    await superuser.execute(f"GRANT EXECUTE ON {function} TO homerow_api")
    assert response.status_code == 500
    [error] = response.json()["errors"]
    assert error["message"] == "Something went wrong here."
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_a_request_that_takes_too_long_is_ended(
    world: World, resources: Resources, superuser: asyncpg.Connection
) -> None:
    view = GraphQLView(resources, web=WebSettings(), seconds=0.3)
    slow = Starlette(routes=[Route("/graphql", view.respond, methods=["POST"])])
    query = '{ tenant(slug: "alpha") { users { totalCount } } }'
    async with connected(slow, "of-alpha") as alpha:
        async with superuser.transaction():
            await superuser.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            response = await alpha.post(query)
        assert response.status_code == 503
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] == "TIMEOUT"
        # Its connection is free again.
        assert await alpha.run(query) == {"tenant": {"users": {"totalCount": 0}}}


async def test_callers_at_the_same_time_see_their_own(world: World) -> None:
    query = "{ tenants { nodes { slug users { totalCount } } } }"
    answers = await asyncio.gather(
        *(client.run(query) for client in (world.alpha, world.beta) for _ in range(15))
    )
    for number, answer in enumerate(answers):
        slug = "alpha" if number < 15 else "beta"
        assert answer == {"tenants": {"nodes": [{"slug": slug, "users": {"totalCount": 0}}]}}
