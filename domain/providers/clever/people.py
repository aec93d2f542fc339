"""Clever's users as records: one person with all roles, each value looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from domain.providers.clever.mapping import map_grade
from domain.providers.clever.objects import (
    Bystander,
    Name,
    RolePart,
    Roles,
    Staff,
    Student,
    Teacher,
    User,
    UserWithEmail,
    ext_value,
    user_type,
)
from domain.providers.clever.rows import Remarks, keys_of, listed, trimmed
from domain.providers.vocabulary import parse_email
from domain.roster import records
from domain.roster.records import Role
from domain.roster.source import Eligibility, Ignored, SourceConfig
from domain.validation.codes import Code

WORDS: Final = Roles.__struct_fields__
"""Clever's words for roles, in the order in which they are asked for."""
DEFAULT_ROLE_MAP: Final[Mapping[str, Role | None]] = {
    "student": Role.STUDENT,
    "teacher": Role.TEACHER,
    # What was called school_admin before v3. Clever does not tell a principal from an aide.
    "staff": Role.SCHOOL_ADMIN,
    "district_admin": Role.DISTRICT_ADMIN,
    "contact": None,
}
ADMINS: Final = frozenset({Role.SCHOOL_ADMIN, Role.DISTRICT_ADMIN})


@dataclass(frozen=True, slots=True)
class Rules:
    """What the tenant decided about people."""

    role_map: Mapping[str, Role | None]
    with_student_email: bool = False
    eligibility: Eligibility | None = None

    @classmethod
    def of(cls, config: SourceConfig) -> "Rules":
        changes = {word.strip().casefold(): role for word, role in config.role_map.items()}
        return cls(
            {word: changes.get(word, role) for word, role in DEFAULT_ROLE_MAP.items()},
            config.with_student_email,
            config.eligibility,
        )

    def takes_email(self, roles: Sequence[Role]) -> bool:
        return self.with_student_email or Role.STUDENT not in roles


def type_of(word: str, rules: Rules) -> type[User]:
    """What is decoded of those who are asked for by this role."""
    role = rules.role_map[word]
    return user_type(
        with_email=rules.with_student_email or (word != "student" and role is not Role.STUDENT),
        ext_field=rules.eligibility.field if rules.eligibility else None,
    )


def first_role(user: User | Bystander) -> str | None:
    """The word of the first role held, in the order of asking."""
    roles = user.roles
    return next((word for word in WORDS if getattr(roles, word, None) is not None), None)


class _Held(NamedTuple):
    """A role of a person's that the role map does not leave out."""

    word: str
    part: RolePart
    role: Role


def map_user(user: User, remarks: Remarks, rules: Rules) -> records.User | Ignored:
    source_id = remarks.require_usable_id()
    word = first_role(user)
    if word is None:
        remarks.hide("email")
        remarks.reject(Code.USER_ROLE_UNKNOWN, "roles", ", ".join(WORDS), "")
    held = _held(user, rules)
    if not held:
        return Ignored(source_id, word)
    roles = [item.role for item in held]
    if not rules.takes_email(roles):
        remarks.hide("email")
    username = _username(source_id, held, remarks)
    given_name, family_name = _names(user, remarks)
    student = user.roles.student if user.roles else None
    preferred = (student and student.preferred_name) or Name()
    return records.User(
        source_id=source_id,
        username=username,
        given_name=given_name,
        family_name=family_name,
        roles=tuple(sorted({role.value for role in roles})),
        school_source_ids=_schools(held),
        preferred_given_name=_preferred(remarks, "first", preferred.first),
        preferred_family_name=_preferred(remarks, "last", preferred.last),
        email=_email(user, remarks) if rules.takes_email(roles) else None,
        number=_number(held, remarks),
        grades=_grades(held, remarks),
        keys=_keys(user),
        is_eligible=is_eligible(student, roles, rules),
    )


def _held(user: User, rules: Rules) -> list[_Held]:
    parts = [(word, getattr(user.roles, word)) for word in WORDS]
    return [
        _Held(word, part, role)
        for word, part in parts
        if part is not None and (role := rules.role_map[word]) is not None
    ]


def _username(source_id: str, held: Sequence[_Held], remarks: Remarks) -> str:
    """The district's; the Clever id without one, and always for admins, who sign in by Clever."""
    if any(item.role in ADMINS for item in held):
        return source_id
    for word, part, _ in held:
        if part.credentials and trimmed(part.credentials.district_username):
            field = f"roles.{word}.credentials.district_username"
            return remarks.short(field, part.credentials.district_username)
    return source_id


def _names(user: User, remarks: Remarks) -> tuple[str, str]:
    name = user.name
    given_name = remarks.short("name.first", name.first if name else None)
    family_name = remarks.short("name.last", name.last if name else None)
    if not given_name and not family_name:
        remarks.reject(Code.USER_NAME_MISSING, "name.last", "a given or a family name", "")
    return given_name, family_name


def _preferred(remarks: Remarks, part: str, value: str | None) -> str | None:
    return remarks.optional(f"roles.student.preferred_name.{part}", value)


def _schools(held: Sequence[_Held]) -> tuple[str, ...]:
    """The primary school of each role before its others."""
    named = [name for _, part, _ in held for name in (part.school or "", *(part.schools or ()))]
    return listed(named)


def _email(user: User, remarks: Remarks) -> str | None:
    text = trimmed(user.email) if isinstance(user, UserWithEmail) else ""
    email = parse_email(text)
    if text and email is None:
        remarks.warn(Code.USER_EMAIL_INVALID, "email", "an email address", text)
    return email


def _number(held: Sequence[_Held], remarks: Remarks) -> str | None:
    for word, part, _ in held:
        field, value = _number_field(part)
        if trimmed(value):
            return remarks.optional(f"roles.{word}.{field}", value)
    return None


def _number_field(part: RolePart) -> tuple[str, str | None]:
    match part:
        case Student():
            return "student_number", part.student_number
        case Teacher():
            return "teacher_number", part.teacher_number
        case Staff():
            return "staff_id", part.staff_id
        case _:
            return "", None


def _grades(held: Sequence[_Held], remarks: Remarks) -> tuple[str, ...]:
    for _, part, _ in held:
        if isinstance(part, Student):
            return map_grade(remarks, "roles.student.grade", part.grade, Code.USER_GRADE_UNMAPPED)
    return ()


def _keys(user: User) -> tuple[str, ...]:
    """Of every role: when roles come to one person or part again, they tell who it was."""
    parts = [part for word in WORDS if (part := getattr(user.roles, word)) is not None]
    return keys_of(
        *(("sis_id", part.sis_id) for part in parts),
        *(("legacy_id", part.legacy_id) for part in parts),
    )


def is_eligible(student: Student | None, roles: Sequence[Role], rules: Rules) -> bool:
    if rules.eligibility is None or Role.STUDENT not in roles:
        return True
    return student is not None and rules.eligibility.means_yes(ext_value(student))
