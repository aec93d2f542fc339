"""What an approval is bound to, and the checklist read off from facts."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import Conflict
from domain.people.callers import COMMAND_LINE
from domain.sync.basis import VALID, basis_of
from domain.sync.checklist import Facts, StepName, StepState, list_steps
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.onboarding import approve_preflight, valid_approval
from tests.domain.sync.stories import Story

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STEPS = tuple(StepName)


async def change(story: Story, integration_id: UUID, statement: str) -> None:
    """By the superuser; `given` are the tenant and its integration."""
    await story.see.execute(
        f"WITH given AS (SELECT $1::uuid AS tenant_id, $2::uuid AS id) {statement}",
        story.tenant_id,
        integration_id,
    )


CHANGES = {
    "settings": 'UPDATE integrations SET settings = \'{"path": "/other"}\'',
    "provider": "UPDATE integrations SET provider = 'CLEVER'",
    "student_email": "UPDATE integrations SET with_student_email = true",
    "eligibility": 'UPDATE integrations SET eligibility = \'{"field": "x", "values": ["y"]}\'',
    "email_domains": "UPDATE integrations SET email_domains = '{example.org}'",
    "policy": "UPDATE integrations SET existing_accounts = 'REPLACE'",
    "match_keys": "UPDATE integrations SET match_keys = '{email,number}'",
    "holds_everything": "UPDATE integrations SET holds_everything = true",
    "credentials": "INSERT INTO integration_credentials (tenant_id, integration_id, sealed)"
    " SELECT tenant_id, id, 'x' FROM given",
    "role_map": "INSERT INTO role_maps (tenant_id, integration_id, provider_role, role)"
    " SELECT tenant_id, id, 'aide', 'STAFF' FROM given",
    "sharing": "INSERT INTO sharing_rules (tenant_id, integration_id, subject, values)"
    " SELECT tenant_id, id, 'GRADE', '{03}' FROM given",
    "requirements": "INSERT INTO requirements (tenant_id, name, is_enabled)"
    " SELECT tenant_id, 'GRADE', true FROM given",
    "limits": "INSERT INTO hold_limits (tenant_id, record_type, archive_count)"
    " SELECT tenant_id, 'USER', 5 FROM given",
    "licences": "UPDATE subscriptions SET licence_limit = 3",
}


async def integration_of(story: Story) -> UUID:
    found: UUID = await story.see.fetchval(
        "SELECT id FROM integrations WHERE tenant_id = $1", story.tenant_id
    )
    return found


async def basis(story: Story) -> str:
    async with story.api.read(story.tenant_id) as session:
        return await basis_of(
            session, tenant_id=story.tenant_id, integration_id=await integration_of(story)
        )


async def valid(story: Story) -> UUID | None:
    """As the worker asks."""
    connection = await story.worker.connect("homerow test")
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT set_config('homerow.tenant_id', $1, true)", str(story.tenant_id)
            )
            return await valid_approval(
                connection, tenant_id=story.tenant_id, integration_id=await integration_of(story)
            )
    finally:
        await connection.close()


async def approve(story: Story, run_id: UUID, now: datetime) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await approve_preflight(
            session, tenant_id=story.tenant_id, run_id=run_id, caller=COMMAND_LINE, now=now
        )


async def test_every_setting_that_decides_what_a_sync_does_is_in_the_basis(
    story: Story, subtests: pytest.Subtests
) -> None:
    integration_id = await integration_of(story)
    before = await basis(story)
    assert before == await basis(story)
    for name, statement in CHANGES.items():
        with subtests.test(name):
            await change(story, integration_id, statement)
            after = await basis(story)
            assert after != before
            before = after


async def test_what_changes_no_sync_is_not_in_the_basis(story: Story) -> None:
    integration_id, before = await integration_of(story), await basis(story)
    for statement in (
        "UPDATE integrations SET expectations = '{\"licences\": 3}'",
        "UPDATE integrations SET updated_at = now() + interval '1 day'",
        'UPDATE integrations SET cursors = \'{"USER": "x"}\'',
        "UPDATE subscriptions SET go_live_on = '2026-12-01'",
        "UPDATE tenants SET display_name = 'Other'",
    ):
        await change(story, integration_id, statement)
    assert await basis(story) == before


async def test_the_order_of_a_rule_s_values_does_not_matter(story: Story) -> None:
    await story.share(GRADE=["01", "02"])
    before = await basis(story)
    await story.share(GRADE=["02", "01"])
    assert await basis(story) == before


async def test_a_preflight_is_made_with_the_basis_of_its_settings(story: Story) -> None:
    run = await story.preview()
    assert run.basis == await basis(story)
    assert await valid(story) is None
    assert run.finished_at is not None
    await approve(story, run.id, run.finished_at)
    assert await valid(story) == run.id
    await story.share(SCHOOL=["s1"])
    assert await valid(story) is None
    await story.share()
    assert await valid(story) == run.id
    await story.see.execute("UPDATE integrations SET approved_at = now() - $1::interval", VALID)
    assert await valid(story) is None


async def test_a_preflight_during_which_something_changed_has_no_basis(story: Story) -> None:
    await story.see.execute("UPDATE integrations SET updated_at = now() + interval '1 hour'")
    run = await story.preview()
    assert run.basis is None
    with pytest.raises(Conflict, match="have changed"):
        await approve(story, run.id, NOW)


async def test_the_first_sync_takes_over_what_was_approved_and_nothing_else(story: Story) -> None:
    run = await story.preview()
    assert run.finished_at is not None
    await approve(story, run.id, run.finished_at)
    story.district.user("eve", "eve")
    requested = await story.request(SyncMode.FULL)
    await story.see.execute("UPDATE sync_runs SET requested_by = 'system'")
    story.district.write(story.folder)
    run = await story.run()
    assert run.id == requested.run.id
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    users = await story.see.fetch("SELECT source_id FROM users ORDER BY 1")
    assert [row["source_id"] for row in users] == ["ann", "bob", "cid", "dee"]


NOTHING = Facts(
    time_zone="America/Chicago",
    go_live_on=None,
    ticks={},
    integration_id=None,
    provider=None,
    configured_at=None,
    configured_by=None,
    shared_at=None,
    preflight_id=None,
    preflight_at=None,
    preflight_by=None,
    preflight_basis=None,
    approved_run_id=None,
    approved_at=None,
    approved_by=None,
    approved_basis=None,
    basis=None,
    rostered_at=None,
    expectations=None,
)
RUN = UUID(int=1)
CONNECTED = NOTHING._replace(
    integration_id=UUID(int=2),
    provider="CLASSLINK",
    configured_at=NOW - timedelta(days=9),
    configured_by="token x",
    basis="b",
)
SHOWN = CONNECTED._replace(
    preflight_id=RUN, preflight_at=NOW - timedelta(days=2), preflight_by="system",
    preflight_basis="b",
)  # fmt: skip
APPROVED = SHOWN._replace(
    approved_run_id=RUN, approved_at=NOW - timedelta(days=1), approved_by="token x",
    approved_basis="b",
)  # fmt: skip
ROSTERED = APPROVED._replace(rostered_at=NOW - timedelta(hours=1))
LIVE = ROSTERED._replace(
    go_live_on=date(2026, 11, 20), ticks={"TILE": ["2026-11-20T12:00:00+00:00", "token y"]}
)


@pytest.mark.parametrize(
    ("facts", "states"),
    [
        (NOTHING, "OOOOOO"),
        (NOTHING._replace(ticks={"REQUESTED": ["2026-11-01T00:00:00+00:00", "x"]}), "DOOOOO"),
        (CONNECTED, "DDOOOO"),
        (SHOWN, "DDDOOO"),
        (SHOWN._replace(preflight_at=NOW - VALID), "DDLOOO"),
        (APPROVED, "DDDDOO"),
        (APPROVED._replace(basis="c"), "DDLLOO"),
        (APPROVED._replace(approved_at=NOW - VALID), "DDDLOO"),
        (ROSTERED, "DDDDOO"),
        (ROSTERED._replace(basis="c", go_live_on=date(2026, 11, 21)), "DDDDOO"),
        (APPROVED._replace(go_live_on=date(2026, 11, 1)), "DDDDOO"),
        (LIVE, "DDDDDD"),
    ],
)
def test_the_checklist_says_how_each_step_stands(facts: Facts, states: str) -> None:
    letters = {"O": StepState.OPEN, "D": StepState.DONE, "L": StepState.LAPSED}
    checklist = list_steps(facts, now=NOW)
    assert [step.name for step in checklist.steps] == list(STEPS)
    assert [step.state for step in checklist.steps] == [letters[letter] for letter in states]
    open_steps = [step for step in checklist.steps if step.state is not StepState.DONE]
    assert checklist.following == (open_steps[0] if open_steps else None)


def test_an_approval_that_holds_is_told_with_its_end() -> None:
    checklist = list_steps(APPROVED, now=NOW)
    assert checklist.approved_run_id == RUN
    assert checklist.lapses_at == NOW - timedelta(days=1) + VALID
    for facts in (SHOWN, ROSTERED, APPROVED._replace(basis="c")):
        checklist = list_steps(facts, now=NOW)
        assert (checklist.approved_run_id, checklist.lapses_at) == (None, None)


def test_a_go_live_day_ends_the_waiting_at_the_tenant_s_midnight() -> None:
    at = {step.name: step.at for step in list_steps(LIVE, now=NOW).steps}
    assert at[StepName.LIVE] == NOW - timedelta(hours=1)
    early = list_steps(LIVE, now=datetime(2026, 11, 20, 5, 59, tzinfo=UTC))
    assert early.steps[4].state is StepState.OPEN
    assert early.steps[4].message == "Until 2026-11-20 nobody but administrators signs in."
