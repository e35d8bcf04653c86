"""All errors that a caller can get: one tree; each class has a stable code, an HTTP status and a text.

The ``detail`` is for people; programs decide by ``code``. It is data because ``python -OO`` removes docstrings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from shared.domain.rate_limit import Verdict


class BudgieError(Exception):
    """The root of the tree; raised as itself for unexpected errors.

    Attributes:
        code: identifies the error to programs; never changes.
        status: the HTTP status.
        retryable: whether the same request may succeed later.
        detail: a sentence for people; the class's, unless the instance has its own.

    Args:
        detail: replaces the class's text.
        errors: the invalid fields, each with ``field`` and ``detail``.
        retry_after: seconds until a retry may succeed; sent rounded up.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = True
    detail: str = "An unexpected error occurred; the request may or may not have had an effect."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)
        self.errors = errors
        self.retry_after = retry_after

    def extra(self) -> dict[str, Any]:
        """Additional members of the problem document."""
        return {"errors": self.errors} if self.errors else {}


class MisconfiguredError(BudgieError):
    """AWS refuses a call permanently, or a setting is invalid; logged, and counted by a metric."""

    code, status, retryable = "misconfigured", 500, False
    detail = "The service is misconfigured. Retrying does not help until its operators have corrected that."


class MalformedRequestError(BudgieError):
    """A body that cannot be parsed, or an event that is not an HTTP request."""

    code, status, retryable = "malformed_request", 400, False
    detail = "The request's body is not valid JSON."


class InvalidFrameError(BudgieError):
    """A WebSocket message that is no frame of ``docs/realtime.md``; nothing was done."""

    code, status, retryable = "invalid_frame", 400, False
    detail = "The message is not a frame that clients may send."


class UnauthenticatedError(BudgieError):
    """The event has no ``sub`` claim verified by API Gateway."""

    code, status, retryable = "unauthenticated", 401, False
    detail = "The request has no verified identity."


class ForbiddenError(BudgieError):
    """The member's role lacks the right; ``docs/authorization.yaml`` lists all rights."""

    code, status, retryable = "forbidden", 403, False
    detail = "Your role in the channel does not allow this."


class NotAMemberError(ForbiddenError):
    """The caller can see the public channel, but the request needs a membership."""

    code = "not_a_member"
    detail = "Only members of the channel may do this. Join it first."


class EditWindowError(ForbiddenError):
    """An edit after the channel's ``edit_window``."""

    code = "edit_window_over"
    detail = "The time in which messages of this channel may be edited is over for this one."


class CannotSendError(ForbiddenError):
    """The other member of a direct channel has blocked the caller; the text does not say so."""

    code = "cannot_send"
    detail = "You cannot send here."


class BannedError(ForbiddenError):
    """The caller is banned from the public channel."""

    code = "banned"
    detail = "You are banned from this channel."


class ReadsHiddenError(ForbiddenError):
    """Read positions in a channel whose setting ``show_reads`` is off."""

    code = "reads_hidden"
    detail = "This channel does not show its members' read positions."


class RouteNotFoundError(BudgieError):
    """No route has this path."""

    code, status, retryable = "route_not_found", 404, False
    detail = "No such path."


class ChannelNotFoundError(BudgieError):
    """No channel has this id, or it is hidden from the caller; the response is the same."""

    code, status, retryable = "channel_not_found", 404, False
    detail = "There is no such channel, or you have no access to it."


class MessageNotFoundError(BudgieError):
    """The position given for ``around`` holds no message."""

    code, status, retryable = "message_not_found", 404, False
    detail = "There is no such message in this channel."

    def __init__(self, detail: str | None = None, *, expired_before: int | None = None) -> None:
        super().__init__(detail)
        self.expired_before = expired_before

    def extra(self) -> dict[str, Any]:
        """Says from which position on messages have not expired, if this one has."""
        return {} if self.expired_before is None else {"expired_before": self.expired_before}

    @classmethod
    def expired(cls, boundary: int) -> Self:
        """The error for a message up to the position ``boundary``, where all have expired."""
        return cls("The message has expired.", expired_before=boundary + 1)


class MemberNotFoundError(BudgieError):
    """The user whose membership is to be changed or removed is not a member."""

    code, status, retryable = "member_not_found", 404, False
    detail = "There is no such member in this channel."


