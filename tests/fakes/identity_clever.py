"""Clever as an identity provider: SSO, its portal, /me, and OpenID Connect where it is enabled."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from typing_extensions import override

from tests.fakes.identity import (
    ANOTHER_APPLICATION,
    IN_EVERY_ANSWER,
    IN_ID_TOKENS,
    Application,
    Asked,
    Grant,
    IdentityFake,
    Manners,
    Misdeed,
    Person,
    Refused,
)
from tests.fakes.identity_tokens import token_answer
from tests.fakes.identity_web import app_of, authorize, bearer_of, launch, portal, problem

SCOPES: Final = (
    "read:district_admins_basic",
    "read:school_admins_basic",
    "read:students_basic",
    "read:teachers_basic",
    "read:user_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleverPerson(Person):
    """`subject` is the id of v3, `legacy_id` that of former times; `key` is the district."""

    legacy_id: str = ""
    authorized_by: str = "district"
    roles: tuple[str, ...] = ("student",)


class CleverIdentity(IdentityFake[CleverPerson]):
    """`is_oidc`: Clever's support has enabled it for the application."""

    name = "clever"
    manners = Manners(
        authorize_parameters=frozenset({"district_id", "nonce", "scope"}),
        token_fields=frozenset(),
        client_auth=frozenset({"basic"}),
        code_seconds=60,
        needs_scope=False,
        checks_verifier=True,
        takes_json=True,
        token_type="bearer",  # noqa: S106 - a word
    )
    misdeeds = (
        IN_EVERY_ANSWER | IN_ID_TOKENS | {Misdeed.TOKEN_OF_ANOTHER, Misdeed.AUTHORIZED_BY_TEACHER}
    )
    changes: ClassVar[Mapping[Misdeed, Mapping[str, Any]]] = {
        Misdeed.AUTHORIZED_BY_TEACHER: {"authorized_by": "teacher"}
    }

    def __init__(
        self,
        people: Sequence[CleverPerson],
        *,
        application: Application | None = None,
        clock: Callable[[], float] = time.time,
        is_oidc: bool = False,
    ) -> None:
        super().__init__(people, application=application, clock=clock)
        self.is_oidc = is_oidc

    @override
    def has_id_token(self, grant: Grant[CleverPerson]) -> bool:
        """Not for Library, whose people their teachers have let in."""
        return self.is_oidc and grant.person.authorized_by == "district"

    @override
    def claims_of(self, grant: Grant[CleverPerson], access_token: str) -> dict[str, Any]:
        person = grant.person
        return {
            "sub": person.subject,
            "user_id": person.legacy_id,
            "multi_role_user_id": person.subject,
            "user_type": person.roles[0],
            "district": person.key,
            "given_name": person.name.partition(" ")[0],
            "family_name": person.name.partition(" ")[2],
            "email_verified": False,
            **({"email": person.address} if person.address else {}),
        }


def create_app(fake: CleverIdentity) -> Starlette:
    """What clever.com and api.clever.com have, at one address."""
    return app_of(
        fake,
        {
            "/oauth/authorize": lambda asked: authorize(fake, asked),
            "/oauth/tokens": lambda asked: token_answer(fake, asked),
            "/oauth/tokeninfo": lambda asked: _tokeninfo(fake, asked),
            "/oauth/instant-login": lambda asked: _instant_login(fake, asked),
            "/oauth/certs": lambda _: JSONResponse(fake.keys.published({})),
            "/.well-known/openid-configuration": _discovery,
            "/portal": lambda asked: portal(fake, asked, "/portal/open"),
            "/portal/open": lambda asked: launch(fake, asked, fake.redirect_uris[0]),
            "/v3.0/me": lambda asked: _me(fake, asked),
            "/me": lambda asked: _me_of_former_times(fake, asked),
            "/v3.0/users/{id}": lambda asked: _user(fake, asked),
        },
    )


def _discovery(asked: Asked) -> Response:
    base_url = asked.base_url
    return JSONResponse(
        {
            "issuer": base_url,
            "authorization_endpoint": f"{base_url}/oauth/authorize",
            "token_endpoint": f"{base_url}/oauth/tokens",
            "jwks_uri": f"{base_url}/oauth/certs",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
    )


def _instant_login(fake: CleverIdentity, asked: Asked) -> Response:
    if asked.query.get("client_id") != fake.application.client_id:
        return problem("The client_id is unknown.")
    if "district_id" not in asked.query:
        return problem("The district_id is missing.")
    return launch(fake, asked, fake.redirect_uris[0])


def _tokeninfo(fake: CleverIdentity, asked: Asked) -> Response:
    fake.grant_of(bearer_of(asked))
    is_another = fake.misdeed is Misdeed.TOKEN_OF_ANOTHER
    client_id = ANOTHER_APPLICATION if is_another else fake.application.client_id
    return JSONResponse({"client_id": client_id, "scopes": list(SCOPES)})


def _me(fake: CleverIdentity, asked: Asked) -> Response:
    person = fake.grant_of(bearer_of(asked)).person
    data = {"id": person.subject, "type": "user", "authorized_by": person.authorized_by}
    links = [_link("self", "/me"), _link("canonical", f"/v3.0/users/{person.subject}")]
    if person.key:
        # People whom their teachers have let in may be of no district.
        data["district"] = person.key
        links.append(_link("district", f"/v3.0/districts/{person.key}"))
    return JSONResponse({"type": "user", "data": data, "links": links})


def _me_of_former_times(fake: CleverIdentity, asked: Asked) -> Response:
    """Without a version, the id is another one, which may be somebody else's by now."""
    person = fake.grant_of(bearer_of(asked)).person
    data = {"id": person.legacy_id, "district": person.key, "type": person.roles[0]}
    return JSONResponse({"type": person.roles[0], "data": data, "links": [_link("self", "/me")]})


def _user(fake: CleverIdentity, asked: Asked) -> Response:
    person = fake.grant_of(bearer_of(asked)).person
    if asked.places["id"] != person.subject:
        raise Refused("not_found", "Resource not found", status=404)
    first, _, last = person.name.partition(" ")
    data = {
        "id": person.subject,
        "district": person.key,
        "email": person.address,
        "name": {"first": first, "last": last, "middle": ""},
        "roles": {role: {"legacy_id": person.legacy_id} for role in person.roles},
    }
    return JSONResponse({"data": data, "links": [_link("self", f"/v3.0/users/{person.subject}")]})


def _link(rel: str, uri: str) -> dict[str, str]:
    return {"rel": rel, "uri": uri}
