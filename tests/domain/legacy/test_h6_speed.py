import time
import pytest
from tests.domain.legacy.conftest import desk  # noqa
from tests.domain.legacy.files import *

pytestmark = pytest.mark.anyio
N = 100_000


async def test_speed(desk, worker_resources):
    groups = N // 25
    files = {
        "schools.csv": "id,name\n" + "".join(f"s{n},School {n}\n" for n in range(100)),
        "groups.csv": "id,school_id,name\n"
        + "".join(f"g{n},s{n % 100},Group {n}\n" for n in range(groups)),
        "people.csv": "id,username,given_name,family_name,roles,school_ids,number\n"
        + "".join(f"p{n},user.{n},Mia,Lee,student,s{n % 100},{n}\n" for n in range(N)),
        "memberships.csv": "person_id,group_id,role\n"
        + "".join(f"p{n},g{n % groups},student\n" for n in range(N)),
        "settings.csv": "level,id,speed_target\n" + "".join(f"person,p{n},20\n" for n in range(N)),
        "progress.csv": "person_id,group_id,lessons\n"
        + "".join(f"p{n},g{n % groups},5\n" for n in range(N)),
    }
    for apply in (False, True, True):
        upload = await desk.upload(zipped(files))
        async with desk.api.transaction(desk.tenant_id) as session:
            errand_id = await request_errand(
                session,
                tenant_id=desk.tenant_id,
                kind=ErrandKind.LEGACY_IMPORT,
                asked={"upload_id": str(upload), "apply": apply, "skip_errors": False},
                caller=COMMAND_LINE,
            )
        t = time.perf_counter()
        await perform_errand(desk.worker)
        print("seconds", apply, time.perf_counter() - t)
        r = await wait_for_errand(desk.api, tenant_id=desk.tenant_id, errand_id=errand_id)
        print(numbers(r))
    files["people.csv"] = files["people.csv"].replace("Mia", "Mio").replace("user.", "usex.")
    t = time.perf_counter()
    r = await desk.apply(files)
    print("change all", time.perf_counter() - t, numbers(r)["people"])
