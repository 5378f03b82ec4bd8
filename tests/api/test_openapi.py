"""The OpenAPI description is true of what there is."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.client import Api

Schema = dict[str, Any]

CHANGING = {200, 400, 401, 403, 404, 409, 412, 413, 422, 428, 429, 503}

DOCUMENTED = {
    ("get", "/healthz"): {200},
    ("get", "/readyz"): {200, 503},
    ("get", "/metrics"): {200},
    ("get", "/v1/auth"): {200},
    ("post", "/v1/auth/guest"): {200, 400, 403, 413, 422, 429, 503},
    ("post", "/v1/auth/register"): {200, 400, 401, 403, 409, 413, 422, 429, 503},
    ("post", "/v1/auth/login"): {200, 400, 401, 413, 422, 429, 503},
    ("post", "/v1/auth/refresh"): {200, 401, 403, 503},
    ("post", "/v1/auth/logout"): {204, 401, 503},
    ("get", "/v1/me"): {200, 401, 503},
    ("patch", "/v1/me"): {200, 400, 401, 403, 413, 422, 503},
    ("post", "/v1/me/password"): {200, 400, 401, 403, 413, 422, 429, 503},
    ("post", "/v1/documents"): {201, 400, 401, 409, 413, 422, 429, 503},
    ("get", "/v1/documents"): {200, 400, 401, 422, 503},
    ("get", "/v1/documents/{document_id}"): {200, 401, 404, 422, 503},
    ("patch", "/v1/documents/{document_id}"): {200, 400, 401, 403, 404, 413, 422, 503},
    ("delete", "/v1/documents/{document_id}"): {204, 401, 403, 404, 422, 503},
    ("post", "/v1/documents/{document_id}/tickets"): {201, 401, 404, 422, 503},
    ("get", "/v1/documents/{document_id}/text"): {200, 304, 401, 404, 422, 429, 503},
    ("put", "/v1/documents/{document_id}/text"): {*CHANGING, 415},
    ("patch", "/v1/documents/{document_id}/text"): CHANGING,
    ("get", "/v1/documents/{document_id}/updates"): {200, 400, 401, 404, 422, 429, 503},
    ("get", "/v1/documents/{document_id}/versions"): {200, 400, 401, 404, 422, 503},
    ("post", "/v1/documents/{document_id}/versions"): {
        *(201, 400, 401, 403, 404, 409, 413, 422, 429, 503)
    },
    ("post", "/v1/documents/{document_id}/versions/{version_id}/restore"): {
        *(200, 400, 401, 403, 404, 409, 412, 413, 422, 429, 503)
    },
    ("get", "/v1/documents/{document_id}/diff"): {200, 401, 404, 422, 429, 503},
    ("get", "/v1/documents/{document_id}/members"): {200, 400, 401, 403, 404, 422, 503},
    ("put", "/v1/documents/{document_id}/members/{user}"): {
        *(200, 400, 401, 403, 404, 409, 413, 422, 503)
    },
    ("delete", "/v1/documents/{document_id}/members/{user}"): {
        *(204, 401, 403, 404, 409, 422, 503)
    },
    ("get", "/v1/documents/{document_id}/access"): {200, 401, 404, 422, 503},
    ("put", "/v1/documents/{document_id}/access"): {200, 400, 401, 403, 404, 413, 422, 503},
    ("get", "/v1/documents/{document_id}/links"): {200, 400, 401, 403, 404, 422, 503},
    ("post", "/v1/documents/{document_id}/links"): {
        *(201, 400, 401, 403, 404, 409, 413, 422, 429, 503)
    },
    ("delete", "/v1/documents/{document_id}/links/{link_id}"): {204, 401, 403, 404, 422, 503},
    ("post", "/v1/links"): {200, 400, 401, 403, 404, 413, 422, 429, 503},
    ("get", "/v1/documents/{document_id}/audit"): {200, 400, 401, 403, 404, 422, 503},
    ("get", "/v1/documents/{document_id}/blame"): {200, 401, 404, 422, 429, 503},
}


async def test_it_names_every_call_and_each_of_its_answers(api: Api) -> None:
    schema = await openapi(api)
    found = {
        (method, path): set(map(int, operation["responses"]))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert found == DOCUMENTED


async def test_every_failure_is_a_problem_document(api: Api) -> None:
    schema = await openapi(api)
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) < 400:
                    continue
                (content,) = response["content"].items()
                assert content[0] == "application/problem+json"
                assert content[1]["schema"]["title"] == "ProblemDocument"


@pytest.mark.parametrize(
    "name",
    [
        *("NewGuest", "NewAccount", "Login", "NewName", "PasswordChange"),
        *("NewDocument", "Renaming", "Edits", "Edit", "Exact", "Replacement"),
        *("GivenRole", "NewAccess", "NewLink", "Secret"),
    ],
)
async def test_a_request_may_hold_no_other_field(api: Api, name: str) -> None:
    schema = await openapi(api)
    assert schema["components"]["schemas"][name]["additionalProperties"] is False


OPEN_TO_ALL = {
    "/v1/auth",
    *("/healthz", "/readyz", "/metrics"),
    *("/v1/auth/guest", "/v1/auth/register", "/v1/auth/login"),
}


async def test_what_needs_a_token_says_so(api: Api) -> None:
    schema = await openapi(api)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            needed = operation.get("security", [{}])
            assert ({} in needed) == (path in OPEN_TO_ALL), path


async def test_the_text_is_described_as_text(api: Api) -> None:
    schema = await openapi(api)
    text = schema["paths"]["/v1/documents/{document_id}/text"]
    assert list(text["get"]["responses"]["200"]["content"]) == ["text/plain"]
    assert list(text["put"]["requestBody"]["content"]) == ["text/plain"]


async def test_the_headers_that_matter_are_described(api: Api) -> None:
    paths = (await openapi(api))["paths"]
    text = paths["/v1/documents/{document_id}/text"]
    create = paths["/v1/documents"]["post"]
    for operation, sent, answered in (
        (text["get"], {"If-None-Match"}, {"ETag"}),
        (text["put"], {"If-Match", "Idempotency-Key"}, {"ETag"}),
        (text["patch"], {"If-Match", "Idempotency-Key"}, {"ETag"}),
        (create, {"Idempotency-Key"}, {"Location"}),
    ):
        parameters = operation["parameters"]
        assert {each["name"] for each in parameters if each["in"] == "header"} == sent
        (done,) = (each for status, each in operation["responses"].items() if status[0] == "2")
        assert set(done["headers"]) == answered


async def test_every_example_is_as_its_schema_says(api: Api) -> None:
    schema = await openapi(api)
    for operation in operations(schema):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        done = [each for status, each in operation["responses"].items() if status[0] == "2"]
        for content in (*bodies, *done):
            for example, of in examples(content, schema):
                assert list(wrong(example, of, schema)) == []


async def test_every_example_of_a_body_works_when_it_is_sent(api: Api) -> None:
    """And what is answered is as its schema says. A token that comes back is used from then on."""
    schema = await openapi(api)
    ada = await api.user()
    sent = 0
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if needs_more_than_a_document(path, operation):
                continue
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                for example, _ in examples({"content": {kind: content}}, schema):
                    made = await ada.document(text="Hello, world")
                    answer = await ada.call(
                        method.upper(),
                        path.format(document_id=made["id"]),
                        content=example if kind == "text/plain" else json.dumps(example),
                        headers={"Content-Type": kind, "If-Match": '"1"'},
                    )
                    assert answer.is_success, (path, example, answer.text)
                    described = operation["responses"][str(answer.status_code)]["content"]
                    of = described["application/json"]["schema"]
                    assert list(wrong(answer.json(), of, schema)) == []
                    ada.token = answer.json().get("token", ada.token)
                    sent += 1
    assert sent >= 13


async def test_what_is_read_is_as_its_schema_says(api: Api) -> None:
    schema = await openapi(api)
    ada = await api.user()
    made = await ada.document(text="Hello, world")
    read = 0
    for path, methods in schema["paths"].items():
        if "get" not in methods or needs_more_than_a_document(path, methods["get"]):
            continue
        answer = await ada.get(path.format(document_id=made["id"]))
        assert answer.status_code == 200, (path, answer.text)
        described = methods["get"]["responses"]["200"]["content"]
        kind = answer.headers["content-type"].partition(";")[0]
        of = described[kind].get("schema", {})
        assert list(wrong(answer.json() if kind != "text/plain" else "", of, schema)) == []
        read += 1
    assert read >= 7


def needs_more_than_a_document(path: str, operation: Schema) -> bool:
    parameters = operation.get("parameters", [])
    of_something_else = "{" in path.replace("{document_id}", "") or path == "/v1/links"
    return of_something_else or any(
        each["in"] == "query" and each["required"] for each in parameters
    )


async def openapi(api: Api) -> Schema:
    found: Schema = (await api.http.get("/v1/openapi.json")).json()
    return found


def operations(schema: Schema) -> Iterator[Schema]:
    for methods in schema["paths"].values():
        yield from methods.values()


def examples(described: Schema, schema: Schema) -> Iterator[tuple[Any, Schema]]:
    """Every example of a body or an answer, with its schema; each form that it has has one."""
    for content in described.get("content", {}).values():
        of = content.get("schema", {"type": "string"})
        if "example" in content:
            yield content["example"], of
            continue
        for form in of.get("oneOf", [of]):
            found = resolved(form, schema).get("examples")
            assert found, form
            for example in found:
                yield example, of


def resolved(of: Schema, schema: Schema) -> Schema:
    while "$ref" in of:
        of = schema["components"]["schemas"][of["$ref"].rpartition("/")[2]]
    return of


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def wrong(value: Any, of: Schema, schema: Schema, where: str = "#") -> Iterator[str]:
    """What of a value is not as a schema says, as far as our schemas go."""
    of = resolved(of, schema)
    for several in ("anyOf", "oneOf"):
        if several in of:
            fitting = [form for form in of[several] if not list(wrong(value, form, schema))]
            if len(fitting) != 1:
                yield f"{where}: fits {len(fitting)} of its forms"
            return
    kind = of.get("type")
    if kind is not None and not (
        isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)
    ):
        yield f"{where}: {value!r} is no {kind}"
        return
    if "enum" in of and value not in of["enum"]:
        yield f"{where}: {value!r} is none of {of['enum']}"
    if "const" in of and value != of["const"]:
        yield f"{where}: {value!r} is not {of['const']!r}"
    if "minimum" in of and value < of["minimum"]:
        yield f"{where}: {value} is less than {of['minimum']}"
    if of.get("format") == "date-time":
        datetime.fromisoformat(value)
    if kind == "array":
        first = of.get("prefixItems", [])
        for index, item in enumerate(value):
            items = first[index] if index < len(first) else of["items"]
            yield from wrong(item, items, schema, f"{where}/{index}")
    if kind == "object":
        known = of.get("properties", {})
        for name in of.get("required", []):
            if name not in value:
                yield f"{where}: {name} is missing"
        for name, item in value.items():
            if name in known:
                yield from wrong(item, known[name], schema, f"{where}/{name}")
            else:
                yield f"{where}: {name} is not known"
