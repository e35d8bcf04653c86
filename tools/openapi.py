"""The API's one OpenAPI 3.1 document, merged from all functions: ``python -m tools.openapi [--check]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from local.template import load as template
from shared.web import docs
from shared.web.response_models import Problem
from tools import openapi_components
from tools.generated import run

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "openapi.json"
OPEN_ROUTES: Final = ("/v1/healthz",)
DESCRIPTION: Final = """Channels, members and messages. A channel is a log: each message has a position (`seq`),
pages state the range of positions they cover, and every acknowledged message is in every later read.
Failures are RFC 9457 problem documents; programs decide by `code`. Repeat a failed post with the same
`Idempotency-Key`: the message is posted only once. An unknown or repeated query parameter is
refused. A body is uncompressed JSON in UTF-8 with `Content-Type: application/json`; a body that is sent to a
route without a body is ignored.
API Gateway responds to some requests itself, as `{"message": "…"}`: an invalid token (401), a body of over 10 MB
(413), too many requests to a route (429), an unknown path or method (404)."""
GATEWAY: Final = {
    "401": "Unauthorized",
    "413": "Request Entity Too Large",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "503": "Service Unavailable",
}
"""Statuses of API Gateway's own responses, sent before a function is called, or in place of a failed one."""
GATEWAY_MESSAGE: Final = {
    "type": "object",
    "description": "A response of API Gateway itself.",
    "properties": {"message": {"type": "string"}},
    "required": ["message"],
}
SECURITY: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "On the local stack `make token USER=ada` prints a token; deployed, the issuer that the template "
    "names issues tokens. Paste the token alone: `Bearer` is added.",
}
LICENSE: Final = {"name": "MIT", "identifier": "MIT"}
TAGS: Final = [
    {"name": "channels", "description": "Conversations: private, public and direct."},
    {"name": "members", "description": "The members of a channel, and their roles."},
    {"name": "messages", "description": "The messages of a channel, and read positions."},
    {"name": "order", "description": "Blocks of users, bans from channels, and reports of messages."},
    {"name": "realtime", "description": "Being told over a WebSocket (docs/realtime.md, asyncapi.json)."},
    {"name": "operations", "description": "For operators."},
]


def document() -> dict[str, Any]:
    """The whole document, in a stable order; repeated parts become components."""
    made = written_out()
    openapi_components.share(made)
    return made


def written_out() -> dict[str, Any]:
    """The same document, with every operation written out."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for app in apps():
        part = get_openapi(title="Budgie", version="1", routes=documented(app).routes)
        for path, operations in part["paths"].items():
            paths.setdefault(path, {}).update(operations)
        schemas |= part.get("components", {}).get("schemas", {})
    schemas |= _problem_schemas() | {"GatewayMessage": GATEWAY_MESSAGE}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, operations in paths.items():
        for operation in operations.values():
            _finish(path, operation)
    for operations in paths.values():
        for response in operations.get("head", {}).get("responses", {}).values():
            response.pop("content", None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Budgie", "version": "1", "description": DESCRIPTION, "license": LICENSE},
        "servers": [{"url": "/", "description": "This deployment."}],
        "tags": TAGS,
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"jwt": SECURITY},
        },
    }


def apps() -> list[FastAPI]:
    """The app of each function of the template."""
    handlers = {route.handler for route in template.load(ROOT / "template.yaml", template.WHOLE).routes}
    return [import_module(handler.rpartition(".")[0]).app for handler in sorted(handlers)]


def documented(app: FastAPI) -> FastAPI:
    """The same routes with the documentation of ``shared.web.docs``, which functions do not load."""
    made = FastAPI(openapi_url=None)
    for route in app.routes:
        assert isinstance(route, APIRoute), route  # noqa: S101 - no function has another kind
        words: dict[str, Any] = getattr(docs, route.name.upper())
        made.add_api_route(route.path, route.endpoint, methods=sorted(route.methods or ()), **words)
    return made


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def _finish(path: str, operation: dict[str, Any]) -> None:
    """Adds what all operations share: the id, who may call it, and the headers of each response."""
    operation["operationId"] = operation["operationId"].split("_v1_")[0]
    operation["security"] = [] if path in OPEN_ROUTES else [{"jwt": []}]
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _never_null(parameter["schema"])
    responses = operation["responses"]
    responses.setdefault("429", {"description": "Too many requests to this route."})
    for status in GATEWAY.keys() & responses.keys():
        _add_gateway_form(responses[status], GATEWAY[status])
    operation["responses"] = dict(sorted(responses.items()))
    for status, response in operation["responses"].items():
        headers = response.setdefault("headers", {})
        headers["X-Request-Id"] = _header(
            "Identifies the request in the log; the caller's own id if it sent one."
        )
        headers["Server-Timing"] = _header("Milliseconds, the cache tier, DynamoDB units, Redis commands.")
        headers["Cache-Control"] = _header(
            "`no-store`; for pages `private, no-cache`: stored, but revalidated before use."
        )
        if status in {"429", "503"}:
            headers["Retry-After"] = _header("Seconds to wait.", "integer")
        if status == "401":
            headers["WWW-Authenticate"] = _header("`Bearer`; API Gateway adds the token's error.")
        if status == "304":
            headers["ETag"] = _header("The tag, which is still valid.")


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without null, which no path, query or header can express: omitted values are absent."""
    forms = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return (forms[0] if len(forms) == 1 else {"anyOf": forms} if forms else {}) | rest


def _add_gateway_form(response: dict[str, Any], message: str) -> None:
    form = {"$ref": "#/components/schemas/GatewayMessage"}
    content = response.setdefault("content", {})
    ours = content.get("application/json", {}).get("schema")
    schema = {"anyOf": [ours, form]} if ours else form
    content["application/json"] = {"schema": schema, "example": {"message": message}}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the document, or with ``--check`` reports whether it is up to date."""
    return run(DOCUMENT, lambda _: written(), "openapi", arguments)


def written() -> str:
    """The document's text."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