class ReportNotFoundError(BudgieError):
    """No report of the channel has this id."""

    code, status, retryable = "report_not_found", 404, False
    detail = "There is no such report in this channel."


class MethodNotAllowedError(BudgieError):
    """The path exists, but not with this method."""

    code, status, retryable = "method_not_allowed", 405, False
    detail = "The path does not support this method."

    def __init__(self, detail: str | None = None, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.allowed = allowed


class ConflictError(BudgieError):
    """The parent of errors caused by a channel's current state."""

    code, status, retryable = "conflict", 409, False
    detail = "The channel's current state does not allow this."


class ChannelArchivedError(ConflictError):
    """A change to an archived channel."""

    code = "channel_archived"
    detail = "The channel is archived and can only be read until an owner unarchives it."


class LastOwnerError(ConflictError):
    """A change after which a channel would have no owner."""

    code = "last_owner"
    detail = "A channel must have at least one owner. Make another member an owner first."


class DirectChannelError(ConflictError):
    """A change that direct and group channels do not support."""

    code = "direct_channel"
    detail = "A direct or group channel always has the same members, and no name, topic or settings."


class TooManyChannelsError(ConflictError):
    """A user would be in more than ``MAX_CHANNELS_PER_USER`` channels."""

    code = "too_many_channels"
    detail = "The user has reached the limit of channels and must leave one first."


class UserBlockedError(ConflictError):
    """The caller has blocked the other member of the direct channel."""

    code = "user_blocked"
    detail = "You have blocked this user. Unblock them before you write to them."


class TooManyBlocksError(ConflictError):
    """One block more than a user may have."""

    code = "too_many_blocks"
    detail = "You have reached the limit of 500 blocked users. Unblock one first."


class UserBannedError(ConflictError):
    """The user who is to be added is banned from the channel."""

    code = "user_banned"
    detail = "The user is banned from this channel. A moderator or owner must lift the ban first."


class TooManyReportsError(ConflictError):
    """One open report more than a channel may have."""

    code = "too_many_reports"
    detail = "The channel has reached the limit of 1,000 open reports. Its moderators must close some first."


class ReportClosedError(ConflictError):
    """A report that was closed with another resolution."""

    code = "report_closed"
    detail = "The report is closed already, with another resolution."


class TooManyMembersError(ConflictError):
    """Read positions in a channel of more than ``MAX_READS`` members."""

    code = "too_many_members"
    detail = "The channel has more than 100 members, so their read positions are not shown."


class MessageDeletedError(ConflictError):
    """A change of a message that was deleted, or whose author was erased."""

    code = "message_deleted"
    detail = "The message was deleted. It can be neither edited, nor reacted to, nor pinned."


class NestedThreadError(ConflictError):
    """A thread of a reply, or a pin of one."""

    code = "nested_thread"
    detail = "The message is a reply: it has no thread of its own and cannot be pinned. Use the thread that it is in."


class TooManyReactionsError(ConflictError):
    """One emoji more than a message may have."""

    code = "too_many_reactions"
    detail = (
        "The message has reactions with 20 different emoji, which is the limit. One of these can be used."
    )


class TooManyPinsError(ConflictError):
    """One pin more than a channel may have."""

    code = "too_many_pins"
    detail = "The channel has reached the limit of 50 pinned messages. Unpin one first."


class TooManyWatchesError(ConflictError):
    """A connection would watch more logs than it may; nothing was written."""

    code = "too_many_watches"
    detail = "A connection may watch 200 channels and threads. Unwatch some first."


class NotWatchedError(ConflictError):
    """``typing`` in a log that the connection does not watch."""

    code = "not_watched"
    detail = "The connection does not watch this. Watch it with `live` first."


class RetentionRaisedError(ConflictError):
    """A longer retention, when earlier messages already have as many shorter ones as a head keeps."""

    code = "retention_raised"
    detail = (
        "The retention was raised three times, and messages from before still expire as it was then. "
        "It can be raised again when they have, or lowered now."
    )


class ConnectionEndedError(BudgieError):
    """A frame of a connection that has expired, or was ended."""

    code, status, retryable = "connection_ended", 410, False
    detail = "The connection has ended. Get a ticket and connect again."


class VersionMismatchError(BudgieError):
    """``If-Match`` does not name the channel's current version."""

    code, status, retryable = "version_mismatch", 412, False
    detail = "The version is none of those in If-Match: it was changed since, or they are not versions."


class PayloadTooLargeError(BudgieError):
    """The body is larger than the route's limit."""

    code, status, retryable = "payload_too_large", 413, False
    detail = "The request's body is larger than any valid one."


class UnsupportedMediaTypeError(BudgieError):
    """A ``Content-Type`` or ``Content-Encoding`` that the API does not support; the arguments name one that it does."""

    code, status, retryable = "unsupported_media_type", 415, False
    detail = "The body must be uncompressed JSON in UTF-8; `errors` names the header that says otherwise."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        media_type: str | None = None,
        coding: str | None = None,
    ) -> None:
        super().__init__(detail, errors=errors)
        self.media_type = media_type
        self.coding = coding


