"""Requests made from the OpenAPI document against a running server: it names each answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx2
import pytest

from bench.server import running

EXAMPLES = 25
"""How many requests of each kind for each call."""

# What a schema cannot say makes a valid request fail: a revision that does not exist, a cursor that
# nobody gave out, a key that another request had.
UNSAYABLE = "positive_data_acceptance"

# An idempotency key brings back what was answered when the document was made, also if it is deleted
# since: a made document that is not there is then no fault.
REPEATED = "ensure_resource_availability"


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_answer_is_documented_and_none_is_an_error_of_the_server(
    tmp_path: Path, seed: int
) -> None:
    async with running(tmp_path, COLLAB_HEARTBEAT_S="1") as server:
        async with httpx2.AsyncClient(base_url=server.url) as http:
            answer = await http.post("/v1/auth/guest", json={"name": "Ada"})
        token = answer.raise_for_status().json()["token"]
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{server.url}/v1/openapi.json",
            f"--header=Authorization: Bearer {token}",
            "--checks=all",
            f"--exclude-checks={UNSAYABLE},{REPEATED}",
            "--exclude-path=/v1/auth/logout",  # or all that follows would be 401
            f"--max-examples={EXAMPLES}",
            f"--seed={seed}",
            "--request-timeout=20",
            "--generation-database=none",
            "--no-color",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(240):
            printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        assert '"level": "error"' not in server.log.read_text()
