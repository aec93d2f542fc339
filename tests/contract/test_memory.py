"""What a source holds at once is a page: however long the roster is, and whatever is sent."""

import gc
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from api.generator.package import generate
from domain.roster.source import SourceError
from domain.validation.codes import Code
from tests.contract.districts import write_rich_district
from tests.contract.faults import TARGETS
from tests.contract.providers import WAYS, Opening, limit_answers
from tests.fakes.misbehaviour import Kind, Misbehaviour

pytestmark = pytest.mark.anyio

MIB: Final = 1 << 20
LIMIT: Final = 8 * MIB
"""Of an answer, in these tests."""
SLACK: Final = 4 * MIB
ENDLESS: Final = 1024 * MIB
PAGE: Final = 50
STUDENTS: Final = (300, 1200)


class Peak:
    """Bytes, once it is measured."""

    size = 0


@contextmanager
def measured() -> Generator[Peak]:
    """The most that Python holds beyond what it held before."""
    peak = Peak()
    gc.collect()
    tracemalloc.start()
    try:
        yield peak
        peak.size = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def drain(opening: Opening) -> int:
    """Read everything, and keep nothing."""
    rows = 0
    async for page in opening.open(opening.config).pages():
        rows += page.read
    return rows


@pytest.mark.parametrize("provider", TARGETS)
async def test_an_endless_answer_is_given_up_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """Again and again, with ever less asked for; of the attempt before nothing is kept."""
    limit_answers(monkeypatch, LIMIT)
    target = TARGETS[provider]
    with WAYS[target.way](write_rich_district(tmp_path / "district")) as opening:
        await drain(opening)
        opening.plan.forget()
        endless = Misbehaviour(Kind.HUGE, target.collections[-1], amount=ENDLESS)
        opening.plan.misbehaviours.append(endless)
        with measured() as peak, pytest.raises(SourceError) as caught:
            await drain(opening)
    assert caught.value.code is Code.CONN_TOO_LARGE
    assert opening.plan.count(target.collections[-1]) > 1
    assert LIMIT / 2 < peak.size < LIMIT + SLACK


@pytest.mark.parametrize("provider", TARGETS)
async def test_a_longer_roster_takes_no_more_memory(tmp_path: Path, provider: str) -> None:
    peaks = []
    for students in STUDENTS:
        folder = tmp_path / str(students)
        generate(folder, students=students, seed=5)
        with WAYS[TARGETS[provider].way](folder, page=PAGE) as opening:
            # The fake makes its answers when they are first asked for, in this very process.
            rows = await drain(opening)
            with measured() as peak:
                assert await drain(opening) == rows
            peaks.append(peak.size)
    shorter, longer = peaks
    assert longer < shorter + MIB
