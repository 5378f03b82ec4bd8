"""What a server counts, as its metrics tell."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 60.0


async def metrics(url: str) -> dict[str, float]:
    """Each sample that has no labels, by its name: `collab_rooms`."""
    return await asyncio.to_thread(_read, url)


def _read(url: str) -> dict[str, float]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse().read().decode()
    finally:
        connection.close()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer)
        for sample in family.samples
        if not sample.labels
    }
