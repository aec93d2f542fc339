"""Testing an integration: what was tried, what answered, and what to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.domain.providers.oneroster_packages import folder, package
from tests.domain.providers.oneroster_rest.servers import NAMES, Server, fake, telling
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.oneroster import OneRosterOptions
from tests.fakes.oneroster_auth import Auth, Credentials

STEPS = ["address", "credentials", *NAMES, "demographics"]


@pytest.fixture
def district(tmp_path: Path) -> Path:
    return folder(tmp_path / "district", package())


def _names(server: Server) -> list[str]:
    return [step.name for step in server.check()]


@pytest.mark.parametrize("auth", Auth)
def test_every_collection_is_counted_with_one_record(district, auth):
    options = OneRosterOptions(credentials=Credentials(auth))
    with fake(district, options=options) as server:
        steps = server.check()
        assert [step.name for step in steps] == STEPS
        assert all(step.is_ok for step in steps)
        assert "there are 3" in steps[STEPS.index("orgs")].message
        assert server.asked("users") == ["limit=1&offset=0"]


def test_the_other_signature_method_is_tried_and_advised(district):
    options = OneRosterOptions(credentials=Credentials(Auth.OAUTH1_SHA256))
    with fake(district, options=options, settings={"auth": "OAUTH1_SHA1"}) as server:
        step = server.check()[-1]
    assert (step.name, step.is_ok) == ("credentials", False)
    assert step.advice == "The server accepts HMAC-SHA256: set auth to OAUTH1_SHA256."


@pytest.mark.parametrize("auth", Auth)
def test_wrong_credentials_are_told_and_nothing_else_is_tried(district, auth):
    options = OneRosterOptions(credentials=Credentials(auth))
    with fake(district, options=options) as server:
        wrong = {"key": "k", "secret": "hidden", "token": "hidden"}
        steps = Server(server.served, replace(server.config, credentials=wrong)).check()
    assert [(step.name, step.is_ok) for step in steps] == [
        ("address", True),
        ("credentials", False),
    ]
    assert "hidden" not in str(steps)
    assert steps[-1].advice


@pytest.mark.parametrize("collection", NAMES)
def test_a_collection_that_is_not_shared_is_named_with_its_scope(district, collection):
    fault = Misbehaviour(Kind.STATUS, collection, amount=403)
    with fake(district, fault) as server:
        step = server.check()[-1]
    assert (step.name, step.is_ok) == (collection, False)
    assert collection in step.advice
    assert "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly" in step.advice


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        ({"base_url": "ftp://h.example"}, "https://"),
        ({"base_url": ""}, "base_url"),
        ({"auth": "OTHER"}, "OTHER"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(district, settings, message):
    with fake(district, settings=settings) as server:
        (step,) = server.check()
    assert (step.name, step.is_ok) == ("address", False)
    assert message in step.message


def test_a_page_that_is_no_answer_is_an_address_that_is_wrong():
    with telling({"orgs": b"<html>Sign in</html>"}) as server:
        (step,) = server.check()
    assert (step.name, step.is_ok) == ("address", False)


def test_a_collection_without_records_is_pointed_out():
    with telling({}) as server:
        steps = {step.name: step for step in server.check()}
    assert steps["users"].is_ok
    assert steps["users"].advice == "Check at the provider whether the district shares its users."


def test_demographics_are_a_note_whatever_the_server_says(district):
    with fake(district) as server:
        step = server.check()[-1]
    assert (step.name, step.is_ok) == ("demographics", True)
    assert "not shared" in step.message
    with telling({}) as server:
        assert "are shared" in server.check()[-1].message
