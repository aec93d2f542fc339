"""The short way of plain people: what many have in common is made once, and looked up."""

from typing import NamedTuple

from domain.providers.oneroster.drafts import OddError, Rules
from domain.providers.oneroster.people import (
    RoleKey,
    RoleRow,
    are_above_schools,
    holds_on,
    is_judged,
    schools_of,
    takes_email,
)
from domain.providers.vocabulary import normalise_grade, parse_date, parse_email, role_of
from domain.roster.source import Ignored


class Standing(NamedTuple):
    """`is_judged`: whether the tenant's field says if they are eligible."""

    roles: tuple[str, ...]
    schools: tuple[str, ...]
    has_email: bool
    is_judged: bool


def standing_or_ignored(word: str, orgs: tuple[str, ...], rules: Rules) -> Standing | Ignored:
    """Of a person of OneRoster 1.1, by their role and their organisations."""
    return _ignored(word, rules) or _standing_of(word, orgs, orgs, rules)


def standing_with_role(primary_org: str, key: RoleKey, rules: Rules) -> Standing | Ignored:
    """Of a person of OneRoster 1.2 who has one role, and has it today."""
    role = RoleRow(*key, line=0)
    begins_on, ends_on = parse_date(role.begins), parse_date(role.ends)
    if (
        role.fault
        or (role.begins and not begins_on)
        or (role.ends and not ends_on)
        or not holds_on(begins_on, ends_on, rules.today)
    ):
        raise OddError
    org = tuple(filter(None, (role.org_source_id,)))
    orgs = tuple(dict.fromkeys(filter(None, (primary_org, *org))))
    return _ignored(role.role, rules) or _standing_of(role.role, org, orgs, rules)


def _ignored(word: str, rules: Rules) -> Ignored | None:
    """Somebody, of whom nothing is told yet but that the role map leaves their role out."""
    folded = word.lower()
    is_left_out = folded in rules.role_map and rules.role_map[folded] is None
    return Ignored("", folded) if is_left_out else None


def _standing_of(
    word: str, orgs_of_role: tuple[str, ...], orgs: tuple[str, ...], rules: Rules
) -> Standing:
    if word.lower() not in rules.role_map:
        raise OddError
    is_above = are_above_schools(orgs_of_role, rules)
    role = role_of(word, rules.role_map, only_above_schools=is_above)
    if role is None:
        raise OddError
    roles = (role.value,)
    return Standing(
        roles, schools_of(orgs, rules), takes_email(roles, rules), is_judged(roles, rules)
    )


def plain_grades(words: tuple[str, ...]) -> tuple[str, ...]:
    grades = [normalise_grade(word) for word in words]
    if None in grades:
        raise OddError
    return tuple(dict.fromkeys(filter(None, grades)))


def plain_email(cell: str) -> str | None:
    text = cell.strip()
    email = parse_email(text) if text else None
    if text and email is None:
        raise OddError
    return email
