"""What the sign-in pages and flows are made of: the resources, and what the settings say."""

from dataclasses import dataclass, field
from typing import Self

from pydantic import SecretStr
from starlette.requests import Request

from api.web_settings import WebSettings
from domain.people.models import SignInMethodName
from domain.resources import Resources
from domain.settings import Settings


@dataclass(frozen=True, slots=True)
class Client:
    """What a provider knows this product by."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """`clients` has the providers that are set up here. The addresses are the providers' own."""

    web: WebSettings = field(default_factory=WebSettings)
    clients: dict[SignInMethodName, Client] = field(default_factory=dict)
    clever_url: str = "https://clever.com"
    clever_api_url: str = "https://api.clever.com"
    classlink_url: str = "https://launchpad.classlink.com"
    classlink_info_url: str = "https://nodeapi.classlink.com"
    google_url: str = "https://accounts.google.com"
    microsoft_url: str = "https://login.microsoftonline.com"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            web=WebSettings.of(settings),
            clients=_clients(settings),
            clever_url=settings.clever_oauth_url,
            clever_api_url=settings.clever_api_url,
            classlink_url=settings.classlink_sso_url,
            classlink_info_url=settings.classlink_info_url,
            google_url=settings.google_url,
            microsoft_url=settings.microsoft_url,
        )


def _clients(settings: Settings) -> dict[SignInMethodName, Client]:
    given: dict[SignInMethodName, tuple[str | None, SecretStr | None]] = {
        SignInMethodName.CLEVER: (settings.clever_client_id, settings.clever_client_secret),
        SignInMethodName.CLASSLINK: (
            settings.classlink_client_id,
            settings.classlink_client_secret,
        ),
        SignInMethodName.GOOGLE: (settings.google_client_id, settings.google_client_secret),
        SignInMethodName.MICROSOFT: (
            settings.microsoft_client_id,
            settings.microsoft_client_secret,
        ),
    }
    return {
        name: Client(client_id, secret.get_secret_value())
        for name, (client_id, secret) in given.items()
        if client_id and secret
    }


@dataclass(frozen=True, slots=True)
class Site:
    resources: Resources
    settings: SignInSettings

    @property
    def web(self) -> WebSettings:
        return self.settings.web

    def public_url(self, request: Request) -> str:
        """Where people reach us; on a developer's machine, where they just have."""
        return self.web.public_url or str(request.base_url)
