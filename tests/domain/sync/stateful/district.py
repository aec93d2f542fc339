"""A district at its provider, as random edits make it: always whole, whatever is taken from it.

Who or what is taken away lies in `former` and can be put back as it was. Every name is said once,
so that nothing is taken for something else by chance.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from domain.roster.records import Course, Enrollment, Group, Record, RecordType, School, Term, User
from tests.domain.sync.feeds import Feed

NOW, PAST = "now", "past"
TERMS = (
    Term(NOW, "This year", "term"),
    Term(PAST, "Last year", "term", date(2020, 8, 1), date(2021, 6, 1)),
)
Rename = Callable[[str], str]
MOST_SCHOOLS, MOST_GROUPS, MOST_PEOPLE = 5, 9, 26


@dataclass(frozen=True)
class Class:
    source_id: str
    name: str
    school: str
    term: str = NOW


@dataclass(frozen=True)
class Person:
    """`groups` in the order in which they were joined; `number` is theirs for ever."""

    source_id: str
    username: str
    given_name: str
    roles: tuple[str, ...]
    schools: tuple[str, ...]
    number: str
    groups: tuple[str, ...] = ()

    @property
    def role_in_groups(self) -> str:
        return "STUDENT" if "STUDENT" in self.roles else "TEACHER"


@dataclass
class District:
    schools: dict[str, str] = field(default_factory=dict)
    classes: dict[str, Class] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    former: list[Class | Person | tuple[str, str]] = field(default_factory=list)
    made: int = 0
    era: int = 0
    """How often every id was replaced: each provider has its own."""

    def copy(self) -> "District":
        return copy.deepcopy(self)

    def next_number(self) -> int:
        self.made += 1
        return self.made

    def name(self, letter: str, number: int) -> str:
        return f"{letter}{number}" if not self.era else f"{letter}{number}.{self.era}"

    def add_school(self) -> None:
        if len(self.schools) < MOST_SCHOOLS:
            number = self.next_number()
            self.schools[self.name("s", number)] = f"School {number}"

    def add_class(self, school: int) -> None:
        if self.schools and len(self.classes) < MOST_GROUPS:
            number = self.next_number()
            source_id = self.name("g", number)
            self.classes[source_id] = Class(source_id, f"Class {number}", nth(self.schools, school))

    def add_person(self, school: int, group: int, *, is_teacher: bool = False) -> None:
        if self.schools and len(self.people) < MOST_PEOPLE:
            number = self.next_number()
            source_id = self.name("u", number)
            self.people[source_id] = Person(
                source_id,
                f"user{number}",
                f"Given {number}",
                ("TEACHER",) if is_teacher else ("STUDENT",),
                (nth(self.schools, school),),
                str(number),
                (nth(self.classes, group),) if self.classes else (),
            )

    def remove_person(self, source_id: str) -> None:
        self.former.append(self.people.pop(source_id))

    def remove_class(self, source_id: str) -> None:
        for person in list(self.people.values()):
            self.leave(person.source_id, source_id)
        self.former.append(self.classes.pop(source_id))

    def remove_school(self, source_id: str, heir: str | None) -> None:
        """Its people and classes go to the heir; without one they go with it."""
        for item in [one for one in self.classes.values() if one.school == source_id]:
            if heir:
                self.classes[item.source_id] = replace(item, school=heir)
            else:
                self.remove_class(item.source_id)
        for person in [one for one in self.people.values() if source_id in one.schools]:
            kept = tuple(school for school in person.schools if school not in (source_id, heir))
            schools = (heir, *kept) if heir else kept
            if schools:
                self.change(person.source_id, schools=schools)
            else:
                self.remove_person(person.source_id)
        self.former.append((source_id, self.schools.pop(source_id)))

    def put_back(self, place: int) -> None:
        """Something that was there, if what it belongs to is there; a username may be taken."""
        if not self.former:
            return
        found = self.former.pop(place % len(self.former))
        if isinstance(found, tuple):
            self.schools.setdefault(*found)
        elif isinstance(found, Class):
            if found.school in self.schools and found.source_id not in self.classes:
                self.classes[found.source_id] = found
        elif found.source_id not in self.people:
            schools = tuple(school for school in found.schools if school in self.schools)
            names = {person.username.casefold() for person in self.people.values()}
            if schools and found.username.casefold() not in names:
                groups = tuple(group for group in found.groups if group in self.classes)
                self.people[found.source_id] = replace(found, schools=schools, groups=groups)

    def change(self, source_id: str, **values: object) -> None:
        self.people[source_id] = replace(self.people[source_id], **values)  # type: ignore[arg-type]

    def join(self, person: str, group: str) -> None:
        groups = self.people[person].groups
        if group not in groups:
            self.change(person, groups=(*groups, group))

    def leave(self, person: str, group: str) -> None:
        groups = tuple(one for one in self.people[person].groups if one != group)
        self.change(person, groups=groups)

    def take_username(self, person: str, other: str) -> None:
        """Of who is there: they swap. Of a leaver: it is free."""
        mine, theirs = self.people[person].username, self.people[other].username
        self.change(person, username=theirs)
        self.change(other, username=mine)

    def rename(self, school: Rename, group: Rename, person: Rename) -> None:
        """Every id, and all that names it. Who is gone by then is gone."""
        self.former.clear()
        self.schools = {school(source_id): name for source_id, name in self.schools.items()}
        self.classes = {
            group(item.source_id): replace(
                item, source_id=group(item.source_id), school=school(item.school)
            )
            for item in self.classes.values()
        }
        self.people = {
            person(one.source_id): replace(
                one,
                source_id=person(one.source_id),
                schools=tuple(school(name) for name in one.schools),
                groups=tuple(group(name) for name in one.groups),
            )
            for one in self.people.values()
        }

    def feed(self) -> Feed:
        return Feed(list(self._records()))

    def _records(self) -> Iterator[Record]:
        for source_id, name in self.schools.items():
            yield School(source_id, name)
        yield from TERMS
        yield Course("course", "Typing")
        for item in self.classes.values():
            yield Group(item.source_id, item.name, item.school, "course", (item.term,))
        for person in self.people.values():
            yield User(
                person.source_id,
                person.username,
                person.given_name,
                "Archer",
                person.roles,
                person.schools,
                number=person.number,
                grades=("05",),
                keys=(f"student_number:{person.number}",),
            )
            for group in person.groups:
                yield Enrollment(
                    f"{person.source_id}-{group}", person.source_id, group, person.role_in_groups
                )


def nth(things: Mapping[str, object], place: int) -> str:
    return list(things)[place % len(things)]


def without_type(feed: Feed, record_type: RecordType) -> Feed:
    """The same where a collection came out empty."""
    kinds = {
        RecordType.SCHOOL: School, RecordType.GROUP: Group, RecordType.USER: User,
        RecordType.MEMBERSHIP: Enrollment, RecordType.TERM: Term, RecordType.COURSE: Course,
    }  # fmt: skip
    return Feed([one for one in feed.records if not isinstance(one, kinds[record_type])])


def first_district() -> District:
    """Three schools, six classes, two teachers and fourteen students."""
    district = District()
    for _ in range(3):
        district.add_school()
    for number in range(6):
        district.add_class(number)
    for number in range(2):
        district.add_person(number, number, is_teacher=True)
    for number in range(14):
        district.add_person(number, number)
    return district
