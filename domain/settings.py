"""The settings, read once from the environment (prefix HOMEROW_) at the edge of each process."""

from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    LOCAL = "local"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """Where no database or Redis URL is given, the embedded servers of the data folder are used.

    `secret_keys` seal the providers' credentials: "id:key" pairs, separated by commas, the first
    one for new secrets; each key is 32 bytes as base64. In the local environment a key is made
    once and kept in the data folder; elsewhere there is no default.
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


def read_settings() -> Settings:
    return Settings.model_validate({})
