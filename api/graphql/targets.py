"""What a mutation's input names: found only where the caller may see it."""

from uuid import UUID

import strawberry

from api.graphql.node import TENANT_CODE, GlobalId, Node, find_id
from domain.errors import InvalidInput, NotFound
from domain.global_ids import RUN_CODE
from domain.people.callers import Caller

UPLOAD_CODE = "F"
INPUT = strawberry.argument(description="What is wanted.")


def tenant_of(id: str, caller: Caller) -> UUID:
    """Raises a DomainError, before anything is read.

    Another tenant does not exist for a tenant's token, and that is said in the same words.
    """
    found = find_id(id)
    if found is None or found.code != TENANT_CODE:
        raise InvalidInput("tenantId", "This is not the id of a tenant.")
    if not caller.may_see(found.tenant_id):
        raise NotFound("tenant", id)
    return found.tenant_id


def upload_of(id: str, tenant_id: UUID) -> UUID:
    """Raises InvalidInput."""
    found = find_id(id)
    if found is None or (found.code, found.tenant_id) != (UPLOAD_CODE, tenant_id):
        raise InvalidInput("uploadId", "This is not the id of an upload of the tenant.")
    return found.key


def run_of(id: str, caller: Caller) -> GlobalId:
    """The same of a sync run."""
    found = find_id(id)
    if found is None or found.code != RUN_CODE:
        raise InvalidInput("syncRunId", "This is not the id of a sync run.")
    if not caller.may_see(found.tenant_id):
        raise NotFound("sync run", found.key)
    return found


def node_of(
    id: str, node: type[Node], field: str, caller: Caller, *, tenant_id: UUID | None = None
) -> GlobalId:
    """The same of any object, of this tenant where one is named already.

    Another tenant's is answered like one that is not there.
    """
    found = find_id(id)
    if found is None or found.code != node.type_code:
        raise InvalidInput(field, f"This is not the id of a {_word(node)}.")
    if not caller.may_see(found.tenant_id) or tenant_id not in {None, found.tenant_id}:
        raise NotFound(_word(node), found.key)
    return found


def key_of(id: str, node: type[Node], field: str, tenant_id: UUID) -> UUID:
    """What a condition or a list names, of a tenant that is known. Raises InvalidInput."""
    found = find_id(id)
    if found is None or (found.code, found.tenant_id) != (node.type_code, tenant_id):
        raise InvalidInput(field, f"There is no {_word(node)} {id[:60]!r} of this tenant.")
    return found.key


_WORDS = {"User": "person", "ProgressCarry": "carry", "PeopleMerge": "merge"}


def _word(node: type[Node]) -> str:
    return _WORDS.get(node.__name__, node.__name__.lower())
