"""Users: in OneRoster 1.1 with their role, in 1.2 with the list of roles that are theirs."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple, NoReturn

from domain.providers.oneroster.cells import Cells, RowRejected
from domain.providers.oneroster.drafts import Rules
from domain.providers.oneroster.mapping import map_grades
from domain.providers.vocabulary import (
    is_usable_id,
    parse_boolean,
    parse_date,
    parse_email,
    role_of,
)
from domain.roster.records import Role, User
from domain.roster.source import Eligibility, Ignored
from domain.validation.codes import Code

_ROLE_EXPECTED: Final = "a role of the role map"
METADATA: Final = "metadata."
_NOT_KEPT: Final = frozenset({"state", "stateid", "ssn"})
_NO_LETTER: Final = re.compile(r"[^a-z0-9]+")

RoleKey = tuple[str, str, str, str, str, str]


class RoleRow(NamedTuple):
    """One role as it is given. `fault` is the code of what makes it unusable."""

    role_type: str
    role: str
    org_source_id: str
    begins: str
    ends: str
    fault: str = ""
    line: int = 0

    def without_line(self) -> RoleKey:
        """The same for everybody who has the same role at the same place."""
        return self[:-1]


def map_user(cells: Cells, rules: Rules) -> User | Ignored:
    """A user of OneRoster 1.1: one role, many organisations."""
    word = cells.required("role")
    orgs = cells.listed("orgSourcedIds")
    try:
        role = role_of(word, rules.role_map, only_above_schools=are_above_schools(orgs, rules))
    except KeyError:
        cells.reject(Code.USER_ROLE_UNKNOWN, "role", _ROLE_EXPECTED, word)
    if role is None:
        return Ignored(cells.source_id, word.lower())
    return _user(cells, rules, roles=(role.value,), schools=schools_of(orgs, rules))


def map_user_with_roles(cells: Cells, rules: Rules, rows: Sequence[RoleRow]) -> User | Ignored:
    """A user of OneRoster 1.2, whose roles hold from a day to a day, each at an organisation."""
    if not rows:
        cells.reject(Code.FIELD_REQUIRED, "role", "a value", "")
    held = [(row, _held_role(cells, row, rules)) for row in rows if _is_current(cells, row, rules)]
    ours = [(row, role) for row, role in held if role is not None]
    if not ours:
        return Ignored(cells.source_id, held[0][0].role.lower() if held else "no role today")
    primary_first = sorted(ours, key=lambda pair: pair[0].role_type.lower() != "primary")
    orgs = [cells.text("primaryOrgSourcedId"), *(row.org_source_id for row, _ in primary_first)]
    return _user(
        cells,
        rules,
        roles=tuple(sorted({role.value for _, role in ours})),
        schools=schools_of(tuple(dict.fromkeys(filter(None, orgs))), rules),
    )


def _is_current(cells: Cells, row: RoleRow, rules: Rules) -> bool:
    """Whether the role holds today. A date that cannot be read limits nothing, and is reported."""
    if row.fault:
        _reject_role(cells, row, Code(row.fault), expected=None, found=row.role)
    begins_on, ends_on = parse_date(row.begins), parse_date(row.ends)
    for column, text, day in (("beginDate", row.begins, begins_on), ("endDate", row.ends, ends_on)):
        if text and day is None:
            problem = cells.problem(Code.FIELD_TYPE, column, "a date as YYYY-MM-DD", text)
            cells.problems.append(problem._replace(place=cells.place_of_role(row.line)))
    return holds_on(begins_on, ends_on, rules.today)


def holds_on(begins_on: date | None, ends_on: date | None, day: date) -> bool:
    """Whether a span that ends before its `ends_on` covers a day."""
    return not (begins_on and day < begins_on) and not (ends_on and ends_on <= day)


def _held_role(cells: Cells, row: RoleRow, rules: Rules) -> Role | None:
    if not row.role:
        _reject_role(cells, row, Code.FIELD_REQUIRED, expected="a value", found="")
    org = (row.org_source_id,) if row.org_source_id else ()
    try:
        return role_of(row.role, rules.role_map, only_above_schools=are_above_schools(org, rules))
    except KeyError:
        _reject_role(cells, row, Code.USER_ROLE_UNKNOWN, expected=_ROLE_EXPECTED, found=row.role)


def _reject_role(
    cells: Cells, row: RoleRow, code: Code, *, expected: str | None, found: str
) -> NoReturn:
    """A person is left as they were rather than stripped of a role that cannot be read."""
    problem = cells.problem(code, "role", expected, found)
    raise RowRejected(problem._replace(rejects=True, place=cells.place_of_role(row.line)))


def _user(cells: Cells, rules: Rules, *, roles: tuple[str, ...], schools: tuple[str, ...]) -> User:
    has_email = takes_email(roles, rules)
    if has_email:
        cells.show_email()
    username = cells.required("username", Code.USER_LOGIN_MISSING)
    given_name, family_name = cells.short("givenName"), cells.short("familyName")
    if not given_name and not family_name:
        cells.reject(Code.USER_NAME_MISSING, "familyName", "a given or a family name", "")
    return User(
        source_id=cells.source_id,
        username=username,
        given_name=given_name,
        family_name=family_name,
        roles=roles,
        school_source_ids=schools,
        preferred_given_name=cells.optional("preferredGivenName"),
        preferred_family_name=cells.optional("preferredFamilyName"),
        email=_email(cells) if has_email else None,
        number=cells.optional("identifier"),
        grades=map_grades(cells, Code.USER_GRADE_UNMAPPED),
        is_enabled=_is_enabled(cells),
        keys=keys_of(cells.pairs("userIds")),
        is_eligible=not is_judged(roles, rules) or _is_eligible(cells, rules),
    )


def takes_email(roles: tuple[str, ...], rules: Rules) -> bool:
    return rules.with_student_email or Role.STUDENT not in roles


def keys_of(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Other ids of a person, but never what the state knows them by, nor an address."""
    keys = {f"{kind}:{value}" for kind, value in pairs if is_kept(kind, value)}
    return tuple(sorted(filter(is_usable_id, keys)))


