"""OneRoster's words as ours: roles, grades, dates, booleans. For its CSV and its REST binding."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from domain.roster.records import MembershipRole, Role

ID_LENGTH: Final = 255
TEXT_LENGTH: Final = 255

DEFAULT_ROLE_MAP: Final[Mapping[str, Role | None]] = {
    "student": Role.STUDENT,
    "teacher": Role.TEACHER,
    "aide": Role.STAFF,
    "counselor": Role.STAFF,
    "proctor": Role.STAFF,
    "administrator": Role.DISTRICT_ADMIN,
    "principal": Role.SCHOOL_ADMIN,
    "siteAdministrator": Role.SCHOOL_ADMIN,
    "districtAdministrator": Role.DISTRICT_ADMIN,
    "systemAdministrator": Role.DISTRICT_ADMIN,
    "guardian": None,
    "parent": None,
    "relative": None,
}
"""What a person is; None is left out on purpose. A tenant may change it."""

MEMBERSHIP_ROLES: Final[Mapping[str, MembershipRole | None]] = {
    "student": MembershipRole.STUDENT,
    "teacher": MembershipRole.TEACHER,
    "administrator": MembershipRole.STAFF,
    "aide": MembershipRole.STAFF,
    "proctor": MembershipRole.STAFF,
    "guardian": None,
    "parent": None,
    "relative": None,
}

ORG_TYPES: Final = {
    word.lower(): word
    for word in ("department", "district", "local", "national", "school", "state")
}
SESSION_TYPES: Final = {
    word.lower(): word for word in ("gradingPeriod", "semester", "schoolYear", "term")
}
CLASS_TYPES: Final = {word.lower(): word for word in ("homeroom", "scheduled")}

_GRADES = ("IT", "PR", "PK", "TK", "KG", "PS", "UG", "Other")
_GRADE_BY_WORD = {
    **{grade.lower(): grade for grade in _GRADES},
    **{f"{number:02d}": f"{number:02d}" for number in range(1, 14)},
    **{str(number): f"{number:02d}" for number in range(1, 10)},
    "k": "KG",
    "kindergarten": "KG",
    "0": "KG",
    "00": "KG",
    "prek": "PK",
    "pre-k": "PK",
    "-1": "PK",
}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}\S*)?", re.ASCII)
_TYPED_ID = re.compile(r"\{([^:{}]+):([^{}]*)\}")
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")


def fold_role_map(role_map: Mapping[str, Role | None]) -> dict[str, Role | None]:
    """The map with its words in lower case, as `role_of` looks them up."""
    return {word.lower(): role for word, role in role_map.items()}


def role_of(
    word: str, folded_map: Mapping[str, Role | None], *, only_above_schools: bool
) -> Role | None:
    """Our role for a word of the map; KeyError for one that is not in it.

    OneRoster 1.1 knows one kind of administrator: where they belong says which kind is meant.
    """
    folded = word.lower()
    role = folded_map[folded]
    if folded == "administrator" and role is Role.DISTRICT_ADMIN and not only_above_schools:
        return Role.SCHOOL_ADMIN
    return role


def is_extension(word: str) -> bool:
    """OneRoster 1.2 lets districts add words to most vocabularies, with this beginning."""
    return word.lower().startswith("ext:")


def normalise_grade(text: str) -> str | None:
    """The CEDS code of a grade (`1` is `01`, `K` is `KG`), or None."""
    return _GRADE_BY_WORD.get(text.strip().lower())


def parse_boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.strip().lower())


def parse_date(text: str) -> date | None:
    """The day of `2023-05-01`, with or without a time; None for everything ambiguous."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return date.fromisoformat(match[1])
    except ValueError:
        return None


def parse_email(text: str) -> str | None:
    """The address in lower case, or None where it cannot be one."""
    return text.lower() if len(text) <= TEXT_LENGTH and _EMAIL.fullmatch(text) else None


def split_list(text: str) -> tuple[str, ...]:
    """The values of a comma list, trimmed, each once, in the order given."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def typed_ids(text: str) -> Iterator[tuple[str, str]]:
    """The types and values of `{Fed:123},{LDAP:cn=ann,dc=school}`."""
    return ((kind.strip(), value.strip()) for kind, value in _TYPED_ID.findall(text))


def is_usable_id(text: str) -> bool:
    """Ids are opaque; only what nobody could store or show is refused."""
    return len(text) <= ID_LENGTH and (
        text.isprintable() or not any(unicodedata.category(letter) == "Cc" for letter in text)
    )
