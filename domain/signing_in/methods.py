"""The ways of signing in to a tenant: which are on, and what the tenant is called there.

Without a row of its own a method is on where the tenant's integration is of that provider, and so
is the password. Super admins always have theirs, even where it is off for the imported people.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import Identity, SignInMethod, SignInMethodName, UsernameComparison

BY_USERNAME: Final = frozenset({SignInMethodName.GOOGLE, SignInMethodName.MICROSOFT})
BY_SOURCE_ID: Final = frozenset({SignInMethodName.CLEVER, SignInMethodName.CLASSLINK})
PERSONAL_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Microsoft's own, of everybody's private accounts."""
_PUBLIC_DOMAINS: Final = frozenset({"gmail.com", "googlemail.com"})
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
MOST_KEYS: Final = 50
_LONGEST_KEY: Final = 200


@dataclass(frozen=True, slots=True)
class Method:
    """`keys` are the tenant's ids at the provider, with that of its integration there."""

    name: SignInMethodName
    is_enabled: bool
    keys: tuple[str, ...] = ()
    compares: UsernameComparison | None = None
    is_of_integration: bool = False


@dataclass(frozen=True, slots=True)
class MethodSetting:
    """What is asked for one method. `keys` None: as they are."""

    name: SignInMethodName
    is_enabled: bool
    keys: Sequence[str] | None = None
    compares: UsernameComparison | None = None


async def methods_of(session: AsyncSession, tenant_id: UUID) -> list[Method]:
    """All of them, in the order of their names' list."""
    rows = await session.scalars(select(SignInMethod).where(SignInMethod.tenant_id == tenant_id))
    stored = {row.method: row for row in rows}
    connected = await _connected(session, tenant_id)
    return [_method(name, stored.get(name), connected) for name in SignInMethodName]


async def enabled_methods(session: AsyncSession, tenant_id: UUID) -> list[Method]:
    return [method for method in await methods_of(session, tenant_id) if method.is_enabled]


async def find_enabled(
    session: AsyncSession, tenant_id: UUID, name: SignInMethodName
) -> Method | None:
    enabled = await enabled_methods(session, tenant_id)
    return next((method for method in enabled if method.name is name), None)


async def _connected(session: AsyncSession, tenant_id: UUID) -> dict[SignInMethodName, str | None]:
    """The provider that rosters the tenant, and what the tenant is called there."""
    row = (
        await session.execute(
            text(
                "SELECT provider, CASE provider WHEN 'CLEVER' THEN settings ->> 'district_id'"
                " WHEN 'CLASSLINK' THEN settings ->> 'tenant_id' END AS key FROM integrations"
                " WHERE tenant_id = :tenant_id AND status <> 'DISCONNECTED'"
            ),
            {"tenant_id": tenant_id},
        )
    ).one_or_none()
    if row is None or row.provider not in set(SignInMethodName):
        return {}
    return {SignInMethodName(row.provider): row.key}


def _method(
    name: SignInMethodName,
    row: SignInMethod | None,
    connected: dict[SignInMethodName, str | None],
) -> Method:
    own = connected.get(name)
    keys = [*(row.keys if row else ()), *([own] if own else ())]
    is_usual = name in connected or name is SignInMethodName.PASSWORD
    return Method(
        name=name,
        is_enabled=row.is_enabled if row else is_usual,
        keys=tuple(dict.fromkeys(keys)),
        compares=row.compares if row else None,
        is_of_integration=name in connected,
    )


async def set_methods(
    session: AsyncSession, *, tenant_id: UUID, settings: Sequence[MethodSetting], caller: Caller
) -> None:
    """Those that are named, the others stay.

    Raises InvalidInput, and Conflict where the tenant's administrators would lock themselves out.
    """
    names = [setting.name for setting in settings]
    if len(set(names)) < len(names):
        raise InvalidInput("methods", "A method is there twice.")
    await _take_turn(session, tenant_id)
    rows = await session.scalars(select(SignInMethod).where(SignInMethod.tenant_id == tenant_id))
    stored = {row.method: row for row in rows}
    for setting in settings:
        row = stored.get(setting.name)
        former = row.keys if row else []
        keys = former if setting.keys is None else _checked_keys(setting, former, caller)
        compares = _checked_comparison(setting, keys)
        if row is None:
            row = SignInMethod(tenant_id=tenant_id, method=setting.name)
            session.add(row)
            stored[setting.name] = row
        row.is_enabled, row.keys, row.compares = setting.is_enabled, keys, compares
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="signInMethodsSet",
        details={name.value: _shown(stored[name]) for name in names},
    )
    await session.flush()
    if not caller.is_operator:
        await _refuse_lock_out(session, tenant_id)


