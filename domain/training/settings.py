"""Settings of one level: set, taken away, and kept from being overwritten unseen (G1, G2)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.reach import Reach
from domain.roster.models import Group, School, User
from domain.tenants.service import get_tenant
from domain.training.effective import SettingsLevel
from domain.training.layouts import get_layout
from domain.training.models import AgeGroup, TrainingSettings
from domain.training.reach import changed_groups, changed_students, is_among

SPEED: Final = (1, 250)
"""Words per minute."""
ACCURACY: Final = (0, 100)
"""Percent."""
FIELDS: Final = ("speed_target", "accuracy_target", "keyboard_layout", "has_avatars", "age_group")
_API_NAMES: Final = dict(
    zip(
        FIELDS,
        ("speedTarget", "accuracyTarget", "keyboardLayout", "hasAvatars", "ageGroup"),
        strict=True,
    )
)
_OWNERS: Final[Mapping[SettingsLevel, tuple[type[Any], str]]] = {
    SettingsLevel.SCHOOL: (School, "school_id"),
    SettingsLevel.GROUP: (Group, "group_id"),
    SettingsLevel.USER: (User, "user_id"),
}

_WHO_MAY: Final[Mapping[SettingsLevel, str]] = {
    SettingsLevel.TENANT: "Only a district's administrators may change the settings of all of it.",
    SettingsLevel.SCHOOL: "Only administrators of the school may change its settings.",
    SettingsLevel.GROUP: (
        "Only teachers of the group and administrators of its school may change its settings."
    ),
    SettingsLevel.USER: (
        "Only teachers of the student and administrators of their school may change their settings."
    ),
}


class Owner(NamedTuple):
    """Whose settings they are: of the tenant, or of a school, a group or a user by its id."""

    level: SettingsLevel
    key: UUID


class OwnSettings(NamedTuple):
    """What is set at one level. `version` 0: nothing was ever set there."""

    speed_target: int | None = None
    accuracy_target: int | None = None
    keyboard_layout: str | None = None
    has_avatars: bool | None = None
    age_group: AgeGroup | None = None
    version: int = 0
    updated_at: datetime | None = None
    updated_by: str | None = None


def checked(values: Mapping[str, Any], level: SettingsLevel) -> dict[str, Any]:
    """The values as they are stored; None takes a setting away. Raises InvalidInput."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None and name == "age_group" and level is not SettingsLevel.GROUP:
            raise InvalidInput("ageGroup", "Only a group has an age group: set it of the group.")
        match name, value:
            case _, None:
                found[name] = None
            case "speed_target", _:
                found[name] = _bounded(name, value, SPEED, "words per minute")
            case "accuracy_target", _:
                found[name] = _bounded(name, value, ACCURACY, "percent")
            case "keyboard_layout", _:
                found[name] = get_layout(value).layout_id
            case _:
                found[name] = value
    return found


def _bounded(name: str, value: int, bounds: tuple[int, int], unit: str) -> int:
    low, high = bounds
    if not low <= value <= high:
        raise InvalidInput(_API_NAMES[name], f"This is a number from {low} to {high} {unit}.")
    return value


async def set_settings(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    owner: Owner,
    values: Mapping[str, Any],
    version: int | None,
    caller: Caller,
) -> OwnSettings:
    """Set some settings of a level; None takes one away, and what is not named stays.

    `version` is the one that the caller has seen; None: whatever it is. Raises InvalidInput,
    NotFound, Forbidden, and Conflict where somebody has changed them since.
    """
    new = checked(values, owner.level)
    await _require_owner(session, tenant_id, owner)
    await _require_reach(session, owner, caller.reach)
    await lock_settings(session, tenant_id)
    row = await session.scalar(_row_of(tenant_id, owner))
    before = OwnSettings() if row is None else _own(row)
    if version is not None and version != before.version:
        raise Conflict(_changed_since(before, version), field="version")
    changed = {name: value for name, value in new.items() if getattr(before, name) != value}
    if not changed:
        return before
    row = row or await _begin(session, tenant_id, owner)
    if version is not None and version != row.version:
        raise Conflict(_changed_since(_own(row), version), field="version")
    for name, value in changed.items():
        setattr(row, name, value)
    row.version += 1
    row.updated_at = utc_now()
    row.updated_by = caller.actor
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="trainingSettingsSet",
        target=str(owner.key),
        details={"level": owner.level.value, **changed},
    )
    await session.flush()
    return _own(row)


