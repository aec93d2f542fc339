"""People who were there before rostering: archived or connected as the tenant chose, never lost."""

from itertools import islice
from uuid import UUID

from domain.clock import new_id
from domain.integrations.models import ExistingAccounts
from domain.sync.models import SyncRunState
from tests.domain.sync.stateful.ledger import USER, Key
from tests.domain.sync.stateful.trial import Trial

ACCOUNTS = 9


async def begin_with_accounts(trial: Trial, policy: ExistingAccounts) -> None:
    """Of every three people one has the username of before, one the number, and one neither."""
    await trial.story.see.execute(
        "UPDATE integrations SET existing_accounts = $2 WHERE tenant_id = $1",
        trial.tenant_id,
        policy.value,
    )
    matched, others = await _add_accounts(trial, policy)
    trial.local = {}
    await trial.expect_local()
    feed = trial.feed()
    judgement = trial.foresee(feed)
    held = await trial.story.run(opener=feed.open)
    assert (held.state, held.failure_message) == (SyncRunState.HELD, None)
    await trial.expect_stored()
    trial.wait_for(held, judgement.goes_on)
    approved = await trial.ask_approval(feed)
    assert approved.failure_message is None
    assert approved.state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS)
    trial.ledger = trial.ledger.after(judgement.goes_on)
    trial.ids = matched
    trial.waiting, trial.began = None, approved.id
    await trial.expect_stored()
    live = await trial.story.see.fetch(
        "SELECT id FROM users WHERE tenant_id = $1 AND origin = 'LEGACY' AND archived_at IS NULL"
        " UNION ALL SELECT id FROM users WHERE id = ANY ($2) AND archived_at IS NULL",
        trial.tenant_id,
        others,
    )
    assert not live


async def _add_accounts(
    trial: Trial, policy: ExistingAccounts
) -> tuple[dict[Key, UUID], list[UUID]]:
    """Those who will be somebody of the provider, by the provider's id; and all others."""
    see, tenant_id = trial.story.see, trial.tenant_id
    school_id, group_id = new_id(), new_id()
    await see.execute(
        "INSERT INTO schools (tenant_id, id, origin, name) VALUES ($1, $2, 'LEGACY', 'Old school')",
        tenant_id,
        school_id,
    )
    await see.execute(
        "INSERT INTO groups (tenant_id, id, origin, school_id, name, term_source_ids, grades,"
        " subjects) VALUES ($1, $2, 'LEGACY', $3, 'Old class', '{}', '{}', '{}')",
        tenant_id,
        group_id,
        school_id,
    )
    matched: dict[Key, UUID] = {}
    others: list[UUID] = []
    for number, person in enumerate(islice(trial.district.people.values(), ACCOUNTS)):
        user_id = new_id()
        has_username, has_number = number % 3 == 0, number % 3 == 1
        await see.execute(
            "INSERT INTO users (tenant_id, id, origin, username, number, given_name, family_name,"
            " roles, grades, is_enabled) VALUES ($1, $2, 'LEGACY', $3, $4, 'Old', 'Account', $5,"
            " '{}', true)",
            tenant_id,
            user_id,
            person.username.upper() if has_username else f"old{number}",
            person.number if has_number else f"old{number}",
            list(person.roles),
        )
        await _give_local_data(trial, user_id, group_id)
        if (has_username and policy is ExistingAccounts.MATCH_USERNAME) or (
            has_number and policy is ExistingAccounts.MATCH_KEYS
        ):
            matched[Key(USER, person.source_id)] = user_id
        else:
            others.append(user_id)
    return matched, others


async def _give_local_data(trial: Trial, user_id: UUID, group_id: UUID) -> None:
    see, tenant_id = trial.story.see, trial.tenant_id
    await see.execute(
        "INSERT INTO memberships (tenant_id, user_id, group_id, role, origin)"
        " VALUES ($1, $2, $3, 'STUDENT', 'LEGACY')",
        tenant_id,
        user_id,
        group_id,
    )
    await see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
        " VALUES ($1, $2, $3, 2026, 5)",
        tenant_id,
        user_id,
        group_id,
    )
    await see.execute(
        "INSERT INTO training_settings (tenant_id, user_id, speed_target) VALUES ($1, $2, 30)",
        tenant_id,
        user_id,
    )
