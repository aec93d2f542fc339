"""Who somebody is by what a provider says: by its ids alone, and never by an address."""

from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from tests.api.graphql.seed import add_tenant, add_user, insert
from tests.api.signing_in.provider import (
    CLEVER_ID,
    DISTRICT,
    DOMAIN,
    METHODS,
    SOURCED_ID,
    TID,
    Provider,
)

pytestmark = pytest.mark.anyio

ME = "/clever/v3.0/me"
INFO = "/classlink/v2/my/info"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
OTHER_TID = "99999999-2222-3333-4444-555555555555"

Browser = httpx2.AsyncClient


async def signed_in(
    browser: Browser, provider: Provider, method: str, tenant: str | None = "springfield"
) -> str:
    """Yes, or what the page of the refusal says."""
    query = f"?tenant={tenant}" if tenant else "?code=portal"
    leaving = await browser.get(f"/sign-in/{method}{query}")
    answer = await browser.get(provider.grant(leaving.headers["location"]))
    if answer.status_code == 303:
        browser.cookies.clear()
        return "yes"
    assert answer.status_code == 403, answer.text
    assert "__Host-homerow" not in browser.cookies
    return str(answer.text)


def me(**data: Any) -> dict[str, Any]:
    usual = {"id": CLEVER_ID, "district": DISTRICT, "authorized_by": "district"}
    return {"data": usual | data}


NOT_LISTED = "You are not on your school"
NOT_KNOWN = "is not known here"
OTHER_TENANT = "not of this district or school"
NO_KEY = "nothing by which your school knows you"
LIBRARY = "comes from Clever Library"
OTHER_ACCOUNT = "Somebody else has signed in under this name"

CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("clever", ME, me(), "yes", "yes"),
    ("clever", ME, me(id="another"), NOT_LISTED, NOT_LISTED),
    ("clever", ME, me(district="another"), OTHER_TENANT, NOT_KNOWN),
    ("clever", ME, me(district=None), NO_KEY, NO_KEY),
    ("clever", ME, me(authorized_by="teacher"), LIBRARY, LIBRARY),
    ("clever", ME, me(authorized_by=None), LIBRARY, LIBRARY),
    ("classlink", INFO, {}, "yes", "yes"),
    ("classlink", INFO, {"TenantId": "4711"}, "yes", "yes"),
    ("classlink", INFO, {"TenantId": 4712}, OTHER_TENANT, NOT_KNOWN),
    ("classlink", INFO, {"SourcedId": "another"}, NOT_LISTED, NOT_LISTED),
    ("classlink", INFO, {"SourcedId": SOURCED_ID.upper()}, NOT_LISTED, NOT_LISTED),
    ("classlink", INFO, {"SourcedId": ""}, NO_KEY, NO_KEY),
    ("classlink", INFO, {"SourcedId": "  "}, NO_KEY, NO_KEY),
    ("classlink", INFO, {"SourcedId": None}, NO_KEY, NO_KEY),
    ("google", "", {}, "yes", "yes"),
    ("google", "", {"hd": None}, NO_KEY, NO_KEY),
    ("google", "", {"hd": "evil.example"}, OTHER_TENANT, NOT_KNOWN),
    ("google", "", {"email": f"other@{DOMAIN}"}, NOT_LISTED, NOT_LISTED),
    ("google", "", {"email": "m@else.example"}, NOT_LISTED, NOT_LISTED),
    ("google", "", {"email_verified": False}, NOT_LISTED, NOT_LISTED),
    ("google", "", {"email_verified": "true"}, NOT_LISTED, NOT_LISTED),
    ("google", "", {"email": None}, NOT_LISTED, NOT_LISTED),
    ("microsoft", "", {}, "yes", "yes"),
    ("microsoft", "", {"preferred_username": "m@else.example"}, NOT_LISTED, NOT_LISTED),
    ("microsoft", "", {"preferred_username": None}, NOT_LISTED, NOT_LISTED),
]


@pytest.mark.usefixtures("mia", "mia_at_classlink")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[2]}"[:60])
async def test_who_gets_in(
    browser: Browser, provider: Provider, case: tuple[str, str, dict[str, Any], str, str]
) -> None:
    method, path, said, from_page, from_portal = case
    if path:
        provider.says[path] = said
    else:
        provider.claims.update(said)

    assert from_page in await signed_in(browser, provider, method)
    assert from_portal in await signed_in(browser, provider, method, None)


