"""Clever as a source: tokens found and renewed, limits kept, states of the district told."""

import base64
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from domain.providers.clever.source import CleverSource
from domain.roster.records import RecordType
from domain.roster.source import (
    CredentialsRejected,
    RosterMoved,
    RosterUnreadable,
    SourceError,
    SourceUnavailable,
)
from domain.validation.codes import Code
from tests.domain.providers.clever.replay import (
    DISTRICT,
    Replay,
    config,
    of_type,
    problems_of,
    read,
    replaying,
    student,
)
from tests.fakes.clever import create_app
from tests.fakes.clever_state import CleverOptions
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.samples import write_sample
from tests.fakes.serving import serve
from tests.sources import HOSTS

pytestmark = pytest.mark.anyio

COUNTS = {
    RecordType.SCHOOL: 2,
    RecordType.TERM: 3,
    RecordType.COURSE: 2,
    RecordType.GROUP: 1,
    RecordType.USER: 6,
    RecordType.MEMBERSHIP: 4,
}


@pytest.fixture
def served(tmp_path):
    with serve(create_app(write_sample(tmp_path))) as running:
        yield running


def source_of(served, *, credentials=None, settings=None, platform=True, **changes):
    """With the platform's keys and the district's id, if nothing else is said."""
    options = served.state.fake.options
    hosts = replace(
        HOSTS,
        clever_api_url=served.url,
        clever_oauth_url=served.url,
        clever_client_id=options.client_id if platform else None,
        clever_client_secret=options.client_secret if platform else None,
    )
    settings = {"district_id": served.state.fake.district_id} if settings is None else settings
    return CleverSource(config(credentials=credentials or {}, settings=settings, **changes), hosts)


def own_keys(served):
    options = served.state.fake.options
    return {"key": options.client_id, "secret": options.client_secret}


async def code_of(source):
    with pytest.raises(SourceError) as caught:
        await read(source)
    return caught.value.code


def counts(pages):
    return {kind: len(of_type(pages, kind)) for kind in COUNTS}


async def test_a_token_is_looked_up_with_the_keys_of_the_platform(served):
    assert counts(await read(source_of(served))) == COUNTS
    [asked] = {item.query for item in served.state.log if item.path == "/oauth/tokens"}
    assert dict(parse_qsl(asked)) == {
        "owner_type": "district",
        "district": served.state.fake.district_id,
    }


async def test_a_token_is_looked_up_with_the_keys_of_the_tenant(served):
    source = source_of(served, credentials=own_keys(served), platform=False)
    assert counts(await read(source)) == COUNTS


async def test_the_keys_of_the_tenant_come_before_those_of_the_platform(served):
    credentials = {**own_keys(served), "secret": "wrong"}
    source = source_of(served, credentials=credentials)
    assert await code_of(source) is Code.CONN_AUTH_REJECTED


async def test_a_token_that_was_entered_is_used_as_it_is(served):
    source = source_of(
        served, credentials={"token": f" {served.state.fake.token}\n"}, settings={}, platform=False
    )
    assert counts(await read(source)) == COUNTS
    assert not served.state.plan.count("tokens")


async def test_without_token_and_keys_nothing_is_asked(served):
    source = source_of(served, platform=False)
    with pytest.raises(CredentialsRejected, match="neither a district's token nor") as caught:
        await source.fingerprint()
    assert caught.value.code is Code.CONN_AUTH_REJECTED
    assert served.state.log == []


async def test_without_a_district_no_token_is_looked_up(served):
    with pytest.raises(CredentialsRejected, match="names no district") as caught:
        await source_of(served, settings={}).fingerprint()
    assert caught.value.code is Code.CONN_AUTH_REJECTED


async def test_a_district_that_is_not_listed_is_disconnected(served):
    served.state.fake.disconnect()
    assert await code_of(source_of(served)) is Code.CONN_DISCONNECTED


async def test_a_token_that_is_refused_and_cannot_be_renewed_is_told(served):
    source = source_of(served, credentials={"token": "old"}, platform=False)
    assert await code_of(source) is Code.CONN_AUTH_REJECTED


async def test_a_token_that_is_refused_and_listed_all_the_same_is_told(served):
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "courses", amount=401))
    assert await code_of(source_of(served)) is Code.CONN_AUTH_REJECTED


@pytest.mark.parametrize("collection", ["districts", "schools", "users", "sections"])
async def test_a_token_that_is_exchanged_meanwhile_is_looked_up_again(served, collection):
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.TOKEN_REVOKED, collection, times=1))
    assert counts(await read(source_of(served))) == COUNTS


