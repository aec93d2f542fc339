"""Who somebody is, as each of the fakes says it, and what the fakes publish."""

from typing import Any

import pytest
from joserfc.errors import JoseError

from tests.fakes.identity_microsoft import CONSUMERS, MicrosoftPerson
from tests.fakes_identity.standing import (
    AUTHORIZE,
    JWKS,
    MIA_AT_MICROSOFT,
    TID,
    TOKEN,
    Standing,
    parts_of,
)

pytestmark = pytest.mark.anyio


async def test_clever_says_who_somebody_is(clever_at: Standing) -> None:
    tokens = await clever_at.signed_in()

    async def get(path: str) -> Any:
        return (await clever_at.get(path, tokens["access_token"])).json()

    me = await get("/v3.0/me")
    assert me["type"] == "user"
    assert me["data"] == {
        "id": "c" * 24,
        "district": "d" * 24,
        "type": "user",
        "authorized_by": "district",
    }
    assert (await get("/me"))["data"]["id"] == "a" * 24
    assert list((await get(f"/v3.0/users/{'c' * 24}"))["data"]["roles"]) == ["student"]
    assert (await get(f"/v3.0/users/{'b' * 24}"))["error"] == "not_found"
    known = clever_at.fake.application.client_id
    assert (await get("/oauth/tokeninfo"))["client_id"] == known
    claims = await clever_at.verified(tokens["id_token"])
    assert (claims["sub"], claims["user_id"]) == ("c" * 24, "a" * 24)
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (clever_at.url, known, "n-1")


async def test_clever_gives_an_id_token_only_where_that_is_enabled(
    clever_at: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clever_at.fake, "is_oidc", False)
    assert "id_token" not in await clever_at.signed_in()


async def test_classlink_says_who_somebody_is(classlink_at: Standing) -> None:
    tokens = await classlink_at.signed_in()

    response = await classlink_at.get("/v2/my/info", tokens["access_token"])

    info = response.json()
    ids = {name: info[name] for name in ("UserId", "TenantId", "SourcedId", "OrgId")}
    assert ids == {"UserId": 4711, "TenantId": 2284, "SourcedId": "u-1", "OrgId": ""}
    claims = await classlink_at.verified(tokens["id_token"])
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("4711", 86400)


async def test_classlink_gives_an_id_token_only_for_its_scope(classlink_at: Standing) -> None:
    assert "id_token" not in await classlink_at.signed_in(scope="profile")


async def test_google_says_who_somebody_is(google_at: Standing) -> None:
    tokens = await google_at.signed_in()
    claims = await google_at.verified(tokens["id_token"])
    known = google_at.fake.application.client_id

    names = ("iss", "aud", "azp", "sub", "hd", "email", "email_verified", "nonce")
    assert [claims[name] for name in names] == [
        *(google_at.url, known, known, "1067", "school.example"),
        *("mia@school.example", True, "n-1"),
    ]


async def test_microsoft_says_who_somebody_is(microsoft_at: Standing) -> None:
    tokens = await microsoft_at.signed_in()
    claims = await microsoft_at.verified(tokens["id_token"])

    names = ("iss", "tid", "oid", "preferred_username", "email", "ver", "nonce")
    assert [claims[name] for name in names] == [
        *(f"{microsoft_at.url}/{TID}/v2.0", TID, MIA_AT_MICROSOFT.subject),
        *("mia@school.example", "root@elsewhere.example", "2.0", "n-1"),
    ]
    less = await microsoft_at.signed_in(scope="openid")
    assert not {"oid", "preferred_username", "email"} & set(parts_of(less["id_token"])[1])


@pytest.mark.parametrize("path", ["/v3.0/me", "/oauth/tokeninfo", "/me", "/v3.0/users/x"])
async def test_clever_tells_nobody_without_a_token(clever_at: Standing, path: str) -> None:
    assert (await clever_at.client.get(clever_at.url + path)).status_code == 401


async def test_classlink_tells_nobody_without_a_token(classlink_at: Standing) -> None:
    response = await classlink_at.get("/v2/my/info", "guessed")
    assert response.status_code == 401


@pytest.mark.parametrize("provider", ["clever", "classlink", "google"], indirect=True)
async def test_discovery_says_what_is_where(provider: Standing) -> None:
    found = (await provider.client.get(f"{provider.url}/.well-known/openid-configuration")).json()
    assert found["issuer"] == provider.url
    assert found["authorization_endpoint"] == provider.at(AUTHORIZE)
    assert found["token_endpoint"] == provider.at(TOKEN)
    assert found["jwks_uri"] == provider.at(JWKS)


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [("organizations", "{tenantid}"), ("common", "{tenantid}"), (TID, TID)],
)
async def test_microsoft_has_an_issuer_for_each_tenant(
    microsoft_at: Standing, tenant: str, issuer: str
) -> None:
    base = f"{microsoft_at.url}/{tenant}"
    found = (await microsoft_at.client.get(f"{base}/v2.0/.well-known/openid-configuration")).json()
    assert found["issuer"] == f"{microsoft_at.url}/{issuer}/v2.0"
    [key] = (await microsoft_at.client.get(found["jwks_uri"])).json()["keys"]
    assert key["issuer"] == found["issuer"]


async def test_microsoft_knows_no_other_tenants(microsoft_at: Standing) -> None:
    url = f"{microsoft_at.url}/elsewhere/v2.0/.well-known/openid-configuration"
    assert (await microsoft_at.client.get(url)).json()["error"] == "invalid_tenant"


async def test_a_personal_account_is_of_no_organization(microsoft_at: Standing) -> None:
    stranger = MicrosoftPerson(name="Eve", subject="e", key=CONSUMERS)
    microsoft_at.fake.signed_in_as(stranger)
    page = await microsoft_at.browser.get(microsoft_at.asking())
    assert "Eve has no account in organizations." in page.words


async def test_a_key_changes_and_the_former_one_may_go(provider: Standing) -> None:
    former = (await provider.signed_in())["id_token"]
    provider.fake.keys.rotate()
    newer = (await provider.signed_in())["id_token"]

    assert parts_of(former)[0]["kid"] != parts_of(newer)[0]["kid"]
    for token in (former, newer):
        await provider.verified(token)
    provider.fake.keys.rotate(keeps_former=False)
    with pytest.raises((JoseError, ValueError)):
        await provider.verified(newer)
