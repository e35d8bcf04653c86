"""What routes say of their answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from shared.errors import (
    BudgieError,
    ContentionError,
    MalformedRequestError,
    MisconfiguredError,
    PayloadTooLargeError,
    StoreThrottledError,
    StoreUnavailableError,
    UnauthenticatedError,
    UnsupportedMediaTypeError,
    ValidationFailedError,
)
from shared.web.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]
ANYWHERE: Final = (MalformedRequestError, PayloadTooLargeError, ValidationFailedError, BudgieError)
"""What every route may answer."""
COMMON: Final = (
    *ANYWHERE,
    UnauthenticatedError,
    MisconfiguredError,
    StoreUnavailableError,
    StoreThrottledError,
)
WRITING: Final = (ContentionError, UnsupportedMediaTypeError)
"""What every route that takes a body may answer besides."""


def problems(*errors: type[BudgieError]) -> Responses:
    """Responses for these errors and those that every route with a caller may answer."""
    return public_problems(*COMMON, *errors)


def public_problems(*errors: type[BudgieError]) -> Responses:
    """Responses for these errors alone, one for each status, with an example for each code."""
    found: Responses = {}
    for error in errors:
        response = found.setdefault(error.status, _response())
        response["content"][MEDIA_TYPE]["examples"][error.code] = _example(error)
    for response in found.values():
        examples = response["content"][MEDIA_TYPE]["examples"]
        response["description"] = " ".join(each["summary"] for each in examples.values())
    return found


def header(description: str, kind: str = "string") -> dict[str, Any]:
    """A response header."""
    return {"description": description, "schema": {"type": kind}}


def _response() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"content": {MEDIA_TYPE: {"schema": schema, "examples": {}}}}


def _example(error: type[BudgieError]) -> dict[str, Any]:
    made = error()
    value = {
        "type": f"urn:budgie:error:{made.code}",
        "title": made.code.replace("_", " ").capitalize(),
        "status": made.status,
        "code": made.code,
        "detail": made.detail,
        "request_id": "Yq3hGhZ0oAMEJtw=",
        "retryable": made.retryable,
    }
    if issubclass(error, ValidationFailedError):
        value["errors"] = [{"field": "body.text", "detail": "String should have at least 1 character"}]
    return {"summary": made.detail, "value": value}
