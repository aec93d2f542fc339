"""ClassLink as an identity provider: LaunchPad, its tiles, and nodeapi's my/info."""

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
from tests.fakes.identity_web import app_of, authorize, bearer_of, launch, portal

DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLinkPerson(Person):
    """`subject` is the UserId, `key` the TenantId: both are numbers at ClassLink."""

    sourced_id: str
    role: str = "Student"
    role_level: int = 4


class ClassLinkIdentity(IdentityFake[ClassLinkPerson]):
    """`launch_url` is where the tile leads; without one, to the first redirect URI."""

    name = "classlink"
    manners = Manners(
        authorize_parameters=frozenset(
            {"scope", "nonce", "code_challenge", "code_challenge_method"}
        ),
        token_fields=frozenset({"code_verifier"}),
        client_auth=frozenset({"post"}),
        code_seconds=300,
        needs_scope=True,
        checks_verifier=False,
        token_may_be_short=True,
    )
    misdeeds = IN_EVERY_ANSWER | IN_ID_TOKENS | {Misdeed.NO_SOURCED_ID}
    changes: ClassVar[Mapping[Misdeed, Mapping[str, Any]]] = {
        Misdeed.NO_SOURCED_ID: {"sourced_id": ""}
    }
    launch_url: str | None = None

    @override
    def answer_extras(self, grant_scope: str) -> dict[str, str]:
        return {"response_type": "code"}

    @override
    def claims_of(self, grant: Grant[ClassLinkPerson], access_token: str) -> dict[str, Any]:
        person, now = grant.person, int(self.clock())
        return {
            "sub": person.subject,
            "exp": now + DAY_SECONDS,
            "auth_time": now,
            "login_hint": person.address,
            "email": person.address,
            "name": person.name,
            "profile": person.role,
        }


def create_app(fake: ClassLinkIdentity) -> Starlette:
    """What launchpad.classlink.com and nodeapi.classlink.com have, at one address."""
    return app_of(
        fake,
        {
            "/oauth2/v2/auth": lambda asked: authorize(fake, asked),
            "/oauth2/v2/token": lambda asked: token_answer(fake, asked),
            "/oauth2/v2/jwks": lambda _: JSONResponse(fake.keys.published({})),
            "/.well-known/openid-configuration": _discovery,
            "/v2/my/info": lambda asked: _info(fake, asked),
            "/launchpad": lambda asked: portal(fake, asked, "/launchpad/tile"),
            "/launchpad/tile": lambda asked: _tile(fake, asked),
        },
    )


def _discovery(asked: Asked) -> Response:
    base_url = asked.base_url
    return JSONResponse(
        {
            "issuer": base_url,
            "authorization_endpoint": f"{base_url}/oauth2/v2/auth",
            "token_endpoint": f"{base_url}/oauth2/v2/token",
            "jwks_uri": f"{base_url}/oauth2/v2/jwks",
            "userinfo_endpoint": f"{base_url}/v2/my/profileinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
    )


def _tile(fake: ClassLinkIdentity, asked: Asked) -> Response:
    url = fake.launch_url or fake.redirect_uris[0]
    return launch(fake, asked, url, extras=[("response_type", "code")])


def _info(fake: ClassLinkIdentity, asked: Asked) -> Response:
    person = fake.grant_of(bearer_of(asked)).person
    first, _, last = person.name.partition(" ")
    return JSONResponse(
        {
            "UserId": int(person.subject),
            "TenantId": int(person.key),
            "StateId": 5,
            "StateName": "California",
            "BuildingId": 1,
            "DisplayName": person.name,
            "FirstName": first,
            "LastName": last,
            "Email": person.address,
            "LoginId": person.address.partition("@")[0],
            "ImagePath": "",
            "LanguageId": 1,
            "Language": "English",
            "Profile": person.role,
            "ProfileId": 1000 + person.role_level,
            "Tenant": f"District {person.key}",
            "Building": "All",
            "Role": person.role,
            "Role_Level": person.role_level,
            "OrgId": "",
            "SourcedId": person.sourced_id,
        }
    )
