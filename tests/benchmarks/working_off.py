"""All runs that wait, one after the other, in a process without a worker around it.

`python -m tests.benchmarks.working_off <database URL> <redis URL>` prints {"runs": …,
"seconds": …, "cpu_seconds": …}.
"""

import asyncio
import json
import sys
import time

from domain.collector import calm_collector
from domain.database import DatabaseRole
from domain.logs import configure_logs
from domain.resources import open_resources
from domain.secrets import KeyRing
from domain.sync.run import work
from tests.benchmarks.syncing import KEY
from tests.sources import HOSTS


async def work_off(database_url: str, redis_url: str) -> dict[str, float]:
    async with open_resources(
        database_url=database_url,
        redis_url=redis_url,
        keys=KeyRing.parse(KEY),
        hosts=HOSTS,
        role=DatabaseRole.WORKER,
    ) as resources:
        began, cpu, runs = time.perf_counter(), time.process_time(), 0
        while await work(resources.database, resources.open_source, resources.keys):
            runs += 1
        return {
            "runs": runs,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
        }


if __name__ == "__main__":
    configure_logs(is_quiet=True)
    calm_collector()
    sys.stdout.write(json.dumps(asyncio.run(work_off(*sys.argv[1:]))))
