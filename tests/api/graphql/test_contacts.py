"""Contacts: who receives mails about a tenant's syncs."""

from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
from tests.api.graphql.client import World
from tests.api.graphql.seed import insert

pytestmark = pytest.mark.anyio

SET = """mutation ($input: ContactsSetInput!) { contactsSet(input: $input) {
    contacts { name email summaryMail delivery } userErrors { field code message } } }"""
SHOW = '{ tenant(slug: "alpha") { contacts { name email summaryMail delivery } } }'


def given(world: World, *contacts: dict[str, Any]) -> dict[str, Any]:
    return {"tenantId": encode_id("T", world.alpha_id, world.alpha_id), "contacts": list(contacts)}


async def test_contacts_take_the_place_of_the_former_ones(
    world: World, superuser: asyncpg.Connection
) -> None:
    await insert(
        superuser,
        "contacts",
        tenant_id=world.beta_id,
        name="Other",
        email="other@example.org",
        summary_mail="ALWAYS",
    )
    assert (await world.alpha.run(SHOW))["tenant"]["contacts"] == []
    both = [
        {"name": " Ann Data ", "email": " Ann@example.org"},
        {
            "name": "Ben",
            "email": "b.e+n@it.example.org",
            "summaryMail": "ONLY_PROBLEMS",
            "delivery": "DAILY",
        },
    ]
    expected = [
        {
            "name": "Ann Data",
            "email": "Ann@example.org",
            "summaryMail": "ALWAYS",
            "delivery": "EACH_RUN",
        },
        {
            "name": "Ben",
            "email": "b.e+n@it.example.org",
            "summaryMail": "ONLY_PROBLEMS",
            "delivery": "DAILY",
        },
    ]
    for contacts, wanted in (
        (both, expected),
        (both[1:], expected[1:]),
        (both, expected),
        ([], []),
    ):
        answer = (await world.alpha.run(SET, input=given(world, *contacts)))["contactsSet"]
        assert answer == {"contacts": wanted, "userErrors": []}
        assert (await world.alpha.run(SHOW))["tenant"]["contacts"] == wanted
    acts = await superuser.fetch("SELECT action, target, details FROM audit_log ORDER BY id")
    assert [tuple(act) for act in acts] == [
        ("contactsSet", None, f'{{"contacts": {count}}}') for count in (2, 1, 2, 0)
    ]
    assert await superuser.fetchval("SELECT email FROM contacts") == "other@example.org"


async def test_what_is_no_contact_is_refused_and_nothing_is_changed(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    good = {"name": "Ann", "email": "ann@example.org"}
    await world.alpha.run(SET, input=given(world, good))
    many = [{"name": "N", "email": f"n{number}@example.org"} for number in range(51)]
    cases = [
        ([good, {"name": "Two", "email": "ANN@EXAMPLE.ORG"}], ["contacts", "1", "email"]),
        ([{"name": "  ", "email": "x@example.org"}], ["contacts", "0", "name"]),
        (many, ["contacts"]),
        *(
            ([{"name": "X", "email": email}], ["contacts", "0", "email"])
            for email in (
                "",
                "x",
                "x@",
                "@example.org",
                "x@localhost",
                "x y@example.org",
                "x@example.org\nBcc: y@example.org",
                "X <x@example.org>",
                "x@exa_mple.org",
                "x..y@example.org",
                "x@example.org.",
                "é@example.org",
                "x@" + "a" * 250 + ".org",
            )
        ),
    ]
    for contacts, field in cases:
        with subtests.test(contacts=contacts[:2]):
            answer = (await world.alpha.run(SET, input=given(world, *contacts)))["contactsSet"]
            assert answer["contacts"] == []
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", *field], "INVALID")
    assert await superuser.fetchval("SELECT array_agg(email) FROM contacts") == ["ann@example.org"]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 1
