"""Callbacks with errors and oddities, where somebody goes then, and what is written of it."""

import pytest

from tests.api.signing_in.conftest import FRONTEND
from tests.api.signing_in.provider import DOMAIN, Browser, Provider, leave, query_of, started

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink")]

SESSION = "__Host-homerow"


@pytest.mark.parametrize("name", ["code", "state", "error", "iss"])
async def test_a_parameter_that_is_there_twice_is_refused(
    browser: Browser, provider: Provider, name: str
) -> None:
    callback = await started(browser, provider, "google")

    answer = await browser.get(f"{callback}&{name}=a&{name}=b")

    assert answer.status_code == 400
    assert "This link cannot be used" in answer.text
    assert provider.exchanges() == 0


async def test_a_callback_that_says_it_is_another_providers_is_refused(
    browser: Browser, provider: Provider
) -> None:
    for method, issuer in (
        ("google", "https://evil.example"),
        ("google", f"{provider.url}/microsoft/x/v2.0"),
        ("microsoft", f"{provider.url}/google"),
    ):
        callback = await started(browser, provider, method)
        answer = await browser.get(f"{callback}&iss={issuer}")
        assert answer.status_code == 502
    assert provider.exchanges() == 0
    good = await started(browser, provider, "google")
    answer = await browser.get(f"{good}&iss={provider.url}/google")
    assert answer.status_code == 303


async def test_a_provider_that_says_whose_its_callbacks_are_has_to_say_so_always(
    browser: Browser, provider: Provider
) -> None:
    document = "/google/.well-known/openid-configuration"
    provider.says[document] = {"authorization_response_iss_parameter_supported": True}

    answer = await browser.get(await started(browser, provider, "google"))

    assert answer.status_code == 502
    assert provider.exchanges() == 0


async def test_who_says_no_is_told_so_and_can_go_back(browser: Browser, provider: Provider) -> None:
    state = query_of(await leave(browser, "/sign-in/classlink?tenant=springfield"))["state"]
    path = f"/sign-in/classlink/callback?error=access_denied&state={state}"

    answer = await browser.get(path)

    assert answer.status_code == 403
    assert "ClassLink has not signed you in" in answer.text
    assert 'href="/sign-in/classlink?tenant=springfield"' in answer.text
    assert 'href="/t/springfield"' in answer.text
    # From somebody else it says the same, and nothing of where this browser was.
    answer = await browser.get(path)
    assert "ClassLink has not signed you in" in answer.text
    assert "springfield" not in answer.text


async def test_an_error_of_the_providers_is_not_repeated(
    browser: Browser, provider: Provider
) -> None:
    answer = await browser.get(
        "/sign-in/google/callback?error=server_error&error_description=<b>evil</b>"
    )

    assert answer.status_code == 502
    assert "evil" not in answer.text
    assert "server_error" not in answer.text


async def test_somebody_goes_where_they_wanted(browser: Browser, provider: Provider) -> None:
    callback = await started(browser, provider, "google", return_to="/account?tab=2")

    assert (await browser.get(callback)).headers["location"] == "/account?tab=2"


async def test_a_frontend_gets_a_code_and_no_cookie(browser: Browser, provider: Provider) -> None:
    callback = await started(
        browser, provider, "google", return_to=f"{FRONTEND}/in?a=b", code_challenge="c" * 43
    )

    answer = await browser.get(callback)

    assert answer.headers["location"].startswith(f"{FRONTEND}/in?a=b&code=")
    assert SESSION not in browser.cookies


@pytest.mark.parametrize(
    ("return_to", "code_challenge"),
    [
        ("https://evil.example/", "c" * 43),
        (FRONTEND + ".evil.example/", "c" * 43),
        (f"{FRONTEND}@evil.example/", "c" * 43),
        (f"{FRONTEND}/", ""),
        (f"{FRONTEND}/", "short"),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
        ("/%0d%0aSet-Cookie:a=b\r\n", ""),
        ("javascript:alert(1)", ""),
        ("landing", ""),
    ],
)
async def test_nobody_is_sent_to_a_place_that_we_do_not_know(
    browser: Browser, provider: Provider, return_to: str, code_challenge: str
) -> None:
    query = {"tenant": "springfield", "return_to": return_to, "code_challenge": code_challenge}

    answer = await browser.get("/sign-in/google", params=query)

    assert answer.status_code == 400
    assert "This link cannot be used" in answer.text


async def test_nothing_secret_is_logged(
    browser: Browser, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    url = await leave(browser, "/sign-in/google?tenant=springfield")
    callback = provider.grant(url, "c0de-of-mia")
    await browser.get(callback)
    session = browser.cookies[SESSION]
    provider.claims["nonce"] = "wrong"
    broken = await started(browser, provider, "google")
    await browser.get(broken)
    written = "".join(capsys.readouterr())

    assert "ID_TOKEN_NONCE" in written
    for secret in (
        "c0de-of-mia",
        query_of(callback)["state"],
        "il-google",
        "secret-of-google",
        f"mia@{DOMAIN}",
        "mia-at-google",
        session,
    ):
        assert secret not in written
