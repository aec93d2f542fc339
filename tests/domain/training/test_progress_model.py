"""Whatever is recorded, carried and undone in whatever order: the totals are a plain model's."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import Conflict
from domain.training.models import CarryMode
from tests.domain.training.classes import Classes, result

pytestmark = pytest.mark.anyio

GROUPS = 3
PLACES = st.integers(0, GROUPS - 1)
RECORD = st.tuples(st.just("record"), PLACES, st.integers(1, 5), st.integers(0, 8))
CARRY = st.tuples(st.just("carry"), PLACES, PLACES, st.sampled_from(CarryMode))
UNDO = st.tuples(st.just("undo"), st.integers(0, 5), st.just(0), st.just(0))


@dataclass
class Model:
    """One student's lessons in each group, how many of them are copies, and carries."""

    lessons: Counter[int] = field(default_factory=Counter)
    copied: Counter[int] = field(default_factory=Counter)
    rows: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    carries: list[tuple[int, int, CarryMode, int, int, bool]] = field(default_factory=list)
    undone: set[int] = field(default_factory=set)

    def record(self, group: int, lessons: int, event: int) -> None:
        if event not in self.seen:
            self.seen.add(event)
            self.rows.add(group)
            self.lessons[group] += lessons

    def may_carry(self, source: int, target: int) -> bool:
        standing = [
            {one[0], one[1]}
            for number, one in enumerate(self.carries)
            if one[2] is CarryMode.COPY and number not in self.undone
        ]
        return source in self.rows and {source, target} not in standing

    def carry(self, source: int, target: int, mode: CarryMode) -> None:
        lessons, copied = self.lessons[source], self.copied[source]
        brought = lessons if mode is CarryMode.COPY else copied
        self.carries.append((source, target, mode, lessons, brought, target in self.rows))
        self.lessons[target] += lessons
        self.copied[target] += brought
        self.rows.add(target)
        if mode is CarryMode.MOVE:
            self.lessons[source] = self.copied[source] = 0
            self.rows.discard(source)

    def may_undo(self, number: int) -> bool:
        groups = set(self.carries[number][:2])
        return number not in self.undone and all(
            later in self.undone or not groups & set(one[:2])
            for later, one in enumerate(self.carries)
            if later > number
        )

    def undo(self, number: int) -> None:
        source, target, mode, lessons, brought, had = self.carries[number]
        self.undone.add(number)
        self.lessons[target] -= lessons
        self.copied[target] -= brought
        if not had and self.lessons[target] == 0:
            self.rows.discard(target)
        if mode is CarryMode.MOVE:
            self.lessons[source] += lessons
            self.copied[source] += brought
            self.rows.add(source)


@dataclass
class Trial:
    """The same steps in the database."""

    classes: Classes
    groups: list[UUID]
    student: UUID
    model: Model = field(default_factory=Model)
    carry_ids: list[UUID] = field(default_factory=list)

    async def record(self, group: int, lessons: int, event: int) -> None:
        values = {"event_id": f"{self.student} {event}", "lessons": lessons, "seconds": lessons}
        await self.classes.record(result(self.student, self.groups[group], **values))
        self.model.record(group, lessons, event)

    async def carry(self, source: int, target: int, mode: CarryMode) -> None:
        asked = (self.groups[source], self.groups[target], [self.student], mode)
        if source == target:
            return
        if not self.model.may_carry(source, target):
            with pytest.raises(Conflict):
                await self.classes.carry(*asked)
            return
        self.carry_ids += await self.classes.carry(*asked)
        self.model.carry(source, target, mode)

    async def undo(self, number: int) -> None:
        if number >= len(self.carry_ids):
            return
        if not self.model.may_undo(number):
            with pytest.raises(Conflict):
                await self.classes.undo(self.carry_ids[number])
            return
        await self.classes.undo(self.carry_ids[number])
        self.model.undo(number)

    async def check(self) -> None:
        found = await self.classes.totals("lessons", "seconds", "copied_lessons", "copied_seconds")
        assert {
            group: numbers for (user, group), numbers in found.items() if user == self.student
        } == {
            self.groups[number]: (
                self.model.lessons[number],
                self.model.lessons[number],
                self.model.copied[number],
                self.model.copied[number],
            )
            for number in self.model.rows
        }


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.one_of(RECORD, CARRY, UNDO), max_size=12))
async def test_totals_are_those_of_a_plain_model(
    classes: Classes, steps: list[tuple[str, int, int, int | CarryMode]]
) -> None:
    groups = [await classes.group() for _ in range(GROUPS)]
    trial = Trial(classes, groups, await classes.student(*groups))
    for step, first, second, third in steps:
        if step == "record":
            assert isinstance(third, int)
            await trial.record(first, second, third)
        elif step == "carry":
            assert isinstance(third, CarryMode)
            await trial.carry(first, second, third)
        else:
            await trial.undo(first)
        await trial.check()
