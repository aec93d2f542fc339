"""What a script can do from within the browser-like client."""

import httpx2
import pytest

from tests.browser import Blocked, Browser
from tests.browsing.echo import OTHER, SHOP, fetch_headers, set_cookie

pytestmark = pytest.mark.anyio


async def test_a_script_is_asked_for_before_it_may_send_what_no_form_can(
    browser: Browser,
) -> None:
    browser.show(f"{OTHER}/", "")
    headers = {"Content-Type": "application/json", "X-Homerow-Csrf": "1"}
    with pytest.raises(Blocked, match="may not read"):
        await browser.fetch(f"{SHOP}/", method="POST", headers=headers, content=b"{}")
    [asked] = browser.visits
    assert (asked.method, asked.headers["origin"]) == ("OPTIONS", OTHER)
    assert asked.headers["access-control-request-method"] == "POST"
    assert asked.headers["access-control-request-headers"] == "content-type,x-homerow-csrf"

    with pytest.raises(Blocked, match="no-cors"):
        await browser.fetch(f"{SHOP}/", method="PUT", mode="no-cors")


@pytest.mark.parametrize(
    ("answers", "credentials", "is_read"),
    [
        ([], "omit", False),
        (["Access-Control-Allow-Origin: *"], "omit", True),
        (["Access-Control-Allow-Origin: *"], "include", False),
        ([f"Access-Control-Allow-Origin: {OTHER}"], "omit", True),
        ([f"Access-Control-Allow-Origin: {OTHER}"], "include", False),
        (
            [
                f"Access-Control-Allow-Origin: {OTHER}",
                "Access-Control-Allow-Credentials: true",
            ],
            "include",
            True,
        ),
        ([f"Access-Control-Allow-Origin: {SHOP}"], "omit", False),
    ],
)
async def test_a_script_reads_only_what_is_shared_with_it(
    browser: Browser, answers: list[str], credentials: str, is_read: bool
) -> None:
    browser.show(f"{OTHER}/", "")
    url = str(httpx2.URL(f"{SHOP}/").copy_merge_params({"answer": answers}))
    if is_read:
        response = await browser.fetch(url, credentials=credentials)
        assert response.json()["headers"]["origin"] == OTHER
        return
    with pytest.raises(Blocked, match="may not read"):
        await browser.fetch(url, credentials=credentials)


async def test_a_script_of_the_same_origin_asks_nobody(browser: Browser) -> None:
    await set_cookie(browser, f"{SHOP}/", "__Host-a=1; Secure; Path=/; SameSite=Strict")
    headers = {"Content-Type": "application/json"}
    response = await browser.fetch("/x", method="POST", headers=headers, content=b"{}")

    sent = response.json()
    assert (sent["body"], sent["headers"]["origin"]) == ("{}", SHOP)
    assert sent["headers"]["cookie"] == "__Host-a=1"
    assert fetch_headers(sent["headers"]) == {
        "site": "same-origin",
        "mode": "cors",
        "dest": "empty",
    }
