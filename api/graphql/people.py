"""Two people who are one, and one who is two: merging, its undo, and undoing a wrong link."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import select
from strawberry import Private
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from api.graphql.connection import Listing
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.described import describe
from api.graphql.errands import Errand, Outcome, run_errand
from api.graphql.errors import UserError, user_errors
from api.graphql.node import Node, load
from api.graphql.pages import OrderDirection, Sorting
from api.graphql.permissions import Permitted
from api.graphql.roster import LIST_CAP, Group, User
from api.graphql.targets import INPUT, node_of
from domain.errands.models import ErrandKind
from domain.errors import DomainError, InvalidInput
from domain.identity import models
from domain.identity.merging import (
    JoinedProgress,
    MembershipOutcome,
    Preview,
    ProgressOutcome,
    preview_merge,
)
from domain.identity.unlinking import UnlinkNote
from domain.roster.records import MembershipRole

describe(
    MembershipOutcome,
    "What becomes of a membership of the person who is merged.",
    name="MergedMembershipOutcome",
    MOVED="It becomes the kept person's.",
    JOINED="The kept person's own, in the same group and role, goes on in its place.",
    STAYS="The kept person has it already: it stays, archived, with the one who is merged.",
)
describe(
    ProgressOutcome,
    "What becomes of what the person who is merged has earned in a group.",
    name="MergedProgressOutcome",
    MOVED="It becomes the kept person's.",
    JOINED="Both have some: lessons and seconds are added up, of the rest the best is taken.",
)
describe(
    UnlinkNote,
    "What an unlink could not give back.",
    name="IdentityUnlinkNote",
    USERNAME_TAKEN="Somebody else has the person's username: the person is archived.",
    VALUES_NOT_KEPT="What the link had changed is too long ago: names and the like stay.",
)
_WAITS = "The errand to follow, where it could not be done at once: a sync is under way, say."


@strawberry.type(description="Two people who were made one.")
class PeopleMerge(Node):
    type_code: ClassVar[str] = "Y"
    row: ClassVar[type[Any]] = models.PeopleMerge
    guard: ClassVar[str | None] = "Tenant.peopleMerges"

    created_at: datetime = strawberry.field(description="When.")
    undone_at: datetime | None = strawberry.field(
        description="When it was undone; null while it holds."
    )
    kept_id: Private[UUID]
    merged_id: Private[UUID]

    @strawberry.field(description="The person who has everything.", permission_classes=[Permitted])
    async def kept(self, info: Info) -> User | None:
        return await load(info, User, self.tenant_id, self.kept_id)

    @strawberry.field(
        description="The person who was archived for it.", permission_classes=[Permitted]
    )
    async def merged(self, info: Info) -> User | None:
        return await load(info, User, self.tenant_id, self.merged_id)


def people_merges(tenant_id: UUID) -> Listing:
    row = models.PeopleMerge
    return Listing(
        scope_of("peopleMerges", tenant_id),
        tenant_id,
        select(*PeopleMerge.columns()).where(row.tenant_id == tenant_id),
        Sorting.by([], row.id, OrderDirection.DESC),
    )


@strawberry.type(description="A membership of the person who would be merged.")
class PeopleMergeMembership:
    role: MembershipRole = strawberry.field(description="What the person is in the group.")
    outcome: MembershipOutcome = strawberry.field(description="What would become of it.")
    tenant_id: Private[UUID]
    group_id: Private[UUID]

    @strawberry.field(description="The group.")
    async def group(self, info: Info) -> Group | None:
        return await load(info, Group, self.tenant_id, self.group_id)


@strawberry.type(description="What the kept person would have earned in a group in a year.")
class PeopleMergeProgress:
    school_year: int = strawberry.field(description="The year in which the school year began.")
    outcome: ProgressOutcome = strawberry.field(description="How that comes.")
    lessons: int = strawberry.field(description="Lessons that were done.")
    seconds: int = strawberry.field(description="Time that was spent.")
    best_speed: float | None = strawberry.field(description="The best speed, in words per minute.")
    last_active_at: datetime | None = strawberry.field(description="When it was trained last.")
    tenant_id: Private[UUID]
    group_id: Private[UUID]

    @classmethod
    def of(cls, tenant_id: UUID, joined: JoinedProgress) -> "PeopleMergeProgress":
        speed = joined.best_speed
        best = {"best_speed": None if speed is None else float(speed)}
        return cls(tenant_id=tenant_id, **joined._asdict() | best)

    @strawberry.field(description="The group.")
    async def group(self, info: Info) -> Group | None:
        return await load(info, Group, self.tenant_id, self.group_id)


@strawberry.type(description="A setting that the kept person would be given.")
class PeopleMergeSetting:
    name: str = strawberry.field(description="The setting, as the API names it.")
    value: JSON = strawberry.field(description="Its value.")


@strawberry.type(description="What a merge would do; nothing has been done.")
class PeopleMergePreview:
    takes_over: bool = strawberry.field(
        description="Whether the kept person would become who the other one is at the provider: "
        "with the names, the username and the schools that the provider gives."
    )
    source_id: str | None = strawberry.field(
        description="The provider's id that the kept person would have."
    )
    former_source_id: str | None = strawberry.field(
        description="The provider's id that nobody would have any more; the kept person is "
        "still found by it."
    )
    memberships: list[PeopleMergeMembership] = strawberry.field(
        description=f"Memberships of the person who would be merged, at most {LIST_CAP}."
    )
    membership_count: int = strawberry.field(description="How many they are.")
    progress: list[PeopleMergeProgress] = strawberry.field(
        description=f"What has been earned, by group and school year, at most {LIST_CAP}."
    )
    progress_count: int = strawberry.field(description="In how many groups and school years.")
    settings: list[PeopleMergeSetting] = strawberry.field(
        description="Settings that the kept person has not and the other one has."
    )

    @classmethod
    def of(cls, tenant_id: UUID, found: Preview) -> "PeopleMergePreview":
        merge = found.merge
        return cls(
            takes_over=merge.takes_over,
            source_id=merge.source_id,
            former_source_id=merge.former_id,
            memberships=[
                PeopleMergeMembership(
                    role=MembershipRole(part.membership["role"]),
                    outcome=part.outcome,
                    tenant_id=tenant_id,
                    group_id=UUID(part.membership["group_id"]),
                )
                for part in merge.parts[:LIST_CAP]
            ],
            membership_count=len(merge.parts),
            progress=[
                PeopleMergeProgress.of(tenant_id, joined) for joined in found.progress[:LIST_CAP]
            ],
            progress_count=len(found.progress),
            settings=[
                PeopleMergeSetting(name=to_camel_case(name), value=value)
                for name, value in found.settings.items()
            ],
        )


@strawberry.input(description="Which two people are one.")
class PeopleMergeInput:
    kept_id: strawberry.ID = strawberry.field(description="The person who will have everything.")
    merged_id: strawberry.ID = strawberry.field(
        description="The person who was created wrongly; archived for good by the merge."
    )
    preview: bool = strawberry.field(
        default=False, description="Whether only to say what would happen."
    )


@strawberry.type(description="What was done, or would be.")
class PeopleMergePayload:
    merge: PeopleMerge | None = strawberry.field(
        default=None, description="The merge; null for a preview and where it was refused."
    )
    preview: PeopleMergePreview | None = strawberry.field(
        default=None,
        description="What would happen, where that was asked.",
        permission_classes=[Permitted],
    )
    errand: Errand | None = strawberry.field(default=None, description=_WAITS)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Which merge is to be undone.")
class PeopleMergeUndoInput:
    merge_id: strawberry.ID = strawberry.field(description="The merge's id.")


@strawberry.type(description="The merge as it is now.")
class PeopleMergeUndoPayload:
    merge: PeopleMerge | None = strawberry.field(
        default=None, description="The merge; null where the undo was refused."
    )
    errand: Errand | None = strawberry.field(default=None, description=_WAITS)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Who was linked wrongly.")
class IdentityUnlinkInput:
    user_id: strawberry.ID = strawberry.field(
        description="The stored person whom a sync has taken for somebody of the provider's."
    )


@strawberry.type(description="Both people as they are now.")
class IdentityUnlinkPayload:
    user: User | None = strawberry.field(
        default=None,
        description="The stored person, who they were before; null where refused.",
        permission_classes=[Permitted],
    )
    new_user: User | None = strawberry.field(
        default=None,
        description="The new person, who is the provider's; null where refused.",
        permission_classes=[Permitted],
    )
    notes: list[UnlinkNote] = strawberry.field(
        default_factory=list, description="What could not be given back."
    )
    errand: Errand | None = strawberry.field(default=None, description=_WAITS)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


async def _run(info: Info, tenant_id: UUID, kind: ErrandKind, asked: Mapping[str, UUID]) -> Outcome:
    named = {name: str(key) for name, key in asked.items()}
    outcome = await run_errand(info.context, tenant_id=tenant_id, kind=kind, asked=named)
    info.context.loaders.forget()
    return outcome


@strawberry.type
class PeopleMutation:
    @strawberry.mutation(
        description="Makes one of two people who are one. What the kept person has stays, and "
        "what the other one has is added: memberships, progress, settings that are left open.",
        permission_classes=[Permitted],
    )
    async def people_merge(
        self, info: Info, input: Annotated[PeopleMergeInput, INPUT]
    ) -> PeopleMergePayload:
        context = info.context
        try:
            kept = node_of(input.kept_id, User, "keptId", context.caller)
            merged = node_of(input.merged_id, User, "mergedId", context.caller)
            tenant_id = kept.tenant_id
            if merged.tenant_id != tenant_id:
                raise InvalidInput("mergedId", "Both have to be of one tenant.")
            async with context.database.read(tenant_id) as session:
                found = await preview_merge(
                    session, tenant_id=tenant_id, kept_id=kept.key, merged_id=merged.key
                )
            if input.preview:
                return PeopleMergePayload(preview=PeopleMergePreview.of(tenant_id, found))
            asked = {"kept_id": kept.key, "merged_id": merged.key}
            outcome = await _run(info, tenant_id, ErrandKind.PEOPLE_MERGE, asked)
        except DomainError as error:
            return PeopleMergePayload(user_errors=user_errors(error))
        if outcome.result is None:
            return PeopleMergePayload(errand=outcome.errand)
        merge_id = UUID(outcome.result["merge_id"])
        return PeopleMergePayload(merge=await load(info, PeopleMerge, tenant_id, merge_id))

    @strawberry.mutation(
        description="Undoes a merge: both are as they were, except that what was earned since "
        "stays with the kept person.",
        permission_classes=[Permitted],
    )
    async def people_merge_undo(
        self, info: Info, input: Annotated[PeopleMergeUndoInput, INPUT]
    ) -> PeopleMergeUndoPayload:
        try:
            found = node_of(input.merge_id, PeopleMerge, "mergeId", info.context.caller)
            asked = {"merge_id": found.key}
            outcome = await _run(info, found.tenant_id, ErrandKind.PEOPLE_MERGE_UNDO, asked)
        except DomainError as error:
            return PeopleMergeUndoPayload(user_errors=user_errors(error))
        if outcome.result is None:
            return PeopleMergeUndoPayload(errand=outcome.errand)
        merge = await load(info, PeopleMerge, found.tenant_id, found.key)
        return PeopleMergeUndoPayload(merge=merge)

    @strawberry.mutation(
        description="Undoes a wrong link: the stored person is again who they were, and a new "
        "person stands for the provider's. Each keeps what is theirs, and no sync links them "
        "again.",
        permission_classes=[Permitted],
    )
    async def identity_unlink(
        self, info: Info, input: Annotated[IdentityUnlinkInput, INPUT]
    ) -> IdentityUnlinkPayload:
        try:
            found = node_of(input.user_id, User, "userId", info.context.caller)
            tenant_id = found.tenant_id
            asked = {"user_id": found.key}
            outcome = await _run(info, tenant_id, ErrandKind.IDENTITY_UNLINK, asked)
        except DomainError as error:
            return IdentityUnlinkPayload(user_errors=user_errors(error))
        result = outcome.result
        if result is None:
            return IdentityUnlinkPayload(errand=outcome.errand)
        return IdentityUnlinkPayload(
            user=await load(info, User, tenant_id, found.key),
            new_user=await load(info, User, tenant_id, UUID(result["new_id"])),
            notes=[UnlinkNote(note) for note in result["notes"]],
        )
