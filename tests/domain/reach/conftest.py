"""A database that knows who asks, as their session says it."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.database import Database
from domain.people.sessions import find_session
from domain.resources import Resources
from tests.domain.reach.districts import token_of

AsPerson = Callable[[UUID], Awaitable[Database]]


@pytest.fixture
def as_person(resources: Resources) -> AsPerson:
    async def open_for(user_id: UUID) -> Database:
        async with resources.database.read() as session:
            found = await find_session(session, token_of(user_id), now=utc_now())
        assert found
        assert found.caller.reach
        return resources.database.within(found.caller.reach)

    return open_for
