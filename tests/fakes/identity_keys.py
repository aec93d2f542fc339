"""The keys of a fake identity provider, and the signatures that it, or a forger, makes."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import KeyParameters, RSAKey

_BITS: Final = 2048


@cache
def _made(owner: str, number: int) -> RSAKey:
    """The same for all fakes of a provider: a key costs a moment to make."""
    parameters: KeyParameters = {"kid": f"{owner}-{number}", "use": "sig", "alg": "RS256"}
    return RSAKey.generate_key(_BITS, parameters=parameters)


class Keys:
    """Those that are published; the last is the one that signs. `forged` never is."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._numbers = [1]

    @property
    def current(self) -> RSAKey:
        return _made(self._owner, self._numbers[-1])

    @property
    def forged(self) -> RSAKey:
        return _made(f"{self._owner}-forged", 1)

    def rotate(self, *, keeps_former: bool = True) -> None:
        """Another key signs from now on, and is published."""
        former = self._numbers if keeps_former else []
        self._numbers = [*former, self._numbers[-1] + 1]

    def published(self, more: Mapping[str, str]) -> dict[str, Any]:
        """The JWKS. `more` is what the provider says besides of every key."""
        keys = [_made(self._owner, number).as_dict(private=False) for number in self._numbers]
        return {"keys": [{**key, **more} for key in keys]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        return _sign(self.current, claims, header)

    def forge(self, claims: Mapping[str, Any], **header: Any) -> str:
        """With a key that is not published."""
        return _sign(self.forged, claims, header)

    def sign_with_public_key(self, claims: Mapping[str, Any]) -> str:
        """HS256, its secret the text of the key that everybody knows."""
        head = {"alg": "HS256", "typ": "JWT", "kid": self.current.kid}
        signed = f"{_part(head)}.{_part(claims)}"
        mac = hmac.digest(self.current.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{_encoded(mac)}"


def _sign(key: RSAKey, claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, dict(claims), key)


def unsigned(claims: Mapping[str, Any]) -> str:
    """The algorithm is none, and so is the signature."""
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(values: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(values).encode())


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
