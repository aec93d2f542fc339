"""Who is asking: an operator's token, a tenant's token, or Homerow itself."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from domain.errors import Forbidden


class Scope(StrEnum):
    ROSTER_READ = "roster:read"
    SYNC_RUN = "sync:run"
    TENANT_ADMIN = "tenant:admin"
    PROGRESS_WRITE = "progress:write"
    TRAINING_READ = "training:read"
    TRAINING_WRITE = "training:write"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """`tenant_id` None: on the product's own side, for all tenants. `actor` goes into logs."""

    actor: str
    name: str
    tenant_id: UUID | None = None
    scopes: frozenset[Scope] = field(default=ALL_SCOPES)

    @property
    def is_operator(self) -> bool:
        return self.tenant_id is None

    def may_see(self, tenant_id: UUID) -> bool:
        return self.tenant_id is None or self.tenant_id == tenant_id

    def demand(self, scope: Scope) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden(f"This token has not the scope {scope.value!r}.")


SYSTEM = Caller(actor="system", name="Homerow")
COMMAND_LINE = Caller(actor="command line", name="Command line")
