"""A tenant that a training application reads."""

from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest

from api.app import create_app
from api.signing_in.site import SignInSettings
from domain.people.callers import Scope
from domain.resources import Resources
from domain.secrets import KeyRing
from tests.api.graphql.client import connected
from tests.api.graphql.seed import add_token
from tests.api.training.trainer import Trainer
from tests.builders import small_district
from tests.domain.sync.stories import new_story


@pytest.fixture
async def trainer(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> AsyncGenerator[Trainer]:
    story = new_story(
        resources.database, worker_resources.database, superuser, folder=tmp_path / "a", keys=keys
    )
    story.district = small_district()
    await story.begin("alpha")
    await story.night()
    await add_token(superuser, "of-app", story.tenant_id, scopes=[Scope.TRAINING_READ])
    await add_token(superuser, "of-operator")
    app = create_app(resources, SignInSettings())
    async with connected(app, "of-app") as client, connected(app, "of-operator") as operator:
        trainer = Trainer(story, client.http, operator, {}, {})
        await trainer.learn_ids()
        yield trainer
