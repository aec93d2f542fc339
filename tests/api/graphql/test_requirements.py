"""Requirements: what a tenant demands of its students, and of which domains addresses are."""

from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration

pytestmark = pytest.mark.anyio

SET = """mutation ($input: RequirementsSetInput!) { requirementsSet(input: $input) {
    requirements { name isEnabled } emailDomains userErrors { field code message } } }"""
SHOW = """{ tenant(slug: "alpha") { integration {
    requirements { name isEnabled } emailDomains } } }"""


def given(world: World, domains: list[str] | None = None, **requirements: bool) -> dict[str, Any]:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    wanted = [{"name": name, "isEnabled": value} for name, value in requirements.items()]
    return {"tenantId": tenant_id, "requirements": wanted, "emailDomains": domains}


def enabled(answer: dict[str, Any]) -> set[str]:
    return {each["name"] for each in answer["requirements"] if each["isEnabled"]}


async def test_what_is_not_named_stays_as_it_is(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(
        superuser, world.alpha_id, with_student_email=True, cursors={"USER": "2026"}
    )
    answer: dict[str, Any] = {}
    for wanted, expected in (
        (given(world), set()),
        (given(world, GRADE_REQUIRED=True), {"GRADE_REQUIRED"}),
        (given(world, UNIQUE_EMAIL_REQUIRED=True), {"GRADE_REQUIRED", "UNIQUE_EMAIL_REQUIRED"}),
        (
            given(world, ["Example.org", "@school.test", "example.org"], GRADE_REQUIRED=False),
            {"UNIQUE_EMAIL_REQUIRED"},
        ),
    ):
        answer = (await world.alpha.run(SET, input=wanted))["requirementsSet"]
        assert answer["userErrors"] == []
        assert enabled(answer) == expected
        shown = (await world.alpha.run(SHOW))["tenant"]["integration"]
        assert [each["name"] for each in shown["requirements"]] == [
            "GRADE_REQUIRED",
            "UNIQUE_EMAIL_REQUIRED",
            "UNIQUE_NUMBER_REQUIRED",
        ]
        assert enabled(shown) == expected
        assert shown["emailDomains"] == answer["emailDomains"]
    assert answer["emailDomains"] == ["example.org", "school.test"]
    assert await superuser.fetchval("SELECT cursors FROM integrations") == "{}"
    act = await superuser.fetchrow("SELECT * FROM audit_log ORDER BY id DESC")
    assert (act["action"], act["target"]) == ("requirementsSet", str(integration_id))


async def test_what_nobody_could_fulfil_or_mean_is_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    await add_integration(superuser, world.alpha_id)
    twice = given(world, GRADE_REQUIRED=True)
    twice["requirements"] *= 2
    for wanted, field, code in (
        (given(world, UNIQUE_EMAIL_REQUIRED=True), "requirements", "CONFLICT"),
        (twice, "requirements", "INVALID"),
        (given(world, ["nowhere"], GRADE_REQUIRED=True), "emailDomains", "INVALID"),
        (given(world, ["a@b.org"], GRADE_REQUIRED=True), "emailDomains", "INVALID"),
        (given(world, [f"d{n}.org" for n in range(51)]), "emailDomains", "INVALID"),
    ):
        with subtests.test(field=field, code=code):
            answer = (await world.alpha.run(SET, input=wanted))["requirementsSet"]
            assert (answer["requirements"], answer["emailDomains"]) == ([], [])
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", field], code)
    assert await superuser.fetchval("SELECT count(*) FROM requirements") == 0
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_another_tenants_requirements_are_not_there(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    answer = await world.beta.run(SET, input=given(world, GRADE_REQUIRED=True))
    assert [error["code"] for error in answer["requirementsSet"]["userErrors"]] == ["NOT_FOUND"]