class ValidationFailedError(BudgieError):
    """The request is invalid; ``errors`` names each field."""

    code, status, retryable = "validation_failed", 422, False
    detail = "A field of the request is missing, unknown, or outside its limits."


class InvalidCursorError(ValidationFailedError):
    """A cursor that cannot be decoded, or belongs to another listing."""

    code = "invalid_cursor"
    detail = "The cursor was not issued by this listing."

    @classmethod
    def of_query(cls) -> Self:
        """The error for the parameter ``cursor``."""
        return cls(errors=[{"field": "query.cursor", "detail": "Not a cursor of this listing."}])


class PositionOutOfRangeError(ValidationFailedError):
    """A position after the channel's last one."""

    code = "position_out_of_range"
    detail = "The position is beyond the channel's end."

    @classmethod
    def beyond(cls, end: int, field: str) -> Self:
        """The error for a field, where the last position is ``end``."""
        detail = f"The last position is {end}."
        return cls(detail, errors=[{"field": field, "detail": detail}])


class IdempotencyKeyReusedError(ValidationFailedError):
    """The hash stored under the key belongs to a different request."""

    code = "idempotency_key_reused"
    detail = "The Idempotency-Key was used for a different request."


class BatchTooLargeError(ValidationFailedError):
    """A batch larger than the rate limit's burst."""

    code = "batch_too_large"
    detail = "The batch has more messages than may be posted here at once. Send smaller batches; waiting does not help."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(detail, errors=errors)
        self.limit = limit


class TooManyMentionsError(ValidationFailedError):
    """A request that names more users than one may."""

    code = "too_many_mentions"
    detail = "One request may name at most 50 users."


class RateLimitedError(BudgieError):
    """The rate limit or the channel's slow mode; ``verdict`` says which limit and when to retry."""

    code, status, retryable = "rate_limited", 429, True
    detail = "Too many messages in a short time; nothing was posted."

    def __init__(self, detail: str | None = None, *, verdict: Verdict | None = None) -> None:
        super().__init__(detail, retry_after=verdict.retry_after_seconds if verdict else None)
        self.verdict = verdict


class ReadBudgetError(BudgieError):
    """The user's budget for expensive reads in this minute is spent (``docs/adr/0016``)."""

    code, status, retryable = "read_budget_used", 429, True
    detail = (
        "You have read or counted too many long lists of channels in this minute. Wait as Retry-After says."
    )


class UnavailableError(BudgieError):
    """The parent of temporary errors."""

    code, status, retryable = "unavailable", 503, True
    detail = (
        "The service is temporarily unavailable. Try again, with the same Idempotency-Key if you sent one."
    )


class StoreUnavailableError(UnavailableError):
    """DynamoDB did not respond, or responded with an error of its own."""

    code = "store_unavailable"
    detail = "The storage is temporarily unavailable."


class StoreThrottledError(UnavailableError):
    """DynamoDB throttled every try."""

    code = "store_throttled"
    detail = "The storage is temporarily overloaded."


class ContentionError(UnavailableError):
    """Every try conflicted with other writers."""

    code = "contention"
    detail = "Too many concurrent writes; nothing was written."


class CommitUnknownError(UnavailableError):
    """The response to a commit was lost, and so were the responses to all attempts to find its outcome."""

    code = "commit_unknown"
    detail = "It is unknown whether the message was stored. Retry with the same Idempotency-Key."


def every_error(root: type[BudgieError] = BudgieError) -> list[type[BudgieError]]:
    """The tree as a list, the root first."""
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]
