"""Keys and sealing, settings, the clock, and schedules across changes of the clocks."""

import base64
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain.clock import new_id, utc_now
from domain.database import Database, DatabaseRole, create_engine
from domain.integrations.schedule import local_instant
from domain.jobs import WAKE, Job, enqueue
from domain.people.callers import COMMAND_LINE, Caller, Scope
from domain.resources import Resources
from domain.roster.records import RecordType
from domain.secrets import KeyRing, SecretUnreadable
from domain.settings import Environment, read_settings
from domain.sync.decide import FEW, TypeCounts, decide
from domain.validation.codes import Code

NEW_YORK = ZoneInfo("America/New_York")


def key_text(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def test_a_sealed_value_opens_where_it_was_sealed() -> None:
    ring = KeyRing.parse(f"new:{key_text(1)}, old:{key_text(2)},")
    assert (ring.primary, sorted(ring.keys)) == ("new", ["new", "old"])
    sealed = ring.seal(b"secret", context="here")
    assert b"secret" not in sealed
    assert ring.seal(b"secret", context="here") != sealed
    assert ring.open(sealed, context="here") == b"secret"
    with pytest.raises(SecretUnreadable, match="belongs elsewhere"):
        ring.open(sealed, context="there")


def test_an_old_key_opens_and_a_lost_one_does_not() -> None:
    sealed = KeyRing.parse(f"old:{key_text(2)}").seal(b"secret", context="x")
    rotated = KeyRing.parse(f"new:{key_text(1)},old:{key_text(2)}")
    assert rotated.open(sealed, context="x") == b"secret"
    with pytest.raises(SecretUnreadable, match="not in HOMEROW_SECRET_KEYS"):
        KeyRing.parse(f"new:{key_text(1)}").open(sealed, context="x")
    with pytest.raises(SecretUnreadable, match="changed"):
        KeyRing.parse(f"old:{key_text(3)}").open(sealed, context="x")


@pytest.mark.parametrize("place", [0, 1, 3, 8, 25, -1])
def test_a_sealed_value_that_was_changed_does_not_open(place: int) -> None:
    ring = KeyRing.parse(f"k:{key_text(1)}")
    sealed = bytearray(ring.seal(b"secret", context="x"))
    sealed[place] ^= 1
    with pytest.raises(SecretUnreadable):
        ring.open(bytes(sealed), context="x")


@pytest.mark.parametrize(
    "text", ["", " , ", "nothing", f":{key_text(1)}", "k:c2hvcnQ=", "k:not base64!", "k:"]
)
def test_keys_that_are_none_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"32 bytes|At least one") as refused:
        KeyRing.parse(text)
    assert "c2hvcnQ" not in str(refused.value)


def test_settings_come_from_the_environment_and_hide_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOMEROW_SECRET_KEYS", f"k:{key_text(7)}")
    monkeypatch.setenv("HOMEROW_DATABASE_URL", "postgresql+asyncpg://u:password@db/homerow")
    monkeypatch.setenv("HOMEROW_ENVIRONMENT", "production")
    monkeypatch.setenv("HOMEROW_PORT", "8080")
    monkeypatch.setenv("HOMEROW_SOMETHING_ELSE", "x")
    read = read_settings()
    assert (read.environment, read.port) == (Environment.PRODUCTION, 8080)
    assert read.secret_keys is not None
    assert read.secret_keys.get_secret_value() == f"k:{key_text(7)}"
    assert key_text(7) not in repr(read)
    assert "password@" not in repr(read)
    monkeypatch.setenv("HOMEROW_PORT", "many")
    with pytest.raises(ValidationError):
        read_settings()


