"""The responses of each route for the OpenAPI document, as keyword arguments of its decorator."""

from __future__ import annotations

from typing import Any, Final

from shared.domain import errors
from shared.web import response_models
from shared.web.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]
ANYWHERE: Final = (
    errors.MalformedRequestError,
    errors.PayloadTooLargeError,
    errors.ValidationFailedError,
    errors.BudgieError,
)
"""Errors of every route."""
COMMON: Final = (
    *ANYWHERE,
    errors.UnauthenticatedError,
    errors.MisconfiguredError,
    errors.StoreUnavailableError,
    errors.StoreThrottledError,
)
WRITING: Final = (errors.ContentionError, errors.UnsupportedMediaTypeError)
"""Additional errors of every route with a body."""


def problems(*errors: type[errors.BudgieError]) -> Responses:
    """Responses for these errors and for those of every route that needs a caller."""
    return public_problems(*COMMON, *errors)


def public_problems(*errors: type[errors.BudgieError]) -> Responses:
    """Responses for these errors only: one for each status, with an example for each code."""
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


def _example(error: type[errors.BudgieError]) -> dict[str, Any]:
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
    if issubclass(error, errors.ValidationFailedError):
        value["errors"] = [{"field": "body.text", "detail": "String should have at least 1 character"}]
    return {"summary": made.detail, "value": value}


Docs = dict[str, Any]
HIDDEN: Final = errors.ChannelNotFoundError
MEMBERS_ONLY: Final = (HIDDEN, errors.NotAMemberError)
REFUSED: Final = (*MEMBERS_ONLY, errors.ForbiddenError, errors.DirectChannelError)
BLOCKED: Final = (errors.CannotSendError, errors.UserBlockedError)
"""Errors of every write in a direct channel in which one of the two has blocked the other."""
STATE: Final = (errors.ChannelArchivedError, errors.ConflictError, errors.LastOwnerError)
ETAG: Final = {"ETag": header("Weak tag of the response in every content coding, for `If-None-Match`.")}
RATE: Final = {
    "RateLimit-Limit": header(
        "Messages, or changes of messages, allowed at once; a larger batch is 422 `batch_too_large`.",
        "integer",
    ),
    "RateLimit-Remaining": header("Messages that can still be posted now, or changes made.", "integer"),
    "RateLimit-Reset": header("Seconds until the full limit is available again.", "integer"),
}
VARY: Final = {"Vary": header("`Accept-Encoding`.")}
WIRE: Final = {
    "Content-Encoding": header(
        "`zstd` or `gzip`, as `Accept-Encoding` prefers; absent if the response is small."
    ),
    **VARY,
}
CACHE: Final = {
    "X-Cache": header("The cache's outcome: memory, redis, caught_up, miss, stale or none."),
    "Warning": header("`110` if the storage did not respond and the response may be out of date."),
}

PLACE: Final = {"Location": header("The channel's address.")}

LIST_CHANNELS: Final[Docs] = {
    "response_model": response_models.ChannelPage,
    "responses": {
        200: {"headers": CACHE | WIRE},
        **problems(errors.InvalidCursorError, errors.ReadBudgetError),
    },
    "tags": ["channels"],
}
FETCH_MESSAGES: Final[Docs] = {
    "response_model": response_models.Page,
    "responses": {
        200: {
            "headers": {**ETAG, **CACHE, **WIRE},
        },
        304: {"description": "The caller's copy is current.", "headers": VARY},
        **problems(*MEMBERS_ONLY, errors.PositionOutOfRangeError),
    },
    "tags": ["messages"],
}
FETCH_MESSAGE: Final[Docs] = {
    "response_model": response_models.Message,
    "responses": {200: {"headers": WIRE}, **problems(*MEMBERS_ONLY, errors.MessageNotFoundError)},
    "tags": ["messages"],
}
POST_MESSAGE: Final[Docs] = {
    "response_model": response_models.Message | response_models.Batch,
    "status_code": 201,
    "responses": {
        201: {
            "description": "Posted, by this request or by an earlier one with the same key.",
            "headers": {
                "Location": header("The address of a page with exactly these messages."),
                "Idempotency-Replayed": header("`true` if an earlier request posted them."),
                **RATE,
                **WIRE,
            },
        },
        **problems(
            *WRITING,
            *MEMBERS_ONLY,
            errors.ChannelArchivedError,
            errors.IdempotencyKeyReusedError,
            errors.BatchTooLargeError,
            errors.ForbiddenError,
            *BLOCKED,
            errors.TooManyMentionsError,
            errors.RateLimitedError,
            errors.CommitUnknownError,
        ),
    },
    "tags": ["messages"],
}
THREAD: Final = (*MEMBERS_ONLY, errors.MessageNotFoundError, errors.NestedThreadError)
"""Errors of every route of a thread."""
FETCH_REPLIES: Final[Docs] = FETCH_MESSAGES | {
    "responses": {
        **FETCH_MESSAGES["responses"],
        **problems(*THREAD, errors.PositionOutOfRangeError),
    },
}
POST_REPLY: Final[Docs] = POST_MESSAGE | {
    "responses": {
        201: {
            "description": "Posted, by this request or by an earlier one with the same key.",
            "headers": POST_MESSAGE["responses"][201]["headers"]
            | {"Location": header("The address of a page with exactly these replies.")},
        },
        **problems(
            *WRITING,
            *THREAD,
            *BLOCKED,
            errors.ChannelArchivedError,
            errors.MessageDeletedError,
            errors.IdempotencyKeyReusedError,
            errors.BatchTooLargeError,
            errors.TooManyMentionsError,
            errors.RateLimitedError,
            errors.CommitUnknownError,
        ),
    },
}
CHANGED: Final = (
    *MEMBERS_ONLY,
    errors.ChannelArchivedError,
    errors.MessageNotFoundError,
    errors.RateLimitedError,
    *BLOCKED,
)
"""Errors of every change of a message."""
UNSURE: Final = (errors.ContentionError, errors.CommitUnknownError)


