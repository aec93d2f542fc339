"""The application over the real database, and callers with tokens.

These tests read much and write little: they share a database that is emptied after each.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from starlette.applications import Starlette

from api.app import create_app
from api.signing_in.site import SignInSettings
from domain.resources import Resources
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_tenant, add_token
from tests.emptied import database_name, emptied, resources, shared_database, standing, superuser

__all__ = ["database_name", "emptied", "resources", "shared_database", "standing", "superuser"]


@pytest.fixture
def app(resources: Resources) -> Starlette:
    return create_app(resources, SignInSettings())


@pytest.fixture
async def world(app: Starlette, superuser: asyncpg.Connection) -> AsyncGenerator[World]:
    alpha_id = await add_tenant(superuser, "alpha")
    beta_id = await add_tenant(superuser, "beta")
    await add_token(superuser, "of-operator")
    await add_token(superuser, "of-alpha", alpha_id)
    await add_token(superuser, "of-beta", beta_id)
    async with AsyncExitStack() as stack:
        operator, alpha, beta = [
            await stack.enter_async_context(connected(app, secret))
            for secret in ("of-operator", "of-alpha", "of-beta")
        ]
        yield World(operator, alpha, beta, alpha_id, beta_id)
