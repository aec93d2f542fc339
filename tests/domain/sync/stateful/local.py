"""What people do here between nights: settings, progress and names, and the tenant's terms."""

from dataclasses import dataclass, field
from uuid import UUID

from tests.domain.sync.stateful.ledger import GROUP, SCHOOL, USER, Key
from tests.domain.sync.stateful.observed import observe_local
from tests.domain.sync.stateful.waiting import Limits, Terms
from tests.domain.sync.stories import Story


@dataclass
class LocalEdits:
    """`local` is all that no sync may ever change, as it was written last."""

    story: Story
    terms: Terms = field(default_factory=lambda: Terms(Limits(2, 10, 75)))
    ids: dict[Key, UUID] = field(default_factory=dict)
    local: dict[str, list[str]] = field(default_factory=dict)

    @property
    def tenant_id(self) -> UUID:
        return self.story.tenant_id

    async def expect_local(self) -> None:
        found = await observe_local(self.story.see, self.tenant_id)
        self.local = self.local or found
        assert found == self.local

    async def _write(self, sql: str, *values: object) -> None:
        await self.story.see.execute(sql, self.tenant_id, *values)
        self.local = await observe_local(self.story.see, self.tenant_id)

    def _ids_of(self, *types: object) -> list[tuple[Key, UUID]]:
        return sorted((key, found) for key, found in self.ids.items() if key.type in types)

    async def write_settings(self, place: int, *, speed: int) -> None:
        """Of a school, a group or a person, live or archived."""
        owners = self._ids_of(SCHOOL, GROUP, USER)
        key, owner = owners[place % len(owners)]
        column = {SCHOOL: "school_id", GROUP: "group_id", USER: "user_id"}[key.type]
        await self._write(
            f"INSERT INTO training_settings (tenant_id, {column}, speed_target)"  # noqa: S608 - our own column
            " VALUES ($1, $2, $3) ON CONFLICT (tenant_id, school_id, group_id, user_id)"
            " DO UPDATE SET speed_target = excluded.speed_target",
            owner,
            speed,
        )

    async def earn_progress(self, place: int, *, lessons: int) -> None:
        """In a group of theirs, or in one that was theirs."""
        people, groups = self._ids_of(USER), self._ids_of(GROUP)
        await self._write(
            "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
            " VALUES ($1, $2, $3, 2026, $4) ON CONFLICT (tenant_id, user_id, group_id, school_year)"
            " DO UPDATE SET lessons = excluded.lessons",
            people[place % len(people)][1],
            groups[lessons % len(groups)][1],
            lessons,
        )

    async def name_school(self, place: int, *, name: str) -> None:
        schools = self._ids_of(SCHOOL)
        await self._write(
            "UPDATE schools SET display_name = $3 WHERE tenant_id = $1 AND id = $2",
            schools[place % len(schools)][1],
            name,
        )

    async def set_limits(self, limits: Limits) -> None:
        for record_type in ("SCHOOL", "GROUP", "USER", "MEMBERSHIP"):
            await self.story.see.execute(
                "INSERT INTO hold_limits"
                " (tenant_id, record_type, archive_count, archive_percent, update_percent)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, record_type) DO UPDATE SET"
                " archive_count = excluded.archive_count,"
                " archive_percent = excluded.archive_percent,"
                " update_percent = excluded.update_percent",
                self.tenant_id,
                record_type,
                *limits,
            )
        self.terms = self.terms._replace(limits=limits)

    async def set_licences(self, licences: int | None) -> None:
        await self.story.see.execute(
            "UPDATE subscriptions SET licence_limit = $2 WHERE tenant_id = $1",
            self.tenant_id,
            licences,
        )
        self.terms = self.terms._replace(licences=licences)

    async def set_holds_everything(self, *, value: bool) -> None:
        await self.story.see.execute(
            "UPDATE integrations SET holds_everything = $2 WHERE tenant_id = $1",
            self.tenant_id,
            value,
        )
        self.terms = self.terms._replace(holds_everything=value)
