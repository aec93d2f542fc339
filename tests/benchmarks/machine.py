"""What the figures were measured on."""

import os
import platform
import subprocess
from dataclasses import dataclass

import asyncpg
from typing_extensions import override

from tests.benchmarks.places import ROOT


@dataclass(frozen=True, slots=True)
class Machine:
    """`load`: the processes that wanted to run in the minute before; above 0 is noise."""

    cores: int
    memory_gb: float
    load: float
    postgresql: str
    python: str
    commit: str

    @override
    def __str__(self) -> str:
        return (
            f"{self.cores} cores, {self.memory_gb:.0f} GB, PostgreSQL {self.postgresql},"
            f" Python {self.python}, load {self.load:.1f} before it began, commit {self.commit}"
        )


async def describe_machine(dsn: str) -> Machine:
    load = os.getloadavg()[0]
    connection = await asyncpg.connect(dsn)
    try:
        postgresql = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        load=load,
        postgresql=postgresql,
        python=platform.python_version(),
        commit=find_commit(),
    )


def find_commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return "none"
    return f"{commit} with changes" if _git("status", "--porcelain") else commit


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
