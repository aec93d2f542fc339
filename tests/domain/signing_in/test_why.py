"""Why can't Mia sign in? Everything that decides it, and what she has tried."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.clock import new_id, utc_now
from domain.errors import NotFound
from domain.people.models import SignInOutcome
from domain.signing_in.why import Check, SignInHelp, why_cannot_sign_in
from domain.validation.codes import Code
from tests.api.graphql.client import counted_statements
from tests.api.graphql.seed import add_integration, add_run, insert
from tests.domain.signing_in.district import District, clever, google

pytestmark = pytest.mark.anyio

OF_STUDENTS = [
    Check.ROSTER,
    Check.ACCOUNT,
    Check.ROLE,
    Check.LICENCE,
    Check.ELIGIBILITY,
    Check.GO_LIVE,
    Check.METHOD,
]


async def ask(district: District, user_id: UUID, now: datetime | None = None) -> SignInHelp:
    async with district.api.read(district.tenant_id) as session:
        return await why_cannot_sign_in(
            session, tenant_id=district.tenant_id, user_id=user_id, now=now or utc_now()
        )


def obstacles(found: SignInHelp) -> Mapping[Check, str]:
    """What is not as it should be."""
    return {finding.check: finding.message for finding in found.findings if not finding.is_ok}


async def test_of_somebody_who_can_every_finding_says_so(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    await alpha.switch_on("MICROSOFT")
    found = await ask(alpha, mia)
    assert found.can_sign_in
    assert [finding.check for finding in found.findings] == OF_STUDENTS
    assert obstacles(found) == {}
    assert found.findings[-1].message == "Can sign in by GOOGLE, MICROSOFT."
    assert found.attempts == []


async def test_what_decides_about_students_is_not_asked_of_others(alpha: District) -> None:
    bob = await alpha.person(roles=["TEACHER", "SCHOOL_ADMIN"], is_eligible=False)
    found = await ask(alpha, bob)
    others = [check for check in OF_STUDENTS if check not in {Check.LICENCE, Check.ELIGIBILITY}]
    assert [finding.check for finding in found.findings] == others
    assert found.findings[2].message == "Signs in as teacher and school admin."


@pytest.mark.parametrize(
    ("values", "check", "words"),
    [
        ({"archived_at": utc_now()}, Check.ROSTER, "Share them again at the provider"),
        ({"archived_at": utc_now(), "origin": "IMPORT"}, Check.ROSTER, "userRestore"),
        ({"is_enabled": False}, Check.ACCOUNT, "at its provider"),
        ({"roles": []}, Check.ROLE, "roleMapSet"),
        ({"is_eligible": False}, Check.ELIGIBILITY, "eligibilitySet"),
        ({"username": None}, Check.METHOD, "no username to be compared"),
    ],
)
async def test_an_obstacle_is_named_with_who_can_mend_it(
    alpha: District, values: dict[str, Any], check: Check, words: str
) -> None:
    mia = await alpha.person(**{"username": "mia@alpha.example"} | values)
    await alpha.switch_on("GOOGLE")
    found = await ask(alpha, mia)
    assert not found.can_sign_in
    [(named, message)] = obstacles(found).items()
    assert named is check
    assert words in message


async def test_all_obstacles_are_named_at_once(alpha: District) -> None:
    await alpha.see.execute("UPDATE tenants SET status = 'CLOSED'")
    await alpha.see.execute("UPDATE subscriptions SET go_live_on = '2999-01-01'")
    mia = await alpha.person(
        archived_at=utc_now(), is_enabled=False, is_eligible=False, username=None
    )
    expected = {*OF_STUDENTS, Check.TENANT} - {Check.ROLE, Check.LICENCE}
    assert obstacles(await ask(alpha, mia)).keys() == expected


async def test_somebody_merged_signs_in_as_somebody_else(alpha: District) -> None:
    kept, mia = await alpha.person(), await alpha.person()
    await alpha.see.execute(
        "UPDATE users SET archived_at = now(), merged_into_id = $2 WHERE id = $1", mia, kept
    )
    assert "peopleMergeUndo" in obstacles(await ask(alpha, mia))[Check.ROSTER]


async def test_what_was_said_here_of_eligibility_counts_more(alpha: District) -> None:
    mia = await alpha.person(is_eligible=False)
    await alpha.override(mia, is_eligible=True)
    assert Check.ELIGIBILITY not in obstacles(await ask(alpha, mia))


async def test_the_day_of_going_live_is_named(alpha: District) -> None:
    """It begins in Chicago, five hours after it does in Greenwich."""
    await alpha.see.execute("UPDATE subscriptions SET go_live_on = '2026-09-01'")
    mia, ada = await alpha.person(), await alpha.person(roles=["DISTRICT_ADMIN"])
    before = datetime(2026, 9, 1, 4, 59, tzinfo=UTC)
    assert "2026-09-01" in obstacles(await ask(alpha, mia, before))[Check.GO_LIVE]
    assert Check.GO_LIVE not in obstacles(await ask(alpha, ada, before))
    assert Check.GO_LIVE not in obstacles(await ask(alpha, mia, before + timedelta(minutes=1)))


async def test_who_waits_for_a_licence_is_told_until_the_hold_is_over(alpha: District) -> None:
    mia = await alpha.person()
    run_id = await add_run(
        alpha.see, alpha.tenant_id, await add_integration(alpha.see, alpha.tenant_id)
    )
    of_run = {"tenant_id": alpha.tenant_id, "run_id": run_id}
    await insert(
        alpha.see,
        "sync_changes",
        **of_run,
        record_type="USER",
        record_id=mia,
        action="RESTORE",
        held_by=Code.LICENCE_LIMIT.value,
        old_values={"archived": True},
        new_values={"archived": False},
    )
    hold_id = await insert(alpha.see, "holds", **of_run, reasons=[{"code": "LICENCE_LIMIT"}])
    assert "licencesSet" in obstacles(await ask(alpha, mia))[Check.LICENCE]
    await alpha.see.execute("UPDATE holds SET ended_at = now() WHERE id = $1", hold_id)
    assert Check.LICENCE not in obstacles(await ask(alpha, mia))


async def test_every_way_that_does_not_fit_says_why(alpha: District) -> None:
    mia = await alpha.person(username=None)
    await alpha.switch_on("CLASSLINK")
    message = obstacles(await ask(alpha, mia))[Check.METHOD]
    assert message == (
        "No way of signing in fits this person. CLEVER: is off (signInMethodsSet); CLASSLINK: the"
        " person has no id of that provider here; GOOGLE: is off (signInMethodsSet); MICROSOFT:"
        " is off (signInMethodsSet); PASSWORD: the person has no password (invitationSend, for"
        " who was imported)."
    )


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"password_changed_at": utc_now()}, True),
        ({}, False),
        ({"password_changed_at": utc_now(), "disabled_at": utc_now()}, False),
    ],
)
async def test_a_password_fits_who_has_set_one(
    alpha: District, values: dict[str, Any], *, fits: bool
) -> None:
    eve = await alpha.person(origin="IMPORT")
    account = {"tenant_id": alpha.tenant_id, "user_id": eve, "created_by": "system"}
    await insert(alpha.see, "accounts", **account, **values)
    assert (await ask(alpha, eve)).can_sign_in is fits


async def test_administrators_whom_clever_rosters_have_clever_alone(alpha: District) -> None:
    ada = await alpha.person("c1", roles=["DISTRICT_ADMIN"], username="ada@alpha.example")
    await alpha.switch_on("GOOGLE")
    settings = {"district_id": "5f1d"}
    await add_integration(alpha.see, alpha.tenant_id, provider="CLEVER", settings=settings)
    assert (await ask(alpha, ada)).findings[-1].message == "Can sign in by CLEVER."
    await alpha.switch_on("CLEVER", is_enabled=False)
    assert "must use Clever" in obstacles(await ask(alpha, ada))[Check.METHOD]


async def test_what_somebody_is_bound_to_is_told(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    assert await alpha.refusal(google()) is None
    message = (await ask(alpha, mia)).findings[-1].message
    assert message == (
        "Can sign in by GOOGLE. Bound to an account of GOOGLE, which alone lets them in there"
        " (identityForget, if it was replaced)."
    )


async def test_the_latest_attempts_are_told_the_newest_first(alpha: District) -> None:
    mia = await alpha.person("c1", username="mia@alpha.example")
    for name in ("GOOGLE", "CLEVER"):
        await alpha.switch_on(name)
    await alpha.refusal(google())
    for subject in ("g2", "nobody's"):
        await alpha.refusal(google(subject=subject))
    await alpha.refusal(google("eve@alpha.example", "g9"))
    await alpha.see.execute("UPDATE users SET is_enabled = false")
    await alpha.refusal(clever())
    told = [(one.method, one.outcome, one.reason) for one in (await ask(alpha, mia)).attempts]
    other = ("GOOGLE", SignInOutcome.REFUSED, "OTHER_SUBJECT")
    assert told == [
        ("CLEVER", SignInOutcome.REFUSED, "DISABLED"),
        other,
        other,
        ("GOOGLE", SignInOutcome.SIGNED_IN, None),
    ]
    for _ in range(9):
        await alpha.refusal(clever())
    told = [(one.method, one.outcome, one.reason) for one in (await ask(alpha, mia)).attempts]
    assert told == [("CLEVER", SignInOutcome.REFUSED, "DISABLED")] * 10


async def test_nobody_elses_person_is_told_of(alpha: District, beta: District) -> None:
    mia = await beta.person()
    for user_id in (mia, new_id()):
        with pytest.raises(NotFound):
            await ask(alpha, user_id)


async def test_it_takes_the_same_number_of_statements_whoever_it_is(alpha: District) -> None:
    counts = set()
    for number in range(3):
        mia = await alpha.person(f"c{number}", username=f"mia{number}@alpha.example")
        for _ in range(number):
            await alpha.refusal(clever(f"c{number}"))
        with counted_statements(alpha.api.engine.sync_engine) as statements:
            await ask(alpha, mia)
        counts.add(len(statements))
        if not number:
            await alpha.switch_on("CLEVER")
            await alpha.switch_on("GOOGLE")
    assert counts == {9}
