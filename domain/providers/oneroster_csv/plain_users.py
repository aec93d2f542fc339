"""Users: plain rows take a short way, the others that of `people`. Both lead to the same user."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from domain.providers.oneroster_csv.people import (
    are_above_schools,
    holds_on,
    map_user,
    map_user_with_roles,
    schools_of,
    takes_email,
)
from domain.providers.oneroster_csv.roles import RoleKey, RoleRow, RoleStore
from domain.providers.oneroster_csv.rows import (
    Draft,
    Memo,
    OddError,
    ReadPage,
    Rules,
    Sheet,
    numbered,
    take_row,
)
from domain.providers.vocabulary import (
    TEXT_LENGTH,
    normalise_grade,
    parse_boolean,
    parse_date,
    parse_email,
    role_of,
    split_list,
)
from domain.roster.records import User
from domain.roster.source import Ignored

_TEXTS = (
    "sourcedId",
    "username",
    "givenName",
    "familyName",
    "preferredGivenName",
    "preferredFamilyName",
    "identifier",
)


class _Standing(NamedTuple):
    """What many people have in common. Remembered, so that it is made once."""

    roles: tuple[str, ...]
    schools: tuple[str, ...]
    has_email: bool


def user_reader(sheet: Sheet, rules: Rules) -> ReadPage:
    """Read pages of OneRoster 1.1 users."""
    at = sheet.table.columns
    plain_id, plain_user = _plain_ids(sheet), _plain_users(sheet)
    pick = itemgetter(at["status"], at["enabledUser"], at["role"], at["orgSourcedIds"])
    standings = Memo(partial(_standing_or_ignored, rules=rules, is_delta=sheet.is_delta))
    map_row = partial(map_user, rules=rules)

    def read_page(draft: Draft, size: int) -> None:
        keep = draft.records.append
        for row in islice(sheet.table.rows, size):
            try:
                standing = standings[pick(row)]
                if isinstance(standing, Ignored):
                    draft.ignored.append(standing._replace(source_id=plain_id(row)))
                else:
                    keep(plain_user(row, standing))
            except (IndexError, OddError):
                take_row(sheet, row, sheet.table.line, map_row=map_row, draft=draft)

    return read_page


def user_with_roles_reader(sheet: Sheet, rules: Rules, store: RoleStore) -> ReadPage:
    """Read pages of OneRoster 1.2 users, each page with one look into the store."""
    at = sheet.table.columns
    id_at = at["sourcedId"]
    plain_user = _plain_users(sheet)
    pick = itemgetter(at["status"], at["enabledUser"], at["primaryOrgSourcedId"])
    standings = Memo(partial(_standing_with_role, rules=rules, is_delta=sheet.is_delta))

    def read_page(draft: Draft, size: int) -> None:
        page = list(numbered(sheet.table, size))
        roles = store.of([row[id_at].strip() for _, row in page if len(row) > id_at])
        map_row = partial(map_user_with_roles, rules=rules, roles_by_user=roles)
        for line, row in page:
            try:
                (role,) = roles[row[id_at].strip()]
                draft.records.append(plain_user(row, standings[*pick(row), role.without_line()]))
            except (IndexError, KeyError, ValueError, OddError):
                take_row(sheet, row, line, map_row=map_row, draft=draft)

    return read_page


def _plain_ids(sheet: Sheet) -> Callable[[list[str]], str]:
    """A function from a row to its id, for rows of which nothing else is taken."""
    at = sheet.table.columns
    width, is_delta = sheet.table.width, sheet.is_delta
    id_at, modified_at = at["sourcedId"], at["dateLastModified"]

    def plain_id(row: list[str]) -> str:
        source_id = row[id_at].strip()
        if (
            not source_id
            or len(row) != width
            or len(source_id) > TEXT_LENGTH
            or not source_id.isprintable()
            or (is_delta and not row[modified_at].strip())
        ):
            raise OddError
        return source_id

    return plain_id


def _plain_users(sheet: Sheet) -> Callable[[list[str], _Standing], User]:
    """A function from a row to its user, for rows without anything to say about them."""
    at = sheet.table.columns
    width, is_delta, modified_at = sheet.table.width, sheet.is_delta, at["dateLastModified"]
    grades_at, email_at = at["grades"], at["email"]
    pick_texts = itemgetter(*(at[name] for name in _TEXTS))
    grades, make = Memo(plain_grades), partial(tuple.__new__, User)

    def plain_user(row: list[str], standing: _Standing) -> User:
        texts = tuple(map(str.strip, pick_texts(row)))
        source_id, username, given, family, preferred_given, preferred_family, number = texts
        if (
            not source_id
            or not username
            or not (given or family)
            or len(row) != width
            or max(map(len, texts)) > TEXT_LENGTH
            or not source_id.isprintable()
            or (is_delta and not row[modified_at].strip())
        ):
            raise OddError
        roles, schools, has_email = standing
        return make(
            (
                source_id,
                username,
                given,
                family,
                roles,
                schools,
                preferred_given or None,
                preferred_family or None,
                _email(row[email_at]) if has_email else None,
                number or None,
                grades[row[grades_at]],
                True,
            )
        )

    return plain_user


def _standing_or_ignored(
    cells: tuple[str, str, str, str], *, rules: Rules, is_delta: bool
) -> _Standing | Ignored:
    """Of an active and enabled person of OneRoster 1.1: status, enabledUser, role, orgs."""
    status, enabled, role, orgs = cells
    word = role.strip()
    _require_plain(status, enabled, is_delta=is_delta)
    if word.lower() in rules.role_map and rules.role_map[word.lower()] is None:
        return Ignored("", word.lower())
    return _standing_of(word, split_list(orgs), split_list(orgs), rules)


def _standing_with_role(
    cells: tuple[str, str, str, RoleKey], *, rules: Rules, is_delta: bool
) -> _Standing:
    """Of an active and enabled person of OneRoster 1.2 who has one role, and has it today."""
    status, enabled, primary_org, key = cells
    role = RoleRow(*key, line=0)
    _require_plain(status, enabled, is_delta=is_delta)
    begins_on, ends_on = parse_date(role.begins), parse_date(role.ends)
    if (
        role.fault
        or (role.begins and not begins_on)
        or (role.ends and not ends_on)
        or not holds_on(begins_on, ends_on, rules.today)
    ):
        raise OddError
    org = tuple(filter(None, (role.org_source_id,)))
    orgs = tuple(dict.fromkeys(filter(None, (primary_org.strip(), *org))))
    return _standing_of(role.role, org, orgs, rules)


def _require_plain(status: str, enabled: str, *, is_delta: bool) -> None:
    status = status.strip().lower()
    if status != "active" and (status or is_delta):
        raise OddError
    if enabled.strip() and not parse_boolean(enabled):
        raise OddError


def _standing_of(
    word: str, orgs_of_role: tuple[str, ...], orgs: tuple[str, ...], rules: Rules
) -> _Standing:
    if word.lower() not in rules.role_map:
        raise OddError
    is_above = are_above_schools(orgs_of_role, rules)
    role = role_of(word, rules.role_map, only_above_schools=is_above)
    if role is None:
        raise OddError
    roles = (role.value,)
    return _Standing(roles, schools_of(orgs, rules), takes_email(roles, rules))


def plain_grades(cell: str) -> tuple[str, ...]:
    grades = [normalise_grade(word) for word in split_list(cell)]
    if None in grades:
        raise OddError
    return tuple(dict.fromkeys(filter(None, grades)))


def _email(cell: str) -> str | None:
    text = cell.strip()
    email = parse_email(text) if text else None
    if text and email is None:
        raise OddError
    return email
