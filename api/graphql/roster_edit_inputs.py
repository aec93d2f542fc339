"""What is given to add or to change people, groups, schools and memberships by hand."""

from datetime import date
from typing import Any, Final

import strawberry

from domain.identity.edit_values import MOST_VALUES
from domain.roster.records import MembershipRole, Role

_PERSON: Final = "The person's id."
_GRADES: Final = f"The grades, as CEDS codes, at most {MOST_VALUES}."
_TEXT: Final = "1 to 200 characters."


def _open(description: str) -> Any:
    """What may be left out: then it stays as it is. Null takes the value away."""
    return strawberry.field(default=strawberry.UNSET, description=description)


@strawberry.input(description="A new person.")
class UserCreateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    username: str = strawberry.field(description=f"Nobody else's, whatever its case: {_TEXT}")
    given_name: str = strawberry.field(description=f"The given name: {_TEXT}")
    family_name: str = strawberry.field(description=f"The family name: {_TEXT}")
    roles: list[Role] = strawberry.field(description="What the person is, at least one.")
    preferred_given_name: str | None = _open("The given name to be called by.")
    preferred_family_name: str | None = _open("The family name to be called by.")
    email: str | None = _open("The email address.")
    number: str | None = _open("The student or staff number.")
    grades: list[str] | None = _open(_GRADES)
    is_enabled: bool | None = _open("Whether the person may sign in; true if left out.")
    school_ids: list[strawberry.ID] | None = _open(
        f"The person's schools, the primary one first, at most {MOST_VALUES}."
    )


@strawberry.input(
    description="What of a person is another from now on: what is left out stays, and null takes "
    "a value away."
)
class UserUpdateInput:
    user_id: strawberry.ID = strawberry.field(description=_PERSON)
    username: str | None = _open(f"Nobody else's, whatever its case: {_TEXT}")
    given_name: str | None = _open(f"The given name: {_TEXT}")
    family_name: str | None = _open(f"The family name: {_TEXT}")
    roles: list[Role] | None = _open("What the person is, at least one.")
    preferred_given_name: str | None = _open("The given name to be called by.")
    preferred_family_name: str | None = _open("The family name to be called by.")
    email: str | None = _open("The email address.")
    number: str | None = _open("The student or staff number.")
    grades: list[str] | None = _open(_GRADES)
    is_enabled: bool | None = _open("Whether the person may sign in.")
    school_ids: list[strawberry.ID] | None = _open(
        f"The person's schools, the primary one first, at most {MOST_VALUES}."
    )


@strawberry.input(description="Who is archived.")
class UserArchiveInput:
    user_id: strawberry.ID = strawberry.field(description=_PERSON)


@strawberry.input(description="Who comes back.")
class UserRestoreInput:
    user_id: strawberry.ID = strawberry.field(description=_PERSON)


@strawberry.input(description="A new group.")
class GroupCreateInput:
    school_id: strawberry.ID = strawberry.field(description="The school that it belongs to.")
    name: str = strawberry.field(description=f"Its name: {_TEXT}")
    code: str | None = _open("The school's code for it.")
    kind: str | None = _open("What kind of group it is, in a word.")
    period: str | None = _open("When it meets.")
    grades: list[str] | None = _open(_GRADES)
    subjects: list[str] | None = _open(f"Its subjects, at most {MOST_VALUES}.")
    starts_on: date | None = _open("Its first day.")
    ends_on: date | None = _open("The first day after it.")


@strawberry.input(
    description="What of a group is another from now on: what is left out stays, and null takes "
    "a value away."
)
class GroupUpdateInput:
    group_id: strawberry.ID = strawberry.field(description="The group's id.")
    school_id: strawberry.ID | None = _open("The school that it belongs to.")
    name: str | None = _open(f"Its name: {_TEXT}")
    code: str | None = _open("The school's code for it.")
    kind: str | None = _open("What kind of group it is, in a word.")
    period: str | None = _open("When it meets.")
    grades: list[str] | None = _open(_GRADES)
    subjects: list[str] | None = _open(f"Its subjects, at most {MOST_VALUES}.")
    starts_on: date | None = _open("Its first day.")
    ends_on: date | None = _open("The first day after it.")


@strawberry.input(
    description="What of a school is another from now on: what is left out stays, and null takes "
    "a value away."
)
class SchoolUpdateInput:
    school_id: strawberry.ID = strawberry.field(description="The school's id.")
    name: str | None = _open(f"Its name: {_TEXT}")
    number: str | None = _open("The district's or state's number of it.")
    display_name: str | None = _open("The name shown at sign-in, where it is another.")


@strawberry.input(description="Who is put into which group.")
class MembershipCreateInput:
    user_id: strawberry.ID = strawberry.field(description=_PERSON)
    group_id: strawberry.ID = strawberry.field(description="The group's id.")
    role: MembershipRole = strawberry.field(description="What the person is in the group.")


@strawberry.input(description="Which membership ends.")
class MembershipArchiveInput:
    membership_id: strawberry.ID = strawberry.field(description="The membership's id.")
