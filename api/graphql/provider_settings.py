"""What an integration is set to, for each provider: as it is given and as it is shown."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import strawberry

from domain.errors import InvalidInput
from domain.integrations.provider_settings import MOST_SCOPES, OneRosterAuth, OneRosterVersion
from domain.roster.source import Provider

_BASE_URL = "The address of the OneRoster API, up to and with the version (`…/v1p1`)."


@strawberry.type(description="How a tenant is connected to Clever.")
class CleverSettings:
    district_id: str | None = strawberry.field(description="Clever's id of the district.")


@strawberry.type(description="How a tenant is connected to ClassLink.")
class ClassLinkSettings:
    tenant_id: str | None = strawberry.field(description="ClassLink's id of the district.")
    application_id: str | None = strawberry.field(
        description="The OneRoster application id at ClassLink's proxy."
    )
    base_url: str | None = strawberry.field(
        description="The address of the district's own Roster Server; null for the proxy."
    )


@strawberry.type(description="How a tenant is connected to a OneRoster server.")
class OneRosterSettings:
    base_url: str | None = strawberry.field(description=_BASE_URL)
    version: OneRosterVersion | None = strawberry.field(
        description="The version; null: as the address says, or else 1.2."
    )
    auth: OneRosterAuth | None = strawberry.field(description="How the server knows who asks.")
    token_url: str | None = strawberry.field(description="Where OAuth 2 tokens come from.")
    scopes: list[str] | None = strawberry.field(
        description="The scopes that tokens are asked for; null: the version's usual one."
    )


@strawberry.type(description="What an integration is set to. Secrets are not among it.")
class IntegrationSettings:
    path: str | None = strawberry.field(
        description="Where the OneRoster CSV package lies on the server."
    )
    clever: CleverSettings | None = strawberry.field(description="For CLEVER.")
    class_link: ClassLinkSettings | None = strawberry.field(description="For CLASSLINK.")
    one_roster: OneRosterSettings | None = strawberry.field(description="For ONEROSTER.")

    @classmethod
    def of(cls, provider: Provider, stored: Mapping[str, Any]) -> "IntegrationSettings":
        shown = cls(path=None, clever=None, class_link=None, one_roster=None)
        match provider:
            case Provider.CLEVER:
                shown.clever = CleverSettings(district_id=stored.get("district_id"))
            case Provider.CLASSLINK:
                shown.class_link = ClassLinkSettings(
                    tenant_id=stored.get("tenant_id"),
                    application_id=stored.get("application_id"),
                    base_url=stored.get("base_url"),
                )
            case Provider.ONEROSTER:
                shown.one_roster = _one_roster(stored)
            case Provider.ONEROSTER_CSV:
                shown.path = stored.get("path")
        return shown


def _one_roster(stored: Mapping[str, Any]) -> OneRosterSettings:
    version, auth = stored.get("version"), stored.get("auth")
    return OneRosterSettings(
        base_url=stored.get("base_url"),
        version=OneRosterVersion(version) if version else None,
        auth=OneRosterAuth(auth) if auth else None,
        token_url=stored.get("token_url"),
        scopes=stored.get("scopes"),
    )


@strawberry.input(description="How a tenant is connected to Clever.")
class CleverInput:
    district_id: str | None = strawberry.field(
        default=None,
        description="Clever's id of the district. It is needed where the installation's own "
        "credentials are used, which only operators may do; a token says it by itself.",
    )


@strawberry.input(
    description="How a tenant is connected to ClassLink: by `tenantId` with the installation's own "
    "token, by `applicationId` with the district's token, or by `baseUrl` with key and secret."
)
class ClassLinkInput:
    tenant_id: str | None = strawberry.field(
        default=None,
        description="ClassLink's id of the district. Only operators may choose one where the "
        "installation's own token is used.",
    )
    application_id: str | None = strawberry.field(
        default=None,
        description="The OneRoster application id at ClassLink's proxy, escaped as ClassLink "
        "shows it.",
    )
    base_url: str | None = strawberry.field(
        default=None, description="The address of the district's own Roster Server."
    )


@strawberry.input(description="How a tenant is connected to a OneRoster server.")
class OneRosterInput:
    base_url: str = strawberry.field(description=_BASE_URL)
    version: OneRosterVersion | None = strawberry.field(
        default=None, description="The version; left out: as the address says, or else 1.2."
    )
    auth: OneRosterAuth = strawberry.field(
        default=OneRosterAuth.OAUTH2, description="How the server knows who asks."
    )
    token_url: str | None = strawberry.field(
        default=None, description="Where OAuth 2 tokens come from; needed for OAuth 2."
    )
    scopes: list[str] | None = strawberry.field(
        default=None,
        description=f"The scopes that tokens are asked for, at most {MOST_SCOPES}; an empty "
        "list asks for none, and without one the version's usual one is asked for.",
    )


_INPUTS = {
    Provider.CLEVER: "clever",
    Provider.CLASSLINK: "class_link",
    Provider.ONEROSTER: "one_roster",
    Provider.ONEROSTER_CSV: "path",
}
_FIELDS = {"class_link": "classLink", "one_roster": "oneRoster"}


def settings_given(provider: Provider, **given: Any) -> dict[str, Any] | None:
    """As they are stored; None where none were given. Another provider's are refused."""
    for name, value in given.items():
        if value is not None and name != _INPUTS[provider]:
            raise InvalidInput(_FIELDS.get(name, name), f"This is not for {provider.value}.")
    own = given[_INPUTS[provider]]
    if own is None:
        return None
    if isinstance(own, str):
        return {"path": own}
    return {name: value for name, value in asdict(own).items() if value is not None}
