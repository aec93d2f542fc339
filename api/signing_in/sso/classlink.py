"""ClassLink: the district is the TenantId, the person the SourcedId of my/info."""

from typing import Any

from api.signing_in.site import Client
from api.signing_in.sso.failures import Fault, ProviderFailed
from api.signing_in.sso.id_tokens import text_of
from api.signing_in.sso.providers import Conversation, Endpoints, Provider
from domain.people.models import SignInMethodName
from domain.signing_in.assertions import Assertion


def classlink(client: Client, *, sso_url: str, info_url: str) -> Provider:
    async def identify(talk: Conversation) -> Assertion:
        return _read_info(talk, await talk.ask(f"{info_url}/v2/my/info"))

    return Provider(
        method=SignInMethodName.CLASSLINK,
        title="ClassLink",
        client=client,
        issuer=sso_url,
        discovery_url=f"{sso_url}/.well-known/openid-configuration",
        identify=identify,
        scope="openid profile oneroster",
        endpoints=Endpoints(f"{sso_url}/oauth2/v2/auth", f"{sso_url}/oauth2/v2/token"),
    )


def _read_info(talk: Conversation, info: dict[str, Any]) -> Assertion:
    """An empty SourcedId is one: a district without OneRoster. Nothing else stands in for it."""
    key, user = _id_of(info, "TenantId"), _id_of(info, "UserId")
    if not key or not user or (talk.claims is not None and talk.claims["sub"] != user):
        raise ProviderFailed(Fault.PROFILE)
    sourced_id = _id_of(info, "SourcedId")
    subject = sourced_id if sourced_id.strip() else ""
    return Assertion(SignInMethodName.CLASSLINK, key=key, subject=subject)


def _id_of(info: dict[str, Any], name: str) -> str:
    """ClassLink's own ids are numbers; a proxy's may be texts."""
    value = info.get(name)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else text_of(info, name)