def is_kept(kind: str, value: str) -> bool:
    """Whether an address is taken over is the tenant's to say, and is said of `email` alone."""
    return bool(value) and "@" not in value and is_kept_kind(kind)


def is_kept_kind(kind: str) -> bool:
    return bool(kind) and _NO_LETTER.sub("", kind.lower()) not in _NOT_KEPT


def eligibility_column(eligibility: Eligibility) -> str:
    """The column of users that says who is eligible, as the CSV binding names it."""
    field = eligibility.field
    is_whole = field.lower().startswith(METADATA)
    return METADATA + (field[len(METADATA) :] if is_whole else field)


def is_judged(roles: tuple[str, ...], rules: Rules) -> bool:
    """Whether the tenant's field says if such a person is eligible."""
    return rules.eligibility is not None and Role.STUDENT in roles


def _is_eligible(cells: Cells, rules: Rules) -> bool:
    asked = rules.eligibility
    return asked is None or asked.means_yes(cells.text(eligibility_column(asked)))


def _email(cells: Cells) -> str | None:
    text = cells.text("email")
    email = parse_email(text)
    if text and email is None:
        cells.warn(Code.USER_EMAIL_INVALID, "email", "an email address", text)
    return email


def _is_enabled(cells: Cells) -> bool:
    text = cells.text("enabledUser")
    is_enabled = parse_boolean(text)
    if text and is_enabled is None:
        cells.warn(Code.FIELD_TYPE, "enabledUser", "true or false", text)
    if is_enabled is False:
        cells.warn(Code.USER_DISABLED, "enabledUser", None, text)
    return is_enabled is not False


def schools_of(orgs: Sequence[str], rules: Rules) -> tuple[str, ...]:
    """Without the organisations that are known to be no schools; unknown ones are kept."""
    return tuple(org for org in orgs if rules.org_types.get(org, "school") == "school")


def are_above_schools(orgs: Sequence[str], rules: Rules) -> bool:
    """Whether somebody belongs to organisations, and none of them is or may be a school."""
    return bool(orgs) and not schools_of(orgs, rules)
