"""A disturbed run is compared with that of a twin, which nobody disturbed."""

from uuid import UUID

from tests.domain.sync.stories import Story

_ERRORS = ("code", "record_type", "source_id", "field", "found", "cause", "runs")


async def require_as_calm(story: Story, calm: Story, run_id: UUID) -> None:
    """Everything that is stored, counted and reported is as in the run that nobody disturbed."""
    assert await story.roster() == await calm.roster()
    assert await story.errors(*_ERRORS) == await calm.errors(*_ERRORS)
    last_id = await last_run(calm)
    run, last = await story.read_run(run_id), await calm.read_run(last_id)
    assert (run.state, run.counts) == (last.state, last.counts)
    assert await _changes(story, run_id) == await _changes(calm, last_id)
    left = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    assert left == 0


async def last_run(story: Story) -> UUID:
    found: UUID = await story.see.fetchval(
        "SELECT id FROM sync_runs WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1", story.tenant_id
    )
    return found


async def _changes(story: Story, run_id: UUID) -> list[tuple[str, ...]]:
    rows = await story.see.fetch(
        "SELECT record_type, source_id, action FROM sync_changes"
        " WHERE tenant_id = $1 AND run_id = $2",
        story.tenant_id,
        run_id,
    )
    return sorted((tuple(row) for row in rows), key=str)
