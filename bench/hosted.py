"""What hosted chats publish as their prices, to set beside ours: list prices, read from stored copies of their pages.

Nothing here was asked of a vendor, and volume discounts are not in it. Where a stored copy has no date of its own, the
month in which it was read is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MILLION_PUBLISHED: Final = "a million published messages"
USER_MONTH: Final = "a user active in the month"
UNDATED: Final = "undated copy, read in November 2026"


@dataclass(frozen=True, slots=True)
class Price:
    """A list price.

    Attributes:
        vendor: Vendor and product.
        dollars: Of one ``unit``; None where no page of the vendor's that states it was found.
        unit: What is paid for.
        source: The page.
        read: The date of the copy.
        note: What one must know to compare.
    """

    vendor: str
    dollars: float | None
    unit: str
    source: str
    read: str
    note: str = ""


PRICES: Final = (
    Price(
        "PubNub, by transactions",
        123.00,
        MILLION_PUBLISHED,
        "https://www.pubnub.com/docs/resources/pricing",
        UNDATED,
        "$0.000123 a replicated transaction of up to 2 KB; stored data $8/GB beside",
    ),
    Price(
        "PubNub, by transactions",
        33.00,
        "a million requests of one region, such as receiving",
        "https://www.pubnub.com/docs/resources/pricing",
        UNDATED,
        "$0.000033 an edge transaction of up to 2 KB",
    ),
    Price(
        "Ably, beyond a package",
        2.50,
        "a million messages, each delivery and each read of history one more",
        "https://ably.com/pricing/full-calculator",
        UNDATED,
        "beside channels and connections; new accounts pay by users (ably.com/docs/platform/pricing/resource-based)",
    ),
    Price(
        "Twilio Conversations",
        0.05,
        USER_MONTH,
        "https://www.twilio.com/en-us/messaging/pricing/conversations-api",
        "2026-09-20",
        "the first 200 users are free; transcribed in github.com/api-evangelist/twilio",
    ),
    Price(
        "CometChat, beyond a plan",
        0.10,
        USER_MONTH,
        "https://www.cometchat.com/pricing",
        "2026-09-20",
        "the plans' own prices are not in the copy; transcribed in github.com/api-evangelist/cometchat",
    ),
    Price(
        "ZEGOCLOUD In-app Chat, Pro",
        0.0449,
        USER_MONTH,
        "https://www.zegocloud.com/docs/console/faqs/pricing/fee-for-in-app-chat",
        UNDATED,
        "$449 for every 10,000 users begun",
    ),
    Price(
        "Stream Chat",
        None,
        USER_MONTH,
        "https://getstream.io/chat/pricing/",
        UNDATED,
        "the copies found name plans by users but no price",
    ),
    Price(
        "Sendbird Chat",
        None,
        USER_MONTH,
        "https://sendbird.com/pricing/chat",
        UNDATED,
        "no copy of the page was found; a third party's figures say of themselves that they were not taken from it",
    ),
    Price(
        "Amazon Chime SDK messaging",
        None,
        MILLION_PUBLISHED,
        "https://aws.amazon.com/chime/chime-sdk/pricing/",
        UNDATED,
        "no copy of the page was found",
    ),
)
