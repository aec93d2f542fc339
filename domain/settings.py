"""The settings, read once from the environment (prefix HOMEROW_) at the edge of each process."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    LOCAL = "local"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """Where no database or Redis URL is given, the embedded servers of the data folder are used.

    `secret_keys` seal the providers' credentials: "id:key" pairs, separated by commas, the first
    one for new secrets; each key is 32 bytes as base64. In the local environment a key is made
    once and kept in the data folder; elsewhere there is no default.

    The providers' addresses can be a regional host's, a proxy's or a fake's. What opens them for
    all tenants is here, a tenant's own is with its integration. Private and unencrypted addresses
    are refused unless `allow_private_providers` says otherwise; unset, it follows the servers:
    yes where they are embedded.

    People sign in with the providers that have a client id here. `landing_url` is where they go
    then: the training application. `cors_origins` are the origins, with commas between them, of
    frontends on other sites.

    `admin_url` is where a frontend shows administrators a tenant; see domain.notifications.links.

    A run can be undone for `retention_days`: for so long it is kept what it changed. Who has been
    archived for `purge_days` is erased. So many runs read from one provider at once, over all
    workers, as `runs_per_provider` says.

    Prometheus finds /metrics at `metrics_host` and `metrics_port`; without a port there are none.
    """

    model_config = SettingsConfigDict(env_prefix="HOMEROW_", frozen=True, extra="ignore")

    environment: Environment = Environment.LOCAL
    data_dir: Path = Path(".homerow")
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    secret_keys: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None
    admin_url: str | None = None
    allow_private_providers: bool | None = None
    clever_api_url: str = "https://api.clever.com"
    clever_oauth_url: str = "https://clever.com"
    clever_client_id: str | None = None
    clever_client_secret: SecretStr | None = None
    classlink_proxy_url: str = "https://oneroster-proxy.classlink.io"
    classlink_token: SecretStr | None = None
    classlink_sso_url: str = "https://launchpad.classlink.com"
    classlink_info_url: str = "https://nodeapi.classlink.com"
    classlink_client_id: str | None = None
    classlink_client_secret: SecretStr | None = None
    google_url: str = "https://accounts.google.com"
    google_client_id: str | None = None
    google_client_secret: SecretStr | None = None
    microsoft_url: str = "https://login.microsoftonline.com"
    microsoft_client_id: str | None = None
    microsoft_client_secret: SecretStr | None = None
    landing_url: str | None = None
    cors_origins: str = ""
    smtp_url: SecretStr | None = None
    mail_from: str = "Homerow <homerow@localhost>"
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    runs_per_provider: int = Field(default=8, ge=1)
    retention_days: int = Field(default=90, ge=1)
    purge_days: int = Field(default=365, ge=1)


def read_settings() -> Settings:
    return Settings.model_validate({})
