"""From a night to the mails that contacts find in the morning, by a real mail server."""

import asyncio

import pytest

from domain.notifications.delivery import deliver
from tests.domain.sync.stories import Story
from tests.domain.watch.mailing import MailServer, add_contact, look, morning

pytestmark = pytest.mark.anyio

ALWAYS, PROBLEMS, NEVER = "all@alpha.example", "some@alpha.example", "none@alpha.example"


@pytest.fixture(autouse=True)
async def contacts(story: Story) -> None:
    await add_contact(story, ALWAYS, "ALWAYS")
    await add_contact(story, PROBLEMS, "ONLY_PROBLEMS")
    await add_contact(story, NEVER, "NEVER")


async def test_a_night_is_told_once_to_whoever_wants_to_know(
    story: Story, server: MailServer
) -> None:
    run = await story.night()
    assert await morning(story, server) == [(ALWAYS, "alpha: synced, 15 changes")]
    assert await morning(story, server) == []
    await story.night()
    await look(story)
    await deliver(story.worker, server.post)
    [mail] = server.mails
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert "Nothing was changed." in plain
    assert "Nothing was changed." in html
    assert f"https://admin.example/alpha/runs/{run.id}" not in plain
    assert "The next sync starts on" in plain


async def test_new_errors_are_told_to_whoever_wants_problems_and_known_ones_are_not(
    story: Story, server: MailServer
) -> None:
    await story.night()
    await morning(story, server)
    story.district.users.change("cid", givenName="", familyName=" ")
    assert (await story.night()).state.value == "SUCCEEDED_WITH_ERRORS"
    subject = "alpha: synced, 0 changes, 1 open error"
    assert await morning(story, server) == [(ALWAYS, subject), (PROBLEMS, subject)]
    await story.night()
    assert await morning(story, server) == [(ALWAYS, "alpha: synced, 0 changes, 1 open error")]


async def test_two_lookers_and_two_deliverers_send_no_mail_twice(
    story: Story, server: MailServer
) -> None:
    for _ in range(3):
        await story.night()
    await asyncio.gather(*(look(story) for _ in range(3)))
    await asyncio.gather(*(deliver(story.worker, server.post) for _ in range(3)))
    assert len(server.taken()) == 3