async def _take_turn(session: AsyncSession, tenant_id: UUID) -> None:
    """Of two who set the same method for the first time, the later one finds it set."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('methods ' || :tenant_id, 0))"),
        {"tenant_id": str(tenant_id)},
    )


def _shown(row: SignInMethod) -> dict[str, Any]:
    compares = row.compares.value if row.compares else None
    return {"is_enabled": row.is_enabled, "keys": list(row.keys), "compares": compares}


async def _refuse_lock_out(session: AsyncSession, tenant_id: UUID) -> None:
    """Not every tenant has a super admin; without one, only an operator could mend it."""
    methods = await methods_of(session, tenant_id)
    if not any(method.is_enabled for method in methods):
        raise Conflict("With every way off nobody could sign in: leave one on.", field="methods")
    [clever] = [method for method in methods if method.name is SignInMethodName.CLEVER]
    if clever.is_of_integration and not clever.is_enabled:
        raise Conflict(
            "CLEVER stays on as long as the roster comes from Clever: the district's and the"
            " schools' administrators have to use it.",
            field="methods",
        )


def _checked_comparison(setting: MethodSetting, keys: Sequence[str]) -> UsernameComparison | None:
    if setting.name not in BY_USERNAME:
        if setting.compares is not None:
            raise InvalidInput("methods", f"{setting.name.value} compares no usernames.")
        return None
    if setting.is_enabled and not keys:
        what = "its domains" if setting.name is SignInMethodName.GOOGLE else "its tenant ids"
        raise InvalidInput(
            "methods",
            f"{setting.name.value} cannot be on without keys: say {what}, or anybody's account"
            " would do.",
        )
    if setting.is_enabled and setting.compares is None:
        raise InvalidInput(
            "methods",
            f"{setting.name.value} needs to know what is compared with the usernames: the whole"
            " ADDRESS or its LOCAL_PART.",
        )
    return setting.compares


def _checked_keys(setting: MethodSetting, former: Sequence[str], caller: Caller) -> list[str]:
    keys = list(dict.fromkeys(_normalised(setting.name, key) for key in setting.keys or ()))
    if len(keys) > MOST_KEYS:
        raise InvalidInput("methods", f"A method has at most {MOST_KEYS} keys.")
    if setting.name is SignInMethodName.PASSWORD and keys:
        raise InvalidInput("methods", "PASSWORD has no keys.")
    if setting.name in BY_SOURCE_ID and set(keys) != set(former) and not caller.is_operator:
        raise InvalidInput(
            "methods",
            f"The keys of {setting.name.value} come from the integration; others are set by an"
            " operator alone, who can see that the district is yours.",
        )
    return keys


def _normalised(name: SignInMethodName, key: str) -> str:
    key = key.strip()
    if name is SignInMethodName.GOOGLE:
        return _domain(key.lower())
    if name is SignInMethodName.MICROSOFT:
        return _microsoft_tenant(key)
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidInput("methods", f"A key has 1 to {_LONGEST_KEY} characters.")
    return key


def _domain(key: str) -> str:
    if not _DOMAIN.fullmatch(key) or len(key) > _LONGEST_KEY:
        raise InvalidInput("methods", f"{key[:60]!r} is no domain, such as springfield.k12.us.")
    if key in _PUBLIC_DOMAINS:
        raise InvalidInput("methods", f"{key!r} is everybody's: name a domain of your own.")
    return key


def _microsoft_tenant(key: str) -> str:
    try:
        found = str(UUID(key))
    except ValueError:
        raise InvalidInput(
            "methods", f"{key[:60]!r} is no tenant id of Microsoft's, which is a UUID."
        ) from None
    if found == PERSONAL_TENANT:
        raise InvalidInput("methods", "This is the tenant of everybody's private accounts.")
    return found


async def forget_identity(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    method: SignInMethodName,
    caller: Caller,
) -> None:
    """Unbind a person from their account at Google or Microsoft; the next one that fits is bound.

    Raises NotFound, and Conflict for a method that binds nobody.
    """
    if method not in BY_USERNAME:
        raise Conflict(f"{method.value} knows people by the roster's own ids.", field="method")
    forgotten = await session.execute(
        delete(Identity)
        .where(
            Identity.tenant_id == tenant_id,
            Identity.user_id == user_id,
            Identity.method == method,
        )
        .returning(Identity.id)
    )
    if not forgotten.all():
        raise NotFound("identity", f"{method.value} of {user_id}")
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="identityForget",
        target=str(user_id),
        details={"method": method.value},
    )
