"""What each provider is connected with: what is taken, what is refused, and of which field."""

from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.integrations.connections import (
    NOTHING,
    UNKNOWN,
    Connection,
    Known,
    Platform,
    check_connection,
    has_moved,
)
from domain.roster.source import Provider

CLEVER, CLASSLINK, ONEROSTER = Provider.CLEVER, Provider.CLASSLINK, Provider.ONEROSTER
TOKEN = {"token": "t"}
PAIR = {"key": "k", "secret": "s"}
SERVER = {"base_url": "https://sis.example.org/ims/oneroster/v1p1"}
OAUTH2 = {**SERVER, "token_url": "https://sis.example.org/token"}
BEARER = {**SERVER, "auth": "BEARER"}
OWN = Platform(has_clever=True, has_classlink=True)
LOCAL = Platform(allow_private=True)


def check(
    provider: Provider,
    settings: dict[str, Any],
    credentials: dict[str, str] | None = None,
    **options: Any,
) -> Connection:
    given = {"known": UNKNOWN, "platform": NOTHING, "is_operator": True, **options}
    return check_connection(Connection(provider, settings, credentials or {}), **given)


@pytest.mark.parametrize(
    ("provider", "settings", "credentials", "stored"),
    [
        (CLEVER, {}, TOKEN, {}),
        (CLEVER, {"district_id": " 58da8a43cc70ab00017a1a87 "}, PAIR, "district_id"),
        (CLASSLINK, {"tenant_id": "2284"}, TOKEN, {"tenant_id": "2284"}),
        (CLASSLINK, {"application_id": "%2FgVa0ed75Gs%43"}, TOKEN, "application_id"),
        (CLASSLINK, SERVER, PAIR, SERVER),
        (CLASSLINK, {**SERVER, "tenant_id": "7"}, PAIR, {**SERVER, "tenant_id": "7"}),
        (ONEROSTER, OAUTH2, PAIR, {**OAUTH2, "auth": "OAUTH2"}),
        (ONEROSTER, BEARER, TOKEN, BEARER),
        (ONEROSTER, {**SERVER, "auth": "OAUTH1_SHA1"}, PAIR, {**SERVER, "auth": "OAUTH1_SHA1"}),
        (Provider.ONEROSTER_CSV, {"path": "/srv/a.zip"}, {}, {"path": "/srv/a.zip"}),
    ],
)
def test_each_way_to_connect_is_taken(
    provider: Provider,
    settings: dict[str, Any],
    credentials: dict[str, str],
    stored: dict[str, Any] | str,
) -> None:
    expected = {stored: settings[stored].strip()} if isinstance(stored, str) else stored
    assert check(provider, settings, credentials).settings == expected


