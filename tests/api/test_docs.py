"""The examples in `docs/rest.md` work, from the first to the last."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.serving import Serving

PAGE = Path(__file__).parents[2] / "docs/rest.md"

FAIL_ON_PROBLEMS = """
set -euo pipefail
curl() { command curl --fail-with-body --noproxy '*' "$@"; }
"""


async def test_every_example_of_the_rest_api_works(server: Serving) -> None:
    examples = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(examples) >= 6
    marked = "".join(f"{example}\necho; echo '== {n}'\n" for n, example in enumerate(examples))
    bash = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        FAIL_ON_PROBLEMS + marked,
        env={**os.environ, "URL": server.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await bash.communicate()
    printed = out.decode()
    assert bash.returncode == 0, printed
    begin, account, read, put, patch, once, updates, *_ = re.split(r"\n== \d+\n", printed)
    assert begin == "Hello, world"
    assert account.endswith('"guest":false,"username":"grace"}')
    assert read == "304\n"
    assert put == '{"revision":2,"saved_revision":2,"length":11}'
    assert patch.endswith('{"revision":5,"saved_revision":5,"length":15,"replaced":1}')
    answer = '{"revision":6,"saved_revision":6,"length":22,"replaced":1}'
    assert once == answer + answer
    assert [int(n) for n in re.findall(r'"revision":(\d+)', updates)] == [2, 3]
