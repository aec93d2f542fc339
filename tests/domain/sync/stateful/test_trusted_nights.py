"""Random nights, faults and decisions: what is stored is what the model says, all the time."""

import itertools
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.integrations.models import ExistingAccounts
from domain.roster.records import RecordType
from domain.roster.source import Provider
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stateful.edits import EDITS, Edit
from tests.domain.sync.stateful.identity import churn, switch
from tests.domain.sync.stateful.legacy import begin_with_accounts
from tests.domain.sync.stateful.single import one_person
from tests.domain.sync.stateful.trial import Trial
from tests.domain.sync.stateful.undoing import cancelled_night, revert

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IS_SOAK = settings.get_current_profile_name() == "soak"
SETTINGS = settings(
    max_examples=2000 if IS_SOAK else 7,
    derandomize=not IS_SOAK,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TYPES = list(RecordType)
Act = Callable[[Trial, int], Awaitable[None]]
_slugs = itertools.count(1)


class Step(NamedTuple):
    """Some edits, and then something that an administrator, a clock or bad luck does."""

    edits: list[Edit]
    act: str
    number: int


ACTS: dict[str, tuple[int, Act]] = {
    "night": (6, lambda trial, _: trial.night()),
    "approve": (5, lambda trial, _: trial.approve()),
    "discard": (1, lambda trial, _: trial.discard()),
    "preflight": (1, lambda trial, _: trial.preflight()),
    "fault": (1, lambda trial, number: trial.failing_night(1 + number % 6)),
    "kill": (2, lambda trial, number: trial.killed_night(number)),
    "cancel": (2, cancelled_night),
    "empty": (1, lambda trial, number: trial.night(empty=TYPES[number % len(TYPES)])),
    "revert": (3, revert),
    "one person": (2, one_person),
    "switch": (1, switch),
    "churn": (1, churn),
}
"""What is done, with how often it is among the others."""
names = st.sampled_from([name for name, (weight, _) in ACTS.items() for _ in range(weight)])
edits = st.builds(Edit, st.sampled_from(sorted(EDITS)), st.integers(0, 40), st.integers(0, 40))
steps = st.builds(Step, st.lists(edits, max_size=6), names, st.integers(1, 120))
policies = st.sampled_from([None, None, *ExistingAccounts])


@SETTINGS
@given(policy=policies, story=st.lists(steps, min_size=1, max_size=8))
async def test_what_is_stored_is_what_the_model_says(
    tell: TellStory, policy: ExistingAccounts | None, story: list[Step]
) -> None:
    trial = Trial(await tell(f"tenant-{next(_slugs)}"))
    await trial.story.connect_to(Provider.ONEROSTER)
    await trial.set_limits(trial.terms.limits)
    if policy is None:
        await trial.night()
    else:
        await begin_with_accounts(trial, policy)
    for step in story:
        for edit in step.edits:
            await edit.make(trial)
        await ACTS[step.act][1](trial, step.number)
    await trial.same_again()
