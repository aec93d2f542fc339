"""Microsoft as an identity provider: work and school accounts of many tenants, at one address."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

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
    Refused,
)
from tests.fakes.identity_tokens import token_answer
from tests.fakes.identity_web import app_of, authorize, person_at, problem

CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of everybody's personal account."""
HOME_OF_GUESTS: Final = "5d1c1b0a-7c55-4a2c-9a54-0b8d1a6e7f01"
_MANY: Final = frozenset({"organizations", "common"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftPerson(Person):
    """`subject` is the oid, `key` the tid, `address` the preferred_username.

    `email` is whatever the person's own administrator, or the person, has written there.
    """

    email: str = ""
    is_guest: bool = False


class MicrosoftIdentity(IdentityFake[MicrosoftPerson]):
    name = "microsoft"
    manners = Manners(
        authorize_parameters=frozenset(
            {
                "scope",
                "nonce",
                "code_challenge",
                "code_challenge_method",
                "domain_hint",
                "login_hint",
            }
        ),
        token_fields=frozenset({"code_verifier", "scope"}),
        client_auth=frozenset({"basic", "post"}),
        code_seconds=600,
        needs_scope=True,
        checks_verifier=True,
    )
    misdeeds = IN_EVERY_ANSWER | IN_ID_TOKENS | {Misdeed.PERSONAL_ACCOUNT, Misdeed.GUEST}
    changes: ClassVar[Mapping[Misdeed, Mapping[str, Any]]] = {
        Misdeed.PERSONAL_ACCOUNT: {"key": CONSUMERS},
        Misdeed.GUEST: {"is_guest": True},
    }

    @override
    def issuer_of(self, base_url: str, person: MicrosoftPerson) -> str:
        return f"{base_url}/{person.key}/v2.0"

    @override
    def other_issuer(self, base_url: str) -> str:
        """Of another tenant, while the claim tid stays."""
        return f"{base_url}/{HOME_OF_GUESTS}/v2.0"

    @override
    def answer_extras(self, grant_scope: str) -> dict[str, str]:
        return {"session_state": "0d6a7b1e-0a2f-4f52-9d39-f70a3d4ed0c1"}

    @override
    def claims_of(self, grant: Grant[MicrosoftPerson], access_token: str) -> dict[str, Any]:
        """Who it is says only whoever may read the profile."""
        person, now = grant.person, int(self.clock())
        pair = f"{self.application.client_id} {person.subject}"
        claims: dict[str, Any] = {
            "nbf": now,
            "sub": hashlib.sha256(pair.encode()).hexdigest(),
            "tid": person.key,
            "ver": "2.0",
        }
        if "profile" in grant.scope:
            claims |= {
                "oid": person.subject,
                "name": person.name,
                "preferred_username": person.address,
            }
        if "email" in grant.scope and person.email:
            claims["email"] = person.email
        if person.is_guest:
            claims["idp"] = f"https://sts.windows.net/{HOME_OF_GUESTS}/"
        return claims


def create_app(fake: MicrosoftIdentity) -> Starlette:
    return app_of(
        fake,
        {
            "/{tenant}/v2.0/.well-known/openid-configuration": lambda asked: _discovery(
                fake, asked
            ),
            "/{tenant}/oauth2/v2.0/authorize": lambda asked: _authorize(fake, asked),
            "/{tenant}/oauth2/v2.0/token": lambda asked: token_answer(fake, asked),
            "/{tenant}/discovery/v2.0/keys": lambda asked: _keys(fake, asked),
        },
    )


def _tenant(fake: MicrosoftIdentity, asked: Asked) -> str:
    """Raises Refused."""
    tenant = asked.places["tenant"]
    if tenant not in _MANY | {person.key for person in fake.people}:
        raise Refused("invalid_tenant", f"The tenant {tenant} is unknown.")
    return tenant


def _issuer(tenant: str, base_url: str) -> str:
    """Of many tenants, a pattern."""
    return f"{base_url}/{'{tenantid}' if tenant in _MANY else tenant}/v2.0"


def _discovery(fake: MicrosoftIdentity, asked: Asked) -> Response:
    tenant, base_url = _tenant(fake, asked), asked.base_url
    return JSONResponse(
        {
            "issuer": _issuer(tenant, base_url),
            "authorization_endpoint": f"{base_url}/{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base_url}/{tenant}/oauth2/v2.0/token",
            "jwks_uri": f"{base_url}/{tenant}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "code id_token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
        }
    )


def _keys(fake: MicrosoftIdentity, asked: Asked) -> Response:
    issuer = _issuer(_tenant(fake, asked), asked.base_url)
    return JSONResponse(fake.keys.published({"issuer": issuer}))


def _authorize(fake: MicrosoftIdentity, asked: Asked) -> Response:
    """`organizations` lets nobody in with a personal account, a tenant only its own people."""
    tenant, person = _tenant(fake, asked), person_at(fake, asked)
    if person is not None:
        is_personal = person.key == CONSUMERS and tenant == "organizations"
        is_foreign = tenant not in _MANY and tenant != person.key
        if is_personal or is_foreign:
            return problem(f"{person.name} has no account in {tenant}.")
    return authorize(fake, asked)
