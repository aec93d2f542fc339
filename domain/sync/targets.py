"""What a run by name asks for: one person, or the records of validation errors."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput, NotFound
from domain.integrations.service import get_integration
from domain.integrations.texts import LENGTH
from domain.people.callers import Caller
from domain.roster.models import User
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.sync.models import SyncMode, SyncTrigger
from domain.sync.picking import MOST_PICKS
from domain.sync.service import Asked, Requested, request_run
from domain.validation.codes import Code
from domain.validation.models import ErrorState, ValidationError

_OPEN: Final = (ErrorState.OPEN, ErrorState.ACCEPTED)
_OF_NO_RECORD: Final = ("FILE_", "MANIFEST_", "CONN_", "LICENCE_", "HOLD_")
_OF_ROWS: Final = frozenset({Code.FILE_ROW_WIDTH})
"""Codes of files that are about one record of it, which has an id."""
_OF_MEMBERS: Final = frozenset(
    {
        Code.CLASS_EMPTY,
        Code.CLASS_NO_TEACHER,
        Code.CLASS_TEACHER_OTHER_SCHOOL,
        Code.ENR_SCHOOL_MISMATCH,
        Code.ENR_OUTSIDE_DATES,
    }
)
"""What mends these is in the enrollments of the class, or of the people who are in it."""
_OF_NAMES: Final = frozenset({Code.USER_LOGIN_TAKEN, Code.USER_LOGIN_CASE_CLASH})
_COLUMNS: Final = {
    RecordType.USER: ("user_source_id", "userSourcedId"),
    RecordType.GROUP: ("group_source_id", "classSourcedId"),
}
_PARTS_OF_CLEVERS: Final = 3


class PersonWanted(NamedTuple):
    """One of them says who."""

    id: UUID | None = None
    source_id: str | None = None
    number: str | None = None


class Chosen(NamedTuple):
    """Some errors, those of a code, or all that are open or accepted."""

    ids: Sequence[UUID] = ()
    code: Code | None = None
    is_all: bool = False


class Revalidated(NamedTuple):
    """`requested` None: nothing can be asked for by name. `reason`: what only a full sync mends."""

    requested: Requested | None
    reason: str | None = None


@dataclass(slots=True)
class _Wish:
    """What is asked for of the provider; `left` are errors that are of no record of it."""

    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    memberships_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    usernames: set[str] = field(default_factory=set)
    left: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.ids.values()))

    @property
    def target(self) -> Mapping[str, Any]:
        return {
            "ids": {name: sorted(ids) for name, ids in sorted(self.ids.items())},
            "memberships_of": {
                name: sorted(ids) for name, ids in sorted(self.memberships_of.items())
            },
        }


async def request_user_run(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    wanted: PersonWanted,
    caller: Caller,
    now: datetime,
) -> Requested:
    """Raises InvalidInput where nobody can be asked for, and what `request_run` raises."""
    integration = await get_integration(session, tenant_id=tenant_id)
    user = await _person(session, tenant_id, integration.provider, wanted)
    return await request_run(
        session,
        tenant_id=tenant_id,
        mode=SyncMode.SINGLE_USER,
        trigger=SyncTrigger.MANUAL,
        caller=caller,
        now=now,
        asked=Asked(target={"user": user}),
    )


async def _person(
    session: AsyncSession, tenant_id: UUID, provider: Provider, wanted: PersonWanted
) -> Mapping[str, str | None]:
    if sum(value is not None for value in wanted) != 1:
        raise InvalidInput("user", "Say who: give one of id, sourceId and number.")
    if wanted.source_id is not None:
        return {"source_id": _checked("user.sourceId", wanted.source_id), "number": None}
    if wanted.number is not None:
        number = _checked("user.number", wanted.number)
        return await _person_with_number(session, tenant_id, provider, number)
    user = await session.scalar(
        select(User).where(User.tenant_id == tenant_id, User.id == wanted.id)
    )
    if user is None:
        raise NotFound("user", wanted.id)
    if user.source_id is not None:
        return {"source_id": user.source_id, "number": None}
    if user.number is None:
        raise InvalidInput("user.id", "The provider does not know this person; give its id.")
    return await _person_with_number(session, tenant_id, provider, user.number)


def _checked(name: str, given: str) -> str:
    value = given.strip()
    if not (0 < len(value) <= LENGTH and value.isprintable()):
        raise InvalidInput(name, f"It is one line of 1 to {LENGTH} characters.")
    return value


async def _person_with_number(
    session: AsyncSession, tenant_id: UUID, provider: Provider, number: str
) -> Mapping[str, str | None]:
    """Who is stored with it is asked for by id as well: the number may have gone to another id."""
    rows = (
        await session.execute(
            select(User.source_id, User.archived_at.is_(None).label("is_live"))
            .where(User.tenant_id == tenant_id, User.number == number)
            .where(User.source_id.is_not(None))
            .order_by(User.source_id)
        )
    ).all()
    stored = [row.source_id for row in rows if row.is_live] or [row.source_id for row in rows]
    if len(stored) > 1:
        raise InvalidInput(
            "user.number",
            f"{len(stored)} people have this number: {', '.join(stored[:10])}. Ask by an id.",
        )
    if provider is not Provider.CLEVER:
        return {"source_id": stored[0] if stored else None, "number": number}
    if not stored:
        raise InvalidInput(
            "user.number",
            "Nobody here has this number, and Clever does not look people up by it: give the"
            " Clever id (sourceId).",
        )
    return {"source_id": stored[0], "number": None}


async def request_revalidation(
    session: AsyncSession, *, tenant_id: UUID, chosen: Chosen, caller: Caller, now: datetime
) -> Revalidated:
    """Raises InvalidInput and NotFound for a choice of nothing, and what `request_run` raises."""
    integration = await get_integration(session, tenant_id=tenant_id)
    errors = await _errors(session, tenant_id, chosen)
    wish = _Wish()
    for error in errors:
        _wish_for(wish, error, integration.provider)
    await _wish_for_namesakes(session, tenant_id, wish)
    if wish.size > MOST_PICKS:
        many = f"The errors are of {wish.size} records, and {MOST_PICKS} are the most that are"
        return Revalidated(None, f"{many} asked for one by one.")
    unasked = f"{wish.left} of the errors are of no record that can be asked for by its id."
    reason = unasked if wish.left else None
    if not wish.size:
        return Revalidated(None, reason)
    requested = await request_run(
        session,
        tenant_id=tenant_id,
        mode=SyncMode.REVALIDATION,
        trigger=SyncTrigger.MANUAL,
        caller=caller,
        now=now,
        asked=Asked(target=wish.target),
    )
    return Revalidated(requested, reason)


async def _errors(
    session: AsyncSession, tenant_id: UUID, chosen: Chosen
) -> Sequence[ValidationError]:
    """Those chosen, and those that one correction mends with them.

    They share a cause, one address of two people, say; or their cause is the record itself: the
    enrollments of somebody who could not be taken.
    """
    row = ValidationError
    condition: ColumnElement[bool]
    if sum((bool(chosen.ids), chosen.code is not None, chosen.is_all)) != 1:
        raise InvalidInput("ids", "Choose errors: give one of ids, code and all.")
    if chosen.ids:
        condition = row.id.in_(chosen.ids)
    elif chosen.code is not None:
        condition = row.code == chosen.code.value
    else:
        condition = row.state.in_(_OPEN)
    of_tenant = select(row).where(row.tenant_id == tenant_id, row.state.in_(_OPEN))
    # One more error than records are asked for is enough to see that they are too many.
    most = 5 * MOST_PICKS
    errors = (await session.scalars(of_tenant.where(condition).order_by(row.id).limit(most))).all()
    if not errors:
        raise NotFound("open validation error", "of this choice")
    shared = {error.cause for error in errors if error.code == Code.USER_EMAIL_DUPLICATE.value}
    shared |= {f"{error.record_type} {error.source_id}" for error in errors if error.source_id}
    others = await session.scalars(of_tenant.where(row.cause.in_(shared)).limit(most))
    return list({error.id: error for error in (*errors, *others)}.values())


def _wish_for(wish: _Wish, error: ValidationError, provider: Provider) -> None:
    source_id, code = error.source_id, Code(error.code)
    is_of_record = code in _OF_ROWS or not code.value.startswith(_OF_NO_RECORD)
    if source_id is None or not is_of_record or not _is_askable(error, provider):
        wish.left += 1
        return
    wish.ids[error.record_type].add(source_id)
    told = error.record or {}
    if error.record_type == RecordType.MEMBERSHIP:
        for record_type, columns in _COLUMNS.items():
            found = (told.get(name) for name in columns)
            wish.ids[record_type.value].update(name for name in found if isinstance(name, str))
    if code in _OF_MEMBERS:
        wish.memberships_of[RecordType.GROUP.value].add(source_id)
        _wish_for_examples(wish, told.get("examples"))
    if code is Code.USER_NO_SCHOOL:
        wish.memberships_of[RecordType.USER.value].add(source_id)
    if code in _OF_NAMES and isinstance(told.get("username"), str):
        wish.usernames.add(told["username"])


def _is_askable(error: ValidationError, provider: Provider) -> bool:
    """Clever's enrollments have no ids of their own: ours name their section."""
    is_enrollment = error.record_type == RecordType.MEMBERSHIP and provider is Provider.CLEVER
    return not is_enrollment or len((error.source_id or "").split("/")) == _PARTS_OF_CLEVERS


def _wish_for_examples(wish: _Wish, examples: object) -> None:
    """People who are named with a class: it may be they who have changed."""
    if isinstance(examples, list):
        wish.ids[RecordType.USER.value].update(_texts(examples))


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


async def _wish_for_namesakes(session: AsyncSession, tenant_id: UUID, wish: _Wish) -> None:
    """Whoever has the username that somebody else asks for may have given it back."""
    if not wish.usernames:
        return
    rows = await session.scalars(
        text(
            "SELECT u.source_id FROM users u WHERE u.tenant_id = :tenant_id"
            " AND u.source_id IS NOT NULL AND u.username_key IN ("
            '  SELECT casefold(n COLLATE "pg_unicode_fast") FROM unnest(:names ::text[]) n)'
        ),
        {"tenant_id": tenant_id, "names": sorted(wish.usernames)},
    )
    wish.ids[RecordType.USER.value].update(rows)
