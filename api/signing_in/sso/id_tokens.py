"""Verifying an id_token: who signed it, for whom, when, and for which sign-in of ours."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey, RSAKey

from api.signing_in.sso.failures import Fault, ProviderFailed
from api.signing_in.sso.providers import TENANT_ID

TOLERANCE: Final = timedelta(seconds=60)
"""How far a provider's clock may be from ours."""
_LAST_SECOND: Final = 253402300799  # of the year 9999
_LONGEST_HEADER: Final = 8192  # certificates may be in it
_TENANT_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY_TYPES: Final[Mapping[str, tuple[str, type[RSAKey | ECKey]]]] = {
    "RS256": ("RSA", RSAKey),
    "PS256": ("RSA", RSAKey),
    "ES256": ("EC", ECKey),
}

Claims = Mapping[str, Any]
Jwk = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """`issuer` may have TENANT_ID in it, for which the token's own tid is put."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """What an id_token says of its signature: only which of the known keys is to be taken.

    Keys that it brings along, or addresses of keys, are not even looked at.
    """

    algorithm: str
    kid: str | None


def read_header(token: str, algorithms: Sequence[str]) -> Header:
    """Nothing of it is proved. Raises ProviderFailed for an algorithm that is not allowed."""
    try:
        header = jws.extract_compact(token.encode(), registry=_registry(algorithms)).headers()
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise ProviderFailed(Fault.ID_TOKEN_MALFORMED) from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise ProviderFailed(Fault.ID_TOKEN_ALGORITHM)
    if kid is not None and not isinstance(kid, str):
        raise ProviderFailed(Fault.ID_TOKEN_MALFORMED)
    return Header(algorithm, kid)


def verify(token: str, keys: Sequence[Jwk], expected: Expected, *, now: datetime) -> Claims:
    """The claims. Raises ProviderFailed with the first thing that is wrong."""
    header = read_header(token, expected.algorithms)
    key = _choose(keys, header)
    claims = _verify_signature(token, key, header.algorithm)
    _check_issuer(claims, key, expected.issuer)
    _check_audience(claims, expected.client_id)
    _check_times(claims, now)
    if claims.get("nonce") != expected.nonce:
        raise ProviderFailed(Fault.ID_TOKEN_NONCE)
    if not text_of(claims, "sub"):
        raise ProviderFailed(Fault.ID_TOKEN_SUBJECT)
    return claims


def _choose(keys: Sequence[Jwk], header: Header) -> Jwk:
    """The key of that name; without a name, the only one that fits the algorithm."""
    kind = _KEY_TYPES[header.algorithm][0]
    fitting = [
        key
        for key in keys
        if key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", header.algorithm) == header.algorithm
        and header.kid in {None, key.get("kid")}
    ]
    if not fitting or (header.kid is None and len(fitting) > 1):
        raise ProviderFailed(Fault.ID_TOKEN_KEY)
    return fitting[0]


def _verify_signature(token: str, jwk: Jwk, algorithm: str) -> Claims:
    key_class = _KEY_TYPES[algorithm][1]
    try:
        key = key_class.import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ProviderFailed(Fault.ID_TOKEN_KEY) from error
    try:
        return jwt.decode(token, key, registry=_registry([algorithm])).claims
    except BadSignatureError as error:
        raise ProviderFailed(Fault.ID_TOKEN_SIGNATURE) from error
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise ProviderFailed(Fault.ID_TOKEN_MALFORMED) from error


def _registry(algorithms: Sequence[str]) -> jws.JWSRegistry:
    """Whatever else a provider writes into its headers is its own affair, except for `crit`."""
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = _LONGEST_HEADER
    return registry


def _check_issuer(claims: Claims, key: Jwk, issuer: str) -> None:
    """Of a provider with many tenants, a key may be good for one of them only."""
    said = claims.get("iss")
    if TENANT_ID in issuer:
        tid = claims.get("tid")
        if not (isinstance(tid, str) and _TENANT_ID.fullmatch(tid)):
            raise ProviderFailed(Fault.ID_TOKEN_ISSUER)
        owner = key.get("issuer", issuer)
        if not isinstance(owner, str) or owner.replace(TENANT_ID, tid) != said:
            raise ProviderFailed(Fault.ID_TOKEN_ISSUER)
        issuer = issuer.replace(TENANT_ID, tid)
    if said != issuer:
        raise ProviderFailed(Fault.ID_TOKEN_ISSUER)


def _check_audience(claims: Claims, client_id: str) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", client_id if len(audiences) == 1 else None)
    if client_id not in audiences or party != client_id:
        raise ProviderFailed(Fault.ID_TOKEN_AUDIENCE)


def _check_times(claims: Claims, now: datetime) -> None:
    moment, tolerance = now.timestamp(), TOLERANCE.total_seconds()
    ends, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
    begins = _seconds(claims, "nbf") if "nbf" in claims else issued
    is_valid = ends > moment - tolerance and max(issued, begins) <= moment + tolerance
    if not is_valid:
        raise ProviderFailed(Fault.ID_TOKEN_TIME)


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProviderFailed(Fault.ID_TOKEN_TIME)
    # Not NaN either, which is neither before nor after anything.
    if not 0 <= value <= _LAST_SECOND:
        raise ProviderFailed(Fault.ID_TOKEN_TIME)
    return float(value)


def text_of(claims: Mapping[str, Any], name: str) -> str:
    """Empty where there is no text of that name, or one that no id and no address looks like."""
    value = claims.get(name)
    return value if isinstance(value, str) and value.isprintable() else ""
