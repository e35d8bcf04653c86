"""The API's document."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from local.template import load as template
from shared.domain.errors import BudgieError, every_error
from tools import asyncapi, openapi, openapi_components

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api import Api

DOCUMENT: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text(encoding="utf-8"))


def expanded(part: Any) -> Any:
    """A part of the document with each reference resolved, except those to schemas."""
    if isinstance(part, list):
        return [expanded(each) for each in part]
    if not isinstance(part, dict):
        return part
    _, _, kind, name = part.get("$ref", "///").split("/")
    if kind in openapi_components.KINDS:
        return expanded(DOCUMENT["components"][kind][name])
    return {key: expanded(each) for key, each in part.items()}


PATHS: dict[str, Any] = expanded(DOCUMENT["paths"])
OPERATIONS = [(path, method) for path, methods in PATHS.items() for method in methods]
UNANSWERED = {"unauthenticated", "route_not_found", "method_not_allowed", "unavailable", "redis_unavailable"}
"""Codes that the gateway's own responses pre-empt, and classes that only group others."""


def test_document_has_not_drifted() -> None:
    """The committed openapi.json is up to date."""
    assert openapi.document() == DOCUMENT


def test_document_is_valid_openapi() -> None:
    """It follows OpenAPI 3.1."""
    validate(DOCUMENT)


def test_components_lose_nothing() -> None:
    """With its references resolved, each operation is what it was before they were introduced."""
    assert openapi.written_out()["paths"] == PATHS


@pytest.mark.parametrize("kind", openapi_components.KINDS)
def test_what_is_repeated_is_a_component(kind: str) -> None:
    """Repeated parts, except successes, are components; each component is referred to at least twice."""
    texts = [json.dumps(each, sort_keys=True) for each in _said(kind) if "$ref" not in each]
    assert [text for text, times in Counter(texts).items() if times > 1] == []
    referred = Counter(each["$ref"].rpartition("/")[2] for each in _said(kind) if "$ref" in each)
    assert set(referred) == set(DOCUMENT["components"][kind])
    assert min(referred.values()) > 1


def _said(kind: str) -> list[dict[str, Any]]:
    """All values of a key in the document, including references."""
    operations = [each for methods in DOCUMENT["paths"].values() for each in methods.values()]
    if kind == "parameters":
        return [parameter for each in operations for parameter in each.get("parameters", [])]
    responses = [response for each in operations for response in each["responses"].items()]
    if kind == "responses":
        return [response for status, response in responses if status not in {"200", "201", "204"}]
    written = [*DOCUMENT["components"]["responses"].values(), *(response for _, response in responses)]
    if kind == "headers":
        return [header for each in written for header in each.get("headers", {}).values()]
    bodies = [body for each in written for body in each.get("content", {}).values()]
    return [example for body in bodies for example in body.get("examples", {}).values()]


def test_two_things_of_one_name_are_no_component() -> None:
    """If two different repeated headers had one name, one would be lost: the document is not written."""
    responses = [
        {"description": text, "headers": {"ETag": {"description": tag}}} for text in "ab" for tag in "xy"
    ]
    operation = {"responses": {str(400 + index): each for index, each in enumerate(responses)}}
    with pytest.raises(ValueError, match="components/headers: two of them would be ETag"):
        openapi_components.share({"paths": {"/": {"get": operation}}, "components": {}})


def test_each_exception_from_spectrals_rules_has_a_reason() -> None:
    """Beside it, in `.spectral.yaml`."""
    rules = (openapi.ROOT / ".spectral.yaml").read_text(encoding="utf-8").split("rules:\n")[1].splitlines()
    for rule in rules:
        assert re.fullmatch(r"  [a-z-]+: off  # [A-Z].{20,}\.", rule), rule


def test_every_route_of_the_template_is_described() -> None:
    """Template and document name the same routes."""
    routes = template.load(openapi.ROOT / "template.yaml", template.WHOLE).routes
    assert {(route.path, route.method.lower()) for route in routes} == set(OPERATIONS)


