"""Microsoft: work and school accounts of any tenant; who they are is in the id_token."""

from collections.abc import Mapping
from typing import Any

from api.signing_in.site import Client
from api.signing_in.sso.failures import Fault, ProviderFailed
from api.signing_in.sso.id_tokens import text_of
from api.signing_in.sso.providers import TENANT_ID, Conversation, Provider
from domain.people.models import SignInMethodName
from domain.signing_in.assertions import Assertion


def microsoft(client: Client, *, url: str) -> Provider:
    return Provider(
        method=SignInMethodName.MICROSOFT,
        title="Microsoft",
        client=client,
        issuer=f"{url}/{TENANT_ID}/v2.0",
        discovery_url=f"{url}/organizations/v2.0/.well-known/openid-configuration",
        identify=_identify,
        scope="openid profile",
    )


async def _identify(talk: Conversation) -> Assertion:
    """`tid` has been compared with the issuer; `oid` is who it is within that tenant."""
    if talk.claims is None:
        raise ProviderFailed(Fault.ID_TOKEN_MISSING)
    tid, oid = text_of(talk.claims, "tid"), text_of(talk.claims, "oid")
    if not oid or "/" in oid:
        raise ProviderFailed(Fault.PROFILE)
    return Assertion(
        SignInMethodName.MICROSOFT,
        key=tid,
        subject=f"{tid}/{oid}",
        address=_address(talk.claims, tid),
    )


def _address(claims: Mapping[str, Any], tid: str) -> str | None:
    """None for guests: their tenant of the moment does not vouch for what they are called at home.

    `idp` is there where somebody else than the issuer has signed the person in.
    """
    own = {text_of(claims, "iss"), f"https://sts.windows.net/{tid}/"}
    address = text_of(claims, "preferred_username")
    is_guest = ("idp" in claims and claims["idp"] not in own) or "#EXT#" in address.upper()
    return None if is_guest else address or None
