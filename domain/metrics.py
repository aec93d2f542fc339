"""What this process counts, for Prometheus. No tenant and no name is a label: there are too many.

What concerns all processes together is read from the database; see domain.figures.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

RUNS_ENDED: Final = Counter(
    "homerow_runs_ended", "Runs that this worker has ended.", ["mode", "state"], registry=REGISTRY
)
RUN_SECONDS: Final = Histogram(
    "homerow_run_seconds",
    "From a run's beginning to its end.",
    ["mode"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14400),
    registry=REGISTRY,
)
PHASE_SECONDS: Final = Histogram(
    "homerow_phase_seconds",
    "How long a run's phases lasted.",
    ["phase"],
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600),
    registry=REGISTRY,
)
RECORDS_READ: Final = Counter(
    "homerow_records_read", "Records that this worker has read.", registry=REGISTRY
)
PROVIDER_CALLS: Final = Counter(
    "homerow_provider_calls",
    "Requests to providers by the status of the answer; none where none came.",
    ["status"],
    registry=REGISTRY,
)
GRAPHQL_SECONDS: Final = Histogram(
    "homerow_graphql_seconds",
    "Executed operations by root field; of a subscription, each event.",
    ["kind", "field", "outcome"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10),
    registry=REGISTRY,
)
GRAPHQL_REFUSED: Final = Counter(
    "homerow_graphql_refused", "Operations that were not executed.", ["code"], registry=REGISTRY
)
OPEN: Final = Gauge("homerow_open", "Open sockets and subscriptions.", ["kind"], registry=REGISTRY)


@contextmanager
def counted_open(kind: str) -> Generator[None]:
    """One more of `kind` for as long as entered."""
    OPEN.labels(kind).inc()
    try:
        yield
    finally:
        OPEN.labels(kind).dec()
