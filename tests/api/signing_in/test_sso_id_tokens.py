"""id_tokens: every way in which one can be wrong, one by one."""

import base64
import hmac
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from api.signing_in.sso.failures import ProviderFailed
from api.signing_in.sso.id_tokens import Expected, verify

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
ISSUER = "https://idp.example"
TID = "11111111-2222-3333-4444-555555555555"
OTHER_TID = "99999999-2222-3333-4444-555555555555"
EXPECTED = Expected(ISSUER, "our-client", "our-nonce", ("RS256",))
OF_TENANTS = Expected(ISSUER + "/{tenantid}/v2.0", "our-client", "our-nonce", ("RS256",))
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "our-client",
    "sub": "person-1",
    "nonce": "our-nonce",
    "iat": MOMENT,
    "exp": MOMENT + 3600,
}


@cache
def rsa(kid: str = "k1") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@cache
def elliptic() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "e1"})


def published(**more: object) -> dict[str, Any]:
    return {**rsa().as_dict(private=False), **more}


def signed(claims: dict[str, Any], *, key: Any = None, **header: object) -> str:
    head = {"alg": "RS256", "kid": "k1", **header}
    kept = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(kept, claims, key or rsa(), algorithms=[str(head["alg"])])


def unsigned(claims: dict[str, Any], **header: object) -> str:
    parts = (json.dumps(part).encode() for part in ({"kid": "k1", **header}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def fault_of(token: str, expected: Expected = EXPECTED, keys: Any = None) -> str:
    with pytest.raises(ProviderFailed) as caught:
        verify(token, keys if keys is not None else [published()], expected, now=NOW)
    return caught.value.fault.value


def test_a_good_token_is_taken() -> None:
    assert verify(signed(CLAIMS), [published()], EXPECTED, now=NOW) == CLAIMS


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"iss": "https://evil.example"}, "ID_TOKEN_ISSUER"),
        ({"iss": ISSUER + "/"}, "ID_TOKEN_ISSUER"),
        ({"iss": None}, "ID_TOKEN_ISSUER"),
        ({"iss": [ISSUER]}, "ID_TOKEN_ISSUER"),
        ({"aud": "another-client"}, "ID_TOKEN_AUDIENCE"),
        ({"aud": ["another-client"]}, "ID_TOKEN_AUDIENCE"),
        ({"aud": ["our-client", "another-client"]}, "ID_TOKEN_AUDIENCE"),
        (
            {"aud": ["our-client", "another-client"], "azp": "another-client"},
            "ID_TOKEN_AUDIENCE",
        ),
        ({"azp": "another-client"}, "ID_TOKEN_AUDIENCE"),
        ({"aud": None}, "ID_TOKEN_AUDIENCE"),
        ({"aud": {"our-client": 1}}, "ID_TOKEN_AUDIENCE"),
        ({"nonce": "another-nonce"}, "ID_TOKEN_NONCE"),
        ({"nonce": None}, "ID_TOKEN_NONCE"),
        ({"sub": ""}, "ID_TOKEN_SUBJECT"),
        ({"sub": 17}, "ID_TOKEN_SUBJECT"),
        ({"exp": MOMENT - 60}, "ID_TOKEN_TIME"),
        ({"exp": None}, "ID_TOKEN_TIME"),
        ({"exp": "never"}, "ID_TOKEN_TIME"),
        ({"exp": True}, "ID_TOKEN_TIME"),
        ({"exp": 10**400}, "ID_TOKEN_TIME"),
        ({"iat": MOMENT + 61}, "ID_TOKEN_TIME"),
        ({"iat": None}, "ID_TOKEN_TIME"),
        ({"nbf": MOMENT + 61}, "ID_TOKEN_TIME"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_claim_that_is_wrong_is_refused(changes: dict[str, Any], fault: str) -> None:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}

    assert fault_of(signed(claims)) == fault


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": MOMENT - 59},
        {"iat": MOMENT + 60, "nbf": MOMENT + 60},
        {"aud": ["our-client"]},
        {"aud": ["our-client", "another-client"], "azp": "our-client"},
        {"exp": MOMENT + 0.5},
    ],
    ids=str,
)
def test_a_clock_that_is_a_minute_off_and_a_list_of_audiences_are_taken(
    changes: dict[str, Any],
) -> None:
    claims = {**CLAIMS, **changes}

    assert verify(signed(claims), [published()], EXPECTED, now=NOW) == claims


def test_a_token_without_a_signature_is_refused() -> None:
    for algorithm in ("none", "None", "NONE", ""):
        assert fault_of(unsigned(CLAIMS, alg=algorithm)) == "ID_TOKEN_ALGORITHM"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    body = unsigned(CLAIMS, alg="HS256").rstrip(".")
    for secret in (rsa().as_pem(private=False), json.dumps(published()).encode(), b""):
        mac = hmac.digest(secret, body.encode(), "sha256")
        token = f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        assert fault_of(token) == "ID_TOKEN_ALGORITHM"
        named = Expected(ISSUER, "our-client", "our-nonce", ("RS256", "PS256", "ES256"))
        assert fault_of(token, named) == "ID_TOKEN_ALGORITHM"