def test_examples_follow_their_schemas() -> None:
    """Each example of a schema is valid, and each of our responses has one."""
    schemas = DOCUMENT["components"]["schemas"]
    shown = [(name, example) for name, schema in schemas.items() for example in schema.get("examples", [])]
    assert {"Channel", "ChannelPage", "Member", "MemberPage", "Message", "Page", "Batch"} <= {
        n for n, _ in shown
    }
    for name, example in shown:
        _validator(name).validate(example)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_parameter_is_described(path: str, method: str) -> None:
    """Each has a description, in path, query and header."""
    named = PATHS[path][method].get("parameters", [])
    assert [each["name"] for each in named if not each.get("description")] == []


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_parameter_is_null(path: str, method: str) -> None:
    """Nobody could send null: a header `If-Match: null` is a text, and refused."""
    for parameter in PATHS[path][method].get("parameters", []):
        assert '"null"' not in json.dumps(parameter["schema"]), parameter["name"]


TAKING = [(path, method) for path, method in OPERATIONS if "requestBody" in PATHS[path][method]]


REPORTS_PATH = "/v1/channels/{channel_id}/messages/{message_id}/reports"


@pytest.mark.parametrize(("path", "method"), TAKING)
def test_every_example_of_a_body_is_taken(api: Api, path: str, method: str) -> None:
    """Requests as documented are not refused, in a channel with a message and a reply."""
    schema = PATHS[path][method]["requestBody"]["content"]["application/json"]["schema"]
    shown = list(_examples(schema))
    assert shown
    made = api("POST", "/v1/channels", body={"kind": "public", "name": "lobby", "members": ["grace"]}).json
    assert api("POST", f"/v1/channels/{made['id']}/messages", body={"text": "Hello"}).status == 201
    named = {"channel_id": made["id"], "user_id": "grace", "message_id": f"{made['id']}-00000001"}
    replies = "/v1/channels/{channel_id}/messages/{message_id}/replies".format(**named)
    assert api("POST", replies, body={"text": "Hello"}).status == 201
    reports = REPORTS_PATH.format(**named)
    named["report_id"] = api("POST", reports, user="grace", body={"reason": "spam"}).json["id"]
    for example in shown:
        answer = api(method.upper(), path.format(**named), body=example)
        assert answer.status in {200, 201}, answer.body


def _examples(schema: dict[str, Any]) -> Iterator[Any]:
    yield from schema.get("examples", [])
    if "$ref" in schema:
        yield from _examples(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for each in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        yield from _examples(each)


@pytest.mark.parametrize(
    ("path", "method"), [each for each in OPERATIONS if each[0] not in openapi.OPEN_ROUTES]
)
def test_a_401_says_how_to_authenticate(path: str, method: str) -> None:
    """By the header that RFC 9110 requires; and the scheme says where a token comes from."""
    assert "WWW-Authenticate" in PATHS[path][method]["responses"]["401"]["headers"]
    assert "make token USER=" in DOCUMENT["components"]["securitySchemes"]["jwt"]["description"]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_problems_follow_their_schema(path: str, method: str) -> None:
    """Each failure of each route has examples that are problem documents with that status."""
    for status, response in PATHS[path][method]["responses"].items():
        examples = response.get("content", {}).get("application/problem+json", {}).get("examples", {})
        assert examples or status < "400" or path == "/v1/healthz" or status == "429"
        for code, example in examples.items():
            _validator("Problem").validate(example["value"])
            assert (example["value"]["code"], str(example["value"]["status"])) == (code, status)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_api_gateway_answers_itself_is_documented(path: str, method: str) -> None:
    """Each route lists the responses in API Gateway's own form, which functions do not know."""
    responses = PATHS[path][method]["responses"]
    wanted = {"413", "429", "500", "503"} | (set() if path in openapi.OPEN_ROUTES else {"401"})
    assert wanted <= set(responses)
    for status in wanted if method != "head" else ():
        form = responses[status]["content"]["application/json"]
        schema = form["schema"] | {"components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate({"message": "Anything"})
        assert form["example"] == {"message": openapi.GATEWAY[status]}


def test_every_error_is_documented() -> None:
    """Each error of a function is documented at some route, or as a code of frames."""
    documented = {
        code
        for path, method in OPERATIONS
        for response in PATHS[path][method]["responses"].values()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    documented |= {error.code for error in asyncapi.ERRORS}
    assert {error.code for error in every_error(BudgieError)} - documented <= UNANSWERED


def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    )
