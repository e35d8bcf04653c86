"""The caller's identity: only from the claims that API Gateway's JWT authorizer verified."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from shared.domain import keys
from shared.domain.errors import UnauthenticatedError


def claims_of(event: Any) -> dict[str, Any]:  # noqa: ANN401 - any payload
    """The verified claims of an API Gateway event; empty if there are none."""
    found = event
    for name in ("requestContext", "authorizer", "jwt", "claims"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def user_of(event: Any) -> str | None:  # noqa: ANN401 - any payload
    """The user id: the ``sub`` claim; None if it is missing or not a valid user id."""
    subject = claims_of(event).get("sub")
    return subject if isinstance(subject, str) and keys.may_call(subject) else None


async def caller(request: Request) -> str:
    """The caller's user id.

    Raises:
        UnauthenticatedError: the request has no verified identity.
    """
    # ``RequestMiddleware`` has read it already, if the route runs inside it.
    state = request.scope.get("state", {})
    user_id = state["user_id"] if "user_id" in state else user_of(request.scope.get("aws.event"))
    if user_id is None:
        raise UnauthenticatedError
    return str(user_id)


Caller = Annotated[str, Depends(caller)]
