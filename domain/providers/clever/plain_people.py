"""Users by pull: plain ones take a short way, others that of `people`. Both lead to the same user.

Everybody is taken by the pull of the first role that they hold and passed over by the others.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from typing import Final

from domain.providers.clever.decoding import Odd
from domain.providers.clever.mapping import grade_of
from domain.providers.clever.objects import (
    Bystander,
    Object,
    User,
    UserWithEmail,
)
from domain.providers.clever.people import (
    ADMINS,
    WORDS,
    Rules,
    first_role,
    is_eligible,
    map_user,
    type_of,
)
from domain.providers.clever.rows import (
    Draft,
    OddError,
    ReadRows,
    listed,
    take_odd,
    take_row,
    trimmed,
)
from domain.providers.vocabulary import TEXT_LENGTH, parse_email
from domain.roster import records
from domain.roster.records import RecordType
from domain.roster.source import Ignored

_NUMBERS: Final = {"student": "student_number", "teacher": "teacher_number"}
_NO_OTHERS: Final = (None,) * (len(WORDS) - 1)
_MEMO_SIZE: Final = 10_000
_make = partial(tuple.__new__, records.User)


def kind_of(word: str, rules: Rules) -> type[Object]:
    """What is decoded of those who hold a role."""
    return Bystander if _is_left_out(word, rules) else type_of(word, rules)


def user_reader(word: str, rules: Rules) -> ReadRows:
    """Reads the pages of one pull."""
    if _is_left_out(word, rules):
        return partial(_read_bystanders, word)
    map_row = partial(map_user, rules=rules)
    plain_user = _plain_users(word, rules)

    def read_rows(rows: Sequence[User | Odd]) -> Draft:
        draft = Draft()
        keep = draft.records.append
        for row in rows:
            if isinstance(row, Odd):
                take_odd(draft, row, RecordType.USER)
                continue
            try:
                keep(plain_user(row))
            except OddError:
                if first_role(row) in {word, None}:
                    take_row(draft, row, RecordType.USER, map_row)
        return draft

    return read_rows


def _is_left_out(word: str, rules: Rules) -> bool:
    """Those who hold no role before the last one, and the last one is left out."""
    return word == WORDS[-1] and rules.role_map[word] is None


def _read_bystanders(word: str, rows: Sequence[Bystander | Odd]) -> Draft:
    draft = Draft()
    for row in rows:
        if isinstance(row, Odd):
            take_odd(draft, row, RecordType.USER)
        elif row.id and first_role(row) == word:
            draft.take(Ignored(row.id, word))
    return draft


def _plain_users(word: str, rules: Rules) -> Callable[[User], records.User]:
    """A function from a user with this one role to the record; for others it raises OddError."""
    role = rules.role_map[word]
    if word not in _NUMBERS or role is None or role in ADMINS:
        return _refuse
    pick_part, pick_others = attrgetter(word), attrgetter(*(w for w in WORDS if w != word))
    pick_texts = attrgetter("sis_id", "legacy_id", _NUMBERS[word], "credentials")
    pick_schools, is_student = attrgetter("school", "schools"), word == "student"
    schools_of, grades_of = lru_cache(_MEMO_SIZE)(_schools), lru_cache(_MEMO_SIZE)(_grades)
    roles, has_email = (role.value,), rules.takes_email((role,))
    asks_ext = rules.eligibility is not None

    def plain_user(user: User) -> records.User:
        part = pick_part(user.roles) if user.roles else None
        name = user.name
        if part is None or name is None or pick_others(user.roles) != _NO_OTHERS:
            raise OddError
        source_id, first, last = user.id, name.first or "", name.last or ""
        sis_id, legacy_id, number, credentials = pick_texts(part)
        username = (credentials and credentials.district_username) or source_id
        # Nothing to trim, nothing too long, nothing that cannot be shown: asked once for all.
        school, schools = pick_schools(part)
        ids = f"{source_id}|{sis_id}|{legacy_id}|{number}|{school}"
        joined = f"|{first}|{last}|{username}|{ids}|"
        if (
            not source_id
            or not (first or last)
            or len(joined) > TEXT_LENGTH
            or " |" in joined
            or "| " in joined
            or not joined.isprintable()
            or (is_student and part.preferred_name)
        ):
            raise OddError
        return _make(
            (
                source_id,
                username,
                first,
                last,
                roles,
                schools if schools == (school,) and school else schools_of(school, schools),
                None,
                None,
                _email(user) if has_email else None,
                number or None,
                grades_of(part.grade) if is_student else (),
                True,
                _keys(sis_id, legacy_id),
                not asks_ext or is_eligible(part if is_student else None, (role,), rules),
            )
        )

    return plain_user


def _refuse(_: User) -> records.User:
    raise OddError


def _email(user: User) -> str | None:
    text = user.email if isinstance(user, UserWithEmail) else None
    email = parse_email(text) if text else None
    if text and email is None:
        raise OddError
    return email


def _keys(sis_id: str | None, legacy_id: str | None) -> tuple[str, ...]:
    if not legacy_id:
        return (f"sis_id:{sis_id}",) if sis_id else ()
    legacy = f"legacy_id:{legacy_id}"
    return (legacy, f"sis_id:{sis_id}") if sis_id else (legacy,)


def _schools(school: str | None, schools: tuple[str, ...] | None) -> tuple[str, ...]:
    return listed((school or "", *(schools or ())))


def _grades(word: str | None) -> tuple[str, ...]:
    text = trimmed(word)
    grade = grade_of(text) if text else None
    if text and grade is None:
        raise OddError
    return (grade,) if grade else ()
