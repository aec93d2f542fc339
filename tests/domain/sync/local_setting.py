"""Setting every field that the training product owns, at each level, as those who own it do."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from domain.clock import utc_now
from domain.identity.editing import Act, Asked, edit_roster
from domain.people.callers import COMMAND_LINE
from domain.training.carrying import Carrying, carry_over
from domain.training.defaults import set_default_group, set_default_school
from domain.training.effective import SettingsLevel
from domain.training.eligibility_setting import Whose, set_eligibility
from domain.training.models import AgeGroup, CarryMode
from domain.training.recording import Event, record_results
from domain.training.settings import Owner, set_settings
from tests.domain.sync.local_fields import CASES, LEVELS, Subjects
from tests.domain.sync.stories import Story

SETTINGS: Final[dict[str, tuple[Any, ...]]] = {
    "speed_target": (31, 32, 33, 34),
    "accuracy_target": (91, 92, 93, 94),
    "keyboard_layout": ("us", "gb", "de", "fr"),
    "has_avatars": (True, False, True, False),
    "age_group": (None, None, AgeGroup.HIGH, None),
}
"""Another value at each level, in the order of the levels, so that none is taken for another."""


def resulting_settings() -> dict[tuple[str, str], Any]:
    """What counts at each level: its own, but that only groups have an age group."""
    found = {
        (level, name): (values[place], level.upper())
        for place, level in enumerate(LEVELS["training_settings"])
        for name, values in SETTINGS.items()
        if values[place] is not None
    }
    return found | {("user", "age_group"): found["group", "age_group"]}


async def set_everything(story: Story, subjects: Subjects) -> None:
    await set_levels(story, subjects)
    await set_places(story, subjects)
    await set_eligible(story, subjects)
    await earn(story, subjects)
    asked = Asked(Act.SCHOOL_UPDATE, subjects.school, {"display_name": "Our North"}).as_errand()
    async with story.worker.transaction(story.tenant_id) as session:
        await edit_roster(session, story.tenant_id, asked, COMMAND_LINE)


async def set_levels(story: Story, subjects: Subjects) -> None:
    for place, level in enumerate(LEVELS["training_settings"]):
        values = {
            case.field: SETTINGS[case.field][place]
            for case in CASES
            if (case.table, case.level) == ("training_settings", level)
        }
        key = getattr(subjects, level, story.tenant_id)
        async with story.api.transaction(story.tenant_id) as session:
            await set_settings(
                session,
                tenant_id=story.tenant_id,
                owner=Owner(SettingsLevel[level.upper()], key),
                values=values,
                version=None,
                caller=COMMAND_LINE,
            )


async def set_places(story: Story, subjects: Subjects) -> None:
    """The first class, which is one of two, and the school that is not the primary one."""
    asked: dict[str, Any] = {
        "tenant_id": story.tenant_id, "user_id": subjects.user, "caller": COMMAND_LINE,
        "now": utc_now(),
    }  # fmt: skip
    async with story.api.transaction(story.tenant_id) as session:
        await set_default_group(session, group_id=subjects.group, **asked)
        await set_default_school(session, school_id=subjects.school, **asked)


async def set_eligible(story: Story, subjects: Subjects) -> None:
    """Not, which the provider does not say."""
    async with story.api.transaction(story.tenant_id) as session:
        await set_eligibility(
            session,
            tenant_id=story.tenant_id,
            whose=Whose(user_ids=[subjects.user]),
            value=False,
            caller=COMMAND_LINE,
        )


async def earn(story: Story, subjects: Subjects) -> None:
    """Something in both classes, and what was earned in the other one counts in the first too."""
    now = utc_now()
    events = [
        Event(f"{number}", subjects.user, group, now - timedelta(hours=number), 3 + number, 60,
              Decimal(40 + number), Decimal(95))
        for number, group in enumerate([subjects.group, subjects.group, subjects.other_group])
    ]  # fmt: skip
    async with story.api.transaction(story.tenant_id) as session:
        recorded = await record_results(session, story.tenant_id, events, now=now)
        assert (recorded.counted, recorded.rejected) == (len(events), [])
        carrying = Carrying(subjects.other_group, subjects.group, [subjects.user], CarryMode.COPY)
        await carry_over(session, story.tenant_id, carrying, COMMAND_LINE)
