"""Which cookies the browser-like client keeps, and to whom it sends them."""

import httpx2
import pytest

from tests.browser import Browser
from tests.browser_cookies import is_same_site, is_trustworthy, site_of
from tests.browsing.echo import FORM, OTHER, PLAIN, SHOP, SISTER, cookie, set_cookie

pytestmark = pytest.mark.anyio


def test_sites_are_told_apart_by_scheme_and_registrable_domain() -> None:
    assert is_same_site("https://a.shop.example/x", "https://b.shop.example:8443/y")
    assert not is_same_site("http://shop.example", "https://shop.example")
    assert is_same_site("http://127.0.0.1:1000", "http://127.0.0.1:2000")
    assert not is_same_site("http://127.0.0.1:1000", "http://localhost:1000")
    assert not is_same_site("http://a.localhost", "http://b.localhost")
    assert site_of("http://127.0.0.2:80/") == ("http", "127.0.0.2")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example", True),
        ("http://shop.example", False),
        ("http://127.0.0.1:8000", True),
        ("http://127.1.2.3", True),
        ("http://localhost:8000", True),
        ("http://mia.localhost", True),
        ("http://localhost.example", False),
    ],
)
def test_this_machine_is_as_good_as_encrypted(url: str, expected: bool) -> None:
    assert is_trustworthy(url) is expected


@pytest.mark.parametrize(
    ("url", "text", "is_kept"),
    [
        (SHOP, "__Host-a=1; Secure; Path=/", True),
        (SHOP, "__Host-a=1; Path=/", False),
        (SHOP, "__Host-a=1; Secure", False),
        (SHOP, "__Host-a=1; Secure; Path=/x", False),
        (SHOP, "__Host-a=1; Secure; Path=/; Domain=shop.example", False),
        (SHOP, "__host-a=1; Path=/", False),
        (SHOP, "__Secure-a=1", False),
        (SHOP, "a=1; SameSite=None", False),
        (SHOP, "a=1; SameSite=None; Secure", True),
        (SHOP, "a=1; Domain=example", False),
        (SHOP, "a=1; Domain=other.test", False),
        (SHOP, "=1", False),
        (PLAIN, "a=1; Secure", False),
        ("http://mia.localhost", "__Host-a=1; Secure; Path=/", True),
    ],
)
async def test_a_cookie_is_kept_by_the_rules(
    browser: Browser, url: str, text: str, is_kept: bool
) -> None:
    await set_cookie(browser, f"{url}/", text)

    assert (len(browser.jar.all()) == 1) is is_kept


async def test_a_cookie_without_a_domain_is_for_its_host_alone(browser: Browser) -> None:
    await set_cookie(browser, f"{SHOP}/", "own=1")
    await set_cookie(browser, f"{SISTER}/", "all=2; Domain=shop.example")

    await browser.get(f"{SHOP}/")
    assert cookie(browser) == "own=1; all=2"
    await browser.get(f"{SISTER}/")
    assert cookie(browser) == "all=2"


async def test_a_cookie_goes_to_its_path_and_what_is_below(browser: Browser) -> None:
    await set_cookie(browser, f"{SHOP}/a/b", "below=1")
    await set_cookie(browser, f"{SHOP}/", "everywhere=1; Path=/")

    seen = {}
    for path in ("/a", "/a/", "/ab", "/a/c/d"):
        await browser.get(SHOP + path)
        seen[path] = cookie(browser)
    both = "below=1; everywhere=1"
    assert seen == {"/a": both, "/a/": both, "/ab": "everywhere=1", "/a/c/d": both}


async def test_a_cookie_ends_with_its_time_or_the_browser(browser: Browser) -> None:
    now = 1_000_000.0
    browser.jar = type(browser.jar)(lambda: now)
    await set_cookie(browser, f"{SHOP}/", "short=1; Max-Age=60")
    await set_cookie(browser, f"{SHOP}/", "long=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT")
    await set_cookie(browser, f"{SHOP}/", "session=1")
    assert [one.name for one in browser.jar.all()] == ["short", "long", "session"]

    now += 61
    assert [one.name for one in browser.jar.all()] == ["long", "session"]
    browser.jar.restart()
    assert [one.name for one in browser.jar.all()] == ["long"]
    await set_cookie(browser, f"{SHOP}/", "long=; Max-Age=0")
    assert browser.jar.all() == []


async def test_an_unencrypted_page_cannot_replace_a_secure_cookie(browser: Browser) -> None:
    await set_cookie(browser, f"{SHOP}/", "a=1; Secure; Domain=shop.example")

    await set_cookie(browser, "http://sister.shop.example/", "a=2; Domain=shop.example")

    await browser.get(f"{SHOP}/")
    assert cookie(browser) == "a=1"


async def test_scripts_do_not_see_what_is_for_http_only(browser: Browser) -> None:
    await set_cookie(browser, f"{SHOP}/", "hidden=1; HttpOnly")
    await set_cookie(browser, f"{SHOP}/", "open=1")

    assert browser.jar.for_script(f"{SHOP}/") == "open=1"


@pytest.fixture
async def four_cookies(browser: Browser) -> None:
    for text in ("strict=1; SameSite=Strict", "lax=1; SameSite=Lax", "plain=1"):
        await set_cookie(browser, f"{SHOP}/", text)
    await set_cookie(browser, f"{SHOP}/", "none=1; SameSite=None; Secure")


@pytest.mark.usefixtures("four_cookies")
async def test_a_link_from_another_site_brings_no_strict_cookies(browser: Browser) -> None:
    browser.show(f"{OTHER}/", "")
    await browser.follow(f"{SHOP}/")
    assert cookie(browser) == "lax=1; plain=1; none=1"

    browser.show(f"{SISTER}/", "")
    await browser.follow(f"{SHOP}/")
    assert cookie(browser) == "strict=1; lax=1; plain=1; none=1"


async def test_a_form_from_another_site_brings_only_cookies_for_all_sites(
    browser: Browser,
) -> None:
    now = 1_000_000.0
    browser.jar = type(browser.jar)(lambda: now)
    for text in ("lax=1; SameSite=Lax", "plain=1", "none=1; SameSite=None; Secure"):
        await set_cookie(browser, f"{SHOP}/", text)

    for seconds, expected in ((120, "plain=1; none=1"), (1, "none=1")):
        now += seconds
        browser.show(f"{OTHER}/", FORM.format(f"{SHOP}/"))
        await browser.submit()
        assert cookie(browser) == expected


@pytest.mark.usefixtures("four_cookies")
async def test_a_fetch_from_another_site_brings_only_cookies_for_all_sites(
    browser: Browser,
) -> None:
    browser.show(f"{OTHER}/", "")
    sent = []
    for credentials in ("include", "same-origin"):
        response = await browser.fetch(f"{SHOP}/", mode="no-cors", credentials=credentials)
        sent.append(response.json()["headers"].get("cookie"))
    assert sent == ["none=1", None]


async def test_a_fetch_from_another_site_sets_no_lax_cookie(browser: Browser) -> None:
    browser.show(f"{OTHER}/", "")
    for text in ("lax=1; SameSite=Lax", "none=1; SameSite=None; Secure"):
        url = httpx2.URL(f"{SHOP}/").copy_merge_params({"set": text})
        await browser.fetch(str(url), mode="no-cors", credentials="include")

    assert [one.name for one in browser.jar.all()] == ["none"]
