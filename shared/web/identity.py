"""Who calls: the claims that API Gateway's JWT authorizer verified, and nothing else."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Request

from shared.domain import keys
from shared.domain.errors import UnauthenticatedError


def claims_of(event: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever invoked the function
    """The verified claims in an API Gateway event; empty where there are none."""
    found = event
    for name in ("requestContext", "authorizer", "jwt", "claims"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def user_of(event: Any) -> str | None:  # noqa: ANN401 - whatever invoked the function
    """The user's id, the ``sub`` claim; None where there is none that could be one."""
    subject = claims_of(event).get("sub")
    return subject if isinstance(subject, str) and keys.may_call(subject) else None


def user_hash(user_id: str | None) -> str | None:
    """How a log names a user: enough to follow one, too little to know them by."""
    return sha256(user_id.encode()).hexdigest()[:12] if user_id else None


async def caller(request: Request) -> str:
    """The caller's user id.

    Raises:
        UnauthenticatedError: the request has no verified identity.
    """
    state = request.scope.get(
        "state", {}
    )  # ``RequestMiddleware`` has looked already, where it stands around the route.
    user_id = state["user_id"] if "user_id" in state else user_of(request.scope.get("aws.event"))
    if user_id is None:
        raise UnauthenticatedError
    return str(user_id)


Caller = Annotated[str, Depends(caller)]
