"""What each provider is connected with: settings that may be shown, credentials that may not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn

from domain.errors import InvalidInput
from domain.integrations.provider_settings import FIELDS, OneRosterAuth, check_settings
from domain.roster.source import Provider

SECRET_LENGTH: Final = 4000


class Platform(NamedTuple):
    """What this installation brings itself: credentials that open every district that shares."""

    allow_private: bool = False
    has_clever: bool = False
    has_classlink: bool = False

    def opens(self, provider: Provider, settings: Mapping[str, Any]) -> bool:
        match provider:
            case Provider.CLEVER:
                return self.has_clever
            case Provider.CLASSLINK:
                return self.has_classlink and "base_url" not in settings
            case _:
                return False


NOTHING: Final = Platform()


@dataclass(frozen=True, slots=True)
class Connection:
    """`settings` by their stored names; `credentials` are `token`, or `key` and `secret`."""

    provider: Provider
    settings: Mapping[str, Any]
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


class Known(NamedTuple):
    """What is stored already. Credentials cannot be read here, only whether there are any."""

    settings: Mapping[str, Any]
    has_credentials: bool


UNKNOWN: Final = Known({}, has_credentials=False)


def check_connection(
    wanted: Connection, *, known: Known, platform: Platform, is_operator: bool
) -> Connection:
    """What shall be stored, in its normal form. Raises InvalidInput, with the API's field names."""
    settings = check_settings(
        wanted.provider, wanted.settings, allow_private=platform.allow_private
    )
    credentials = _check_credentials(wanted.credentials)
    if credentials:
        _check_kind(wanted.provider, settings, credentials)
    elif wanted.provider is Provider.ONEROSTER_CSV:
        _check_choice("path", settings, known=known, is_operator=is_operator)
    elif known.has_credentials:
        _check_address(wanted.provider, settings, known.settings)
    elif platform.opens(wanted.provider, settings):
        name = _check_district(wanted.provider, settings)
        _check_choice(name, settings, known=known, is_operator=is_operator)
    else:
        _need_credentials(wanted.provider, settings)
    return Connection(wanted.provider, settings, credentials)


def has_moved(provider: Provider, settings: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether another server or another district is meant than before."""
    return _address(provider, settings) != _address(provider, before)


_DISTRICTS: Final = {Provider.CLEVER: "district_id", Provider.CLASSLINK: "tenant_id"}
"""The setting that says which of the districts is meant that one credential opens."""

_ADDRESSES: Final = {
    Provider.CLEVER: ("district_id",),
    Provider.CLASSLINK: ("tenant_id", "application_id", "base_url"),
    Provider.ONEROSTER: ("base_url", "token_url"),
    Provider.ONEROSTER_CSV: ("path",),
}


def _address(provider: Provider, settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where credentials go, and of which kind they are."""
    is_bearer = settings.get("auth") == OneRosterAuth.BEARER
    return (is_bearer, *(settings.get(name) for name in _ADDRESSES[provider]))


def _check_address(
    provider: Provider, settings: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """A stored secret goes where it was meant to go, and nowhere else."""
    if has_moved(provider, settings, before):
        raise InvalidInput(
            "credentials",
            "Give the credentials again: stored ones are not sent to another address or district.",
        )


def _check_district(provider: Provider, settings: Mapping[str, Any]) -> str:
    """Which setting names the district."""
    name, fields = _DISTRICTS[provider], FIELDS[provider]
    if "application_id" in settings:
        raise InvalidInput(
            fields["application_id"], "An application id goes with the district's own token."
        )
    if name not in settings:
        raise InvalidInput(
            fields[name],
            "Say which district it is: the installation's own credentials open several.",
        )
    return name


def _check_choice(
    name: str, settings: Mapping[str, Any], *, known: Known, is_operator: bool
) -> None:
    """A folder of the server, or a district that no secret of the tenant's own opens."""
    if is_operator or settings[name] == known.settings.get(name):
        return
    if name == "path":
        raise InvalidInput("path", "Only an operator may choose a folder of the server.")
    raise InvalidInput(
        "credentials",
        "Give the district's own credentials: only an operator may connect a tenant by those of "
        "the installation.",
    )


def _need_credentials(provider: Provider, settings: Mapping[str, Any]) -> NoReturn:
    kinds = " or ".join(_KINDS[kind] for kind in _kinds(provider, settings))
    raise InvalidInput("credentials", f"{provider.value} needs credentials: {kinds}.")


_TOKEN: Final = frozenset({"token"})
_PAIR: Final = frozenset({"key", "secret"})
_KINDS: Final = {_TOKEN: "a token", _PAIR: "a key with its secret"}


def _kinds(provider: Provider, settings: Mapping[str, Any]) -> Sequence[frozenset[str]]:
    match provider:
        case Provider.CLEVER:
            return (_TOKEN, _PAIR)
        case Provider.CLASSLINK:
            return (_PAIR,) if "base_url" in settings else (_TOKEN,)
        case Provider.ONEROSTER:
            return (_TOKEN,) if settings["auth"] == OneRosterAuth.BEARER else (_PAIR,)
        case Provider.ONEROSTER_CSV:
            return ()


def _check_kind(
    provider: Provider, settings: Mapping[str, Any], credentials: Mapping[str, str]
) -> None:
    kinds = _kinds(provider, settings)
    if not kinds:
        raise InvalidInput("credentials", f"{provider.value} takes no credentials.")
    if frozenset(credentials) not in kinds:
        taken = " or ".join(_KINDS[kind] for kind in kinds)
        raise InvalidInput(
            "credentials", f"{provider.value} set up like this takes {taken}, and nothing else."
        )


def _check_credentials(given: Mapping[str, str]) -> dict[str, str]:
    """Without the blanks that come with copying."""
    credentials = {name: value.strip() for name, value in given.items() if value.strip()}
    for name, value in credentials.items():
        if len(value) > SECRET_LENGTH:
            raise InvalidInput(
                f"credentials.{name}", f"A credential has at most {SECRET_LENGTH} characters."
            )
        if not (value.isascii() and value.isprintable()):
            raise InvalidInput(
                f"credentials.{name}", "A credential is one line of letters, digits and signs."
            )
    return credentials
