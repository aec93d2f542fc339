"""Which person a provider means: by its own ids, or by the username; never by an address."""

from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from domain.people.models import SignInMethodName, UsernameComparison
from domain.resources import Resources
from domain.roster.source import Provider
from domain.secrets import KeyRing
from domain.signing_in.assertions import Assertion
from domain.signing_in.matching import Match, find_person
from domain.signing_in.methods import Method
from domain.signing_in.refusals import RefusalReason
from domain.sync.matches import MatchDecision
from tests.api.graphql.seed import add_integration, insert
from tests.domain.identity.people import merge, undo
from tests.domain.signing_in.district import KEYS, District, classlink, clever, google
from tests.domain.sync.feeds import Feed, small_feed, student
from tests.domain.sync.matching import decide, pull
from tests.domain.sync.stories import Story, new_story

pytestmark = pytest.mark.anyio

NOBODY = Match(None, RefusalReason.NOT_IN_ROSTER)


async def found(
    district: District | Story, assertion: Assertion, *, compares: str = "ADDRESS"
) -> Match:
    """Whom a tenant knows by an assertion, `compares` as the tenant has set it."""
    method = Method(assertion.method, is_enabled=True, compares=UsernameComparison(compares))
    async with district.api.read(district.tenant_id) as session:
        return await find_person(
            session, tenant_id=district.tenant_id, assertion=assertion, method=method
        )


async def former(district: District, user_id: UUID, source_id: str) -> None:
    await insert(
        district.see,
        "external_keys",
        tenant_id=district.tenant_id,
        record_type="USER",
        record_id=user_id,
        kind="source_id",
        value=source_id,
    )


async def test_clever_and_classlink_know_people_by_the_rosters_ids(
    alpha: District, beta: District
) -> None:
    mia = await alpha.person("c1", email="c2", username="c3", number="c4")
    await beta.person("c5")
    for make in (clever, classlink):
        assert await found(alpha, make("c1")) == Match(mia)
        for other in ("C1", " c1", "c2", "c3", "c4", "c5", str(mia)):
            assert await found(alpha, make(other)) == NOBODY


async def test_an_id_that_is_empty_is_nobodys(alpha: District) -> None:
    await alpha.person("", username="")
    for assertion in (clever(""), classlink(""), google(subject=""), clever("a\x00")):
        assert await found(alpha, assertion) == Match(None, RefusalReason.NO_KEY)


async def test_a_former_id_is_still_the_persons(alpha: District) -> None:
    mia = await alpha.person("c2")
    await former(alpha, mia, "c1")
    assert await found(alpha, clever("c1")) == Match(mia)
    # Whoever has the id now comes first.
    eve = await alpha.person("c1")
    assert await found(alpha, clever("c1")) == Match(eve)


async def test_a_former_id_of_two_people_tells_nobody(alpha: District) -> None:
    mia, eve = await alpha.person("c2"), await alpha.person("c3")
    for user_id in (mia, eve):
        await former(alpha, user_id, "c1")
    assert await found(alpha, clever("c1")) == Match(None, RefusalReason.SEVERAL_PEOPLE)
    await alpha.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", eve)
    assert await found(alpha, clever("c1")) == Match(mia)


async def test_after_a_switch_of_provider_a_former_id_may_be_anybodys(alpha: District) -> None:
    mia = await alpha.person("c2")
    await former(alpha, mia, "1001")
    values = {"provider": "CLEVER", "former_provider": "ONEROSTER"}
    await add_integration(alpha.see, alpha.tenant_id, **values)
    assert await found(alpha, clever("1001")) == NOBODY
    assert await found(alpha, clever("c2")) == Match(mia)


async def test_a_key_of_another_kind_is_no_id(alpha: District) -> None:
    mia = await alpha.person("c2")
    for kind, record_type in (("student_number", "USER"), ("source_id", "GROUP")):
        await insert(
            alpha.see,
            "external_keys",
            tenant_id=alpha.tenant_id,
            record_type=record_type,
            record_id=mia,
            kind=kind,
            value="c1",
        )
    assert await found(alpha, clever("c1")) == NOBODY


