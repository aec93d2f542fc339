"""Exchanging codes: once, in time, by whom they are for."""

import pytest

from tests.fakes_identity.standing import CALLBACK, NOW, SECOND_CALLBACK, TOKEN, VERIFIER, Standing

pytestmark = pytest.mark.anyio


async def test_a_code_is_exchanged_once(provider: Standing) -> None:
    code = await provider.code()
    first = await provider.exchange(code)
    second = await provider.exchange(code)

    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert provider.fake.exchanged() == [code, code]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "another"}, 401, "invalid_client"),
        ({"client_id": None, "client_secret": None}, 401, "invalid_client"),
        ({"redirect_uri": SECOND_CALLBACK}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"unheard_of": "1"}, 400, "invalid_request"),
    ],
)
async def test_an_exchange_that_is_wrong_is_refused(
    provider: Standing, changes: dict[str, str | None], status: int, error: str
) -> None:
    response = await provider.exchange(await provider.code(), **changes)

    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_a_code_is_not_guessed(provider: Standing) -> None:
    response = await provider.exchange("guessed")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("provider", "seconds"),
    [("clever", 60), ("classlink", 300), ("google", 600), ("microsoft", 600)],
    indirect=["provider"],
)
async def test_a_code_is_good_for_its_time(
    provider: Standing,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
) -> None:
    now = float(NOW)
    monkeypatch.setattr(provider.fake, "clock", lambda: now)
    codes = [await provider.code() for _ in range(2)]

    now += seconds
    assert (await provider.exchange(codes[0])).status_code == 200
    now += 1
    late = await provider.exchange(codes[1])
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("provider", ["google", "microsoft"], indirect=True)
@pytest.mark.parametrize("verifier", ["w" * 43, None])
async def test_the_verifier_has_to_be_that_of_the_challenge(
    provider: Standing,
    verifier: str | None,
) -> None:
    code = await provider.code()
    response = await provider.exchange(code, code_verifier=verifier)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("provider", ["google", "microsoft"], indirect=True)
async def test_a_code_that_somebody_else_has_got_does_not_fit(provider: Standing) -> None:
    code = provider.fake.issue_code(provider.mia, scope="openid")
    assert (await provider.exchange(code)).json()["error"] == "invalid_grant"


async def test_classlink_takes_a_short_exchange_and_no_heed_of_challenges(
    classlink_at: Standing,
) -> None:
    code = await classlink_at.code()
    response = await classlink_at.exchange(
        code, grant_type=None, redirect_uri=None, code_verifier="other"
    )
    assert response.status_code == 200
    assert response.json()["token_type"].istitle()


async def test_clever_takes_json_and_basic_authentication_alone(clever_at: Standing) -> None:
    known = clever_at.fake.application
    pair = (known.client_id, known.client_secret)
    fields = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
    url = clever_at.at(TOKEN)

    body = {**fields, "code": await clever_at.code()}
    assert (await clever_at.client.post(url, json=body, auth=pair)).json()["token_type"].islower()

    body = {**fields, "code": await clever_at.code()}
    in_form = {**body, "client_id": pair[0], "client_secret": pair[1]}
    assert (await clever_at.client.post(url, data=in_form)).status_code == 401
    assert (await clever_at.client.post(url, content=b"[1]", auth=pair)).status_code == 400
    assert (await clever_at.client.get(url, auth=pair)).status_code == 405


@pytest.mark.parametrize("provider", ["classlink", "google", "microsoft"], indirect=True)
async def test_the_others_take_forms_alone(provider: Standing) -> None:
    response = await provider.client.post(provider.at(TOKEN), json={"code": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_who_it_is_may_be_said_in_one_way_only(google_at: Standing) -> None:
    known = google_at.fake.application
    pair = (known.client_id, known.client_secret)
    fields = {
        "grant_type": "authorization_code",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "code": await google_at.code(),
    }
    url = google_at.at(TOKEN)
    twice = {**fields, "client_id": pair[0], "client_secret": pair[1]}
    assert (await google_at.client.post(url, data=twice, auth=pair)).status_code == 401
    assert (await google_at.client.post(url, data=fields, auth=pair)).status_code == 200
