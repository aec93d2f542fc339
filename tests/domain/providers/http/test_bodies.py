"""How large a body may be, packed and unpacked, and which encodings are understood."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.http.pagesize import PageSize
from domain.providers.http.wire import unzip
from domain.roster.source import RosterUnreadable
from domain.validation.codes import Code
from tests.domain.providers.http.wires import ANYBODY, asking, pack, reply, text, zipped

pytestmark = pytest.mark.anyio
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def failure_of(asker, url, **options):
    with pytest.raises(RosterUnreadable) as caught:
        await asker.get(url, authorizer=ANYBODY, decode=text, **options)
    return caught.value


async def test_packed_bodies_are_asked_for_and_unpacked():
    async with asking(zipped(b"fine" * 1000)) as (served, asker):
        got = await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=text)
    assert got == "fine" * 1000
    assert served.seen[0].headers["Accept-Encoding"] == "gzip"


async def test_a_packed_body_in_several_members_is_one():
    body = pack(b"fi") + pack(b"ne")
    async with asking(reply(200, body, Content_Encoding="x-gzip")) as (served, asker):
        assert await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=text) == "fine"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 400))
def test_what_was_packed_is_unpacked_up_to_a_limit(bodies, most):
    packed, whole = b"".join(map(pack, bodies)), b"".join(bodies)
    assert unzip(packed, most) == whole[:most]


@pytest.mark.parametrize("members", [1, 2])
def test_a_body_of_many_pieces_is_unpacked(members):
    body = hashlib.shake_128(b"hardly to be packed").digest(200_000)
    packed = pack(body) * members
    assert unzip(packed, 1 << 20) == body * members
    assert unzip(packed, 100_000) == body[:100_000]
    with pytest.raises(EOFError):
        unzip(packed[:-1], 1 << 20)


async def test_headers_come_in_lower_case_and_lists_as_one():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Count: 7\r\nLINK: a\r\nLink: b\r\n\r\n"
    async with asking(answer) as (served, asker):
        got = await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=lambda got: got)
    assert got.headers == {"content-length": "0", "x-count": "7", "link": "a, b"}
    assert (got.status, got.body, got.url) == (200, b"", f"{served.url}/users")


@pytest.mark.parametrize(
    "large",
    [
        reply(200, b"x" * 1001),
        zipped(b"x" * 1001),
        CHUNKED + b"200\r\n" + b"x" * 512 + b"\r\n200\r\n" + b"x" * 512 + b"\r\n0\r\n\r\n",
    ],
)
async def test_a_body_over_the_limit_is_too_large_at_once(large):
    async with asking(large, largest_body=1000) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users")
    assert error.code is Code.CONN_TOO_LARGE
    assert str(error) == f"{served.authority}/users sent more than 1000 bytes."
    assert len(served.seen) == 1


@pytest.mark.parametrize("exact", [reply(200, b"x" * 1000), zipped(b"x" * 1000)])
async def test_a_body_at_the_limit_is_taken(exact):
    async with asking(exact, largest_body=1000) as (served, asker):
        got = await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=text)
    assert len(got) == 1000


async def test_a_page_that_is_too_large_is_asked_for_in_halves():
    page_size = PageSize(400)
    async with asking(
        reply(200, b"x" * 1001), zipped(b"x" * 5000), reply(200, b"fine"), largest_body=1000
    ) as (served, asker):
        got = await asker.get(
            lambda size: f"{served.url}/users?limit={size}",
            authorizer=ANYBODY,
            decode=text,
            page_size=page_size,
        )
    assert (got, page_size.size) == ("fine", 100)


async def test_a_packed_body_that_unpacks_to_far_more_costs_no_more_than_the_limit():
    bomb = pack(bytes(1 << 26))
    async with asking(reply(200, bomb, Content_Encoding="gzip"), largest_body=1 << 20) as (
        served,
        asker,
    ):
        assert (await failure_of(asker, f"{served.url}/users")).code is Code.CONN_TOO_LARGE


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (pack(b"fine" * 100)[:-12], "gzip", Code.CONN_INTERRUPTED),
        (pack(b"fi") + pack(b"ne")[:-3], "gzip", Code.CONN_INTERRUPTED),
        (pack(b"fi") + b"ne", "gzip", Code.CONN_BAD_PAYLOAD),
        (b"plain text", "gzip", Code.CONN_BAD_PAYLOAD),
        (pack(b"fine")[:-8] + bytes(8), "gzip", Code.CONN_BAD_PAYLOAD),
        (b"anything", "br", Code.CONN_BAD_PAYLOAD),
    ],
)
async def test_a_body_that_cannot_be_unpacked_fails_after_all_attempts(body, encoding, code):
    async with asking(reply(200, body, Content_Encoding=encoding)) as (served, asker):
        assert (await failure_of(asker, f"{served.url}/users")).code is code
    assert len(served.seen) == 3
