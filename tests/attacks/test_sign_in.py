"""F: ways around signing in. Most are tried beside the flows: see cases.py."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.signing_in.returning import ReturnRefused, check_return

ORIGIN = "https://homerow.example"
FRONTEND = "https://typing.example"
CHALLENGE = "c" * 43
ODD = st.text(st.sampled_from("/\\.:@?#%;&= \t\r\n\x00a-\u2044\uff0fevil"), max_size=12)


def accepted(url: str, challenge: str | None = None) -> str | None:
    try:
        return check_return(url, challenge, origins=frozenset({FRONTEND})).url
    except ReturnRefused:
        return None


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https://evil.example",
        "https://homerow.example.evil.example",
        "https://homerow.example@evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "landing",
        "/landing\r\nSet-Cookie: a=b",
        "/\uff0fevil.example",
        "/" + "x" * 2001,
    ],
)
def test_f6_nobody_is_sent_to_another_site(url: str) -> None:
    for challenge in (None, CHALLENGE):
        assert accepted(url, challenge) is None


@given(url=st.one_of(ODD, ODD.map(lambda text: f"/{text}"), ODD.map(lambda text: f"//{text}")))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_f6_whatever_is_taken_stays_on_our_own_site(url: str) -> None:
    taken = accepted(url)
    if taken:
        assert urlsplit(urljoin(f"{ORIGIN}/t/alpha", taken)).netloc == "homerow.example"
        assert taken.startswith("/")
        assert not taken.startswith(("//", "/\\"))
        assert taken.isascii()
        assert taken.isprintable()


@given(rest=ODD)
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_f6_a_frontend_is_one_that_the_settings_name(rest: str) -> None:
    taken = accepted(FRONTEND + rest, CHALLENGE)
    if taken:
        assert urlsplit(taken).hostname == "typing.example"
        assert urlsplit(taken).username is None
        assert "\\" not in taken
    assert accepted(FRONTEND + rest) is None