@pytest.mark.usefixtures("mia")
@pytest.mark.parametrize(("tid", "words"), [(OTHER_TID, OTHER_TENANT), (PERSONAL, OTHER_TENANT)])
async def test_an_account_of_another_microsoft_tenant_is_refused(
    browser: Browser, provider: Provider, tid: str, words: str
) -> None:
    provider.claims.update(tid=tid, iss=f"{provider.url}/microsoft/{tid}/v2.0")

    assert words in await signed_in(browser, provider, "microsoft")


@pytest.mark.usefixtures("mia")
async def test_an_issuer_of_another_tenant_than_the_tokens_is_refused(
    browser: Browser, provider: Provider
) -> None:
    provider.claims.update(tid=TID, iss=f"{provider.url}/microsoft/{OTHER_TID}/v2.0")
    leaving = await browser.get("/sign-in/microsoft?tenant=springfield")

    answer = await browser.get(provider.grant(leaving.headers["location"]))

    assert answer.status_code == 502


@pytest.mark.usefixtures("mia")
@pytest.mark.parametrize(
    ("method", "claim"), [("google", "sub"), ("microsoft", "oid")], ids=["google", "microsoft"]
)
async def test_the_first_account_that_fits_is_bound(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, method: str, claim: str
) -> None:
    assert await signed_in(browser, provider, method) == "yes"
    bound = await superuser.fetchval("SELECT subject FROM identities")
    assert bound == {"google": "mia-at-google", "microsoft": f"{TID}/mia-at-microsoft"}[method]

    # Somebody else of the same address, later.
    provider.claims[claim] = "somebody-else"
    assert OTHER_ACCOUNT in await signed_in(browser, provider, method)
    # Her own account keeps being hers, whatever it is called by now.
    name = "email" if method == "google" else "preferred_username"
    provider.claims.update({claim: f"mia-at-{method}", name: f"renamed@{DOMAIN}"})
    assert await signed_in(browser, provider, method) == "yes"


@pytest.mark.usefixtures("mia", "mia_at_classlink")
@pytest.mark.parametrize("method", METHODS)
async def test_another_tenants_page_lets_nobody_in_and_makes_nobody(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, method: str
) -> None:
    shelbyville = await add_tenant(superuser, "shelbyville")
    await insert(
        superuser,
        "sign_in_methods",
        tenant_id=shelbyville,
        method=method.upper(),
        is_enabled=True,
        keys=["elsewhere"],
        compares="ADDRESS" if method in {"google", "microsoft"} else None,
    )
    people = await superuser.fetchval("SELECT count(*) FROM users")

    assert OTHER_TENANT in await signed_in(browser, provider, method, "shelbyville")
    assert await superuser.fetchval("SELECT count(*) FROM users") == people


async def test_an_address_of_the_roster_or_of_another_tenant_opens_nothing(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    address = f"mia@{DOMAIN}"
    await add_user(superuser, springfield, username="mia", email=address)
    shelbyville = await add_tenant(superuser, "shelbyville")
    await add_user(superuser, shelbyville, username=address, email=address)

    for method in ("google", "microsoft"):
        assert NOT_LISTED in await signed_in(browser, provider, method)
        assert NOT_LISTED in await signed_in(browser, provider, method, None)


async def test_a_provider_vouches_for_nobody_whom_the_roster_does_not_have(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await insert(
        superuser,
        "accounts",
        tenant_id=springfield,
        name="Ann",
        email=f"mia@{DOMAIN}",
        created_by="somebody",
    )

    for method in METHODS:
        assert NOT_LISTED in await signed_in(browser, provider, method)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_enabled": False}, "switched off by your school"),
        ({"is_eligible": False}, "do not take part"),
        ({"roles": []}, "has not said what you do there"),
    ],
    ids=str,
)
async def test_who_is_known_may_still_be_refused(
    browser: Browser,
    provider: Provider,
    superuser: asyncpg.Connection,
    mia: UUID,
    changes: dict[str, Any],
    words: str,
) -> None:
    for name, value in changes.items():
        await superuser.execute(f"UPDATE users SET {name} = $2 WHERE id = $1", mia, value)  # noqa: S608

    assert words in await signed_in(browser, provider, "clever")
    attempt = await superuser.fetchrow("SELECT user_id, outcome FROM sign_in_attempts")
    assert tuple(attempt) == (mia, "REFUSED")
