"""Forms and links: what the browser-like client sends of them, and where it may."""

from typing import Final

import pytest

from tests.browser import Blocked, Browser
from tests.browsing.echo import FORM, OTHER, PLAIN, SHOP, SISTER, said

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("policy", "url", "is_sent"),
    [
        ("form-action 'self'", f"{SHOP}/", True),
        ("form-action 'self'", f"{SISTER}/", False),
        ("form-action 'none'", f"{SHOP}/", False),
        ("default-src 'none'", f"{OTHER}/", True),
        (f"form-action 'self' {OTHER}", f"{OTHER}/", True),
        (f"form-action 'self' {OTHER}", f"{SISTER}/", False),
        ("form-action https:", f"{OTHER}/", True),
        ("form-action https:", f"{PLAIN}/", False),
        ("form-action *, form-action 'self'", f"{OTHER}/", False),
        ("form-action 'self'", f"/away?status=302&to={OTHER}/", False),
        (f"form-action 'self' {OTHER}", f"/away?status=302&to={OTHER}/", True),
    ],
)
async def test_a_form_goes_only_where_the_page_lets_it(
    browser: Browser, policy: str, url: str, is_sent: bool
) -> None:
    browser.show(f"{SHOP}/", FORM.format(url), {"Content-Security-Policy": policy})
    if is_sent:
        await browser.submit()
        return
    with pytest.raises(Blocked, match="form-action"):
        await browser.submit()


async def test_an_unknown_source_of_a_policy_is_not_guessed(browser: Browser) -> None:
    browser.show(f"{SHOP}/", FORM.format("/"), {"Content-Security-Policy": "form-action 'nonce-x'"})
    with pytest.raises(ValueError, match="nonce-x"):
        await browser.submit()


PAGE: Final = """<!doctype html><title>A  page</title><style>p {}</style>
<a href="/there?a=1&amp;b=2">Go <b>there</b></a>
<form action="/one?old=1"><input name="q" value="x"><button>Find</button></form>
<form method="post" action="/two">
<input type="hidden" name="secret" value="s&amp;t"><input name="name"><input name="off" disabled>
<input type="radio" name="place" value="a"><input type="radio" name="place" value="b" checked>
<input type="checkbox" name="tick"><textarea name="text">words</textarea>
<select name="slug"><option value="x">X</option><option>Y</option></select>
<button name="act" value="save">Save</button><button name="act" value="drop">Drop</button>
</form>"""


async def test_links_and_titles_are_read(browser: Browser) -> None:
    page = browser.show(f"{SHOP}/deep/page", PAGE)
    assert (page.title, page.links) == ("A page", [("Go there", "/there?a=1&b=2")])
    assert "p {}" not in page.words

    await browser.click("Go there")
    assert browser.url == f"{SHOP}/there?a=1&b=2"


async def test_a_form_that_asks_goes_into_the_address(browser: Browser) -> None:
    browser.show(f"{SHOP}/", PAGE)
    await browser.submit({"q": "a b"})
    assert (browser.url, said(browser)["body"]) == (f"{SHOP}/one?q=a+b", "")


async def test_a_form_sends_what_was_typed_and_what_was_hidden(browser: Browser) -> None:
    browser.show(f"{SHOP}/", PAGE)
    await browser.submit({"name": "Mia", "tick": "on", "slug": "Y"}, button="Save")
    assert said(browser)["body"] == (
        "secret=s%26t&name=Mia&place=b&tick=on&text=words&slug=Y&act=save"
    )

    browser.show(f"{SHOP}/", PAGE)
    await browser.click("Drop")
    assert said(browser)["body"] == "secret=s%26t&name=&place=b&text=words&slug=x&act=drop"
    assert said(browser)["headers"]["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "typed", [{"secret": "other"}, {"nothing": "x"}, {"place": "c"}, {"off": "x"}, {"slug": "Z"}]
)
async def test_nobody_types_where_nothing_can_be_typed(
    browser: Browser, typed: dict[str, str]
) -> None:
    browser.show(f"{SHOP}/", PAGE)
    with pytest.raises(LookupError):
        await browser.submit(typed, form="/two")
    assert browser.visits == []


async def test_a_form_can_be_plain_text(browser: Browser) -> None:
    html = '<form method="post" enctype="text/plain" action="/"><input name="{}" value="x"></form>'
    browser.show(f"{SHOP}/", html)
    await browser.submit()
    assert said(browser)["headers"]["content-type"] == "text/plain"
    assert said(browser)["body"] == "{}=x\r\n"


async def test_a_button_is_found_among_forms_to_the_same_address(browser: Browser) -> None:
    one = '<form action="/"><input type="hidden" name="who" value="{0}"><button>{0}</button></form>'
    browser.show(f"{SHOP}/", one.format("Mia") + one.format("Bob"))
    await browser.click("Bob")
    assert said(browser)["url"] == f"{SHOP}/?who=Bob"
