"""Random nights, faults and decisions: what is stored is what the model says, all the time."""

import itertools
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.roster.records import RecordType
from domain.roster.source import Provider
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stateful.edits import EDITS, Edit
from tests.domain.sync.stateful.trial import Trial

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IS_SOAK = settings.get_current_profile_name() == "soak"
SETTINGS = settings(
    max_examples=2000 if IS_SOAK else 12,
    derandomize=not IS_SOAK,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
_slugs = itertools.count(1)


class Step(NamedTuple):
    """Some edits, and then something that an administrator, a clock or bad luck does."""

    edits: list[Edit]
    act: str
    number: int


def acts() -> st.SearchStrategy[str]:
    usual = ["night"] * 6 + ["approve"] * 4 + ["discard", "preflight"]
    return st.sampled_from([*usual, "fault", "kill", "kill", "empty"])


edits = st.builds(Edit, st.sampled_from(sorted(EDITS)), st.integers(0, 40), st.integers(0, 40))
steps = st.builds(Step, st.lists(edits, max_size=6), acts(), st.integers(1, 120))


async def perform(trial: Trial, step: Step) -> None:
    for edit in step.edits:
        await edit.make(trial)
    match step.act:
        case "night":
            await trial.night()
        case "approve":
            await trial.approve()
        case "discard":
            await trial.discard()
        case "preflight":
            await trial.preflight()
        case "fault":
            await trial.failing_night(1 + step.number % 8)
        case "kill":
            await trial.killed_night(step.number)
        case "empty":
            types = list(RecordType)
            await trial.night(empty=types[step.number % len(types)])


@SETTINGS
@given(story=st.lists(steps, min_size=1, max_size=8))
async def test_what_is_stored_is_what_the_model_says(tell: TellStory, story: list[Step]) -> None:
    trial = Trial(await tell(f"tenant-{next(_slugs)}"))
    await trial.story.connect_to(Provider.ONEROSTER)
    await trial.set_limits(trial.terms.limits)
    await trial.night()
    for step in story:
        await perform(trial, step)
    await trial.same_again()