def test_settings_and_credentials_lose_what_copying_added() -> None:
    given = {
        **OAUTH2,
        "base_url": f" {SERVER['base_url']}/ ",
        "version": "1.2",
        "auth": "",
        "scopes": ["a", " b", "a"],
    }
    found = check(ONEROSTER, given, {"key": " k\n", "secret": "s\r\n", "token": " "})
    assert found.settings == {
        **OAUTH2,
        "version": "1.2",
        "auth": "OAUTH2",
        "scopes": ["a", "b"],
    }
    assert found.credentials == PAIR
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("provider", "settings", "field"),
    [
        (ONEROSTER, {}, "oneRoster.baseUrl"),
        (ONEROSTER, {"base_url": "  "}, "oneRoster.baseUrl"),
        (ONEROSTER, SERVER, "oneRoster.tokenUrl"),
        (ONEROSTER, {**OAUTH2, "version": "1.3"}, "oneRoster.version"),
        (ONEROSTER, {**OAUTH2, "auth": "BASIC"}, "oneRoster.auth"),
        (ONEROSTER, {**BEARER, "token_url": "https://a.example.org"}, "oneRoster.tokenUrl"),
        (ONEROSTER, {**BEARER, "scopes": ["a"]}, "oneRoster.scopes"),
        (ONEROSTER, {**OAUTH2, "scopes": ["a b"]}, "oneRoster.scopes"),
        (ONEROSTER, {**OAUTH2, "scopes": [""]}, "oneRoster.scopes"),
        (ONEROSTER, {**OAUTH2, "scopes": [str(n) for n in range(21)]}, "oneRoster.scopes"),
        (CLEVER, {"district_id": "../x"}, "clever.districtId"),
        (CLEVER, {"district_id": "x" * 256}, "clever.districtId"),
        (CLEVER, {"base_url": "https://a.example.org"}, "provider"),
        (CLASSLINK, {}, "classLink"),
        (CLASSLINK, {"application_id": "a/b"}, "classLink.applicationId"),
        (CLASSLINK, {"application_id": ".."}, "classLink.applicationId"),
        (CLASSLINK, {"application_id": "a?b"}, "classLink.applicationId"),
        (CLASSLINK, {"application_id": "50%"}, "classLink.applicationId"),
        (CLASSLINK, {**SERVER, "application_id": "a"}, "classLink.applicationId"),
        (Provider.ONEROSTER_CSV, {"path": "here"}, "path"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    provider: Provider, settings: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(provider, settings, TOKEN)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "url",
    [
        "sis.example.org",
        "https://",
        "https:///v1p1",
        "http://sis.example.org",
        "ftp://sis.example.org",
        "https://user:word@sis.example.org",
        "https://sis.example.org/?limit=1",
        "https://sis.example.org/#a",
        "https://sis.example.org:port",
        "https://sis.example.org/a b",
        "https://sis.example.org/\nx",
        "https://sïs.example.org",
        "https://[::1",
        "https://127.0.0.1/v1p1",
        "https://10.0.0.7",
        "https://[::1]/v1p1",
        "https://169.254.169.254/latest",
        "https://localhost",
        "https://metadata",
        "https://sis.example.org/" + "x" * 2000,
    ],
)
def test_an_address_that_is_none_or_not_public_is_refused(url: str) -> None:
    for name, field in (("base_url", "baseUrl"), ("token_url", "tokenUrl")):
        with pytest.raises(InvalidInput) as refused:
            check(ONEROSTER, {**OAUTH2, name: url}, PAIR)
        assert refused.value.field == f"oneRoster.{field}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1p1", "https://localhost", "http://sis"])
def test_private_addresses_are_taken_where_the_installation_allows_them(url: str) -> None:
    found = check(ONEROSTER, {**BEARER, "base_url": url}, TOKEN, platform=LOCAL)
    assert found.settings["base_url"] == url
    with pytest.raises(InvalidInput):
        check(ONEROSTER, {**BEARER, "base_url": "ftp://sis"}, TOKEN, platform=LOCAL)


@pytest.mark.parametrize(
    ("provider", "settings", "credentials"),
    [
        (CLEVER, {}, {}),
        (CLEVER, {}, {"key": "k"}),
        (CLEVER, {}, {"secret": "s"}),
        (CLEVER, {}, {**PAIR, **TOKEN}),
        (CLASSLINK, SERVER, TOKEN),
        (CLASSLINK, {"tenant_id": "7"}, PAIR),
        (ONEROSTER, OAUTH2, {}),
        (ONEROSTER, OAUTH2, TOKEN),
        (ONEROSTER, BEARER, PAIR),
        (Provider.ONEROSTER_CSV, {"path": "/srv"}, TOKEN),
    ],
)
def test_credentials_of_the_wrong_kind_are_refused(
    provider: Provider, settings: dict[str, Any], credentials: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(provider, settings, credentials)
    assert refused.value.field == "credentials"


@pytest.mark.parametrize(
    ("name", "value"), [("token", "x" * 4001), ("token", "a\nb"), ("token", "ä"), ("key", "\x00")]
)
def test_a_credential_that_cannot_be_sent_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(CLEVER, {}, {**PAIR, name: value})
    assert refused.value.field == f"credentials.{name}"
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    ("provider", "settings", "field"),
    [(CLEVER, "district_id", "clever.districtId"), (CLASSLINK, "tenant_id", "classLink.tenantId")],
)
def test_the_installations_own_credentials_open_a_district_that_an_operator_chose(
    provider: Provider, settings: str, field: str
) -> None:
    chosen = {settings: "1234"}
    assert check(provider, chosen, platform=OWN).settings == chosen
    # The tenant keeps what was chosen for it, and chooses no other.
    known = Known(chosen, has_credentials=False)
    found = check(provider, chosen, known=known, platform=OWN, is_operator=False)
    assert found.settings == chosen
    with pytest.raises(InvalidInput, match="only an operator") as refused:
        check(provider, {settings: "5678"}, known=known, platform=OWN, is_operator=False)
    assert refused.value.field == "credentials"
    own = PAIR if provider is CLEVER else TOKEN
    found = check(provider, {settings: "5678"}, own, platform=OWN, is_operator=False)
    assert found.credentials == own
    with pytest.raises(InvalidInput) as refused:
        check(provider, {} if provider is CLEVER else {"application_id": "a"}, platform=OWN)
    assert refused.value.field in {field, "classLink.applicationId"}


