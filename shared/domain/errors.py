"""Every failure that a caller can meet: one tree, each with a stable code, an HTTP status and a text.

The ``detail`` is for people; programs decide by ``code``. It is data, as docstrings vanish under ``python -OO``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from shared.domain.rate_limit import Verdict


class BudgieError(Exception):
    """The root of the tree; by itself, what nobody foresaw.

    Attributes:
        code: what programs decide by; it never changes.
        status: of HTTP.
        retryable: whether the same request may go well later.
        detail: the sentence that a person reads, the class's unless one is given.

    Args:
        detail: says more than the class's.
        errors: the fields at fault, each with ``field`` and ``detail``.
        retry_after: seconds until another try may go well; sent rounded up.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = True
    detail: str = "Something unforeseen went wrong here; the request may or may not have had an effect."

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
        """Members of the problem document beyond the common ones."""
        return {"errors": self.errors} if self.errors else {}


class MisconfiguredError(BudgieError):
    """AWS refuses what it will refuse again, or a setting cannot be used: logged, and counted by a metric."""

    code, status, retryable = "misconfigured", 500, False
    detail = "The service is not set up correctly; until its operators have corrected that, trying again does not help."


class MalformedRequestError(BudgieError):
    """A body that cannot be parsed, or an event that is no HTTP request."""

    code, status, retryable = "malformed_request", 400, False
    detail = "The request's body is not the JSON that was announced."


class UnauthenticatedError(BudgieError):
    """The event carries no ``sub`` that API Gateway verified."""

    code, status, retryable = "unauthenticated", 401, False
    detail = "The request carries no verified identity."


class ForbiddenError(BudgieError):
    """A member whose role lacks the right; ``docs/authorization.yaml`` has all of them."""

    code, status, retryable = "forbidden", 403, False
    detail = "The caller's role does not allow this."


class NotAMemberError(ForbiddenError):
    """The caller sees a public channel, and does there what members do."""

    code = "not_a_member"
    detail = "Only members of the channel may do this; join it first."


class RouteNotFoundError(BudgieError):
    """No function serves the path."""

    code, status, retryable = "route_not_found", 404, False
    detail = "There is nothing at this address."


class ChannelNotFoundError(BudgieError):
    """No channel has this id, or it is hidden from the caller: both are answered alike."""

    code, status, retryable = "channel_not_found", 404, False
    detail = "There is no such channel, or it is not yours to see."


class MessageNotFoundError(BudgieError):
    """The position that a window is to be around holds no message."""

    code, status, retryable = "message_not_found", 404, False
    detail = "There is no such message in this channel."


class MemberNotFoundError(BudgieError):
    """The user whose membership is to be changed or ended has none."""

    code, status, retryable = "member_not_found", 404, False
    detail = "There is no such member in this channel."


