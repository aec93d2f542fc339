"""Google as an identity provider: OpenID Connect, the school's domain in `hd`."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from typing_extensions import override

from tests.fakes.identity import (
    IN_EVERY_ANSWER,
    IN_ID_TOKENS,
    Asked,
    Grant,
    IdentityFake,
    Manners,
    Misdeed,
    Person,
)
from tests.fakes.identity_tokens import token_answer
from tests.fakes.identity_web import app_of, authorize


@dataclass(frozen=True, slots=True, kw_only=True)
class GooglePerson(Person):
    """`key` is the hosted domain; consumers have none."""

    is_verified: bool = True


class GoogleIdentity(IdentityFake[GooglePerson]):
    name = "google"
    manners = Manners(
        authorize_parameters=frozenset(
            {"scope", "nonce", "code_challenge", "code_challenge_method", "hd", "login_hint"}
        ),
        token_fields=frozenset({"code_verifier"}),
        client_auth=frozenset({"basic", "post"}),
        code_seconds=600,
        needs_scope=True,
        checks_verifier=True,
    )
    misdeeds = (
        IN_EVERY_ANSWER
        | IN_ID_TOKENS
        | {
            Misdeed.NO_HOSTED_DOMAIN,
            Misdeed.OTHER_HOSTED_DOMAIN,
            Misdeed.ADDRESS_UNVERIFIED,
        }
    )
    changes: ClassVar[Mapping[Misdeed, Mapping[str, Any]]] = {
        Misdeed.NO_HOSTED_DOMAIN: {"key": ""},
        Misdeed.OTHER_HOSTED_DOMAIN: {"key": "elsewhere.example"},
        Misdeed.ADDRESS_UNVERIFIED: {"is_verified": False},
    }

    @override
    def answer_extras(self, grant_scope: str) -> dict[str, str]:
        return {"scope": grant_scope, "authuser": "0", "prompt": "none"}

    @override
    def claims_of(self, grant: Grant[GooglePerson], access_token: str) -> dict[str, Any]:
        person = grant.person
        claims: dict[str, Any] = {
            "azp": self.application.client_id,
            "sub": person.subject,
            "at_hash": _half_hash(access_token),
        }
        if person.key:
            claims["hd"] = person.key
        if "email" in grant.scope:
            claims |= {"email": person.address, "email_verified": person.is_verified}
        if "profile" in grant.scope:
            claims["name"] = person.name
        return claims


def _half_hash(access_token: str) -> str:
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    return urlsafe_b64encode(half).rstrip(b"=").decode()


def create_app(fake: GoogleIdentity) -> Starlette:
    """What Google has at several addresses, at one, which is the issuer as well."""
    return app_of(
        fake,
        {
            "/.well-known/openid-configuration": _discovery,
            "/o/oauth2/v2/auth": lambda asked: authorize(fake, asked),
            "/token": lambda asked: token_answer(fake, asked),
            "/oauth2/v3/certs": lambda _: JSONResponse(fake.keys.published({})),
        },
    )


def _discovery(asked: Asked) -> Response:
    base_url = asked.base_url
    return JSONResponse(
        {
            "issuer": base_url,
            "authorization_endpoint": f"{base_url}/o/oauth2/v2/auth",
            "token_endpoint": f"{base_url}/token",
            "jwks_uri": f"{base_url}/oauth2/v3/certs",
            "response_types_supported": ["code", "none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "client_secret_basic",
            ],
            "code_challenge_methods_supported": ["plain", "S256"],
            "grant_types_supported": ["authorization_code"],
        }
    )