def test_no_scope_is_another_thing_than_the_usual_one() -> None:
    assert check(ONEROSTER, {**OAUTH2, "scopes": []}, PAIR).settings["scopes"] == []
    assert "scopes" not in check(ONEROSTER, {**OAUTH2, "scopes": None}, PAIR).settings


def test_a_server_of_the_districts_own_needs_the_districts_own_credentials() -> None:
    with pytest.raises(InvalidInput, match="a key with its secret"):
        check(CLASSLINK, SERVER, platform=OWN)


@pytest.mark.parametrize(
    ("provider", "before", "after"),
    [
        (CLEVER, {}, {"district_id": "1"}),
        (CLEVER, {"district_id": "1"}, {"district_id": "2"}),
        (CLASSLINK, {"tenant_id": "1"}, {"tenant_id": "2"}),
        (CLASSLINK, {"tenant_id": "1"}, {"application_id": "1"}),
        (CLASSLINK, {"tenant_id": "1"}, SERVER),
        (ONEROSTER, OAUTH2, {**OAUTH2, "token_url": "https://evil.example.com"}),
        (ONEROSTER, OAUTH2, {**OAUTH2, "base_url": "https://evil.example.com"}),
        (ONEROSTER, {**SERVER, "auth": "OAUTH1_SHA1"}, BEARER),
    ],
)
def test_an_address_or_a_district_changes_only_together_with_the_credentials(
    provider: Provider, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert has_moved(provider, after, before)
    for is_operator in (True, False):
        with pytest.raises(InvalidInput) as refused:
            check(
                provider,
                after,
                known=Known(before, has_credentials=True),
                platform=OWN,
                is_operator=is_operator,
            )
        assert refused.value.field == "credentials"


def test_what_is_no_address_changes_without_credentials() -> None:
    known = Known({**OAUTH2, "auth": "OAUTH2"}, has_credentials=True)
    after = {**OAUTH2, "auth": "OAUTH2_BODY", "version": "1.1", "scopes": ["a"]}
    assert check(ONEROSTER, after, known=known, is_operator=False).settings == after


def test_a_tenant_keeps_the_folder_that_was_chosen_for_it() -> None:
    path = {"path": "/srv/roster"}
    known = Known(path, has_credentials=False)
    assert check(Provider.ONEROSTER_CSV, path, known=known, is_operator=False).settings == path
    with pytest.raises(InvalidInput, match="operator"):
        check(Provider.ONEROSTER_CSV, {"path": "/etc"}, known=known, is_operator=False)


def test_a_token_goes_with_the_district_that_it_is_for() -> None:
    """Then another district's token is found out when it is used."""
    district = {"district_id": "1234"}
    assert check(CLEVER, district, TOKEN, platform=OWN, is_operator=False).settings == district
    assert check(CLEVER, {}, TOKEN, platform=OWN, is_operator=False).settings == {}
