"""Signing in at the fakes, and being sent back: asked for, or by a portal."""

import json

import pytest

from tests.fakes_identity.standing import AUTHORIZE, CALLBACK, CHALLENGE, Standing, answer_in

pytestmark = pytest.mark.anyio


async def test_somebody_signs_in_and_comes_back_with_a_code(provider: Standing) -> None:
    provider.fake.signed_in_as(None)
    page = await provider.browser.get(provider.asking())
    assert page.title == f"Sign in to {provider.name}"

    page = await provider.browser.click("Sign in as Mia Moss", stop_before=CALLBACK)
    first = answer_in(page.location)
    second = await provider.answer(state="s-2")

    assert (first["state"], second["state"]) == ("s-1", "s-2")
    assert provider.fake.codes == [first["code"], second["code"]]
    asked = provider.fake.asked(AUTHORIZE[provider.name])
    assert [one.query["state"] for one in asked] == ["s-1", "s-1", "s-2"]


async def test_somebody_who_signs_out_there_is_asked_again(provider: Standing) -> None:
    provider.fake.signed_in_as(None)
    await provider.browser.get(f"{provider.url}/login")
    await provider.browser.click("Sign in as Mia Moss")
    await provider.browser.get(f"{provider.url}/logout")

    page = await provider.browser.get(provider.asking())

    assert page.title == f"Sign in to {provider.name}"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"client_id": None},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?tenant=springfield"},
        {"redirect_uri": None},
        {"unheard_of": "1"},
        {"prompt": "none"},
    ],
)
async def test_a_request_that_cannot_be_trusted_is_sent_nowhere(
    provider: Standing, changes: dict[str, str | None]
) -> None:
    page = await provider.browser.get(provider.asking(**changes))

    assert (page.status, page.title) == (400, "This application cannot be used")
    assert provider.fake.codes == []


async def test_a_parameter_that_is_said_twice_is_refused(provider: Standing) -> None:
    page = await provider.browser.get(f"{provider.asking()}&state=s-2")
    assert (page.status, json.loads(page.text)["error"]) == (400, "invalid_request")


async def test_another_response_type_is_refused(provider: Standing) -> None:
    answer = await provider.answer(response_type="token")
    assert answer == {"error": "unsupported_response_type", "state": "s-1"}


@pytest.mark.parametrize("provider", ["classlink", "google", "microsoft"], indirect=True)
async def test_a_scope_is_needed(provider: Standing) -> None:
    answer = await provider.answer(scope=None)
    assert answer == {"error": "invalid_scope", "state": "s-1"}


@pytest.mark.parametrize("provider", ["classlink", "google", "microsoft"], indirect=True)
async def test_a_challenge_is_of_s256(provider: Standing) -> None:
    answer = await provider.answer(code_challenge_method="plain")
    assert answer["error"] == "invalid_request"


async def test_clever_knows_no_challenge(clever_at: Standing) -> None:
    url = clever_at.asking(code_challenge=CHALLENGE, code_challenge_method="S256")
    page = await clever_at.browser.get(url)
    assert "Unknown parameters: code_challenge, code_challenge_method." in page.words


async def test_the_portal_of_clever_sends_a_code_for_which_nobody_asked(
    clever_at: Standing,
) -> None:
    await clever_at.browser.get(f"{clever_at.url}/portal")
    page = await clever_at.browser.click("Homerow", stop_before=CALLBACK)

    assert page.location == f"{CALLBACK}?code={clever_at.fake.codes[0]}"
    assert clever_at.fake.exchanged() == []


async def test_an_instant_login_link_signs_in_and_sends_a_code(clever_at: Standing) -> None:
    clever_at.fake.signed_in_as(None)
    known = clever_at.fake.application.client_id
    link = f"{clever_at.url}/oauth/instant-login?client_id={known}&district_id={'d' * 24}"
    await clever_at.browser.get(link)
    page = await clever_at.browser.click("Sign in as Mia Moss", stop_before=CALLBACK)
    assert page.location == f"{CALLBACK}?code={clever_at.fake.codes[0]}"

    page = await clever_at.browser.get(f"{clever_at.url}/oauth/instant-login?client_id={known}")
    assert page.status == 400


@pytest.mark.parametrize("launch_url", [None, "https://homerow.example/sign-in/classlink"])
async def test_a_tile_of_launchpad_sends_a_code_for_which_nobody_asked(
    classlink_at: Standing,
    monkeypatch: pytest.MonkeyPatch,
    launch_url: str | None,
) -> None:
    monkeypatch.setattr(classlink_at.fake, "launch_url", launch_url)
    await classlink_at.browser.get(f"{classlink_at.url}/launchpad")
    page = await classlink_at.browser.click("Homerow", stop_before="https://homerow.example")

    code = classlink_at.fake.codes[0]
    assert page.location == f"{launch_url or CALLBACK}?code={code}&response_type=code"