async def test_the_platforms_keys_do_not_help_a_tenant_whose_token_is_no_good(served):
    """Or a tenant with a wrong token and another district's id would read that district."""
    assert await code_of(source_of(served, credentials={"token": "old"})) is Code.CONN_AUTH_REJECTED


def listed(token, created, owner=DISTRICT["id"]):
    return {
        "id": created,
        "created": created,
        "owner": {"type": "district", "id": owner},
        "access_token": token,
        "scopes": ["read:sections", "read:students"],
    }


async def test_the_newest_token_of_the_district_counts_on_whichever_page_it_is():
    tokens = [listed("other", "2026-09-09", owner="other"), listed("old", "2026-01-01")]
    replay = Replay()

    def bend(path, query, answer):
        if path != "/oauth/tokens":
            return answer
        following = {"rel": "next", "uri": "/oauth/tokens?owner_type=district&starting_after=1"}
        if "starting_after" in query:
            return {"data": [listed("new", "2026-02-01"), listed("", "2026-03-01")], "links": []}
        return {"data": tokens, "links": [following]}

    replay.bend = bend
    keys = {"key": "id", "secret": "se:cret"}
    settings = {"district_id": DISTRICT["id"]}
    with replaying(replay, credentials=keys, settings=settings) as source:
        await source.fingerprint()
    basic = "Basic " + base64.b64encode(b"id:se:cret").decode()
    assert replay.bearers == [basic, basic, "Bearer new"]


@pytest.mark.parametrize(
    "uri",
    ["https://elsewhere.example/oauth/tokens?x", "//elsewhere.example/oauth/tokens?x", "/me?x"],
)
async def test_the_secret_goes_nowhere_else(uri):
    replay = Replay()
    answered = {"data": [], "links": [{"rel": "next", "uri": uri}]}
    replay.bend = lambda path, _, answer: answered if path == "/oauth/tokens" else answer
    keys = {"key": "id", "secret": "secret"}
    with replaying(replay, credentials=keys, settings={"district_id": "x"}) as source:
        assert await code_of(source) is Code.CONN_BAD_PAYLOAD


async def test_a_list_of_tokens_without_an_end_is_refused():
    replay = Replay()
    answered = {"data": [], "links": [{"rel": "next", "uri": "/oauth/tokens?again"}]}
    replay.bend = lambda path, _, answer: answered if path == "/oauth/tokens" else answer
    keys = {"key": "id", "secret": "secret"}
    with replaying(replay, credentials=keys, settings={"district_id": "x"}) as source:
        assert await code_of(source) is Code.CONN_PAGINATION_BROKEN


async def test_secrets_are_in_no_message(served):
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "tokens", amount=401))
    credentials = {"key": "the-key", "secret": "hidden-1"}
    source = source_of(served, credentials=credentials)
    with pytest.raises(CredentialsRejected) as caught:
        await source.fingerprint()
    assert "hidden-1" not in f"{caught.value!r} {caught.value} {vars(source)}"


async def test_the_token_of_another_district_is_refused(served):
    source = source_of(
        served, credentials={"token": served.state.fake.token}, settings={"district_id": "x" * 24}
    )
    with pytest.raises(RosterUnreadable) as caught:
        await source.fingerprint()
    assert caught.value.code is Code.CONN_WRONG_DISTRICT


@pytest.mark.parametrize(
    ("districts", "code"),
    [([], Code.CONN_DISCONNECTED), ([DISTRICT, {"id": "e" * 24}], Code.CONN_WRONG_DISTRICT)],
)
async def test_a_token_has_to_open_one_district(districts, code):
    replay = Replay()
    replay.districts = districts
    with replaying(replay) as source:
        assert await code_of(source) is code


async def test_of_several_districts_the_one_that_is_named_is_meant():
    replay = Replay()
    replay.districts = [{"id": "e" * 24}, DISTRICT]
    with replaying(replay, settings={"district_id": DISTRICT["id"]}) as source:
        assert len(await source.fingerprint()) == 64


@pytest.mark.parametrize("state", ["pending", "Pending "])
async def test_a_district_without_data_is_not_read(state):
    replay = Replay()
    replay.districts[0]["state"] = state
    with replaying(replay) as source:
        assert await code_of(source) is Code.CONN_DISTRICT_NOT_READY
    assert replay.times("schools") == 0