class MethodNotAllowedError(BudgieError):
    """The path is served by another method."""

    code, status, retryable = "method_not_allowed", 405, False
    detail = "The address exists, the method does not."

    def __init__(self, detail: str | None = None, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.allowed = allowed


class ConflictError(BudgieError):
    """The parent of refusals for the state that a channel is in."""

    code, status, retryable = "conflict", 409, False
    detail = "The channel's present state does not allow this."


class ChannelArchivedError(ConflictError):
    """A change of an archived channel."""

    code = "channel_archived"
    detail = "The channel is archived: it can be read, not changed."


class LastOwnerError(ConflictError):
    """A change after which a channel would have no owner."""

    code = "last_owner"
    detail = "A channel keeps at least one owner: make somebody else an owner first."


class DirectChannelError(ConflictError):
    """A change that direct channels do not have."""

    code = "direct_channel"
    detail = "A direct channel always has the same two members, no name and no topic."


class TooManyChannelsError(ConflictError):
    """A membership more than ``MAX_CHANNELS_PER_USER``."""

    code = "too_many_channels"
    detail = "A user would be in more channels than one may be; leaving one makes room."


class VersionMismatchError(BudgieError):
    """``If-Match`` names no version that the channel has."""

    code, status, retryable = "version_mismatch", 412, False
    detail = "The channel has none of the versions named in If-Match: it was changed since, or they are no versions."


class PayloadTooLargeError(BudgieError):
    """More bytes than the route's largest body."""

    code, status, retryable = "payload_too_large", 413, False
    detail = "The request's body is larger than any valid request."


class UnsupportedMediaTypeError(BudgieError):
    """A ``Content-Type`` or ``Content-Encoding`` that is not read here; one of the arguments says what would be."""

    code, status, retryable = "unsupported_media_type", 415, False
    detail = "The body is not sent as JSON in UTF-8, uncompressed; `errors` names the header that says so."

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
    """What validation refuses; ``errors`` names each field."""

    code, status, retryable = "validation_failed", 422, False
    detail = "A field of the request is missing, unknown, or outside its limits."


class InvalidCursorError(ValidationFailedError):
    """A cursor that cannot be decoded, or is another listing's."""

    code = "invalid_cursor"
    detail = "The cursor was not made by this listing."

    @classmethod
    def of_query(cls) -> Self:
        """Of the parameter ``cursor``."""
        return cls(errors=[{"field": "query.cursor", "detail": "Not a cursor of this listing."}])


class PositionOutOfRangeError(ValidationFailedError):
    """A position above the channel's last one."""

    code = "position_out_of_range"
    detail = "The position lies beyond the channel's end."

    @classmethod
    def beyond(cls, end: int, field: str) -> Self:
        """Of a field, in a channel whose last position is ``end``."""
        detail = f"The channel's last position is {end}."
        return cls(detail, errors=[{"field": field, "detail": detail}])


class IdempotencyKeyReusedError(ValidationFailedError):
    """The hash that is stored under the key is another request's."""

    code = "idempotency_key_reused"
    detail = "The Idempotency-Key was used for a different request."


class BatchTooLargeError(ValidationFailedError):
    """A batch larger than the burst that the rate limit allows."""

    code = "batch_too_large"
    detail = "The batch has more messages than may be posted here at once; waiting does not help, smaller batches do."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(detail, errors=errors)
        self.limit = limit


class RateLimitedError(BudgieError):
    """The rate limit or the channel's slow mode; ``verdict`` says which limit, and when to try again."""

    code, status, retryable = "rate_limited", 429, True
    detail = "Too many messages in a short time; nothing was posted."

    def __init__(self, detail: str | None = None, *, verdict: Verdict | None = None) -> None:
        super().__init__(detail, retry_after=verdict.retry_after_seconds if verdict else None)
        self.verdict = verdict


class ReadBudgetError(BudgieError):
    """The user's budget of this minute for expensive reads is spent (``docs/adr/0016``)."""

    code, status, retryable = "read_budget_used", 429, True
    detail = (
        "Too many long lists of channels were read or counted for you in this minute; "
        "wait as long as Retry-After says."
    )


class UnavailableError(BudgieError):
    """The parent of what passes by itself."""

    code, status, retryable = "unavailable", 503, True
    detail = (
        "The service cannot answer just now; try again, with the same Idempotency-Key where one was sent."
    )


class StoreUnavailableError(UnavailableError):
    """DynamoDB gave no answer, or a fault of its own."""

    code = "store_unavailable"
    detail = "The storage does not answer just now."


class StoreThrottledError(UnavailableError):
    """DynamoDB throttled, after all tries."""

    code = "store_throttled"
    detail = "The storage refuses more requests just now."


class ContentionError(UnavailableError):
    """Conflicts with other writers, after all tries."""

    code = "contention"
    detail = "Too many writers met at once; nothing was written."


class CommitUnknownError(UnavailableError):
    """A commit's answer was lost, and so were those of all tries to find out."""

    code = "commit_unknown"
    detail = "Whether the message was stored could not be found out; retry with the same Idempotency-Key."


def every_error(root: type[BudgieError] = BudgieError) -> list[type[BudgieError]]:
    """The tree as a list, the root first."""
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]
