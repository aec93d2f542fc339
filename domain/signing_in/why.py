"""Why can't Mia sign in? Everything that decides it, one by one (L8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.people.callers import CallerRole
from domain.people.models import SignInAttempt, SignInMethodName
from domain.roster.models import Origin, User
from domain.signing_in.deciding import ADMINISTRATORS, Facts, must_use_clever
from domain.signing_in.methods import BY_SOURCE_ID, BY_USERNAME, Method, methods_of
from domain.signing_in.signing_in import read_facts

MOST_ATTEMPTS: Final = 10


class Check(StrEnum):
    TENANT = "TENANT"
    ROSTER = "ROSTER"
    ACCOUNT = "ACCOUNT"
    ROLE = "ROLE"
    LICENCE = "LICENCE"
    ELIGIBILITY = "ELIGIBILITY"
    GO_LIVE = "GO_LIVE"
    METHOD = "METHOD"


@dataclass(frozen=True, slots=True)
class Finding:
    """`message` says what is so, and, if it is not ok, who can mend it and how."""

    check: Check
    is_ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class SignInHelp:
    """`attempts` are the latest, the newest first."""

    findings: list[Finding]
    attempts: Sequence[SignInAttempt]

    @property
    def can_sign_in(self) -> bool:
        return all(finding.is_ok for finding in self.findings)


async def why_cannot_sign_in(
    session: AsyncSession, *, tenant_id: UUID, user_id: UUID, now: datetime
) -> SignInHelp:
    """Raises NotFound."""
    user = await session.get(User, (tenant_id, user_id))
    if user is None:
        raise NotFound("user", str(user_id))
    facts = await read_facts(session, tenant_id=tenant_id, user_id=user_id)
    methods = await methods_of(session, tenant_id)
    ways = (await session.execute(_WAYS, {"tenant_id": tenant_id, "user_id": user_id})).one()
    attempts = await session.scalars(
        select(SignInAttempt)
        .where(SignInAttempt.tenant_id == tenant_id, SignInAttempt.user_id == user_id)
        .order_by(SignInAttempt.created_at.desc(), SignInAttempt.id.desc())
        .limit(MOST_ATTEMPTS)
    )
    findings = [
        *_of_person(user, facts),
        *_of_licence(facts, ways),
        *_of_tenant(facts, now),
        _of_methods(user, facts, methods, ways),
    ]
    return SignInHelp(findings, attempts.all())


_WAYS = text(
    # Whoever waits for a licence waits in a hold, and is in the roster only afterwards.
    "SELECT EXISTS (SELECT FROM accounts a WHERE a.tenant_id = :tenant_id"
    " AND a.user_id = :user_id AND a.password_changed_at IS NOT NULL AND a.disabled_at IS NULL)"
    " AS has_password,"
    " ARRAY(SELECT i.method FROM identities i WHERE i.tenant_id = :tenant_id"
    " AND i.user_id = :user_id) AS bound,"
    " (SELECT s.licence_limit FROM subscriptions s WHERE s.tenant_id = :tenant_id)"
    " AS licence_limit,"
    " EXISTS (SELECT FROM sync_changes c JOIN holds h ON h.tenant_id = c.tenant_id"
    " AND h.run_id = c.run_id AND h.ended_at IS NULL WHERE c.tenant_id = :tenant_id"
    " AND c.record_id = :user_id AND c.held_by = 'LICENCE_LIMIT') AS waits_for_licence"
)


def _of_person(user: User, facts: Facts) -> Iterator[Finding]:
    yield _of_roster(user, facts)
    yield (
        Finding(Check.ACCOUNT, is_ok=True, message="The account is enabled.")
        if facts.is_enabled
        else Finding(
            Check.ACCOUNT,
            is_ok=False,
            message="The roster says that the account is not enabled: the district changes that"
            " at its provider.",
        )
    )
    yield (
        Finding(Check.ROLE, is_ok=True, message=f"Signs in as {_listed(user.roles)}.")
        if facts.roles
        else Finding(
            Check.ROLE,
            is_ok=False,
            message="No role that may sign in: the role map says what the provider's roles mean"
            " here (roleMapSet).",
        )
    )


def _of_roster(user: User, facts: Facts) -> Finding:
    if not facts.is_archived:
        return Finding(Check.ROSTER, is_ok=True, message="In the roster, and in scope.")
    if user.merged_into_id is not None:
        message = (
            "Merged into another person, as whom they sign in. If they are two people, undo the"
            " merge (peopleMergeUndo)."
        )
    elif user.origin is Origin.PROVIDER:
        message = (
            "Archived: the provider does not share this person any more, or a sharing rule leaves"
            " them out. Share them again at the provider, or change the rule, and sync."
        )
    else:
        message = (
            "Archived, and none of the provider's: an administrator restores them (userRestore),"
            " or imports them again."
        )
    return Finding(Check.ROSTER, is_ok=False, message=message)


def _listed(roles: Sequence[str]) -> str:
    return " and ".join(role.lower().replace("_", " ") for role in roles)


def _of_licence(facts: Facts, ways: Any) -> Iterator[Finding]:
    if CallerRole.STUDENT not in facts.roles:
        return
    if ways.waits_for_licence:
        yield Finding(
            Check.LICENCE,
            is_ok=False,
            message="Waits for a licence: there are fewer than students. An operator raises the"
            " number (licencesSet), or the hold is approved for those that fit.",
        )
    else:
        yield Finding(Check.LICENCE, is_ok=True, message="Has a licence, or needs none.")
    yield (
        Finding(Check.ELIGIBILITY, is_ok=True, message="Takes part.")
        if facts.is_eligible
        else Finding(
            Check.ELIGIBILITY,
            is_ok=False,
            message="Not eligible: by the provider's data, or because it was said here. Change"
            " it at the provider, or with eligibilitySet.",
        )
    )


def _of_tenant(facts: Facts, now: datetime) -> Iterator[Finding]:
    if facts.is_closed:
        yield Finding(Check.TENANT, is_ok=False, message="The tenant is closed.")
    is_in_time = facts.is_live(now) or not facts.roles.isdisjoint(ADMINISTRATORS)
    live_on = facts.live_on.isoformat() if facts.live_on else ""
    yield (
        Finding(Check.GO_LIVE, is_ok=True, message="The tenant is open for this person.")
        if is_in_time
        else Finding(
            Check.GO_LIVE,
            is_ok=False,
            message=f"The tenant goes live on {live_on}; until then only administrators get in."
            " The day is in the subscription.",
        )
    )


def _of_methods(user: User, facts: Facts, methods: Sequence[Method], ways: Any) -> Finding:
    usable = [method.name for method in methods if not _obstacle(user, facts, method, ways)]
    if usable:
        return Finding(Check.METHOD, is_ok=True, message=_ways_in(usable, ways.bound))
    obstacles = "; ".join(
        f"{method.name.value}: {_obstacle(user, facts, method, ways)}" for method in methods
    )
    return Finding(
        Check.METHOD,
        is_ok=False,
        message=f"No way of signing in fits this person. {obstacles}.",
    )


def _ways_in(usable: Sequence[SignInMethodName], bound: Sequence[str]) -> str:
    message = f"Can sign in by {', '.join(name.value for name in usable)}."
    if own := [name.value for name in usable if name in bound]:
        message += (
            f" Bound to an account of {' and of '.join(own)}, which alone lets them in there"
            " (identityForget, if it was replaced)."
        )
    return message


def _obstacle(user: User, facts: Facts, method: Method, ways: Any) -> str | None:
    """Why somebody cannot sign in this way; None: they can."""
    if not method.is_enabled:
        return "is off (signInMethodsSet)"
    if must_use_clever(facts) and method.name is not SignInMethodName.CLEVER:
        return "administrators rostered from Clever must use Clever"
    if method.name in BY_SOURCE_ID and (user.source_id is None or not method.keys):
        return "the person has no id of that provider here"
    if method.name in BY_USERNAME and not user.username:
        return "the person has no username to be compared"
    if method.name is SignInMethodName.PASSWORD and not ways.has_password:
        return "the person has no password (invitationSend, for who was imported)"
    return None
