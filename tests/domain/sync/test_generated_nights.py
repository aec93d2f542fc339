"""The generated district, two nights of it: every count as its maker says."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.generator.package import expected_path, generate
from domain.sync.models import SyncRun, SyncRunState
from tests.domain.sync.stories import Story, read_places, totals

pytestmark = pytest.mark.anyio


def expected_of(folder: Path) -> Any:
    return json.loads(expected_path(folder).read_text(encoding="utf-8"))


async def require_as_expected(story: Story, run: SyncRun, folder: Path) -> None:
    expected = expected_of(folder)
    assert run.failure_message is None
    assert run.counts == expected["counts"]
    rows = await story.see.fetch(
        "SELECT code, count(*) AS n FROM validation_errors WHERE tenant_id = $1 AND state = 'OPEN'"
        " AND code = ANY ($2) GROUP BY code",
        story.tenant_id,
        list(expected["errors"]),
    )
    assert {row["code"]: row["n"] for row in rows} == expected["errors"]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_both_nights_count_what_the_generator_expects(
    story: Story, tmp_path: Path, version: str
) -> None:
    for name, change in (("first", 0.0), ("second", 0.05)):
        folder = tmp_path / name
        generate(folder, students=300, seed=7, change=change, version=version)
        await story.configure(folder)
        run = await story.run()
        await require_as_expected(story, run, folder)
        state = SyncRunState.SUCCEEDED_WITH_ERRORS if change else SyncRunState.SUCCEEDED
        assert run.state is state


async def test_a_night_like_the_last_one_writes_to_no_live_table(
    story: Story, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    generate(folder, students=300, seed=7, change=0.05)
    await story.configure(folder)
    first = await story.run()
    before = await read_places(story.see)
    again = await story.run()
    assert totals(again) == {"created": 0, "updated": 0, "archived": 0, "restored": 0}
    assert totals(again, "fetched", "rejected", "ignored") == totals(
        first, "fetched", "rejected", "ignored"
    )
    assert await read_places(story.see) == before
    assert all(before.values())


async def test_the_first_night_after_the_second_brings_back_what_was_there(
    story: Story, tmp_path: Path
) -> None:
    generate(tmp_path / "first", students=300, seed=7)
    generate(tmp_path / "second", students=300, seed=7, change=0.05)
    rosters = []
    for name in ("first", "second", "first"):
        await story.configure(tmp_path / name)
        await story.run()
        rosters.append(await story.roster())
    for table in ("schools", "groups", "users"):
        live = [[row for row in roster[table] if True not in row[-2:]] for roster in rosters]
        assert [row for row in live[2] if row in live[0]] == live[0]
