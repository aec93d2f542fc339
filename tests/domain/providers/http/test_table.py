"""From a status to what is done, how long is waited, and how a page becomes smaller."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.http.hints import retry_after
from domain.providers.http.pagesize import PageSize
from domain.providers.http.patience import Patience
from domain.providers.http.table import Action, Step, action_of
from domain.validation.codes import Code


@pytest.mark.parametrize(
    ("status", "step", "code"),
    [
        (200, Step.TAKE, None),
        (204, Step.TAKE, None),
        (301, Step.FOLLOW, None),
        (304, Step.REFUSE, Code.CONN_REQUEST_REFUSED),
        (308, Step.FOLLOW, None),
        (400, Step.REFUSE, Code.CONN_REQUEST_REFUSED),
        (401, Step.RENEW, Code.CONN_AUTH_REJECTED),
        (403, Step.REFUSE, Code.CONN_FORBIDDEN_SCOPE),
        (404, Step.REFUSE, Code.CONN_FORBIDDEN_SCOPE),
        (408, Step.RETRY_SMALLER, Code.CONN_TIMEOUT),
        (413, Step.SHRINK, Code.CONN_REQUEST_REFUSED),
        (422, Step.REFUSE, Code.CONN_REQUEST_REFUSED),
        (429, Step.WAIT, Code.CONN_THROTTLED),
        (500, Step.RETRY_SMALLER, Code.CONN_SERVER_ERROR),
        (501, Step.REFUSE, Code.CONN_REQUEST_REFUSED),
        (502, Step.RETRY_SMALLER, Code.CONN_SERVER_ERROR),
        (503, Step.RETRY_SMALLER, Code.CONN_SERVER_ERROR),
        (504, Step.RETRY_SMALLER, Code.CONN_SERVER_ERROR),
        (599, Step.RETRY_SMALLER, Code.CONN_SERVER_ERROR),
    ],
)
def test_a_status_has_its_action(status, step, code):
    assert action_of(status) == Action(step, code)


@given(st.integers(100, 999))
def test_every_status_is_taken_or_followed_or_has_a_code_to_fail_with(status):
    step, code = action_of(status)
    assert (step is Step.TAKE) == (200 <= status < 300)
    assert (code is None) == (step in {Step.TAKE, Step.FOLLOW})


@given(
    st.integers(1, 10_000),
    st.floats(0, 1),
    st.floats(0.001, 10),
    st.floats(0.001, 100),
)
def test_a_wait_lies_between_nothing_and_the_doubled_first_wait(attempt, chance, first, longest):
    patience = Patience(first_wait=first, longest_wait=longest)
    wait = patience.wait_after(attempt, chance)
    assert 0 <= wait <= min(longest, first * 2.0 ** min(attempt - 1, 1000))


def test_the_longest_waits_double_up_to_the_limit():
    patience = Patience(first_wait=0.5, longest_wait=3.0)
    assert [patience.wait_after(attempt, 1.0) for attempt in range(1, 6)] == [0.5, 1, 2, 3, 3]


@given(st.integers(0, 10**8))
def test_retry_after_is_read_as_seconds(seconds):
    assert retry_after({"retry-after": f" {seconds} "}) == seconds


@given(st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)), st.integers(-1000, 100_000))  # noqa: DTZ001
def test_retry_after_is_read_as_a_date_by_the_providers_clock(naive, seconds):
    now = naive.replace(microsecond=0, tzinfo=UTC)
    headers = {
        "retry-after": format_datetime(now + timedelta(seconds=seconds), usegmt=True),
        "date": format_datetime(now, usegmt=True),
    }
    assert retry_after(headers) == max(0, seconds)


@given(st.text())
def test_retry_after_never_fails(text):
    wait = retry_after({"retry-after": text})
    assert wait is None or 0 <= wait < math.inf


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "nan", "٣", "Mon, 99 Foo 2026"])
def test_no_wait_is_read_from_what_is_none(text):
    assert retry_after({"retry-after": text}) is None


def test_an_endless_wait_stays_a_number():
    assert retry_after({"retry-after": "9" * 400}) == 1e9


def test_a_page_is_halved_down_to_the_smallest():
    page_size = PageSize(450, smallest=100)
    assert [(page_size.halve(), page_size.size) for _ in range(4)] == [
        (True, 225),
        (True, 112),
        (True, 100),
        (False, 100),
    ]
