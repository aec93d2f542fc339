"""Hashes after an upgrade: renewed in the first night, without a single update."""

import pytest

from domain.roster.records import RecordType
from domain.sync import plan
from tests.domain.sync.stories import Story, read_places, totals

pytestmark = pytest.mark.anyio

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}
HASHED = ("schools", "terms", "courses", "groups", "users", "memberships")


async def hashes(story: Story) -> dict[str, list[int]]:
    return {
        table: [
            row[0] for row in await story.see.fetch(f"SELECT content_hash FROM {table} ORDER BY id")  # noqa: S608 - our own table
        ]
        for table in HASHED
    }  # fmt: skip


async def test_an_upgrade_renews_hashes_and_counts_no_update(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as former:
        former.setattr(plan, "HASH_VERSION", plan.HASH_VERSION - 1)
        await story.night()
    # Memberships were hashed without the number of their enrollments.
    await story.see.execute("UPDATE memberships SET content_hash = content_hash # 170")
    before, roster = await hashes(story), await story.roster()
    upgraded = await story.night()
    assert totals(upgraded) == NOTHING
    assert upgraded.counts[RecordType.USER.value]["unchanged"] == 4
    assert await story.changes(upgraded) == []
    assert await story.roster() == roster
    after = await hashes(story)
    assert all(
        old != new for table in HASHED for old, new in zip(before[table], after[table], strict=True)
    )
    places = await read_places(story.see)
    assert totals(await story.night()) == NOTHING
    assert await read_places(story.see) == places
