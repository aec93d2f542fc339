"""What servers do wrong: it heals, or the reading ends with the code that says what it was."""

from pathlib import Path

import pytest

from domain.roster.records import RecordType
from domain.roster.source import (
    CredentialsRejected,
    RosterMoved,
    RosterUnreadable,
    SourceUnavailable,
)
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import folder, package
from tests.domain.providers.oneroster_rest.servers import fake, last_page, records_of
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.oneroster import OneRosterOptions
from tests.fakes.oneroster_auth import Auth, Credentials
from tests.fakes.oneroster_service import Habits


@pytest.fixture(scope="module")
def district(tmp_path_factory) -> Path:
    """Twelve users, so that there are three pages of five."""
    files = package()
    rows = (f"u{n:03},,,true,s1,student,user{n},,Ann,Archer,,,,,,,9,\n" for n in range(10, 20))
    files["users.csv"] = str(files["users.csv"]) + "".join(rows)
    return folder(tmp_path_factory.mktemp("faults") / "district", files)


OPTIONS = OneRosterOptions(habits=Habits(largest_page=5, has_links=False))


@pytest.mark.parametrize("collection", ["orgs", "users", "enrollments"])
@pytest.mark.parametrize(
    "fault",
    [
        Misbehaviour(Kind.STATUS, times=1, amount=429, text="0"),
        Misbehaviour(Kind.STATUS, times=1, amount=500),
        Misbehaviour(Kind.STATUS, times=2, amount=503),
        Misbehaviour(Kind.RESET, times=1),
        Misbehaviour(Kind.TRUNCATED, times=1),
        Misbehaviour(Kind.HTML, times=1, amount=200),
        Misbehaviour(Kind.HTML, times=1, amount=502),
        Misbehaviour(Kind.WRONG_SHAPE, times=1),
        Misbehaviour(Kind.TOKEN_REVOKED, times=1),
        Misbehaviour(Kind.OVERLAP, first=2, times=1),
        Misbehaviour(Kind.OVERLAP, amount=2),
        Misbehaviour(Kind.TOTAL_MISSING),
        Misbehaviour(Kind.TOTAL_OF_PAGE),
        Misbehaviour(Kind.TOTAL_SHIFTED, amount=-1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.amount}",
)
def test_what_heals_costs_no_row(district, collection, fault):
    told = Misbehaviour(fault.kind, collection, fault.first, fault.times, fault.amount, fault.text)
    with fake(district, told, options=OPTIONS) as server:
        pages = server.read()
    users = {user.source_id for user in records_of(pages, RecordType.USER)}
    assert len(users) == 12
    enrollments = {record.source_id for record in records_of(pages, RecordType.MEMBERSHIP)}
    assert enrollments == {"e1", "e2"}
    assert {page.record_type for page in pages if page.is_last} == set(RecordType)


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize(
    ("fault", "error_class", "code"),
    [
        (Misbehaviour(Kind.STATUS, amount=500), SourceUnavailable, Code.CONN_SERVER_ERROR),
        (Misbehaviour(Kind.STATUS, amount=429, text="0"), SourceUnavailable, Code.CONN_THROTTLED),
        (Misbehaviour(Kind.STATUS, amount=403), CredentialsRejected, Code.CONN_FORBIDDEN_SCOPE),
        (Misbehaviour(Kind.STATUS, amount=404), CredentialsRejected, Code.CONN_FORBIDDEN_SCOPE),
        (Misbehaviour(Kind.STATUS, amount=401), CredentialsRejected, Code.CONN_AUTH_REJECTED),
        (Misbehaviour(Kind.STATUS, amount=400), RosterUnreadable, Code.CONN_REQUEST_REFUSED),
        (Misbehaviour(Kind.HTML, amount=200), RosterUnreadable, Code.CONN_BAD_PAYLOAD),
        (Misbehaviour(Kind.WRONG_SHAPE), RosterUnreadable, Code.CONN_BAD_PAYLOAD),
        (Misbehaviour(Kind.TRUNCATED), RosterUnreadable, Code.CONN_BAD_PAYLOAD),
        (Misbehaviour(Kind.REDIRECT), CredentialsRejected, Code.CONN_ADDRESS_REFUSED),
    ],
    ids=lambda value: f"{value.kind}-{value.amount}" if isinstance(value, Misbehaviour) else "",
)
def test_what_does_not_heal_ends_the_reading(district, first, fault, error_class, code):
    told = Misbehaviour(fault.kind, "users", first, None, fault.amount, fault.text)
    with fake(district, told, options=OPTIONS) as server:
        error = server.refusal()
    assert isinstance(error, error_class)
    assert error.code is code


def test_the_same_page_again_and_again_is_a_circle(district):
    with fake(district, Misbehaviour(Kind.SAME_PAGE, "users", 2), options=OPTIONS) as server:
        assert server.refusal().code is Code.CONN_PAGINATION_BROKEN


@pytest.mark.parametrize("kind", [Kind.ROW_ADDED, Kind.ROW_REMOVED])
def test_a_roster_that_changes_between_pages_has_moved(district, kind):
    with fake(district, Misbehaviour(kind, "users", 2), options=OPTIONS) as server:
        error = server.refusal()
    assert isinstance(error, RosterMoved)
    assert error.code is Code.CONN_MOVED


@pytest.mark.parametrize(
    "fault",
    [
        Misbehaviour(Kind.EMPTY, "users", 2),
        Misbehaviour(Kind.TOTAL_SHIFTED, "users", amount=1),
    ],
    ids=lambda fault: fault.kind,
)
def test_rows_that_the_total_has_and_the_pages_have_not_are_expected(district, fault):
    with fake(district, fault, options=OPTIONS) as server:
        pages = server.read()
    expected = last_page(pages, RecordType.USER).expected
    assert expected is not None
    assert expected > len(records_of(pages, RecordType.USER))


def test_a_token_that_has_expired_is_asked_for_anew(district):
    credentials = Credentials(Auth.OAUTH2, expires_in=1)
    options = OneRosterOptions(credentials=credentials, habits=OPTIONS.habits)
    with fake(
        district, Misbehaviour(Kind.SLOW, "users", times=1, amount=0.02), options=options
    ) as server:
        assert len(records_of(server.read(), RecordType.USER)) == 12
        assert server.served.state.plan.count("tokens") > 1


@pytest.mark.parametrize("auth", [Auth.OAUTH2, Auth.OAUTH2_BODY])
def test_credentials_that_open_no_token_are_refused_and_not_told(district, auth):
    options = OneRosterOptions(credentials=Credentials(auth))
    with fake(district, options=options) as server:
        error = server.refusal(credentials={"key": "fake-oneroster-key", "secret": "wrong-secret"})
    assert error.code is Code.CONN_AUTH_REJECTED
    assert "wrong-secret" not in str(error)


@pytest.mark.parametrize(
    ("settings", "credentials", "code", "word"),
    [
        ({"base_url": ""}, {}, Code.CONN_ADDRESS_REFUSED, "base_url"),
        ({"base_url": "https://h/?a=1"}, {}, Code.CONN_ADDRESS_REFUSED, "query"),
        ({"version": "1.0"}, {}, Code.CONN_ADDRESS_REFUSED, "1.0"),
        ({"auth": "NTLM"}, {}, Code.CONN_ADDRESS_REFUSED, "NTLM"),
        ({"token_url": None}, {}, Code.CONN_ADDRESS_REFUSED, "token_url"),
        ({}, {"secret": " "}, Code.CONN_AUTH_REJECTED, "secret"),
        ({"auth": "BEARER"}, {}, Code.CONN_AUTH_REJECTED, "token"),
        ({"auth": "BEARER"}, {"token": "a\nb"}, Code.CONN_AUTH_REJECTED, "token"),
    ],
)
def test_settings_that_lack_something_are_told(district, settings, credentials, code, word):
    with fake(district) as server:
        changes = {
            "settings": {**server.config.settings, **settings},
            "credentials": {**server.config.credentials, **credentials},
        }
        error = server.refusal(**changes)
        assert server.served.state.log == []
    assert isinstance(error, CredentialsRejected)
    assert error.code is code
    assert word in str(error)
