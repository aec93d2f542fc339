"""One sync in a process of its own, whose memory is then the worker's and nobody else's.

`python -m tests.benchmarks.syncing <database URL> <redis URL> [<Clever's URL>]` works on the run
that waits and prints {"seconds": …, "peak_memory_mb": …}.
"""

import asyncio
import base64
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from domain.collector import calm_collector
from domain.database import DatabaseRole
from domain.logs import configure_logs
from domain.providers.hosts import Hosts
from domain.resources import open_resources
from domain.secrets import KeyRing
from domain.sync.run import work
from tests.sources import HOSTS

# Nothing here is worth a secret: any key will do.
KEY = "bench:" + base64.b64encode(bytes(32)).decode()


async def measure_sync(database_url: str, redis_url: str, hosts: Hosts) -> dict[str, float]:
    async with open_resources(
        database_url=database_url,
        redis_url=redis_url,
        keys=KeyRing.parse(KEY),
        hosts=hosts,
        role=DatabaseRole.WORKER,
    ) as resources:
        began = time.perf_counter()
        if await work(resources.database, resources.open_source, resources.keys) is None:
            raise RuntimeError("no run was waiting")
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_memory_mb": _peak_memory() / 1e6}


def _hosts(clever_urls: Sequence[str]) -> Hosts:
    return replace(HOSTS, clever_api_url=clever_urls[0]) if clever_urls else HOSTS


def _peak_memory() -> int:
    """In bytes: VmHWM on Linux, whose ru_maxrss also counts what the parent was before the exec."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    configure_logs(is_quiet=True)
    calm_collector()
    _, database_at, redis_at, *clever_at = sys.argv
    measured = asyncio.run(measure_sync(database_at, redis_at, _hosts(clever_at)))
    sys.stdout.write(json.dumps(measured))
