"""What may happen between two nights: at the provider, and here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from tests.domain.sync.stateful.district import MOST_PEOPLE, PAST, District, nth
from tests.domain.sync.stateful.trial import Trial
from tests.domain.sync.stateful.waiting import Limits

NOBODY_MORE = 3
"""So many people are never taken away one by one; whole collections still come out empty."""


def add_person(district: District, first: int, second: int) -> None:
    district.add_person(first, second, is_teacher=second % 5 == 0)


def add_people(district: District, first: int, second: int) -> None:
    for number in range(second % 6):
        district.add_person(first + number, second)


def remove_person(district: District, first: int, _: int) -> None:
    if len(district.people) > NOBODY_MORE:
        district.remove_person(nth(district.people, first))


def remove_people(district: District, first: int, second: int) -> None:
    for _ in range(second % 7):
        remove_person(district, first, 0)


def rename_person(district: District, first: int, second: int) -> None:
    district.change(nth(district.people, first), given_name=f"Given {second}")


def rename_people(district: District, first: int, _: int) -> None:
    """Nearly everybody."""
    for person in list(district.people)[: first % MOST_PEOPLE]:
        district.change(person, given_name=district.people[person].given_name + " again")


def swap_usernames(district: District, first: int, second: int) -> None:
    district.take_username(nth(district.people, first), nth(district.people, second))


def take_leavers_username(district: District, first: int, second: int) -> None:
    """Somebody goes, and somebody else has the username in the same night."""
    if len(district.people) > NOBODY_MORE:
        leaver = nth(district.people, first)
        username = district.people[leaver].username
        district.remove_person(leaver)
        district.change(nth(district.people, second), username=username.upper())


def move_person(district: District, first: int, second: int) -> None:
    """To another school, out of all groups and into one of it."""
    person, school = nth(district.people, first), nth(district.schools, second)
    groups = [item.source_id for item in district.classes.values() if item.school == school]
    district.change(person, schools=(school,), groups=tuple(groups[:1]))


def join_group(district: District, first: int, second: int) -> None:
    if district.classes:
        district.join(nth(district.people, first), nth(district.classes, second))


def leave_groups(district: District, first: int, _: int) -> None:
    district.change(nth(district.people, first), groups=())


def share_schools(district: District, first: int, second: int) -> None:
    """Teachers are of several; of a student the first one is kept."""
    person, school = nth(district.people, first), nth(district.schools, second)
    schools = district.people[person].schools
    if school not in schools:
        district.change(person, schools=(*schools, school))


def change_role(district: District, first: int, second: int) -> None:
    roles = (("STUDENT",), ("TEACHER",), ("STAFF",), ("STUDENT", "TEACHER"))
    district.change(nth(district.people, first), roles=roles[second % len(roles)])


def add_class(district: District, first: int, _: int) -> None:
    district.add_class(first)


def remove_class(district: District, first: int, _: int) -> None:
    if len(district.classes) > 1:
        district.remove_class(nth(district.classes, first))


def remove_classes(district: District, first: int, second: int) -> None:
    for _ in range(second % 5):
        remove_class(district, first, 0)


def move_class(district: District, first: int, second: int) -> None:
    item = district.classes[nth(district.classes, first)]
    school = nth(district.schools, second)
    district.classes[item.source_id] = replace(item, school=school)


def end_classes(district: District, first: int, second: int) -> None:
    for number in range(1 + second % 5):
        item = district.classes[nth(district.classes, first + number)]
        district.classes[item.source_id] = replace(item, term=PAST)


def lose_school_of_class(district: District, first: int, _: int) -> None:
    """A record that cannot be taken over: its school is none of the feed's."""
    item = district.classes[nth(district.classes, first)]
    district.classes[item.source_id] = replace(item, school="nowhere")


def rename_class(district: District, first: int, second: int) -> None:
    item = district.classes[nth(district.classes, first)]
    district.classes[item.source_id] = replace(item, name=f"{item.name} {second}")


def add_school(district: District, first: int, second: int) -> None:
    district.add_school()


def remove_school(district: District, first: int, second: int) -> None:
    """Closed with all who are in it, or taken over by another one."""
    if len(district.schools) > 1:
        school = nth(district.schools, first)
        heirs = [one for one in district.schools if one != school]
        district.remove_school(school, heirs[0] if second % 3 == 0 else None)


def put_back(district: District, first: int, second: int) -> None:
    for _ in range(1 + second % 8):
        district.put_back(first)


async def write_settings(trial: Trial, first: int, second: int) -> None:
    await trial.write_settings(first, speed=second)


async def earn_progress(trial: Trial, first: int, second: int) -> None:
    await trial.earn_progress(first, lessons=second)


async def name_school(trial: Trial, first: int, second: int) -> None:
    await trial.name_school(first, name=f"Our school {second}")


async def set_limits(trial: Trial, first: int, second: int) -> None:
    few = Limits(first % 5, (5, 10, 30)[second % 3], (20, 75)[second % 2])
    await trial.set_limits(Limits(100, 100, 100) if first % 8 == 7 else few)


async def set_licences(trial: Trial, first: int, _: int) -> None:
    await trial.set_licences(first if first % 3 else None)


async def hold_everything(trial: Trial, first: int, _: int) -> None:
    await trial.set_holds_everything(value=first % 2 == 0)


AT_PROVIDER: dict[str, Callable[[District, int, int], None]] = {
    act.__name__: act
    for act in (
        add_person, add_people, remove_person, remove_people, rename_person, rename_people,
        swap_usernames, take_leavers_username, move_person, join_group, leave_groups,
        share_schools, change_role, add_class, remove_class, remove_classes, move_class,
        end_classes, lose_school_of_class, rename_class, add_school, remove_school, put_back,
    )
}  # fmt: skip
HERE: dict[str, Callable[[Trial, int, int], Any]] = {
    act.__name__: act
    for act in (
        write_settings, earn_progress, name_school, set_limits, set_licences,
        hold_everything,
    )
}  # fmt: skip
ADDING = {"add_person", "add_people", "add_class", "add_school", "put_back"}
"""What can be done where there is nobody and nothing."""
EDITS = AT_PROVIDER.keys() | HERE.keys()


class Edit(NamedTuple):
    """The numbers choose whom it is about, and what becomes of them."""

    act: str
    first: int
    second: int

    async def make(self, trial: Trial) -> None:
        if self.act in HERE:
            await HERE[self.act](trial, self.first, self.second)
        elif self.act in ADDING or (trial.district.classes and trial.district.people):
            AT_PROVIDER[self.act](trial.district, self.first, self.second)
