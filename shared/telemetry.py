"""What operators see: structured log lines."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


@cache
def logger() -> Logger:
    """The log: one JSON object a line."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - reads the environment when it is made

    from shared.log_format import LineFormatter  # noqa: PLC0415 - loads Powertools

    return Logger(service="budgie", logger_formatter=LineFormatter())
