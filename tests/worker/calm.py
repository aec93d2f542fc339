"""A disturbed run is compared with that of a twin, which nobody disturbed."""

from uuid import UUID

from tests.domain.sync.stories import Story

_ERRORS = ("code", "record_type", "source_id", "field", "found", "cause")


async def require_as_calm(story: Story, calm: Story, run_id: UUID) -> None:
    """Everything that is stored, counted and reported is as in the run that nobody disturbed."""
    await require_applied_as_calm(story, calm, run_id)
    assert await story.errors(*_ERRORS, "runs") == await calm.errors(*_ERRORS, "runs")
    assert (await state_of(story, run_id)) == await state_of(calm, await last_run(calm))
    left = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    assert left == 0


async def require_applied_as_calm(story: Story, calm: Story, run_id: UUID) -> None:
    """The roster, and what the run says that it changed."""
    assert await story.roster() == await calm.roster()
    last = await last_run(calm)
    assert (await story.read_run(run_id)).counts == (await calm.read_run(last)).counts
    assert await _changes(story, run_id) == await _changes(calm, last)


async def last_run(story: Story) -> UUID:
    found: UUID = await story.see.fetchval(
        "SELECT id FROM sync_runs WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1", story.tenant_id
    )
    return found


async def state_of(story: Story, run_id: UUID) -> str:
    return str(await story.see.fetchval("SELECT state FROM sync_runs WHERE id = $1", run_id))


async def _changes(story: Story, run_id: UUID) -> list[tuple[str, ...]]:
    rows = await story.see.fetch(
        "SELECT record_type, source_id, action FROM sync_changes"
        " WHERE tenant_id = $1 AND run_id = $2",
        story.tenant_id,
        run_id,
    )
    return sorted((tuple(row) for row in rows), key=str)
