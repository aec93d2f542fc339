"""What the browser-like client says of where it comes from, and where it goes."""

import httpx2
import pytest

from tests.browser import Blocked, Browser
from tests.browsing.echo import APP, FORM, OTHER, PLAIN, SHOP, SISTER, fetch_headers, said
from tests.fakes.serving import serve

pytestmark = pytest.mark.anyio


async def test_it_says_from_where_a_navigation_comes(browser: Browser) -> None:
    await browser.get(f"{SHOP}/")
    navigation = {"mode": "navigate", "dest": "document", "user": "?1"}
    assert fetch_headers(said(browser)["headers"]) == {"site": "none", **navigation}

    sites = []
    for url in (f"{SHOP}/x", f"{SISTER}/", f"{OTHER}/", f"{OTHER}:8443/"):
        browser.show(url, "")
        await browser.follow(f"{SHOP}/")
        sites.append(said(browser)["headers"]["sec-fetch-site"])
    assert sites == ["same-origin", "same-site", "cross-site", "cross-site"]


async def test_it_says_nothing_of_that_where_nothing_is_encrypted(browser: Browser) -> None:
    await browser.get(f"{PLAIN}/")
    assert fetch_headers(said(browser)["headers"]) == {}


async def test_a_redirect_by_another_site_is_not_forgotten(browser: Browser) -> None:
    browser.show(f"{SHOP}/", "")
    await browser.follow(f"{OTHER}/away?status=302&to={SHOP}/back")

    assert browser.url == f"{SHOP}/back"
    assert said(browser)["headers"]["sec-fetch-site"] == "cross-site"
    await browser.get(f"{OTHER}/away?status=302&to={SHOP}/back")
    assert said(browser)["headers"]["sec-fetch-site"] == "none"


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "word=w")],
)
async def test_a_redirect_changes_the_method_or_keeps_it(
    browser: Browser, status: int, method: str, body: str
) -> None:
    browser.show(f"{SHOP}/", FORM.format(f"/away?status={status}&to=/back"))
    await browser.submit()

    assert (said(browser)["method"], said(browser)["body"]) == (method, body)
    assert browser.url == f"{SHOP}/back"


async def test_redirects_without_end_are_not_followed(browser: Browser) -> None:
    with pytest.raises(Blocked, match="too many redirects"):
        await browser.get(f"{SHOP}/away")
    assert len(browser.visits) == 21


async def test_it_waits_before_an_address_if_told_to(browser: Browser) -> None:
    page = await browser.get(f"{SHOP}/away?status=302&to={OTHER}/x", stop_before=OTHER)

    assert (page.status, page.location) == (302, f"{OTHER}/x")
    assert [visit.url for visit in browser.visits] == [f"{SHOP}/away?status=302&to={OTHER}/x"]


@pytest.mark.parametrize(
    ("policy", "own", "other"),
    [
        ("", SHOP, SHOP),
        ("same-origin", SHOP, "null"),
        ("no-referrer", "null", "null"),
        ("strict-origin", SHOP, SHOP),
    ],
)
async def test_a_form_says_its_origin_if_the_policy_lets_it(
    browser: Browser, policy: str, own: str, other: str
) -> None:
    headers = {"Referrer-Policy": policy} if policy else {}
    origins = []
    for url in (f"{SHOP}/", f"{OTHER}/"):
        browser.show(f"{SHOP}/page", FORM.format(url), headers)
        await browser.submit()
        origins.append(said(browser)["headers"]["origin"])
    assert origins == [own, other]


async def test_a_form_that_another_site_sends_on_says_no_origin(browser: Browser) -> None:
    browser.show(f"{SHOP}/", FORM.format(f"{OTHER}/away?status=307&to={SHOP}/back"))
    await browser.submit()

    assert (said(browser)["headers"]["origin"], said(browser)["body"]) == ("null", "word=w")


async def test_a_link_says_no_origin(browser: Browser) -> None:
    browser.show(f"{OTHER}/", "")
    await browser.follow(f"{SHOP}/")
    assert "origin" not in said(browser)["headers"]


@pytest.mark.parametrize(
    ("policy", "own", "other", "plain"),
    [
        ("", f"{SHOP}/page?q=1", f"{SHOP}/", None),
        ("same-origin", f"{SHOP}/page?q=1", None, None),
        ("no-referrer", None, None, None),
        ("strict-origin", f"{SHOP}/", f"{SHOP}/", None),
        ("unsafe-url", *[f"{SHOP}/page?q=1"] * 3),
    ],
)
async def test_it_says_which_page_it_comes_from_as_the_policy_has_it(
    browser: Browser, policy: str, own: str | None, other: str | None, plain: str | None
) -> None:
    headers = {"Referrer-Policy": policy} if policy else {}
    seen = []
    for url in (f"{SHOP}/", f"{OTHER}/", f"{PLAIN}/"):
        browser.show(f"{SHOP}/page?q=1#part", "", headers)
        await browser.follow(url)
        seen.append(said(browser)["headers"].get("referer"))
    assert seen == [own, other, plain]


async def test_it_never_leaves_this_machine(browser: Browser) -> None:
    with pytest.raises(Blocked, match="nobody answers for https://elsewhere"):
        await browser.get("https://elsewhere.example/")
    with pytest.raises(Blocked, match="nowhere"):
        await browser.get("file:///etc/hostname")


async def test_names_and_origins_are_served_over_real_connections() -> None:
    with serve(APP) as served:
        port = httpx2.URL(served.url).port
        network = {"app.test": "127.0.0.1", "https://secure.test": served.url}
        hosts = []
        async with Browser(network) as browser:
            for url in (
                f"http://app.test:{port}/",
                "https://secure.test/",
                f"http://mia.localhost:{port}/",
                f"{served.url}/",
            ):
                await browser.get(url)
                hosts.append(said(browser)["headers"]["host"])
    assert hosts == [
        f"app.test:{port}",
        "secure.test",
        f"mia.localhost:{port}",
        f"127.0.0.1:{port}",
    ]
