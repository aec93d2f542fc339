"""Who came in by files before rostering meets the first sync: nothing that was earned is lost."""

import pytest

from domain.errors import Conflict
from domain.roster.source import Provider
from tests.domain.legacy.files import Desk
from tests.domain.sync.feeds import small_feed
from tests.domain.sync.matching import NOTHING, pull, take_over
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio

FILES = {
    "schools.csv": "id,name\nold-s,North\n",
    "groups.csv": "id,school_id,name\nold-g,old-s,Typing before\n",
    "people.csv": (
        "id,username,given_name,family_name,roles,school_ids\n"
        "1,Ann,Ann,Old,student,old-s\n2,gone,Gus,Old,student,old-s\n"
    ),
    "memberships.csv": "person_id,group_id,role\n1,old-g,student\n2,old-g,student\n",
    "settings.csv": "level,id,speed_target\nperson,1,42\n",
    "progress.csv": "person_id,group_id,lessons,seconds\n1,old-g,7,900\n2,old-g,3,300\n",
}
EARNED = "SELECT to_jsonb(t)::text FROM {} t WHERE tenant_id = $1 ORDER BY 1"


async def test_a_matched_person_keeps_what_came_with_the_files(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    desk = Desk(story.api, story.worker, story.see, story.tenant_id)
    assert (await desk.apply(FILES))["is_applied"]
    with pytest.raises(Conflict, match="choose first what becomes of them"):
        await story.request()
    await story.see.execute("UPDATE integrations SET existing_accounts = 'MATCH_USERNAME'")
    before = [
        await story.see.fetch(EARNED.format(table), story.tenant_id)
        for table in ("progress", "training_settings")
    ]
    ann = await story.see.fetchval("SELECT id FROM users WHERE username = 'Ann'")
    await take_over(story, small_feed())
    row = await story.user("ann")
    assert (row["id"], row["origin"], row["archived_at"]) == (ann, "PROVIDER", None)
    gone = await story.see.fetchrow("SELECT * FROM users WHERE username = 'gone'")
    assert (gone["origin"], gone["archived_at"] is None) == ("LEGACY", False)
    assert before == [
        await story.see.fetch(EARNED.format(table), story.tenant_id)
        for table in ("progress", "training_settings")
    ]
    assert totals(await pull(story, small_feed())) == NOTHING
    with pytest.raises(Conflict, match="before the first sync"):
        await desk.apply(FILES)
