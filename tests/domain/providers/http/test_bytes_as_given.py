"""A URL is sent as it was given, and what was signed is what was sent."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.http.address import parse_address
from domain.roster.source import CredentialsRejected
from domain.validation.codes import Code
from tests.domain.providers.http.wires import ANYBODY, asking, provider, reply, text

pytestmark = pytest.mark.anyio


class Signer:
    """Signs with the whole URL and a number that is good for one attempt."""

    def __init__(self):
        self.signed = []

    async def headers(self, method, url):
        self.signed.append(url)
        return {"Authorization": f"Signed {len(self.signed)} {method} {url}"}

    async def renew(self):
        return False


TARGETS = [
    "/%2FgVa0ed75Gs%43/ims/oneroster/v1p1/users?limit=2&offset=0",
    "/users?filter=dateLastModified%3E%272026-01-01T00%3A00%3A00Z%27&sort=sourcedId",
    "/users?filter=dateLastModified>'2026-01-01'&a=b+c%20d",
    "/a/../b/./c//d;e=1,2/(f)!*'~",
    "/%7euser/%e4%C3%A4?x=%7e&y=[1]&z={2}|^`",
    "/users?",
    "/users?a=b?c=d&&e",
    "/",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_the_request_line_has_exactly_the_bytes_of_the_url(target):
    signer = Signer()
    async with asking() as (served, client):
        url = f"{served.url}{target}"
        assert await client.get(url, authorizer=signer, decode=lambda got: got.url) == url
    assert served.seen[0].line == f"GET {target} HTTP/1.1".encode()
    assert served.seen[0].headers["Host"] == served.authority
    assert signer.signed == [url]
    assert served.seen[0].headers["Authorization"] == f"Signed 1 GET {url}"


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")))
def test_nothing_of_a_target_is_normalised(rest):
    target = f"/{rest}"
    address = parse_address(f"https://School.Example:8443{target}", allow_private=False)
    assert address.target == target
    assert address.url == f"https://School.Example:8443{target}"
    assert address.origin == ("https", "school.example", 8443)


@given(st.text() | st.from_regex(r"https?://[a-z.@:\[\]\\0-9]{0,20}/?", fullmatch=True))
def test_any_text_is_an_address_or_is_refused(url):
    with suppress(CredentialsRejected):
        assert parse_address(url, allow_private=False).origin.scheme == "https"


async def test_a_url_without_a_path_asks_for_the_root():
    async with asking() as (served, client):
        await client.get(f"{served.url}?a=%41", authorizer=ANYBODY, decode=text)
    assert served.targets == ["/?a=%41"]


async def test_each_attempt_is_signed_anew():
    signer = Signer()
    async with asking(reply(502), reply(200, b"fine")) as (served, client):
        await client.get(f"{served.url}/users", authorizer=signer, decode=text)
    url = f"{served.url}/users"
    assert [seen.headers["Authorization"] for seen in served.seen] == [
        f"Signed 1 GET {url}",
        f"Signed 2 GET {url}",
    ]


async def test_a_redirect_within_the_host_is_followed_and_signed_anew():
    signer = Signer()
    moved = reply(301, Location="/v2/users?limit=%32&a='b'#top")
    async with asking(moved, reply(200, b"fine")) as (served, client):
        url = f"{served.url}/users"
        assert await client.get(url, authorizer=signer, decode=text) == "fine"
    assert served.targets == ["/users", "/v2/users?limit=%32&a='b'"]
    assert signer.signed == [url, f"{served.url}/v2/users?limit=%32&a='b'"]


@pytest.mark.parametrize(
    "location",
    [
        *("https://127.0.0.1/users", "//school.example/users", "http://127.0.0.1:9/users"),
        *("ftp://127.0.0.1/", "http://ann@127.0.0.1/", "http://127.0.0.1\\@school.example/"),
    ],
)
async def test_a_redirect_to_another_host_is_refused(location):
    async with provider() as elsewhere:
        there = location.replace("127.0.0.1:9", elsewhere.authority)
        async with asking(reply(302, Location=there)) as (served, client):
            with pytest.raises(CredentialsRejected) as caught:
                await client.get(f"{served.url}/users", authorizer=ANYBODY, decode=text)
    assert caught.value.code is Code.CONN_ADDRESS_REFUSED
    assert (len(served.seen), len(elsewhere.seen)) == (1, 0)


@pytest.mark.parametrize("headers", [{"Location": "/users"}, {}])
async def test_a_circle_of_redirects_ends(headers):
    async with asking(reply(307, **headers)) as (served, client):
        with pytest.raises(CredentialsRejected) as caught:
            await client.get(f"{served.url}/users", authorizer=ANYBODY, decode=text)
    assert caught.value.code is Code.CONN_ADDRESS_REFUSED
    assert len(served.seen) == 6
