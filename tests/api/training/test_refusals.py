"""Who may read for training, and what is said to whoever asks wrongly."""

from typing import Any

import httpx2
import pytest

from api import training
from api.app import create_app
from api.graphql.errors import MASK
from api.graphql.node import encode_id
from api.signing_in.site import SignInSettings
from domain.clock import new_id
from domain.people.callers import ALL_SCOPES, Scope
from domain.resources import Resources
from tests.api.graphql.client import connected
from tests.api.graphql.seed import add_tenant, add_token
from tests.api.training.trainer import PATH, Trainer

pytestmark = pytest.mark.anyio


WRONG = {
    "limit=0": "limit is a number from 1 to 100.",
    "limit=101": "limit is a number from 1 to 100.",
    "limit=-1": "limit is a number from 1 to 100.",
    "limit=x": "limit is a number from 1 to 100.",
    "limit=": "limit is a number from 1 to 100.",
    "limit=1&limit=2": "limit is given once.",
    "after=x": "'x' is not a cursor of this tenant: take it from `next`.",
    "after=": "'' is not a cursor of this tenant: take it from `next`.",
    "group=x": "'x' is not the id of a group of this tenant.",
    "ids=x": "'x' is not the id of a user of this tenant.",
    "ids=": "'' is not the id of a user of this tenant.",
    "colour=red": "There is no parameter 'colour'.",
}


async def test_a_parameter_that_is_wrong_is_refused_in_words(
    trainer: Trainer, subtests: pytest.Subtests
) -> None:
    for query, detail in WRONG.items():
        with subtests.test(query=query):
            await expect(await trainer.http.get(f"{PATH}?{query}"), 400, "BAD_USER_INPUT", detail)


async def expect(response: httpx2.Response, status: int, code: str, detail: str) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.pop("requestId") == response.headers["x-request-id"]
    assert (response.status_code, problem) == (
        status, {"status": status, "code": code, "detail": detail},
    )  # fmt: skip
    assert "etag" not in response.headers


async def test_ids_of_other_kinds_and_tenants_are_refused(trainer: Trainer) -> None:
    beta = await add_tenant(trainer.story.see, "beta")
    foreign = {code: encode_id(code, beta, new_id()) for code in "UG+"}
    own = {code: encode_id(code, trainer.story.tenant_id, new_id()) for code in "UG"}
    for query in (
        f"ids={foreign['U']}", f"ids={own['G']}", f"group={foreign['G']}", f"group={own['U']}",
        f"after={foreign['+']}", f"after={own['U']}",
        "ids=" + ",".join(encode_id("U", trainer.story.tenant_id, new_id()) for _ in range(101)),
    ):  # fmt: skip
        assert (await trainer.http.get(f"{PATH}?{query}")).status_code == 400
    assert (await trainer.http.get(f"{PATH}/{own['U']}?limit=1")).status_code == 400


async def test_what_is_not_there_and_what_is_another_tenants_are_one(trainer: Trainer) -> None:
    beta = await add_tenant(trainer.story.see, "beta")
    for slug in ("beta", "gamma", "Alpha"):
        for path in (f"/training/{slug}/users", f"/training/{slug}/users/{trainer.ids['ann']}"):
            answer = await trainer.http.get(path)
            await expect(answer, 404, "NOT_FOUND", f"There is no tenant '{slug}'.")
    tenant_id = trainer.story.tenant_id
    for absent in (
        encode_id("U", tenant_id, new_id()),
        encode_id("U", beta, trainer.keys["ann"]),
        encode_id("U", tenant_id, beta),
        trainer.ids["g1"],
        "x",
    ):
        answer = await trainer.http.get(f"{PATH}/{absent}")
        await expect(answer, 404, "NOT_FOUND", f"There is no user '{absent}'.")


async def test_an_operators_token_reads_every_tenant_by_its_slug(trainer: Trainer) -> None:
    beta = await add_tenant(trainer.story.see, "beta")
    answer = await trainer.operator.http.get(PATH)
    assert answer.json() == await trainer.get()
    answer = await trainer.operator.http.get("/training/beta/users")
    assert answer.json() == {"users": [], "next": None}
    answer = await trainer.operator.http.get(f"{PATH}/{encode_id('U', beta, new_id())}")
    assert answer.status_code == 404


async def test_reading_needs_the_scope_for_it_and_no_other(
    trainer: Trainer, resources: Resources
) -> None:
    await add_token(
        trainer.story.see,
        "of-others",
        trainer.story.tenant_id,
        scopes=sorted(ALL_SCOPES - {Scope.TRAINING_READ}),
    )
    app = create_app(resources, SignInSettings())
    for secret, status, code in (
        (None, 401, "UNAUTHENTICATED"),
        ("nobody", 401, "UNAUTHENTICATED"),
        ("of-others", 403, "FORBIDDEN"),
    ):
        async with connected(app, secret) as client:
            for path in (PATH, f"{PATH}/{trainer.ids['ann']}", "/training/gamma/users"):
                answer = await client.http.get(path)
                assert (answer.status_code, answer.json()["code"]) == (status, code)
                assert answer.headers.get("www-authenticate") == (
                    "Bearer" if status == 401 else None
                )


async def test_the_scope_for_reading_opens_nothing_else(trainer: Trainer) -> None:
    answer = await trainer.http.get("/tenants/alpha/validation-errors.csv")
    assert answer.status_code == 403
    asked = {"query": '{ tenant(slug: "alpha") { id } }'}
    [error] = (await trainer.http.post("/graphql", json=asked)).json()["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_what_goes_wrong_here_is_masked(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise RuntimeError("mia.lee")

    monkeypatch.setattr(training, "read_page", fail)
    answer = await trainer.http.get(PATH)
    await expect(answer, 500, "INTERNAL_SERVER_ERROR", MASK)


async def test_a_slug_that_no_text_can_be_is_no_tenant(trainer: Trainer) -> None:
    answer = await trainer.http.get("/training/%00/users")
    await expect(answer, 404, "NOT_FOUND", "There is no tenant '\\x00'.")
