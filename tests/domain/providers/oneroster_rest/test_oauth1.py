"""OAuth 1.0a against the examples of RFC 5849, and against what servers really get."""

import asyncio
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.oneroster_rest.auth.oauth1 import (
    OAuth1,
    SignatureMethod,
    base_string,
    percent_encoded,
    signature,
)

SHA1, SHA256 = SignatureMethod.HMAC_SHA1, SignatureMethod.HMAC_SHA256


def test_the_base_string_is_that_of_the_standard():
    """RFC 5849, section 3.4.1.1: escapes, doubles, blank values, and `+` for a space."""
    url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
    parameters = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
        ("c2", ""),
        ("a3", "2 q"),
    ]
    assert base_string("post", url, parameters) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D"
        "%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3"
        "e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkk"
        "k9d7dh3k39sjv7"
    )


def test_a_request_without_a_token_is_signed_as_in_the_standard():
    """RFC 5849, section 1.2: the request for temporary credentials."""
    parameters = [
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131200"),
        ("oauth_nonce", "wIjqoS"),
        ("oauth_callback", "http://printer.example.com/ready"),
    ]
    text = base_string("POST", "https://photos.example.net/initiate", parameters)
    assert signature(text, "kd94hf93k423kf44", SHA1) == "74KNZJeDHnMBp0EMJ9ZHt/XKycU="


def test_a_query_is_signed_as_in_the_standard():
    """RFC 5849, section 1.2: the request for a photo, with a token."""
    parameters = [
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
        ("oauth_token", "nnch734d00sl2jdk"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131202"),
        ("oauth_nonce", "chapoH"),
    ]
    url = "http://photos.example.net/photos?file=vacation.jpg&size=original"
    text = base_string("GET", url, parameters)
    of_token = {"token_secret": "pfkkdhi9sl3r4s00"}
    signed = signature(text, "kd94hf93k423kf44", SHA1, **of_token)
    assert signed == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://h.example:443/a", "https://h.example/a"),
        ("https://h.example:8443/a", "https://h.example:8443/a"),
        ("HTTP://H.example", "http://h.example/"),
        ("http://[2001:db8::1]:8080/A%2Fb", "http://[2001:db8::1]:8080/A%2Fb"),
    ],
)
def test_the_address_is_signed_without_a_default_port_and_with_its_escapes(url, address):
    assert base_string("GET", url, [("a", "b")]) == f"GET&{percent_encoded(address)}&a%3Db"


def test_an_apostrophe_and_a_slash_are_escaped():
    assert percent_encoded("it's (a/b)!*~-._") == "it%27s%20%28a%2Fb%29%21%2A~-._"


def test_a_filter_is_part_of_what_is_signed():
    url = "https://h.example/users?filter=dateLastModified%3E%3D%272026-11-01T00%3A00%3A00.000Z%27"
    assert base_string("GET", url, []) == (
        "GET&https%3A%2F%2Fh.example%2Fusers&filter%3DdateLastModified%253E%253D%25272026-11-01T00"
        "%253A00%253A00.000Z%2527"
    )


@given(st.text(max_size=20))
def test_what_is_encoded_is_decoded_to_the_same(text):
    encoded = percent_encoded(text)
    assert unquote(encoded) == text
    assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*", encoded)


@pytest.mark.parametrize(("method", "has_version"), [(SHA1, True), (SHA256, False)])
def test_the_header_names_the_method_and_what_the_signature_is_made_of(method, has_version):
    signer = OAuth1("key", "se/cret", method)
    header = signer.authorization("GET", "https://h.example/orgs?limit=1", nonce="n", moment="7")
    pairs = dict(re.findall(r'(oauth_\w+)="([^"]*)"', header))
    version = {"oauth_version": "1.0"} if has_version else {}
    oauth = {
        "oauth_consumer_key": "key",
        "oauth_nonce": "n",
        "oauth_signature_method": method.value,
        "oauth_timestamp": "7",
        **version,
    }
    text = base_string("GET", "https://h.example/orgs?limit=1", oauth.items())
    assert header.startswith("OAuth ")
    assert pairs == {
        **oauth,
        "oauth_signature": percent_encoded(signature(text, "se/cret", method)),
    }


def test_no_two_attempts_have_the_same_nonce():
    signer = OAuth1("key", "secret", SHA256)
    headers = [
        asyncio.run(signer.headers("GET", "https://h.example/"))["Authorization"] for _ in "ab"
    ]
    nonces = {re.search(r'oauth_nonce="(\w{32})"', header).group(1) for header in headers}
    assert len(nonces) == 2


def test_a_refusal_is_answered_once_by_the_other_method_where_that_is_allowed():
    signer = OAuth1("key", "secret", SHA256, may_change=True)
    assert asyncio.run(signer.renew())
    assert signer.signature_method is SHA1
    assert not asyncio.run(signer.renew())
    assert not asyncio.run(OAuth1("key", "secret", SHA256).renew())


def test_the_secret_is_not_shown():
    assert "hidden" not in repr(OAuth1("key", "hidden", SHA256))
