"""The answer to whether an integration with Clever works."""

from dataclasses import replace

import pytest
from starlette.responses import JSONResponse

from domain.providers.clever.source import CleverSource
from domain.roster.source import CheckStep
from domain.validation.codes import RULES, Code
from tests.domain.providers.clever.replay import (
    Replay,
    config,
    hex_id,
    replaying,
    section,
    student,
    user,
)
from tests.fakes.clever import create_app
from tests.fakes.clever_state import SIGN_IN_ONLY, CleverOptions
from tests.fakes.samples import write_sample
from tests.fakes.serving import serve
from tests.sources import HOSTS

pytestmark = pytest.mark.anyio

SCOPES = "read:schools read:sections read:students"


def shared(**changes):
    lists = {
        "schools": [{"id": "s1", "name": "First"}, {"id": "s2", "name": "Second"}],
        "users": [student(1), student(2), user(3, teacher={})],
        "sections": [section(1)],
    }
    replay = Replay(**{**lists, **changes})
    replay.bend = lambda path, _, answer: (
        {"client_id": "x", "scopes": SCOPES.split()} if path == "/oauth/tokeninfo" else answer
    )
    return replay


async def check(replay, **changes):
    with replaying(replay, **changes) as source:
        return list(await source.check())


async def check_fake(folder, **options):
    with serve(create_app(write_sample(folder), options=CleverOptions(**options))) as served:
        fake = served.state.fake
        hosts = replace(
            HOSTS,
            clever_api_url=served.url,
            clever_oauth_url=served.url,
            clever_client_id=fake.options.client_id,
            clever_client_secret=fake.options.client_secret,
        )
        settings = {"district_id": fake.district_id}
        return list(await CleverSource(config(credentials={}, settings=settings), hosts).check())


def outcomes(steps):
    return [(step.name, step.is_ok) for step in steps]


async def test_every_step_says_what_is_shared():
    assert await check(shared()) == [
        CheckStep(
            "credentials",
            is_ok=True,
            message=(
                "Clever takes the token that was entered. It may read schools, sections, students."
            ),
        ),
        CheckStep(
            "district",
            is_ok=True,
            message=(
                f"Small Unified ({'d' * 24}), state success,"
                " last synced to Clever 2026-09-01T10:00:00.000Z."
            ),
        ),
        CheckStep("schools", is_ok=True, message="Schools are shared: 2."),
        CheckStep(
            "terms",
            is_ok=True,
            message="No terms are shared.",
            advice=RULES[Code.CONN_EMPTY].remedy,
        ),
        CheckStep(
            "courses",
            is_ok=True,
            message="No courses are shared.",
            advice=RULES[Code.CONN_EMPTY].remedy,
        ),
        CheckStep(
            "users",
            is_ok=True,
            message=(
                "Shared: students, teachers (3 users in all)."
                " None of: staff, district admins, contacts (who are left out)."
            ),
        ),
        CheckStep("sections", is_ok=True, message="Sections are shared: 1."),
    ]


async def test_a_fake_that_shares_all_passes(tmp_path):
    steps = await check_fake(tmp_path)
    assert all(step.is_ok for step in steps)
    assert "that it lists for this district" in steps[0].message
    assert len(steps) == 7


async def test_an_application_without_secure_sync_is_told_what_is_missing(tmp_path):
    [step] = await check_fake(tmp_path, scopes=SIGN_IN_ONLY)
    assert not step.is_ok
    assert step.message.endswith("Missing: read:sections, read:students.")
    assert "Secure Sync" in step.advice


async def test_a_token_that_is_refused_fails_the_first_step():
    replay = shared()
    replay.bend = lambda path, query, answer: JSONResponse({"message": "no"}, 401)
    [step] = await check(replay)
    assert (step.name, step.is_ok) == ("credentials", False)
    assert step.advice == RULES[Code.CONN_AUTH_REJECTED].remedy


async def test_an_integration_without_credentials_is_told_so():
    [step] = await check(shared(), credentials={})
    assert (step.name, step.is_ok) == ("credentials", False)
    assert "neither" in step.message


async def test_scopes_that_are_not_told_stop_nothing():
    replay = shared()
    replay.bend = lambda _, query, answer: answer
    steps = await check(replay)
    assert steps[0].message == (
        "Clever takes the token that was entered. It does not say what the token may read."
    )
    assert len(steps) == 7


async def test_another_district_fails_the_second_step():
    steps = await check(shared(), settings={"district_id": "x" * 24})
    assert outcomes(steps) == [("credentials", True), ("district", False)]
    assert steps[1].advice == RULES[Code.CONN_WRONG_DISTRICT].remedy


async def test_a_district_without_data_fails_the_second_step():
    replay = shared()
    replay.districts[0]["state"] = "pending"
    steps = await check(replay)
    assert outcomes(steps) == [("credentials", True), ("district", False)]
    assert "no data of Small Unified yet" in steps[1].message


async def test_pauses_and_errors_are_told_in_words():
    replay = shared()
    replay.districts[0].update(
        state="error",
        error="The upload of 3 June failed.",
        pause_start="2026-06-07",
        pause_end="2026-08-01",
        last_sync="",
    )
    steps = await check(replay)
    assert steps[1].is_ok
    assert steps[1].message == (
        f"Small Unified ({'d' * 24}), state error."
        " Clever's syncs of this district pause from 2026-06-07 until 2026-08-01:"
        " the roster does not change meanwhile, and can be read."
        " Its last upload was not processed, so the roster is an older one."
        " Clever says: The upload of 3 June failed."
    )


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"schools": []}, "schools"),
        ({"users": [user(3, teacher={})]}, "users"),
        ({"sections": []}, "sections"),
    ],
)
async def test_what_no_roster_can_do_without_fails(changes, failed):
    steps = await check(shared(**changes))
    assert outcomes(steps)[-1] == (failed, False)
    assert steps[-1].advice == RULES[Code.CONN_EMPTY].remedy
    assert all(step.is_ok for step in steps[:-1])


@pytest.mark.parametrize(
    ("status", "path", "failed"),
    [
        (403, "/v3.0/schools", "schools"),
        (404, "/v3.0/users", "users"),
        (403, "/v3.0/sections", "sections"),
    ],
)
async def test_a_list_that_is_refused_fails_its_step(status, path, failed):
    replay = shared()
    replay.bend = lambda asked, _, answer: (
        JSONResponse({"message": "no"}, status) if asked == path else answer
    )
    steps = await check(replay)
    assert outcomes(steps)[-1] == (failed, False)
    assert steps[-1].advice == RULES[Code.CONN_FORBIDDEN_SCOPE].remedy


@pytest.mark.parametrize("answered", [{"data": [], "links": []}, JSONResponse({}, 400)])
async def test_counts_that_are_not_given_are_left_out(answered):
    replay = shared()
    replay.bend = lambda _, query, answer: answered if "count" in query else answer
    messages = {step.name: step.message for step in await check(replay)}
    assert messages["schools"] == "Schools are shared."
    assert messages["users"].startswith("Shared: students, teachers.")


async def test_only_one_row_of_each_list_is_asked_for():
    replay = shared()
    await check(replay)
    assert {query["limit"] for _, query in replay.asked if "limit" in query} == {"1"}
    assert hex_id(1) not in str(replay.asked)