def test_an_algorithm_that_the_provider_does_not_name_is_refused() -> None:
    token = signed(CLAIMS, key=elliptic(), alg="ES256", kid="e1")
    keys = [elliptic().as_dict(private=False)]

    assert fault_of(token, keys=keys) == "ID_TOKEN_ALGORITHM"
    named = Expected(ISSUER, "our-client", "our-nonce", ("RS256", "ES256"))
    assert verify(token, keys, named, now=NOW) == CLAIMS


def test_a_key_of_another_kind_use_or_algorithm_is_not_taken() -> None:
    secret = {"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}
    for key in (
        secret,
        published(use="enc"),
        published(alg="PS256"),
        published(n="not a number!"),
        {"kty": "RSA", "kid": "k1"},
    ):
        assert fault_of(signed(CLAIMS), keys=[key]) == "ID_TOKEN_KEY"


def test_the_key_is_chosen_by_its_name() -> None:
    keys = [rsa("k2").as_dict(private=False), published()]

    assert verify(signed(CLAIMS), keys, EXPECTED, now=NOW) == CLAIMS
    assert fault_of(signed(CLAIMS, kid="k2"), keys=keys) == "ID_TOKEN_SIGNATURE"
    assert fault_of(signed(CLAIMS, kid="k3"), keys=keys) == "ID_TOKEN_KEY"


def test_without_a_name_only_the_only_key_is_taken() -> None:
    token = signed(CLAIMS, kid=None)

    assert verify(token, [published()], EXPECTED, now=NOW) == CLAIMS
    both = [rsa("k2").as_dict(private=False), published()]
    assert fault_of(token, keys=both) == "ID_TOKEN_KEY"


def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    mallory = rsa("k2")
    for brought in (
        {"jwk": mallory.as_dict(private=False)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/certificate"},
    ):
        token = signed(CLAIMS, key=mallory, **brought)
        assert fault_of(token) == "ID_TOKEN_SIGNATURE"


def test_a_token_that_was_changed_is_refused() -> None:
    head, _, signature = signed(CLAIMS).split(".")
    other = signed({**CLAIMS, "sub": "person-2"}).split(".")[1]

    assert fault_of(f"{head}.{other}.{signature}") == "ID_TOKEN_SIGNATURE"
    assert fault_of(f"{head}.{other}.") == "ID_TOKEN_SIGNATURE"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "no token",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        unsigned({}, alg="RS256", crit=["unheard-of"]) + "c2ln",
        base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.c2ln",
        "e30." + "e30" * 100_000 + ".c2ln",
    ],
    ids=lambda token: str(token)[:20],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert fault_of(token) in {"ID_TOKEN_MALFORMED", "ID_TOKEN_ALGORITHM"}


def test_claims_that_are_no_object_are_refused() -> None:
    token = jws.serialize_compact({"alg": "RS256", "kid": "k1"}, b"[1]", rsa())
    assert fault_of(token) == "ID_TOKEN_MALFORMED"


def of_tenant(tid: object, issuer: str | None = None) -> dict[str, Any]:
    return {**CLAIMS, "iss": issuer or f"{ISSUER}/{tid}/v2.0", "tid": tid}


def test_the_issuer_of_many_tenants_is_the_tokens_own_tenant() -> None:
    claims = of_tenant(TID)

    assert verify(signed(claims), [published()], OF_TENANTS, now=NOW) == claims
    for wrong in (
        of_tenant(TID, f"{ISSUER}/{OTHER_TID}/v2.0"),
        of_tenant(TID, f"{ISSUER}/{{tenantid}}/v2.0"),
        of_tenant("{tenantid}"),
        of_tenant("organizations"),
        of_tenant(f"{TID}/../{OTHER_TID}"),
        of_tenant(17),
        {**CLAIMS, "iss": f"{ISSUER}/{TID}/v2.0"},
    ):
        assert fault_of(signed(wrong), OF_TENANTS) == "ID_TOKEN_ISSUER"


def test_a_key_of_one_tenant_signs_for_no_other() -> None:
    own = published(issuer=f"{ISSUER}/{TID}/v2.0")
    everybodys = published(issuer=ISSUER + "/{tenantid}/v2.0")

    assert verify(signed(of_tenant(TID)), [own], OF_TENANTS, now=NOW) == of_tenant(TID)
    assert verify(signed(of_tenant(TID)), [everybodys], OF_TENANTS, now=NOW) == of_tenant(TID)
    assert fault_of(signed(of_tenant(OTHER_TID)), OF_TENANTS, [own]) == "ID_TOKEN_ISSUER"
