"""Prices that cost figures are made from: us-east-1, in US dollars, read in 2026 from the providers' price pages."""

from __future__ import annotations

from typing import Final

MILLION: Final = 1_000_000
READ_UNIT: Final = 0.125 / MILLION
"""DynamoDB on demand: a strongly consistent read of up to 4 KB."""
WRITE_UNIT: Final = 0.625 / MILLION
"""DynamoDB on demand: a write of up to 1 KB."""
API_REQUEST: Final = 1.00 / MILLION
"""API Gateway HTTP API, the first 300 million a month."""
LAMBDA_REQUEST: Final = 0.20 / MILLION
LAMBDA_GB_SECOND: Final = 0.0000133334
"""arm64."""
REDIS_COMMAND: Final = 0.20 / 100_000
"""Upstash, pay as you go."""
EGRESS_GB: Final = 0.09
