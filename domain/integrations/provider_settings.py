"""The settings of each provider in their normal form: what may be shown of a connection."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from domain.errors import InvalidInput
from domain.roster.source import Provider

TEXT_LENGTH: Final = 255
URL_LENGTH: Final = 2000
MOST_SCOPES: Final = 20
# A ClassLink application id goes into addresses as it is, already escaped.
_APPLICATION_ID = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_NAME = re.compile(r"[A-Za-z0-9._:~=+-]+")


class OneRosterVersion(StrEnum):
    V1_1 = "1.1"
    V1_2 = "1.2"


class OneRosterAuth(StrEnum):
    """How a OneRoster server is told who asks. The first is usual."""

    OAUTH2 = "OAUTH2"
    OAUTH2_BODY = "OAUTH2_BODY"
    OAUTH1_SHA1 = "OAUTH1_SHA1"
    OAUTH1_SHA256 = "OAUTH1_SHA256"
    BEARER = "BEARER"


_OAUTH2: Final = frozenset({OneRosterAuth.OAUTH2, OneRosterAuth.OAUTH2_BODY})

FIELDS: Final[Mapping[Provider, Mapping[str, str]]] = {
    Provider.CLEVER: {"district_id": "clever.districtId"},
    Provider.CLASSLINK: {
        "tenant_id": "classLink.tenantId",
        "application_id": "classLink.applicationId",
        "base_url": "classLink.baseUrl",
    },
    Provider.ONEROSTER: {
        "base_url": "oneRoster.baseUrl",
        "version": "oneRoster.version",
        "auth": "oneRoster.auth",
        "token_url": "oneRoster.tokenUrl",
        "scopes": "oneRoster.scopes",
    },
    Provider.ONEROSTER_CSV: {"path": "path"},
}
"""The settings of each provider, with their fields in the API's input."""


def check_settings(
    provider: Provider, given: Mapping[str, Any], *, allow_private: bool
) -> dict[str, Any]:
    """Raises InvalidInput, with the field's name in the API's input."""
    settings = _Settings(provider, given, allow_private=allow_private)
    _CHECKS[provider](settings)
    return settings.taken


class _Settings:
    """The settings that were given, taken one after the other into their normal form."""

    def __init__(
        self, provider: Provider, given: Mapping[str, Any], *, allow_private: bool
    ) -> None:
        self._fields = FIELDS[provider]
        self._given = given
        self._allow_private = allow_private
        self.taken: dict[str, Any] = {}
        for name in given:
            if name not in self._fields:
                raise InvalidInput("provider", f"{provider.value} has no setting {name!r}.")

    def text(
        self,
        name: str,
        check: Callable[[str], str | None],
        *,
        limit: int = TEXT_LENGTH,
        missing: str | None = None,
    ) -> str | None:
        """`check` says what is wrong with it; `missing`, what is said where there is none."""
        value = self._given.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            if missing is not None:
                raise InvalidInput(self._fields[name], missing)
            return None
        text = value.strip() if isinstance(value, str) else ""
        if not (text and text.isprintable()):
            raise InvalidInput(self._fields[name], "This is not a text of one line.")
        if len(text) > limit:
            raise InvalidInput(self._fields[name], f"This has at most {limit} characters.")
        if complaint := check(text):
            raise InvalidInput(self._fields[name], complaint)
        self.taken[name] = text
        return text

    def url(self, name: str, *, missing: str | None = None) -> None:
        found = self.text(name, self._complain_of_url, limit=URL_LENGTH, missing=missing)
        if found is not None:
            self.taken[name] = found.rstrip("/")

    def refuse(self, name: str, message: str) -> None:
        if self._given.get(name):
            raise InvalidInput(self._fields[name], message)

    def scopes(self, name: str) -> None:
        """An empty list asks for none; without a list the version's usual one is asked for."""
        given = self._given.get(name)
        if given is None:
            return
        scopes = [str(scope).strip() for scope in given]
        if len(scopes) > MOST_SCOPES:
            raise InvalidInput(self._fields[name], f"There are at most {MOST_SCOPES} scopes.")
        for scope in scopes:
            is_word = scope.isascii() and scope.isprintable() and " " not in scope
            if not (is_word and 0 < len(scope) <= TEXT_LENGTH):
                raise InvalidInput(
                    self._fields[name],
                    f"A scope is one word or address of at most {TEXT_LENGTH} characters.",
                )
        self.taken[name] = list(dict.fromkeys(scopes))

    def _complain_of_url(self, text: str) -> str | None:
        return _complain_of_url(text, allow_private=self._allow_private)