@pytest.mark.parametrize("state", ["running", "success", "error", "paused", "", None, "new word"])
async def test_a_district_in_any_other_state_is_read(state):
    replay = Replay(users=[student(1)])
    replay.districts[0].update(state=state, pause_start="2026-06-01", last_sync=None)
    with replaying(replay) as source:
        assert len(of_type(await read(source), RecordType.USER)) == 1


async def test_the_fingerprint_changes_with_each_sync_to_clever(served):
    source = source_of(served)
    before = await source.fingerprint()
    assert await source.fingerprint() == before
    served.state.fake.move_roster()
    assert await source.fingerprint() != before


@pytest.mark.parametrize("collection", ["schools", "users", "sections"])
async def test_a_roster_that_moves_while_it_is_read_is_not_ended(served, collection):
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.ROSTER_MOVED, collection, times=1))
    with pytest.raises(RosterMoved) as caught:
        await read(source_of(served))
    assert caught.value.code is Code.CONN_MOVED


async def test_the_sample_is_read_with_what_is_wrong_with_it(served):
    pages = await read(source_of(served))
    assert [(p.code, p.field, p.rejects) for p in problems_of(pages)] == [
        (Code.USER_NAME_MISSING, "name.last", True)
    ]
    users = {user.given_name: user for user in of_type(pages, RecordType.USER)}
    assert {name: user.roles for name, user in users.items()} == {
        "Ann": ("STUDENT",),
        "Ben": ("STUDENT",),
        "Cleo": ("TEACHER",),
        "Dora": ("DISTRICT_ADMIN",),
        "Eli": ("SCHOOL_ADMIN",),
        "Flo": ("SCHOOL_ADMIN",),
    }
    assert [users[name].username for name in ("Ann", "Cleo")] == ["ann", "cleo"]
    assert users["Eli"].username == users["Eli"].source_id
    assert [users[name].email for name in ("Ann", "Cleo")] == [None, "cleo@example.org"]
    assert all(sum(page.is_last for page in pages if page.record_type is kind) == 1
               for kind in COUNTS)  # fmt: skip


async def test_nothing_that_is_not_mapped_is_kept(served):
    text = repr(await read(source_of(served)))
    assert "ann@example.org" not in text
    for secret in ("STATE-", "2/29/2012", "Secret Street", "555-1", "gus"):
        assert secret not in text


async def test_requests_wait_when_nothing_is_left_of_the_limit(tmp_path):
    options = CleverOptions(rate_limit=4, rate_window=1.0)
    with serve(create_app(write_sample(tmp_path), options=options)) as served:
        assert counts(await read(source_of(served))) == COUNTS


async def test_a_request_that_is_over_the_limit_fails_after_all_attempts(served):
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "terms", amount=429))
    with pytest.raises(SourceUnavailable) as caught:
        await read(source_of(served))
    assert caught.value.code is Code.CONN_THROTTLED


@pytest.mark.parametrize(
    ("kind", "amount", "code"),
    [
        (Kind.STATUS, 503, Code.CONN_SERVER_ERROR),
        (Kind.STATUS, 403, Code.CONN_FORBIDDEN_SCOPE),
        (Kind.STATUS, 404, Code.CONN_FORBIDDEN_SCOPE),
        (Kind.STATUS, 400, Code.CONN_REQUEST_REFUSED),
        (Kind.HTML, 200, Code.CONN_BAD_PAYLOAD),
        (Kind.WRONG_SHAPE, None, Code.CONN_BAD_PAYLOAD),
        (Kind.TRUNCATED, None, Code.CONN_BAD_PAYLOAD),
        (Kind.RESET, None, Code.CONN_INTERRUPTED),
        (Kind.REDIRECT, 302, Code.CONN_ADDRESS_REFUSED),
    ],
)
async def test_what_cannot_be_read_ends_the_fetch(served, kind, amount, code):
    served.state.plan.misbehaviours.append(Misbehaviour(kind, "sections", amount=amount))
    assert await code_of(source_of(served)) is code


@pytest.mark.parametrize(
    "kind", [Kind.STATUS, Kind.HTML, Kind.WRONG_SHAPE, Kind.TRUNCATED, Kind.RESET]
)
async def test_what_goes_wrong_once_is_tried_again(served, kind):
    served.state.plan.misbehaviours.append(Misbehaviour(kind, times=2))
    assert counts(await read(source_of(served))) == COUNTS
