"""Where a process finds its servers: those that the settings name, or the data folder's own."""

import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from api.local import find_running, local_secret, servers
from api.migrate import migrate
from domain.database import DatabaseRole
from domain.providers.hosts import Hosts
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from domain.settings import Environment, Settings

PACKAGES = Path(__file__).resolve().parents[1]
"""The folder of api, worker and domain."""
SUPERUSER = "postgres"
PROVIDER_SETTINGS = (
    "allow_private_providers",
    "clever_api_url",
    "clever_oauth_url",
    "clever_client_id",
    "clever_client_secret",
    "classlink_proxy_url",
    "classlink_token",
)


class SettingsError(Exception):
    """A setting is missing or wrong. The message names it, for the person who starts us."""


@dataclass(frozen=True, slots=True)
class Site:
    """`login_url` is the database's URL for a login; with servers of one's own, it is one for all.

    An embedded site keeps its own schema up to date; another one's is its operator's to migrate.
    """

    settings: Settings
    login_url: Callable[[str], str]
    redis_url: str
    is_embedded: bool

    def keys(self) -> KeyRing:
        return KeyRing.parse(self.key_text())

    def key_text(self) -> str:
        """Raises SettingsError where there is no key and none may be made, or it is no key."""
        if self.settings.secret_keys is None:
            if self.settings.environment is Environment.LOCAL:
                return "local:" + local_secret(self.settings.data_dir)
            raise SettingsError(
                "HOMEROW_SECRET_KEYS is not set: in production the keys that seal credentials"
                " must be given, as id:key with 32 bytes in base64."
            )
        text = self.settings.secret_keys.get_secret_value()
        try:
            KeyRing.parse(text)
        except ValueError as error:
            raise SettingsError(f"HOMEROW_SECRET_KEYS is wrong: {error}") from error
        return text

    async def migrate(self) -> None:
        await migrate(self.login_url(SUPERUSER))

    def environment(self, role: DatabaseRole) -> dict[str, str]:
        """What a process is started with that is to act as this role on this site.

        Python is started without its habit of looking for packages in the working folder, where
        another project's `worker` may lie: it is told where ours are.
        """
        inherited = dict(os.environ)  # noqa: TID251 - a child's environment is ours and some more
        packages = [str(PACKAGES), inherited.get("PYTHONPATH", "")]
        return {
            **inherited,
            "PYTHONPATH": os.pathsep.join(filter(None, packages)),
            "HOMEROW_ENVIRONMENT": self.settings.environment.value,
            "HOMEROW_DATA_DIR": str(self.settings.data_dir.absolute()),
            "HOMEROW_DATABASE_URL": self.login_url(role.value),
            "HOMEROW_REDIS_URL": self.redis_url,
            "HOMEROW_SECRET_KEYS": self.key_text(),
            **self._provider_environment(),
        }

    def hosts(self) -> Hosts:
        return Hosts.of(self.settings.model_copy(update=self._private_providers()))

    def _private_providers(self) -> dict[str, bool]:
        """Beside embedded servers a fake provider is likelier than an attack."""
        if self.settings.allow_private_providers is None:
            return {"allow_private_providers": self.is_embedded}
        return {}

    def _provider_environment(self) -> dict[str, str]:
        """The settings of the providers, whether they came from the environment or not."""
        settings = self.settings.model_copy(update=self._private_providers())
        values = {name: getattr(settings, name) for name in PROVIDER_SETTINGS}
        return {
            f"HOMEROW_{name.upper()}": value.get_secret_value()
            if isinstance(value, SecretStr)
            else str(value)
            for name, value in values.items()
            if value is not None
        }

    @asynccontextmanager
    async def resources(self, role: DatabaseRole) -> AsyncGenerator[Resources]:
        async with open_resources(
            database_url=self.login_url(role.value),
            redis_url=self.redis_url,
            keys=self.keys(),
            hosts=self.hosts(),
            role=role,
        ) as opened:
            yield opened


@contextmanager
def open_site(settings: Settings) -> Generator[Site]:
    """The servers that the settings name; without any, the data folder's, started if need be."""
    if settings.database_url is not None and settings.redis_url is not None:
        database_url = _database_url(settings.database_url.get_secret_value())
        redis_url = _redis_url(settings.redis_url.get_secret_value())
        yield Site(settings, lambda _: database_url, redis_url, is_embedded=False)
        return
    if settings.database_url is not None or settings.redis_url is not None:
        raise SettingsError("Set HOMEROW_DATABASE_URL and HOMEROW_REDIS_URL, or neither of them.")
    with servers(settings.data_dir) as local:
        yield Site(settings, local.postgres.url, local.redis_url, is_embedded=True)


def _database_url(text: str) -> str:
    """In SQLAlchemy's spelling, whatever driver it names."""
    try:
        url: URL | None = make_url(text)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingsError("HOMEROW_DATABASE_URL must be a URL such as postgresql://name@host/db.")
    return url.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _redis_url(text: str) -> str:
    if urlsplit(text).scheme not in {"redis", "rediss", "unix"}:
        raise SettingsError("HOMEROW_REDIS_URL must be a URL such as redis://host:6379/0.")
    return text


async def prepare(site: Site) -> None:
    """Bring an embedded site's schema to the newest, unless a `homerow up` has done so."""
    if site.is_embedded and find_running(site.settings.data_dir) is None:
        await site.migrate()
