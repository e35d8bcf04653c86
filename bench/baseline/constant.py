"""The floor of the load test: constant responses of realistic sizes, so that gateway, network and client remain."""

from __future__ import annotations

from typing import Any, Final

from bench.lib.chat import PAGE
from bench.lib.conversations import bodies

MESSAGES: Final = [body.decode() for body in bodies(PAGE)]
RESPONSES: Final = {
    "GET /v1/channels": (200, f'{{"channels":[{",".join(MESSAGES[:20])}]}}'),
    "GET /v1/channels/{channel_id}/messages": (200, f'{{"messages":[{",".join(MESSAGES)}]}}'),
    "POST /v1/channels/{channel_id}/messages": (201, MESSAGES[0]),
}
"""Status and body, by route."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Returns a response in API Gateway's payload format 2.0."""
    status, body = RESPONSES[event["routeKey"]]
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": body,
        "isBase64Encoded": False,
    }
