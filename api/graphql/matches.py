"""Matches: records that may be stored ones again under another id, and deciding them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, select
from strawberry import Private

from api.graphql.connection import Listing
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.errors import UserError, user_errors
from api.graphql.node import ById, GlobalId, Node, find_id
from api.graphql.pages import Sorting
from api.graphql.permissions import Permitted
from api.graphql.roster import LIST_CAP, User
from api.graphql.targets import INPUT
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.roster import models
from domain.roster.records import RecordType
from domain.sync.matches import Decision, MatchDecision, MatchResolution, resolve_match
from domain.validation.codes import Code


@strawberry.type(
    description="A record of the provider that waits: it may be a stored one under another id."
)
class MatchCandidate(Node):
    type_code: ClassVar[str] = "X"
    row: ClassVar[type[Any]] = models.MatchCandidate
    guard: ClassVar[str | None] = "Tenant.matchCandidates"

    record_type: RecordType = strawberry.field(description="The kind of record.")
    source_id: str = strawberry.field(description="The provider's id of the record that waits.")
    reason: Code = strawberry.field(description="Why it waits.")
    resolution: MatchResolution | None = strawberry.field(
        description="What was decided; null while it is open."
    )
    resolved_at: datetime | None = strawberry.field(description="When it was decided.")
    created_at: datetime = strawberry.field(description="When a run found it first.")
    candidate_ids: Private[list[str]]

    @strawberry.field(
        description="The stored people who may be meant, live or archived, at most "
        f"{LIST_CAP}; after LINK the one who was chosen.",
        permission_classes=[Permitted],
    )
    async def candidates(self, info: Info) -> list[User]:
        keys = [(self.tenant_id, UUID(key)) for key in self.candidate_ids[:LIST_CAP]]
        found = await info.context.loaders.of(ById(User)).load_many(keys)
        return [user for user in found if isinstance(user, User)]


@strawberry.input(description="Which matches are wanted.")
class MatchCandidateFilter:
    is_open: bool | None = strawberry.field(
        default=None, description="Those that wait (true), those that are closed (false) or both."
    )

    def conditions(self) -> list[ColumnElement[bool]]:
        resolved_at = models.MatchCandidate.resolved_at
        if self.is_open is None:
            return []
        return [resolved_at.is_(None) if self.is_open else resolved_at.is_not(None)]


def match_candidates(tenant_id: UUID, filter: MatchCandidateFilter | None) -> Listing:
    chosen, row = filter or MatchCandidateFilter(), models.MatchCandidate
    return Listing(
        scope_of("matchCandidates", tenant_id, chosen),
        tenant_id,
        select(*MatchCandidate.columns()).where(row.tenant_id == tenant_id, *chosen.conditions()),
        Sorting.by([], row.id),
    )


@strawberry.input(description="What is decided about a match.")
class MatchCandidateResolveInput:
    match_candidate_id: strawberry.ID = strawberry.field(description="The match's id.")
    resolution: MatchDecision = strawberry.field(description="What is decided.")
    user_id: strawberry.ID | None = strawberry.field(
        default=None, description="For LINK: which of the candidates it is."
    )


@strawberry.type(description="The match as it is now.")
class MatchCandidateResolvePayload:
    match_candidate: MatchCandidate | None = strawberry.field(
        default=None, description="The match; null where the decision was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


def _match_of(id: str, caller: Caller) -> GlobalId:
    """Another tenant's match is answered like one that is not there."""
    found = find_id(id)
    if found is None or found.code != MatchCandidate.type_code:
        raise InvalidInput("matchCandidateId", "This is not the id of a match.")
    if not caller.may_see(found.tenant_id):
        raise NotFound("match candidate", found.key)
    return found


def _user_of(id: str | None, tenant_id: UUID) -> UUID | None:
    if id is None:
        return None
    found = find_id(id)
    if found is None or found.code != User.type_code or found.tenant_id != tenant_id:
        raise InvalidInput("userId", "Choose one of the candidates of this match.")
    return found.key


@strawberry.type
class MatchMutation:
    @strawberry.mutation(
        description="Decides a match; the next sync does what was decided. IGNORE can be replaced "
        "by another decision, the others are final.",
        permission_classes=[Permitted],
    )
    async def match_candidate_resolve(
        self, info: Info, input: Annotated[MatchCandidateResolveInput, INPUT]
    ) -> MatchCandidateResolvePayload:
        context = info.context
        context.loaders.forget()
        try:
            found = _match_of(input.match_candidate_id, context.caller)
            user_id = _user_of(input.user_id, found.tenant_id)
            async with context.database.transaction(found.tenant_id) as session:
                match = await resolve_match(
                    session,
                    tenant_id=found.tenant_id,
                    match_id=found.key,
                    decision=Decision(input.resolution, user_id),
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return MatchCandidateResolvePayload(user_errors=user_errors(error))
        return MatchCandidateResolvePayload(match_candidate=MatchCandidate.of(match))
