"""A tenant that reads from somewhere, night after night, through the whole sync."""

from domain.clock import utc_now
from domain.integrations.service import Configuration, EligibilityRule, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.sync.models import SyncRun
from domain.sync.run import work
from domain.tenants.service import create_tenant
from tests.contract.providers import Opening
from tests.domain.sync.stories import Story


async def begin(story: Story, slug: str, opening: Opening) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await create_tenant(
            session, tenant_id=story.tenant_id, slug=slug, name=slug, caller=COMMAND_LINE
        )
    await connect(story, opening)


async def connect(
    story: Story,
    opening: Opening,
    *,
    with_student_email: bool | None = None,
    eligibility: EligibilityRule | None = None,
) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await configure_integration(
            session,
            tenant_id=story.tenant_id,
            configuration=Configuration(
                opening.provider,
                opening.settings,
                opening.credentials,
                with_student_email=with_student_email,
                eligibility=eligibility,
                platform=opening.platform,
            ),
            keys=story.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def night(story: Story, opening: Opening) -> SyncRun:
    requested = await story.request()
    assert await work(story.worker, opening.open, story.keys) == requested.run.id
    return await story.read_run(requested.run.id)