def changed(*more: type[errors.BudgieError]) -> Responses:
    """The responses of a change without a body: 204, or what refuses every change, or more."""
    done = {"description": "Changed; without `RateLimit-*` if nothing was to change.", "headers": RATE}
    return {204: done, **problems(*CHANGED, *more, *UNSURE)}


EDIT_MESSAGE: Final[Docs] = {
    "response_model": response_models.Message,
    "responses": {
        200: {
            "headers": {
                "Idempotency-Replayed": header("`true` if an earlier request made the edit."),
                **RATE,
                **ETAG,
                **WIRE,
            }
        },
        **problems(
            *WRITING,
            *CHANGED,
            errors.ForbiddenError,
            errors.EditWindowError,
            errors.MessageDeletedError,
            errors.VersionMismatchError,
            errors.IdempotencyKeyReusedError,
            errors.TooManyMentionsError,
            errors.CommitUnknownError,
        ),
    },
    "tags": ["messages"],
}
DELETE_MESSAGE: Final[Docs] = {
    "status_code": 204,
    "responses": changed(errors.ForbiddenError),
    "tags": ["messages"],
}
ADD_REACTION: Final[Docs] = {
    "response_model": response_models.Message,
    "responses": {
        200: {"headers": RATE | WIRE},
        **problems(*CHANGED, errors.MessageDeletedError, errors.TooManyReactionsError, *UNSURE),
    },
    "tags": ["messages"],
}
REMOVE_REACTION: Final[Docs] = {
    "status_code": 204,
    "responses": changed(),
    "tags": ["messages"],
}
PIN_MESSAGE: Final[Docs] = {
    "status_code": 204,
    "responses": changed(
        errors.ForbiddenError,
        errors.MessageDeletedError,
        errors.NestedThreadError,
        errors.TooManyPinsError,
    ),
    "tags": ["messages"],
}
UNPIN_MESSAGE: Final[Docs] = {
    "status_code": 204,
    "responses": changed(errors.ForbiddenError, errors.NestedThreadError),
    "tags": ["messages"],
}
FETCH_CHANGES: Final[Docs] = {
    "response_model": response_models.ChangePage,
    "responses": {
        200: {"headers": {**ETAG, **WIRE}},
        304: {"description": "The caller's copy is current.", "headers": VARY},
        **problems(*MEMBERS_ONLY, errors.PositionOutOfRangeError),
    },
    "tags": ["messages"],
}
FETCH_REPLY_CHANGES: Final[Docs] = FETCH_CHANGES | {
    "responses": {
        **FETCH_CHANGES["responses"],
        **problems(*THREAD, errors.PositionOutOfRangeError),
    },
}
FETCH_VERSIONS: Final[Docs] = {
    "response_model": response_models.Versions,
    "responses": {
        200: {"headers": WIRE},
        **problems(*MEMBERS_ONLY, errors.ForbiddenError, errors.MessageNotFoundError),
    },
    "tags": ["messages"],
}
FETCH_REACTIONS: Final[Docs] = {
    "response_model": response_models.ReactionPage,
    "responses": {
        200: {"headers": WIRE},
        **problems(*MEMBERS_ONLY, errors.MessageNotFoundError, errors.InvalidCursorError),
    },
    "tags": ["messages"],
}
FETCH_PINS: Final[Docs] = {
    "response_model": response_models.Pins,
    "responses": {200: {"headers": WIRE}, **problems(*MEMBERS_ONLY)},
    "tags": ["messages"],
}
LIST_MENTIONS: Final[Docs] = {
    "response_model": response_models.MentionPage,
    "responses": {
        200: {"headers": WIRE},
        **problems(errors.InvalidCursorError, errors.ReadBudgetError),
    },
    "tags": ["messages"],
}
MARK_READ: Final[Docs] = {
    "response_model": response_models.ReadPosition,
    "responses": {
        200: {"headers": WIRE},
        **problems(*WRITING, *MEMBERS_ONLY, errors.PositionOutOfRangeError),
    },
    "tags": ["messages"],
}
SET_MUTED: Final[Docs] = {
    "response_model": response_models.Muted,
    "responses": {200: {"headers": WIRE}, **problems(*WRITING, *MEMBERS_ONLY)},
    "tags": ["channels"],
}
ISSUE_TICKET: Final[Docs] = {
    "response_model": response_models.Ticket,
    "status_code": 201,
    "responses": {
        201: {"description": "A ticket; docs/realtime.md says how to connect with it.", "headers": WIRE},
        **problems(errors.RouteNotFoundError),
    },
    "tags": ["realtime"],
}
MARK_THREAD_READ: Final[Docs] = {
    "response_model": response_models.ThreadReadPosition,
    "responses": {
        200: {"headers": WIRE},
        **problems(*WRITING, *THREAD, errors.PositionOutOfRangeError),
    },
    "tags": ["messages"],
}
FOLLOW_THREAD: Final[Docs] = {
    "status_code": 204,
    "responses": problems(*THREAD, errors.ContentionError),
    "tags": ["messages"],
}
UNFOLLOW_THREAD: Final[Docs] = FOLLOW_THREAD
LIST_THREADS: Final[Docs] = {
    "response_model": response_models.ThreadPage,
    "responses": {
        200: {"headers": WIRE},
        **problems(errors.InvalidCursorError, errors.ReadBudgetError),
    },
    "tags": ["messages"],
}
CREATE_CHANNEL: Final[Docs] = {
    "response_model": response_models.Channel,
    "status_code": 201,
    "responses": {
        200: {
            "model": response_models.Channel,
            "description": "The existing direct or group channel of these members.",
            "headers": {**PLACE, **ETAG, **WIRE},
        },
        201: {
            "headers": {
                **PLACE,
                "Idempotency-Replayed": header("`true` if an earlier request created it."),
                **ETAG,
                **WIRE,
            }
        },
        # Hidden: a channel that the caller created with this key and has left since.
        **problems(
            *WRITING,
            HIDDEN,
            *BLOCKED,
            errors.IdempotencyKeyReusedError,
            errors.TooManyChannelsError,
            errors.ReadBudgetError,
        ),
    },
    "tags": ["channels"],
}
GET_CHANNEL: Final[Docs] = {
    "response_model": response_models.Channel,
    "responses": {
        200: {"headers": {**ETAG, **WIRE}},
        304: {"description": "The caller's copy is current.", "headers": VARY},
        **problems(HIDDEN, errors.BannedError),
    },
    "tags": ["channels"],
}
UPDATE_CHANNEL: Final[Docs] = {
    "response_model": response_models.Channel,
    "responses": {
        200: {"headers": {**ETAG, **WIRE}},
        **problems(
            *WRITING,
            *REFUSED,
            errors.ChannelArchivedError,
            errors.RetentionRaisedError,
            errors.VersionMismatchError,
        ),
    },
    "tags": ["channels"],
}
ARCHIVE_CHANNEL: Final[Docs] = {
    "status_code": 204,
    "responses": problems(*REFUSED, errors.ContentionError, errors.VersionMismatchError),
    "tags": ["channels"],
}
SET_ARCHIVED: Final[Docs] = {
    "response_model": response_models.Channel,
    "responses": {
        200: {"headers": {**ETAG, **WIRE}},
        **problems(*WRITING, *REFUSED, errors.VersionMismatchError),
    },
    "tags": ["channels"],
}
LIST_MEMBERS: Final[Docs] = {
    "response_model": response_models.MemberPage,
    "responses": {200: {"headers": WIRE}, **problems(HIDDEN, errors.BannedError, errors.InvalidCursorError)},
    "tags": ["members"],
}
PUT_MEMBER: Final[Docs] = {
    "response_model": response_models.Member,
    "responses": {
        200: {"headers": WIRE},
        201: {"model": response_models.Member, "description": "A new member.", "headers": WIRE},
        **problems(
            *WRITING,
            *REFUSED,
            *STATE,
            errors.BannedError,
            errors.UserBannedError,
            errors.TooManyChannelsError,
            errors.ReadBudgetError,
        ),
    },
    "tags": ["members"],
}
REMOVE_MEMBER: Final[Docs] = {
    "status_code": 204,
    "responses": problems(*REFUSED, *STATE, errors.MemberNotFoundError, errors.ContentionError),
    "tags": ["members"],
}
LIST_BLOCKS: Final[Docs] = {
    "response_model": response_models.Blocks,
    "responses": {
        200: {"headers": {**ETAG, **WIRE}},
        304: {"description": "The caller's copy is current.", "headers": VARY},
        **problems(),
    },
    "tags": ["order"],
}
BLOCK_USER: Final[Docs] = {
    "status_code": 204,
    "responses": problems(errors.TooManyBlocksError, errors.ContentionError),
    "tags": ["order"],
}
UNBLOCK_USER: Final[Docs] = {
    "status_code": 204,
    "responses": problems(errors.ContentionError),
    "tags": ["order"],
}
LIST_BANS: Final[Docs] = {
    "response_model": response_models.BanPage,
    "responses": {200: {"headers": WIRE}, **problems(*REFUSED, errors.InvalidCursorError)},
    "tags": ["order"],
}
BAN_USER: Final[Docs] = {
    "response_model": response_models.Ban,
    "responses": {
        200: {"description": "The earlier ban.", "headers": WIRE},
        201: {"model": response_models.Ban, "description": "A new ban.", "headers": WIRE},
        **problems(*WRITING, *REFUSED, errors.ChannelArchivedError, errors.ConflictError),
    },
    "tags": ["order"],
}
UNBAN_USER: Final[Docs] = {
    "status_code": 204,
    "responses": problems(*REFUSED, errors.ChannelArchivedError, errors.ContentionError),
    "tags": ["order"],
}
REPORT_MESSAGE: Final[Docs] = {
    "response_model": response_models.ReportMade,
    "status_code": 201,
    "responses": {
        200: {
            "model": response_models.ReportMade,
            "description": "The caller's earlier report of the message.",
            "headers": WIRE,
        },
        201: {"headers": WIRE},
        **problems(
            *WRITING,
            *MEMBERS_ONLY,
            errors.DirectChannelError,
            errors.MessageNotFoundError,
            errors.TooManyReportsError,
        ),
    },
    "tags": ["order"],
}
LIST_REPORTS: Final[Docs] = {
    "response_model": response_models.ReportPage,
    "responses": {200: {"headers": WIRE}, **problems(*REFUSED, errors.InvalidCursorError)},
    "tags": ["order"],
}
CLOSE_REPORT: Final[Docs] = {
    "response_model": response_models.Report,
    "responses": {
        200: {"headers": WIRE},
        **problems(
            *WRITING,
            *REFUSED,
            errors.ChannelArchivedError,
            errors.ReportNotFoundError,
            errors.ReportClosedError,
        ),
    },
    "tags": ["order"],
}
FETCH_READS: Final[Docs] = {
    "response_model": response_models.Reads,
    "responses": {
        200: {"headers": WIRE},
        **problems(*MEMBERS_ONLY, errors.ReadsHiddenError, errors.TooManyMembersError),
    },
    "tags": ["members"],
}
CHECK_HEALTH: Final[Docs] = {
    "response_model": response_models.Health,
    "responses": {
        200: {"headers": WIRE},
        503: {"model": response_models.Health, "description": "DynamoDB does not respond.", "headers": WIRE},
        **public_problems(*ANYWHERE),
    },
    "tags": ["operations"],
}
PROBE_HEALTH: Final[Docs] = {
    "responses": {
        200: {"description": "The function works; after a deep check, DynamoDB does too."},
        503: {"description": "DynamoDB does not respond."},
        **public_problems(*ANYWHERE),
    },
    "tags": ["operations"],
}
