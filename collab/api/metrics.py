"""What a server counts, as Prometheus reads it."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from collab.api import services
from collab.api.deps import Services
from collab.counts import Histogram
from collab.errors import CloseCode

router = APIRouter(tags=["health"])

CLOSE_CODES = {*CloseCode, 1000, 1001, 1005, 1006, 1007, 1011}
"""Those that have a line of their own: a client may send any."""

_process = ProcessCollector(registry=None)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "In Prometheus' text format.",
            "content": {"text/plain": {"example": "collab_sessions 42.0\n"}},
        }
    },
)
async def metrics(services: Services) -> Response:
    """What this server counts, for whom can reach it: keep it from the outside."""
    return Response(generate_latest(_Metrics(services)), media_type=CONTENT_TYPE_LATEST)


class _Metrics(Collector):
    def __init__(self, running: services.Services) -> None:
        self._counts = running.counts
        self._registry = running.registry
        self._order = running.order

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("collab", "This server.", {"version": version("collab")})
        yield from self._now()
        yield from self._since_the_start()
        yield from _process.collect()

    def _now(self) -> Iterator[Metric]:
        registry, budget = self._registry, self._registry.budget
        for name, value, meaning in (
            ("sessions", registry.sessions, "Connections that follow a document"),
            ("rooms", registry.rooms, "Documents that are open"),
            ("memory_bytes", budget.memory, "What the open documents take, estimated"),
            ("unsaved_bytes", budget.unsaved, "The weight of what is ordered and not saved yet"),
            ("order_ready", int(self._order.ready), "1 while pushes can be ordered"),
            ("unsaved_revisions", budget.unsaved_revisions, "What is ordered and not saved yet"),
        ):
            yield GaugeMetricFamily(f"collab_{name}", f"{meaning}.", value)

    def _since_the_start(self) -> Iterator[Metric]:
        counts = self._counts
        yield _by("outcome", "pushes", counts.pushes, "Pushes, ordered or refused")
        yield _counter("updates", counts.updates, "Updates that took effect")
        yield _counter("deliveries", counts.deliveries, "Updates, times who they were sent to")
        yield _counter("readings", counts.readings, "Documents read from the database to be open")
        yield _by("status", "handshakes", counts.handshakes, "Handshakes, by their answer")
        closes: dict[object, int] = {}
        for code, number in counts.closes.items():
            known = int(code) if code in CLOSE_CODES else "other"
            closes[known] = closes.get(known, 0) + number
        yield _by("code", "closes", closes, "Sessions that ended, by the close code")
        yield _histogram("commit_duration_seconds", counts.commit_seconds, "How long commits took")
        yield _histogram("commit_pushes", counts.commit_pushes, "How many pushes a commit saved")
        yield _counter("failed_commits", counts.failed_commits, "Commits that failed, every try")
        yield _histogram("flush_duration_seconds", counts.flush_seconds, "How long the disk took")
        yield _counter("failed_flushes", counts.failed_flushes, "Flushes that failed, every try")
        yield _by("repair", "repairs", counts.repairs, "What was done to keep one order")
        yield _by("work", "upkeep", counts.upkeep, "What the upkeep of documents did")


def _counter(name: str, value: int, meaning: str) -> Metric:
    return CounterMetricFamily(f"collab_{name}", f"{meaning}.", value)


def _by(label: str, name: str, numbers: Mapping[Any, int], meaning: str) -> Metric:
    family = CounterMetricFamily(f"collab_{name}", f"{meaning}.", labels=[label])
    for value, number in numbers.items():
        family.add_metric([str(value)], number)
    return family


def _histogram(name: str, histogram: Histogram, meaning: str) -> Metric:
    bounds = (*map(str, map(float, histogram.bounds)), "+Inf")
    return HistogramMetricFamily(
        f"collab_{name}",
        f"{meaning}.",
        list(zip(bounds, accumulate(histogram.numbers), strict=True)),
        histogram.sum,
    )
