"""The short way of plain users, in both models of roles."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from domain.providers.oneroster.drafts import Memo, OddError, Rules
from domain.providers.oneroster.people import RoleRow, eligibility_column, is_kept_kind
from domain.providers.oneroster.standings import (
    Standing,
    plain_email,
    plain_grades,
    standing_or_ignored,
    standing_with_role,
)
from domain.providers.oneroster_rest.cells import metadata_value
from domain.providers.oneroster_rest.objects import Row
from domain.providers.oneroster_rest.plain import (
    TakePlain,
    flag_of,
    plain_list,
    plain_text,
    require_active,
)
from domain.providers.vocabulary import ID_LENGTH, TEXT_LENGTH
from domain.roster.records import User
from domain.roster.source import Ignored

_OTHERS = ("email", "grades", "userIds")
_TEXTS = (
    "sourcedId",
    "username",
    "givenName",
    "familyName",
    "preferredGivenName",
    "preferredFamilyName",
    "identifier",
)


def plain_user(rules: Rules) -> TakePlain:
    pick = attrgetter("status", "enabledUser", "role", "roles", "orgSourcedIds", *_OTHERS, *_TEXTS)
    grades_of, make = Memo(_plain_grades), partial(tuple.__new__, User)
    with_one = Memo(partial(_standing_or_ignored, rules=rules))
    with_list, is_eligible = _standing_by_list(rules), _judge(rules)
    keys_of = _plain_keys()

    def take(row: Row) -> User | Ignored:
        status, enabled, role, roles, orgs, email, grades, ids, *raw_texts = pick(row)
        standing = (
            with_list(row)
            if roles
            else with_one[status, enabled, role, tuple([org.sourcedId for org in orgs or ()])]
        )
        texts = ["" if text is None else text.strip() for text in raw_texts]
        source_id, username, given, family, preferred_given, preferred_family, number = texts
        if not source_id or len(source_id) > ID_LENGTH or not source_id.isprintable():
            raise OddError
        if isinstance(standing, Ignored):
            return Ignored(source_id, standing.reason)
        if not username or not (given or family) or _is_long(texts):
            raise OddError
        return make(
            (
                source_id,
                username,
                given,
                family,
                standing.roles,
                standing.schools,
                preferred_given or None,
                preferred_family or None,
                plain_email(email) if standing.has_email and email is not None else None,
                number or None,
                grades_of[plain_list(grades)],
                True,
                keys_of(ids) if ids else (),
                not standing.is_judged or is_eligible(row),
            )
        )

    return take


def _is_long(texts: list[str]) -> bool:
    """Whether one of them is. Together they hardly ever are as long as one may be."""
    return len("".join(texts)) > TEXT_LENGTH and max(map(len, texts)) > TEXT_LENGTH


def _standing_by_list(rules: Rules) -> Callable[[Row], Standing | Ignored]:
    """Of somebody with a list of roles, if there is one role in it."""
    pick = attrgetter("status", "enabledUser", "roles", "primaryOrgSourcedId")
    standings = Memo(partial(_standing_with_role, rules=rules))

    def standing_of(row: Row) -> Standing | Ignored:
        status, enabled, roles, primary_org = pick(row)
        if len(roles) != 1:
            raise OddError
        (held,) = roles
        org = held.org
        key = (
            plain_text(held.roleType),
            plain_text(held.role),
            plain_text(org.sourcedId) if org else "",
            plain_text(held.beginDate),
            plain_text(held.endDate),
            "",
        )
        home = plain_text(primary_org.sourcedId) if primary_org else ""
        return standings[status, enabled, home, key]

    return standing_of


def _standing_or_ignored(
    values: tuple[Any, Any, Any, tuple[Any, ...]], *, rules: Rules
) -> Standing | Ignored:
    status, enabled, word, orgs = values
    _require_plain(status, enabled)
    ids = tuple(dict.fromkeys(filter(None, map(str.strip, orgs))))
    return standing_or_ignored(word.strip(), ids, rules)


def _standing_with_role(values: tuple[Any, Any, str, Any], *, rules: Rules) -> Standing | Ignored:
    status, enabled, primary_org, key = values
    _require_plain(status, enabled)
    return standing_with_role(primary_org, RoleRow(*key).without_line(), rules)


def _require_plain(status: Any, enabled: Any) -> None:
    require_active(status)
    if enabled not in (None, "") and not flag_of(enabled):
        raise OddError


def _plain_grades(values: tuple[Any, ...]) -> tuple[str, ...]:
    return plain_grades(tuple(filter(None, map(str.strip, values))))


def _plain_keys() -> Callable[[Any], tuple[str, ...]]:
    kinds = Memo(_kind)

    def keys_of(ids: Any) -> tuple[str, ...]:
        if type(ids) is not list:
            raise OddError
        keys = [
            f"{kind}:{value}"
            for typed in ids
            if (kind := kinds[typed.type])
            and (value := plain_text(typed.identifier))
            and "@" not in value
        ]
        if len(keys) > 1:
            keys = sorted(set(keys))
        if any(len(key) > ID_LENGTH or not key.isprintable() for key in keys):
            raise OddError
        return tuple(keys)

    return keys_of


def _kind(value: Any) -> str:
    """Nothing for a type of ids that is not kept."""
    text = plain_text(value)
    return text if is_kept_kind(text) else ""


def _judge(rules: Rules) -> Callable[[Row], bool]:
    asked = rules.eligibility
    if asked is None:
        return lambda _: True
    column = eligibility_column(asked)
    return lambda row: asked.means_yes(_plain_value(metadata_value(row.metadata, column)))


def _plain_value(value: Any) -> str:
    if value is None or isinstance(value, bool | int | str):
        return "" if value is None else str(value)
    raise OddError
