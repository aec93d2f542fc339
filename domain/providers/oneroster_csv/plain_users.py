"""Users: plain rows take a short way, the others that of `people`. Both lead to the same user."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter

from domain.providers.oneroster.cells import Cells
from domain.providers.oneroster.drafts import Draft, Memo, OddError, Rules
from domain.providers.oneroster.people import (
    RoleKey,
    RoleRow,
    eligibility_column,
    keys_of,
    map_user,
    map_user_with_roles,
)
from domain.providers.oneroster.standings import (
    Standing,
    plain_email,
    plain_grades,
    standing_or_ignored,
    standing_with_role,
)
from domain.providers.oneroster_csv.roles import RoleStore
from domain.providers.oneroster_csv.rows import ReadPage, Sheet, numbered, take_row
from domain.providers.vocabulary import TEXT_LENGTH, parse_boolean, split_list, typed_ids
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


def user_reader(sheet: Sheet, rules: Rules) -> ReadPage:
    """Read pages of OneRoster 1.1 users."""
    at = sheet.table.columns
    plain_id, plain_user = _plain_ids(sheet), _plain_users(sheet, rules)
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
    plain_id, plain_user = _plain_ids(sheet), _plain_users(sheet, rules)
    pick = itemgetter(at["status"], at["enabledUser"], at["primaryOrgSourcedId"])
    standings = Memo(partial(_standing_with_role, rules=rules, is_delta=sheet.is_delta))

    def read_page(draft: Draft, size: int) -> None:
        page = list(numbered(sheet.table, size))
        roles = store.of([row[id_at].strip() for _, row in page if len(row) > id_at])
        map_row = partial(_map_with_roles, rules=rules, roles_by_user=roles)
        for line, row in page:
            try:
                (role,) = roles[row[id_at].strip()]
                standing = standings[*pick(row), role.without_line()]
                if isinstance(standing, Ignored):
                    draft.ignored.append(standing._replace(source_id=plain_id(row)))
                else:
                    draft.records.append(plain_user(row, standing))
            except (IndexError, KeyError, ValueError, OddError):
                take_row(sheet, row, line, map_row=map_row, draft=draft)

    return read_page


def _map_with_roles(
    cells: Cells, rules: Rules, roles_by_user: Mapping[str, Sequence[RoleRow]]
) -> User | Ignored:
    return map_user_with_roles(cells, rules, roles_by_user.get(cells.source_id, ()))


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


def _plain_users(sheet: Sheet, rules: Rules) -> Callable[[list[str], Standing], User]:
    """A function from a row to its user, for rows without anything to say about them."""
    at = sheet.table.columns
    width, is_delta, modified_at = sheet.table.width, sheet.is_delta, at["dateLastModified"]
    grades_at, email_at, ids_at = at["grades"], at["email"], at["userIds"]
    pick_texts = itemgetter(*(at[name] for name in _TEXTS))
    grades, make = Memo(_plain_grades), partial(tuple.__new__, User)
    asked = rules.eligibility
    judge_at = at[eligibility_column(asked)] if asked else 0
    judged = Memo(asked.means_yes) if asked else {}

    def plain_user(row: list[str], standing: Standing) -> User:
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
        roles, schools, has_email, is_judged = standing
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
                plain_email(row[email_at]) if has_email else None,
                number or None,
                grades[row[grades_at]],
                True,
                keys_of(typed_ids(row[ids_at])) if row[ids_at] else (),
                not is_judged or judged[row[judge_at]],
            )
        )

    return plain_user


def _plain_grades(cell: str) -> tuple[str, ...]:
    return plain_grades(split_list(cell))


def _standing_or_ignored(
    cells: tuple[str, str, str, str], *, rules: Rules, is_delta: bool
) -> Standing | Ignored:
    """Of an active and enabled person of OneRoster 1.1: status, enabledUser, role, orgs."""
    status, enabled, role, orgs = cells
    _require_plain(status, enabled, is_delta=is_delta)
    return standing_or_ignored(role.strip(), split_list(orgs), rules)


def _standing_with_role(
    cells: tuple[str, str, str, RoleKey], *, rules: Rules, is_delta: bool
) -> Standing | Ignored:
    """Of an active and enabled person of OneRoster 1.2."""
    status, enabled, primary_org, key = cells
    _require_plain(status, enabled, is_delta=is_delta)
    return standing_with_role(primary_org.strip(), key, rules)


def _require_plain(status: str, enabled: str, *, is_delta: bool) -> None:
    status = status.strip().lower()
    if status != "active" and (status or is_delta):
        raise OddError
    if enabled.strip() and not parse_boolean(enabled):
        raise OddError
