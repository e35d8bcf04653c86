"""All prices and free allowances behind cost figures: us-east-1, in US dollars.

AWS's and Upstash's were read in 2026 from their price pages; each hosted chat has its page and date. Upstash's plans
are in ``shared/domain/plans.py``. API Gateway has no allowance: its free million ends with an account's first year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MILLION: Final = 1_000_000
READ_UNIT: Final = 0.125 / MILLION
"""DynamoDB on demand: a strongly consistent read of up to 4 KB."""
WRITE_UNIT: Final = 0.625 / MILLION
"""DynamoDB on demand: a write of up to 1 KB."""
API_REQUEST: Final = 1.00 / MILLION
"""API Gateway HTTP API, the first 300 million a month."""
WEBSOCKET_MESSAGE: Final = 1.00 / MILLION
"""API Gateway WebSocket API: a message of up to 32 KB to or from a client, the first billion a month."""
CONNECTION_MINUTE: Final = 0.25 / MILLION
"""A minute of a WebSocket connection."""
LAMBDA_REQUEST: Final = 0.20 / MILLION
LAMBDA_GB_SECOND: Final = 0.0000133334
"""arm64."""
REDIS_COMMAND: Final = 0.20 / 100_000
"""Upstash, pay as you go."""
EGRESS_GB: Final = 0.09

# --- AWS's monthly free allowances, and prices that only a month's bill needs ---

FREE_LAMBDA_REQUESTS: Final = 1_000_000
FREE_LAMBDA_GB_SECONDS: Final = 400_000
FREE_TABLE_UNITS: Final = 15
"""Units per second for reads and for writes of the table itself: 25 are free, and each of its two indexes has 5."""
FREE_STORAGE_GB: Final = 25
FREE_EGRESS_GB: Final = 100
FREE_LOGS_GB: Final = 5
FREE_TRACES: Final = 100_000

STORAGE_PRICE: Final = 0.25
"""A GB and month of DynamoDB."""
BACKUP_PRICE: Final = 0.20
"""A GB and month of point-in-time recovery, without a free allowance."""
LOGS_PRICE: Final = 0.50
"""A GB that CloudWatch ingests."""
TRACE_PRICE: Final = 5.00 / MILLION
TRACED_SECOND: Final = 1
"""Requests a second that X-Ray samples by default, ..."""
TRACED_SHARE: Final = 0.05
"""... and the share of further requests that it samples."""

LOG_EVENT: Final = 26
"""Bytes that CloudWatch adds to each line."""
_ID: Final = "8f2c1d7e-0000-4000-8000-000000000000"
_PLATFORM: Final = (
    f"START RequestId: {_ID} Version: $LATEST\n",
    f"END RequestId: {_ID}\n",
    f"REPORT RequestId: {_ID}\tDuration: 123.45 ms\tBilled Duration: 124 ms\tMemory Size: 512 MB\t",
    f"Max Memory Used: 123 MB\tXRAY TraceId: 1-00000000-{_ID[:24]}\tSegmentId: 0123456789abcdef\tSampled: true\t\n",
)
PLATFORM_LOG: Final = len("".join(_PLATFORM)) + 3 * LOG_EVENT
"""Bytes of the lines that Lambda itself writes for each request."""
ACCESS_LOG: Final = 400 + LOG_EVENT
"""Bytes of API Gateway's line for each request: the template's format with typical values, rounded up."""

# --- Prices that hosted chats publish: list prices from stored copies of their pages, without volume discounts ---

MILLION_PUBLISHED: Final = "a million published messages"
USER_MONTH: Final = "a user active in the month"
UNDATED: Final = "undated copy, read in November 2026"


@dataclass(frozen=True, slots=True)
class Published:
    """A list price.

    Attributes:
        vendor: Vendor and product.
        dollars: Of one ``unit``; None if no page of the vendor states it.
        unit: What is paid for.
        source: The page.
        read: The date of the copy.
        note: What is needed to compare it.
    """

    vendor: str
    dollars: float | None
    unit: str
    source: str
    read: str
    note: str = ""


PUBLISHED: Final = (
    Published(
        "PubNub, by transactions",
        123.00,
        MILLION_PUBLISHED,
        "https://www.pubnub.com/docs/resources/pricing",
        UNDATED,
        "$0.000123 a replicated transaction of up to 2 KB; stored data $8/GB beside",
    ),
    Published(
        "PubNub, by transactions",
        33.00,
        "a million requests of one region, such as receiving",
        "https://www.pubnub.com/docs/resources/pricing",
        UNDATED,
        "$0.000033 an edge transaction of up to 2 KB",
    ),
    Published(
        "Ably, beyond a package",
        2.50,
        "a million messages, each delivery and each read of history one more",
        "https://ably.com/pricing/full-calculator",
        UNDATED,
        "beside channels and connections; new accounts pay by users (ably.com/docs/platform/pricing/resource-based)",
    ),
    Published(
        "Twilio Conversations",
        0.05,
        USER_MONTH,
        "https://www.twilio.com/en-us/messaging/pricing/conversations-api",
        "2026-09-20",
        "the first 200 users are free; transcribed in github.com/api-evangelist/twilio",
    ),
    Published(
        "CometChat, beyond a plan",
        0.10,
        USER_MONTH,
        "https://www.cometchat.com/pricing",
        "2026-09-20",
        "the plans' own prices are not in the copy; transcribed in github.com/api-evangelist/cometchat",
    ),
    Published(
        "ZEGOCLOUD In-app Chat, Pro",
        0.0449,
        USER_MONTH,
        "https://www.zegocloud.com/docs/console/faqs/pricing/fee-for-in-app-chat",
        UNDATED,
        "$449 for every 10,000 users begun",
    ),
    Published(
        "Stream Chat",
        None,
        USER_MONTH,
        "https://getstream.io/chat/pricing/",
        UNDATED,
        "the copies found name plans by users but no price",
    ),
    Published(
        "Sendbird Chat",
        None,
        USER_MONTH,
        "https://sendbird.com/pricing/chat",
        UNDATED,
        "no copy of the page was found; a third party's figures say of themselves that they were not taken from it",
    ),
    Published(
        "Amazon Chime SDK messaging",
        None,
        MILLION_PUBLISHED,
        "https://aws.amazon.com/chime/chime-sdk/pricing/",
        UNDATED,
        "no copy of the page was found",
    ),
)
