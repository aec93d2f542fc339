"""Anything that bytes can be, sent to every door that takes a body: never a fault of ours."""

import json
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route, WebSocketRoute

from domain.people.callers import CallerRole
from tests.fuzz.bounds import bounded
from tests.fuzz.target import Target

DOORS: Final = {
    "POST /graphql": ("query", "variables", "operationName", "extensions"),
    "POST /session/token": ("code", "code_verifier"),
    "POST /launch/redeem": ("token",),
    "POST /t/{slug}/password": ("name", "password", "return_to", "code_challenge"),
    "POST /t/{slug}/code": ("code", "return_to", "code_challenge"),
    "POST /t/{slug}/forgotten": ("name",),
    "POST /account-links/{token}": ("password", "again"),
    "POST /second-factor": ("code", "act"),
    "POST /landing": ("place",),
    "POST /sign-out": (),
    "POST /uploads/{token}": (),
    "PUT /uploads/{token}": (),
}
"""Each with what it reads of a body."""
READ_ONLY: Final = frozenset({"GET", "HEAD"})
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
_PRINTABLE: Final = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
_HEADERS: Final = st.fixed_dictionaries(
    {
        "content-type": st.sampled_from(
            [
                "application/json",
                "application/json; charset=utf-8",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "text/plain",
            ]
        )
        | _PRINTABLE,
        "sec-fetch-site": st.sampled_from(["same-origin", "same-origin", "cross-site"]),
    },
    optional={
        "accept": _PRINTABLE,
        "accept-language": _PRINTABLE,
        "authorization": _PRINTABLE | st.builds("Bearer {}".format, _PRINTABLE),
        "content-encoding": st.sampled_from(["gzip", "identity", "br", "", "x"]),
        "cookie": st.sampled_from([f"__Host-homerow=hrs_{who}" for who in ("root", "STUDENT")])
        | st.builds("__Host-homerow={}".format, _PRINTABLE)
        | st.builds("__Host-homerow-login={}".format, _PRINTABLE)
        | _PRINTABLE,
        "origin": _PRINTABLE | st.sampled_from(["null", "http://homerow.test"]),
        "x-forwarded-for": _PRINTABLE,
        "x-homerow-csrf": st.just("1"),
    },
)


def bodies(fields: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Some of them nearly right."""
    near = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, _JSON))
    pairs = st.lists(st.tuples(st.sampled_from((*fields, "x")), st.binary(max_size=30)), max_size=6)
    return st.one_of(
        st.binary(max_size=200),
        _JSON.map(as_json),
        near.map(as_json),
        pairs.map(as_form),
        st.text(max_size=200).map(lambda text: text.encode()),
    )


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_form(pairs: list[tuple[str, bytes]]) -> bytes:
    escaped = ("".join(f"%{byte:02x}" for byte in value) for _, value in pairs)
    return "&".join(
        f"{name}={text}" for (name, _), text in zip(pairs, escaped, strict=True)
    ).encode()


SHOTS: Final = st.sampled_from(sorted(DOORS)).flatmap(
    lambda door: st.tuples(
        st.just(door),
        st.sampled_from(["alpha", "beta", "%00", "%ff%fe", "..", "x" * 300, "é"]),
        bodies(DOORS[door]),
        _HEADERS,
    )
)


@bounded(400)
@given(shot=SHOTS)
def test_no_body_finds_a_fault(
    target: Target, shot: tuple[str, str, bytes, dict[str, str]]
) -> None:
    door, place, body, headers = shot
    method, path = door.split()
    address = path.replace("{slug}", place).replace("{token}", place)
    response = target.send(method, address, content=body, headers=headers)
    assert response.status_code < 500, (shot, response.text)
    assert "Traceback" not in response.text


@pytest.mark.parametrize("role", [CallerRole.OPERATOR, CallerRole.STUDENT])
@bounded(60)
@given(body=bodies(DOORS["POST /graphql"]), query=st.text(max_size=60), variables=_JSON)
def test_no_body_of_somebody_known_finds_a_fault(
    target: Target, role: CallerRole, body: bytes, query: str, variables: Any
) -> None:
    headers = {
        "authorization": f"Bearer {target.rows.secrets[role]}",
        "content-type": "application/json",
    }
    asked = "query ($s: String, $f: TenantFilter) { tenant(slug: $s) { id }"
    asked += " tenants(filter: $f, first: 1) { totalCount } }"
    for content in (
        body,
        as_json({"query": query, "variables": variables}),
        as_json({"query": asked, "variables": {"s": variables, "f": variables}}),
        as_json({"query": asked, "variables": {"s": query, "f": {"search": query}}}),
    ):
        response = target.send("POST", "/graphql", content=content, headers=headers)
        assert response.status_code < 500, (content, response.text)
        assert "INTERNAL_SERVER_ERROR" not in response.text, content


@bounded(150)
@given(path=st.text(max_size=30), query=st.dictionaries(st.text(max_size=12), st.text(max_size=30)))
def test_no_address_finds_a_fault(target: Target, path: str, query: dict[str, str]) -> None:
    named = {"return_to": path, "code_challenge": path, "search": path, "state": path, "code": path}
    for begin in (
        "/",
        "/t/",
        "/sign-in/",
        "/account-links/",
        "/uploads/",
        "/exports/",
        "/training/",
    ):
        response = target.send("GET", f"{begin}{quote(path, safe='%')}", params=query)
        assert response.status_code < 500, (path, query)
    for page in ("/", "/go", "/t/alpha", "/landing", "/sign-in/clever", "/sign-in/clever/callback"):
        response = target.send("GET", page, params={**named, **query})
        assert response.status_code < 500, (page, path, query)


def test_every_door_that_takes_a_body_is_tried(target: Target) -> None:
    there = set()
    for route in target.app.routes:
        if isinstance(route, WebSocketRoute):
            continue  # what is said there is tried in tests/attacks/test_sockets.py
        assert isinstance(route, Route)
        there |= {f"{method} {route.path}" for method in (route.methods or set()) - READ_ONLY}
    assert there == set(DOORS)
