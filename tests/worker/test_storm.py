"""Nights in a storm: what is stored, counted, reported and mailed is as in calm nights.

`make test` sees a short one. `make soak` sees a long one, of another seed each time, in which some
dead workers are found out by their silence alone.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from api.generator.package import generate
from domain.secrets import KeyRing
from tests.conftest import roomy_folder
from tests.domain.sync.stories import Story, new_story
from tests.domain.sync.test_generated_nights import expected_of
from tests.domain.watch.mailing import MailServer, add_contact, mail_server
from tests.worker.calm import last_run, require_as_calm
from tests.worker.storm import Storm, gathering

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IS_SOAK: Final = settings.get_current_profile_name() == "soak"
NIGHTS: Final = 40 if IS_SOAK else 2
TENANTS: Final = 4
STRIKES: Final = 5
PATIENT: Final = 4
"""Every so many nights nobody is taken for dead before the time; it begins with the third."""
STUDENTS: Final = 300


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    given = request.config.getoption("--hypothesis-seed")
    if given is not None:
        return int(given)
    return random.SystemRandom().randrange(2**32) if IS_SOAK else 20


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp("nights") / name for name in ("first", "second")]
    for folder, change in zip(folders, (0.0, 0.05), strict=True):
        generate(folder, students=STUDENTS, seed=11, change=change)
    return folders


async def district(storm: Storm, keys: KeyRing, slug: str, package: Path) -> Story:
    story = new_story(
        storm.api.database, storm.worker.database, storm.see, folder=package, keys=keys
    )
    await story.begin(slug)
    await add_contact(story, f"data@{slug}.example", "ALWAYS")
    return story


async def night(storm: Storm, calm: Story, stories: list[Story], package: Path) -> None:
    """In calm for the one, in a storm for the others."""
    await storm.rest()
    for story in (calm, *stories):
        await story.configure(package)
    await calm.run()
    run_ids = {story.tenant_id: (await story.request()).run.id for story in stories}
    storm.man()
    await storm.rage(STRIKES)
    for story in (calm, *stories):
        story.see = storm.see
    await storm.calm()
    for story in stories:
        await require_as_calm(story, calm, run_ids[story.tenant_id])
    assert storm.complaints() == []


async def require_every_mail_once(storm: Storm, server: MailServer) -> None:
    """One for each run and contact; twice only where its sender died, with the id it had."""
    wanted = await storm.see.fetch(
        "SELECT 'data@' || t.slug || '.example' AS recipient, 'run ' || r.id AS once_key"
        " FROM sync_runs r JOIN tenants t ON t.id = r.tenant_id"
    )
    written = await storm.see.fetch("SELECT id, recipient, once_key, attempts FROM mail_outbox")
    assert Counter((row["recipient"], row["once_key"]) for row in written) == Counter(
        (row["recipient"], row["once_key"]) for row in wanted
    )
    received = Counter(
        (mail["Message-ID"].strip("<>").split("@")[0], mail["To"]) for mail in server.mails
    )
    assert set(received) == {(str(row["id"]), row["recipient"]) for row in written}
    tries = {str(row["id"]): row["attempts"] for row in written}
    assert [name for (name, _), times in received.items() if times > tries[name]] == []


async def test_nights_in_a_storm_are_as_calm_ones(
    keys: KeyRing, packages: list[Path], seed: int
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tests-", dir=roomy_folder()) as name,
        naming(seed),
    ):
        await tell_nights(Path(name), keys, packages, seed)


@contextmanager
def naming(seed: int) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the storm of seed {seed}")
        raise


async def tell_nights(folder: Path, keys: KeyRing, packages: list[Path], seed: int) -> None:
    async with mail_server() as server, gathering(folder, keys, seed, server.port) as storm:
        calm = await district(storm, keys, "calm", packages[0])
        stories = [
            await district(storm, keys, f"district-{number}", packages[0])
            for number in range(TENANTS)
        ]
        for number in range(NIGHTS):
            storm.is_hurried = (number + 2) % PATIENT > 0
            package = packages[number % 2]
            await night(storm, calm, stories, package)
            if number < len(packages):
                counts = (await calm.read_run(await last_run(calm))).counts
                assert counts == expected_of(package)["counts"]
        rows = await storm.see.fetch("SELECT attempts, finished_at FROM sync_runs")
        assert len(rows) == NIGHTS * (1 + TENANTS)
        assert all(1 <= row["attempts"] <= 10 for row in rows)
        await require_every_mail_once(storm, server)