@pytest.fixture
async def story(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> Story:
    """Rostered by a provider of the network, synced once."""
    told = new_story(
        resources.database, worker_resources.database, superuser, folder=tmp_path, keys=keys
    )
    await told.begin("story")
    await told.connect_to(Provider.CLEVER)
    await pull(told, small_feed())
    return told


def rekeyed() -> Feed:
    """Ann is ann2 now."""
    feed = small_feed().without("ann", "e1")
    feed.records.append(student("ann2", username="ann", keys=("sis_id:1",)))
    return feed


async def test_a_person_with_a_new_id_is_found_by_both_once_it_is_decided(story: Story) -> None:
    ann = (await story.ids("users"))["ann"]
    await pull(story, rekeyed())
    assert await found(story, clever("ann2")) == NOBODY
    assert await found(story, clever("ann")) == Match(ann)
    await decide(story, MatchDecision.LINK, "ann")
    await pull(story, rekeyed())
    for subject in ("ann", "ann2"):
        assert await found(story, clever(subject)) == Match(ann)
    # Somebody else comes under the former id: until it is decided who that is, it is nobody.
    feed = rekeyed()
    feed.records.append(student("ann", username="ann3", given_name="Ann", keys=("sis_id:9",)))
    feed = feed.without("ann2")
    await pull(story, feed)
    assert await found(story, clever("ann")) == NOBODY


async def test_somebody_who_was_merged_signs_in_as_who_was_kept(story: Story) -> None:
    await pull(story, small_feed().without("dee", "e3"))
    ids = await story.ids("users")
    merge_id = await merge(story, ids["cid"], ids["dee"])
    for subject in ("cid", "dee"):
        assert await found(story, clever(subject)) == Match(ids["cid"])
    await undo(story, merge_id)
    assert await found(story, clever("dee")) == Match(ids["dee"])


@pytest.mark.parametrize(
    ("username", "address", "compares", "fits"),
    [
        ("mia@alpha.example", "mia@alpha.example", "ADDRESS", True),
        ("Mia@Alpha.example", "mIA@alpha.EXAMPLE", "ADDRESS", True),
        ("mia", "mia@alpha.example", "ADDRESS", False),
        ("mia", "mia@alpha.example", "LOCAL_PART", True),
        ("MIA", "mia@alpha.example", "LOCAL_PART", True),
        ("strasse", "straße@alpha.example", "LOCAL_PART", True),
        ("mia@alpha.example", "mia@alpha.example", "LOCAL_PART", False),
        ("mia@home", "mia@home@alpha.example", "LOCAL_PART", True),
        ("mia", "mia2@alpha.example", "LOCAL_PART", False),
        ("mia", "mia", "LOCAL_PART", False),
        ("%", "mia@alpha.example", "LOCAL_PART", False),
        ("mia", None, "LOCAL_PART", False),
        ("mia", None, "ADDRESS", False),
        (None, "mia@alpha.example", "ADDRESS", False),
    ],
)
async def test_google_and_microsoft_know_people_by_the_username_alone(
    alpha: District, username: str | None, address: str | None, compares: str, *, fits: bool
) -> None:
    mia = await alpha.person("g1", username=username, email="mia@alpha.example")
    microsoft = Assertion(SignInMethodName.MICROSOFT, "tid", "tid/g1", address)
    for assertion in (google(address), microsoft):
        assert await found(alpha, assertion, compares=compares) == (Match(mia) if fits else NOBODY)


async def test_an_archived_persons_username_is_nobodys(alpha: District, beta: District) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await beta.person(username="mia@alpha.example")
    await alpha.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", mia)
    assert await found(alpha, google()) == NOBODY


async def bind(district: District, user_id: UUID, subject: str, method: str = "GOOGLE") -> None:
    await insert(
        district.see,
        "identities",
        tenant_id=district.tenant_id,
        user_id=user_id,
        method=method,
        subject=subject,
    )


async def test_a_bound_account_stays_the_persons_whatever_it_is_called(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    eve = await alpha.person(username="eve@alpha.example")
    await bind(alpha, mia, "g1")
    for address in ("mia@alpha.example", "eve@alpha.example", "new@alpha.example", None):
        assert await found(alpha, google(address)) == Match(mia)
    assert await found(alpha, google("eve@alpha.example", "g2")) == Match(eve)


async def test_another_account_of_the_same_name_is_refused_and_it_is_said_whose(
    alpha: District,
) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await bind(alpha, mia, "g1")
    assert await found(alpha, google(subject="g2")) == Match(mia, RefusalReason.OTHER_SUBJECT)
    # Google's accounts say nothing of Microsoft's.
    tid = KEYS[SignInMethodName.MICROSOFT]
    microsoft = Assertion(SignInMethodName.MICROSOFT, tid, f"{tid}/1", "mia@alpha.example")
    assert await found(alpha, microsoft) == Match(mia)


async def test_who_comes_back_as_a_new_record_keeps_the_account(alpha: District) -> None:
    old = await alpha.person(username="mia@alpha.example")
    await bind(alpha, old, "g1")
    await alpha.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", old)
    assert await found(alpha, google()) == Match(old)
    new = await alpha.person(username="mia@alpha.example")
    assert await found(alpha, google()) == Match(new)
    assert await found(alpha, google("else@alpha.example")) == Match(old)


async def test_the_account_of_somebody_merged_is_the_kept_ones_unless_they_have_one(
    alpha: District,
) -> None:
    kept, gone = await alpha.person(username="kept@alpha.example"), await alpha.person()
    await bind(alpha, gone, "g1")
    await alpha.see.execute(
        "UPDATE users SET archived_at = now(), merged_into_id = $2 WHERE id = $1", gone, kept
    )
    assert await found(alpha, google("gone@alpha.example")) == Match(kept)
    await bind(alpha, kept, "g2")
    assert await found(alpha, google("gone@alpha.example")) == Match(
        kept, RefusalReason.OTHER_SUBJECT
    )
    assert await found(alpha, google("kept@alpha.example", "g2")) == Match(kept)
