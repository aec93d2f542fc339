"""The providers' addresses, and what opens them for all tenants: from the settings."""

from dataclasses import dataclass, field

from pydantic import SecretStr

from domain.providers.http.patience import Patience
from domain.settings import Settings


@dataclass(frozen=True, slots=True)
class Hosts:
    """Without a client id or a token, each tenant brings its own credentials."""

    clever_api_url: str
    clever_oauth_url: str
    classlink_proxy_url: str
    clever_client_id: str | None = None
    clever_client_secret: str | None = field(default=None, repr=False)
    classlink_token: str | None = field(default=None, repr=False)
    allow_private: bool = False
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def of(cls, settings: Settings) -> "Hosts":
        return cls(
            clever_api_url=settings.clever_api_url.rstrip("/"),
            clever_oauth_url=settings.clever_oauth_url.rstrip("/"),
            classlink_proxy_url=settings.classlink_proxy_url.rstrip("/"),
            clever_client_id=settings.clever_client_id,
            clever_client_secret=_revealed(settings.clever_client_secret),
            classlink_token=_revealed(settings.classlink_token),
            allow_private=settings.allow_private_providers is True,
        )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
