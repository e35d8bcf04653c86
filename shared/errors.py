"""Every failure that a caller can meet: one tree, each with a stable code and an HTTP status.

The ``detail`` is for people; programs decide by ``code``.
"""

from __future__ import annotations

from typing import Any, ClassVar


class BudgieError(Exception):
    """Something unforeseen went wrong here; the request may or may not have had an effect."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or (self.__doc__ or "").split("\n\n")[0])
        self.errors = errors
        self.headers = headers or {}
        self.retry_after = retry_after

    @property
    def detail(self) -> str:
        """What a person reads."""
        return str(self)

    def extra(self) -> dict[str, Any]:
        """Members of the problem document beyond the common ones."""
        return {"errors": self.errors} if self.errors else {}


class MisconfiguredError(BudgieError):
    """The service is not set up correctly; until its operators have corrected that, trying again does not help."""

    code, status, retryable = "misconfigured", 500, False


class MalformedRequestError(BudgieError):
    """The request's body is not the JSON that was announced."""

    code, status, retryable = "malformed_request", 400, False


class UnauthenticatedError(BudgieError):
    """The request carries no verified identity."""

    code, status, retryable = "unauthenticated", 401, False


class ForbiddenError(BudgieError):
    """The caller's role does not allow this."""

    code, status, retryable = "forbidden", 403, False


class NotAMemberError(ForbiddenError):
    """Only members of the channel may do this; join it first."""

    code = "not_a_member"


class RouteNotFoundError(BudgieError):
    """There is nothing at this address."""

    code, status, retryable = "route_not_found", 404, False


class ChannelNotFoundError(BudgieError):
    """There is no such channel, or it is not yours to see."""

    code, status, retryable = "channel_not_found", 404, False


class MessageNotFoundError(BudgieError):
    """There is no such message in this channel."""

    code, status, retryable = "message_not_found", 404, False


class MemberNotFoundError(BudgieError):
    """There is no such member in this channel."""

    code, status, retryable = "member_not_found", 404, False


class MethodNotAllowedError(BudgieError):
    """The address exists, the method does not."""

    code, status, retryable = "method_not_allowed", 405, False


class ConflictError(BudgieError):
    """The channel's present state does not allow this."""

    code, status, retryable = "conflict", 409, False


class ChannelArchivedError(ConflictError):
    """The channel is archived: it can be read, not changed."""

    code = "channel_archived"


class LastOwnerError(ConflictError):
    """A channel keeps at least one owner: make somebody else an owner first."""

    code = "last_owner"


class DirectChannelError(ConflictError):
    """A direct channel always has the same two members, no name and no topic."""

    code = "direct_channel"


class TooManyChannelsError(ConflictError):
    """A user would be in more channels than one may be; leaving one makes room."""

    code = "too_many_channels"


class VersionMismatchError(BudgieError):
    """The channel has none of the versions named in If-Match: it was changed since, or they are no versions."""

    code, status, retryable = "version_mismatch", 412, False


class PayloadTooLargeError(BudgieError):
    """The request's body is larger than any valid request."""

    code, status, retryable = "payload_too_large", 413, False


class UnsupportedMediaTypeError(BudgieError):
    """The body is not sent as JSON in UTF-8, uncompressed; `errors` names the header that says so."""

    code, status, retryable = "unsupported_media_type", 415, False


class ValidationFailedError(BudgieError):
    """A field of the request is missing, unknown, or outside its limits."""

    code, status, retryable = "validation_failed", 422, False


class InvalidCursorError(ValidationFailedError):
    """The cursor was not made by this listing."""

    code = "invalid_cursor"


class PositionOutOfRangeError(ValidationFailedError):
    """The position lies beyond the channel's end."""

    code = "position_out_of_range"


class IdempotencyKeyReusedError(ValidationFailedError):
    """The Idempotency-Key was used for a different request."""

    code = "idempotency_key_reused"


class BatchTooLargeError(ValidationFailedError):
    """The batch has more messages than may be posted here at once; waiting does not help, smaller batches do."""

    code = "batch_too_large"


class RateLimitedError(BudgieError):
    """Too many messages in a short time; nothing was posted."""

    code, status, retryable = "rate_limited", 429, True


class ReadBudgetError(BudgieError):
    """Too many long lists of channels were read or counted for you in this minute; wait as long as Retry-After says."""

    code, status, retryable = "read_budget_used", 429, True


class UnavailableError(BudgieError):
    """The service cannot answer just now; try again, with the same Idempotency-Key where one was sent."""

    code, status, retryable = "unavailable", 503, True


class StoreUnavailableError(UnavailableError):
    """The storage does not answer just now."""

    code = "store_unavailable"


class StoreThrottledError(UnavailableError):
    """The storage refuses more requests just now."""

    code = "store_throttled"


class ContentionError(UnavailableError):
    """Too many writers met at once; nothing was written."""

    code = "contention"


class CommitUnknownError(UnavailableError):
    """Whether the message was stored could not be found out; retry with the same Idempotency-Key."""

    code = "commit_unknown"


def every_error(root: type[BudgieError] = BudgieError) -> list[type[BudgieError]]:
    """The tree as a list, the root first."""
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]
