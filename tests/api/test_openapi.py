"""The OpenAPI description is true of what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.client import Api

DOCUMENTED = {
    ("get", "/healthz"): {200},
    ("get", "/readyz"): {200, 503},
    ("post", "/v1/auth/guest"): {200, 400, 403, 413, 422, 503},
    ("post", "/v1/auth/refresh"): {200, 401},
    ("get", "/v1/me"): {200, 401},
    ("patch", "/v1/me"): {200, 400, 401, 413, 422, 503},
    ("post", "/v1/documents"): {201, 400, 401, 413, 422, 503},
    ("get", "/v1/documents"): {200, 400, 401, 422, 503},
    ("get", "/v1/documents/{document_id}"): {200, 401, 404, 422, 503},
    ("patch", "/v1/documents/{document_id}"): {200, 400, 401, 403, 404, 413, 422, 503},
    ("delete", "/v1/documents/{document_id}"): {204, 401, 403, 404, 422, 503},
    ("get", "/v1/documents/{document_id}/text"): {200, 401, 404, 422, 429, 503},
}


async def test_it_names_every_call_and_each_of_its_answers(api: Api) -> None:
    schema = (await api.http.get("/v1/openapi.json")).json()
    found = {
        (method, path): set(map(int, operation["responses"]))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert found == DOCUMENTED


async def test_every_failure_is_a_problem_document(api: Api) -> None:
    schema = (await api.http.get("/v1/openapi.json")).json()
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) < 400:
                    continue
                (content,) = response["content"].items()
                assert content[0] == "application/problem+json"
                assert content[1]["schema"]["title"] == "ProblemDocument"


@pytest.mark.parametrize("name", ["NewGuest", "NewDocument", "Renaming"])
async def test_a_request_may_hold_no_other_field(api: Api, name: str) -> None:
    schema = (await api.http.get("/v1/openapi.json")).json()
    assert schema["components"]["schemas"][name]["additionalProperties"] is False


async def test_what_needs_a_token_says_so(api: Api) -> None:
    schema = (await api.http.get("/v1/openapi.json")).json()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            open_to_all = path in {"/healthz", "/readyz", "/v1/auth/guest"}
            assert ("security" not in operation) == open_to_all


async def test_the_text_is_described_as_text(api: Api) -> None:
    schema = (await api.http.get("/v1/openapi.json")).json()
    operation = schema["paths"]["/v1/documents/{document_id}/text"]["get"]
    assert list(operation["responses"]["200"]["content"]) == ["text/plain"]
