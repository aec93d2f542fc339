"""Misdeeds: each does what it says, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.fakes.identity import ANOTHER_APPLICATION, Misdeed
from tests.fakes.identity_microsoft import CONSUMERS, HOME_OF_GUESTS
from tests.fakes_identity.standing import NOW, TID, Standing, parts_of

pytestmark = pytest.mark.anyio


async def test_a_fake_does_only_the_misdeeds_that_its_provider_could(provider: Standing) -> None:
    impossible = set(Misdeed) - provider.fake.misdeeds
    assert impossible
    for misdeed in impossible:
        with pytest.raises(ValueError, match=f"{provider.name} cannot"):
            provider.fake.misbehave(misdeed)


@pytest.mark.parametrize(
    ("misdeed", "changes"),
    [
        (Misdeed.STATE_DROPPED, {"state": None}),
        (Misdeed.STATE_CHANGED, {"state": "1-s"}),
        (Misdeed.ANSWER_OF_ANOTHER, {"iss": "https://identity.example"}),
    ],
)
async def test_what_comes_back_is_changed(
    provider: Standing, misdeed: Misdeed, changes: dict[str, str | None]
) -> None:
    good = await provider.answer()
    provider.fake.misbehave(misdeed)
    bad = await provider.answer()
    provider.fake.behave()
    again = await provider.answer()

    expected = {**good, **changes, "code": bad["code"]}
    assert bad == {name: value for name, value in expected.items() if value is not None}
    assert again.keys() == good.keys()


async def test_somebody_says_no(provider: Standing) -> None:
    provider.fake.misbehave(Misdeed.ACCESS_DENIED)
    answer = await provider.answer()
    assert (answer["error"], answer["state"]) == ("access_denied", "s-1")
    assert provider.fake.codes == []


@pytest.mark.parametrize(
    ("misdeed", "name", "value"),
    [
        (Misdeed.OTHER_AUDIENCE, "aud", ANOTHER_APPLICATION),
        (Misdeed.OTHER_PARTY, "azp", ANOTHER_APPLICATION),
        (Misdeed.OTHER_NONCE, "nonce", "nonce-of-another-sign-in"),
        (Misdeed.NO_NONCE, "nonce", None),
    ],
)
async def test_a_claim_is_changed_and_the_signature_is_right(
    provider: Standing,
    misdeed: Misdeed,
    name: str,
    value: str | None,
) -> None:
    provider.fake.misbehave(misdeed)
    token = (await provider.signed_in())["id_token"]
    assert (await provider.verified(token)).get(name) == value


async def test_the_issuer_is_another(provider: Standing) -> None:
    provider.fake.misbehave(Misdeed.OTHER_ISSUER)
    token = (await provider.signed_in())["id_token"]
    claims = await provider.verified(token)
    if provider.name == "microsoft":
        assert claims["iss"] == f"{provider.url}/{HOME_OF_GUESTS}/v2.0"
        assert claims["tid"] == TID
    else:
        assert claims["iss"] == "https://identity.example"


async def times(provider: Standing) -> tuple[int, int]:
    """When an id_token was made, and when it ends: seconds from now."""
    claims = parts_of((await provider.signed_in())["id_token"])[1]
    return claims["iat"] - NOW, claims["exp"] - NOW


@pytest.mark.parametrize(("amount", "seconds"), [(None, 3600), (30, 30)])
async def test_the_times_are_out_by_so_many_seconds(
    provider: Standing, monkeypatch: pytest.MonkeyPatch, amount: float | None, seconds: int
) -> None:
    monkeypatch.setattr(provider.fake, "clock", lambda: float(NOW))
    issued_in, ends_in = await times(provider)
    assert issued_in == 0

    provider.fake.misbehave(Misdeed.EXPIRED, amount=amount)
    assert await times(provider) == (-seconds - ends_in, -seconds)
    provider.fake.misbehave(Misdeed.ISSUED_IN_FUTURE, amount=amount)
    assert await times(provider) == (seconds, seconds + ends_in)


async def test_there_is_no_id_token(provider: Standing) -> None:
    provider.fake.misbehave(Misdeed.NO_ID_TOKEN)
    assert set(await provider.signed_in()) == {"access_token", "token_type"}


HEADERS: Final[Mapping[Misdeed, Callable[[Standing], dict[str, Any]]]] = {
    Misdeed.OTHER_KEY: lambda at: {"alg": "RS256", "kid": f"{at.name}-1"},
    Misdeed.UNKNOWN_KEY_NAME: lambda _: {"alg": "RS256", "kid": "nobody-knows"},
    Misdeed.ALGORITHM_NONE: lambda _: {"alg": "none"},
    Misdeed.SIGNED_WITH_PUBLIC_KEY: lambda at: {"alg": "HS256", "kid": f"{at.name}-1"},
    Misdeed.KEY_BY_ADDRESS: lambda at: {
        "jku": f"{at.url}/elsewhere",
        "x5u": f"{at.url}/elsewhere",
    },
    Misdeed.KEY_ENCLOSED: lambda at: {"jwk": at.fake.keys.forged.as_dict(private=False)},
}


@pytest.mark.parametrize("misdeed", HEADERS)
async def test_a_signature_is_none_that_a_published_key_has_made(
    provider: Standing, misdeed: Misdeed
) -> None:
    provider.fake.misbehave(misdeed)
    token = (await provider.signed_in())["id_token"]
    header, claims = parts_of(token)

    assert {**header, **HEADERS[misdeed](provider)} == header
    assert claims["nonce"] == "n-1"
    with pytest.raises((JoseError, ValueError)):
        await provider.verified(token)


async def test_whoever_fetches_the_forgers_key_finds_it_to_fit(google_at: Standing) -> None:
    google_at.fake.misbehave(Misdeed.KEY_BY_ADDRESS)
    token = (await google_at.signed_in())["id_token"]

    address = parts_of(token)[0]["jku"]
    keys = KeySet.import_key_set((await google_at.client.get(address)).json())

    assert jwt.decode(token, keys, algorithms=["RS256"]).claims["sub"] == "1067"
    assert len(google_at.fake.asked("/elsewhere")) == 1


@pytest.mark.parametrize(
    ("misdeed", "status", "kind"),
    [
        (Misdeed.TOKEN_FAILS, 500, "application/json"),
        (Misdeed.TOKEN_HTML, 200, "text/html; charset=utf-8"),
    ],
)
async def test_the_token_endpoint_answers_something_else(
    provider: Standing, misdeed: Misdeed, status: int, kind: str
) -> None:
    for amount, expected in ((None, status), (502, 502)):
        provider.fake.misbehave(misdeed, amount=amount)
        response = await provider.exchange(await provider.code())
        assert (response.status_code, response.headers["content-type"]) == (expected, kind)
        assert "access_token" not in response.text


async def test_the_token_endpoint_takes_its_time(provider: Standing) -> None:
    provider.fake.misbehave(Misdeed.TOKEN_SLOW, amount=0.1)
    response = await provider.exchange(await provider.code())
    assert response.elapsed.total_seconds() >= 0.1
    assert "access_token" in response.json()


async def test_the_token_endpoint_goes_on_and_on(provider: Standing) -> None:
    provider.fake.misbehave(Misdeed.TOKEN_HUGE, amount=300_000)
    response = await provider.exchange(await provider.code())
    assert response.status_code == 200
    assert len(response.content) > 300_000


async def test_the_token_endpoint_sends_secrets_elsewhere(provider: Standing) -> None:
    code = await provider.code()
    provider.fake.misbehave(Misdeed.TOKEN_REDIRECTS)
    response = await provider.exchange(code)

    assert response.status_code == 307
    assert response.headers["location"] == f"{provider.url}/elsewhere"
    assert provider.fake.asked("/elsewhere") == []


async def test_clever_misdeeds_of_the_person(clever_at: Standing) -> None:
    tokens = await clever_at.signed_in()
    clever_at.fake.misbehave(Misdeed.TOKEN_OF_ANOTHER)
    told = await clever_at.get("/oauth/tokeninfo", tokens["access_token"])
    clever_at.fake.misbehave(Misdeed.AUTHORIZED_BY_TEACHER)
    me = await clever_at.get("/v3.0/me", tokens["access_token"])

    assert told.json()["client_id"] == ANOTHER_APPLICATION
    assert me.json()["data"]["authorized_by"] == "teacher"
    assert "id_token" not in await clever_at.signed_in()


async def test_classlink_knows_no_sourced_id(classlink_at: Standing) -> None:
    classlink_at.fake.misbehave(Misdeed.NO_SOURCED_ID)
    tokens = await classlink_at.signed_in()
    response = await classlink_at.get("/v2/my/info", tokens["access_token"])
    assert (response.json()["SourcedId"], response.json()["UserId"]) == ("", 4711)


@pytest.mark.parametrize(
    ("misdeed", "name", "value"),
    [
        (Misdeed.NO_HOSTED_DOMAIN, "hd", None),
        (Misdeed.OTHER_HOSTED_DOMAIN, "hd", "elsewhere.example"),
        (Misdeed.ADDRESS_UNVERIFIED, "email_verified", False),
    ],
)
async def test_google_misdeeds_of_the_person(
    google_at: Standing,
    misdeed: Misdeed,
    name: str,
    value: object,
) -> None:
    google_at.fake.misbehave(misdeed)
    claims = parts_of((await google_at.signed_in())["id_token"])[1]
    assert (claims.get(name), claims["email"]) == (value, "mia@school.example")


async def test_microsoft_misdeeds_of_the_person(microsoft_at: Standing) -> None:
    microsoft_at.fake.misbehave(Misdeed.PERSONAL_ACCOUNT)
    personal = parts_of((await microsoft_at.signed_in())["id_token"])[1]
    microsoft_at.fake.misbehave(Misdeed.GUEST)
    guest = parts_of((await microsoft_at.signed_in())["id_token"])[1]

    assert personal["tid"] == CONSUMERS
    assert personal["iss"] == f"{microsoft_at.url}/{CONSUMERS}/v2.0"
    assert guest["tid"] == TID
    assert guest["idp"] == f"https://sts.windows.net/{HOME_OF_GUESTS}/"
