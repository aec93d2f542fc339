"""A fake identity provider that is served, and an application and a browser that talk with it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.browser import Browser
from tests.fakes.identity import IdentityFake, challenge_of
from tests.fakes.identity_classlink import ClassLinkPerson
from tests.fakes.identity_clever import CleverPerson
from tests.fakes.identity_google import GooglePerson
from tests.fakes.identity_microsoft import MicrosoftPerson

CALLBACK: Final = "https://homerow.example/callback"
SECOND_CALLBACK: Final = "https://homerow.example/other"
VERIFIER: Final = "v" * 43
CHALLENGE: Final = challenge_of(VERIFIER)
TID: Final = "11111111-2222-3333-4444-555555555555"
NAMES: Final = ("clever", "classlink", "google", "microsoft")
NOW: Final = 1_800_000_000
AUTHORIZE: Final = {
    "clever": "/oauth/authorize",
    "classlink": "/oauth2/v2/auth",
    "google": "/o/oauth2/v2/auth",
    "microsoft": "/organizations/oauth2/v2.0/authorize",
}
TOKEN: Final = {
    "clever": "/oauth/tokens",
    "classlink": "/oauth2/v2/token",
    "google": "/token",
    "microsoft": "/organizations/oauth2/v2.0/token",
}
JWKS: Final = {
    "clever": "/oauth/certs",
    "classlink": "/oauth2/v2/jwks",
    "google": "/oauth2/v3/certs",
    "microsoft": "/organizations/discovery/v2.0/keys",
}

MIA_AT_CLEVER: Final = CleverPerson(
    name="Mia Moss", subject="c" * 24, key="d" * 24, legacy_id="a" * 24
)
MIA_AT_CLASSLINK: Final = ClassLinkPerson(
    name="Mia Moss", subject="4711", key="2284", address="mia@school.example", sourced_id="u-1"
)
MIA_AT_GOOGLE: Final = GooglePerson(
    name="Mia Moss", subject="1067", key="school.example", address="mia@school.example"
)
MIA_AT_MICROSOFT: Final = MicrosoftPerson(
    name="Mia Moss",
    subject="0f0f0f0f-0000-4000-8000-000000000001",
    key=TID,
    address="mia@school.example",
    email="root@elsewhere.example",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """`browser` is Mia's, who is signed in at the provider; `client` the application's."""

    name: str
    url: str
    fake: IdentityFake[Any]
    browser: Browser
    client: httpx2.AsyncClient

    @property
    def takes_challenge(self) -> bool:
        return self.name != "clever"

    @property
    def mia(self) -> Any:
        return self.fake.people[0]

    def at(self, paths: Mapping[str, str]) -> str:
        return self.url + paths[self.name]

    def asking(self, **changes: str | None) -> str:
        """The address that a browser is sent to; None takes a parameter away."""
        usual = {
            "response_type": "code",
            "client_id": self.fake.application.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile email",
            "state": "s-1",
            "nonce": "n-1",
        }
        if self.takes_challenge:
            usual |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return f"{self.at(AUTHORIZE)}?{urlencode(_said(usual, changes))}"

    async def answer(self, **changes: str | None) -> dict[str, str]:
        """What comes back to the application."""
        url = self.asking(**changes)
        page = await self.browser.get(url, stop_before="https://homerow.example")
        return answer_in(page.location)

    async def code(self, **changes: str | None) -> str:
        return (await self.answer(**changes))["code"]

    async def exchange(self, code: str, **changes: str | None) -> httpx2.Response:
        """As the provider wants it; `client_id` and `client_secret` may be changed as well."""
        known = self.fake.application
        usual = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": known.client_id,
            "client_secret": known.client_secret,
        }
        if self.takes_challenge:
            usual["code_verifier"] = VERIFIER
        said = _said(usual, changes)
        if self.name != "clever":
            return await self.client.post(self.at(TOKEN), data=said)
        pair = (said.pop("client_id", ""), said.pop("client_secret", ""))
        return await self.client.post(self.at(TOKEN), data=said, auth=pair)

    async def signed_in(self, **changes: str | None) -> dict[str, Any]:
        """The tokens."""
        response = await self.exchange(await self.code(**changes))
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    async def get(self, path: str, access_token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self.client.get(self.url + path, headers=headers)

    async def verified(self, token: str) -> dict[str, Any]:
        """Raises JoseError or ValueError unless a key that is published has signed it."""
        keys = KeySet.import_key_set((await self.client.get(self.at(JWKS))).json())
        return jwt.decode(token, keys, algorithms=["RS256"]).claims


def _said(usual: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def answer_in(location: str | None) -> dict[str, str]:
    assert location is not None, "Nobody was sent back."
    return dict(parse_qsl(urlsplit(location).query))


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified."""
    head, claims, _ = token.split(".")
    first, second = (json.loads(base64.urlsafe_b64decode(one + "==")) for one in (head, claims))
    return first, second
