"""What may be given for the fields of people, groups, schools and memberships that are edited here.

Each field of the API has its column, and a function that reads what was given or raises
ValueError with a sentence. Fields that are not named here cannot be edited.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.errors import InvalidInput
from domain.files.cells import shown, text_of
from domain.providers.vocabulary import normalise_grade, parse_email
from domain.roster.managed import api_name
from domain.roster.records import MembershipRole, RecordType, Role

MOST_VALUES: Final = 100
_NAME, _ID, _EMAIL, _WORD = text_of(200), text_of(200), text_of(254), text_of(100)

Read = Callable[[Any], Any]
"""Given what stands in the input, never None."""


class Field(NamedTuple):
    """`is_required`: a new record needs it, and it can never be taken away."""

    read: Read
    is_required: bool = False
    blank: Any = None


def _text(read: Callable[[str], object], given: str) -> object:
    text = given.strip()
    if not text:
        raise ValueError("Give at least one character.")
    return read(text)


def _email(given: str) -> str:
    found = parse_email(str(_text(_EMAIL, given)))
    if found is None:
        raise ValueError(f"{shown(given)} is not an email address.")
    return found


def _grade(given: str) -> str:
    found = normalise_grade(given)
    if found is None:
        raise ValueError(f"{shown(given)} is not a grade: give a CEDS code, such as KG or 03.")
    return found


def _word(words: type[StrEnum], given: str) -> str:
    if given not in list(words):
        raise ValueError(f"{shown(given)} is none of: {', '.join(words)}.")
    return given


def _several(read: Read, least: int, given: Sequence[Any]) -> list[Any]:
    values = list(dict.fromkeys(read(value) for value in given))
    if not least <= len(values) <= MOST_VALUES:
        raise ValueError(f"Give {least} to {MOST_VALUES} values.")
    return values


def _roles(given: Sequence[str]) -> list[str]:
    return sorted(_several(partial(_word, Role), 1, given))


def _texts(given: Sequence[str]) -> list[str]:
    return _several(partial(_text, _WORD), 0, given)


def _grades(given: Sequence[str]) -> list[str]:
    return _several(_grade, 0, given)


def _ids(given: Sequence[str]) -> list[UUID]:
    return _several(UUID, 0, given)


_required_name = Field(partial(_text, _NAME), is_required=True)
_name = Field(partial(_text, _NAME))
_id = Field(partial(_text, _ID))
_day = Field(date.fromisoformat)
_one = Field(UUID, is_required=True)

FIELDS: Final[Mapping[RecordType, Mapping[str, Field]]] = {
    RecordType.USER: {
        "username": _required_name,
        "given_name": _required_name,
        "family_name": _required_name,
        "roles": Field(_roles, is_required=True),
        "preferred_given_name": _name,
        "preferred_family_name": _name,
        "email": Field(_email),
        "number": _id,
        "grades": Field(_grades, blank=()),
        "is_enabled": Field(bool, blank=True),
        "school_ids": Field(_ids, blank=()),
    },
    RecordType.GROUP: {
        "school_id": _one,
        "name": _required_name,
        "code": _id,
        "kind": _name,
        "period": _name,
        "grades": Field(_grades, blank=()),
        "subjects": Field(_texts, blank=()),
        "starts_on": _day,
        "ends_on": _day,
    },
    RecordType.SCHOOL: {"name": _required_name, "number": _id, "display_name": _name},
    RecordType.MEMBERSHIP: {
        "user_id": _one,
        "group_id": _one,
        "role": Field(partial(_word, MembershipRole), is_required=True),
    },
}
"""By the columns; `school_ids` are the schools of a person, which lie in a table of their own."""


def input_name(column: str) -> str:
    """As the API's inputs name it."""
    head, *rest = column.split("_")
    return head + "".join(part.title() for part in rest)


def shown_name(column: str) -> str:
    """As the API's types name it."""
    return "schools" if column == "school_ids" else api_name(column)


def read_values(
    record_type: RecordType, given: Mapping[str, Any], *, is_new: bool
) -> dict[str, Any]:
    """What is to be stored, by column. Raises InvalidInput."""
    fields = FIELDS[record_type]
    wanted = [name for name in fields if name in given or is_new]
    return {name: _value(name, fields[name], given.get(name)) for name in wanted}


def _value(name: str, field: Field, given: Any) -> Any:
    if given is None:
        if field.is_required:
            raise InvalidInput(input_name(name), "This cannot be left open.")
        return list(field.blank) if field.blank == () else field.blank
    try:
        return field.read(given)
    except ValueError as error:
        raise InvalidInput(input_name(name), str(error)) from error
