"""Settings with which Homerow should not face the world, and what to do about each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from sqlalchemy import make_url
from typing_extensions import override

from api.logins import Login
from api.web_settings import listed, origin_of
from domain.settings import Settings

PROVIDER_URLS: Final = (
    "clever_api_url",
    "clever_oauth_url",
    "classlink_proxy_url",
    "classlink_sso_url",
    "classlink_info_url",
    "google_url",
    "microsoft_url",
)
CLIENTS: Final = ("clever", "classlink", "google", "microsoft")
_ENCRYPTED_DATABASE: Final = frozenset({"require", "verify-ca", "verify-full"})
_ENCRYPTED_MAIL: Final = frozenset({"smtps", "smtp+starttls"})


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the settings do not say themselves. `login` is None where it is not known."""

    is_embedded: bool
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Unsafe:
    """`what` and `why` make a sentence with the setting's name, `how` is one of its own.

    `matters_locally`: on a developer's machine, too, it is a mistake.
    """

    setting: str
    what: str
    why: str
    how: str
    matters_locally: bool = False

    @override
    def __str__(self) -> str:
        return f"{self.setting} {self.what}: {self.why}. {self.how}."


Check = Callable[[Settings, SiteFacts], Iterator[Unsafe]]


def unsafe_settings(settings: Settings, facts: SiteFacts) -> list[Unsafe]:
    """The settings are those of a site that could be opened: their URLs are URLs."""
    return [unsafe for check in _CHECKS for unsafe in check(settings, facts)]


def _keys(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    if settings.secret_keys is None:
        yield Unsafe(
            "HOMEROW_SECRET_KEYS",
            "is not set",
            "the keys that seal credentials must not lie beside the data",
            "Give the keys as id:key, with 32 bytes in base64",
        )


def _servers(_: Settings, facts: SiteFacts) -> Iterator[Unsafe]:
    if facts.is_embedded:
        yield Unsafe(
            "HOMEROW_DATABASE_URL",
            "is not set",
            "the embedded servers are for a developer's machine: whoever has an account on it"
            " has them, and nobody backs them up",
            "Name a PostgreSQL and, in HOMEROW_REDIS_URL, a Valkey or Redis of your own",
        )


def _public_url(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    if not settings.public_url:
        yield Unsafe(
            "HOMEROW_PUBLIC_URL",
            "is not set",
            "the links in mails, the addresses that providers return to and the check of the"
            " Host header come from it",
            "Set it to the https address that people use",
        )
    elif not _is_https(settings.public_url):
        yield Unsafe(
            "HOMEROW_PUBLIC_URL",
            "is no https address",
            "passwords and sessions would cross the network for everybody to read",
            "Serve Homerow behind TLS and set its https address",
        )


def _private_providers(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    if settings.allow_private_providers:
        yield Unsafe(
            "HOMEROW_ALLOW_PRIVATE_PROVIDERS",
            "is true",
            "a tenant's administrator could have Homerow ask servers of your own network",
            "Leave it out",
        )


def _provider_urls(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    for name in PROVIDER_URLS:
        if not _is_https(getattr(settings, name)):
            yield Unsafe(
                f"HOMEROW_{name.upper()}",
                "is no https address",
                "whoever stands in between could answer for the provider",
                "Use the provider's https address",
            )


def _database_login(_: Settings, facts: SiteFacts) -> Iterator[Unsafe]:
    login = facts.login
    if login is None or facts.is_embedded:
        return
    for is_so, what in (
        (login.is_superuser, "is or can become a superuser"),
        (login.bypasses_policies, "may bypass row-level security"),
        (login.owns_tables, "owns the tables or can become their owner"),
    ):
        if is_so:
            yield Unsafe(
                "HOMEROW_DATABASE_URL",
                f"logs in as {login.name!r}, which {what}",
                "the walls between tenants would not hold the API back",
                "Log in as homerow_api, or as a login that may take no other role",
            )
            return


def _database_wire(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    if settings.database_url is None:
        return
    url = make_url(settings.database_url.get_secret_value())
    hosts = [url.host or "", *url.normalized_query.get("host", ())]
    is_encrypted = _ENCRYPTED_DATABASE.issuperset(url.normalized_query.get("ssl", ("prefer",)))
    if any(map(_is_remote, hosts)) and not is_encrypted:
        yield Unsafe(
            "HOMEROW_DATABASE_URL",
            "names another machine without TLS",
            "everybody's data would cross the network for others to read",
            "Add ?ssl=verify-full to it, or ?ssl=require where the server's certificate is"
            " nobody's",
        )


def _redis(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    url = _split(settings.redis_url)
    if url is None or url.scheme == "unix" or not _is_remote(url.hostname or ""):
        return
    if url.scheme != "rediss":
        yield Unsafe(
            "HOMEROW_REDIS_URL",
            "names another machine without TLS",
            "what signing in keeps there would cross the network for others to read",
            "Use rediss://",
        )
    if not url.password:
        yield Unsafe(
            "HOMEROW_REDIS_URL",
            "has no password",
            "whoever reaches that machine could sign in as anybody",
            "Give the server a password and write it into the URL",
        )


def _cors(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    for text in listed(settings.cors_origins):
        origin = origin_of(text)
        if origin is None:
            yield Unsafe(
                "HOMEROW_CORS_ORIGINS",
                f"has {text!r}, which is no origin",
                "frontends are named one by one, and this one is not heard",
                "Write origins such as https://app.example.org, with commas between them",
                matters_locally=True,
            )
        elif not _is_https(origin):
            yield Unsafe(
                "HOMEROW_CORS_ORIGINS",
                f"has {text!r}, which is no https address",
                "whoever stands in between could take over that frontend and its tokens",
                "Use the frontend's https address",
            )


def _landing(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    if settings.landing_url and not _is_https(settings.landing_url):
        yield Unsafe(
            "HOMEROW_LANDING_URL",
            "is no https address",
            "launch tokens would cross the network for everybody to read",
            "Use the training application's https address",
        )


def _mail(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    url = _split(settings.smtp_url)
    if url and url.scheme not in _ENCRYPTED_MAIL and _is_remote(url.hostname or ""):
        yield Unsafe(
            "HOMEROW_SMTP_URL",
            "names another machine without TLS",
            "the links that set passwords would cross the network for others to read",
            "Use smtps:// or smtp+starttls://",
        )


def _clients(settings: Settings, _: SiteFacts) -> Iterator[Unsafe]:
    for client in CLIENTS:
        if getattr(settings, f"{client}_client_id") and not getattr(
            settings, f"{client}_client_secret"
        ):
            yield Unsafe(
                f"HOMEROW_{client.upper()}_CLIENT_SECRET",
                "is not set",
                "there is a client id, and nobody can sign in with it alone",
                "Set the secret that the provider gave with the id",
                matters_locally=True,
            )


_CHECKS: Final[tuple[Check, ...]] = (
    _keys,
    _servers,
    _database_login,
    _database_wire,
    _redis,
    _public_url,
    _cors,
    _landing,
    _private_providers,
    _provider_urls,
    _clients,
    _mail,
)


def _split(url: SecretStr | None) -> SplitResult | None:
    return urlsplit(url.get_secret_value()) if url else None


def _is_https(url: str) -> bool:
    return (origin_of(url) or "").startswith("https://")


def _is_remote(host: str) -> bool:
    """Not this machine's own; a path is a socket's."""
    if not host or host.startswith("/") or host.lower() == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True
