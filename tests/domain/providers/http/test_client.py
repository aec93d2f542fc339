"""What a client does about each answer: how often it asks, how long it waits, how it ends."""

import asyncio
import time
from dataclasses import replace

import pytest
import structlog

from domain.providers.http.answer import BadPayload
from domain.providers.http.client import FixedHeaders
from domain.providers.http.failures import Refused
from domain.providers.http.pagesize import PageSize
from domain.roster.source import CredentialsRejected, RosterUnreadable, SourceUnavailable
from domain.validation.codes import Code
from tests.domain.providers.http.wires import (
    ANYBODY,
    CLOSE,
    QUICK,
    RESET,
    asking,
    client,
    provider,
    reply,
    text,
)

pytestmark = pytest.mark.anyio
FINE = reply(200, b"fine")
CUT = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", CLOSE]


async def failure_of(asker, url, **options):
    with pytest.raises((CredentialsRejected, RosterUnreadable, SourceUnavailable)) as caught:
        await asker.get(url, **{"authorizer": ANYBODY, "decode": text, **options})
    return caught.value


class Renewing:
    """Has a second token, and counts who asks for it."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.renewals = 0

    async def headers(self, method, url):
        return {"Authorization": f"Bearer {self.tokens[0]}"}

    async def renew(self):
        self.renewals += 1
        self.tokens = self.tokens[1:] or self.tokens
        return self.renewals == 1


@pytest.mark.parametrize(
    ("status", "kind", "code", "requests"),
    [
        (400, RosterUnreadable, Code.CONN_REQUEST_REFUSED, 1),
        (401, CredentialsRejected, Code.CONN_AUTH_REJECTED, 1),
        (403, CredentialsRejected, Code.CONN_FORBIDDEN_SCOPE, 1),
        (404, CredentialsRejected, Code.CONN_FORBIDDEN_SCOPE, 1),
        (408, SourceUnavailable, Code.CONN_TIMEOUT, 3),
        (413, RosterUnreadable, Code.CONN_REQUEST_REFUSED, 1),
        (422, RosterUnreadable, Code.CONN_REQUEST_REFUSED, 1),
        (429, SourceUnavailable, Code.CONN_THROTTLED, 3),
        (500, SourceUnavailable, Code.CONN_SERVER_ERROR, 3),
        (501, RosterUnreadable, Code.CONN_REQUEST_REFUSED, 1),
        (503, SourceUnavailable, Code.CONN_SERVER_ERROR, 3),
    ],
)
async def test_a_status_that_stays_ends_with_its_code_and_carries_it(status, kind, code, requests):
    async with asking(reply(status, b"Ann Archer", X_Request_Id="abc-1")) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users?token=secret")
    assert isinstance(error, kind)
    assert isinstance(error, Refused)
    assert (error.code, error.status) == (code, status)
    assert error.place == f"{served.authority}/users"
    times = " after 3 attempts" if requests == 3 else ""
    assert str(error) == (f"{served.authority}/users answered {status} (request id abc-1){times}.")
    assert len(served.seen) == requests


@pytest.mark.parametrize("trouble", [reply(500), reply(429), reply(408), [RESET], CUT, [CLOSE]])
async def test_trouble_that_passes_is_not_seen(trouble):
    async with asking(trouble, trouble, FINE) as (served, asker):
        assert await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=text) == "fine"
    assert len(served.seen) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        [RESET],
        [CLOSE],
        CUT,
        [CUT[0], RESET],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", CLOSE],
        [b"this is no HTTP\r\n\r\n", CLOSE],
    ],
)
async def test_an_answer_that_always_breaks_off_was_interrupted(trouble):
    async with asking(trouble) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users")
    assert isinstance(error, RosterUnreadable)
    assert not isinstance(error, Refused)
    assert error.code is Code.CONN_INTERRUPTED
    assert str(error) == f"{served.authority}/users broke off its answer after 3 attempts."
    assert len(served.seen) == 3


@pytest.mark.parametrize(
    ("dripping", "patience"),
    [
        ([2.0], replace(QUICK, read=0.1)),
        ([reply(200, b"12345")[:-3], 2.0], replace(QUICK, read=0.1)),
        ([reply(200, b"x" * 99)[:-98], *[0.02, b"x"] * 98], replace(QUICK, request=0.15)),
    ],
)
async def test_what_takes_too_long_is_a_time_out(dripping, patience):
    async with asking(dripping, patience=patience) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users")
    assert isinstance(error, SourceUnavailable)
    assert error.code is Code.CONN_TIMEOUT
    assert len(served.seen) == 3


async def test_nobody_there_is_unreachable():
    async with provider() as served:
        pass
    async with client() as asker:
        error = await failure_of(asker, f"{served.url}/users")
    assert isinstance(error, SourceUnavailable)
    assert error.code is Code.CONN_UNREACHABLE
    assert str(error) == f"{served.authority}/users cannot be reached after 3 attempts."


async def test_a_name_that_does_not_exist_is_unreachable():
    async with client() as asker:
        error = await failure_of(asker, "http://nowhere.invalid/users")
    assert error.code is Code.CONN_UNREACHABLE


async def test_the_wait_that_is_asked_for_is_waited():
    async with asking(reply(429, Retry_After="0.2"), FINE) as (served, asker):
        start = time.monotonic()
        await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=text)
        assert 0.2 <= time.monotonic() - start < 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_that_is_too_long_ends_the_request_at_once(status):
    async with asking(reply(status, Retry_After="3600"), FINE) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users")
    assert isinstance(error, SourceUnavailable)
    assert error.code is Code.CONN_THROTTLED
    assert "asks to wait 3600 seconds; a run waits 1 seconds at most" in str(error)
    assert len(served.seen) == 1


async def test_a_provider_may_say_in_its_own_way_how_long_to_wait():
    def hint(headers):
        return float(headers["x-ratelimit-reset"])

    async with asking(reply(429, X_Ratelimit_Reset=9), wait_hint=hint) as (served, asker):
        assert (await failure_of(asker, f"{served.url}/users")).code is Code.CONN_THROTTLED
    assert len(served.seen) == 1


async def test_a_401_is_tried_once_more_with_renewed_credentials():
    authorizer = Renewing(["old", "new"])
    async with asking(reply(401), FINE, patience=replace(QUICK, attempts=1)) as (served, asker):
        got = await asker.get(f"{served.url}/users", authorizer=authorizer, decode=text)
    assert got == "fine"
    assert [seen.headers["Authorization"] for seen in served.seen] == ["Bearer old", "Bearer new"]


async def test_a_second_401_is_the_last():
    authorizer = Renewing(["old", "new"])
    async with asking(reply(401)) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users", authorizer=authorizer)
    assert error.code is Code.CONN_AUTH_REJECTED
    assert (len(served.seen), authorizer.renewals) == (2, 1)


async def test_credentials_that_cannot_be_sent_are_not_shown():
    authorizer = FixedHeaders({"Authorization": "Bearer sec\nret"})
    async with asking() as (served, asker):
        error = await failure_of(asker, f"{served.url}/users", authorizer=authorizer)
    assert isinstance(error, CredentialsRejected)
    assert error.code is Code.CONN_AUTH_REJECTED
    assert "ret" not in str(error)
    assert served.seen == []


async def test_space_around_a_pasted_token_is_left_out():
    authorizer = FixedHeaders({"Authorization": "Bearer abc\r\n"})
    async with asking() as (served, asker):
        await asker.get(f"{served.url}/users", authorizer=authorizer, decode=text)
    assert served.seen[0].headers["Authorization"] == "Bearer abc"


def page_of(served):
    return lambda size: f"{served.url}/users?limit={size}"


@pytest.mark.parametrize("trouble", [reply(502), reply(408), reply(413), [2.0]])
async def test_a_page_that_is_too_much_is_asked_for_in_halves(trouble):
    patience = replace(QUICK, read=0.25)
    page_size = PageSize(1000)
    async with asking(trouble, trouble, FINE, patience=patience) as (served, asker):
        await asker.get(page_of(served), authorizer=ANYBODY, decode=text, page_size=page_size)
    assert served.targets == ["/users?limit=1000", "/users?limit=500", "/users?limit=250"]
    assert page_size.size == 250


@pytest.mark.parametrize("trouble", [reply(429), [RESET], CUT])
async def test_other_trouble_leaves_the_page_as_it_is(trouble):
    page_size = PageSize(1000)
    async with asking(trouble, FINE) as (served, asker):
        await asker.get(page_of(served), authorizer=ANYBODY, decode=text, page_size=page_size)
    assert served.targets == ["/users?limit=1000"] * 2


async def test_a_413_is_asked_for_in_halves_until_the_smallest_without_waiting():
    async with asking(reply(413), patience=replace(QUICK, attempts=1)) as (served, asker):
        error = await failure_of(asker, page_of(served), page_size=PageSize(400, smallest=100))
    assert error.code is Code.CONN_REQUEST_REFUSED
    assert served.targets == ["/users?limit=400", "/users?limit=200", "/users?limit=100"]


async def test_two_requests_that_fail_together_halve_their_page_once():
    page_size = PageSize(1000)
    async with asking([0.05, reply(502)], [0.05, reply(502)], FINE) as (served, asker):
        await asyncio.gather(
            *(
                asker.get(page_of(served), authorizer=ANYBODY, decode=text, page_size=page_size)
                for _ in range(2)
            )
        )
    assert page_size.size == 500


async def test_a_payload_that_cannot_be_read_is_asked_for_again():
    async with asking(reply(200, b"<html>"), FINE) as (served, asker):

        def decode(answer):
            if answer.body != b"fine":
                raise BadPayload("it is no JSON")
            return text(answer)

        assert await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=decode) == "fine"


async def test_a_payload_that_never_can_be_read_fails_without_showing_it():
    def decode(answer):
        raise BadPayload("it is no JSON") from ValueError(text(answer))

    async with asking(reply(200, b"Ann Archer")) as (served, asker):
        error = await failure_of(asker, f"{served.url}/users", decode=decode)
    assert isinstance(error, RosterUnreadable)
    assert error.code is Code.CONN_BAD_PAYLOAD
    assert str(error) == (
        f"{served.authority}/users sent what cannot be read (it is no JSON) after 3 attempts."
    )
    assert error.__cause__ is None
    assert len(served.seen) == 3


async def test_an_answer_without_a_body_is_no_payload():
    async with asking(b"HTTP/1.1 204 No Content\r\n\r\n") as (served, asker):
        error = await failure_of(asker, f"{served.url}/users")
    assert error.code is Code.CONN_BAD_PAYLOAD


async def test_an_error_of_the_decoder_ends_the_request_at_once():
    def decode(answer):
        raise RosterUnreadable(Code.CONN_WRONG_DISTRICT, "Another district.")

    async with asking() as (served, asker):
        error = await failure_of(asker, f"{served.url}/users", decode=decode)
    assert error.code is Code.CONN_WRONG_DISTRICT
    assert len(served.seen) == 1


async def test_a_form_is_posted_and_tried_again():
    async with asking(reply(503), FINE) as (served, asker):
        got = await asker.post_form(
            f"{served.url}/token?appName=a%20b",
            form={"grant_type": "client_credentials", "scope": "a b/ä"},
            headers={"Authorization": "Basic eA=="},
            decode=text,
        )
    assert got == "fine"
    last = served.seen[1]
    assert last.line == b"POST /token?appName=a%20b HTTP/1.1"
    assert last.body == b"grant_type=client_credentials&scope=a+b%2F%C3%A4"
    assert last.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert last.headers["Authorization"] == "Basic eA=="
    assert len(served.seen) == 2


async def test_connections_are_kept():
    async with asking() as (served, asker):
        for _ in range(5):
            await asker.get(f"{served.url}/users", authorizer=ANYBODY, decode=text)
    assert (len(served.seen), served.connections) == (5, 1)


async def test_the_log_has_no_query_no_header_and_no_body():
    authorizer = FixedHeaders({"Authorization": "Bearer hush"})
    with structlog.testing.capture_logs() as lines:
        async with asking(reply(502, b"Ann"), reply(200, b"Ann"), FINE) as (served, asker):
            await asker.get(f"{served.url}/users?a=hush", authorizer=authorizer, decode=text)
    seen = {"host": served.authority, "path": "/users"}
    wait = lines[1].pop("wait")
    assert 0 <= wait <= 0.002
    assert lines == [
        {**seen, "event": "provider_answered", "log_level": "debug", "status": 502, "bytes": 0},
        {
            **seen,
            "event": "provider_request_retried",
            "log_level": "info",
            "status": 502,
            "code": "CONN_SERVER_ERROR",
            "attempt": 1,
        },
        {**seen, "event": "provider_answered", "log_level": "debug", "status": 200, "bytes": 3},
    ]
