"""Requests made from the OpenAPI document against a running server: it names each answer, whoever
asks.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx2
import pytest

from bench.server import running
from tests.api.shared_world import World, settle

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

RUNS = {
    "the owner": (["owner"], "examples,coverage,fuzzing,stateful", 4),
    "an editor": (["editor"], "fuzzing,stateful", 3),
    "who may read": (["commenter", "viewer"], "coverage", 1),
    "who may nothing": (["stranger", "removed", "nobody"], "fuzzing", 4),
}
"""Whose tokens the requests bear in turn, by which of Schemathesis' phases they are made, and how
many of each kind for each call. Each process and each phase takes seconds, so not everybody does
everything, and what is stateful is one's own.
"""

SETTINGS = {
    "COLLAB_HEARTBEAT_S": "1",
    "COLLAB_PASSWORD_MEMORY_KIB": "32",
    "COLLAB_PASSWORD_PASSES": "1",
    "COLLAB_ADDRESS_GUESSES": "100000",
}


@pytest.mark.parametrize("name", RUNS)
async def test_every_answer_is_documented_and_none_is_an_error_of_the_server(
    tmp_path: Path, name: str
) -> None:
    roles, phases, examples = RUNS[name]
    async with running(tmp_path, **SETTINGS) as server:
        async with httpx2.AsyncClient(base_url=server.url) as http:
            world = await settle(http)
        (tmp_path / "schemathesis.toml").write_text(configuration(world))
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{server.url}/v1/openapi.json",
            "--checks=all",
            f"--phases={phases}",
            f"--max-examples={examples}",
            f"--seed={list(RUNS).index(name)}",
            "--continue-on-failure",
            "--request-timeout=20",
            "--generation-database=none",
            "--no-color",
            cwd=tmp_path,
            env={
                **os.environ,
                "TOKENS_IN_TURN": json.dumps([world.tokens[role] for role in roles]),
                "TOKENS_BY_PATH": json.dumps(world.signed_in),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(240):
            printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        async with httpx2.AsyncClient(base_url=server.url) as http:
            for token in filter(None, (world.tokens[role] for role in roles)):
                assert await signed_in(http, token)
        assert '"level": "error"' not in server.log.read_text()


async def signed_in(http: httpx2.AsyncClient, token: str) -> bool:
    """Else requests were answered 401 from some time on, and little was tested."""
    answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 200


def configuration(world: World) -> str:
    """Schemathesis' own, in TOML: what there is to ask for, and what may be answered."""
    dictionaries = {
        "kept": world.kept,
        "given": world.given,
        "doomed": world.doomed,
        "users": world.users,
        "links": world.link_ids,
        "secrets": world.secrets,
        "words": ["Hello", "o"],
        "versions": ["1"],
        "tags": ['"2"', '"1"', "*"],
        "revisions": [0, 1, 2],
    }
    lines = [f"hooks = {json.dumps(str(HOOKS))}", "auth.auto-signup = false"]
    lines.append(f"[parameters]\n{_bound(PARAMETERS)}")
    for name, values in dictionaries.items():
        lines.append(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}")
    for call, parameters in ENDING.items():
        lines.append(f'[[operations]]\ninclude-name = "{call}"\nparameters = {parameters}')
    for call, statuses in UNSAYABLE.items():
        accepted = json.dumps([*ACCEPTED, *map(str, statuses)])
        lines.append(f'[[operations]]\ninclude-name = "{call}"')
        lines.append(f"checks.positive_data_acceptance.expected-statuses = {accepted}")
    lines.append(TOO_LONG)
    return "\n".join(lines)


ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "429", "503"]
"""What a request that is as the schema says may be answered: what is there, and who may do what,
the schema does not say.
"""

UNSAYABLE = {
    # A cursor that nobody gave out.
    "GET /v1/documents": [400],
    "GET /v1/documents/{document_id}/updates": [400],
    "GET /v1/documents/{document_id}/versions": [400],
    "GET /v1/documents/{document_id}/members": [400],
    "GET /v1/documents/{document_id}/links": [400],
    "GET /v1/documents/{document_id}/audit": [400],
    # A name or a title that nobody can see, a password that is the username, a time that is over,
    # a key that another request had.
    "POST /v1/auth/guest": [422],
    "POST /v1/auth/register": [422],
    "PATCH /v1/me": [422],
    "POST /v1/me/password": [422],
    "POST /v1/documents": [422],
    "PATCH /v1/documents/{document_id}": [422],
    "POST /v1/documents/{document_id}/links": [422],
    # A revision that there is not, or none where one is needed; what does not fit the text there.
    "POST /v1/documents/{document_id}/versions": [422],
    "POST /v1/documents/{document_id}/versions/{version_id}/restore": [400, 412, 422],
    "PUT /v1/documents/{document_id}/text": [400, 412, 422, 428],
    "PATCH /v1/documents/{document_id}/text": [400, 412, 422, 428],
}
"""What a schema cannot say makes these fail, though the request is as it says."""

TOO_LONG = """
[[operations]]
include-name = "PATCH /v1/documents/{document_id}/text"
checks.negative_data_rejection.expected-statuses = ["4xx"]
"""
"""Too many edits at once are answered 413."""

PARAMETERS = {
    "path.document_id": "kept",
    "path.user": "users",
    "path.link_id": "links",
    "path.version_id": "versions",
    "header.If-Match": "tags",
    "query.revision": "revisions",
    "query.from": "revisions",
    "query.to": "revisions",
    "query.after": "revisions",
    "body.secret": "secrets",
    "body.find": "words",
}


def _bound(parameters: dict[str, str]) -> str:
    return "\n".join(
        f'"{name}" = {{ dictionary = "{of}", probability = 0.8 }}'
        for name, of in parameters.items()
    )


_OF = '{{ "path.document_id" = {{ dictionary = "{}", probability = 0.8 }} }}'
ENDING = {
    "DELETE /v1/documents/{document_id}": _OF.format("doomed"),
    "PUT /v1/documents/{document_id}/members/{user}": _OF.format("given"),
    "DELETE /v1/documents/{document_id}/members/{user}": _OF.format("given"),
}
"""Calls that end something, on documents that nothing else is asked of."""
