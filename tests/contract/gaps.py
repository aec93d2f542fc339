"""What a provider cannot tell, and how two rosters are compared without it.

The table is the section of that name in docs/providers.md.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, Final, NamedTuple

from tests.contract.rosters import Fields, Stored, differences

Forget = Callable[[Stored, Stored], None]
"""Takes what the gap is about out of the second roster; the first is the whole one, as it is."""


class Gap(NamedTuple):
    """`why` is said of the provider; `forget` is how the comparison does without it."""

    why: str
    forget: Forget


def _fields(table: str, *names: str, where: Callable[[Fields], bool] = bool) -> Forget:
    """Of the records whose whole row is as `where` says."""

    def forget(whole: Stored, stored: Stored) -> None:
        for key, row in whole[table].items():
            if where(row):
                for name in names:
                    stored[table].get(key, {}).pop(name, None)

    return forget


def _drop(stored: Stored, table: str, keys: Iterable[Any]) -> None:
    for key in list(keys):
        stored[table].pop(key, None)


def _groups_without_students(whole: Stored, stored: Stored) -> None:
    taught = {group for _, group, role in whole["memberships"] if role == "STUDENT"}
    empty = whole["groups"].keys() - taught
    _drop(stored, "groups", empty)
    _drop(stored, "memberships", (key for key in whole["memberships"] if key[1] in empty))


def _staff_of_groups(whole: Stored, stored: Stored) -> None:
    _drop(stored, "memberships", (key for key in whole["memberships"] if key[2] == "STAFF"))


def _stays(_: Stored, stored: Stored) -> None:
    """What is left of them is whether one of them is primary."""
    for row in stored["memberships"].values():
        row.pop("enrollment_ids")
        row["spans"] = any(is_primary for _, _, is_primary in row["spans"])


def _primaries(_: Stored, stored: Stored) -> None:
    for row in stored["memberships"].values():
        if isinstance(row["spans"], bool):
            row.pop("spans")
        else:
            row["spans"] = [span[:2] for span in row["spans"]]


def _holds(role: str) -> Callable[[Fields], bool]:
    return lambda row: role in row["roles"]


def _are_several(name: str) -> Callable[[Fields], bool]:
    return lambda row: len(row[name]) > 1


def _is_administrator(row: Fields) -> bool:
    return bool({"STAFF", "SCHOOL_ADMIN", "DISTRICT_ADMIN"} & set(row["roles"]))


def _has_several_periods(row: Fields) -> bool:
    return "," in (row["period"] or "")


_VERSION_1_1: Final = {
    "preferred names": Gap(
        "OneRoster has them from 1.2 on.",
        _fields("users", "preferred_given_name", "preferred_family_name"),
    ),
    "several roles of a person": Gap(
        "OneRoster 1.1 has one role for each person, which holds at all their schools.",
        _fields("users", "roles", where=_are_several("roles")),
    ),
}
_CLEVER: Final = {
    "whether an account is enabled": Gap(
        "Clever has nothing like enabledUser: who must not sign in is not shared.",
        _fields("users", "is_enabled"),
    ),
    "preferred names": Gap(
        "The Data API v3.0 does not have them; v3.1 has them for students.",
        _fields("users", "preferred_given_name", "preferred_family_name"),
    ),
    "usernames of administrators": Gap(
        "They sign in by Clever: their username here is their Clever id.",
        _fields("users", "username", "username_key", where=_is_administrator),
    ),
    "what kind of staff somebody is": Gap(
        "Aides, counselors, proctors and principals all are `staff`.",
        _fields("users", "roles", where=_holds("STAFF")),
    ),
    "the number of a district administrator": Gap(
        "Their role has a title and nothing else.",
        _fields("users", "number", where=_holds("DISTRICT_ADMIN")),
    ),
    "more than one grade of a student": Gap(
        "A student has one grade.", _fields("users", "grades", where=_are_several("grades"))
    ),
    "the other ids of a person": Gap(
        "It tells its own: `sis_id` and `legacy_id`.", _fields("users", "keys")
    ),
    "which organisation a school belongs to": Gap(
        "There are schools, and the district.", _fields("schools", "parent_source_id")
    ),
    "what kind of term it is": Gap("A term is a term.", _fields("terms", "kind")),
    "which term is part of which": Gap(
        "Terms stand side by side.", _fields("terms", "parent_source_id")
    ),
    "subjects of a course": Gap(
        "A course has a name and a number.", _fields("courses", "subjects")
    ),
    "more than one term of a class": Gap(
        "A section has one term, so that the days of the class are that term's.",
        _fields(
            "groups",
            "term_source_ids",
            "starts_on",
            "ends_on",
            where=_are_several("term_source_ids"),
        ),
    ),
    "what kind of class it is": Gap(
        "Only its subject says that a section is a homeroom.", _fields("groups", "kind")
    ),
    "more than one grade of a class": Gap(
        "A section has one grade.", _fields("groups", "grades", where=_are_several("grades"))
    ),
    "more than one period of a class": Gap(
        "A section has one period.", _fields("groups", "period", where=_has_several_periods)
    ),
    "subjects of a class": Gap(
        "A section has one, of Clever's own list.", _fields("groups", "subjects")
    ),
    "classes without students": Gap(
        "Clever makes sections of enrollments.", _groups_without_students
    ),
    "aides and other helpers in a class": Gap(
        "A section has students and teachers.", _staff_of_groups
    ),
    "stays in a class": Gap(
        "Somebody is in a section or not: no id, no dates, and no second time.", _stays
    ),
    "whether no teacher of a class is primary, or several are": Gap(
        "A section always has one.", _primaries
    ),
}
CANNOT_TELL: Final[Mapping[str, Mapping[str, Gap]]] = {
    "ONEROSTER 1.1": _VERSION_1_1,
    "ONEROSTER 1.2": {},
    "CLASSLINK": _VERSION_1_1,
    "CLEVER": _CLEVER,
}
"""By dialect, compared with files of OneRoster 1.2."""


def differences_beyond(gaps: Iterable[Gap], whole: Stored, told: Stored) -> list[str]:
    """What is not the same although the provider could have told it."""
    ours, theirs = deepcopy(whole), deepcopy(told)
    for gap in gaps:
        gap.forget(whole, ours)
        gap.forget(whole, theirs)
    return differences(ours, theirs)
