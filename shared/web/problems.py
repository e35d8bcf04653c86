"""Errors as RFC 9457 problem documents; only this module turns an error into HTTP."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shared.bootstrap import known_error
from shared.domain.errors import (
    BatchTooLargeError,
    BudgieError,
    MethodNotAllowedError,
    RateLimitedError,
    RouteNotFoundError,
    UnauthenticatedError,
    UnsupportedMediaTypeError,
    ValidationFailedError,
)
from shared.domain.messages import dumps
from shared.domain.rate_limit import Verdict
from shared.domain.text import beginning
from shared.web.responses import rate_headers

MEDIA_TYPE: Final = "application/problem+json"
MAX_ERRORS: Final = 20
"""Field errors in one response."""
MAX_FIELD: Final = 200
"""Characters of a field's path, because clients choose the names of unknown fields."""
_FORMS: Final = frozenset({"message", "batch"})
"""The tags of a discriminated body, which are not part of a field's path."""


def problem(error: BudgieError, request_id: str) -> Response:
    """The response for an error."""
    document: dict[str, Any] = {
        "type": f"urn:budgie:error:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
        "retryable": error.retryable,
    } | error.extra()
    return Response(dumps(document), error.status, _headers(error), MEDIA_TYPE)


def _headers(error: BudgieError) -> dict[str, str]:
    """The headers that belong to an error; the sections are RFC 9110's."""
    headers: dict[str, str] = {}
    match error:
        case UnauthenticatedError():
            headers["WWW-Authenticate"] = "Bearer"  # 15.5.2
        case MethodNotAllowedError(allowed=[_, *_] as allowed):
            headers["Allow"] = ", ".join(allowed)  # 15.5.6
        case UnsupportedMediaTypeError(media_type=str() as media_type):
            headers["Accept"] = media_type  # 15.5.16
        case UnsupportedMediaTypeError(coding=str() as coding):
            headers["Accept-Encoding"] = coding  # 15.5.16
        case BatchTooLargeError(limit=int() as limit):
            headers["RateLimit-Limit"] = str(limit)
        case RateLimitedError(verdict=Verdict() as verdict):
            headers |= rate_headers(verdict)
    if error.retry_after is not None:
        headers["Retry-After"] = str(ceil(error.retry_after))
    return headers


def as_budgie_error(error: Exception) -> BudgieError | None:
    """The error that the client gets; None if the error is unexpected."""
    if isinstance(error, RequestValidationError):
        found = error.errors()[:MAX_ERRORS]
        return ValidationFailedError(
            errors=[{"field": _field(each["loc"]), "detail": each["msg"]} for each in found]
        )
    if isinstance(error, HTTPException):  # Starlette's own errors: unknown route, wrong method.
        known: dict[int, BudgieError] = {404: RouteNotFoundError(), 405: MethodNotAllowedError()}
        return known.get(error.status_code, BudgieError())
    return known_error(error)


def _field(location: tuple[int | str, ...]) -> str:
    # The location in a discriminated body has the tag after "body".
    parts = [str(part) for i, part in enumerate(location) if not (i == 1 and part in _FORMS)]
    return beginning(".".join(parts), MAX_FIELD, 4 * MAX_FIELD)
