"""What AWS gives for nothing each month, and prices that only a month's bill needs: us-east-1, dollars, read in 2026.

API Gateway has no allowance here: its free million ends with an account's first year.
"""

from __future__ import annotations

from typing import Final

MILLION: Final = 1_000_000
GB: Final = 1_000_000_000

LAMBDA_REQUESTS: Final = 1_000_000
LAMBDA_GB_SECONDS: Final = 400_000
TABLE_UNITS: Final = 15
"""Units a second, each way, of the table itself: 25 are free, and the template gives 5 to each of its two indexes."""
STORAGE_GB: Final = 25
EGRESS_GB: Final = 100
LOGS_GB: Final = 5
TRACES: Final = 100_000

STORAGE_PRICE: Final = 0.25
"""A GB and month of DynamoDB."""
BACKUP_PRICE: Final = 0.20
"""A GB and month of point-in-time recovery, which nothing is free of."""
LOGS_PRICE: Final = 0.50
"""A GB that CloudWatch takes in."""
TRACE_PRICE: Final = 5.00 / MILLION
TRACED_SECOND: Final = 1
"""Requests a second that X-Ray samples by default; of those beyond it,"""
TRACED_SHARE: Final = 0.05

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
"""Bytes of the lines that Lambda itself writes about each request."""
ACCESS_LOG: Final = 400 + LOG_EVENT
"""Bytes of API Gateway's line about each request: the template's format with ordinary values, rounded up."""
