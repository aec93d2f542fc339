"""G: secrets, and what is fetched or taken in from outside."""

import json
from typing import Final

import httpx2
import pytest
from starlette.applications import Starlette

from tests.api.graphql.client import World

pytestmark = pytest.mark.anyio

CANARY: Final = "quetzalcoatl"
OWN: Final = {"Sec-Fetch-Site": "same-origin"}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", **OWN}
JSON: Final = {"Content-Type": "application/json"}
BEARER: Final = {"Authorization": f"Bearer {CANARY}"}
SENT: Final[tuple[tuple[str, str, dict[str, str], str], ...]] = (
    ("POST", "/graphql", JSON | BEARER, json.dumps({"query": "{ viewer { name } }"})),
    ("POST", "/graphql", JSON | {"Cookie": f"__Host-homerow=hrs_{CANARY}"}, "{}"),
    ("POST", "/session/token", JSON, json.dumps({"code": CANARY, "code_verifier": CANARY})),
    ("POST", "/launch/redeem", JSON | BEARER, json.dumps({"token": CANARY})),
    ("POST", "/t/alpha/password", FORM, f"name={CANARY}&password={CANARY}"),
    ("POST", "/t/alpha/code", FORM, f"code={CANARY}"),
    ("POST", "/t/alpha/forgotten", FORM, f"name={CANARY}"),
    ("POST", f"/account-links/{CANARY}", FORM, f"password={CANARY}&again={CANARY}"),
    ("POST", f"/uploads/{CANARY}", {}, CANARY),
    ("GET", f"/exports/{CANARY}", {}, ""),
    ("GET", f"/sign-in/google/callback?code={CANARY}&state={CANARY}", {}, ""),
    ("GET", f"/training/alpha/users?search={CANARY}", BEARER, ""),
)
"""A secret at each place that takes one, wrong as it is."""


async def test_g6_no_secret_that_is_sent_is_logged_or_sent_back(
    world: World, app: Starlette, capfd: pytest.CaptureFixture[str], subtests: pytest.Subtests
) -> None:
    for method, path, headers, body in SENT:
        with subtests.test(path=path):
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://own.test") as http:
                answer = await http.request(method, path, headers=headers, content=body)
            logged = "".join(capfd.readouterr())
            assert answer.status_code < 500
            assert CANARY not in logged
            assert CANARY not in str(answer.headers)
            # What somebody typed as their name stands in the form again; nothing else does.
            assert answer.text.count(CANARY) <= ("name=" in body)


async def test_g6_what_a_document_says_is_not_logged(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    query = "query ($s: String) { tenant(slug: $s) { name } } # " + CANARY
    await world.alpha.run(query, s=CANARY)
    await world.alpha.fail("{ tenants(filter: {search: $s}) { totalCount } } # " + CANARY)
    logged = "".join(capfd.readouterr())
    assert "graphql_request" in logged
    assert CANARY not in logged
