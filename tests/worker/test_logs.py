"""A night's log: JSON, with the ids of the run and its tenant, and nobody's name."""

import json
import re
from typing import Any

import asyncpg
import pytest

from tests.domain.sync.stories import Story
from tests.worker.processes import Workers, until

pytestmark = pytest.mark.anyio

PERSONAL = ("given_name", "family_name", "username", "email")


async def words_of(superuser: asyncpg.Connection) -> set[str]:
    """All that a person of the roster could be known by; short words may stand for anything."""
    words: set[str] = set()
    for column in PERSONAL:
        rows = await superuser.fetch(f"SELECT DISTINCT {column} FROM users")  # noqa: S608
        words |= {row[0] for row in rows if row[0]}
    return {word for word in words if len(word) > 3}


async def test_a_nights_log_has_ids_and_no_names(
    story: Story, workers: Workers, superuser: asyncpg.Connection
) -> None:
    requested = await story.request()
    worker = workers.start()

    async def is_over() -> bool:
        return '"run_ended"' in worker.log.read_text()

    await until(is_over, "the run ends")
    workers.kill_all()
    text = worker.log.read_text()
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    of_runs = [line for line in lines if line["event"] in {"phase_started", "run_ended"}]
    assert [line.get("phase") or line["state"] for line in of_runs] == [
        "FETCHING",
        "VALIDATING",
        "PLANNING",
        "APPLYING",
        "SUMMARISING",
        "SUCCEEDED_WITH_ERRORS",
    ]
    for line in of_runs:
        assert line["run_id"] == str(requested.run.id)
        assert line["tenant_id"] == str(story.tenant_id)
    words = await words_of(superuser)
    assert len(words) > 300
    assert words & set(re.findall(r"[^\s\"]+", text)) == set()
