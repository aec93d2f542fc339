"""Clever: who somebody is says /v3.0/me; an id_token is checked where Clever has enabled it."""

from api.signing_in.site import Client
from api.signing_in.sso.failures import Fault, NotOfDistrict, ProviderFailed
from api.signing_in.sso.id_tokens import text_of
from api.signing_in.sso.providers import Conversation, Endpoints, Provider
from domain.people.models import SignInMethodName
from domain.signing_in.assertions import Assertion


def clever(client: Client, *, oauth_url: str, api_url: str) -> Provider:
    """What the application may see is set at Clever: there is no scope to be sent."""

    async def identify(talk: Conversation) -> Assertion:
        told = await talk.ask(f"{oauth_url}/oauth/tokeninfo")
        # A token that was made for another application would name its users to us.
        if told.get("client_id") != client.id:
            raise ProviderFailed(Fault.TOKEN_OF_ANOTHER_APP)
        # Without the version, the ids would be those of former times.
        return await _read_me(talk, f"{api_url}/v3.0/me")

    return Provider(
        method=SignInMethodName.CLEVER,
        title="Clever",
        client=client,
        issuer=oauth_url,
        discovery_url=f"{oauth_url}/.well-known/openid-configuration",
        identify=identify,
        client_auth="client_secret_basic",
        has_pkce=False,
        endpoints=Endpoints(f"{oauth_url}/oauth/authorize", f"{oauth_url}/oauth/tokens"),
        hint="district_id",
    )


async def _read_me(talk: Conversation, url: str) -> Assertion:
    data = (await talk.ask(url)).get("data")
    if not isinstance(data, dict):
        raise ProviderFailed(Fault.PROFILE, place=url)
    subject = text_of(data, "id")
    # The claim user_id is the id of former times: `sub` is ours.
    if not subject or (talk.claims is not None and talk.claims["sub"] != subject):
        raise ProviderFailed(Fault.PROFILE, place=url)
    if data.get("authorized_by") != "district":
        raise NotOfDistrict
    return Assertion(SignInMethodName.CLEVER, key=text_of(data, "district"), subject=subject)
