"""Floor A: a Lambda function that does nothing, for it imports nothing."""

from __future__ import annotations


def handler(_event: object, _context: object) -> dict[str, object]:
    """Says that it is there."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"hello":"world"}'}
