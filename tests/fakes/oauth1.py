"""OAuth 1.0a without a token, as RFC 5849 has it: what a signature should have been.

Written from the RFC alone, without a look at the code that it is to judge.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote, unquote, urlsplit

Pair = tuple[str, str]

WINDOW_SECONDS: Final = 300
HASHES: Final = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}

_PARAMETER = re.compile(r'\s*([A-Za-z0-9_]+)="([^"]*)"\s*')
_REQUIRED: Final = frozenset(
    {
        "oauth_consumer_key",
        "oauth_nonce",
        "oauth_signature",
        "oauth_signature_method",
        "oauth_timestamp",
    }
)


def escape(text: str) -> str:
    """Section 3.6: all but the unreserved characters."""
    return quote(text, safe="-._~")


def base_string(method: str, url: str, parameters: Iterable[Pair]) -> str:
    """Section 3.4.1. `url` may have a query, whose parameters count too."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    default = {"http": 80, "https": 443}[parts.scheme.lower()]
    port = f":{parts.port}" if parts.port not in {None, default} else ""
    pairs = [*query_pairs(parts.query), *parameters]
    encoded = sorted((escape(name), escape(value)) for name, value in pairs)
    normal = "&".join(f"{name}={value}" for name, value in encoded)
    resource = f"{parts.scheme.lower()}://{host}{port}{parts.path or '/'}"
    return "&".join((method.upper(), escape(resource), escape(normal)))


def query_pairs(query: str) -> list[Pair]:
    """Every parameter as it was sent. `+` is a plus: who means a space must say %20."""
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in parts]


def sign(base: str, *, method: str, secret: str, token_secret: str = "") -> str:
    key = f"{escape(secret)}&{escape(token_secret)}".encode()
    digest = hmac.new(key, base.encode(), HASHES[method]).digest()
    return base64.b64encode(digest).decode()


def parse_header(header: str) -> dict[str, str] | None:
    """The parameters of an Authorization header, or None where it is not such a header."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth":
        return None
    matches = [_PARAMETER.fullmatch(part) for part in rest.split(",")]
    found = [(unquote(match[1]), unquote(match[2])) for match in matches if match]
    is_whole = len(found) == len(matches) and len(dict(found)) == len(found)
    return dict(found) if is_whole else None


class Verifier:
    """Says what is wrong with a signed request. A nonce is taken once."""

    def __init__(self, *, key: str, secret: str, method: str, clock: Callable[[], float]) -> None:
        self._key = key
        self._secret = secret
        self._method = method
        self._clock = clock
        self._used: set[Pair] = set()

    def fault(self, method: str, url: str, header: str) -> str | None:
        """None for a request that is signed as it should be."""
        given = parse_header(header)
        if given is None:
            return "there is no readable OAuth header"
        if missing := _REQUIRED - given.keys():
            return f"missing: {', '.join(sorted(missing))}"
        if fault := self._fault_of_parameters(given):
            return fault
        signed = [pair for pair in given.items() if pair[0] not in {"oauth_signature", "realm"}]
        wanted = sign(base_string(method, url, signed), method=self._method, secret=self._secret)
        if not hmac.compare_digest(wanted, given["oauth_signature"]):
            return "the signature is wrong"
        self._used.add((given["oauth_timestamp"], given["oauth_nonce"]))
        return None

    def _fault_of_parameters(self, given: dict[str, str]) -> str | None:
        timestamp = given["oauth_timestamp"]
        checks = (
            (given["oauth_consumer_key"] == self._key, "the key is unknown"),
            (given["oauth_signature_method"] == self._method, "another method is wanted"),
            (given.get("oauth_version", "1.0") == "1.0", "the version is not 1.0"),
            (not given.get("oauth_token"), "there are no tokens here"),
            (bool(given["oauth_nonce"]), "the nonce is blank"),
            (timestamp.isdecimal(), "the timestamp is no number"),
        )
        if fault := next((fault for is_fine, fault in checks if not is_fine), None):
            return fault
        if abs(self._clock() - int(timestamp)) > WINDOW_SECONDS:
            return "the timestamp is too far from now"
        if (timestamp, given["oauth_nonce"]) in self._used:
            return "the nonce was used before"
        return None
