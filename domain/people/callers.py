"""Who is asking: a person, a token, or Homerow itself; what they are, and how far they see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.errors import Forbidden
from domain.reach import Reach


class Scope(StrEnum):
    ROSTER_READ = "roster:read"
    SYNC_RUN = "sync:run"
    TENANT_ADMIN = "tenant:admin"
    PROGRESS_WRITE = "progress:write"
    TRAINING_READ = "training:read"
    TRAINING_WRITE = "training:write"


ALL_SCOPES = frozenset(Scope)


class CallerRole(StrEnum):
    """What a caller is to a tenant. MACHINE is a tenant's API token; the last six are people."""

    OPERATOR = "OPERATOR"
    SUPPORT = "SUPPORT"
    MACHINE = "MACHINE"
    SUPER_ADMIN = "SUPER_ADMIN"
    DISTRICT_ADMIN = "DISTRICT_ADMIN"
    SCHOOL_ADMIN = "SCHOOL_ADMIN"
    TEACHER = "TEACHER"
    STAFF = "STAFF"
    STUDENT = "STUDENT"


PRODUCT_SIDE: Final = frozenset({CallerRole.OPERATOR, CallerRole.SUPPORT})
TENANT_ADMINS: Final = frozenset({CallerRole.SUPER_ADMIN, CallerRole.DISTRICT_ADMIN})
TOKENS: Final = PRODUCT_SIDE | {CallerRole.MACHINE}
PEOPLE: Final = frozenset(CallerRole) - TOKENS

_READS: Final = frozenset({Scope.ROSTER_READ})
SCOPES: Final[Mapping[CallerRole, frozenset[Scope]]] = {
    CallerRole.OPERATOR: ALL_SCOPES,
    CallerRole.SUPPORT: frozenset({Scope.ROSTER_READ, Scope.SYNC_RUN}),
    CallerRole.MACHINE: ALL_SCOPES,
    CallerRole.SUPER_ADMIN: frozenset({Scope.ROSTER_READ, Scope.SYNC_RUN, Scope.TENANT_ADMIN}),
    CallerRole.DISTRICT_ADMIN: frozenset({Scope.ROSTER_READ, Scope.SYNC_RUN, Scope.TENANT_ADMIN}),
    CallerRole.SCHOOL_ADMIN: _READS,
    CallerRole.TEACHER: _READS,
    CallerRole.STAFF: _READS,
    CallerRole.STUDENT: _READS,
}
"""What each role can have at most; a token has some of it, a person all."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`tenant_id` None: on the product's own side, for all tenants. `actor` goes into logs.

    `reach` None: all of the tenant. A person is a `user_id` of the roster, or an `account_id`
    alone: a super admin.
    """

    actor: str
    name: str
    tenant_id: UUID | None = None
    scopes: frozenset[Scope] = field(default=ALL_SCOPES)
    roles: frozenset[CallerRole] = frozenset()
    reach: Reach | None = None
    user_id: UUID | None = None
    account_id: UUID | None = None
    session_id: UUID | None = None
    token_id: UUID | None = None

    def __post_init__(self) -> None:
        """Whoever is not said to be anything else is a token."""
        if not self.roles:
            role = CallerRole.OPERATOR if self.tenant_id is None else CallerRole.MACHINE
            object.__setattr__(self, "roles", frozenset({role}))

    @property
    def is_product_side(self) -> bool:
        """For all tenants: an operator, or support."""
        return self.tenant_id is None

    @property
    def is_operator(self) -> bool:
        return CallerRole.OPERATOR in self.roles

    @property
    def is_person(self) -> bool:
        return not self.roles.isdisjoint(PEOPLE)

    def may_see(self, tenant_id: UUID) -> bool:
        return self.tenant_id is None or self.tenant_id == tenant_id

    def demand(self, scope: Scope) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden(f"This token has not the scope {scope.value!r}.")


@dataclass(frozen=True, slots=True)
class Found:
    """Whose a credential is. `is_due`: it is time to note that it was used."""

    caller: Caller
    is_due: bool


SYSTEM = Caller(actor="system", name="Homerow")
COMMAND_LINE = Caller(actor="command line", name="Command line")
