"""The viewer: who is asking."""

import strawberry
from strawberry import Private

from api.graphql.context import Info
from api.graphql.node import load
from api.graphql.permissions import Permitted
from api.graphql.roster import User
from api.graphql.run_parts import Actor
from api.graphql.sessions import OWN_SESSIONS, Session, own_session, own_sessions
from api.graphql.tenants import Tenant
from domain.people.callers import Caller, CallerRole, Scope


@strawberry.type(description="Who is asking: a person, or a machine with a token.")
class Viewer:
    name: str = strawberry.field(description="The person's name, or that of the token.")
    roles: list[CallerRole] = strawberry.field(description="What they are to the tenant.")
    is_operator: bool = strawberry.field(
        description="Whether it is on the product's own side, for all tenants."
    )
    scopes: list[Scope] = strawberry.field(
        description="What it may be used for; of a person, what their roles may."
    )
    actor: Actor = strawberry.field(description="Who they are in the audit log.")
    caller: Private[Caller]

    @strawberry.field(
        description="The tenant that they belong to; null on the product's own side.",
        permission_classes=[Permitted],
    )
    async def tenant(self, info: Info) -> Tenant | None:
        tenant_id = self.caller.tenant_id
        return None if tenant_id is None else await load(info, Tenant, tenant_id, tenant_id)

    @strawberry.field(
        description="The person of the roster; null for a super admin and for a token.",
        permission_classes=[Permitted],
    )
    async def user(self, info: Info) -> User | None:
        tenant_id, user_id = self.caller.tenant_id, self.caller.user_id
        if tenant_id is None or user_id is None:
            return None
        return await load(info, User, tenant_id, user_id)

    @strawberry.field(description="The session that asks; null for a token.")
    async def session(self, info: Info) -> Session | None:
        return await own_session(info)

    @strawberry.field(description=f"{OWN_SESSIONS} Empty for a token.")
    async def sessions(self, info: Info) -> list[Session]:
        return await own_sessions(info)


@strawberry.type
class ViewerQuery:
    @strawberry.field(description="Who is asking.", permission_classes=[Permitted])
    def viewer(self, info: Info) -> Viewer:
        caller = info.context.caller
        return Viewer(
            name=caller.name,
            roles=sorted(caller.roles),
            is_operator=caller.is_operator,
            scopes=sorted(caller.scopes),
            actor=Actor.of(caller.actor),
            caller=caller,
        )
