"""Google: everything is in the id_token. The hosted domain is `hd`, never an address's end."""

from api.signing_in.site import Client
from api.signing_in.sso.failures import Fault, ProviderFailed
from api.signing_in.sso.id_tokens import text_of
from api.signing_in.sso.providers import Conversation, Provider
from domain.people.models import SignInMethodName
from domain.signing_in.assertions import Assertion


def google(client: Client, *, url: str) -> Provider:
    return Provider(
        method=SignInMethodName.GOOGLE,
        title="Google",
        client=client,
        issuer=url,
        discovery_url=f"{url}/.well-known/openid-configuration",
        identify=_identify,
        scope="openid email",
        hint="hd",
    )


async def _identify(talk: Conversation) -> Assertion:
    if talk.claims is None:
        raise ProviderFailed(Fault.ID_TOKEN_MISSING)
    is_verified = talk.claims.get("email_verified") is True
    return Assertion(
        SignInMethodName.GOOGLE,
        key=text_of(talk.claims, "hd").lower(),
        subject=text_of(talk.claims, "sub"),
        address=text_of(talk.claims, "email") or None if is_verified else None,
    )
