"""The training application, as tests are it: a tenant that is synced, and a token to read it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import text

from api.graphql.node import encode_id
from tests.api.graphql.client import Client
from tests.domain.sync.stories import Story

PATH = "/training/alpha/users"


@dataclass
class Trainer:
    """The training application of the tenant alpha, which is synced; `ids` are global ids."""

    story: Story
    http: httpx2.AsyncClient
    operator: Client
    ids: dict[str, str]
    keys: dict[str, UUID]

    async def get(self, path: str = "", **parameters: Any) -> Any:
        response = await self.http.get(PATH + path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def tag(self, path: str = "", **parameters: Any) -> str:
        response = await self.http.get(PATH + path, params=parameters)
        assert response.status_code == 200, response.text
        return str(response.headers["etag"])

    async def named(self, **parameters: Any) -> list[str]:
        return [user["sourceId"] for user in (await self.get(**parameters))["users"]]

    async def write(self, statement: str, **values: Any) -> None:
        """As the API does, whose changes are counted."""
        async with self.story.api.transaction(self.story.tenant_id) as session:
            await session.execute(text(statement), {"tenant_id": self.story.tenant_id, **values})

    async def learn_ids(self) -> None:
        tenant_id = self.story.tenant_id
        for table, code in (("users", "U"), ("groups", "G"), ("schools", "S")):
            found = await self.story.ids(table)
            self.keys |= found
            self.ids |= {name: encode_id(code, tenant_id, key) for name, key in found.items()}


async def set_at(trainer: Trainer, level: str, values: str) -> None:
    """Settings of the tenant (no level), a school, a group or a user by the provider's id."""
    column = {"s": "school_id", "g": "group_id"}.get(level[:1], "user_id") if level else None
    names = "speed_target, accuracy_target, keyboard_layout, has_avatars, age_group"
    key = trainer.keys.get(level)
    await trainer.write(
        f"INSERT INTO training_settings (tenant_id, {column or 'school_id'}, {names})"  # noqa: S608
        f" VALUES (:tenant_id, :key, {values})",
        key=key,
    )
