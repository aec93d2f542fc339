"""OAuth 1.0a without a token (RFC 5849, "two-legged"): each request is signed as it is sent."""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from domain.clock import utc_now

Parameters = Iterable[tuple[str, str]]
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class SignatureMethod(StrEnum):
    HMAC_SHA1 = "HMAC-SHA1"
    HMAC_SHA256 = "HMAC-SHA256"

    @property
    def other(self) -> "SignatureMethod":
        return _OTHERS[self]


_OTHERS: Final = {
    SignatureMethod.HMAC_SHA1: SignatureMethod.HMAC_SHA256,
    SignatureMethod.HMAC_SHA256: SignatureMethod.HMAC_SHA1,
}
_HASHES: Final = {
    SignatureMethod.HMAC_SHA1: hashlib.sha1,
    SignatureMethod.HMAC_SHA256: hashlib.sha256,
}


@dataclass(slots=True)
class OAuth1:
    """An Authorizer. With `may_change`, a 401 is answered once by the other signature method.

    The standard leaves the method to the server, and few servers say which one it is.
    """

    key: str
    secret: str = field(repr=False)
    signature_method: SignatureMethod
    may_change: bool = False

    async def headers(self, method: str, url: str) -> Mapping[str, str]:
        moment = str(int(utc_now().timestamp()))
        nonce = secrets.token_hex(16)
        return {"Authorization": self.authorization(method, url, nonce=nonce, moment=moment)}

    async def renew(self) -> bool:
        if not self.may_change:
            return False
        self.may_change = False
        self.signature_method = self.signature_method.other
        return True

    def authorization(self, method: str, url: str, *, nonce: str, moment: str) -> str:
        oauth = {
            "oauth_consumer_key": self.key,
            "oauth_nonce": nonce,
            "oauth_signature_method": self.signature_method.value,
            "oauth_timestamp": moment,
        }
        if self.signature_method is SignatureMethod.HMAC_SHA1:
            # It may be left out. ClassLink's own libraries, which sign with SHA-256, do.
            oauth["oauth_version"] = "1.0"
        signed = signature(
            base_string(method, url, oauth.items()), self.secret, self.signature_method
        )
        pairs = {**oauth, "oauth_signature": signed}
        return "OAuth " + ", ".join(
            f'{name}="{percent_encoded(value)}"' for name, value in pairs.items()
        )


def percent_encoded(text: str | bytes) -> str:
    """Everything but letters, digits and `-._~` (RFC 3986): stricter than most libraries."""
    return quote(text, safe="~")


def base_string(method: str, url: str, parameters: Parameters) -> str:
    """What is signed (RFC 5849, 3.4.1): the query is part of it, whatever its order."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme.lower()):
        host = f"{host}:{port}"
    address = f"{parts.scheme.lower()}://{host}{parts.path or '/'}"
    encoded = [(percent_encoded(name), percent_encoded(value)) for name, value in parameters]
    encoded += _query_parameters(parts.query)
    joined = "&".join(f"{name}={value}" for name, value in sorted(encoded))
    return "&".join(map(percent_encoded, (method.upper(), address, joined)))


def _query_parameters(query: str) -> list[tuple[str, str]]:
    """Decoded as a form, where `+` is a space, and encoded again in the one way."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(_encoded_again(name), _encoded_again(value)) for name, _, value in pairs]


def _encoded_again(text: str) -> str:
    return percent_encoded(unquote_to_bytes(text.replace("+", " ")))


def signature(text: str, secret: str, method: SignatureMethod, *, token_secret: str = "") -> str:
    key = f"{percent_encoded(secret)}&{percent_encoded(token_secret)}"
    digest = hmac.new(key.encode("ascii"), text.encode("ascii"), _HASHES[method])
    return b64encode(digest.digest()).decode("ascii")
