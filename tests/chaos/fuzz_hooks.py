"""What schemathesis cannot know of Budgie: checks of our own, in its environment and not in the project's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import schemathesis
from schemathesis.core.failures import Failure

UNSPEAKABLE: Final = (
    "bytes in UTF-8",
    "bytes of JSON",
    "not valid JSON",
    "at most one of before, after, around and anchor",
    "not allowed with scope=public",
    "a user id has 1 to 128 bytes",
    "contains no visible character",
    "name: required for this kind of channel",
    "a direct or group channel has no name, topic or slow_mode",
    "A direct channel has at most one member other than the caller.",
    "A group channel has 3 to 10 members, the caller included.",
    "neither one emoji nor a shortcode",
    "text or metadata is required",
    "You cannot block yourself.",
)
"""Why a request may be refused that its schema allows: JSON Schema has no words for these; descriptions say them."""
OF_THE_STATE: Final = frozenset(
    {"version_mismatch", "invalid_cursor", "position_out_of_range", "idempotency_key_reused"}
)
"""Codes that depend on what is stored, not on how the request looks."""
PRECONDITION, UNPROCESSABLE, NOT_FOUND = 412, 422, 404
_PARAMETERS: Final = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())["components"][
    "parameters"
]
_IF_MATCH: Final = re.compile(_PARAMETERS["if-match"]["schema"]["pattern"])


@schemathesis.check  # type: ignore[untyped-decorator]  # the project's environment lacks it
def validity_is_documented(ctx, response, case) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001 - its signature
    """What the schema allows is refused only for a reason that the schema cannot say."""
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_valid or response.status_code not in {PRECONDITION, UNPROCESSABLE}:
        return
    if_match = (case.headers or {}).get("if-match")
    if if_match is not None and not _IF_MATCH.search(str(if_match)):
        return  # Schemathesis (4.32.5) takes headers such as `0` and `null` for valid, whatever their pattern says.
    problem = response.json()
    details = [error["detail"] for error in problem.get("errors", [])]
    known = details and all(any(reason in detail for reason in UNSPEAKABLE) for detail in details)
    if problem["code"] not in OF_THE_STATE and not known:
        raise Failure(
            operation=case.operation.label,
            title="Valid request refused",
            message=f"{problem['code']}: {details}",
        )


@schemathesis.check  # type: ignore[untyped-decorator]  # the project's environment lacks it
def unknown_method_is_404(ctx, response, case) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001 - its signature
    """API Gateway's own response to a method that no route has."""
    declared = {each.upper() for each in case.operation.schema[case.operation.path]}
    if response.request.method in declared | {"OPTIONS", "HEAD"}:
        return
    if response.status_code != NOT_FOUND or response.json() != {"message": "Not Found"}:
        raise Failure(
            operation=case.operation.label, title="Unknown method", message=f"answered {response.status_code}"
        )