def test_new_ids_are_of_version_seven_and_sort_by_time() -> None:
    before = int(utc_now().timestamp() * 1000)
    made = [new_id() for _ in range(2000)]
    after = int(utc_now().timestamp() * 1000)
    assert len(set(made)) == 2000
    assert {(item.version, item.variant) for item in made} == {(7, "specified in RFC 4122")}
    times = [item.int >> 80 for item in made]
    assert times == sorted(times)
    assert (before <= times[0], times[-1] <= after) == (True, True)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("day", "at", "zone", "instant"),
    [
        (date(2026, 11, 22), time(2), "America/New_York", utc(2026, 11, 22, 7)),
        # 02:00 to 03:00 is not there: the first instant after it.
        (date(2026, 3, 8), time(2), "America/New_York", utc(2026, 3, 8, 7)),
        (date(2026, 3, 8), time(2, 30), "America/New_York", utc(2026, 3, 8, 7)),
        (date(2026, 3, 8), time(3), "America/New_York", utc(2026, 3, 8, 7)),
        # 01:00 to 02:00 is there twice: the first of them.
        (date(2026, 11, 1), time(1, 30), "America/New_York", utc(2026, 11, 1, 5, 30)),
        (date(2026, 11, 1), time(2), "America/New_York", utc(2026, 11, 1, 7)),
        # Half an hour is left out.
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)),
        # Midnight itself is left out.
        (date(2026, 9, 6), time(0, 0), "America/Santiago", utc(2026, 9, 6, 4)),
        # A whole day is left out.
        (date(2011, 12, 30), time(2), "Pacific/Apia", utc(2011, 12, 30, 10)),
        (date(2026, 6, 1), time(2), "UTC", utc(2026, 6, 1, 2)),
    ],
)
def test_local_times_that_are_missing_or_double_have_one_instant(
    day: date, at: time, zone: str, instant: datetime
) -> None:
    assert local_instant(day, at, ZoneInfo(zone)) == instant


def test_a_plan_is_held_only_if_nothing_of_a_watched_type_is_left() -> None:
    def codes(**counts: TypeCounts) -> list[tuple[Code, RecordType]]:
        # Nothing counts against the limits here: they are tried elsewhere.
        verdict = decide(
            {RecordType(name): item._replace(watched=0) for name, item in counts.items()}
        )
        assert verdict.is_held == bool(verdict.reasons)
        return [(reason.code, reason.record_type) for reason in verdict.reasons]

    empty = Code.HOLD_TYPE_EMPTY
    assert codes() == []
    assert codes(USER=TypeCounts(stored=FEW, arriving=0, archived=FEW)) == []
    assert codes(USER=TypeCounts(stored=FEW + 1, arriving=0, archived=FEW + 1)) == [
        (empty, RecordType.USER)
    ]
    assert codes(USER=TypeCounts(stored=FEW + 1, arriving=0, archived=FEW)) == []
    assert codes(USER=TypeCounts(stored=FEW + 1, arriving=1, archived=FEW + 1)) == []
    assert codes(
        SCHOOL=TypeCounts(20, 0, 20), TERM=TypeCounts(20, 0, 20), COURSE=TypeCounts(20, 0, 20),
        GROUP=TypeCounts(20, 0, 20), USER=TypeCounts(20, 0, 20), MEMBERSHIP=TypeCounts(20, 0, 20),
    ) == [
        (empty, RecordType.SCHOOL), (empty, RecordType.GROUP), (empty, RecordType.USER),
        (empty, RecordType.MEMBERSHIP),
    ]  # fmt: skip


def test_a_caller_of_a_tenant_sees_that_tenant_alone() -> None:
    tenant, other = new_id(), new_id()
    caller = Caller(actor="x", name="x", tenant_id=tenant, scopes=frozenset({Scope.ROSTER_READ}))
    assert (caller.is_operator, caller.may_see(tenant), caller.may_see(other)) == (
        False, True, False,
    )  # fmt: skip
    assert (COMMAND_LINE.is_operator, COMMAND_LINE.may_see(other)) == (True, True)


class Recorder:
    """A queue that keeps what is put into it."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def put(self, job: Job) -> None:
        self.jobs.append(job)


async def fail_after_a_job(database: Database) -> None:
    async with database.transaction() as session:
        enqueue(session, WAKE)
        raise RuntimeError


@pytest.mark.anyio
async def test_jobs_leave_after_the_commit_and_not_after_a_rollback(
    database_url: dict[str, str],
) -> None:
    queue, url = Recorder(), database_url[DatabaseRole.API]
    database = Database(create_engine(url, DatabaseRole.API), queue, url, DatabaseRole.API)
    try:
        async with database.transaction() as session:
            enqueue(session, WAKE)
            assert queue.jobs == []
        assert queue.jobs == [WAKE]
        with pytest.raises(RuntimeError):
            await fail_after_a_job(database)
        assert queue.jobs == [WAKE]
    finally:
        await database.engine.dispose()


@pytest.mark.anyio
async def test_a_connection_outside_the_pool_acts_in_its_role_and_bears_its_name(
    worker_resources: Resources,
) -> None:
    connection = await worker_resources.database.connect("homerow test")
    try:
        row = await connection.fetchrow(
            "SELECT current_user, current_setting('application_name'), current_setting('timezone')"
        )
        assert tuple(row) == ("homerow_worker", "homerow test", "UTC")
    finally:
        await connection.close()
