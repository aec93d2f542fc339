"""Anything that the schema allows, asked by somebody in each role.

The documents are made by hypothesis-graphql, which schemathesis itself makes them with, and sent
straight into the application: schemathesis's own way there needs another HTTP client than ours.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx2
import pytest
from hypothesis import example, given

from api.graphql.node import find_id
from domain.people.callers import PRODUCT_SIDE, TENANT_ADMINS, TOKENS, CallerRole
from tests.fuzz.bounds import bounded
from tests.fuzz.documents import MUTATIONS, QUERIES, SUBSCRIPTIONS, filled
from tests.fuzz.target import FOREIGN, HIDDEN, Target

EVERYTHING = """{ tenants { totalCount nodes { id name
    schools { totalCount nodes { id name } } groups { totalCount nodes { id name } }
    users { totalCount nodes { id familyName } } } } }"""
NAMED = "{{ {} }}".format(
    " ".join(
        f'{part}{code}: node(id: "<{part} {code} >") {{ id __typename }}'
        for part in ("foreign", "hidden")
        for code in "TSGUM"
    )
)
"""Two that come first each time, since few made-up ones look everywhere."""
SEES_ALL = TOKENS | TENANT_ADMINS
EXPECTED = frozenset({200, 400, 401, 403})


def texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)
        case _:
            pass


def shoot(target: Target, role: CallerRole, made_up: str) -> None:
    document = filled(made_up, target.rows)
    response = target.ask(role, document)
    assert response.status_code in EXPECTED, (response.status_code, document)
    answer = response.json()
    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
    assert not codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT"}, (answer, document)
    if role not in PRODUCT_SIDE:
        has_nothing_of(target.rows.foreign.keys.values(), FOREIGN, response, document)
    if role not in SEES_ALL:
        own = [key for code, key in target.rows.hidden.keys.items() if code != "T"]
        has_nothing_of(own, HIDDEN, response, document)


def has_nothing_of(keys: Any, word: str, response: httpx2.Response, document: str) -> None:
    """What the document itself names may be named in the answer: that there is no such thing."""
    known = set(keys)
    assert word not in response.text, document
    for text in texts(response.json()):
        if text in document or json.dumps(text)[1:-1] in document:
            continue
        found: Any = find_id(text)
        assert not (found and known & {found.tenant_id, found.key}), (text, document)
        assert not any(str(key) in text for key in known), (text, document)


@pytest.mark.parametrize("role", CallerRole)
@bounded(30)
@given(made_up=QUERIES)
@example(made_up=EVERYTHING)
@example(made_up=NAMED)
def test_no_query_finds_a_fault_or_something_of_others(
    target: Target, role: CallerRole, made_up: str
) -> None:
    shoot(target, role, made_up)


@pytest.mark.parametrize("role", CallerRole)
@bounded(30)
@given(made_up=MUTATIONS)
def test_no_mutation_finds_a_fault_or_something_of_others(
    target: Target, role: CallerRole, made_up: str
) -> None:
    shoot(target, role, made_up)


@pytest.mark.parametrize("role", CallerRole)
@bounded(15)
@given(made_up=SUBSCRIPTIONS)
def test_no_subscription_finds_a_fault_or_something_of_others(
    target: Target, role: CallerRole, made_up: str
) -> None:
    """All runs here have ended, and with them what is said of them."""
    document = filled(made_up, target.rows)
    response = target.ask(role, document, accept="text/event-stream")
    assert response.status_code in EXPECTED, (response.status_code, document)
    assert "INTERNAL_SERVER_ERROR" not in response.text, (response.text, document)
    if role not in PRODUCT_SIDE:
        assert FOREIGN not in response.text, document
    if role not in SEES_ALL:
        assert HIDDEN not in response.text, document


def test_something_is_found_at_all(target: Target) -> None:
    """Or the tests above would say nothing."""
    target.begin_anew()
    for role in CallerRole:
        answer = target.ask(role, '{ tenant(slug: "alpha") { id slug } }').json()
        assert answer["data"]["tenant"]["slug"] == "alpha"
    answer = target.ask(CallerRole.OPERATOR, '{ tenant(slug: "beta") { id name } }').json()
    found = find_id(answer["data"]["tenant"]["id"])
    assert found
    assert found.tenant_id == UUID(str(target.rows.foreign.tenant_id))
    run = target.rows.seen.id("R")
    document = f'subscription {{ syncRunProgress(id: "{run}") {{ id }} }}'
    told = target.ask(CallerRole.OPERATOR, document, accept="text/event-stream").text
    assert f'"data":{{"syncRunProgress":{{"id":"{run}"}}}}' in told
    assert told.endswith("event: complete\ndata: {}\n\n")
    assert answer["data"]["tenant"]["name"] == f"Of {FOREIGN}"