def _complain_of_url(text: str, *, allow_private: bool) -> str | None:
    parts = _split(text)
    if parts is None or not parts.hostname:
        return "This is not an address such as https://sis.example.org/ims/oneroster/v1p2."
    if parts.username is not None or parts.password is not None:
        return "Give no user name or password in an address; they belong to the credentials."
    if parts.fragment or parts.query:
        return "Give the address without what follows a ? or a #."
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        return "The address begins with https://."
    if not allow_private and _is_private(parts.hostname):
        return "The address must be a public one."
    return None


def _split(text: str) -> SplitResult | None:
    if " " in text or not text.isascii():
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_private(host: str) -> bool:
    """What is plain to see. What a name leads to is looked at when it is called."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host


def _complain_of_path(path: str) -> str | None:
    return None if path.startswith("/") else "Give the absolute path of a folder or a zip file."


def _complain_of_name(text: str) -> str | None:
    return None if _NAME.fullmatch(text) else "An id is made of letters, digits and . _ : ~ = + -."


def _complain_of_application_id(text: str) -> str | None:
    if _APPLICATION_ID.fullmatch(text) and text.strip("."):
        return None
    return "Copy the application id as ClassLink shows it, with its percent signs."


def _take_csv(settings: _Settings) -> None:
    missing = "Give the absolute path of a folder or a zip file."
    settings.text("path", _complain_of_path, limit=URL_LENGTH, missing=missing)


def _take_clever(settings: _Settings) -> None:
    settings.text("district_id", _complain_of_name)


def _take_classlink(settings: _Settings) -> None:
    settings.text("tenant_id", _complain_of_name)
    settings.text("application_id", _complain_of_application_id)
    settings.url("base_url")
    if "base_url" in settings.taken:
        settings.refuse(
            "application_id", "Give the server's own address or an application id, not both."
        )
    elif not settings.taken:
        raise InvalidInput(
            "classLink",
            "Give ClassLink's tenant id, or the application id of the proxy, or the address of "
            "the district's own server.",
        )


def _take_oneroster(settings: _Settings) -> None:
    settings.url("base_url", missing="Give the address of the OneRoster API.")
    settings.text("version", _one_of(OneRosterVersion))
    auth = settings.text("auth", _one_of(OneRosterAuth)) or OneRosterAuth.OAUTH2.value
    settings.taken["auth"] = auth
    if auth in _OAUTH2:
        missing = "OAuth 2 needs the address that gives out tokens."
        settings.url("token_url", missing=missing)
        settings.scopes("scopes")
    else:
        settings.refuse("token_url", "An address for tokens goes with OAuth 2 only.")
        settings.refuse("scopes", "Scopes go with OAuth 2 only.")


def _one_of(enumeration: type[StrEnum]) -> Callable[[str], str | None]:
    known = [value.value for value in enumeration]

    def check(text: str) -> str | None:
        return None if text in known else f"Choose one of: {', '.join(known)}."

    return check


_CHECKS: Final[Mapping[Provider, Callable[[_Settings], None]]] = {
    Provider.CLEVER: _take_clever,
    Provider.CLASSLINK: _take_classlink,
    Provider.ONEROSTER: _take_oneroster,
    Provider.ONEROSTER_CSV: _take_csv,
}
