"""Invocation payloads: events of an HTTP API, and anything else, which gets a response too."""

from __future__ import annotations

import re
from typing import Any, Final

NO_EVENT: Final[dict[str, Any]] = {
    "version": "2.0",
    "requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": ""}},
}
"""Used in place of any other payload: a warm-up ping, another payload format, an event with a malformed field."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which cannot be logged."""


def as_event(given: Any) -> dict[str, Any]:  # noqa: ANN401 - any payload
    """The event, if it has payload format 2.0 and each field that is read has the right type; else ``NO_EVENT``.

    Claims are not checked here, because ``identity`` accepts claims of any type.
    """
    return given if isinstance(given, dict) and _is_event(given) else NO_EVENT


def _is_event(event: dict[str, Any]) -> bool:
    context, headers, body = event.get("requestContext"), event.get("headers", {}), event.get("body")
    parameters = event.get("pathParameters")
    http = context.get("http") if isinstance(context, dict) else None
    return (
        event.get("version") == "2.0"
        and isinstance(http, dict)
        and _are_texts(http.get("method"), http.get("path"), http.get("sourceIp"))
        and _are_texts(
            event.get("routeKey", ""), event.get("rawQueryString", ""), "" if body is None else body
        )
        and not _SURROGATE.search(event.get("routeKey", ""))
        and (parameters is None or (isinstance(parameters, dict) and _are_texts(*parameters.values())))
        and isinstance(headers, dict)
        and _are_texts(*headers, *headers.values())
        and isinstance(event.get("cookies", []), list)
        and _are_texts(*event.get("cookies", []))
    )


def _are_texts(*values: Any) -> bool:  # noqa: ANN401 - as above
    return {str}.issuperset(map(type, values))  # On every request: half the time of checking each.
