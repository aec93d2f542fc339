"""Review."""
import pytest
from domain.clock import utc_now
from domain.errors import Conflict
from domain.roster.records import Course, Enrollment, Group, RecordType, School, Term
from domain.roster.source import Provider
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.run import work
from tests.api.graphql.seed import add_group, add_membership, add_school, add_user
from tests.domain.sync.feeds import Feed, small_feed, student
from tests.domain.sync.matching import approve, pull, take_over
from tests.domain.sync.picking import ask_for
from tests.domain.sync.reverts import request_revert
from tests.domain.sync.stories import Story, numbers
from tests.domain.sync.test_legacy_accounts import choose, had, is_archived
from tests.domain.sync.test_provider_switch import switch

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rostered(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    return story


async def test_a_many_vanished_schools(rostered: Story) -> None:
    feed = Feed([*(School(f"s{n}", f"School {n}") for n in range(300)),
                 Term("t1", "Y", "term"), Course("c1", "T"),
                 Group("g1", "A", "s299", "c1", ("t1",)),
                 *(student(f"u{n}", school_source_ids=(f"s{n}",)) for n in range(300)),
                 Enrollment("e1", "u299", "g1", "STUDENT")])
    await pull(rostered, feed)
    run = await pull(rostered, feed.without(*(f"s{n}" for n in range(25)), *(f"u{n}" for n in range(25))))
    print(run.state, run.counts["SCHOOL"], run.counts["USER"])
    assert run.counts["SCHOOL"]["archived"] == 0
    assert run.counts["USER"]["archived"] == 0


async def test_b_held_renamed_school(rostered: Story) -> None:
    def feed(pre: str, name: str = "") -> Feed:
        return Feed([*(School(f"{pre}s{n}", f"School {n}{name if n == 0 else ''}", number=f"n{n}") for n in range(4)),
                 Term("t1", "Y", "term"), Course("c1", "T"),
                 *(Group(f"g{n}", f"G{n}", f"{pre}s{n}", "c1", ("t1",)) for n in range(4)),
                 *(student(f"u{n}", school_source_ids=(f"{pre}s{n}",)) for n in range(4)),
                 *(Enrollment(f"e{n}", f"u{n}", f"g{n}", "STUDENT") for n in range(4))])
    await pull(rostered, feed(""))
    held = await pull(rostered, feed("x"))
    assert held.state is SyncRunState.HELD
    done = await approve(rostered, held, feed("x", " renamed"))
    print(done.state, done.failure_message, done.counts)
    assert done.failure_message is None
    rows = await rostered.see.fetch("SELECT u.source_id FROM users u WHERE NOT EXISTS (SELECT FROM school_affiliations a WHERE a.user_id = u.id)")
    assert rows == []


async def test_c_empty_memberships_and_users_gone(rostered: Story) -> None:
    await pull(rostered, small_feed())
    feed = small_feed().without("ann", "b0", "b1", "b2", "e1", "e2", "e3")
    run = await pull(rostered, feed)
    print(run.state, run.counts)
    rows = await rostered.see.fetch("SELECT u.source_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.archived_at IS NOT NULL AND m.archived_at IS NULL")
    assert rows == []


async def test_d_single_user_after_switch(rostered: Story) -> None:
    await pull(rostered, small_feed())
    feed = small_feed()
    feed.records.append(student("new", number="9"))
    asked = await ask_for(rostered, source_id="new")
    await rostered.see.execute("UPDATE integrations SET rostered_at = NULL")
    assert await work(rostered.worker, feed.open, rostered.keys) == asked.run.id
    run = await rostered.read_run(asked.run.id)
    print(run.state, run.counts["USER"], run.steps)
    assert await rostered.user("new") is None


async def test_e_legacy_goes_on_the_second_night(rostered: Story) -> None:
    old = rostered
    await choose(old, "MATCH_USERNAME")
    full = small_feed()
    full.records += [student(f"u{n}") for n in range(40)]
    ids = [await had(old, f"u{n}") for n in range(40)]
    from tests.domain.sync.test_onboarding import approve as approve_preflight
    shown = await pull(old, full, SyncMode.PREFLIGHT)
    await approve_preflight(old, shown.id, utc_now())
    less = full.without(*(f"u{n}" for n in range(30)))
    first = await pull(old, less)
    print(first.state, first.counts["USER"])
    second = await pull(old, less)
    print(second.state, second.counts["USER"])
    assert [await is_archived(old, i) for i in ids] == [False] * 40