async def lock_settings(session: AsyncSession, tenant_id: UUID) -> None:
    """Until the end of the transaction nobody else writes settings of the tenant.

    Each writer counts training_versions up too: one of many rows and one of a single row would
    otherwise wait for each other.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('settings ' || :tenant_id, 0))"),
        {"tenant_id": str(tenant_id)},
    )


def _changed_since(now: OwnSettings, version: int) -> str:
    if now.updated_at is None or now.version == 0:
        return f"Nothing is set there, so there is no version {version}: read it again."
    who = now.updated_by or "somebody"
    return (
        f"These settings are at version {now.version}, not {version}: {who} changed them at"
        f" {now.updated_at:%Y-%m-%d %H:%M} UTC. Read them again, then set."
    )


async def _require_owner(session: AsyncSession, tenant_id: UUID, owner: Owner) -> None:
    """Whoever is archived keeps settings, and may be given others."""
    if owner.level is SettingsLevel.TENANT:
        if owner.key != tenant_id:
            raise NotFound("tenant", owner.key)
        await get_tenant(session, tenant_id=tenant_id)
        return
    kind, _ = _OWNERS[owner.level]
    if not await session.scalar(
        select(kind.id).where(kind.tenant_id == tenant_id, kind.id == owner.key)
    ):
        raise NotFound(owner.level.value.lower(), owner.key)


async def _require_reach(session: AsyncSession, owner: Owner, reach: Reach | None) -> None:
    """Raises Forbidden for what is seen and not changed by who sees a part of the tenant."""
    if reach is None:
        return
    may = False
    match owner.level:
        case SettingsLevel.SCHOOL:
            may = owner.key in reach.administered_ids
        case SettingsLevel.GROUP:
            may = await is_among(session, owner.key, changed_groups())
        case SettingsLevel.USER:
            may = await is_among(session, owner.key, changed_students())
        case _:  # nobody's part is the whole
            pass
    if not may:
        raise Forbidden(_WHO_MAY[owner.level])


def _row_of(tenant_id: UUID, owner: Owner) -> Select[TrainingSettings]:
    """The row, locked: two setters come one after the other."""
    return (
        select(TrainingSettings)
        .where(TrainingSettings.tenant_id == tenant_id, _is_of(owner.level, [owner.key]))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def _begin(session: AsyncSession, tenant_id: UUID, owner: Owner) -> TrainingSettings:
    """A row of version 0, or the one that somebody else has begun meanwhile."""
    values: dict[str, Any] = {"tenant_id": tenant_id, "version": 0}
    if owner.level is not SettingsLevel.TENANT:
        values[_OWNERS[owner.level][1]] = owner.key
    await session.execute(insert(TrainingSettings).values(values).on_conflict_do_nothing())
    return (await session.scalars(_row_of(tenant_id, owner))).one()


def _is_of(level: SettingsLevel, keys: Sequence[UUID]) -> ColumnElement[bool]:
    """All three columns are named, since the table's one index begins with them."""
    own = _OWNERS[level][1] if level in _OWNERS else None
    columns = {name: getattr(TrainingSettings, name) for _, name in _OWNERS.values()}
    return and_(
        *(column.in_(keys) if name == own else column.is_(None) for name, column in columns.items())
    )


async def own_settings(
    session: AsyncSession, tenant_id: UUID, owners: Sequence[Owner]
) -> Mapping[Owner, OwnSettings]:
    """What is set at these levels, for a loader: one statement for all of them."""
    keys: dict[SettingsLevel, list[UUID]] = {}
    for owner in owners:
        keys.setdefault(owner.level, []).append(owner.key)
    rows = await session.scalars(
        select(TrainingSettings).where(
            TrainingSettings.tenant_id == tenant_id,
            or_(*(_is_of(level, wanted) for level, wanted in keys.items())),
        )
    )
    return {_owner(found): _own(found) for found in rows}


def _owner(row: TrainingSettings) -> Owner:
    for level, (_, name) in _OWNERS.items():
        if key := getattr(row, name):
            return Owner(level, key)
    return Owner(SettingsLevel.TENANT, row.tenant_id)


def _own(row: TrainingSettings) -> OwnSettings:
    return OwnSettings(**{name: getattr(row, name) for name in OwnSettings._fields})
